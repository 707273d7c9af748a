//! What changes mail, and who is told: STORE, COPY, MOVE, APPEND, EXPUNGE, SEARCH, IDLE, CONDSTORE.

use super::*;

#[tokio::test]
async fn store_changes_flags() {
    let server = Server::start(None).await;
    server.deliver(HELLO);
    server.deliver(HELLO);
    let mut client = server.in_inbox().await;
    let lines = client.ok("STORE 1:2 +FLAGS (\\Seen $Done)").await;
    assert_eq!(lines[0], "* 1 FETCH (UID 1 FLAGS ($Done \\Seen))");
    assert_eq!(lines.len(), 3);
    let lines = client.ok("UID STORE 2 -FLAGS.SILENT (\\Seen)").await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(client.ok("FETCH 2 FLAGS").await[0], "* 2 FETCH (FLAGS ($Done))");
    client.ok("STORE 2 FLAGS (\\Answered)").await;
    assert_eq!(
        client.ok("FETCH 2 FLAGS").await[0],
        "* 2 FETCH (FLAGS (\\Answered))"
    );
}

#[tokio::test]
async fn append_copy_and_move_tell_the_new_uids() {
    let server = Server::start(None).await;
    server.deliver(HELLO);
    server.deliver(HELLO);
    let mut client = server.in_inbox().await;
    client
        .send(b"a APPEND Sent (\\Seen) \"01-Feb-2025 10:00:00 +0100\" {4}\r\n")
        .await;
    assert!(client.line().await.starts_with("+ "));
    client.send(b"a:\r\n\r\n").await;
    assert_eq!(client.line().await, "a OK [APPENDUID 1760000004 1] APPEND done");
    assert!(
        client
            .refused("APPEND Nowhere {1+}\r\nx")
            .await
            .starts_with("NO [TRYCREATE]")
    );
    assert!(
        client
            .refused("COPY 1 Nowhere")
            .await
            .starts_with("NO [TRYCREATE]")
    );
    assert_eq!(
        client.ok("COPY 1:2 Sent").await,
        ["[COPYUID 1760000004 1,2 2,3] COPY done"]
    );
    assert_eq!(client.ok("UID COPY 77 Sent").await, ["COPY done"]);
    let lines = client.ok("UID MOVE 1 Archive").await;
    assert_eq!(
        lines,
        ["* OK [COPYUID 1760000001 1 1] Moved", "* 1 EXPUNGE", "MOVE done"]
    );
    assert_eq!(server.sandbox.uids(USER, "inbox").unwrap(), [2]);
    client.ok("SELECT Sent").await;
    let expected = "* 1 FETCH (FLAGS (\\Seen) INTERNALDATE \"01-Feb-2025 10:00:00 +0100\" RFC822.SIZE 4)";
    assert_eq!(client.ok("FETCH 1 FAST").await[0], expected);
}

#[tokio::test]
async fn expunge_takes_what_is_deleted_and_numbers_hold_until_told() {
    let server = Server::start(None).await;
    for _ in 0..5 {
        server.deliver(HELLO);
    }
    let mut client = server.in_inbox().await;
    let mut other = server.in_inbox().await;
    client.ok("STORE 2:4 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(
        client.ok("UID EXPUNGE 1:2").await,
        ["* 2 EXPUNGE", "EXPUNGE done"]
    );
    assert_eq!(
        client.ok("EXPUNGE").await,
        ["* 3 EXPUNGE", "* 2 EXPUNGE", "EXPUNGE done"]
    );
    // The other client has not been told: its number 5 is still UID 5, and 3 has no data.
    assert_eq!(
        other.ok("FETCH 3,5 UID").await,
        ["* 5 FETCH (UID 5)", "FETCH done"]
    );
    assert_eq!(
        other.ok("NOOP").await[..3],
        ["* 4 EXPUNGE", "* 3 EXPUNGE", "* 2 EXPUNGE"]
    );
    assert_eq!(other.ok("FETCH 2 UID").await[0], "* 2 FETCH (UID 5)");
    other.ok("STORE 1 +FLAGS (\\Deleted)").await;
    other.ok("CLOSE").await;
    assert_eq!(server.sandbox.uids(USER, "INBOX").unwrap(), [5]);
}

