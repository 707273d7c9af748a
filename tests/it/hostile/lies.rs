//! Answers that are well formed and not true: what one says against another is not believed, and what was passed over
//! for it is fetched when the truth comes out.

use postroom::{mail::imap::UidSet, model::mailbox::Mailbox};
use serde_json::Value;

use crate::{
    dovecot_sync::account::{World, login},
    meddling::{Meddler, Meddling},
    sandbox::connected,
    support::gateway::{Backend, both, eventually},
};

mod on {
    use super::both;
    both!(
        dovecot_whose_inbox_is_refused_is_said_to_fail_while_the_others_are_synced,
        dovecot_that_finds_nothing_is_not_believed,
        dovecot_that_never_finds_one_message_is_believed_about_what_its_numbering_proves,
        dovecot_that_leaves_a_folder_out_of_its_list_loses_none,
        dovecot_that_refused_a_message_is_asked_for_it_again,
    );
}

async fn filled(backend: Backend, inbox: usize, archive: usize) -> World {
    let mut world = World::start(backend).await;
    world.deliver("INBOX", 0..inbox).await;
    world.deliver("Archive", 100..100 + archive).await;
    world
}

/// Without QRESYNC, so that it is by searching that expunges are found.
fn plain(line: &str) -> Option<Meddling> {
    line.contains(" ENABLE ").then_some(Meddling::Refuse)
}

/// The same, and what is searched for is answered with this.
fn searched(line: &str, answer: &'static str) -> Option<Meddling> {
    let lie = || line.contains(" UID SEARCH ").then_some(Meddling::Answer(answer));
    plain(line).or_else(lie)
}

/// This is done when the folder's numbering is asked for.
fn numbered(line: &str, meddling: Meddling) -> Option<Meddling> {
    line.ends_with(" UID FETCH 1:* (UID)").then_some(meddling)
}

/// The subjects of those of these messages that are not there any more, sorted.
async fn lost(world: &World, known: &[Value]) -> Vec<String> {
    let now = world.messages().await;
    let lost = known
        .iter()
        .filter(|one| !now.iter().any(|other| other["id"] == one["id"]));
    let mut subjects: Vec<String> = lost
        .map(|one| one["subject"].as_str().unwrap().to_owned())
        .collect();
    subjects.sort_unstable();
    subjects
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
    meddler.set(plain);
    let mailbox = world.gateway.connect(&world.tenant, login(port)).await;
    world.wait(mailbox.id, "in step", counts(10)).await;
    let known = world.messages().await;

    let lying = |line: &str, told| searched(line, "* SEARCH").or_else(|| numbered(line, told));
    meddler.set(move |line| lying(line, Meddling::Answer("* OK No rows.")));
    world.expunge("INBOX", 2, 2).await;
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
    meddler.set(move |line| lying(line, Meddling::Refuse));
    world.deliver("INBOX", [10]).await;
    world.reconnect(mailbox.id).await;
    meddler.set(plain);
    world.reconnect(mailbox.id).await;
    world.wait(mailbox.id, "in step again", counts(10)).await;
    assert_eq!(
        lost(&world, &known).await,
        ["Letter 1"],
        "what was expunged, and nothing else"
    );
    assert!(
        world.by_subject("Letter 10").await.is_some(),
        "it was passed over"
    );
    world.gateway.stop().await;
}

async fn dovecot_that_never_finds_one_message_is_believed_about_what_its_numbering_proves(backend: Backend) {
    let mut world = filled(backend, 30, 0).await;
    let (meddler, port) = Meddler::before(world.server.imap_port()).await;
    // The third message is never found: it is fetched all the same, because it is counted and there are rows of it.
    meddler.set(|line| searched(line, "* ESEARCH UID ALL 1:2,4:30"));
    let mailbox = world.gateway.connect(&world.tenant, login(port)).await;
    world.wait(mailbox.id, "connected", connected).await;
    world.reconnect(mailbox.id).await;
    world.wait(mailbox.id, "whole", counts(30)).await;
    let known = world.messages().await;
    // It is not taken for gone when another one is.
    meddler.set(|line| searched(line, "* ESEARCH UID ALL 1,4:30"));
    world.expunge("INBOX", 2, 2).await;
    world.reconnect(mailbox.id).await;
    world.wait(mailbox.id, "one poorer", counts(29)).await;
    assert_eq!(lost(&world, &known).await, ["Letter 1"]);

    // Neither is there a row of it now, nor of those behind the seventh. They are counted, and there are numbers for them; but
    // none for the sixth.
    meddler.set(|line| {
        let rows = "* 1 FETCH (UID 1)\r\n* 3 FETCH (UID 4)\r\n* 4 FETCH (UID 5)\r\n* 5 FETCH (UID 7)";
        searched(line, "* ESEARCH UID ALL 1,4:5,7").or_else(|| numbered(line, Meddling::Answer(rows)))
    });
    world.expunge("INBOX", 6, 6).await;
    world.reconnect(mailbox.id).await;
    world.wait(mailbox.id, "two poorer", counts(28)).await;
    assert_eq!(lost(&world, &known).await, ["Letter 1", "Letter 5"]);
    // As long as that is so, it stays.
    world.reconnect(mailbox.id).await;
    assert_eq!(lost(&world, &known).await, ["Letter 1", "Letter 5"]);

    // Most of them are gone: that is looked at on a second connection before it is believed, and by rows there too.
    meddler.set(|line| searched(line, "* ESEARCH UID ALL 1,4:5,7:8"));
    let dials = meddler.dials();
    world.expunge("INBOX", 9, 30).await;
    world.wait(mailbox.id, "almost empty", counts(6)).await;
    assert_eq!(meddler.dials(), dials + 1);
    assert!(world.by_subject("Letter 2").await.is_some());
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
    world.deliver("INBOX", [5]).await;
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
    world.expunge("INBOX", 3, 3).await;
    world.wait(mailbox.id, "one poorer", counts(5)).await;
    world.gateway.stop().await;
}
