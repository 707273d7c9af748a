//! Messages, threads and attachments of the unified API, compared with what is found by looking at every message.

use std::collections::BTreeMap;

use bytes::Bytes;
use postroom::model::search::words;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    sandbox::{connected, login, serve},
    support::gateway::{Backend, Gateway, both, eventually},
    world::{id, send},
};

mod on {
    use super::both;
    both!(
        every_filter_finds_what_a_look_at_all_finds,
        pages_show_every_row_once_and_in_order,
        content_is_the_messages_own_bytes,
    );
}

/// A key that sees the synced story, and its whole messages, newest first.
async fn story(gateway: &Gateway, port: u16) -> (String, Vec<Value>) {
    let tenant = gateway.tenant("Acme").await;
    let mailbox = gateway.connect(&tenant, login(port)).await.id;
    gateway.wait_for(&tenant, mailbox, "connected", connected).await;
    let mut messages = Vec::new();
    for row in gateway.all(&tenant.key, "/v1/messages").await {
        assert!(
            row.get("text").is_none() && row.get("html").is_none(),
            "lists leave out the body"
        );
        let path = format!("/v1/messages/{}", id(&row["id"]));
        let mut whole = gateway.get(&tenant.key, &path).await;
        let fields = whole.as_object().unwrap();
        let mut without = fields.clone();
        without.retain(|name, _| name != "text" && name != "html");
        assert_eq!(Value::from(without), row, "the list shows the same");
        whole["all_words"] = format!(" {} ", words_of(&whole)).into();
        messages.push(whole);
    }
    assert_eq!(messages.len(), 92);
    (tenant.key, messages)
}

/// The words by which a message is found.
fn words_of(message: &Value) -> String {
    let mut parts = vec![text(&message["subject"]), text(&message["text"])];
    for kind in ["from", "to", "cc", "bcc", "reply_to"] {
        for one in message[kind].as_array().unwrap() {
            parts.push(text(&one["name"]));
            parts.push(text(&one["address"]));
        }
    }
    // A word apart, which is no word: a phrase does not go from one part into the next.
    parts
        .iter()
        .map(|part| words(part))
        .collect::<Vec<_>>()
        .join(" | ")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn names(list: &Value, address: &str) -> bool {
    let list = list.as_array().unwrap();
    list.iter()
        .any(|one| text(&one["address"]).eq_ignore_ascii_case(address))
}

type Naive = Box<dyn Fn(&Value) -> bool>;

/// Filters as a query writes them, each with what it means.
fn filters(messages: &[Value]) -> Vec<(String, Naive)> {
    let mut all: Vec<(String, Naive)> = Vec::new();
    let mut add = |query: String, naive: Naive| all.push((query, naive));
    for (name, fits) in [
        ("unread", (|one| one["unread"] == true) as fn(&Value) -> bool),
        ("incoming", |one| one["incoming"] == true),
        ("has_attachments", |one| {
            one["attachments"] != Value::Array(Vec::new())
        }),
    ] {
        add(format!("{name}=true"), Box::new(fits));
        add(format!("{name}=false"), Box::new(move |one| !fits(one)));
    }
    for message in messages.iter().step_by(9) {
        for (name, field) in [("mailbox_id", "mailbox_id"), ("thread_id", "thread_id")] {
            let wanted = message[field].clone();
            add(
                format!("{name}={}", text(&wanted)),
                Box::new(move |one| one[field] == wanted),
            );
        }
        let folder = message["folders"][0].clone();
        let has = move |one: &Value| one["folders"].as_array().unwrap().contains(&folder);
        add(
            format!("folder_id={}", text(&message["folders"][0])),
            Box::new(has),
        );
        let author = text(&message["from"][0]["address"]).to_owned();
        for spelled in [author.clone(), author.to_uppercase()] {
            let author = author.clone();
            add(
                format!("from={spelled}"),
                Box::new(move |one| names(&one["from"], &author)),
            );
        }
        for kind in ["to", "cc", "bcc"] {
            let Some(named) = message[kind][0]["address"].as_str() else {
                continue;
            };
            let named = named.to_owned();
            let to = move |one: &Value| ["to", "cc", "bcc"].iter().any(|kind| names(&one[*kind], &named));
            add(format!("to={}", text(&message[kind][0]["address"])), Box::new(to));
        }
        // Times of one form are ordered as their texts are.
        let at = text(&message["received_at"]).to_owned();
        let (after, before) = (at.clone(), at.clone());
        add(
            format!("received_after={at}"),
            Box::new(move |one| time(one) >= parsed(&after)),
        );
        add(
            format!("received_before={at}"),
            Box::new(move |one| time(one) < parsed(&before)),
        );
    }
    all
}

fn parsed(text: &str) -> chrono::DateTime<chrono::FixedOffset> {
    chrono::DateTime::parse_from_rfc3339(text).unwrap()
}

fn time(message: &Value) -> chrono::DateTime<chrono::FixedOffset> {
    parsed(text(&message["received_at"]))
}

fn ids<'a>(rows: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    rows.into_iter().map(|row| text(&row["id"]).to_owned()).collect()
}

