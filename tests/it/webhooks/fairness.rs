//! Who waits for whom: tenants take turns, and those whose endpoints hang delay nobody else.

use postroom::{
    model::{event::EventType, webhook::IN_FLIGHT},
    worker::deliver::{Dispatcher, OF_TENANT},
};

use super::{begin, drain, endpoint, only, receiver::Receiver};
use crate::{
    support::gateway::{Backend, both},
    sweep::world::{Owner, World, letter},
};

mod on {
    use super::both;
    both!(
        a_tenant_whose_endpoints_hang_delays_nobody_else,
        however_many_tenants_hang_there_is_room_for_another,
        a_long_log_of_one_tenant_is_looked_at_by_turns,
    );
}

/// A tenant with so many endpoints there that hear of new messages.
async fn tenant(world: &World, name: &str, receiver: &Receiver, endpoints: usize) -> Owner {
    let owner = world.owner(name).await;
    for _ in 0..endpoints {
        let filter = only(&[EventType::MessageReceived]);
        endpoint(world, &owner.caller, &receiver.url(), filter).await;
    }
    owner
}

async fn store(world: &World, owner: &mut Owner, count: usize) {
    for number in 1..=count {
        let uid = i64::try_from(number).unwrap();
        owner.store(world, uid, &letter(number, &[])).await;
    }
}

async fn a_tenant_whose_endpoints_hang_delays_nobody_else(backend: Backend) {
    let world = World::start(backend).await;
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    let mut big = tenant(&world, "big", &slow, 12).await;
    let mut small = Vec::new();
    for number in 0..6 {
        small.push(tenant(&world, &format!("small{number}"), &quick, 1).await);
    }
    let held = slow.hold().await;
    store(&world, &mut big, 6).await;
    let mut dispatcher = Dispatcher::new(world.app.clone());
    begin(&mut dispatcher).await;
    assert_eq!(slow.has(OF_TENANT).await.len(), OF_TENANT);
    // They hang when the others' mail comes, of each more than an endpoint gets at once.
    for owner in &mut small {
        store(&world, owner, IN_FLIGHT + 1).await;
    }
    begin(&mut dispatcher).await;
    let all = small.len() * (IN_FLIGHT + 1);
    while quick.got().len() < all {
        dispatcher.finish().await;
        begin(&mut dispatcher).await;
    }
    assert_eq!(quick.got().len(), all);
    assert_eq!(slow.got().len(), OF_TENANT, "no more of one tenant");
    drop(held);
    drain(&mut dispatcher).await;
    assert_eq!(slow.got().len(), 12 * 6);
}

async fn however_many_tenants_hang_there_is_room_for_another(backend: Backend) {
    let world = World::start(backend).await;
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    let held = slow.hold().await;
    let mut dispatcher = Dispatcher::new(world.app.clone());
    // Each would fill its share, and their shares together would be all there is.
    for number in 0..18 {
        let mut owner = tenant(&world, &format!("slow{number}"), &slow, 8).await;
        store(&world, &mut owner, IN_FLIGHT).await;
    }
    begin(&mut dispatcher).await;
    let mut late = tenant(&world, "late", &quick, 1).await;
    store(&world, &mut late, 1).await;
    begin(&mut dispatcher).await;
    assert_eq!(quick.has(1).await.len(), 1);
    drop(held);
    drain(&mut dispatcher).await;
    assert_eq!(slow.got().len(), 18 * 8 * IN_FLIGHT);
}

async fn a_long_log_of_one_tenant_is_looked_at_by_turns(backend: Backend) {
    let world = World::start(backend).await;
    let (one, two) = (Receiver::start().await, Receiver::start().await);
    let mut long = tenant(&world, "long", &one, 1).await;
    for _ in 0..99 {
        let filter = only(&[EventType::MailboxDeleted]);
        endpoint(&world, &long.caller, &one.url(), filter).await;
    }
    let mut short = tenant(&world, "short", &two, 1).await;
    // With a hundred endpoints fifty events are looked at together.
    store(&world, &mut long, 60).await;
    store(&world, &mut short, 1).await;
    let held = one.hold().await;
    let mut dispatcher = Dispatcher::new(world.app.clone());
    begin(&mut dispatcher).await;
    assert!(dispatcher.has_news(), "there is more to look at");
    assert_eq!(two.has(1).await.len(), 1, "another's comes in between");
    drop(held);
    drain(&mut dispatcher).await;
    assert!(!dispatcher.has_news());
    assert_eq!(one.got().len(), 60);
}
