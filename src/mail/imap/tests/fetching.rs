//! Rows and bodies: what is missing, doubled, huge, odd or broken off.

use super::server::Server;
use crate::mail::imap::{
    Body, BodyLimits, Error, FetchItems, FrameError, MessageIds, ProtocolError, Qresync, UidSet, body::read,
};

fn small() -> BodyLimits {
    BodyLimits {
        max_bytes: 1_000,
        memory_bytes: 10,
        ..BodyLimits::default()
    }
}

#[tokio::test]
async fn bodies_come_one_by_one_and_none_only_after_the_ok() {
    let server = Server::start(|peer| {
        peer.let_in("X-GM-EXT-1");
        let asked = peer.expect("UID FETCH");
        let items = "(UID FLAGS INTERNALDATE RFC822.SIZE X-GM-MSGID X-GM-THRID X-GM-LABELS BODY.PEEK[])";
        assert_eq!(asked, format!("1:9 {items}"));
        peer.say("* 1 FETCH (UID 1 BODY[] {5}\r\nhello X-GM-MSGID 12 FLAGS (\\Seen))\r\n");
        peer.say("* 2 FETCH (BODY[] {20}\r\n01234567890123456789 UID 2)\r\n");
        peer.say(format!(
            "* 3 FETCH (UID 3 BODY[] {{2000}}\r\n{})\r\n",
            "x".repeat(2_000)
        ));
        peer.say("* 4 FETCH (UID 4 BODY[] NIL)\r\n* 5 FETCH (UID 5 BODY[] \"a\\\"b\")\r\n");
        // Doubled, not asked for, only a hint, and a second body in one row.
        peer.say("* 1 FETCH (UID 1 BODY[] {1}\r\nx)\r\n* 8 FETCH (UID 88 BODY[] {1}\r\nx)\r\n");
        peer.say("* 6 FETCH (UID 6 FLAGS ())\r\n* 7 FETCH (UID 7 BODY[TEXT] {1}\r\nt BODY[] {1}\r\na BODY[] {1}\r\nb)\r\n");
        peer.answer("OK done");
    });
    let mut session = server.session().await;
    let items = FetchItems::offered(session.capabilities());
    assert_eq!(items.ids, MessageIds::Gmail);
    let mut fetch = session.fetch_bodies(&UidSet::range(1, 9), items, small());
    let mut got = Vec::new();
    while let Some(message) = fetch.next().await.unwrap() {
        let body = match message.body {
            Body::Stored(stored) => {
                let length = stored.len();
                let text = String::from_utf8(read(stored)).unwrap();
                assert_eq!(length, text.len() as u64);
                text
            }
            Body::TooLarge { size } => format!("too large: {size}"),
            Body::Missing => "missing".to_owned(),
        };
        got.push((message.row.uid, body));
    }
    let expected = [
        (1, "hello"),
        (2, "01234567890123456789"),
        (3, "too large: 2000"),
        (4, "missing"),
        (5, "a\"b"),
        (7, "a"),
    ];
    assert_eq!(got, expected.map(|(uid, body)| (uid, body.to_owned())));
    assert!(fetch.next().await.unwrap().is_none());
    assert!(session.pending().flags);
    drop(session);
    server.finish();
}

