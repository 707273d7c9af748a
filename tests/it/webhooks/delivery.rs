//! What endpoints are sent: signed, once, by their filters, again when asked for, and in nobody's way.

use chrono::TimeDelta;
use postroom::{
    model::{
        agent::AgentKind,
        event::EventType,
        mailbox::{BindingPatch, MailboxPatch},
        patch::Patch,
        webhook::{DeliveryStatus, EndpointFilter, EndpointPatch},
    },
    service::{agents, deliveries, mailboxes, webhooks},
    worker::deliver::Dispatcher,
};
use secrecy::{ExposeSecret, SecretString};
use standardwebhooks::Webhook;
use uuid::Uuid;

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
        promise_5_requests_are_signed_and_by_two_secrets_after_a_rotation,
        events_go_where_the_filters_say_and_rebinding_moves_them,
        an_employees_endpoint_hears_of_its_own_mailboxes,
        a_ping_a_retry_and_a_replay_have_the_ids_of_their_events,
        promise_4_events_of_a_disabled_mailbox_wait_until_it_is_enabled,
        a_dead_endpoint_delays_nobody_and_gets_four_at_once,
        promise_5_a_request_whose_sender_died_is_sent_again_with_its_id,
    );
}

/// Whether a request has the signature that the official library makes; it would verify those of this hour alone.
fn verified(secret: &SecretString, got: &Got) -> bool {
    let signer = Webhook::new(secret.expose_secret()).unwrap();
    let header = |name| got.headers[name].to_str().unwrap();
    let timestamp = header("webhook-timestamp").parse().unwrap();
    let signature = signer.sign(header("webhook-id"), timestamp, &got.body).unwrap();
    header("webhook-signature").split(' ').any(|one| one == signature)
}

fn kinds(got: &[Got]) -> Vec<String> {
    got.iter().map(Got::kind).collect()
}

/// Changes a mailbox's name, which is one event.
async fn rename(world: &World, owner: &Owner, mailbox: Uuid, name: &str) {
    let patch = MailboxPatch {
        name: Patch::Value(name.to_owned()),
        ..MailboxPatch::default()
    };
    mailboxes::update(&world.app, &owner.caller, mailbox, patch)
        .await
        .unwrap();
}

async fn promise_5_requests_are_signed_and_by_two_secrets_after_a_rotation(backend: Backend) {
    let world = World::start(backend).await;
    let mut owner = world.owner("acme").await;
    let receiver = Receiver::start().await;
    let (made, first) = endpoint(&world, &owner.caller, &receiver.url(), EndpointFilter::default()).await;
    let mut dispatcher = Dispatcher::new(world.app.clone());
    owner.store(&world, 1, &letter(1, &[])).await;
    drain(&mut dispatcher).await;
    let got = receiver.take();
    assert_eq!(kinds(&got), ["message.received"]);
    Webhook::new(first.expose_secret())
        .unwrap()
        .verify(&got[0].body, &got[0].headers)
        .unwrap();
    let json = got[0].json();
    assert_eq!(json["id"].as_str().unwrap(), got[0].id());
    assert_eq!(json["data"]["message"]["subject"], "Letter 1");
    assert!(json["data"]["message"].get("text").is_none());
    let mut forged = got[0].clone();
    forged.body.push(b' ');
    assert!(!verified(&first, &forged));

    let (_, second) = webhooks::rotate(&world.app, &owner.caller, made.id)
        .await
        .unwrap();
    owner.store(&world, 2, &letter(2, &[])).await;
    drain(&mut dispatcher).await;
    let got = receiver.take();
    assert!(verified(&first, &got[0]) && verified(&second, &got[0]));
    world.wait(TimeDelta::hours(24));
    owner.store(&world, 3, &letter(3, &[])).await;
    drain(&mut dispatcher).await;
    let got = receiver.take();
    assert!(!verified(&first, &got[0]) && verified(&second, &got[0]));
    let rows = delivered(&world, &owner.caller, made.id).await;
    assert_eq!(rows.len(), 3);
    for row in rows {
        let last = row.last.unwrap();
        assert_eq!((row.status, row.attempts), (DeliveryStatus::Succeeded, 1));
        assert_eq!((last.status, last.body.as_deref()), (Some(200), Some("taken")));
    }
}

