//! Every kind of change makes exactly one event, in the transaction of the change; what is no change makes none.

use postroom::{
    model::{
        caller::Visibility,
        event::{Event, EventFilter, EventOrder, EventPageRequest, EventPosition, EventType},
        folder::FlagUpdate,
        mailbox::MailboxPatch,
        patch::Patch,
        state::{Signal, State},
    },
    service::{
        events, mailboxes,
        sync::{self, Found, Report},
    },
};

use crate::{
    crash::fence::arrival,
    support::gateway::{Backend, both},
    sweep::world::{Owner, World, letter},
};

mod on {
    use super::both;
    both!(
        promise_5_every_kind_of_change_makes_exactly_one_event,
        a_first_backfill_announces_nothing_and_what_comes_after_it_is_announced,
        what_is_rolled_back_has_no_event,
    );
}

/// Everything that follows a place.
async fn since(world: &World, owner: &Owner, after: EventPosition) -> Vec<Event> {
    let page = EventPageRequest {
        limit: 200,
        order: EventOrder::Ascending,
        after: Some(after),
    };
    let page = events::list(&world.app, &owner.caller, EventFilter::default(), page).await;
    page.unwrap_or_else(|error| panic!("{error:?}")).data
}

/// What was written since the last look, of which kinds; the numbers go on without a gap.
struct Watch {
    place: EventPosition,
    sequence: i64,
}

impl Watch {
    async fn saw(&mut self, world: &World, owner: &Owner, expected: &[EventType]) -> Vec<Event> {
        let events = since(world, owner, self.place).await;
        let kinds: Vec<EventType> = events.iter().map(|event| event.kind).collect();
        assert_eq!(kinds, expected, "{events:#?}");
        for event in &events {
            self.sequence += 1;
            assert_eq!(event.sequence, Some(self.sequence));
            assert_eq!(event.mailbox.as_ref().unwrap().id, owner.fence.mailbox);
            assert_eq!(event.position.0, self.place.0 + 1);
            self.place = event.position;
        }
        events
    }
}

fn named(name: &str) -> MailboxPatch {
    MailboxPatch {
        name: Patch::Value(name.to_owned()),
        ..MailboxPatch::default()
    }
}

async fn report(world: &World, owner: &Owner, report: Report) {
    sync::report(&world.app, owner.fence, report).await.unwrap();
}

fn failed(code: &str) -> Report {
    Report {
        problem: Some((code.to_owned(), "It does not answer.".to_owned())),
        ..Report::of(Signal::Failed)
    }
}

async fn flag(world: &World, owner: &Owner, uid: i64, flags: &[&str]) {
    let update = FlagUpdate {
        uid,
        flags: flags.iter().map(ToString::to_string).collect(),
        label_folders: None,
    };
    sync::apply_flags(&world.app, owner.fence, owner.folder.clone(), vec![update])
        .await
        .unwrap();
}

async fn promise_5_every_kind_of_change_makes_exactly_one_event(backend: Backend) {
    let world = World::start(backend).await;
    let mut owner = world.owner("acme").await;
    let mut watch = Watch {
        place: EventPosition::START,
        sequence: 0,
    };
    watch.saw(&world, &owner, &[EventType::MailboxCreated]).await;

    connection(&world, &owner, &mut watch).await;
    messages(&world, &mut owner, &mut watch).await;

    failures(&world, &owner, &mut watch).await;

    // What its tenant does.
    let (app, caller, id) = (&world.app, &owner.caller, owner.fence.mailbox);
    mailboxes::update(app, caller, id, named("Desk")).await.unwrap();
    watch.saw(&world, &owner, &[EventType::MailboxUpdated]).await;
    mailboxes::update(app, caller, id, named("Desk")).await.unwrap();
    watch.saw(&world, &owner, &[]).await;
    for enabled in [false, true] {
        let switch = MailboxPatch {
            enabled: Some(enabled),
            ..MailboxPatch::default()
        };
        mailboxes::update(app, caller, id, switch).await.unwrap();
        let both = [EventType::MailboxUpdated, EventType::MailboxStateChanged];
        watch.saw(&world, &owner, &both).await;
    }
    mailboxes::reconnect(app, caller, id).await.unwrap();
    watch.saw(&world, &owner, &[]).await;
    mailboxes::delete(app, caller, id).await.unwrap();
    let events = watch.saw(&world, &owner, &[EventType::MailboxDeleted]).await;
    assert_eq!(events[0].mailbox.as_ref().unwrap().address, "acme@example.org");
}

