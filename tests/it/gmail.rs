//! Gmail's way, on the sandbox server with X-GM-EXT-1: All Mail is read once, and labels say what lies in which folder.

#[path = "gmail/site.rs"]
pub(crate) mod site;

use std::collections::BTreeSet;

use self::site::{ALL, BELA, GMAIL, SIZE, SPAM, Site, TRASH, USER};
use crate::support::gateway::{Backend, both, eventually};

mod on {
    use super::both;
    both!(
        gmail_is_read_once_by_all_mail_and_labels_say_what_lies_where,
        gmail_labels_that_come_and_go_are_followed_without_a_body_fetched,
        gmail_message_moved_to_trash_and_back_is_the_same_and_never_missing,
        gmail_hiding_and_showing_all_mail_loses_and_duplicates_nothing,
        gmail_with_a_new_uidvalidity_fetches_no_body_again,
    );
}

const SENT: &str = "[Gmail]/Sent Mail";
/// Beside [`SIZE`], another label with a name beyond ASCII.
const JAPANESE: &str = "日本語";

/// Letters 0 to 5 in INBOX, 6 sent, 7 a draft, 8 and 9 archived, 10 spam, 11 in the trash; 0 and 1 have labels.
async fn populated(backend: Backend) -> Site {
    let site = Site::start(backend, GMAIL).await;
    for number in 0..6 {
        site.deliver("INBOX", number, BELA);
    }
    // Not the mailbox's own address, so that only the folder tells that it was sent.
    site.deliver(SENT, 6, "Anna's alias <alias@example.org>");
    site.deliver("[Gmail]/Drafts", 7, "Anna's alias <alias@example.org>");
    site.deliver(ALL, 8, BELA);
    site.deliver(ALL, 9, BELA);
    site.deliver(SPAM, 10, BELA);
    site.deliver(TRASH, 11, BELA);
    let label = |uid, labels: &[&str]| site.sandbox.label(USER, "INBOX", uid, labels, &[]).unwrap();
    label(1, &[SIZE, JAPANESE, "\\Important"]);
    label(2, &[JAPANESE, "\\Starred"]);
    site
}

async fn gmail_is_read_once_by_all_mail_and_labels_say_what_lies_where(backend: Backend) {
    let mut site = populated(backend).await;
    // A name in the account's language: it is known by its special use.
    let german = "[Gmail]/Alle Nachrichten";
    site.sandbox.rename_folder(USER, ALL, german).unwrap();
    assert_eq!(site.connect().await, 12);
    assert_eq!(site.sandbox.bodies_sent(), 12, "every body is fetched once");
    site.counts_agree().await;
    site.placed(
        "Letter 0",
        &["INBOX", german, SIZE, JAPANESE, "[Gmail]/Important"],
    )
    .await;
    site.placed("Letter 1", &["INBOX", german, JAPANESE, "[Gmail]/Starred"])
        .await;
    site.placed("Letter 6", &[german, SENT]).await;
    site.placed("Letter 8", &[german]).await;
    site.placed("Letter 10", &[SPAM]).await;
    site.placed("Letter 11", &[TRASH]).await;
    for (subject, incoming) in [
        ("Letter 0", true),
        ("Letter 6", false),
        ("Letter 7", false),
        ("Letter 8", true),
    ] {
        assert_eq!(
            site.by_subject(subject).await.unwrap()["incoming"],
            incoming,
            "{subject}"
        );
    }
    let folders = site.folders().await;
    assert_eq!(folders["[Gmail]/Important"]["role"], "important");
    assert_eq!(folders[german]["role"], "all");
    for (name, folder) in &folders {
        assert_eq!(folder["backfilled"], true, "{name}");
        let opened = [german, SPAM, TRASH].contains(&name.as_str());
        assert_eq!(folder["uid_validity"].is_null(), !opened, "{name}");
    }
    let inbox = folders["INBOX"]["id"].as_str().unwrap();
    let listed = site.get(&format!("/v1/messages?folder_id={inbox}")).await;
    assert_eq!(
        listed["data"].as_array().unwrap().len(),
        6,
        "messages are listed by a label's folder"
    );

    // The language changes: the folder stays the one that it was, and nothing is read again.
    site.sandbox.rename_folder(USER, german, ALL).unwrap();
    let before = site.ids().await;
    site.reconnect().await;
    assert_eq!(site.folders().await[ALL]["id"], folders[german]["id"]);
    assert_eq!(site.ids().await, before);
    assert_eq!(site.sandbox.bodies_sent(), 12);
    site.counts_agree().await;
    site.end().await;
}