async fn every_filter_finds_what_a_look_at_all_finds(backend: Backend) {
    let (_sandbox, port, _stop) = serve().await;
    let gateway = Gateway::start(backend).await;
    let (key, messages) = story(&gateway, port).await;
    let filters = filters(&messages);
    let mut kinds: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (query, naive) in &filters {
        let expected = ids(messages.iter().filter(|one| naive(one)));
        let found = ids(&gateway.all(&key, &format!("/v1/messages?{query}")).await);
        assert_eq!(found, expected, "{query}");
        let seen = kinds.entry(query.split('=').next().unwrap()).or_default();
        *seen = (seen.0 + expected.len(), seen.1 + messages.len() - expected.len());
    }
    for (kind, (found, passed_over)) in &kinds {
        assert!(
            *found > 0 && (*passed_over > 0 || *kind == "mailbox_id"),
            "{kind} was tried in earnest"
        );
    }
    for pair in filters.windows(5).step_by(3) {
        let [(one, fits_one), .., (other, fits_other)] = pair else {
            panic!("five")
        };
        let (name, other_name) = (one.split('=').next(), other.split('=').next());
        if name == other_name {
            continue;
        }
        let expected = ids(messages
            .iter()
            .filter(|message| fits_one(message) && fits_other(message)));
        let found = ids(&gateway.all(&key, &format!("/v1/messages?{one}&{other}")).await);
        assert_eq!(found, expected, "{one}&{other}");
    }
    words_are_found(&gateway, &key, &messages).await;
    gateway.stop().await;
}