#[tokio::test]
async fn search_finds_by_the_simple_keys() {
    let server = Server::start(None).await;
    server
        .sandbox
        .append(USER, "INBOX", &["\\Seen"], now(), HELLO)
        .unwrap();
    let old = now() - chrono::TimeDelta::days(10);
    server
        .sandbox
        .append(USER, "INBOX", &["\\Flagged", "$Work"], old, b"Subject: x\r\n\r\n")
        .unwrap();
    server.deliver(&[HELLO, &[b'x'; 1_000]].concat());
    server.sandbox.expunge(USER, "INBOX", 1).unwrap();
    server
        .sandbox
        .append(USER, "INBOX", &["\\Seen"], now(), HELLO)
        .unwrap();
    let mut client = server.in_inbox().await;
    for (keys, found) in [
        ("ALL", " 2 3 4"),
        ("UID 3:*", " 3 4"),
        ("1:2", " 2 3"),
        ("SEEN", " 4"),
        ("UNSEEN UNFLAGGED", " 3"),
        ("OR SEEN KEYWORD $Work", " 2 4"),
        ("NOT (OR SEEN FLAGGED)", " 3"),
        ("UNKEYWORD $Work UNDELETED UNDRAFT UNANSWERED", " 3 4"),
        ("LARGER 500", " 3"),
        ("SMALLER 20", " 2"),
        ("ON 9-Oct-2025", " 3 4"),
        ("BEFORE 1-Oct-2025", " 2"),
        ("SINCE 1-Oct-2025 OLD", " 3 4"),
        ("NEW", ""),
        ("HEADER Message-ID 1@B.example", " 3 4"),
        ("CHARSET UTF-8 HEADER subject \"x\"", " 2"),
    ] {
        let lines = client.ok(&format!("UID SEARCH {keys}")).await;
        assert_eq!(lines[0], format!("* SEARCH{found}"), "{keys}");
    }
    assert_eq!(client.ok("SEARCH SEEN").await[0], "* SEARCH 3");
    for unknown in ["TEXT hello", "FROM a"] {
        assert!(
            client
                .refused(&format!("SEARCH {unknown}"))
                .await
                .starts_with("BAD")
        );
    }
    assert!(
        client
            .refused("SEARCH CHARSET KOI8-R ALL")
            .await
            .starts_with("NO [BADCHARSET")
    );
}

#[tokio::test]
async fn idle_tells_of_mail_flags_and_expunges() {
    let server = Server::start(None).await;
    server.deliver(HELLO);
    let mut idling = server.in_inbox().await;
    // What happened before IDLE is told at its start.
    server.deliver(HELLO);
    idling.send(b"i IDLE\r\n").await;
    assert_eq!(idling.line().await, "+ idling");
    assert_eq!(idling.line().await, "* 2 EXISTS");

    server.deliver(HELLO);
    assert_eq!(idling.line().await, "* 3 EXISTS");
    server
        .sandbox
        .set_flags(USER, "INBOX", 2, &["\\Flagged"])
        .unwrap();
    assert_eq!(idling.line().await, "* 2 FETCH (UID 2 FLAGS (\\Flagged))");
    server.sandbox.expunge(USER, "INBOX", 1).unwrap();
    assert_eq!(idling.line().await, "* 1 EXPUNGE");

    let mut other = server.in_inbox().await;
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(idling.line().await, "* 2 FETCH (UID 3 FLAGS (\\Deleted))");
    other.ok("EXPUNGE").await;
    assert_eq!(idling.line().await, "* 2 EXPUNGE");
    other.ok("APPEND INBOX {2+}\r\n\r\n").await;
    assert_eq!(idling.line().await, "* 2 EXISTS");
    idling.send(b"DONE\r\n").await;
    assert_eq!(idling.line().await, "i OK IDLE done");
    assert_eq!(idling.ok("NOOP").await, ["NOOP done"]);
}

