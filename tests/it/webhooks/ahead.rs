//! What is taken ahead for an endpoint that answers quickly: no more than that is on the wire for it.

use postroom::{
    model::{
        event::EventType,
        webhook::{DeliveryStatus, IN_FLIGHT},
    },
    service::deliveries::{self, AHEAD, Done, Taken, Turn},
    store::DueDelivery,
    worker::deliver::Dispatcher,
};
use uuid::Uuid;

use super::{begin, delivered, drain, endpoint, only, receiver::Receiver};
use crate::{
    support::gateway::{Backend, both},
    sweep::world::{Owner, World, letter},
};

mod on {
    use super::both;
    both!(
        the_only_sender_takes_ahead_and_one_of_two_does_not,
        what_is_taken_ahead_waits_for_the_wire_and_is_given_back,
        what_is_taken_ahead_is_not_sent_behind_failures,
    );
}

/// A tenant whose endpoint waits for so many new messages.
async fn waiting(world: &World, receiver: &Receiver, count: usize) -> (Owner, Uuid) {
    let mut owner = world.owner("acme").await;
    let filter = only(&[EventType::MessageReceived]);
    let (made, _) = endpoint(world, &owner.caller, &receiver.url(), filter).await;
    for number in 1..=count {
        let uid = i64::try_from(number).unwrap();
        owner.store(world, uid, &letter(number, &[])).await;
    }
    (owner, made.id)
}

async fn turn(
    world: &World,
    owner: &Owner,
    endpoint: Uuid,
    returned: Vec<DueDelivery>,
    held: usize,
) -> Taken {
    let turn = Turn {
        endpoint,
        done: Done {
            sent: Vec::new(),
            returned,
        },
        held,
        room: AHEAD,
    };
    deliveries::turns(&world.app, owner.tenant, vec![turn])
        .await
        .unwrap()
}

async fn the_only_sender_takes_ahead_and_one_of_two_does_not(backend: Backend) {
    let world = World::start(backend).await;
    let receiver = Receiver::start().await;
    let (owner, made) = waiting(&world, &receiver, AHEAD + 2).await;
    deliveries::spread(&world.app, owner.tenant).await.unwrap();
    let jobs = turn(&world, &owner, made, Vec::new(), 0).await.jobs;
    assert_eq!(jobs.len(), AHEAD);
    let more = turn(&world, &owner, made, Vec::new(), AHEAD).await.jobs;
    assert!(more.is_empty(), "they are not sent yet");
    let returned = jobs[1..].iter().map(|job| job.taken).collect();
    let other = turn(&world, &owner, made, returned, 0).await;
    assert_eq!(other.jobs.len(), IN_FLIGHT - 1, "another has one on the wire");
}

async fn what_is_taken_ahead_waits_for_the_wire_and_is_given_back(backend: Backend) {
    let world = World::start(backend).await;
    let receiver = Receiver::start().await;
    let count = 4 * IN_FLIGHT;
    let (owner, made) = waiting(&world, &receiver, count).await;
    let mut dispatcher = Dispatcher::new(world.app.clone());
    begin(&mut dispatcher).await;
    while dispatcher.is_sending() {
        dispatcher.finish().await;
    }
    let told = receiver.got().len();
    assert_eq!(told, IN_FLIGHT, "nothing is known of it");
    let held = receiver.hold().await;
    begin(&mut dispatcher).await;
    receiver.has(told + IN_FLIGHT).await;
    dispatcher.give_back();
    dispatcher.record().await.unwrap();
    let rows = delivered(&world, &owner.caller, made).await;
    let sending = rows.iter().filter(|row| row.status == DeliveryStatus::Sending);
    assert_eq!(sending.count(), IN_FLIGHT, "the others are given back");
    drop(held);
    drain(&mut dispatcher).await;
    let rows = delivered(&world, &owner.caller, made).await;
    assert!(rows.iter().all(|row| row.status == DeliveryStatus::Succeeded));
    assert_eq!((rows.len(), receiver.got().len()), (count, count), "each once");
}

async fn what_is_taken_ahead_is_not_sent_behind_failures(backend: Backend) {
    let world = World::start(backend).await;
    let receiver = Receiver::start().await;
    let (owner, made) = waiting(&world, &receiver, 6 * IN_FLIGHT).await;
    let mut dispatcher = Dispatcher::new(world.app.clone());
    begin(&mut dispatcher).await;
    while dispatcher.is_sending() {
        dispatcher.finish().await;
    }
    assert_eq!(receiver.take().len(), IN_FLIGHT);
    receiver.answers(500, &[], "");
    drain(&mut dispatcher).await;
    // The fifth failure opens the circuit, as ever; it may have company on the wire.
    let failed = receiver.take().len();
    assert!((5..=2 * IN_FLIGHT).contains(&failed), "{failed} requests failed");
    let rows = delivered(&world, &owner.caller, made).await;
    let waiting = rows.iter().filter(|row| row.status == DeliveryStatus::Pending);
    assert_eq!(waiting.count(), 5 * IN_FLIGHT, "none is lost");
}
