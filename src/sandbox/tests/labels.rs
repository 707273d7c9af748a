//! X-GM-EXT-1 and OBJECTID, by raw lines.

use super::*;

const GMAIL: Offer = Offer {
    gmail: true,
    object_id: false,
};

impl Server {
    /// A client of another account, logged in.
    async fn as_offered(&self, name: &str, offer: Offer) -> Client<TcpStream> {
        let account = Account {
            username: name.to_owned(),
            password: "x".to_owned().into(),
        };
        self.sandbox.add_account_offering(account, offer);
        let mut client = self.connect().await;
        client.ok(&format!("LOGIN {name} x")).await;
        client
    }
}

fn has(lines: &[String], part: &str) -> bool {
    lines.iter().any(|line| line.contains(part))
}

#[tokio::test]
async fn every_message_lies_once_in_all_mail_and_labels_are_views_of_it() {
    let server = Server::start(None).await;
    let mut client = server.as_offered("g", GMAIL).await;
    assert!(has(&client.ok("CAPABILITY").await, " X-GM-EXT-1"));
    let folders = client.ok("LIST \"\" *").await;
    assert!(has(&folders, "\\All"), "{folders:?}");
    assert!(has(&folders, "\\Noselect"), "{folders:?}");
    let uid = server.sandbox.append("g", "INBOX", &[], now(), HELLO).unwrap();
    server
        .sandbox
        .label("g", "INBOX", uid, &["Größe", "\\Starred"], &[])
        .unwrap();
    for folder in ["INBOX", "[Gmail]/All Mail", "[Gmail]/Starred", "Größe"] {
        assert_eq!(server.sandbox.uids("g", folder).unwrap(), [1], "{folder}");
    }
    client.ok("SELECT \"[Gmail]/All Mail\"").await;
    let row = client
        .ok("UID FETCH 1 (UID X-GM-MSGID X-GM-THRID X-GM-LABELS FLAGS)")
        .await;
    let labels = r#"X-GM-LABELS ("Gr&APYA3w-e" "\\Inbox" "\\Starred")"#;
    assert!(
        has(&row, labels) && has(&row, "X-GM-MSGID 1 X-GM-THRID"),
        "{row:?}"
    );
    assert!(has(&row, "\\Flagged"), "{row:?}");
    let before = client.ok("STATUS \"[Gmail]/All Mail\" (HIGHESTMODSEQ)").await;
    let row = client
        .ok("UID STORE 1 -X-GM-LABELS (\"\\\\Inbox\" Gr&APYA3w-e)")
        .await;
    assert!(has(&row, r#"X-GM-LABELS ("\\Starred")"#), "{row:?}");
    let after = client.ok("STATUS \"[Gmail]/All Mail\" (HIGHESTMODSEQ)").await;
    assert_ne!(before, after, "labels move the mod-sequence");
    assert!(server.sandbox.uids("g", "INBOX").unwrap().is_empty());
    let trashed = server
        .sandbox
        .move_message("g", "[Gmail]/All Mail", 1, "[Gmail]/Trash")
        .unwrap();
    assert!(server.sandbox.uids("g", "[Gmail]/All Mail").unwrap().is_empty());
    assert!(server.sandbox.uids("g", "[Gmail]/Starred").unwrap().is_empty());
    server
        .sandbox
        .move_message("g", "[Gmail]/Trash", trashed, "INBOX")
        .unwrap();
    assert_eq!(server.sandbox.uids("g", "[Gmail]/All Mail").unwrap(), [2]);
    server.sandbox.hide_folder("g", "[Gmail]/All Mail", true).unwrap();
    assert!(!has(&client.ok("LIST \"\" *").await, "\\All"));
}

#[tokio::test]
async fn objects_keep_their_ids_through_renames_and_moves() {
    let server = Server::start(None).await;
    let offer = Offer {
        gmail: false,
        object_id: true,
    };
    let mut client = server.as_offered("o", offer).await;
    let uid = server.sandbox.append("o", "INBOX", &[], now(), HELLO).unwrap();
    assert!(has(&client.ok("SELECT INBOX").await, "[MAILBOXID (F"));
    let row = client.ok(&format!("UID FETCH {uid} (EMAILID THREADID)")).await;
    assert!(has(&row, "EMAILID (M1) THREADID (T"), "{row:?}");
    client.ok(&format!("UID MOVE {uid} Archive")).await;
    let before = client.ok("STATUS Archive (MESSAGES MAILBOXID)").await;
    client.ok("RENAME Archive Older").await;
    let after = client.ok("STATUS Older (MAILBOXID)").await;
    let id = |lines: &[String]| {
        lines
            .iter()
            .find_map(|l| Some(l.split_once("MAILBOXID ")?.1.to_owned()))
    };
    assert!(
        id(&before).is_some() && id(&before) == id(&after),
        "{before:?} {after:?}"
    );
    client.ok("SELECT Older").await;
    assert!(has(&client.ok("FETCH 1 EMAILID").await, "EMAILID (M1)"));
}

#[tokio::test]
async fn an_account_without_them_does_not_know_them() {
    let server = Server::start(None).await;
    server.deliver(HELLO);
    let mut client = server.in_inbox().await;
    assert!(!has(&client.ok("CAPABILITY").await, "X-GM"));
    for command in [
        "FETCH 1 (UID X-GM-MSGID)",
        "UID FETCH 1 EMAILID",
        "UID STORE 1 +X-GM-LABELS (a)",
    ] {
        let answer = client.run(command).await;
        assert!(answer.last().unwrap().contains(" BAD "), "{answer:?}");
    }
}