/// `q` and `subject`: words, phrases, beginnings, in any spelling; the index follows the sync.
async fn words_are_found(gateway: &Gateway, key: &str, messages: &[Value]) {
    let has = |message: &Value, part: &str| text(&message["all_words"]).contains(part);
    let subject_has =
        |message: &Value, part: &str| format!(" {} ", words(text(&message["subject"]))).contains(part);
    let first = words(text(&messages[10]["subject"]));
    let phrase: Vec<&str> = first.split(' ').take(2).collect();
    let phrase = phrase.join(" ");
    for (query, parts) in [
        ("contract".to_owned(), vec![" contract ".to_owned()]),
        (
            "CONTRACT avery".to_owned(),
            vec![" contract ".to_owned(), " avery ".to_owned()],
        ),
        ("contr*".to_owned(), vec![" contr".to_owned()]),
        (format!("\"{phrase}\""), vec![format!(" {phrase} ")]),
        (
            "nothingofthekind".to_owned(),
            vec![" nothingofthekind ".to_owned()],
        ),
        (
            "avery@sandbox.example".to_owned(),
            vec![" avery sandbox example ".to_owned()],
        ),
    ] {
        for (name, fits) in [
            ("q", &has as &dyn Fn(&Value, &str) -> bool),
            ("subject", &subject_has as &dyn Fn(&Value, &str) -> bool),
        ] {
            let expected = ids(messages
                .iter()
                .filter(|one| parts.iter().all(|part| fits(one, part))));
            let mut last = Vec::new();
            let found = eventually(async || {
                let url = url::Url::parse_with_params(
                    &format!("{}/v1/messages?limit=200", gateway.url),
                    [(name, &query)],
                );
                let answer = send(gateway.http.get(url.unwrap()).header("x-api-key", key)).await;
                last = ids(answer.json()["data"].as_array().unwrap());
                (last == expected).then_some(())
            });
            assert!(
                found.await.is_some(),
                "{name}={query}: {last:?}, not {expected:?}"
            );
        }
    }
    for wrong in ["q=", "q=%22%22", "subject=-"] {
        let answer = send(gateway.request("GET", key, &format!("/v1/messages?{wrong}"))).await;
        assert_eq!(answer.status, 422, "{wrong}: {answer:?}");
    }
}

async fn pages_show_every_row_once_and_in_order(backend: Backend) {
    let (_sandbox, port, _stop) = serve().await;
    let gateway = Gateway::start(backend).await;
    let (key, messages) = story(&gateway, port).await;
    let mut sorted = messages.clone();
    sorted.sort_by_key(|one| std::cmp::Reverse((time(one), text(&one["id"]).to_owned())));
    assert_eq!(ids(&sorted), ids(&messages), "by (received_at, id), newest first");
    let threads = gateway.all(&key, "/v1/threads").await;
    for (path, all) in [("/v1/messages", &messages), ("/v1/threads", &threads)] {
        for limit in [1, 7, 46, 92] {
            let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
            loop {
                let page = gateway.get(&key, &format!("{path}?limit={limit}{cursor}")).await;
                let data = page["data"].as_array().unwrap();
                assert!(
                    data.len() <= limit && (!data.is_empty() || pages == 0),
                    "{path} {limit}"
                );
                seen.extend(ids(data));
                pages += 1;
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(seen, ids(all), "{path} in pages of {limit}");
            assert_eq!(pages, all.len().div_ceil(limit), "{path}: no page is empty");
        }
        let page = gateway.get(&key, path).await;
        assert_eq!(
            page["data"].as_array().unwrap().len(),
            all.len().min(50),
            "50 when nothing is said"
        );
    }
    every_thread_has_its_messages(&gateway, &key, &threads, &messages).await;
    gateway.stop().await;
}

async fn every_thread_has_its_messages(gateway: &Gateway, key: &str, threads: &[Value], messages: &[Value]) {
    let newest: Vec<_> = threads
        .iter()
        .map(|one| parsed(text(&one["last_message_at"])))
        .collect();
    assert!(newest.is_sorted_by(|one, other| one >= other), "newest first");
    let mut count = 0;
    for thread in threads {
        assert!(thread.get("messages").is_none(), "lists leave out the messages");
        let whole = gateway
            .get(key, &format!("/v1/threads/{}", id(&thread["id"])))
            .await;
        let own = whole["messages"].as_array().unwrap();
        for name in [
            "id",
            "mailbox_id",
            "subject",
            "message_count",
            "participants",
            "last_message_at",
        ] {
            assert_eq!(whole[name], thread[name], "{name}");
        }
        let mut expected = ids(messages.iter().filter(|one| one["thread_id"] == thread["id"]));
        let mut found = ids(own);
        assert_eq!(
            text(&own.last().unwrap()["sent_at"]),
            text(&thread["last_message_at"])
        );
        assert!(
            own.is_sorted_by_key(|one| parsed(text(&one["sent_at"]))),
            "in time order"
        );
        assert_eq!(
            (thread["message_count"].as_u64(), own[0]["thread_count"].as_u64()),
            (Some(found.len() as u64), Some(found.len() as u64))
        );
        count += found.len();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
        for message in own {
            for one in message["from"].as_array().unwrap() {
                assert!(
                    names(&whole["participants"], text(&one["address"])),
                    "{one} takes part"
                );
            }
        }
    }
    assert_eq!(count, messages.len(), "every message is in one thread");
}

async fn content_is_the_messages_own_bytes(backend: Backend) {
    let (_sandbox, port, _stop) = serve().await;
    let gateway = Gateway::start(backend).await;
    let (key, messages) = story(&gateway, port).await;
    let mut attachments = 0;
    for message in &messages {
        let path = format!("/v1/messages/{}/raw", id(&message["id"]));
        let (status, _, raw) = fetch(&gateway, &key, &path, None).await;
        assert_eq!(
            (status, raw.len() as u64),
            (200, message["size"].as_u64().unwrap())
        );
        let (status, _, slice) = fetch(&gateway, &key, &path, Some(("range", "bytes=5-20"))).await;
        assert_eq!((status, slice), (206, raw.slice(5..21)));
        let parsed = mail_parser::MessageParser::default().parse(&raw[..]).unwrap();
        assert_eq!(parsed.subject(), message["subject"].as_str());
        assert_eq!(parsed.message_id(), message["message_id"].as_str());
        for attachment in message["attachments"].as_array().unwrap() {
            attachments += 1;
            assert_eq!(attachment["message_id"], message["id"]);
            has_its_content(&gateway, &key, attachment).await;
        }
    }
    assert!(attachments > 2, "the story has attachments");
    gateway.stop().await;
}

/// The status, the headers and the bytes of an answer.
async fn fetch(
    gateway: &Gateway,
    key: &str,
    path: &str,
    header: Option<(&str, &str)>,
) -> (u16, HeaderMap, Bytes) {
    let mut request = gateway.request("GET", key, path);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    (status, headers, answer.bytes().await.unwrap())
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from_digit(digit.into(), 16).unwrap())
        .collect()
}