async fn gmail_labels_that_come_and_go_are_followed_without_a_body_fetched(backend: Backend) {
    let mut site = populated(backend).await;
    assert_eq!(site.connect().await, 12);
    let before = site.ids().await;
    let label = |add: &[&str], remove: &[&str]| site.sandbox.label(USER, "INBOX", 3, add, remove).unwrap();
    // A label that exists, one that no folder stood for yet, and one of the server's.
    label(&[JAPANESE], &[]);
    site.placed("Letter 2", &["INBOX", ALL, JAPANESE]).await;
    label(&["Neu & été", "\\Starred"], &[]);
    site.placed(
        "Letter 2",
        &["INBOX", ALL, JAPANESE, "Neu & été", "[Gmail]/Starred"],
    )
    .await;
    let flagged = site.by_subject("Letter 2").await.unwrap();
    assert_eq!(flagged["flags"], serde_json::json!(["\\Flagged"]));
    label(&[], &[JAPANESE, "\\Starred"]);
    site.placed("Letter 2", &["INBOX", ALL, "Neu & été"]).await;
    // Read, then archived.
    site.sandbox.set_flags(USER, "INBOX", 4, &["\\Seen"]).unwrap();
    let read = eventually(async || {
        let message = site.by_subject("Letter 3").await.unwrap();
        (message["unread"] == false).then_some(())
    });
    assert!(read.await.is_some());
    site.sandbox.expunge(USER, "INBOX", 4).unwrap();
    site.placed("Letter 3", &[ALL]).await;
    site.counts_agree().await;
    assert_eq!(site.ids().await, before);
    assert_eq!(site.sandbox.bodies_sent(), 12, "no body is fetched for a label");
    // New mail, and mail that is deleted for good.
    site.deliver("INBOX", 20, BELA);
    site.placed("Letter 20", &["INBOX", ALL]).await;
    let uid = site.sandbox.uid_in(USER, "INBOX", 5, ALL).unwrap().unwrap();
    site.sandbox.expunge(USER, ALL, uid).unwrap();
    let gone = eventually(async || site.by_subject("Letter 4").await.is_none().then_some(()));
    assert!(gone.await.is_some());
    site.counts_agree().await;
    assert_eq!(site.sandbox.bodies_sent(), 13);
    // A label is renamed.
    site.sandbox.rename_folder(USER, JAPANESE, "日本").unwrap();
    site.reconnect().await;
    site.reconnect().await;
    site.placed("Letter 1", &["INBOX", ALL, "日本", "[Gmail]/Starred"])
        .await;
    site.counts_agree().await;
    assert_eq!(site.sandbox.bodies_sent(), 13);
    site.end().await;
}

async fn gmail_message_moved_to_trash_and_back_is_the_same_and_never_missing(backend: Backend) {
    let mut site = populated(backend).await;
    site.connect().await;
    let before = site.ids().await;
    let id = site.by_subject("Letter 0").await.unwrap()["id"].clone();
    let path = format!("/v1/messages/{}", id.as_str().unwrap());
    let mut uid = 1;
    for (from, to, places) in [
        ("INBOX", TRASH, [TRASH].as_slice()),
        (
            TRASH,
            "INBOX",
            ["INBOX", ALL, SIZE, JAPANESE, "[Gmail]/Important"].as_slice(),
        ),
        ("INBOX", SPAM, [SPAM].as_slice()),
        (
            SPAM,
            "INBOX",
            ["INBOX", ALL, SIZE, JAPANESE, "[Gmail]/Important"].as_slice(),
        ),
    ] {
        uid = site.sandbox.move_message(USER, from, uid, to).unwrap();
        let wanted: BTreeSet<String> = places.iter().map(ToString::to_string).collect();
        let moved = eventually(async || {
            let (status, message) = site.gateway.call("GET", &site.tenant.key, &path, None).await;
            assert_eq!(status, 200, "on its way from {from} to {to}: {message}");
            (site.places("Letter 0").await == wanted).then_some(())
        });
        assert!(moved.await.is_some(), "from {from} to {to}");
        site.counts_agree().await;
    }
    assert_eq!(site.ids().await, before);
    assert_eq!(site.sandbox.bodies_sent(), 12);
    site.end().await;
}

