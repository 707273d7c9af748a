//! Endpoints that fail: when a delivery is tried again, when an endpoint is left alone, and when it is given up.

use chrono::{DateTime, TimeDelta, Utc};
use postroom::{
    model::{
        event::EventType,
        webhook::{Delivery, DeliveryStatus, DisabledReason, Endpoint, EndpointFilter, SCHEDULE},
    },
    service::{deliveries, webhooks},
    worker::deliver::Dispatcher,
};
use uuid::Uuid;

use super::{
    delivered, drain, endpoint, only,
    receiver::{Got, Receiver},
};
use crate::{
    support::gateway::{Backend, both},
    sweep::world::{Owner, World, letter},
};

mod on {
    use super::both;
    both!(
        a_delivery_is_tried_ten_times_by_the_schedule,
        what_retry_after_asks_for_holds_within_one_to_two_delays,
        an_endpoint_that_is_gone_is_disabled_at_once,
        an_endpoint_that_fails_for_five_days_is_disabled,
        an_endpoint_that_fails_is_left_alone_and_then_tried_once,
        only_2xx_is_success_and_no_redirect_is_followed,
    );
}

/// An endpoint that hears of new messages, and what sends.
async fn begin(backend: Backend) -> (World, Owner, Receiver, Endpoint, Dispatcher) {
    let world = World::start(backend).await;
    let owner = world.owner("acme").await;
    let receiver = Receiver::start().await;
    let filter = only(&[EventType::MessageReceived]);
    let (made, _) = endpoint(&world, &owner.caller, &receiver.url(), filter).await;
    let dispatcher = Dispatcher::new(world.app.clone());
    (world, owner, receiver, made, dispatcher)
}

async fn store(world: &World, owner: &mut Owner, uid: i64) {
    let raw = letter(usize::try_from(uid).unwrap(), &[]);
    owner.store(world, uid, &raw).await;
}