/// Binds the owner's mailbox to another agent or team, which is one event.
async fn bind(world: &World, owner: &Owner, agent_id: Patch<Uuid>, team_id: Patch<Uuid>) {
    let patch = MailboxPatch {
        binding: BindingPatch {
            agent_id,
            team_id,
            ..BindingPatch::default()
        },
        ..MailboxPatch::default()
    };
    mailboxes::update(&world.app, &owner.caller, owner.fence.mailbox, patch)
        .await
        .unwrap();
}

async fn events_go_where_the_filters_say_and_rebinding_moves_them(backend: Backend) {
    let world = World::start(backend).await;
    let mut owner = world.owner("acme").await;
    let (other, _) = world.mailbox(&owner.caller, "other@example.org").await;
    let agent = async |name: &str| {
        let made = agents::create(&world.app, &owner.caller, AgentKind::Agent, name.to_owned()).await;
        made.unwrap().id
    };
    let (one, two) = (agent("one").await, agent("two").await);
    let team = agents::create(&world.app, &owner.caller, AgentKind::Team, "team".into())
        .await
        .unwrap()
        .id;
    let of = |agent, team| EndpointFilter {
        kinds: vec![EventType::MessageReceived],
        agent,
        team,
        ..EndpointFilter::default()
    };
    let of_other = EndpointFilter {
        mailboxes: vec![other.mailbox],
        ..EndpointFilter::default()
    };
    let mut receivers = Vec::new();
    for filter in [
        of(Some(one), None),
        of(Some(two), None),
        of(None, Some(team)),
        only(&[EventType::MailboxUpdated]),
        of_other,
    ] {
        let receiver = Receiver::start().await;
        endpoint(&world, &owner.caller, &receiver.url(), filter).await;
        receivers.push(receiver);
    }
    let mut dispatcher = Dispatcher::new(world.app.clone());
    let bindings = [
        (Patch::Value(one), Patch::Absent),
        (Patch::Value(two), Patch::Absent),
        (Patch::Absent, Patch::Value(team)),
        (Patch::Absent, Patch::Null),
    ];
    let expected = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]];
    for (number, ((agent_id, team_id), expected)) in (1..).zip(bindings.into_iter().zip(expected)) {
        bind(&world, &owner, agent_id, team_id).await;
        owner
            .store(&world, number, &letter(usize::try_from(number).unwrap(), &[]))
            .await;
        drain(&mut dispatcher).await;
        let counts: Vec<usize> = receivers[..3].iter().map(|one| one.take().len()).collect();
        assert_eq!(counts, expected, "binding {number}");
        assert_eq!(kinds(&receivers[3].take()), ["mailbox.updated"]);
    }
    rename(&world, &owner, other.mailbox, "Other").await;
    drain(&mut dispatcher).await;
    assert_eq!(kinds(&receivers[4].take()), ["mailbox.updated"]);
}

async fn an_employees_endpoint_hears_of_its_own_mailboxes(backend: Backend) {
    let world = World::start(backend).await;
    let owner = world.owner("acme").await;
    let employee = world.employee(&owner).await;
    let (own, _) = world.mailbox(&employee, "own@example.org").await;
    let receiver = Receiver::start().await;
    endpoint(&world, &employee, &receiver.url(), EndpointFilter::default()).await;
    let mut dispatcher = Dispatcher::new(world.app.clone());
    rename(&world, &owner, owner.fence.mailbox, "hidden").await;
    rename(&world, &owner, own.mailbox, "seen").await;
    drain(&mut dispatcher).await;
    let got = receiver.take();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].json()["data"]["mailbox"]["id"], own.mailbox.to_string());
}

