//! The sweep: what was deleted is erased after its days and not before, with all that hangs on it, and no blob that a row
//! names or is about to name.

mod blobs;
pub(crate) mod world;

use chrono::TimeDelta;
use postroom::{
    model::{caller::Identity, mailbox::MailboxFilter, page::PageRequest},
    service::{
        mailboxes, search,
        sweep::{self, Done},
        tenants::{self, TenantPatch},
    },
    worker::sweep::Swept,
};
use serde_json::json;

use self::world::{World, letter};
use crate::{
    fixture::ask,
    support::gateway::{Backend, both},
};

mod on {
    use super::both;
    both!(
        a_tombstone_is_erased_after_its_days_and_not_before,
        a_thread_goes_with_its_last_message,
        a_retired_mailbox_keeps_its_row_alone,
        many_are_erased_in_batches,
    );
}

/// The tables that have rows of a message.
const HANGING: [&str; 8] = [
    "messages",
    "message_bodies",
    "message_raws",
    "message_addresses",
    "attachments",
    "placements",
    "search_queue",
    "search_documents",
];

/// How many rows hang on messages, by table.
async fn rows(world: &World) -> Vec<(&'static str, i64)> {
    let mut found = Vec::new();
    for table in HANGING {
        found.push((table, world.count(table).await));
    }
    found
}

async fn index(world: &World) {
    while search::index_batch(&world.app).await.unwrap() > 0 {}
}

async fn a_tombstone_is_erased_after_its_days_and_not_before(backend: Backend) {
    let world = World::start(backend).await;
    let mut acme = world.owner("acme").await;
    let mut other = world.owner("other").await;
    let patch = TenantPatch {
        name: None,
        profile: json!({"keep_deleted_files_for": 60}),
    };
    tenants::update(&world.app, &Identity::Platform, other.tenant.0, patch)
        .await
        .unwrap();
    other.store(&world, 1, &letter(1, &[])).await;
    let before = rows(&world).await;
    for number in 1..=3 {
        acme.store(&world, i64::try_from(number).unwrap(), &letter(number, &[]))
            .await;
    }
    index(&world).await;
    let (live, erased, revived) = (1, 2, 3);
    let id = acme.at(&world, revived).await.unwrap();
    acme.expunge(&world, &[erased, revived]).await;
    other.expunge(&world, &[1]).await;
    index(&world).await;

    world.wait(TimeDelta::days(30) - TimeDelta::seconds(1));
    assert_eq!(world.sweep().await, Swept::default(), "not before its days");
    acme.store(&world, 4, &letter(3, &[])).await;
    assert_eq!(acme.at(&world, 4).await, Some(id), "it comes back with its id");

    world.wait(TimeDelta::seconds(2));
    let messages = world.sweep().await.messages;
    assert_eq!(messages, 1, "the one that did not come back");
    index(&world).await;
    // The live one, the revived one, and the other tenant's tombstone, which has no words and lies nowhere.
    for ((table, count), (_, one)) in rows(&world).await.into_iter().zip(before) {
        let expected = match table {
            "placements" | "search_documents" => 2,
            "search_queue" => 0,
            _ => 3 * one,
        };
        assert_eq!(count, expected, "{table}");
    }
    assert!(acme.at(&world, live).await.is_some());
    assert_eq!(world.count("threads").await, 3);
    let counts = "SELECT sum(message_count) FROM mailboxes";
    assert_eq!(ask(&world.app.config.storage.database, counts).await[0][0], "2");

    world.wait(TimeDelta::days(30));
    assert_eq!(
        world.sweep().await.messages,
        1,
        "the other tenant keeps for 60 days"
    );
    assert_eq!(world.count("messages").await, 2);
    assert_eq!(world.sweep().await, Swept::default());
}