/// It is dialled, logged in to and caught up with; some of it is said twice.
async fn connection(world: &World, owner: &Owner, watch: &mut Watch) {
    report(world, owner, Report::of(Signal::Dialled)).await;
    let events = watch.saw(world, owner, &[EventType::MailboxStateChanged]).await;
    let transition = events[0].transition.as_ref().unwrap();
    assert_eq!((transition.from, transition.to), (State::Init, State::Connecting));
    report(world, owner, Report::of(Signal::Dialled)).await;
    watch.saw(world, owner, &[]).await;
    report(
        world,
        owner,
        Report {
            capabilities: Some(vec!["IDLE".to_owned()]),
            ..Report::of(Signal::LoggedIn)
        },
    )
    .await;
    watch.saw(world, owner, &[EventType::MailboxStateChanged]).await;
    sync::end_backfill(&world.app, owner.fence).await.unwrap();
    watch
        .saw(world, owner, &[EventType::MailboxBackfillCompleted])
        .await;
    sync::end_backfill(&world.app, owner.fence).await.unwrap();
    sync::save_synced(&world.app, owner.fence, world.app.clock.now())
        .await
        .unwrap();
    sync::save_folder(&world.app, owner.fence, owner.folder.clone())
        .await
        .unwrap();
    watch.saw(world, owner, &[]).await;
    report(world, owner, Report::of(Signal::CaughtUp)).await;
    watch.saw(world, owner, &[EventType::MailboxStateChanged]).await;
}

/// The edge, the same again, another reason, and a refusal.
async fn failures(world: &World, owner: &Owner, watch: &mut Watch) {
    report(world, owner, failed("unreachable")).await;
    let events = watch.saw(world, owner, &[EventType::MailboxStateChanged]).await;
    let error = events[0].transition.as_ref().unwrap().error.as_ref();
    assert_eq!(error.unwrap().code, "unreachable");
    report(world, owner, failed("unreachable")).await;
    watch.saw(world, owner, &[]).await;
    report(world, owner, failed("timeout")).await;
    watch.saw(world, owner, &[EventType::MailboxUpdated]).await;
    let refused = Report {
        problem: Some(("refused".to_owned(), "It knows no such user.".to_owned())),
        ..Report::of(Signal::Refused)
    };
    report(world, owner, refused).await;
    let edges = [EventType::MailboxStateChanged, EventType::MailboxReauthRequired];
    watch.saw(world, owner, &edges).await;
}

/// A message comes, changes, goes and comes back; one is the owner's own.
async fn messages(world: &World, owner: &mut Owner, watch: &mut Watch) {
    owner.store(world, 1, &letter(1, &[])).await;
    let events = watch.saw(world, owner, &[EventType::MessageReceived]).await;
    let message = events[0].message.clone().unwrap();
    assert_eq!(owner.at(world, 1).await, Some(message.id));
    let known = message.known.unwrap();
    assert_eq!(known.subject.as_deref(), Some("Letter 1"));
    assert_eq!(known.from[0].address, "bela@example.net");
    assert_eq!(known.snippet, "words of 1");

    flag(world, owner, 1, &["\\Seen"]).await;
    watch.saw(world, owner, &[EventType::MessageUpdated]).await;
    flag(world, owner, 1, &["\\Seen"]).await;
    watch.saw(world, owner, &[]).await;
    // A second copy of the same bytes, in the same folder: nothing that is shown changes.
    owner.store(world, 2, &letter(1, &[])).await;
    watch.saw(world, owner, &[]).await;
    owner.expunge(world, &[2]).await;
    watch.saw(world, owner, &[]).await;
    owner.expunge(world, &[1]).await;
    let events = watch.saw(world, owner, &[EventType::MessageDeleted]).await;
    assert_eq!(events[0].message.as_ref().unwrap().id, message.id);
    // It is revived with its id, and was received once.
    owner.store(world, 3, &letter(1, &[])).await;
    let events = watch.saw(world, owner, &[EventType::MessageUpdated]).await;
    assert_eq!(events[0].message.as_ref().unwrap().id, message.id);

    let own = String::from_utf8(letter(2, &[])).unwrap();
    let own = own.replace("bela@example.net", "acme@example.org");
    owner.store(world, 4, own.as_bytes()).await;
    watch.saw(world, owner, &[EventType::MessageUpdated]).await;

    // A batch: one event each, in the order of the batch.
    let raws: Vec<Vec<u8>> = (10..60).map(|number| letter(number, &[])).collect();
    let arrivals = raws
        .iter()
        .zip(10..)
        .map(|(raw, uid)| arrival(raw, uid))
        .collect();
    owner.folder.cursor.last_uid = 59;
    owner.folder = sync::store_arrivals(
        &world.app,
        owner.fence,
        owner.folder.clone(),
        (Found::Since, arrivals),
        None,
    )
    .await
    .unwrap();
    let events = watch.saw(world, owner, &[EventType::MessageReceived; 50]).await;
    for (event, uid) in events.iter().zip(10..) {
        let id = event.message.as_ref().unwrap().id;
        assert_eq!(owner.at(world, uid).await, Some(id));
    }
    owner.expunge(world, &(10..60).collect::<Vec<_>>()).await;
    watch.saw(world, owner, &[EventType::MessageDeleted; 50]).await;
}

