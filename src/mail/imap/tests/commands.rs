//! Every command against NO, BAD, BYE, the end of the connection, and answers without data.

use std::time::Duration;

use super::server::{Peer, Server};
use crate::mail::imap::{
    BodyLimits, Error, FetchItems, FrameError, Phase, ProtocolError, Session, StoreFlags, UidSet,
};

const OFFERED: &str = "IDLE UIDPLUS MOVE ENABLE QRESYNC CONDSTORE SPECIAL-USE LIST-EXTENDED OBJECTID";

/// The commands, each with data that a careless client could take for its whole answer.
const COMMANDS: [(&str, &str); 14] = [
    ("ENABLE", "* ENABLED QRESYNC\r\n"),
    ("LIST", "* LIST () \"/\" INBOX\r\n"),
    (
        "STATUS",
        "* STATUS INBOX (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3)\r\n",
    ),
    (
        "EXAMINE",
        "* OK [UIDVALIDITY 1] x\r\n* OK [UIDNEXT 2] x\r\n* 1 EXISTS\r\n",
    ),
    ("UID SEARCH", "* SEARCH 1\r\n"),
    ("UID FETCH", "* 1 FETCH (UID 1 FLAGS ())\r\n"),
    ("UID FETCH", "* 9 FETCH (UID 9 FLAGS ())\r\n"),
    ("UID STORE", ""),
    ("UID COPY", "* OK [COPYUID 1 1 2] x\r\n"),
    ("UID MOVE", "* OK [COPYUID 1 1 2] x\r\n"),
    ("UID EXPUNGE", "* VANISHED 1\r\n"),
    ("APPEND", ""),
    ("NOOP", "* 3 EXISTS\r\n"),
    ("STATUS", "* STATUS INBOX (MAILBOXID (F1))\r\n"),
];

async fn run(session: &mut Session, index: usize) -> Result<(), Error> {
    let one = UidSet::range(1, 1);
    match index {
        0 => session.enable(&["QRESYNC"]).await.map(drop),
        1 => session.list().await.map(drop),
        2 => session.status(b"INBOX").await.map(drop),
        3 => session.examine(b"INBOX", None).await.map(drop),
        4 => session.search_uids(1, 9).await.map(drop),
        5 => session
            .fetch_metadata(&one, FetchItems::default())
            .await
            .map(drop),
        6 => {
            let mut fetch = session.fetch_bodies(&one, FetchItems::default(), BodyLimits::default());
            fetch.next().await.map(|message| assert!(message.is_none()))
        }
        7 => session.uid_store(&one, StoreFlags::Add, &["\\Seen"]).await,
        8 => session.uid_copy(&one, b"x").await.map(drop),
        9 => session.uid_move(&one, b"x").await.map(drop),
        10 => session.uid_expunge(&one).await,
        11 => session.append(b"x", &[], None, b"").await.map(drop),
        12 => session.noop().await,
        _ => session.mailbox_id(b"INBOX").await.map(drop),
    }
}

/// Reads a command, with the literal of an APPEND.
fn expect(peer: &mut Peer, command: &str) {
    let rest = peer.expect(command);
    if rest.ends_with('}') {
        peer.say("+ go on\r\n");
        assert_eq!(peer.line(), "");
    }
}

#[tokio::test]
async fn a_command_is_good_only_with_its_own_tagged_ok() {
    for (index, (command, data)) in COMMANDS.into_iter().enumerate() {
        let server = Server::start(move |peer| {
            peer.let_in(OFFERED);
            for refusal in ["NO [X] no", "BAD bad"] {
                expect(peer, command);
                peer.say(data);
                peer.say("Z9 OK of another\r\n* OK untagged\r\n");
                peer.answer(refusal);
                if command == "LIST" && refusal.starts_with("BAD") {
                    // The plain form is tried then.
                    peer.expect("LIST \"\" \"*\"");
                    peer.answer(refusal);
                }
            }
            expect(peer, command);
            peer.say(data);
            peer.answer("OK done");
        });
        let mut session = server.session().await;
        assert!(
            matches!(run(&mut session, index).await, Err(Error::No { .. })),
            "{command}"
        );
        assert!(
            matches!(run(&mut session, index).await, Err(Error::Bad { .. })),
            "{command}"
        );
        assert!(session.is_usable());
        run(&mut session, index).await.unwrap();
        drop(session);
        server.finish();
    }
}