/// The content is what size and digest say, whole and in ranges.
async fn has_its_content(gateway: &Gateway, key: &str, attachment: &Value) {
    let path = format!("/v1/attachments/{}", id(&attachment["id"]));
    assert_eq!(&gateway.get(key, &path).await, attachment);
    let path = format!("{path}/content");
    let (status, headers, content) = fetch(gateway, key, &path, None).await;
    let size = content.len();
    assert_eq!((status, json!(size)), (200, attachment["size"].clone()));
    let digest: [u8; 32] = Sha256::digest(&content).into();
    assert_eq!(text(&attachment["sha256"]), hexadecimal(&digest));
    assert_eq!(headers["content-length"], size.to_string().as_str());
    for (range, expected) in [
        ("bytes=0-0".to_owned(), content.slice(..1)),
        (format!("bytes={}-", size - 1), content.slice(size - 1..)),
        ("bytes=-2".to_owned(), content.slice(size - 2..)),
    ] {
        let (status, headers, slice) = fetch(gateway, key, &path, Some(("range", &range))).await;
        assert_eq!((status, slice), (206, expected), "{range}");
        let place = headers["content-range"].to_str().unwrap();
        assert!(
            place.starts_with("bytes ") && place.ends_with(&format!("/{size}")),
            "{place}"
        );
    }
    let outside = format!("bytes={size}-");
    let (status, outside, _) = fetch(gateway, key, &path, Some(("range", &outside))).await;
    assert_eq!(
        (status, outside["content-range"].to_str().unwrap()),
        (416, format!("bytes */{size}").as_str())
    );
    let tag = headers["etag"].to_str().unwrap();
    let (status, _, nothing) = fetch(gateway, key, &path, Some(("if-none-match", tag))).await;
    assert_eq!((status, nothing.len()), (304, 0));
}