async fn a_first_backfill_announces_nothing_and_what_comes_after_it_is_announced(backend: Backend) {
    let world = World::start(backend).await;
    let mut owner = world.owner("acme").await;
    let mut watch = Watch {
        place: EventPosition::START,
        sequence: 0,
    };
    watch.saw(&world, &owner, &[EventType::MailboxCreated]).await;
    for (found, uid, expected) in [
        (Found::Before, 1, None),
        // Live mail during the backfill.
        (Found::Since, 2, Some(EventType::MessageReceived)),
        // Another copy that the backfill comes upon.
        (Found::Before, 1_001, None),
    ] {
        find(&world, &mut owner, found, uid).await;
        watch
            .saw(&world, &owner, &expected.into_iter().collect::<Vec<_>>())
            .await;
    }
    // What happens to a message is news, however it was found.
    flag(&world, &owner, 1, &["\\Flagged"]).await;
    watch.saw(&world, &owner, &[EventType::MessageUpdated]).await;
    // One that went, and that the backfill comes upon elsewhere: who was told that it is gone is told that it is back.
    owner.expunge(&world, &[2]).await;
    watch.saw(&world, &owner, &[EventType::MessageDeleted]).await;
    find(&world, &mut owner, Found::Before, 1_002).await;
    watch.saw(&world, &owner, &[EventType::MessageUpdated]).await;
    sync::end_backfill(&world.app, owner.fence).await.unwrap();
    watch
        .saw(&world, &owner, &[EventType::MailboxBackfillCompleted])
        .await;
    // By the backfill of a folder that is new, or of a new generation.
    find(&world, &mut owner, Found::Before, 3).await;
    watch.saw(&world, &owner, &[EventType::MessageReceived]).await;
}

/// Stores the letter of a UID: two of them are a thousand UIDs from each other.
async fn find(world: &World, owner: &mut Owner, found: Found, uid: i64) {
    let raw = letter(usize::try_from(uid % 1_000).unwrap(), &[]);
    let stored = sync::store_arrivals(
        &world.app,
        owner.fence,
        owner.folder.clone(),
        (found, vec![arrival(&raw, uid)]),
        None,
    );
    owner.folder = stored.await.unwrap();
}

async fn what_is_rolled_back_has_no_event(backend: Backend) {
    let world = World::start(backend).await;
    let mut owner = world.owner("acme").await;
    let before = since(&world, &owner, EventPosition::START).await;
    // A stale fence, a second mailbox of the same address, and a mailbox that is not there.
    let own = owner.fence;
    owner.fence.epoch -= 1;
    assert!(owner.try_store(&world, 1, &letter(1, &[]), false).await.is_err());
    owner.fence = own;
    let again = crate::support::gateway::Login {
        address: "acme@example.org",
        host: "127.0.0.1",
        port: 1,
        security: postroom::model::mailbox::Security::None,
        username: "anna",
        password: "secret",
    };
    let again = mailboxes::create(&world.app, &owner.caller, again.into_new()).await;
    assert!(again.is_err(), "the address is connected");
    let none = mailboxes::update(&world.app, &owner.caller, uuid::Uuid::now_v7(), named("No")).await;
    assert!(none.is_err(), "there is no such mailbox");
    assert_eq!(since(&world, &owner, EventPosition::START).await, before);
    // The numbers were not taken either.
    owner.store(&world, 1, &letter(1, &[])).await;
    let events = since(&world, &owner, EventPosition::START).await;
    let last = events.last().unwrap();
    assert_eq!((last.sequence, last.position), (Some(2), EventPosition(2)));
    let mut conn = world.app.store.read().await.unwrap();
    let found = conn
        .get_mailbox(owner.tenant, Visibility::All, owner.fence.mailbox)
        .await;
    assert!(found.unwrap().is_some());
}