#[tokio::test]
async fn bye_the_end_and_nonsense_are_errors_and_poison() {
    for (index, (command, data)) in COMMANDS.into_iter().enumerate() {
        for end in [
            "",
            "* BYE enough\r\n",
            "A2 OK",
            "A2 BYE x\r\n",
            "A2 HM x\r\n",
            "A2\r\n",
        ] {
            let server = Server::start(move |peer| {
                peer.let_in(OFFERED);
                expect(peer, command);
                peer.say(data);
                peer.say(end);
            });
            let mut session = server.session().await;
            let error = run(&mut session, index).await.unwrap_err();
            let expected = match end {
                "" | "A2 OK" => matches!(error, Error::Closed | Error::Io(_)),
                "* BYE enough\r\n" => matches!(error, Error::Bye(_)),
                _ => matches!(error, Error::Protocol(ProtocolError::Status)),
            };
            assert!(expected, "{command} {end}: {error}");
            assert!(
                matches!(session.noop().await, Err(Error::Poisoned)),
                "{command} {end}"
            );
            assert!(!session.is_usable());
            drop(session);
            server.finish();
        }
    }
}

#[tokio::test]
async fn ok_without_data_is_not_an_empty_answer() {
    let server = Server::start(|peer| {
        peer.let_in("");
        for command in ["LIST", "STATUS", "EXAMINE"] {
            peer.expect(command);
            peer.answer("OK done");
        }
        peer.expect("UID SEARCH");
        peer.answer("OK done");
        assert!(peer.expect("UID FETCH").starts_with("1:9 (UID)"));
        peer.say("* 1 FETCH (UID 4)\r\n* 2 FETCH (UID 77)\r\n");
        peer.answer("OK done");
    });
    let mut session = server.session().await;
    for index in 1..=3 {
        let error = run(&mut session, index).await.unwrap_err();
        assert!(
            matches!(error, Error::Protocol(ProtocolError::MissingData(_))),
            "{error}"
        );
    }
    assert_eq!(session.search_uids(1, 9).await.unwrap().to_string(), "4");
    drop(session);
    server.finish();
}

#[tokio::test]
async fn limits_hold_during_every_command() {
    for (index, (command, _)) in COMMANDS.into_iter().enumerate() {
        let server = Server::start(move |peer| {
            peer.let_in(OFFERED);
            expect(peer, command);
            peer.say("* LIST () \"/\" {500000000}\r\n");
            peer.stay();
        });
        let mut session = server.session().await;
        let error = run(&mut session, index).await.unwrap_err();
        let expected = ProtocolError::Frame(FrameError::LiteralTooLarge(500_000_000));
        assert!(
            matches!(&error, Error::Protocol(found) if *found == expected),
            "{command}: {error}"
        );
        drop(session);
        server.finish();
    }
}

#[tokio::test]
async fn an_endless_answer_ends() {
    let server = Server::start(|peer| {
        peer.let_in("");
        peer.expect("LIST");
        for folder in 0..200_000 {
            peer.say_later(&format!("* LIST () \"/\" folder-{folder}\r\n"));
        }
        peer.stay();
    });
    let mut session = server.session().await;
    let error = session.list().await.unwrap_err();
    assert!(
        matches!(error, Error::Protocol(ProtocolError::AnswerTooLarge("LIST"))),
        "{error}"
    );
    drop(session);
    server.finish();
}