async fn a_ping_a_retry_and_a_replay_have_the_ids_of_their_events(backend: Backend) {
    let world = World::start(backend).await;
    let owner = world.owner("acme").await;
    let caller = &owner.caller;
    let receiver = Receiver::start().await;
    let filter = only(&[EventType::MailboxUpdated]);
    let (made, _) = endpoint(&world, caller, &receiver.url(), filter).await;
    let (silent, _) = endpoint(
        &world,
        caller,
        &receiver.url(),
        only(&[EventType::MailboxDeleted]),
    )
    .await;
    let mut dispatcher = Dispatcher::new(world.app.clone());
    let ping = webhooks::test(&world.app, caller, made.id).await.unwrap();
    drain(&mut dispatcher).await;
    let got = receiver.take();
    assert_eq!(kinds(&got), ["ping"], "to this endpoint alone");
    assert_eq!(got[0].id(), ping.event.to_string());
    assert_eq!(
        got[0].json()["data"]["webhook_endpoint"]["id"],
        made.id.to_string()
    );

    let mut ids = Vec::new();
    let mut times = Vec::new();
    for number in 0..20 {
        world.wait(TimeDelta::minutes(5));
        times.push(world.app.clock.now());
        rename(&world, &owner, owner.fence.mailbox, &format!("{number}")).await;
        drain(&mut dispatcher).await;
        ids.extend(receiver.take().iter().map(Got::id));
    }
    assert_eq!(ids.len(), 20);
    for from in [0, 7, 19] {
        webhooks::replay(&world.app, caller, made.id, times[from])
            .await
            .unwrap();
        webhooks::replay(&world.app, caller, silent.id, times[from])
            .await
            .unwrap();
        drain(&mut dispatcher).await;
        let mut again: Vec<String> = receiver.take().iter().map(Got::id).collect();
        again.sort_unstable_by_key(|id| ids.iter().position(|one| one == id));
        assert_eq!(again, ids[from..], "what happened since, once");
    }
    let rows = delivered(&world, caller, made.id).await;
    assert_eq!(rows.len(), 21, "a replay makes none anew");
    let retried = deliveries::retry(&world.app, caller, rows[3].id).await.unwrap();
    assert_eq!((retried.status, retried.attempts), (DeliveryStatus::Pending, 0));
    drain(&mut dispatcher).await;
    let got = receiver.take();
    assert_eq!(
        got.iter().map(Got::id).collect::<Vec<_>>(),
        [rows[3].event.to_string()]
    );
    // After all this, what comes next is sent once.
    rename(&world, &owner, owner.fence.mailbox, "last").await;
    drain(&mut dispatcher).await;
    assert_eq!(receiver.take().len(), 1);
}

async fn promise_4_events_of_a_disabled_mailbox_wait_until_it_is_enabled(backend: Backend) {
    let world = World::start(backend).await;
    let mut owner = world.owner("acme").await;
    let receiver = Receiver::start().await;
    let filter = only(&[EventType::MessageReceived, EventType::MailboxUpdated]);
    let (made, _) = endpoint(&world, &owner.caller, &receiver.url(), filter).await;
    let messages = Receiver::start().await;
    let filter = only(&[EventType::MessageReceived]);
    endpoint(&world, &owner.caller, &messages.url(), filter).await;
    let mut dispatcher = Dispatcher::new(world.app.clone());
    for uid in 1..=6 {
        owner
            .store(&world, uid, &letter(usize::try_from(uid).unwrap(), &[]))
            .await;
    }
    let switch = async |enabled| {
        let patch = MailboxPatch {
            enabled: Some(enabled),
            ..MailboxPatch::default()
        };
        let mailbox = owner.fence.mailbox;
        mailboxes::update(&world.app, &owner.caller, mailbox, patch)
            .await
            .unwrap();
    };
    switch(false).await;
    drain(&mut dispatcher).await;
    assert_eq!(kinds(&receiver.take()), ["mailbox.updated"]);
    world.wait(TimeDelta::hours(1));
    drain(&mut dispatcher).await;
    assert_eq!(kinds(&receiver.take()), Vec::<String>::new());
    assert_eq!(messages.got().len(), 0);
    let rows = delivered(&world, &owner.caller, made.id).await;
    let waiting = rows.iter().filter(|row| row.status == DeliveryStatus::Pending);
    assert_eq!(waiting.count(), 6);
    switch(true).await;
    drain(&mut dispatcher).await;
    let mut got = kinds(&receiver.take());
    got.sort();
    let mut expected = vec!["mailbox.updated"];
    expected.extend(["message.received"; 6]);
    assert_eq!(got, expected, "everything, once");
    assert_eq!(messages.got().len(), 6, "also where nothing else is sent");
}

