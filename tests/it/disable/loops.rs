//! The loop of toggles: after the answer the connection closes and nothing is stored; then everything is, once.

use std::time::Duration;

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
        let answered = Instant::now();
        let before = written(&gateway.app).await;
        counter.closed().await;
        let took = answered.elapsed();
        assert!(took < CLOSED_WITHIN, "the connection was closed after {took:?}");
        slowest = slowest.max(took);
        // Mail comes meanwhile.
        flow.more(1 + usize::try_from(dice.below(3)).unwrap()).await;
        assert_eq!(
            written(&gateway.app).await,
            before,
            "something was written while disabled"
        );
        assert_eq!(counter.open(), 0, "a disabled mailbox was dialled");
        switch(true).await;
    }
    assert!(
        open > toggles / 4,
        "only {open} of {toggles} toggles met a connection"
    );
    let post = flow.stop().await;
    truth::settled(&api, &mailbox, &post.placed, Duration::from_secs(120)).await;
    truth::holds(&api, &mailbox, &post.placed).await;
    truth::announced(&api, &mailbox).await;
    let stored = post
        .placed
        .values()
        .collect::<std::collections::BTreeSet<_>>()
        .len();
    let seen = format!(
        "{open} met a connection, which was closed within {slowest:.0?} at the latest; nothing written while disabled; \
         {stored} messages once each at the end"
    );
    soak::record(&name, toggles, seed, seen);
    gateway.stop().await;
}
