//! Several nodes and what happens between: clocks that differ, senders that come late, and mailboxes that are gone.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use postroom::{
    model::{
        clock::Clock,
        event::EventType,
        mailbox::MailboxPatch,
        page::PageRequest,
        webhook::{DeliveryFilter, DeliveryStatus},
    },
    service::{
        barrier,
        deliveries::{self, Done, Turn},
        mailboxes,
    },
    worker::deliver::Dispatcher,
};

use super::{
    begin, delivered, drain, endpoint, only,
    receiver::{Got, Receiver},
};
use crate::{
    support::gateway::{Backend, both},
    sweep::world::{Owner, World, letter},
};

mod on {
    use super::both;
    both!(
        promise_4_a_request_that_would_begin_late_asks_whether_it_still_may,
        events_of_a_mailbox_that_is_deleted_are_not_kept_waiting,
        deliveries_are_listed_by_what_has_become_of_them,
    );
}

async fn store(world: &World, owner: &mut Owner, uids: std::ops::RangeInclusive<i64>) {
    for uid in uids {
        let raw = letter(usize::try_from(uid).unwrap(), &[]);
        owner.store(world, uid, &raw).await;
    }
}

async fn enable(world: &World, owner: &Owner, enabled: bool) {
    let patch = MailboxPatch {
        enabled: Some(enabled),
        ..MailboxPatch::default()
    };
    mailboxes::update(&world.app, &owner.caller, owner.fence.mailbox, patch)
        .await
        .unwrap();
}

/// Two hours lie between the clocks of two nodes: neither takes what the other is sending, and when one dies the other does,
/// after the lease and not before.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_whose_clocks_differ_go_by_that_of_postgres() {
    let world = World::start(Backend::Postgres).await;
    world.wait(TimeDelta::hours(-1));
    let ahead = Arc::new(Mutex::new(TimeDelta::hours(1)));
    let shared = ahead.clone();
    let clock = Clock::from_fn(move || Clock::system().now() + *shared.lock().unwrap());
    let other = world.beside(clock).await;
    for app in [&world.app, &other] {
        deliveries::agree(app).await.unwrap();
    }
    let mut owner = world.owner("acme").await;
    let receiver = Receiver::start().await;
    let filter = only(&[EventType::MessageReceived]);
    endpoint(&world, &owner.caller, &receiver.url(), filter).await;
    let held = receiver.hold().await;
    let (mut one, mut two) = (Dispatcher::new(world.app.clone()), Dispatcher::new(other.clone()));
    store(&world, &mut owner, 1..=8).await;
    begin(&mut one).await;
    assert_eq!(receiver.has(4).await.len(), 4);
    begin(&mut two).await;
    assert!(!two.is_sending(), "they are the other node's");
    drop(held);
    drain(&mut one).await;
    drain(&mut two).await;
    assert_eq!(receiver.take().len(), 8);

    store(&world, &mut owner, 9..=9).await;
    begin(&mut one).await;
    let got = receiver.has(1).await;
    drop(one);
    drain(&mut two).await;
    assert_eq!(receiver.got().len(), 1, "it may still be on its way");
    *ahead.lock().unwrap() += deliveries::LEASE;
    drain(&mut two).await;
    let again: Vec<String> = receiver.got().iter().map(Got::id).collect();
    assert_eq!(again, [got[0].id(), got[0].id()]);
}

async fn promise_4_a_request_that_would_begin_late_asks_whether_it_still_may(backend: Backend) {
    let world = World::start(backend).await;
    let mut owner = world.owner("acme").await;
    let receiver = Receiver::start().await;
    let filter = only(&[EventType::MessageReceived]);
    let (made, _) = endpoint(&world, &owner.caller, &receiver.url(), filter).await;
    store(&world, &mut owner, 1..=2).await;
    assert_eq!(
        deliveries::spread(&world.app, owner.tenant)
            .await
            .unwrap()
            .endpoints,
        [made.id]
    );
    let turn = Turn {
        endpoint: made.id,
        done: Done::default(),
        held: 0,
        room: 1,
    };
    let mut taken = deliveries::turns(&world.app, owner.tenant, vec![turn.clone()])
        .await
        .unwrap();
    let job = taken.jobs.remove(0);
    let long_ago = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
    let may = async |since| {
        barrier::may_begin(&world.app, owner.tenant, job.taken, since)
            .await
            .unwrap()
    };
    assert!(may(Instant::now()).await && may(long_ago).await);
    enable(&world, &owner, false).await;
    assert!(!may(long_ago).await, "its mailbox was disabled meanwhile");
    assert!(!may(long_ago).await, "it was given back");
    enable(&world, &owner, true).await;
    let mut dispatcher = Dispatcher::new(world.app.clone());
    drain(&mut dispatcher).await;
    assert_eq!(receiver.got().len(), 2, "both, once each");
    let rows = delivered(&world, &owner.caller, made.id).await;
    for row in rows {
        assert_eq!((row.status, row.attempts), (DeliveryStatus::Succeeded, 1));
    }
}