async fn a_dead_endpoint_delays_nobody_and_gets_four_at_once(backend: Backend) {
    let world = World::start(backend).await;
    let (mut acme, mut other) = (world.owner("acme").await, world.owner("other").await);
    let (dead, alive, elsewhere) = (
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let filter = || only(&[EventType::MessageReceived]);
    endpoint(&world, &acme.caller, &dead.url(), filter()).await;
    endpoint(&world, &acme.caller, &alive.url(), filter()).await;
    endpoint(&world, &other.caller, &elsewhere.url(), filter()).await;
    let held = dead.hold().await;
    let mut dispatcher = Dispatcher::new(world.app.clone());
    for uid in 1..=20 {
        let raw = letter(usize::try_from(uid).unwrap(), &[]);
        acme.store(&world, uid, &raw).await;
        other.store(&world, uid, &raw).await;
    }
    begin(&mut dispatcher).await;
    assert_eq!(dead.has(4).await.len(), 4);
    while alive.got().len() < 20 || elsewhere.got().len() < 20 {
        dispatcher.finish().await;
        begin(&mut dispatcher).await;
    }
    assert_eq!(dead.got().len(), 4, "no more than four before one was answered");
    drop(held);
    drain(&mut dispatcher).await;
    for receiver in [&dead, &alive, &elsewhere] {
        let mut ids: Vec<String> = receiver.got().iter().map(Got::id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!((ids.len(), receiver.got().len()), (20, 20));
    }
}

async fn promise_5_a_request_whose_sender_died_is_sent_again_with_its_id(backend: Backend) {
    let world = World::start(backend).await;
    let mut owner = world.owner("acme").await;
    let receiver = Receiver::start().await;
    let filter = only(&[EventType::MessageReceived]);
    let (made, _) = endpoint(&world, &owner.caller, &receiver.url(), filter).await;
    owner.store(&world, 1, &letter(1, &[])).await;
    let mut first = Dispatcher::new(world.app.clone());
    begin(&mut first).await;
    let got = receiver.has(1).await;
    // It dies with the answer in its hands: nothing is marked.
    drop(first);
    let mut second = Dispatcher::new(world.app.clone());
    world.wait(deliveries::LEASE - TimeDelta::seconds(1));
    drain(&mut second).await;
    assert_eq!(receiver.got().len(), 1, "it may still be on its way");
    world.wait(TimeDelta::seconds(1));
    drain(&mut second).await;
    let again = receiver.got();
    assert_eq!(again.len(), 2);
    assert_eq!((again[1].id(), &again[1].body), (got[0].id(), &got[0].body));
    let rows = delivered(&world, &owner.caller, made.id).await;
    assert_eq!((rows[0].status, rows[0].attempts), (DeliveryStatus::Succeeded, 1));

    // The only process of the embedded database frees at its start what it was sending when it ended.
    owner.store(&world, 2, &letter(2, &[])).await;
    begin(&mut second).await;
    receiver.has(3).await;
    drop(second);
    let mut third = Dispatcher::new(world.app.clone());
    deliveries::free(&world.app).await.unwrap();
    drain(&mut third).await;
    let count = if backend == Backend::Sqlite { 4 } else { 3 };
    assert_eq!(receiver.got().len(), count);
    // What an endpoint has missed while it was disabled is sent when it is enabled.
    let enabled = |enabled| EndpointPatch {
        enabled: Some(enabled),
        ..EndpointPatch::default()
    };
    world.wait(deliveries::LEASE);
    drain(&mut third).await;
    receiver.take();
    webhooks::update(&world.app, &owner.caller, made.id, enabled(false))
        .await
        .unwrap();
    owner.store(&world, 3, &letter(3, &[])).await;
    drain(&mut third).await;
    assert_eq!(receiver.take().len(), 0);
    webhooks::update(&world.app, &owner.caller, made.id, enabled(true))
        .await
        .unwrap();
    drain(&mut third).await;
    assert_eq!(receiver.take().len(), 1);
}
