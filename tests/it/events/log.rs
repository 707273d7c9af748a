//! The log in pages: order, cursors, filters, who sees what, numbers under concurrency, and how long it is kept.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use postroom::{
    model::{
        caller::Caller,
        event::{EventFilter, EventOrder, EventPageRequest, EventPosition},
        lease::Fence,
        mailbox::MailboxPatch,
        patch::Patch,
    },
    service::{
        App, events, leases, mailboxes,
        sync::{self, Found},
    },
    worker::sweep,
};
use serde_json::{Value, json};

use super::{gap_free, happen, mailbox, place};
use crate::{
    crash::fence::arrival,
    support::gateway::{Backend, Gateway, Tenant, both},
    sweep::world::{World, letter},
};

mod on {
    use super::both;
    both!(
        the_log_is_paged_in_its_order_and_filtered,
        promise_8_an_employee_sees_the_events_of_its_own_mailboxes,
        promise_5_numbers_have_no_gap_and_places_are_in_commit_order_under_concurrency,
        the_log_is_kept_for_as_long_as_is_set,
        what_is_erased_is_not_kept_by_the_log,
    );
}

/// How many write at the same time, and how often each.
const WRITERS: usize = 6;
const WRITES: i64 = 25;

async fn refused(gateway: &Gateway, tenant: &Tenant, query: &str) -> Value {
    let (status, json) = gateway
        .call("GET", &tenant.key, &format!("/v1/events?{query}"), None)
        .await;
    assert_eq!(status, 422, "{query}: {json:#}");
    json["errors"][0].clone()
}

