//! The log as a stream: nothing left out and nothing twice, over every way in which a connection can end.

use std::time::Duration;

use postroom::{model::event::EventFilter, service::events};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{gap_free, happen, mailbox, place};
use crate::{
    support::gateway::{Backend, Gateway, Tenant, both, eventually},
    world::send,
};

mod on {
    use super::both;
    both!(
        promise_5_a_stream_is_resumed_without_a_gap_or_a_repeat_while_mail_flows,
        a_stream_begins_now_and_lives_by_heartbeats,
        promise_8_a_stream_shows_what_its_caller_sees_for_as_long_as_it_may,
        promise_11_a_slow_reader_holds_a_page_and_loses_nothing,
        promise_11_so_many_streams_of_a_tenant_are_open_and_no_more,
        a_stream_ends_with_the_server,
    );
}

/// One block of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Block {
    id: String,
    event: String,
    data: String,
}

impl Block {
    fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }
}

/// A client of a stream.
struct Client {
    answer: reqwest::Response,
    text: String,
}

impl Client {
    async fn open(gateway: &Gateway, key: &str, query: &str, last: Option<&str>) -> Self {
        let mut request = gateway.request("GET", key, &format!("/v1/events/stream{query}"));
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self {
            answer,
            text: String::new(),
        }
    }

    /// The next block; `None` at the end.
    async fn next(&mut self) -> Option<Block> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let mut parsed = Block::default();
                for line in block.lines() {
                    let (name, value) = line.split_once(": ").unwrap_or((line, ""));
                    match name {
                        "id" => parsed.id = value.to_owned(),
                        "event" => parsed.event = value.to_owned(),
                        "data" => parsed.data = value.to_owned(),
                        "retry" => {}
                        _ => panic!("{line:?}"),
                    }
                }
                let retry = block.starts_with("retry: ");
                self.text = rest.to_owned();
                if retry {
                    continue;
                }
                return Some(parsed);
            }
            let chunk = tokio::time::timeout(Duration::from_secs(60), self.answer.chunk()).await;
            let chunk = chunk.expect("nothing comes").ok()??;
            self.text += std::str::from_utf8(&chunk).unwrap();
        }
    }

    /// The next event, whatever heartbeats come before it.
    async fn event(&mut self) -> Option<Block> {
        loop {
            let block = self.next().await?;
            if !block.data.is_empty() {
                return Some(block);
            }
        }
    }
}

async fn promise_5_a_stream_is_resumed_without_a_gap_or_a_repeat_while_mail_flows(backend: Backend) {
    const WRITERS: usize = 4;
    const WRITES: usize = 40;
    let gateway = std::sync::Arc::new(Gateway::without_workers(backend).await);
    let tenant = gateway.tenant("Acme").await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let id = mailbox(&gateway, &tenant.key, &format!("{writer}@example.org")).await;
        let (gateway, tenant): (_, Tenant) = (gateway.clone(), tenant.clone());
        writers.spawn(async move {
            for number in 0..WRITES {
                happen(&gateway, &tenant, id, &format!("{number}")).await;
            }
        });
    }
    // Cut off again and again, after each count of events from one to a dozen.
    let expected = WRITERS * (WRITES + 1);
    let (mut got, mut last) = (Vec::new(), "0".to_owned());
    let mut takes = (1..=12).cycle();
    while got.len() < expected {
        let mut client = Client::open(&gateway, &tenant.key, "", Some(&last)).await;
        let first = client.next().await.unwrap();
        assert_eq!((first.id.as_str(), first.data.as_str()), (last.as_str(), ""));
        for _ in 0..takes.next().unwrap().min(expected - got.len()) {
            let block = client.event().await.unwrap();
            let event = block.json();
            assert_eq!(block.event, event["type"].as_str().unwrap());
            assert_eq!(block.id, event["cursor"].as_str().unwrap());
            last.clone_from(&block.id);
            got.push(event);
        }
    }
    while let Some(one) = writers.join_next().await {
        one.unwrap();
    }
    assert_eq!(got, gateway.all(&tenant.key, "/v1/events").await);
    gap_free(&got);
}

