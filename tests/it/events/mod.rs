//! The log of events: what is written with each change, how it is read in pages, and how it is followed.
//!
//! Changes are made by hand here, by a gateway without its workers; that the log is right while real mail flows and the
//! process is killed is seen by `crash`, `model` and `disable`, with `crash::truth`.

mod kinds;
mod log;
mod stream;

use serde_json::{Value, json};

use crate::{
    support::gateway::{Gateway, Tenant},
    world::{id, unreachable_mailbox},
};

/// A mailbox that nobody answers; its id.
pub(crate) async fn mailbox(gateway: &Gateway, key: &str, address: &str) -> uuid::Uuid {
    let made = gateway
        .make(key, "/v1/mailboxes", unreachable_mailbox(address, "imap"))
        .await;
    id(&made["id"])
}

/// Makes one event, by a change of a mailbox's name.
async fn happen(gateway: &Gateway, tenant: &Tenant, mailbox: uuid::Uuid, name: &str) {
    let path = format!("/v1/mailboxes/{mailbox}");
    gateway.change(&tenant.key, &path, json!({ "name": name })).await;
}

/// The place of an event.
fn place(event: &Value) -> i64 {
    event["cursor"].as_str().unwrap().parse().unwrap()
}

/// Each mailbox's numbers are 1, 2, 3 and so on in the order of the log, and the log's own places rise.
fn gap_free(events: &[Value]) {
    let mut last = std::collections::HashMap::<&str, i64>::new();
    for pair in events.windows(2) {
        assert!(place(&pair[0]) < place(&pair[1]), "{pair:#?}");
    }
    for event in events {
        let mailbox = event["data"]["mailbox"]["id"].as_str().unwrap();
        let last = last.entry(mailbox).or_default();
        *last += 1;
        assert_eq!(event["sequence"], *last, "{event:#}");
    }
}
