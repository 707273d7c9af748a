//! What the API tells of a mailbox, held against what is on the server: every message once, its bytes, and every count.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::post::Placed;
use crate::support::api::Api;

/// How many raw messages are read at once.
const AT_ONCE: usize = 8;

/// The log tells of the mailbox: its numbers are 1, 2, 3 and so on; a message was received once at most, and first; what came
/// after the first backfill was announced; and what is there, and what is gone, is what was told last. Answers how many
/// messages were received.
pub(crate) async fn announced(api: &Api, mailbox: &str) -> usize {
    let mut events = api.all("/v1/events").await;
    for pair in events.windows(2) {
        let place = |event: &Value| event["cursor"].as_str().unwrap().parse::<i64>().unwrap();
        assert_eq!(place(&pair[0]) + 1, place(&pair[1]), "{pair:#?}");
    }
    events.retain(|event| event["data"]["mailbox"]["id"] == mailbox);
    let mut of_message: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut completed = None;
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence"], number + 1, "{event:#}");
        let kind = event["type"].as_str().unwrap();
        if let Some(message) = event["data"]["message"]["id"].as_str() {
            of_message.entry(message).or_default().push(kind);
        }
        if kind == "mailbox.backfill_completed" {
            assert!(completed.is_none(), "the first backfill ended twice");
            completed = Some(time(&event["timestamp"]));
        }
    }
    let completed = completed.expect("the first backfill ended");
    let mut received = 0;
    for (message, kinds) in &of_message {
        let times = kinds.iter().filter(|kind| **kind == "message.received").count();
        assert!(times <= 1, "{message} was received {times} times: {kinds:?}");
        assert!(
            times == 0 || kinds[0] == "message.received",
            "{message}: {kinds:?}"
        );
        received += times;
    }
    let mut messages = api.all("/v1/messages").await;
    messages.retain(|message| message["mailbox_id"] == mailbox);
    for message in messages {
        let told = of_message.remove(message["id"].as_str().unwrap());
        let last = told.and_then(|kinds| kinds.last().copied());
        assert_ne!(last, Some("message.deleted"), "{message:#}");
        let later = time(&message["created_at"]) > completed;
        assert!(!later || last.is_some(), "not announced: {message:#}");
    }
    for (message, kinds) in of_message {
        assert_eq!(
            kinds.last(),
            Some(&"message.deleted"),
            "{message} is gone: {kinds:?}"
        );
    }
    received
}

fn time(value: &Value) -> chrono::DateTime<chrono::Utc> {
    value.as_str().unwrap().parse().unwrap()
}

/// Waits until the mailbox is connected and its counts are those of the server.
pub(crate) async fn settled(api: &Api, mailbox: &str, placed: &Placed, patience: Duration) {
    let expected = counts(placed);
    let deadline = Instant::now() + patience;
    loop {
        let found = found_counts(api, mailbox).await;
        if found.as_ref() == Ok(&expected) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "not {expected:?}, but {found:?} after {patience:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How many messages there are, and how many places each folder has.
type Counts = (usize, BTreeMap<String, usize>);

fn counts(placed: &Placed) -> Counts {
    let mut folders = BTreeMap::new();
    for (folder, _) in placed.keys() {
        *folders.entry(folder.clone()).or_default() += 1;
    }
    (placed.values().collect::<BTreeSet<_>>().len(), folders)
}

async fn found_counts(api: &Api, mailbox: &str) -> Result<Counts, String> {
    let found = api.get(&format!("/v1/mailboxes/{mailbox}")).await;
    if found["state"] != "connected" {
        return Err(format!("{}: {}", found["state"], found["error"]));
    }
    let number = |value: &Value| usize::try_from(value.as_i64().unwrap()).unwrap();
    let folders = api.get(&format!("/v1/mailboxes/{mailbox}/folders")).await;
    let folders = folders["data"].as_array().unwrap().iter();
    let folders = folders.map(|folder| {
        (
            folder["name"].as_str().unwrap().to_owned(),
            number(&folder["message_count"]),
        )
    });
    Ok((
        number(&found["message_count"]),
        folders.filter(|(_, count)| *count > 0).collect(),
    ))
}

/// Every message on the server is stored exactly once, with its bytes and in its folders, and threads count theirs.
pub(crate) async fn holds(api: &Api, mailbox: &str, placed: &Placed) {
    let mut expected: HashMap<[u8; 32], BTreeSet<&str>> = HashMap::new();
    for ((folder, _), sha256) in placed {
        expected.entry(*sha256).or_default().insert(folder);
    }
    let folders = api.get(&format!("/v1/mailboxes/{mailbox}/folders")).await;
    let names: HashMap<&str, &str> = folders["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|folder| (folder["id"].as_str().unwrap(), folder["name"].as_str().unwrap()))
        .collect();
    let messages = api.all("/v1/messages").await;
    let raws: Vec<[u8; 32]> = stream::iter(&messages)
        .map(|message| sha256_of_raw(api, message["id"].as_str().unwrap()))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut threads: BTreeMap<&str, i64> = BTreeMap::new();
    for (message, sha256) in messages.iter().zip(raws) {
        let lies_in = expected
            .remove(&sha256)
            .unwrap_or_else(|| panic!("twice, or not on the server: {message:#}"));
        let told: BTreeSet<&str> = message["folders"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| names[id.as_str().unwrap()])
            .collect();
        assert_eq!(told, lies_in, "{message:#}");
        *threads.entry(message["thread_id"].as_str().unwrap()).or_default() += 1;
    }
    assert!(expected.is_empty(), "{} messages are missing", expected.len());
    let listed = api.all("/v1/threads").await;
    let listed: BTreeMap<&str, i64> = listed
        .iter()
        .map(|thread| {
            (
                thread["id"].as_str().unwrap(),
                thread["message_count"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(listed, threads, "the threads' counts");
}

async fn sha256_of_raw(api: &Api, id: &str) -> [u8; 32] {
    let url = format!("{}/v1/messages/{id}/raw", api.url);
    let answer = api
        .http
        .get(url)
        .header("x-api-key", &api.key)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "raw of {id}");
    Sha256::digest(answer.bytes().await.unwrap()).into()
}
