//! The loop of toggles: after the answer the connection closes, nothing is stored and nobody is told of a message; then
//! everything is stored and told, once.

use std::{collections::BTreeSet, time::Duration};

use postroom::service::App;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    crash::{post::Post, truth},
    dovecot_sync::account::{USER, login},
    failures::{CLOSED_WITHIN, Counter},
    fixture::ask,
    support::{
        api::Api,
        dovecot::Dovecot,
        gateway::{Backend, Gateway, both},
        soak,
    },
    webhooks::receiver::{Got, Receiver},
};

mod on {
    use super::both;
    both!(promise_4_dovecot_is_left_and_nothing_is_stored_until_enabled);
}

/// The longest that the mailbox stays enabled between two toggles, in milliseconds: from within the dial to idle.
const ENABLED: u64 = 150;
/// Everything that a sync writes.
const WRITTEN: &str = "SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM messages WHERE deleted_at IS NULL), \
    (SELECT max(updated_at) FROM messages), (SELECT count(*) FROM placements), (SELECT count(*) FROM threads), \
    (SELECT count(*) FROM thread_refs), (SELECT count(*) FROM folders), (SELECT sum(last_uid) FROM folders), \
    (SELECT sum(backfill_low) FROM folders), (SELECT sum(highest_modseq) FROM folders), \
    (SELECT sum(message_count) FROM folders), (SELECT count(*) FROM quarantine), (SELECT count(*) FROM events), message_count, phase, error_code, \
    last_synced_at, sync_folder, sync_done, updated_at FROM mailboxes";

/// The events that wait while their mailbox is disabled.
const ABOUT_MESSAGES: [&str; 3] = ["message.received", "message.updated", "message.deleted"];

/// A receiver with an endpoint of the tenant's.
async fn hears_of_messages(gateway: &Gateway, key: &str) -> Receiver {
    let receiver = Receiver::start().await;
    let endpoint = json!({"url": receiver.url(), "event_types": ABOUT_MESSAGES});
    gateway.make(key, "/v1/webhook-endpoints", endpoint).await;
    receiver
}

/// In the end the receiver has every event of a message that is in the log, each once; answers how many.
async fn told_once(api: &Api, receiver: &Receiver) -> usize {
    let mut logged = BTreeSet::new();
    for event in api.all("/v1/events").await {
        if ABOUT_MESSAGES.iter().any(|kind| event["type"] == *kind) {
            logged.insert(event["id"].as_str().unwrap().to_owned());
        }
    }
    let got = receiver.has(logged.len()).await;
    let told: BTreeSet<String> = got.iter().map(Got::id).collect();
    assert_eq!(told, logged, "what was told is what is in the log");
    assert_eq!(got.len(), logged.len(), "something was told twice");
    logged.len()
}

async fn written(app: &App) -> Vec<Vec<String>> {
    ask(&app.config.storage.database, WRITTEN).await
}

async fn promise_4_dovecot_is_left_and_nothing_is_stored_until_enabled(backend: Backend) {
    let name = format!("disabled while mail flows, {backend:?}");
    let (toggles, seed) = (soak::rounds(50, 1_000), soak::seed(&name));
    let server = Dovecot::start();
    server.user(USER);
    let mut post = Post::new(&server, seed).await;
    for _ in 0..30 {
        post.act().await;
    }
    let mut dice = Post::new(&server, seed ^ 1).await;
    let (counter, port) = Counter::before(server.imap_port()).await;
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let receiver = hears_of_messages(&gateway, &tenant.key).await;
    let mailbox = gateway.connect(&tenant, login(port)).await.id.to_string();
    let api = Api::of(&gateway, &tenant);
    let path = format!("/v1/mailboxes/{mailbox}");
    let switch = async |enabled: bool| api.call("PATCH", &path, Some(json!({"enabled": enabled}))).await;
    let flow = post.flow(0..15);
    let (mut slowest, mut open) = (Duration::ZERO, 0);
    for _ in 0..toggles {
        tokio::time::sleep(Duration::from_millis(dice.below(ENABLED))).await;
        open += counter.open();
        switch(false).await;
        let (answered, told) = (Instant::now(), receiver.got().len());
        let before = written(&gateway.app).await;
        counter.closed().await;
        slowest = slowest.max(answered.elapsed());
        assert!(slowest < CLOSED_WITHIN, "it was closed after {slowest:?}");
        // Mail comes meanwhile.
        flow.more(1 + usize::try_from(dice.below(3)).unwrap()).await;
        assert_eq!(
            written(&gateway.app).await,
            before,
            "something was written while disabled"
        );
        assert_eq!(counter.open(), 0, "a disabled mailbox was dialled");
        assert_eq!(
            receiver.got().len(),
            told,
            "a webhook told of a message of a disabled mailbox"
        );
        switch(true).await;
    }
    assert!(open > toggles / 4, "only {open} toggles met a connection");
    let post = flow.stop().await;
    truth::settled(&api, &mailbox, &post.placed, Duration::from_secs(120)).await;
    truth::holds(&api, &mailbox, &post.placed).await;
    truth::announced(&api, &mailbox).await;
    let told = told_once(&api, &receiver).await;
    let stored = post.placed.values().collect::<BTreeSet<_>>().len();
    let seen = format!(
        "{open} met a connection, which was closed within {slowest:.0?} at the latest; nothing written and nothing told while \
         disabled; {stored} messages once each at the end, and {told} webhooks of them"
    );
    soak::record(&name, toggles, seed, seen);
    gateway.stop().await;
}