#[tokio::test]
async fn silence_and_dropped_calls_poison() {
    let server = Server::start(|peer| {
        peer.let_in("");
        peer.stay();
    });
    let mut session = server.impatient_session().await;
    assert!(matches!(
        session.noop().await,
        Err(Error::Timeout(Phase::Command))
    ));
    assert!(matches!(session.noop().await, Err(Error::Poisoned)));
    drop(session);
    server.finish();

    let server = Server::start(|peer| {
        peer.let_in("");
        peer.stay();
    });
    let mut session = server.session().await;
    assert!(
        tokio::time::timeout(Duration::from_millis(20), session.noop())
            .await
            .is_err()
    );
    assert!(matches!(session.noop().await, Err(Error::Poisoned)));
    drop(session);
    server.finish();
}

#[tokio::test]
async fn what_comes_unasked_is_noted() {
    let server = Server::start(|peer| {
        peer.let_in("");
        peer.expect("NOOP");
        peer.say("* 7 EXISTS\r\n* 1 RECENT\r\n* 2 EXPUNGE\r\n* 3 FETCH (FLAGS (\\Seen))\r\n");
        peer.say(
            "* OK [ALERT] quota\u{7} is low\r\n* CAPABILITY IMAP4rev1 NEW\r\n* WHAT ever (\r\n\r\n*\r\n",
        );
        peer.answer("OK done");
        peer.expect("UID FETCH");
        peer.say("* 1 FETCH (UID 1 FLAGS ())\r\n* 2 FETCH (UID 2 FLAGS ())\r\n* 3 FETCH (FLAGS (x))\r\n");
        peer.answer("OK done");
        peer.expect("LOGOUT");
        peer.say("* BYE see you\r\n");
        peer.answer("OK done");
    });
    let mut session = server.session().await;
    session.noop().await.unwrap();
    let pending = session.take_pending();
    assert_eq!(
        (pending.exists, pending.expunged, pending.flags),
        (Some(7), true, true)
    );
    assert_eq!(pending.alerts, ["quota is low"]);
    assert!(!session.pending().has_changes() && session.capabilities().has("NEW"));
    let rows = session
        .fetch_flags(&UidSet::range(1, 1), None, false)
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert!(session.pending().flags && session.pending().exists.is_none());
    session.logout().await.unwrap();
    server.finish();
}

#[tokio::test]
async fn messages_are_appended_as_literals() {
    let server = Server::start(|peer| {
        peer.let_in("LITERAL+ UIDPLUS");
        let line = peer.expect("APPEND");
        assert_eq!(
            line,
            "\"Entw&APw-rfe\" (\\Seen) \" 3-Feb-2024 04:05:06 +0000\" {5+}"
        );
        assert_eq!(peer.bytes(7), b"hello\r\n");
        peer.answer("OK [APPENDUID 3 4] done");
        assert!(peer.expect("APPEND").ends_with("{5000}"), "a large message waits");
        peer.answer("NO [OVERQUOTA] full");
        assert!(peer.expect("APPEND").ends_with("{5000}"));
        peer.answer("OK already");
        peer.stay();
    });
    let mut session = server.session().await;
    let date = "2024-02-03T04:05:06Z".parse().unwrap();
    let appended = session
        .append(b"Entw&APw-rfe", &["\\Seen"], Some(date), b"hello")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((appended.uid_validity, appended.uid), (3, 4));
    let refused = session.append(b"x", &[], None, &[b'a'; 5_000]).await;
    assert!(matches!(refused, Err(Error::No { .. })));
    assert!(matches!(
        session.append(b"x", &[], None, b"\0").await,
        Err(Error::Invalid(_))
    ));
    let early = session.append(b"x", &[], None, &[b'a'; 5_000]).await;
    assert!(matches!(early, Err(Error::Protocol(ProtocolError::Status))) && !session.is_usable());
    drop(session);
    server.finish();
}