#[tokio::test]
async fn a_body_is_hashed_and_read_back_wherever_it_lies() {
    let server = Server::start(|peer| {
        peer.let_in("");
        peer.expect("UID FETCH");
        peer.say("* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\n* 2 FETCH (UID 2 BODY[] {12}\r\nabcabcabcabc)\r\n");
        peer.answer("OK done");
    });
    let mut session = server.session().await;
    let mut fetch = session.fetch_bodies(&UidSet::range(1, 2), FetchItems::default(), small());
    let Body::Stored(first) = fetch.next().await.unwrap().unwrap().body else {
        panic!()
    };
    let hash = first
        .sha256()
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    assert_eq!(
        hash,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(read(first), b"abc");
    let Body::Stored(second) = fetch.next().await.unwrap().unwrap().body else {
        panic!()
    };
    assert_eq!(read(second), b"abcabcabcabc");
    assert!(fetch.next().await.unwrap().is_none());
    drop(session);
    server.finish();
}

#[tokio::test]
async fn a_fetch_that_ends_badly_is_never_none() {
    for (end, usable) in [
        ("A2 NO some are gone\r\n", true),
        ("A2 BAD\r\n", true),
        ("* BYE\r\n", false),
        ("", false),
    ] {
        let server = Server::start(move |peer| {
            peer.let_in("");
            peer.expect("UID FETCH");
            peer.say("* 1 FETCH (UID 1 BODY[] {1}\r\na)\r\n");
            peer.say(end);
            if usable {
                peer.expect("NOOP");
                peer.answer("OK");
            }
        });
        let mut session = server.session().await;
        let mut fetch = session.fetch_bodies(&UidSet::range(1, 2), FetchItems::default(), small());
        assert!(fetch.next().await.unwrap().is_some());
        assert!(fetch.next().await.is_err(), "{end}");
        assert!(matches!(fetch.next().await, Err(Error::Poisoned)), "{end}");
        assert_eq!(session.noop().await.is_ok(), usable, "{end}");
        drop(session);
        server.finish();
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error() {
    let server = Server::start(|peer| {
        peer.let_in("");
        peer.expect("UID FETCH");
        peer.say("* 1 FETCH (UID 1 BODY[] {900}\r\nonly this");
    });
    let mut session = server.session().await;
    let mut fetch = session.fetch_bodies(&UidSet::range(1, 1), FetchItems::default(), small());
    assert!(matches!(fetch.next().await, Err(Error::Closed)));
    drop(session);
    server.finish();
}

#[tokio::test]
async fn a_dropped_fetch_poisons_and_an_unused_one_does_not() {
    let server = Server::start(|peer| {
        peer.let_in("");
        peer.expect("NOOP");
        peer.answer("OK");
        peer.expect("UID FETCH");
        peer.say("* 1 FETCH (UID 1 BODY[] {1}\r\na)\r\n");
        peer.answer("OK");
        peer.stay();
    });
    let mut session = server.session().await;
    drop(session.fetch_bodies(&UidSet::range(1, 1), FetchItems::default(), small()));
    session.noop().await.unwrap();
    let mut fetch = session.fetch_bodies(&UidSet::range(1, 1), FetchItems::default(), small());
    assert!(fetch.next().await.unwrap().is_some());
    assert!(matches!(session.noop().await, Err(Error::Poisoned)));
    drop(session);
    server.finish();
}

#[tokio::test]
async fn a_message_without_its_uid_is_not_left_out_in_silence() {
    for row in [
        "* 1 FETCH (BODY[] {1}\r\na)\r\n",
        "* 1 FETCH (RFC822.SIZE 1)\r\n",
        "* 1 FETCH (UID 0 BODY[] NIL)\r\n",
    ] {
        let server = Server::start(move |peer| {
            peer.let_in("");
            peer.expect("UID FETCH");
            peer.say(row);
            peer.answer("OK done");
        });
        let mut session = server.session().await;
        let error = session
            .fetch_metadata(&UidSet::range(1, 1), FetchItems::default())
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Protocol(ProtocolError::MissingUid)),
            "{error}"
        );
        drop(session);
        server.finish();
    }
}

#[tokio::test]
async fn a_body_beyond_all_limits_ends_the_connection() {
    let server = Server::start(|peer| {
        peer.let_in("");
        peer.expect("UID FETCH");
        peer.say("* 1 FETCH (UID 1 BODY[] {99999999999}\r\n");
        peer.stay();
    });
    let mut session = server.session().await;
    let error = session
        .fetch_bodies(&UidSet::range(1, 1), FetchItems::default(), small())
        .next()
        .await
        .unwrap_err();
    let expected = ProtocolError::Frame(FrameError::BodyTooLarge(99_999_999_999));
    assert!(
        matches!(&error, Error::Protocol(found) if *found == expected),
        "{error}"
    );
    drop(session);
    server.finish();
}

#[tokio::test]
async fn headers_are_cut_and_long_sets_are_asked_for_in_parts() {
    let server = Server::start(|peer| {
        peer.let_in("");
        assert!(peer.expect("UID FETCH").ends_with(" BODY.PEEK[HEADER])"));
        peer.say(format!(
            "* 1 FETCH (UID 1 BODY[HEADER] {{200000}}\r\n{})\r\n",
            "h".repeat(200_000)
        ));
        peer.say("* 2 FETCH (UID 2 BODY[HEADER] \"Subject: x\")\r\n");
        peer.answer("OK");
        let mut asked = 0;
        while asked < 4_000 {
            let set = peer.expect("UID FETCH");
            assert!(set.len() < 7_000);
            asked += set.split_once(' ').unwrap().0.split(',').count();
            peer.answer("OK");
        }
    });
    let mut session = server.session().await;
    let rows = session
        .fetch_headers(&UidSet::range(1, 2), FetchItems::default(), 100_000)
        .await
        .unwrap();
    assert_eq!(rows[0].header.as_ref().unwrap().len(), 100_000);
    assert_eq!(rows[1].header.as_deref().unwrap(), b"Subject: x");
    let scattered: UidSet = (1..8_000).step_by(2).collect();
    assert!(
        session
            .fetch_flags(&scattered, None, false)
            .await
            .unwrap()
            .is_empty()
    );
    drop(session);
    server.finish();
}

#[tokio::test]
async fn an_opened_folder_is_told_apart_from_the_one_before() {
    let server = Server::start(|peer| {
        peer.let_in("ENABLE QRESYNC OBJECTID");
        peer.expect("ENABLE QRESYNC");
        peer.say("* ENABLED QRESYNC\r\n");
        peer.answer("OK");
        assert_eq!(peer.expect("EXAMINE"), "\"INBOX\" (QRESYNC (7 99 1:50))");
        peer.say("* 5 EXISTS\r\n* OK [UIDNEXT 99] x\r\n* OK [CLOSED] x\r\n* OK [UIDVALIDITY 7] x\r\n* OK [MAILBOXID (F1)] x\r\n");
        peer.say("* OK [HIGHESTMODSEQ 120] x\r\n* VANISHED (EARLIER) 3:4,9\r\n");
        peer.say("* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (110))\r\n* 3 EXISTS\r\n");
        peer.answer("OK [READ-ONLY] done");
        // UIDNEXT was not said.
        assert_eq!(peer.expect("UID FETCH"), "* (UID)");
        peer.say("* 3 FETCH (UID 50)\r\n");
        peer.answer("OK");
    });
    let mut session = server.session().await;
    let known = Qresync {
        uid_validity: 7,
        modseq: 99,
        known_uids: Some((1, 50)),
    };
    assert!(matches!(
        session.examine(b"INBOX", Some(known)).await,
        Err(Error::Invalid(_))
    ));
    session.enable(&["QRESYNC"]).await.unwrap();
    let selected = session.examine(b"INBOX", Some(known)).await.unwrap();
    assert_eq!(
        (selected.uid_validity, selected.uid_next, selected.exists),
        (7, 51, 3)
    );
    assert_eq!((selected.highest_modseq, selected.read_only), (Some(120), true));
    assert_eq!(selected.vanished_earlier.to_string(), "3:4,9");
    assert_eq!(selected.changed.first().unwrap().modseq, Some(110));
    assert_eq!(selected.mailbox_id.as_deref(), Some("F1"));
    drop(session);
    server.finish();
}

#[tokio::test]
async fn a_folder_without_mod_sequences_is_not_asked_for_them() {
    let server = Server::start(|peer| {
        peer.let_in("CONDSTORE OBJECTID");
        for (modseq, items) in [
            ("HIGHESTMODSEQ 9", " MODSEQ EMAILID"),
            ("NOMODSEQ", "SIZE EMAILID"),
        ] {
            assert_eq!(peer.expect("SELECT"), "\"x\" (CONDSTORE)");
            peer.say(format!(
                "* 0 EXISTS\r\n* OK [UIDVALIDITY 8] x\r\n* OK [{modseq}] x\r\n"
            ));
            peer.answer("OK [READ-WRITE] done");
            let asked = peer.expect("UID FETCH");
            assert!(asked.contains(items), "{asked}");
            peer.answer("OK done");
        }
    });
    let mut session = server.session().await;
    let items = FetchItems::offered(session.capabilities());
    for highest_modseq in [Some(9), None] {
        let selected = session.select(b"x", None).await.unwrap();
        assert_eq!((selected.uid_next, selected.read_only), (1, false));
        assert_eq!(selected.highest_modseq, highest_modseq);
        assert!(
            session
                .fetch_metadata(&UidSet::range(1, 1), items)
                .await
                .unwrap()
                .is_empty()
        );
    }
    drop(session);
    server.finish();
}

#[tokio::test]
async fn a_message_that_ends_before_what_was_asked_for_is_whole() {
    let server = Server::start(|peer| {
        peer.let_in("");
        let asked = peer.expect("UID FETCH");
        let items = "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[]<0.5>)";
        assert_eq!(asked, format!("6:14 {items}"));
        peer.say("* 2 FETCH (UID 8 BODY[]<0> {5}\r\nhello RFC822.SIZE 9 FLAGS ())\r\n");
        peer.say("* 1 FETCH (UID 7 RFC822.SIZE 4 FLAGS (\\Seen) BODY[]<0> {4}\r\nhell)\r\n");
        // Cut short: its size says that there is more.
        peer.say("* 9 FETCH (UID 6 RFC822.SIZE 9 BODY[]<0> {4}\r\nhell)\r\n");
        // Without an origin: more than was asked for.
        peer.say("* 3 FETCH (UID 9 BODY[] {9}\r\nhello you)\r\n* 4 FETCH (UID 10 BODY[]<0> \"\")\r\n");
        // There is no room for so much.
        peer.say("* 5 FETCH (UID 11 BODY[]<0> {3}\r\nhel)\r\n* 6 FETCH (UID 12 BODY[]<0> {2}\r\nhe)\r\n");
        peer.say("* 7 FETCH (UID 13 BODY[]<0> NIL)\r\n* 8 FETCH (UID 14 FLAGS ())\r\n");
        peer.answer("OK done");
    });
    let mut session = server.session().await;
    let items = FetchItems::default();
    let got = session
        .fetch_small(&UidSet::range(6, 14), items, (5, 6))
        .await
        .unwrap();
    let got: Vec<_> = got
        .into_iter()
        .map(|(row, body)| (row.uid, row.is_seen(), body.map(read)))
        .collect();
    let expected = [
        (6, false, None),
        (7, true, Some(b"hell".to_vec())),
        (8, false, None),
        (9, false, None),
        (10, false, Some(Vec::new())),
        (11, false, None),
        (12, false, Some(b"he".to_vec())),
        (13, false, None),
    ];
    assert_eq!(got, expected);
}
