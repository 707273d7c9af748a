//! On a server with labels a message goes from folder to folder by them, and stays where it lies.

use serde_json::{Value, json};

use crate::{
    gmail::site::{ALL, BELA, GMAIL, SIZE, SPAM, Site, TRASH, USER},
    support::gateway::{Backend, both},
};

mod on {
    use super::both;
    both!(
        gmail_messages_go_to_folders_by_labels_and_are_archived_out_of_inbox,
        gmail_messages_go_to_the_trash_and_back,
        gmail_messages_out_of_the_trash_show_where_they_lie_at_once,
    );
}

const STARRED: &str = "[Gmail]/Starred";
/// A name that is no atom.
const QUOTED: &str = "Muy Importante";

/// Three letters in INBOX; the first has two labels and a star.
async fn populated(backend: Backend) -> Site {
    let mut site = Site::start(backend, GMAIL).await;
    for number in 0..3 {
        site.deliver("INBOX", number, BELA);
    }
    let labels = [SIZE, QUOTED, "\\Starred"];
    site.sandbox.label(USER, "INBOX", 1, &labels, &[]).unwrap();
    assert_eq!(site.connect().await, 3);
    site.placed("Letter 0", &["INBOX", ALL, SIZE, QUOTED, STARRED])
        .await;
    site
}

/// Changes a message; the names of the folders that the answer says it lies in, sorted.
async fn change(site: &Site, subject: &str, body: Value) -> (Value, Vec<String>) {
    let id = site.by_subject(subject).await.unwrap()["id"].clone();
    let path = format!("/v1/messages/{}", id.as_str().unwrap());
    let (status, answer) = site
        .gateway
        .call("PATCH", &site.tenant.key, &path, Some(body))
        .await;
    assert_eq!(status, 200, "{answer:#}");
    let folders = site.folders().await;
    let ids = answer["folders"].as_array().unwrap();
    let named = folders.iter().filter(|(_, folder)| ids.contains(&folder["id"]));
    let names = named.map(|(name, _)| name.clone()).collect();
    (answer, names)
}

async fn shift(site: &Site, subject: &str, to: &str) -> Vec<String> {
    let target = site.folders().await[to]["id"].clone();
    change(site, subject, json!({"folder_id": target})).await.1
}

fn sorted(names: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    names
}

async fn gmail_messages_go_to_folders_by_labels_and_are_archived_out_of_inbox(backend: Backend) {
    let site = populated(backend).await;
    let before = site.ids().await;
    let uid = site.sandbox.uid_in(USER, "INBOX", 1, ALL).unwrap();
    // Out of INBOX and the other label; a star is no place.
    let lies = shift(&site, "Letter 0", SIZE).await;
    assert_eq!(lies, sorted(&[ALL, SIZE, STARRED]), "shown at once");
    site.counts_agree().await;
    assert!(!site.sandbox.uids(USER, "INBOX").unwrap().contains(&1));
    let lies = shift(&site, "Letter 0", QUOTED).await;
    assert_eq!(lies, sorted(&[ALL, QUOTED, STARRED]));
    // Archived is what has left INBOX: the label stays.
    let lies = shift(&site, "Letter 0", "INBOX").await;
    assert_eq!(lies, sorted(&["INBOX", ALL, STARRED]));
    site.sandbox.label(USER, "INBOX", 2, &[SIZE], &[]).unwrap();
    site.placed("Letter 1", &["INBOX", ALL, SIZE]).await;
    let lies = shift(&site, "Letter 1", ALL).await;
    assert_eq!(lies, sorted(&[ALL, SIZE]));
    let lies = shift(&site, "Letter 1", ALL).await;
    assert_eq!(lies, sorted(&[ALL, SIZE]), "and once more is nothing");
    // A flag that is a label too, and both in one change.
    let (answer, lies) = change(&site, "Letter 2", json!({"add_flags": ["\\Flagged"]})).await;
    assert_eq!(answer["flags"], json!(["\\Flagged"]));
    assert_eq!(lies, sorted(&["INBOX", ALL, STARRED]));
    let target = site.folders().await[SIZE]["id"].clone();
    let body = json!({"unread": false, "remove_flags": ["\\Flagged"], "folder_id": target});
    let (answer, lies) = change(&site, "Letter 2", body).await;
    assert_eq!((&answer["unread"], lies), (&json!(false), sorted(&[ALL, SIZE])));
    let lies = shift(&site, "Letter 2", STARRED).await;
    assert_eq!(lies, sorted(&[ALL, SIZE, STARRED]));

    site.counts_agree().await;
    site.reconnect().await;
    site.counts_agree().await;
    site.placed("Letter 0", &["INBOX", ALL, STARRED]).await;
    site.placed("Letter 1", &[ALL, SIZE]).await;
    site.placed("Letter 2", &[ALL, SIZE, STARRED]).await;
    assert_eq!(site.ids().await, before);
    assert_eq!(
        site.sandbox.uid_in(USER, "INBOX", 4, ALL).unwrap(),
        uid,
        "it was never moved"
    );
    assert_eq!(site.sandbox.bodies_sent(), 3, "no body is fetched again");
    site.end().await;
}

