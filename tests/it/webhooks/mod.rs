//! Webhooks: endpoints, what they are sent and how it is signed, when it is tried again, and who waits for whom.
//!
//! Requests go to a receiver of the test's own; the clock stands until the test moves it, and what the worker's loop does is
//! done step by step, so that nothing sleeps.

mod ahead;
mod delivery;
mod endpoints;
mod fairness;
mod guard;
mod nodes;
mod plannr;
mod plannr_delivery;
pub(crate) mod receiver;
mod trouble;

use postroom::{
    model::{
        caller::Caller,
        endpoint_form::EndpointForm,
        event::EventType,
        page::PageRequest,
        webhook::{Delivery, DeliveryFilter, Endpoint, EndpointFilter, NewEndpoint},
    },
    service::{deliveries, webhooks},
    worker::deliver::Dispatcher,
};
use secrecy::SecretString;
use uuid::Uuid;

use crate::sweep::world::World;

/// An endpoint at this URL.
async fn endpoint(
    world: &World,
    caller: &Caller,
    url: &str,
    filter: EndpointFilter,
) -> (Endpoint, SecretString) {
    let new = NewEndpoint {
        url: url.to_owned(),
        description: None,
        filter,
        form: EndpointForm::Standard,
    };
    let made = webhooks::create(&world.app, caller, new).await;
    made.unwrap_or_else(|error| panic!("{error:?}"))
}

/// Events of these types.
fn only(kinds: &[EventType]) -> EndpointFilter {
    EndpointFilter {
        kinds: kinds.to_vec(),
        ..EndpointFilter::default()
    }
}

/// Sends all that can be sent now, and what follows from it.
async fn drain(dispatcher: &mut Dispatcher) {
    loop {
        begin(dispatcher).await;
        if !dispatcher.is_sending() {
            // What was marked last may be news itself.
            begin(dispatcher).await;
        }
        if dispatcher.is_sending() {
            dispatcher.finish().await;
        } else if !dispatcher.has_news() {
            return;
        }
    }
}

/// Begins to send what can be sent now.
async fn begin(dispatcher: &mut Dispatcher) {
    dispatcher
        .look()
        .await
        .unwrap_or_else(|error| panic!("{error:?}"));
    dispatcher
        .start()
        .await
        .unwrap_or_else(|error| panic!("{error:?}"));
}

/// The deliveries to an endpoint, oldest first.
async fn delivered(world: &World, caller: &Caller, endpoint: Uuid) -> Vec<Delivery> {
    let filter = DeliveryFilter {
        endpoint: Some(endpoint),
        status: None,
    };
    let page = deliveries::list(&world.app, caller, filter, PageRequest::first()).await;
    let mut rows = page.unwrap().data;
    rows.reverse();
    rows
}