async fn events_of_a_mailbox_that_is_deleted_are_not_kept_waiting(backend: Backend) {
    let world = World::start(backend).await;
    let mut owner = world.owner("acme").await;
    let receiver = Receiver::start().await;
    let filter = only(&[EventType::MessageReceived, EventType::MailboxDeleted]);
    let (made, _) = endpoint(&world, &owner.caller, &receiver.url(), filter).await;
    let mut dispatcher = Dispatcher::new(world.app.clone());
    store(&world, &mut owner, 1..=3).await;
    enable(&world, &owner, false).await;
    drain(&mut dispatcher).await;
    let status = async || -> Vec<DeliveryStatus> {
        let rows = delivered(&world, &owner.caller, made.id).await;
        rows.iter().map(|row| row.status).collect()
    };
    assert_eq!(status().await, [DeliveryStatus::Pending; 3]);
    mailboxes::delete(&world.app, &owner.caller, owner.fence.mailbox)
        .await
        .unwrap();
    drain(&mut dispatcher).await;
    let kinds: Vec<String> = receiver.take().iter().map(Got::kind).collect();
    assert_eq!(
        kinds,
        ["mailbox.deleted"],
        "it stands for the end of its messages"
    );
    let mut found = status().await;
    found.sort_by_key(|status| status.as_str());
    let failed = DeliveryStatus::Failed;
    assert_eq!(found, [failed, failed, failed, DeliveryStatus::Succeeded]);
    // Also when it is asked for.
    let rows = delivered(&world, &owner.caller, made.id).await;
    deliveries::retry(&world.app, &owner.caller, rows[0].id)
        .await
        .unwrap();
    drain(&mut dispatcher).await;
    assert_eq!(receiver.got().len(), 0);
    let rows = delivered(&world, &owner.caller, made.id).await;
    assert_eq!((rows[0].status, rows[0].next_at), (failed, None));
}

async fn deliveries_are_listed_by_what_has_become_of_them(backend: Backend) {
    let world = World::start(backend).await;
    let mut owner = world.owner("acme").await;
    let (alive, broken) = (Receiver::start().await, Receiver::start().await);
    broken.answers(500, &[], "");
    let filter = || only(&[EventType::MessageReceived]);
    let (one, _) = endpoint(&world, &owner.caller, &alive.url(), filter()).await;
    let (two, _) = endpoint(&world, &owner.caller, &broken.url(), filter()).await;
    let mut dispatcher = Dispatcher::new(world.app.clone());
    for uid in 1..=3 {
        store(&world, &mut owner, uid..=uid).await;
        drain(&mut dispatcher).await;
        world.wait(TimeDelta::seconds(1));
    }
    for (status, endpoint, expected) in [
        (DeliveryStatus::Succeeded, None, 3),
        (DeliveryStatus::Pending, None, 3),
        (DeliveryStatus::Failed, None, 0),
        (DeliveryStatus::Succeeded, Some(one.id), 3),
        (DeliveryStatus::Succeeded, Some(two.id), 0),
        (DeliveryStatus::Pending, Some(two.id), 3),
        (DeliveryStatus::Pending, Some(one.id), 0),
    ] {
        let filter = DeliveryFilter {
            endpoint,
            status: Some(status),
        };
        let mut page = PageRequest {
            limit: 2,
            after: None,
        };
        let mut found = Vec::new();
        loop {
            let listed = deliveries::list(&world.app, &owner.caller, filter, page)
                .await
                .unwrap();
            found.extend(listed.data);
            let Some(next) = listed.next else { break };
            page.after = Some(next);
        }
        assert_eq!(found.len(), expected, "{status:?} {endpoint:?}");
        assert!(found.iter().all(|row| row.status == status));
        assert!(
            found.is_sorted_by(|a, b| a.created_at > b.created_at),
            "newest first"
        );
    }
}
