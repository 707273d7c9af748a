//! What Plannr's webhook subscriptions are sent: an envelope of their own, signed with `X-Signature`, of what they name.

use chrono::TimeDelta;
use postroom::{
    model::{
        endpoint_form::EndpointForm,
        mailbox::MailboxPatch,
        patch::Patch,
        webhook::{Endpoint, EndpointFilter, NewEndpoint},
    },
    service::{mailboxes, subscriptions, webhooks},
    worker::deliver::Dispatcher,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    drain, endpoint,
    receiver::{Got, Receiver},
};
use crate::{
    support::gateway::{Backend, both},
    sweep::world::{Owner, World, letter},
    world::id,
};

mod on {
    use super::both;
    both!(
        a_subscription_is_sent_plannrs_envelope_signed_by_its_newest_secret,
        a_subscription_hears_of_what_it_names_and_of_nothing_else,
    );
}

/// A subscription to these events at this URL.
async fn subscription(world: &World, owner: &Owner, url: &str, events: &[&str]) -> (Endpoint, SecretString) {
    let new = NewEndpoint {
        url: url.to_owned(),
        description: None,
        filter: EndpointFilter::default(),
        form: EndpointForm::Plannr {
            events: events.iter().map(|name| (*name).to_owned()).collect(),
        },
    };
    webhooks::create(&world.app, &owner.caller, new).await.unwrap()
}

/// HMAC-SHA256 by its definition (RFC 2104, section 2), in hexadecimal digits.
fn hmac(secret: &SecretString, body: &[u8]) -> String {
    let mut key = [0_u8; 64];
    let secret = secret.expose_secret().as_bytes();
    key[..secret.len()].copy_from_slice(secret);
    let padded = |with: u8| key.map(|byte| byte ^ with);
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(body)
        .finalize();
    let outer = Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize();
    outer
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat()
}

fn signature(got: &Got) -> &str {
    got.headers["x-signature"].to_str().unwrap()
}

fn names(got: &[Got]) -> Vec<String> {
    let name = |got: &Got| got.json()["event"].as_str().unwrap().to_owned();
    got.iter().map(name).collect()
}

/// Changes the name of the owner's mailbox, which is one event.
async fn rename(world: &World, owner: &Owner, name: &str) {
    let patch = MailboxPatch {
        name: Patch::Value(name.to_owned()),
        ..MailboxPatch::default()
    };
    let mailbox = owner.fence.mailbox;
    mailboxes::update(&world.app, &owner.caller, mailbox, patch)
        .await
        .unwrap();
}

/// A repeat has the same id and body, and the subscription shows when it was.
async fn is_repeated(
    world: &World,
    owner: &Owner,
    receiver: &Receiver,
    dispatcher: &mut Dispatcher,
    (made, secret): (&Endpoint, &SecretString),
    got: &Got,
) {
    world.wait(TimeDelta::hours(1));
    receiver.answers(500, &[], "no");
    webhooks::replay(&world.app, &owner.caller, made.id, made.created_at)
        .await
        .unwrap();
    drain(dispatcher).await;
    let again = receiver.take();
    assert_eq!((again[0].id(), &again[0].body), (got.id(), &got.body));
    let (shown, opened) = subscriptions::get(&world.app, &owner.caller, made.id)
        .await
        .unwrap();
    assert_eq!(
        shown.last_attempt_at,
        Some(world.app.clock.shared()),
        "it was refused, and sent"
    );
    assert_eq!(opened.expose_secret(), secret.expose_secret());
    receiver.answers(200, &[], "taken");
}

