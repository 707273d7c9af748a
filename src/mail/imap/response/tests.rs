//! Responses as real and as broken servers write them.

use proptest::prelude::*;

use super::{
    super::{
        frame::{Event, Framer},
        row::Part,
    },
    *,
};
use crate::model::folder::FolderRole;

fn response(bytes: &[u8]) -> Response {
    let mut input = bytes;
    let mut framer = Framer::new();
    loop {
        if let Event::Response(raw) = framer.next(&mut input).unwrap().unwrap() {
            return Response::parse(&raw);
        }
    }
}

fn row(text: &str) -> RawRow {
    match response(text.as_bytes()) {
        Response::Fetch(row) => *row,
        other => panic!("{other:?}"),
    }
}

fn list(text: &str) -> ListEntry {
    match response(text.as_bytes()) {
        Response::List(entry) => entry,
        other => panic!("{other:?}"),
    }
}

#[test]
fn statuses_with_and_without_codes() {
    let Response::Tagged(tag, Some(status)) = response(b"a1 no [AuthenticationFailed] x]\r\n") else {
        panic!()
    };
    assert_eq!((tag.as_slice(), status.kind), (&b"a1"[..], Kind::No));
    assert_eq!(status.answer().to_string(), "[AUTHENTICATIONFAILED] x]");
    let Response::Status(status) = response(b"* OK [UIDNEXT 42] Predicted\r\n") else {
        panic!()
    };
    assert_eq!(status.code("UIDNEXT"), Some(&b"42"[..]));
    let Response::Status(status) = response(b"* BYE\r\n") else {
        panic!()
    };
    assert_eq!((status.kind, status.code), (Kind::Bye, None));
    assert!(matches!(response(b"A1 WHAT\r\n"), Response::Tagged(_, None)));
    assert!(matches!(response(b"A1\r\n"), Response::Tagged(_, None)));
    assert_eq!(
        response(b"+ idling\r\n"),
        Response::Continuation(b"idling".to_vec())
    );
    assert_eq!(response(b"+\r\n"), Response::Continuation(Vec::new()));
    assert_eq!(object_id(b"(F123)"), Some("F123".to_owned()));
    for other in ["F123", "()", "(F 1)", "(\u{fffd}j@)"] {
        assert_eq!(object_id(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn counts_and_unknown_ones() {
    assert_eq!(response(b"* 23 EXISTS\r\n"), Response::Exists(23));
    assert_eq!(response(b"* 23 EXPUNGE\r\n"), Response::Expunge);
    for unknown in [
        "* 99999999999 EXISTS\r\n",
        "* 23\r\n",
        "*\r\n",
        "\r\n",
        "* FLAGS (\\Seen)\r\n",
        "* FOO bar {3}\r\nabc\r\n",
    ] {
        assert_eq!(response(unknown.as_bytes()), Response::Unknown, "{unknown}");
    }
}

#[test]
fn rows_of_gmail() {
    let row = row(
        "* 1 FETCH (X-GM-THRID 1278455344230334865 X-GM-MSGID 1278455344230334866 X-GM-LABELS (\"\\\\Inbox\" \
         \\Sent Important \"Muy Importante\" [Gmail]/x \"Entw&APw-rfe\") UID 7 RFC822.SIZE 9 INTERNALDATE \
         \" 1-Feb-2024 12:34:56 +0100\" FLAGS (\\Seen $X) MODSEQ (88) BODY[] {3}\r\nabc)\r\n",
    );
    assert_eq!(row.row.uid, 7);
    assert_eq!(row.row.gm_thrid, Some(1_278_455_344_230_334_865));
    assert_eq!(row.row.gm_msgid, Some(1_278_455_344_230_334_866));
    let labels = [
        "\\Inbox",
        "\\Sent",
        "Important",
        "Muy Importante",
        "[Gmail]/x",
        "Entwürfe",
    ];
    assert_eq!(row.row.gm_labels.as_deref().unwrap(), labels);
    assert_eq!(row.row.flags.as_deref().unwrap(), ["\\Seen", "$X"]);
    assert!(row.row.is_seen());
    assert_eq!((row.row.size, row.row.modseq), (Some(9), Some(88)));
    assert_eq!(
        row.row.internal_date.unwrap().to_rfc3339(),
        "2024-02-01T11:34:56+00:00"
    );
    assert_eq!(row.body, Some(Part::Streamed(0)));
}

#[test]
fn rows_with_objects_and_odd_parts() {
    let objects = row("* 1 FETCH (UID 1 EMAILID (M1) THREADID NIL MODSEQ (0) FOO (a (b)) BODY[] NIL)\r\n");
    assert_eq!(
        (objects.row.email_id.as_deref(), objects.row.thread_id.as_deref()),
        (Some("M1"), None)
    );
    assert_eq!((objects.row.modseq, objects.body), (None, Some(Part::Nil)));
    let inline = row("* 1 FETCH (BODY[] \"a\\\"b\" BODY[HEADER.FIELDS (DATE)] \"\" UID 3)\r\n");
    assert_eq!(inline.body, Some(Part::Inline(b"a\"b".to_vec())));
    assert_eq!(inline.header, Some(Part::Inline(Vec::new())));
    assert_eq!(inline.row.uid, 3);
    let odd = row("* 1 FETCH (UID x FLAGS NIL INTERNALDATE \"yesterday\" RFC822.SIZE -1)\r\n");
    let empty = RawRow {
        sequence: 1,
        whole: true,
        ..RawRow::default()
    };
    assert_eq!(odd, empty);
    let longer = row("* 1 FETCH (UID 1 BODY[] \"a\") b)\r\n");
    assert!(!longer.whole, "more bytes than were announced");
    let flags = format!("* 1 FETCH (UID 1 FLAGS ({}))\r\n", "a ".repeat(5_000));
    assert_eq!(row(&flags).row.flags.unwrap().len(), 256);
}

#[test]
fn folders() {
    let entry = list("* LIST (\\HasNoChildren \\Sent) \"/\" \"Gesendet &APw-\"\r\n");
    assert_eq!(
        (entry.name.as_str(), entry.raw_name.as_slice()),
        ("Gesendet ü", &b"Gesendet &APw-"[..])
    );
    assert_eq!(
        (entry.delimiter, entry.special_use, entry.selectable),
        (Some('/'), Some(FolderRole::Sent), true)
    );
    let entry = list("* LIST (\\NoSelect) NIL {5}\r\na\"b c\r\n");
    assert_eq!(
        (entry.raw_name.as_slice(), entry.delimiter, entry.selectable),
        (&b"a\"b c"[..], None, false)
    );
    assert_eq!(
        list("* LIST () \"\\\\\" inbox\r\n").special_use,
        Some(FolderRole::Inbox)
    );
    assert_eq!(list("* LIST () \"\\\\\" inbox\r\n").delimiter, Some('\\'));
    assert_eq!(list("* LIST () \".\" NIL\r\n").name, "NIL");
    assert_eq!(list("* LIST () \".\" Sent Items\r\n").name, "Sent Items");
    assert_eq!(
        list("* LIST () \".\" x (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n").name,
        "x"
    );
}

#[test]
fn folder_statuses() {
    let text = b"* STATUS {3}\r\na b (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3 UNSEEN 0 HIGHESTMODSEQ 0 MAILBOXID (F9) X 1)\r\n";
    let Response::FolderStatus(name, status) = response(text) else {
        panic!()
    };
    assert_eq!(name, b"a b");
    let expected = FolderStatus {
        messages: Some(1),
        uid_next: Some(2),
        uid_validity: Some(3),
        unseen: Some(0),
        highest_modseq: None,
        mailbox_id: Some("F9".to_owned()),
    };
    assert_eq!(status, expected);
    let Response::FolderStatus(_, status) =
        response(b"* STATUS x (MAILBOXID (\xf0\xc7j@\xb9U) MESSAGES 1)\r\n")
    else {
        panic!()
    };
    assert_eq!(
        (status.mailbox_id, status.messages),
        (None, Some(1)),
        "Cyrus has sent such ones"
    );
}

#[test]
fn searches_and_vanished() {
    let found = |text: &str| match response(text.as_bytes()) {
        Response::Found(found) => found.uids.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(found("* SEARCH 3 1 2 9\r\n"), "1:3,9");
    assert_eq!(found("* SEARCH\r\n"), "");
    assert_eq!(found("* SEARCH 1 (MODSEQ 9)\r\n"), "1");
    assert_eq!(found("* ESEARCH (TAG \"A2\") UID ALL 1:3,9\r\n"), "1:3,9");
    assert_eq!(found("* ESEARCH (TAG \"A2\") UID\r\n"), "");
    assert_eq!(response(b"* ESEARCH (TAG \"A2\") ALL 1:3\r\n"), Response::Unknown);
    let uids = UidSet::range(1, 3);
    assert_eq!(
        response(b"* VANISHED (EARLIER) 1:3\r\n"),
        Response::Vanished {
            earlier: true,
            uids: uids.clone()
        }
    );
    assert_eq!(
        response(b"* VANISHED 1:3\r\n"),
        Response::Vanished { earlier: false, uids }
    );
}

#[test]
fn copied_uids_are_paired_in_their_order() {
    let (uid_validity, sets) = uid_code(b"7 304,319:320 3958:3956").unwrap();
    assert_eq!(uid_validity, 7);
    assert_eq!(
        uid_pairs(sets[0], sets[1]).unwrap(),
        [(304, 3_958), (319, 3_957), (320, 3_956)]
    );
    assert_eq!(uid_pairs(b"1:*", b"1:*").unwrap().len(), 10_000);
}

proptest! {
    #[test]
    fn any_text_can_be_read(start in "(\\* (1 FETCH|LIST|STATUS|SEARCH|ESEARCH|VANISHED|OK|ENABLED)|A1|\\+)?", rest in any::<Vec<u8>>()) {
        let bytes = [start.as_bytes(), &rest, b"\r\n"].concat();
        let mut input = bytes.as_slice();
        let mut framer = Framer::new();
        while let Ok(Some(event)) = framer.next(&mut input) {
            if let Event::Response(raw) = event {
                Response::parse(&raw);
            }
        }
    }
}