async fn the_log_is_paged_in_its_order_and_filtered(backend: Backend) {
    let gateway = Gateway::without_workers(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let one = mailbox(&gateway, &tenant.key, "one@example.org").await;
    let two = mailbox(&gateway, &tenant.key, "two@example.org").await;
    for number in 0..12 {
        happen(
            &gateway,
            &tenant,
            if number % 3 == 0 { two } else { one },
            &format!("{number}"),
        )
        .await;
    }
    let all = gateway.all(&tenant.key, "/v1/events").await;
    gap_free(&all);
    let places: Vec<i64> = all.iter().map(place).collect();
    assert_eq!(places, (1..=14).collect::<Vec<_>>());
    // Pages of any size, in both directions.
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = gateway
            .get(&tenant.key, &format!("/v1/events?limit=4{cursor}"))
            .await;
        paged.extend(page["data"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, all);
    let newest = gateway.get(&tenant.key, "/v1/events?order=desc&limit=200").await;
    let mut reversed = newest["data"].as_array().unwrap().clone();
    reversed.reverse();
    assert_eq!(reversed, all);
    let older = gateway
        .get(&tenant.key, "/v1/events?order=desc&limit=3&cursor=5")
        .await;
    let older: Vec<i64> = older["data"].as_array().unwrap().iter().map(place).collect();
    assert_eq!(older, [4, 3, 2]);
    // From the end on, later.
    let rest = gateway.get(&tenant.key, "/v1/events?cursor=14").await;
    assert_eq!(rest, json!({"data": [], "next_cursor": null}));

    filters(&gateway, &tenant, two, &all).await;
    let url = all[0]["data"]["mailbox"]["url"].as_str().unwrap();
    assert_eq!(url, format!("{}/v1/mailboxes/{one}", gateway.url));
    gateway.stop().await;
}

/// Each filter, both together, and what is refused; `two` is one of the log's mailboxes.
async fn filters(gateway: &Gateway, tenant: &Tenant, two: uuid::Uuid, all: &[Value]) {
    let of = async |query: &str| gateway.all(&tenant.key, &format!("/v1/events?{query}")).await;
    let expected = |keep: &dyn Fn(&Value) -> bool| -> Vec<Value> {
        all.iter().filter(|event| keep(event)).cloned().collect()
    };
    let of_two = |event: &Value| event["data"]["mailbox"]["id"] == json!(two);
    let created = |event: &Value| event["type"] == "mailbox.created";
    assert_eq!(of(&format!("mailbox_id={two}")).await, expected(&of_two));
    assert_eq!(of("type=mailbox.created").await, expected(&created));
    assert_eq!(of("type=mailbox.created&type=mailbox.updated").await, *all);
    assert_eq!(of("type=message.received").await, Vec::<Value>::new());
    assert_eq!(
        of(&format!("type=mailbox.created&mailbox_id={two}")).await,
        expected(&|event| created(event) && of_two(event))
    );
    for (query, pointer) in [
        ("cursor=nonsense", "/cursor"),
        ("cursor=15", "/cursor"),
        ("limit=0", "/limit"),
        ("type=mailbox.exploded", "/type"),
        ("order=random", "/order"),
    ] {
        assert_eq!(
            refused(gateway, tenant, query).await["pointer"],
            pointer,
            "{query}"
        );
    }
}

async fn promise_8_an_employee_sees_the_events_of_its_own_mailboxes(backend: Backend) {
    let gateway = Gateway::without_workers(backend).await;
    let (tenant, other) = (gateway.tenant("Acme").await, gateway.tenant("Other").await);
    let (_, employee) = gateway.member(&tenant, "e@example.org", "employee").await;
    let (_, senior) = gateway.member(&tenant, "s@example.org", "senior").await;
    let theirs = mailbox(&gateway, &tenant.key, "theirs@example.org").await;
    let own = mailbox(&gateway, &employee, "own@example.org").await;
    mailbox(&gateway, &other.key, "foreign@example.org").await;
    for number in 0..10 {
        happen(&gateway, &tenant, theirs, &format!("{number}")).await;
        happen(&gateway, &tenant, own, &format!("{number}")).await;
    }
    let seen = async |key: &str, query: &str| -> BTreeSet<String> {
        let events = gateway.all(key, &format!("/v1/events{query}")).await;
        let ids = events
            .iter()
            .map(|event| event["data"]["mailbox"]["id"].as_str().unwrap().to_owned());
        ids.collect()
    };
    let both: BTreeSet<String> = [own.to_string(), theirs.to_string()].into();
    let mine: BTreeSet<String> = [own.to_string()].into();
    assert_eq!(seen(&tenant.key, "").await, both);
    assert_eq!(seen(&senior, "").await, both);
    assert_eq!(seen(&employee, "").await, mine);
    assert_eq!(seen(&employee, &format!("?mailbox_id={own}")).await, mine);
    assert!(seen(&employee, &format!("?mailbox_id={theirs}")).await.is_empty());
    assert!(seen(&other.key, &format!("?mailbox_id={own}")).await.is_empty());
    let events = gateway.all(&employee, "/v1/events").await;
    assert_eq!(events.len(), 11);
    gap_free(&events);
    gateway.stop().await;
}

async fn promise_5_numbers_have_no_gap_and_places_are_in_commit_order_under_concurrency(backend: Backend) {
    let gateway = Gateway::without_workers(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let caller = gateway.caller(&tenant.key).await;
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(mailbox(&gateway, &tenant.key, &format!("{number}@example.org")).await);
    }
    let claimed = leases::claim(&gateway.app, "test").await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (app, caller) = (gateway.app.clone(), caller.clone());
        let fence = *claimed.iter().find(|one| one.mailbox == ids[writer % 3]).unwrap();
        writers.spawn(write(app, caller, fence, writer));
    }
    // A reader who never passes over a place, however the writers' transactions overlap.
    let mut read = Vec::new();
    let mut after = EventPosition::START;
    loop {
        let ended = writers.is_empty();
        let page = EventPageRequest {
            limit: 7,
            order: EventOrder::Ascending,
            after: Some(after),
        };
        let page = events::list(&gateway.app, &caller, EventFilter::default(), page)
            .await
            .unwrap();
        if ended && page.data.is_empty() {
            break;
        }
        read.extend(page.data.iter().map(|event| event.position.0));
        after = page.data.last().map_or(after, |event| event.position);
        while let Some(one) = writers.try_join_next() {
            one.unwrap();
        }
    }
    let count = i64::try_from(read.len()).unwrap();
    assert_eq!(
        read,
        (1..=count).collect::<Vec<_>>(),
        "every place once, in order"
    );
    let batches: i64 = (1..=WRITES).map(|number| number % 4).sum();
    assert_eq!(count, 3 + i64::try_from(WRITERS).unwrap() * (WRITES + batches));
    gap_free(&gateway.all(&tenant.key, "/v1/events").await);
    gateway.stop().await;
}

/// Writes batches of several events, and single ones, of a mailbox in which others write at the same time.
async fn write(app: App, caller: Caller, fence: Fence, writer: usize) {
    let folder = crate::fixture::folder(fence.mailbox);
    let folder = postroom::model::folder::Folder {
        raw_name: format!("{writer}").into_bytes(),
        ..folder
    };
    let (tenant, made) = (fence.tenant, folder.clone());
    app.write(move |tx| Box::pin(async move { tx.create_folder(tenant, &made).await }))
        .await
        .unwrap();
    for number in 1..=WRITES {
        // From none to three.
        let batch = (0..number % 4)
            .map(|more| {
                let uid = number * 10 + more;
                let number = usize::try_from(uid).unwrap() + writer * 10_000;
                arrival(&letter(number, &[]), uid)
            })
            .collect();
        sync::store_arrivals(&app, fence, folder.clone(), (Found::Since, batch), None)
            .await
            .unwrap();
        let patch = MailboxPatch {
            name: Patch::Value(format!("{writer} {number}")),
            ..MailboxPatch::default()
        };
        mailboxes::update(&app, &caller, fence.mailbox, patch)
            .await
            .unwrap();
    }
}

async fn the_log_is_kept_for_as_long_as_is_set(backend: Backend) {
    let world = World::start(backend).await;
    let mut owner = world.owner("acme").await;
    let kept = TimeDelta::from_std(world.app.config.storage.event_retention).unwrap();
    for number in 0..5 {
        owner
            .store(&world, number + 1, &letter(usize::try_from(number).unwrap(), &[]))
            .await;
    }
    world.wait(kept - TimeDelta::minutes(1));
    owner.store(&world, 10, &letter(10, &[])).await;
    assert_eq!(world.sweep().await.events, 0, "nothing is too old");
    world.wait(TimeDelta::minutes(2));
    let swept = world.sweep().await;
    assert_eq!(swept.events, 6, "a mailbox and five messages");
    assert_eq!(world.count("events").await, 1);
    owner.store(&world, 11, &letter(11, &[])).await;
    let page = EventPageRequest {
        limit: 10,
        order: EventOrder::Ascending,
        after: Some(EventPosition(2)),
    };
    let page = events::list(&world.app, &owner.caller, EventFilter::default(), page)
        .await
        .unwrap();
    let left: Vec<_> = page
        .data
        .iter()
        .map(|event| (event.position.0, event.sequence))
        .collect();
    assert_eq!(left, [(7, Some(7)), (8, Some(8))], "numbers go on");
    assert_eq!(world.count("messages").await, 7, "messages stay");
    assert_eq!(world.sweep().await, sweep::Swept::default());
}

async fn what_is_erased_is_not_kept_by_the_log(backend: Backend) {
    let world = World::start(backend).await;
    let mut owner = world.owner("acme").await;
    owner.store(&world, 1, &letter(1, &[])).await;
    owner.expunge(&world, &[1]).await;
    let all = async || {
        let page = EventPageRequest {
            limit: 10,
            order: EventOrder::Ascending,
            after: None,
        };
        let page = events::list(&world.app, &owner.caller, EventFilter::default(), page).await;
        page.unwrap().data
    };
    assert!(all().await[1].message.as_ref().unwrap().known.is_some());
    let database = &world.app.config.storage.database;
    crate::fixture::ask(
        database,
        "UPDATE tenants SET profile = '{\"keep_deleted_files_for\":0}'",
    )
    .await;
    world.wait(TimeDelta::hours(1));
    assert_eq!(world.sweep().await.messages, 1);
    let events = all().await;
    assert_eq!(events.len(), 3);
    for event in &events[1..] {
        let message = event.message.as_ref().unwrap();
        assert!(message.known.is_none(), "only the id: {event:?}");
    }
    for row in crate::fixture::ask(database, "SELECT type, coalesce(detail, '') FROM events").await {
        assert!(!row.join(" ").contains("Letter"), "{row:?}");
    }
}