async fn gmail_hiding_and_showing_all_mail_loses_and_duplicates_nothing(backend: Backend) {
    let mut site = populated(backend).await;
    site.connect().await;
    let before = site.ids().await;
    let hide = |hidden| site.sandbox.hide_folder(USER, ALL, hidden).unwrap();
    hide(true);
    // More often than a folder may be missing.
    for _ in 0..3 {
        site.reconnect().await;
        assert_eq!(site.ids().await, before);
    }
    site.counts_agree().await;
    assert!(
        !site.folders().await["INBOX"]["uid_validity"].is_null(),
        "INBOX is read by itself"
    );
    site.placed("Letter 0", &["INBOX", ALL, SIZE, JAPANESE, "[Gmail]/Important"])
        .await;
    site.placed("Letter 8", &[ALL]).await;
    // What happens meanwhile: a label goes, one message to the trash, one from it; and a new one.
    site.sandbox.label(USER, "INBOX", 2, &[], &[JAPANESE]).unwrap();
    site.sandbox.move_message(USER, "INBOX", 3, TRASH).unwrap();
    site.sandbox.move_message(USER, TRASH, 1, "INBOX").unwrap();
    site.deliver("INBOX", 20, BELA);
    // A connection that is closed while it fetches would fetch again.
    site.placed("Letter 20", &["INBOX"]).await;
    site.reconnect().await;
    site.placed("Letter 1", &["INBOX", ALL, "[Gmail]/Starred"]).await;
    site.placed("Letter 2", &[TRASH]).await;
    site.placed("Letter 11", &["INBOX"]).await;
    assert_eq!(site.messages().await.len(), 13);
    for _ in 0..2 {
        hide(false);
        site.reconnect().await;
        site.counts_agree().await;
        site.placed("Letter 1", &["INBOX", ALL, "[Gmail]/Starred"]).await;
        site.placed("Letter 2", &[TRASH]).await;
        site.placed("Letter 11", &["INBOX", ALL]).await;
        assert!(site.folders().await["INBOX"]["uid_validity"].is_null());
        // And once more, each way known only for a moment.
        hide(true);
        site.reconnect().await;
    }
    hide(false);
    site.reconnect().await;
    site.counts_agree().await;
    let after = site.ids().await;
    assert_eq!(after.len(), 13);
    assert!(
        before.iter().all(|(id, at)| after.get(id) == Some(at)),
        "nothing was stored anew"
    );
    assert_eq!(site.sandbox.bodies_sent(), 13, "every body was fetched once");
    site.end().await;
}

async fn gmail_with_a_new_uidvalidity_fetches_no_body_again(backend: Backend) {
    let mut site = populated(backend).await;
    site.connect().await;
    let before = site.ids().await;
    for folder in [ALL, TRASH, "INBOX"] {
        site.sandbox.bump_uid_validity(USER, folder).unwrap();
        site.reconnect().await;
        assert_eq!(site.ids().await, before, "{folder}");
        site.counts_agree().await;
    }
    site.placed("Letter 0", &["INBOX", ALL, SIZE, JAPANESE, "[Gmail]/Important"])
        .await;
    assert_eq!(site.sandbox.bodies_sent(), 12);
    let uid = site.sandbox.uids(USER, "INBOX").unwrap()[0];
    site.sandbox.label(USER, "INBOX", uid, &[], &[SIZE]).unwrap();
    site.placed("Letter 0", &["INBOX", ALL, JAPANESE, "[Gmail]/Important"])
        .await;
    site.counts_agree().await;
    site.end().await;
}