#[tokio::test]
async fn every_call_can_run_in_a_task_that_moves_between_threads() {
    fn moves<T: Send>(future: T) -> T {
        future
    }
    let server = Server::start(|peer| {
        peer.let_in("IDLE");
        peer.expect("IDLE");
        peer.say("+ idling\r\n");
        assert_eq!(peer.line(), "DONE");
        peer.answer("OK");
    });
    let mut session = moves(server.session()).await;
    let one = UidSet::range(1, 1);
    drop(moves(session.enable(&[])));
    drop(moves(session.list()));
    drop(moves(session.status(b"")));
    drop(moves(session.examine(b"", None)));
    drop(moves(session.search_uids(1, 2)));
    drop(moves(session.fetch_metadata(&one, FetchItems::default())));
    drop(moves(session.fetch_headers(&one, FetchItems::default(), 1)));
    drop(moves(session.fetch_flags_vanished(&one, 1)));
    drop(moves(
        session
            .fetch_bodies(&one, FetchItems::default(), BodyLimits::default())
            .next(),
    ));
    drop(moves(session.append(b"", &[], None, b"")));
    drop(moves(session.uid_store(&one, StoreFlags::Add, &[])));
    drop(moves(session.uid_move(&one, b"")));
    drop(moves(session.uid_expunge(&one)));
    let mut idle = moves(session.idle()).await.unwrap();
    drop(moves(idle.wait(Duration::ZERO, std::future::pending())));
    let session = moves(idle.done()).await.unwrap();
    assert!(session.is_usable(), "calls that never began poison nothing");
    drop(session);
    server.finish();
}

#[tokio::test]
async fn new_uids_are_read_from_either_place_and_only_told_when_whole() {
    let server = Server::start(|peer| {
        peer.let_in("MOVE");
        assert_eq!(peer.expect("UID COPY"), "1:2 \"to\"");
        peer.answer("OK [COPYUID 7 1:2 11:12] copied");
        peer.expect("UID MOVE");
        peer.say("* OK [COPYUID 7 1:2 13:14] moved\r\n* 1 EXPUNGE\r\n");
        peer.answer("OK done");
        peer.expect("UID COPY");
        peer.answer("OK [COPYUID 7 1:3000 5001:8000] copied");
        peer.expect("UID COPY");
        peer.answer("OK the rest without saying where");
    });
    let mut session = server.session().await;
    let two = UidSet::range(1, 2);
    let copied = session.uid_copy(&two, b"to").await.unwrap().unwrap();
    assert_eq!((copied.uid_validity, copied.uids), (7, vec![(1, 11), (2, 12)]));
    let moved = session.uid_move(&two, b"to").await.unwrap().unwrap();
    assert_eq!(moved.uids, [(1, 13), (2, 14)]);
    assert!(session.pending().expunged);
    let scattered: UidSet = (1..3_000).step_by(2).collect();
    assert_eq!(session.uid_copy(&scattered, b"to").await.unwrap(), None);
    assert!(matches!(
        session.uid_expunge(&two).await,
        Err(Error::Unsupported("UIDPLUS"))
    ));
    drop(session);
    server.finish();
}

#[tokio::test]
async fn searches_by_either_form() {
    let server = Server::start(|peer| {
        peer.let_in("ESEARCH");
        assert_eq!(peer.expect("UID SEARCH"), "RETURN (ALL) UID 1:9");
        peer.say("* ESEARCH (TAG \"A1\") UID ALL 7\r\n* ESEARCH (TAG \"A2\") UID ALL 2:4,9:30\r\n");
        peer.answer("OK done");
        peer.expect("UID SEARCH RETURN");
        peer.say("* ESEARCH (TAG \"A3\") UID\r\n");
        peer.answer("OK done");
        peer.expect("UID SEARCH RETURN");
        peer.answer("BAD what is RETURN?");
        assert_eq!(peer.expect("UID SEARCH"), "UID 5");
        peer.say("* SEARCH 5 6\r\n* SEARCH\r\n");
        peer.answer("OK done");
    });
    let mut session = server.session().await;
    assert_eq!(session.search_uids(0, 9).await.unwrap().to_string(), "2:4,9");
    assert!(session.search_uids(1, 9).await.unwrap().is_empty());
    assert_eq!(session.search_uids(5, 5).await.unwrap().to_string(), "5");
    assert!(session.search_uids(6, 5).await.unwrap().is_empty());
    drop(session);
    server.finish();
}
