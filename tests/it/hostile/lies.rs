//! Answers that are well formed and not true: what one says against another is not believed, and what was passed over
//! for it is fetched when the truth comes out.

use postroom::{mail::imap::StoreFlags, mail::imap::UidSet, model::mailbox::Mailbox};

use crate::{
    dovecot_sync::account::{World, letter},
    meddling::{Meddler, Meddling, login},
    sandbox::connected,
    support::gateway::{Backend, both, eventually},
};

mod on {
    use super::both;
    both!(
        dovecot_whose_inbox_is_refused_is_said_to_fail_while_the_others_are_synced,
        dovecot_that_finds_nothing_is_not_believed,
        dovecot_that_leaves_a_folder_out_of_its_list_loses_none,
        dovecot_that_refused_a_message_is_asked_for_it_again,
    );
}

const FROM: &str = "bela@example.net";

async fn filled(backend: Backend, inbox: usize, archive: usize) -> World {
    let mut world = World::start(backend).await;
    for number in 0..inbox {
        world.append("INBOX", &[], &letter(number, FROM, 500)).await;
    }
    for number in 0..archive {
        world
            .append("Archive", &[], &letter(100 + number, FROM, 500))
            .await;
    }
    world
}

fn counts(count: i64) -> impl Fn(&Mailbox) -> Option<i64> {
    move |mailbox| connected(mailbox).filter(|now| *now == count)
}

async fn dovecot_whose_inbox_is_refused_is_said_to_fail_while_the_others_are_synced(backend: Backend) {
    let world = filled(backend, 3, 2).await;
    let (meddler, port) = Meddler::before(world.server.imap_port()).await;
    meddler.set(|line| line.contains(" EXAMINE \"INBOX\"").then_some(Meddling::Refuse));
    let mailbox = world.gateway.connect(&world.tenant, login(port)).await;
    let failed = |mailbox: &Mailbox| mailbox.error.clone();
    let error = world.wait(mailbox.id, "said to fail", failed).await;
    assert_eq!(error.code, "command_refused");
    assert!(error.message.contains("EXAMINE"), "{}", error.message);
    assert_eq!(world.messages().await.len(), 2, "the other folder is there");
    meddler.set(|_| None);
    world.reconnect(mailbox.id).await;
    world.wait(mailbox.id, "in step", counts(5)).await;
    world.gateway.stop().await;
}

async fn dovecot_that_finds_nothing_is_not_believed(backend: Backend) {
    let mut world = filled(backend, 10, 0).await;
    let (meddler, port) = Meddler::before(world.server.imap_port()).await;
    // Without QRESYNC, so that it is by searching that expunges are found.
    let plain = |line: &str| line.contains(" ENABLE ").then_some(Meddling::Refuse);
    meddler.set(plain);
    let mailbox = world.gateway.connect(&world.tenant, login(port)).await;
    world.wait(mailbox.id, "in step", counts(10)).await;
    let known = world.messages().await;

    let searched = |line: &str| {
        line.contains(" UID SEARCH ")
            .then_some(Meddling::Answer("* SEARCH"))
    };
    let lying = move |line: &str| plain(line).or_else(|| searched(line));
    meddler.set(lying);
    world.open("INBOX").await;
    let second = UidSet::range(2, 2);
    world
        .session
        .uid_store(&second, StoreFlags::Add, &["\\Deleted"])
        .await
        .unwrap();
    world.session.uid_expunge(&second).await.unwrap();
    world.reconnect(mailbox.id).await;
    meddler.hit().await;
    assert_eq!(
        world.messages().await.len(),
        known.len(),
        "it counts nine and finds none: neither is believed"
    );
    meddler.set(plain);
    world.reconnect(mailbox.id).await;
    world.wait(mailbox.id, "one poorer", counts(9)).await;

    // New mail that is not found is passed over, and fetched when the count tells of it.
    meddler.set(lying);
    world.append("INBOX", &[], &letter(10, FROM, 500)).await;
    world.reconnect(mailbox.id).await;
    meddler.set(plain);
    world.reconnect(mailbox.id).await;
    world.wait(mailbox.id, "in step again", counts(10)).await;
    let now = world.messages().await;
    let lost = known
        .iter()
        .filter(|one| !now.iter().any(|other| other["id"] == one["id"]));
    let lost: Vec<_> = lost.map(|one| one["subject"].clone()).collect();
    assert_eq!(lost, ["Letter 1"], "what was expunged, and nothing else");
    assert!(
        now.iter().any(|message| message["subject"] == "Letter 10"),
        "it was passed over"
    );
    world.gateway.stop().await;
}

async fn dovecot_that_leaves_a_folder_out_of_its_list_loses_none(backend: Backend) {
    let world = filled(backend, 2, 3).await;
    let (meddler, port) = Meddler::before(world.server.imap_port()).await;
    let mailbox = world.gateway.connect(&world.tenant, login(port)).await;
    world.wait(mailbox.id, "in step", counts(5)).await;
    let listed = |line: &str| {
        line.contains(" LIST ")
            .then_some(Meddling::Answer("* LIST () \"/\" INBOX"))
    };
    meddler.set(listed);
    for _ in 0..3 {
        world.reconnect(mailbox.id).await;
    }
    assert_eq!(world.messages().await.len(), 5);
    assert!(world.folders(mailbox.id).await.contains_key("Archive"));
    world.gateway.stop().await;
}

async fn dovecot_that_refused_a_message_is_asked_for_it_again(backend: Backend) {
    let mut world = filled(backend, 5, 0).await;
    let (meddler, port) = Meddler::before(world.server.imap_port()).await;
    let third = |line: &str| {
        let set = line
            .split(' ')
            .nth(3)
            .and_then(|set| UidSet::parse(set.as_bytes()));
        let bytes = line.contains(" UID FETCH ") && line.contains("BODY.PEEK[");
        (bytes && set.is_some_and(|set| set.contains(3))).then_some(Meddling::Refuse)
    };
    meddler.set(third);
    let mailbox = world.gateway.connect(&world.tenant, login(port)).await;
    world.wait(mailbox.id, "one short", counts(4)).await;
    // As long as it is refused, asking again changes nothing, and nothing waits for it.
    world.reconnect(mailbox.id).await;
    world.append("INBOX", &[], &letter(5, FROM, 500)).await;
    world.wait(mailbox.id, "one short", counts(5)).await;
    meddler.set(|_| None);
    world.reconnect(mailbox.id).await;
    world.wait(mailbox.id, "whole", counts(6)).await;
    let whole = eventually(async || {
        let message = world.by_subject("Letter 2").await?;
        (message["truncated"] == false).then_some(())
    });
    assert!(whole.await.is_some(), "it is stored as it is");
    // Nothing lies aside any more: an expunge is believed at once, and the counts agree.
    world.open("INBOX").await;
    let third = UidSet::range(3, 3);
    world
        .session
        .uid_store(&third, StoreFlags::Add, &["\\Deleted"])
        .await
        .unwrap();
    world.session.uid_expunge(&third).await.unwrap();
    world.wait(mailbox.id, "one poorer", counts(5)).await;
    world.gateway.stop().await;
}
