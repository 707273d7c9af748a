//! The whole path on the sandbox server: connect, first sync, threads, live changes, over the same protocol as anything.

use postroom::{
    model::{
        clock::Clock,
        mailbox::{Mailbox, Security},
        state::State,
    },
    sandbox::{Account, Sandbox, story},
};
use tokio_util::sync::CancellationToken;

use crate::support::gateway::{Backend, Gateway, Login, both, eventually};

mod on {
    use super::both;
    both!(the_story_is_synced_and_followed);
}

/// A sandbox that serves on a loopback port, and its port.
pub(crate) async fn serve() -> (Sandbox, u16, CancellationToken) {
    let clock = Clock::system();
    let now = clock.now();
    let sandbox = Sandbox::new(clock);
    sandbox.add_account(Account {
        username: story::ADDRESS.to_owned(),
        password: "secret".to_owned().into(),
    });
    story::populate(&sandbox, story::ADDRESS, now).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = CancellationToken::new();
    tokio::spawn(sandbox.clone().serve(listener, None, stop.clone()));
    (sandbox, port, stop)
}

/// The sandbox's own login.
pub(crate) const fn login(port: u16) -> Login<'static> {
    Login {
        address: story::ADDRESS,
        host: "127.0.0.1",
        port,
        security: Security::None,
        username: story::ADDRESS,
        password: "secret",
    }
}

pub(crate) fn connected(mailbox: &Mailbox) -> Option<i64> {
    (mailbox.state() == State::Connected).then_some(mailbox.message_count)
}

async fn the_story_is_synced_and_followed(backend: Backend) {
    let (sandbox, port, _stop) = serve().await;
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let mailbox = gateway.connect(&tenant, login(port)).await;
    let count = gateway
        .wait_for(&tenant, mailbox.id, "connected", connected)
        .await;
    assert_eq!(count, 92, "the story has 92 messages");

    let threads = gateway.get(&tenant.key, "/v1/threads?limit=200").await;
    let contract = threads["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|thread| thread["message_count"] == 9);
    assert!(contract.is_some(), "the contract's thread has 9 messages");

    let found = eventually(async || {
        let page = gateway.get(&tenant.key, "/v1/messages?q=agreement").await;
        let data = page["data"].as_array().unwrap().clone();
        (!data.is_empty()).then_some(data)
    });
    assert!(found.await.is_some(), "the index finds the agreement");

    let now = Clock::system().now();
    let (folder, raw) = story::next_message(0, now);
    sandbox.append(story::ADDRESS, folder, &[], now, &raw).unwrap();
    let more = |mailbox: &Mailbox| (mailbox.message_count == count + 1).then_some(());
    gateway
        .wait_for(&tenant, mailbox.id, "one message richer", more)
        .await;
    gateway.stop().await;
}