async fn a_stream_begins_now_and_lives_by_heartbeats(backend: Backend) {
    let quick = |config: &mut postroom::config::Config| {
        config.http.heartbeat = Duration::from_millis(50);
    };
    let gateway = Gateway::start_tweaked(backend, &[], quick).await;
    let tenant = gateway.tenant("Acme").await;
    let (one, two) = (
        mailbox(&gateway, &tenant.key, "one@example.org").await,
        mailbox(&gateway, &tenant.key, "two@example.org").await,
    );
    for id in [one, two] {
        let off = json!({"enabled": false});
        gateway
            .change(&tenant.key, &format!("/v1/mailboxes/{id}"), off)
            .await;
    }
    let before = gateway.all(&tenant.key, "/v1/events").await;
    let end = place(before.last().unwrap());
    let mut client = Client::open(&gateway, &tenant.key, &format!("?mailbox_id={two}"), None).await;
    for _ in 0..3 {
        let beat = client.next().await.unwrap();
        assert_eq!(
            (beat.id, beat.event, beat.data),
            (end.to_string(), String::new(), String::new())
        );
    }
    // What is not asked for moves the place that a heartbeat tells.
    happen(&gateway, &tenant, one, "new").await;
    let moved = eventually(async || {
        let beat = client.next().await.unwrap();
        assert_eq!(beat.data, "");
        (beat.id == (end + 1).to_string()).then_some(())
    });
    moved.await.expect("the place moves");
    happen(&gateway, &tenant, two, "new").await;
    let block = client.event().await.unwrap();
    assert_eq!(block.json()["data"]["mailbox"]["id"], json!(two));
    for (header, cursor, status, pointer) in [
        (Some("x"), "", 422, "/Last-Event-ID"),
        (Some("99999"), "", 422, "/Last-Event-ID"),
        (None, "?cursor=x", 422, "/cursor"),
    ] {
        let mut request = gateway.request("GET", &tenant.key, &format!("/v1/events/stream{cursor}"));
        if let Some(header) = header {
            request = request.header("Last-Event-ID", header);
        }
        let answer = send(request).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{answer:?}");
    }
    gateway.stop().await;
}