async fn gmail_messages_go_to_the_trash_and_back(backend: Backend) {
    let site = populated(backend).await;
    let before = site.ids().await;
    let id = site.by_subject("Letter 0").await.unwrap()["id"].clone();
    let path = format!("/v1/messages/{}", id.as_str().unwrap());
    let (status, answer) = site.gateway.call("DELETE", &site.tenant.key, &path, None).await;
    assert_eq!(status, 204, "{answer}");
    assert_eq!(site.places("Letter 0").await, [TRASH.to_owned()].into());
    site.counts_agree().await;
    shift(&site, "Letter 0", "INBOX").await;
    site.reconnect().await;
    site.placed("Letter 0", &["INBOX", ALL, SIZE, QUOTED, STARRED])
        .await;
    site.counts_agree().await;
    assert_eq!(site.ids().await, before);
    assert_eq!(site.sandbox.bodies_sent(), 3);
    // For good: through the trash, because Gmail only archives what is expunged elsewhere.
    let path = format!("{path}?permanent=true");
    let (status, answer) = site.gateway.call("DELETE", &site.tenant.key, &path, None).await;
    assert_eq!(status, 204, "{answer}");
    assert!(site.by_subject("Letter 0").await.is_none());
    site.counts_agree().await;
    site.reconnect().await;
    assert_eq!(site.messages().await.len(), 2);
    site.end().await;
}

async fn gmail_messages_out_of_the_trash_show_where_they_lie_at_once(backend: Backend) {
    let site = populated(backend).await;
    let before = site.ids().await;
    for away in [TRASH, SPAM] {
        for (to, lies) in [
            (SIZE, [ALL, SIZE, QUOTED, STARRED].as_slice()),
            // It is not in INBOX, which it left for the trash.
            (ALL, &[ALL, SIZE, QUOTED, STARRED]),
            ("INBOX", &["INBOX", ALL, SIZE, QUOTED, STARRED]),
        ] {
            assert_eq!(shift(&site, "Letter 0", away).await, [away]);
            assert_eq!(
                shift(&site, "Letter 0", to).await,
                sorted(lies),
                "from {away} to {to}"
            );
            assert_eq!(site.places("Letter 0").await, sorted(lies).into_iter().collect());
            let folders = site.folders().await;
            for (name, count) in [(away, 0), (ALL, 3), (SIZE, 1)] {
                assert_eq!(
                    folders[name]["message_count"], count,
                    "{name}, from {away} to {to}"
                );
            }
            let path = format!("/v1/messages?folder_id={}", folders[to]["id"].as_str().unwrap());
            let listed = site.get(&path).await;
            let subjects = listed["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|message| &message["subject"]);
            assert!(subjects.clone().any(|subject| subject == "Letter 0"), "{to}");
            site.counts_agree().await;
        }
    }
    site.reconnect().await;
    site.counts_agree().await;
    site.placed("Letter 0", &["INBOX", ALL, SIZE, QUOTED, STARRED])
        .await;
    assert_eq!(site.ids().await, before);
    assert_eq!(site.sandbox.bodies_sent(), 3);
    site.end().await;
}