async fn a_subscription_is_sent_plannrs_envelope_signed_by_its_newest_secret(backend: Backend) {
    let world = World::start(backend).await;
    let mut owner = world.owner("acme").await;
    let receiver = Receiver::start().await;
    let events = ["message.received", "mailbox.updated"];
    let (made, secret) = subscription(&world, &owner, &receiver.url(), &events).await;
    let mut dispatcher = Dispatcher::new(world.app.clone());
    owner.store(&world, 1, &letter(1, &[])).await;
    drain(&mut dispatcher).await;
    let got = receiver.take();
    assert_eq!(names(&got), ["message.received"]);
    assert_eq!(signature(&got[0]), hmac(&secret, &got[0].body));
    assert_eq!(got[0].headers["content-type"], "application/json");
    assert!(got[0].headers.contains_key("traceparent"));
    assert!(!got[0].headers.contains_key("webhook-signature"));
    let json = got[0].json();
    let mut fields: Vec<&String> = json.as_object().unwrap().keys().collect();
    fields.sort_unstable();
    assert_eq!(fields, ["created_at", "data", "event", "uuid"]);
    assert_eq!(json["uuid"].as_str().unwrap(), got[0].id());
    assert!(json["created_at"].as_str().unwrap().ends_with("+00:00"));
    let data = &json["data"];
    assert_eq!(data["subject"], "Letter 1");
    assert_eq!(id(&data["mailbox"]["uuid"]), owner.fence.mailbox);
    assert_eq!(data["participants"][0]["type"], "from");
    let link = format!("/api/v1/mailboxes/message/{}", id(&data["uuid"]));
    assert!(data["url"].as_str().unwrap().ends_with(&link));
    assert!(data.get("text").is_none() && data.get("html").is_none());

    is_repeated(
        &world,
        &owner,
        &receiver,
        &mut dispatcher,
        (&made, &secret),
        &got[0],
    )
    .await;

    // After a rotation there is one signature, by the new secret.
    let (_, newest) = webhooks::rotate(&world.app, &owner.caller, made.id)
        .await
        .unwrap();
    rename(&world, &owner, "Desk").await;
    drain(&mut dispatcher).await;
    let got = receiver.take();
    let changed = got
        .iter()
        .find(|got| got.json()["event"] == "mailbox.updated")
        .unwrap();
    assert_eq!(signature(changed), hmac(&newest, &changed.body));
    let expected = json!({
        "uuid": owner.fence.mailbox, "email": "acme@example.org", "previous_state": null, "state": null,
    });
    assert_eq!(changed.json()["data"], expected);
    webhooks::test(&world.app, &owner.caller, made.id).await.unwrap();
    drain(&mut dispatcher).await;
    let got = receiver.take();
    assert_eq!(
        (names(&got), &got[0].json()["data"]),
        (vec!["ping".to_owned()], &json!({}))
    );
}

async fn a_subscription_hears_of_what_it_names_and_of_nothing_else(backend: Backend) {
    let world = World::start(backend).await;
    let (mut owner, mut other) = (world.owner("acme").await, world.owner("other").await);
    let receivers = [
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    ];
    let [mail, nothing, all] = &receivers;
    let (made, _) = subscription(&world, &owner, &mail.url(), &["message.received"]).await;
    subscription(
        &world,
        &owner,
        &nothing.url(),
        &["account.created", "case.updated"],
    )
    .await;
    let (standard, _) = endpoint(&world, &owner.caller, &all.url(), EndpointFilter::default()).await;
    let mut dispatcher = Dispatcher::new(world.app.clone());
    owner.store(&world, 1, &letter(1, &[])).await;
    other.store(&world, 1, &letter(1, &[])).await;
    rename(&world, &owner, "Desk").await;
    drain(&mut dispatcher).await;
    assert_eq!(names(&mail.take()), ["message.received"]);
    assert_eq!(nothing.take().len(), 0);
    let mut kinds: Vec<String> = all.take().iter().map(Got::kind).collect();
    kinds.sort();
    assert_eq!(kinds, ["mailbox.updated", "message.received"]);
    let shown = webhooks::get(&world.app, &owner.caller, standard.id)
        .await
        .unwrap();
    assert_eq!(shown.last_attempt_at, Some(world.app.clock.shared()));

    let events = vec!["mailbox.updated".to_owned(), "task.created".to_owned()];
    let updated = subscriptions::update(&world.app, &owner.caller, made.id, events).await;
    assert_eq!(updated.unwrap().0.last_attempt_at, Some(world.app.clock.shared()));
    owner.store(&world, 2, &letter(2, &[])).await;
    rename(&world, &owner, "Bell").await;
    drain(&mut dispatcher).await;
    assert_eq!(names(&mail.take()), ["mailbox.updated"]);
    assert_eq!(nothing.take().len(), 0);
}