async fn promise_8_a_stream_shows_what_its_caller_sees_for_as_long_as_it_may(backend: Backend) {
    let gateway = Gateway::without_workers(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let (member, key) = gateway.member(&tenant, "m@example.org", "employee").await;
    let theirs = mailbox(&gateway, &tenant.key, "theirs@example.org").await;
    let own = mailbox(&gateway, &key, "own@example.org").await;
    let mut client = Client::open(&gateway, &key, "", None).await;
    happen(&gateway, &tenant, theirs, "hidden").await;
    happen(&gateway, &tenant, own, "shown").await;
    let mailbox_of = |block: &Block| block.json()["data"]["mailbox"]["id"].as_str().unwrap().to_owned();
    assert_eq!(mailbox_of(&client.event().await.unwrap()), own.to_string());
    // A greater role shows in the stream that is open.
    let path = format!("/v1/members/{member}");
    gateway
        .change(&tenant.key, &path, json!({"role": "senior"}))
        .await;
    let mut number = 0;
    let shown = eventually(async || {
        number += 1;
        happen(&gateway, &tenant, theirs, &format!("shown {number}")).await;
        let next = tokio::time::timeout(Duration::from_millis(100), client.event());
        next.await.ok()
    });
    assert_eq!(mailbox_of(&shown.await.unwrap().unwrap()), theirs.to_string());
    // A key that ends, ends its stream.
    let keys = gateway.all(&tenant.key, "/v1/api-keys").await;
    let of_member = keys.iter().find(|one| one["member_id"] == json!(member)).unwrap();
    let path = format!("/v1/api-keys/{}", of_member["id"].as_str().unwrap());
    let (status, _) = gateway.call("DELETE", &tenant.key, &path, None).await;
    assert_eq!(status, 204);
    while let Some(block) = client.event().await {
        assert_eq!(mailbox_of(&block), theirs.to_string());
    }
    gateway.stop().await;
}

async fn promise_11_a_slow_reader_holds_a_page_and_loses_nothing(backend: Backend) {
    let gateway = Gateway::without_workers(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let caller = gateway.caller(&tenant.key).await;
    let id = mailbox(&gateway, &tenant.key, "one@example.org").await;
    for number in 0..450 {
        happen(&gateway, &tenant, id, &format!("{number}")).await;
    }
    // What is read for it at once.
    let start = Some(postroom::model::event::EventPosition::START);
    let name = ("cursor", postroom::model::error::Place::Query);
    let follow = events::follow(&gateway.app, &caller, EventFilter::default(), start, name).await;
    let mut follow = follow.unwrap_or_else(|error| panic!("{error:?}"));
    let mut pages = Vec::new();
    loop {
        let (page, _) = follow.next().await.unwrap();
        if page.is_empty() {
            break;
        }
        pages.push(page.len());
    }
    assert_eq!(pages, [100, 100, 100, 100, 51]);
    // One that takes nothing for a while, and then a little at a time.
    let address = gateway.url.strip_prefix("http://").unwrap();
    let mut slow = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET /v1/events/stream HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\nlast-event-id: 0\r\n\r\n",
        tenant.key
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    for number in 0..50 {
        happen(&gateway, &tenant, id, &format!("more {number}")).await;
    }
    let mut text = Vec::new();
    let mut some = [0; 512];
    while !String::from_utf8_lossy(&text).contains("\nid: 501\n") {
        let count = slow.read(&mut some).await.unwrap();
        assert!(count > 0, "it ended");
        text.extend(&some[..count]);
        tokio::task::yield_now().await;
    }
    let text = String::from_utf8(text).unwrap();
    let ids: Vec<i64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("id: ")?.parse().ok())
        .collect();
    assert_eq!(ids, (0..=501).collect::<Vec<_>>());
    gateway.stop().await;
}

async fn promise_11_so_many_streams_of_a_tenant_are_open_and_no_more(backend: Backend) {
    let gateway = Gateway::without_workers(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let caller = gateway.caller(&tenant.key).await;
    let name = ("cursor", postroom::model::error::Place::Query);
    let mut open = Vec::new();
    let refused = loop {
        match events::follow(&gateway.app, &caller, EventFilter::default(), None, name).await {
            Ok(one) => open.push(one),
            Err(error) => break error,
        }
    };
    assert_eq!((open.len(), refused.code()), (100, "rate_limited"), "of a tenant");
    drop(open);
    let free = events::follow(&gateway.app, &caller, EventFilter::default(), None, name).await;
    assert!(free.is_ok(), "those that ended do not count");
    gateway.stop().await;
}

async fn a_stream_ends_with_the_server(backend: Backend) {
    let gateway = Gateway::without_workers(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let mut client = Client::open(&gateway, &tenant.key, "", None).await;
    assert!(client.next().await.is_some());
    // Sooner than requests in flight are cut off.
    let stopped = tokio::time::timeout(Duration::from_secs(15), gateway.stop());
    stopped.await.expect("it waits for no stream");
    assert_eq!(client.next().await, None);
}

/// Events of another node come without a nudge of this process.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_one_node_shows_the_events_of_another() {
    let database = crate::support::postgres::Database::create().await;
    let extra = [format!("--database-url={}", database.url())];
    let secret = tempfile::tempdir().unwrap();
    let extra = [
        extra[0].clone(),
        format!("--data-dir={}", secret.path().display()),
    ];
    let a = Gateway::start_as(Backend::Sqlite, &extra, "a").await;
    let b = Gateway::start_as(Backend::Sqlite, &extra, "b").await;
    let tenant = a.tenant("Acme").await;
    let mut client = Client::open(&b, &tenant.key, "?type=mailbox.created", None).await;
    assert!(client.next().await.is_some());
    let id = mailbox(&a, &tenant.key, "one@example.org").await;
    let block = client.event().await.unwrap();
    assert_eq!(block.json()["data"]["mailbox"]["id"], json!(id));
    a.stop().await;
    b.stop().await;
}