async fn a_thread_goes_with_its_last_message(backend: Backend) {
    let world = World::start(backend).await;
    let mut acme = world.owner("acme").await;
    // Two threads that a third message joins, and one of its own.
    acme.store(&world, 1, &letter(1, &[])).await;
    acme.store(&world, 2, &letter(2, &[])).await;
    acme.store(&world, 3, &letter(3, &[1, 2])).await;
    acme.store(&world, 4, &letter(4, &[])).await;
    assert_eq!(
        (world.count("threads").await, world.count("thread_refs").await),
        (3, 4)
    );
    let month = TimeDelta::days(31);
    acme.expunge(&world, &[1, 2]).await;
    world.wait(month);
    assert_eq!(world.sweep().await.messages, 2);
    assert_eq!(
        (world.count("threads").await, world.count("thread_refs").await),
        (3, 4),
        "a reply to a message that is gone still finds its thread"
    );
    acme.store(&world, 5, &letter(5, &[2])).await;
    let threads = "SELECT count(DISTINCT thread_id) FROM messages";
    assert_eq!(ask(&world.app.config.storage.database, threads).await[0][0], "2");
    acme.expunge(&world, &[3]).await;
    world.wait(month);
    assert_eq!(world.sweep().await.messages, 1);
    assert_eq!(world.count("threads").await, 3, "one is left");
    acme.expunge(&world, &[5]).await;
    world.wait(month);
    assert_eq!(world.sweep().await.messages, 1);
    assert_eq!(
        (world.count("threads").await, world.count("thread_refs").await),
        (1, 1)
    );
    // One that begins anew.
    acme.store(&world, 6, &letter(6, &[2])).await;
    assert_eq!(world.count("threads").await, 2);
}

async fn a_retired_mailbox_keeps_its_row_alone(backend: Backend) {
    let world = World::start(backend).await;
    let mut acme = world.owner("acme").await;
    for number in 1..=5 {
        acme.store(&world, i64::try_from(number).unwrap(), &letter(number, &[]))
            .await;
    }
    acme.store_large(&world, 6, b"Subject: large\r\n\r\nin a blob\r\n")
        .await;
    let (kept, folder) = world.mailbox(&acme.caller, "second@example.org").await;
    index(&world).await;
    mailboxes::delete(&world.app, &acme.caller, acme.fence.mailbox)
        .await
        .unwrap();
    index(&world).await;
    world.wait(TimeDelta::days(29));
    assert_eq!(world.sweep().await, Swept::default());
    world.wait(TimeDelta::days(2));
    let swept = world.sweep().await;
    assert_eq!((swept.messages, swept.folders, swept.blobs), (6, 1, 1));
    for (table, count) in rows(&world).await {
        assert_eq!(count, 0, "{table}");
    }
    assert_eq!(
        (world.count("threads").await, world.count("thread_refs").await),
        (0, 0)
    );
    assert!(world.files().is_empty(), "{:?}", world.files());
    let filter = MailboxFilter {
        include_retired: true,
        ..MailboxFilter::default()
    };
    let listed = mailboxes::list(&world.app, &acme.caller, filter, PageRequest::first())
        .await
        .unwrap();
    assert_eq!(listed.data.len(), 2);
    let mut conn = world.app.store.read().await.unwrap();
    let folders = conn.list_folders(acme.tenant, kept.mailbox).await.unwrap();
    assert_eq!(folders.len(), 1, "another mailbox's stay");
    assert_eq!(folders[0].id, folder.id);
}

async fn many_are_erased_in_batches(backend: Backend) {
    let world = World::start(backend).await;
    let mut acme = world.owner("acme").await;
    let all: Vec<i64> = (1..=450).collect();
    for uid in &all {
        let raw = format!("Message-ID: <{uid}@example.net>\r\n\r\n{uid}\r\n");
        acme.store(&world, *uid, raw.as_bytes()).await;
    }
    acme.expunge(&world, &all).await;
    world.wait(TimeDelta::days(31));
    let before = world.app.clock.now() - TimeDelta::days(30);
    for (count, more) in [(200, true), (200, true), (50, false)] {
        let done = sweep::erase_messages(&world.app, acme.tenant, before)
            .await
            .unwrap();
        assert_eq!(done, Some(Done { count, more }));
    }
    assert_eq!(
        (world.count("messages").await, world.count("threads").await),
        (0, 0)
    );
}

/// While one node is at it, another leaves it alone, and sweeps when the first has ended.
#[tokio::test(flavor = "multi_thread")]
async fn one_node_sweeps_at_a_time_on_postgres() {
    let world = World::start(Backend::Postgres).await;
    let mut acme = world.owner("acme").await;
    acme.store(&world, 1, &letter(1, &[])).await;
    acme.expunge(&world, &[1]).await;
    world.wait(TimeDelta::days(31));
    let app = world.app.clone();
    let other = world.app.write(move |tx| {
        Box::pin(async move {
            assert!(tx.lock_sweep().await?);
            postroom::worker::sweep::step(&app).await
        })
    });
    assert_eq!(other.await.unwrap(), Swept::default());
    assert_eq!(world.count("messages").await, 1);
    assert_eq!(world.sweep().await.messages, 1);
}