async fn only_row(world: &World, owner: &Owner, endpoint: Uuid) -> Delivery {
    let mut rows = delivered(world, &owner.caller, endpoint).await;
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

/// Moves the clock to this time.
fn wait_until(world: &World, at: DateTime<Utc>) {
    world.wait(at - world.app.clock.now());
}

async fn a_delivery_is_tried_ten_times_by_the_schedule(backend: Backend) {
    let (world, mut owner, receiver, made, mut dispatcher) = begin(backend).await;
    receiver.answers(500, &[], "no");
    store(&world, &mut owner, 1).await;
    for (place, seconds) in SCHEDULE.into_iter().enumerate().skip(1) {
        drain(&mut dispatcher).await;
        assert_eq!(receiver.got().len(), place);
        let row = only_row(&world, &owner, made.id).await;
        assert_eq!(
            (row.status, row.attempts),
            (DeliveryStatus::Pending, u32::try_from(place).unwrap())
        );
        assert_eq!(row.last.unwrap().status, Some(500));
        let (next, delay) = (row.next_at.unwrap(), TimeDelta::seconds(seconds));
        let waits = next - world.app.clock.now();
        assert!(
            waits >= delay * 4 / 5 && waits <= delay * 6 / 5,
            "{place}: {waits}"
        );
        wait_until(&world, next - TimeDelta::microseconds(1));
        drain(&mut dispatcher).await;
        assert_eq!(receiver.got().len(), place, "not before its time");
        wait_until(&world, next);
    }
    drain(&mut dispatcher).await;
    let row = only_row(&world, &owner, made.id).await;
    assert_eq!(
        (row.status, row.attempts, row.next_at),
        (DeliveryStatus::Failed, 10, None)
    );
    world.wait(TimeDelta::days(1));
    drain(&mut dispatcher).await;
    let got = receiver.got();
    assert_eq!(got.len(), 10);
    assert!(got.iter().all(|one| one.id() == got[0].id()));
    receiver.answers(204, &[], "");
    deliveries::retry(&world.app, &owner.caller, row.id)
        .await
        .unwrap();
    drain(&mut dispatcher).await;
    let row = only_row(&world, &owner, made.id).await;
    assert_eq!((row.status, row.attempts), (DeliveryStatus::Succeeded, 1));
    let shown = webhooks::get(&world.app, &owner.caller, made.id).await.unwrap();
    assert_eq!((shown.enabled, shown.failing_since), (true, None));
}

async fn what_retry_after_asks_for_holds_within_one_to_two_delays(backend: Backend) {
    let (world, mut owner, receiver, made, mut dispatcher) = begin(backend).await;
    store(&world, &mut owner, 1).await;
    let row = async |dispatcher: &mut Dispatcher| {
        drain(dispatcher).await;
        only_row(&world, &owner, made.id).await
    };
    let mut id = None;
    for (asked, seconds) in [("7", 7), ("1", 5), ("100", 10), ("soon", 0)] {
        receiver.answers(503, &[("retry-after", asked)], "");
        if let Some(id) = id {
            deliveries::retry(&world.app, &owner.caller, id).await.unwrap();
        }
        let row = row(&mut dispatcher).await;
        id = Some(row.id);
        let waits = row.next_at.unwrap() - world.app.clock.now();
        if seconds > 0 {
            assert_eq!(waits, TimeDelta::seconds(seconds), "{asked}");
        } else {
            assert!(waits >= TimeDelta::seconds(4) && waits <= TimeDelta::seconds(6));
        }
    }
}

/// What the log says of endpoints that were disabled.
fn disabled(receiver: &Receiver, made: &Endpoint, reason: &str) {
    let got: Vec<Got> = receiver.take();
    assert_eq!(got.len(), 1, "{got:?}");
    let json = got[0].json();
    assert_eq!(json["type"], "webhook_endpoint.disabled");
    let about = &json["data"]["webhook_endpoint"];
    assert_eq!(
        (&about["id"], &about["disabled_reason"]),
        (&made.id.to_string().into(), &reason.into())
    );
}

async fn an_endpoint_that_is_gone_is_disabled_at_once(backend: Backend) {
    let (world, mut owner, receiver, made, mut dispatcher) = begin(backend).await;
    let watcher = Receiver::start().await;
    let filter = only(&[EventType::WebhookEndpointDisabled]);
    endpoint(&world, &owner.caller, &watcher.url(), filter).await;
    receiver.answers(410, &[], "gone");
    store(&world, &mut owner, 1).await;
    drain(&mut dispatcher).await;
    let shown = webhooks::get(&world.app, &owner.caller, made.id).await.unwrap();
    assert!(!shown.enabled);
    assert_eq!(shown.disabled.unwrap().reason, DisabledReason::Gone);
    assert_eq!(
        only_row(&world, &owner, made.id).await.status,
        DeliveryStatus::Failed
    );
    disabled(&watcher, &made, "gone");
    store(&world, &mut owner, 2).await;
    world.wait(TimeDelta::days(1));
    drain(&mut dispatcher).await;
    assert_eq!(receiver.got().len(), 1, "nothing is sent to it");
}

async fn an_endpoint_that_fails_for_five_days_is_disabled(backend: Backend) {
    let (world, mut owner, receiver, made, mut dispatcher) = begin(backend).await;
    let watcher = Receiver::start().await;
    let filter = only(&[EventType::WebhookEndpointDisabled]);
    endpoint(&world, &owner.caller, &watcher.url(), filter).await;
    receiver.answers(500, &[], "no");
    let (app, caller) = (world.app.clone(), owner.caller.clone());
    let enabled = async || webhooks::get(&app, &caller, made.id).await.unwrap().enabled;
    let made_at = world.app.clock.now();
    for day in 0..5 {
        store(&world, &mut owner, day + 1).await;
        drain(&mut dispatcher).await;
        assert!(enabled().await, "day {day}");
        wait_until(&world, made_at + TimeDelta::days(day + 1) - TimeDelta::seconds(1));
    }
    drain(&mut dispatcher).await;
    assert!(enabled().await, "a second less than five days");
    world.wait(TimeDelta::hours(1));
    store(&world, &mut owner, 9).await;
    drain(&mut dispatcher).await;
    let shown = webhooks::get(&world.app, &owner.caller, made.id).await.unwrap();
    assert_eq!(
        shown.disabled.map(|disabled| disabled.reason),
        Some(DisabledReason::Failing)
    );
    assert_eq!(shown.failing_since, Some(made_at));
    disabled(&watcher, &made, "failing");
}

async fn an_endpoint_that_fails_is_left_alone_and_then_tried_once(backend: Backend) {
    let (world, mut owner, receiver, made, mut dispatcher) = begin(backend).await;
    receiver.answers(500, &[], "no");
    for uid in 1..=30 {
        store(&world, &mut owner, uid).await;
    }
    drain(&mut dispatcher).await;
    let before = receiver.take().len();
    assert!(
        (5..=8).contains(&before),
        "{before} requests until it was left alone"
    );
    world.wait(TimeDelta::seconds(29));
    drain(&mut dispatcher).await;
    assert_eq!(receiver.take().len(), 0);
    world.wait(TimeDelta::seconds(1));
    drain(&mut dispatcher).await;
    assert_eq!(receiver.take().len(), 1, "one, to see whether it works again");
    receiver.answers(200, &[], "");
    world.wait(TimeDelta::minutes(1));
    drain(&mut dispatcher).await;
    world.wait(TimeDelta::minutes(10));
    drain(&mut dispatcher).await;
    let rows = delivered(&world, &owner.caller, made.id).await;
    assert_eq!(rows.len(), 30);
    assert!(rows.iter().all(|row| row.status == DeliveryStatus::Succeeded));
}

async fn only_2xx_is_success_and_no_redirect_is_followed(backend: Backend) {
    let (world, mut owner, receiver, made, mut dispatcher) = begin(backend).await;
    let elsewhere = Receiver::start().await;
    let long = "ü".repeat(5_000);
    for (uid, (status, succeeds)) in (1..).zip([
        (200, true),
        (202, true),
        (204, true),
        (301, false),
        (307, false),
        (304, false),
        (404, false),
    ]) {
        let body = if status == 204 || status == 304 { "" } else { &long };
        receiver.answers(status, &[("location", &elsewhere.url())], body);
        store(&world, &mut owner, uid).await;
        drain(&mut dispatcher).await;
        let rows = delivered(&world, &owner.caller, made.id).await;
        let row = rows.last().unwrap();
        let last = row.last.as_ref().unwrap();
        assert_eq!(last.status, Some(status));
        assert_eq!(row.status == DeliveryStatus::Succeeded, succeeds, "{status}");
        assert!(last.body.as_ref().unwrap().len() <= 1_027, "{status}: it is cut");
    }
    assert_eq!(elsewhere.got().len(), 0);
    // Nobody listens there any more.
    let (closed, _) = endpoint(
        &world,
        &owner.caller,
        "http://127.0.0.1:1/",
        EndpointFilter::default(),
    )
    .await;
    webhooks::test(&world.app, &owner.caller, closed.id)
        .await
        .unwrap();
    drain(&mut dispatcher).await;
    let row = only_row(&world, &owner, closed.id).await;
    let last = row.last.unwrap();
    assert!(last.status.is_none() && last.error.is_some(), "{last:?}");
}
