//! The sync against Dovecot: what only its own tools can make happen.

#[path = "dovecot_sync/account.rs"]
pub(crate) mod account;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde_json::Value;

use self::account::{USER, World, letter, log_in};
use crate::{
    sandbox::connected,
    support::gateway::{Backend, both, eventually},
};

mod on {
    use super::both;
    both!(dovecot_with_a_new_uidvalidity_loses_nothing_and_keeps_ids);
}

const FLAGS: [&[&str]; 3] = [&[], &["\\Seen"], &["\\Seen", "\\Answered"]];

async fn dovecot_with_a_new_uidvalidity_loses_nothing_and_keeps_ids(backend: Backend) {
    let mut world = World::start(backend).await;
    for number in 0..60 {
        world
            .append(
                "INBOX",
                FLAGS[number % 3],
                &letter(number, "bela@example.net", 200 + number * 40),
            )
            .await;
    }
    // Two that metadata cannot tell apart: the same Message-ID, size and INTERNALDATE, other bytes.
    for name in ["one", "two"] {
        world
            .append("INBOX", &[], &letter(99, &format!("{name}@example.net"), 0))
            .await;
    }
    let mailbox = world.connect().await;
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 62);
    let ids = |messages: &[Value]| -> HashSet<String> {
        messages
            .iter()
            .map(|message| message["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let before = world.messages().await;
    let created = |messages: &[Value]| -> DateTime<Utc> {
        let times = messages
            .iter()
            .map(|message| message["created_at"].as_str().unwrap().parse().unwrap());
        times.max().unwrap()
    };

    world
        .server
        .doveadm(&["mailbox", "update", "-u", USER, "--uid-validity", "4242", "INBOX"]);
    world.reconnect(mailbox.id).await;
    let inbox = world.folders(mailbox.id).await["INBOX"].clone();
    assert_eq!(
        (&inbox["uid_validity"], &inbox["message_count"]),
        (&Value::from(4242), &Value::from(62))
    );
    let after = world.messages().await;
    assert_eq!(ids(&after), ids(&before));
    assert_eq!(created(&after), created(&before), "nothing was stored anew");
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 62);

    new_generation_is_followed(&mut world).await;
    world.gateway.stop().await;
}

/// The new generation is followed like the one before.
async fn new_generation_is_followed(world: &mut World) {
    world.session = log_in(&world.server, USER).await;
    world.open("INBOX").await;
    let all = world.session.search_uids(1, u32::MAX).await.unwrap();
    let first = all.first().unwrap();
    world.expunge("INBOX", first, first).await;
    world.deliver("INBOX", [100]).await;
    let followed = eventually(async || {
        let gone = world.by_subject("Letter 0").await.is_none();
        (gone && world.by_subject("Letter 100").await.is_some()).then_some(())
    });
    assert!(followed.await.is_some());
}