#[tokio::test]
async fn condstore_tells_only_what_changed() {
    let server = Server::start(None).await;
    for _ in 0..3 {
        server.deliver(HELLO);
    }
    let mut client = server.in_inbox().await;
    // Modification sequences 2, 3 and 4 came with the messages.
    let lines = client.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 3)").await;
    assert_eq!(lines, ["* 3 FETCH (UID 3 FLAGS () MODSEQ (4))", "FETCH done"]);
    server.sandbox.set_flags(USER, "INBOX", 1, &["\\Seen"]).unwrap();
    server.sandbox.set_flags(USER, "INBOX", 1, &["\\Seen"]).unwrap();
    assert_eq!(
        client.ok("NOOP").await[0],
        "* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (5))"
    );
    assert_eq!(
        client.ok("STATUS INBOX (HIGHESTMODSEQ)").await[0],
        "* STATUS INBOX (HIGHESTMODSEQ 5)"
    );
    let lines = client
        .ok("STORE 1:2 (UNCHANGEDSINCE 4) +FLAGS.SILENT (\\Flagged)")
        .await;
    assert_eq!(lines[0], "* 2 FETCH (UID 2 MODSEQ (6))");
    assert!(lines[1].starts_with("[MODIFIED 1]"), "{lines:?}");
    let lines = client.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 5)").await;
    assert_eq!(lines[0], "* 2 FETCH (UID 2 FLAGS (\\Flagged) MODSEQ (6))");
    assert_eq!(lines.len(), 2);
    assert_eq!(
        client.ok("UID SEARCH MODSEQ 5").await[0],
        "* SEARCH 1 2 (MODSEQ 6)"
    );
    assert_eq!(
        client.ok("UID SEARCH NOT MODSEQ 7 UNSEEN").await[0],
        "* SEARCH 2 3 (MODSEQ 6)"
    );
    assert_eq!(client.ok("UID SEARCH MODSEQ 7").await[0], "* SEARCH");
    assert!(
        client
            .refused("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)")
            .await
            .starts_with("BAD")
    );
    assert!(
        client
            .refused("SELECT INBOX (QRESYNC (1 1))")
            .await
            .starts_with("BAD")
    );
}

#[tokio::test]
async fn another_uid_validity_ends_the_selection() {
    let server = Server::start(None).await;
    server.deliver(HELLO);
    server.deliver(HELLO);
    server.sandbox.expunge(USER, "INBOX", 1).unwrap();
    let mut client = server.in_inbox().await;
    client.send(b"i IDLE\r\n").await;
    assert_eq!(client.line().await, "+ idling");
    let before = now().timestamp();
    let new = server.sandbox.bump_uid_validity(USER, "INBOX").unwrap();
    assert!(i64::from(new) > before);
    assert_eq!(client.rest().await, "* BYE The selected folder is gone\r\n");
    let mut client = server.in_inbox().await;
    assert_eq!(client.ok("FETCH 1:* UID").await[0], "* 1 FETCH (UID 1)");
}

#[tokio::test]
async fn a_renamed_folder_stays_selected() {
    let server = Server::start(None).await;
    server.sandbox.create_folder(USER, "Übersicht").unwrap();
    server
        .sandbox
        .append(USER, "Übersicht", &[], now(), HELLO)
        .unwrap();
    let mut client = server.in_inbox().await;
    client.ok("SELECT &ANw-bersicht").await;
    server
        .sandbox
        .rename_folder(USER, "Übersicht", "Projekte/Neu")
        .unwrap();
    assert_eq!(client.ok("FETCH 1 UID").await[0], "* 1 FETCH (UID 1)");
    server.sandbox.delete_folder(USER, "Projekte/Neu").unwrap();
    client.send(b"n NOOP\r\n").await;
    assert_eq!(client.rest().await, "* BYE The selected folder is gone\r\n");
}

#[test]
fn the_handle_refuses_what_cannot_be() {
    let sandbox = sandbox();
    let append = |user, folder, flags: &[&str], raw: &[u8]| sandbox.append(user, folder, flags, now(), raw);
    assert_eq!(append("x", "INBOX", &[], b"a"), Err(Error::NoAccount));
    assert_eq!(append(USER, "x", &[], b"a"), Err(Error::NoFolder));
    assert_eq!(append(USER, "INBOX", &["(x"], b"a"), Err(Error::Flag));
    assert_eq!(append(USER, "INBOX", &[], b"\0"), Err(Error::NulByte));
    assert_eq!(append(USER, "inbox", &["\\seen"], b"a"), Ok(1));
    assert_eq!(sandbox.expunge(USER, "INBOX", 2), Err(Error::NoMessage));
    assert_eq!(sandbox.set_flags(USER, "INBOX", 0, &[]), Err(Error::NoMessage));
    assert_eq!(sandbox.delete_folder(USER, "inbox"), Err(Error::FolderInUse));
    assert_eq!(format!("{sandbox:?}"), "Sandbox");
}
