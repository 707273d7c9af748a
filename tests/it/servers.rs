//! The sync on two real servers, Dovecot and Cyrus: every message once, byte for byte; then what changes is followed.
//!
//! | What happens | Dovecot | Cyrus |
//! |---|---|---|
//! | many messages; changes that the server tells of; moves, new folders | yes | yes |
//! | a renamed folder | missing twice, its messages matched | followed by its MAILBOXID |
//! | a folder made anew under its name, or two that swap their names | yes | yes |
//! | another UIDVALIDITY in place | `dovecot_sync` | has no tool for it |
//! | names with dots below `INBOX.` | | yes |
//! | flags, moves and deletions that are written back | `write_back` | `write_back` |

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use postroom::mail::imap::{IdleEvent, StoreFlags, UidSet, utf7};
use serde_json::Value;

use crate::{
    dovecot_sync::account::{ADDRESS, USER, World, letter, log_in},
    sandbox::connected,
    support::{
        cyrus::{Cyrus, Names},
        gateway::{Backend, both, eventually},
        server::{MailServer, both_servers},
    },
};

mod on {
    use super::{both, both_servers};
    both!(cyrus_with_dots_in_its_names_is_the_same);
    both_servers!(
        many_messages_are_stored_once_and_byte_for_byte,
        changes_in_inbox_are_seen_when_the_server_tells_of_them,
        moves_renames_and_new_folders_are_followed,
        folders_made_anew_and_swapped_lose_nothing,
    );
}

/// A folder below another, with a name beyond ASCII.
const NESTED: &str = "Projekte/Größe 日本";

/// What the server has of one text: the flags of each copy, and the folders.
#[derive(Default, Debug, PartialEq, Eq)]
struct Expected {
    flags: BTreeSet<String>,
    folders: BTreeSet<String>,
    placements: usize,
}

type Contents = HashMap<Vec<u8>, Expected>;

const FLAGS: [&[&str]; 7] = [
    &[],
    &["\\Seen"],
    &["\\Seen", "\\Answered"],
    &["\\Flagged"],
    &["\\Draft", "\\Seen"],
    &["\\Deleted", "\\Seen"],
    &["$Forwarded", "Invoice", "\\Seen"],
];

async fn put(
    world: &mut World<impl MailServer>,
    contents: &mut Contents,
    folder: &str,
    flags: &[&str],
    raw: Vec<u8>,
) {
    world.append(folder, flags, &raw).await;
    let entry = contents.entry(raw).or_default();
    entry.flags.extend(flags.iter().map(ToString::to_string));
    entry.folders.insert(folder.to_owned());
    entry.placements += 1;
}

/// Messages in five folders, tiny to large, with copies, and with one Message-ID over other bytes.
async fn populate<S: MailServer>(world: &mut World<S>) -> Contents {
    for folder in ["Projekte", NESTED] {
        world.server.create_folder(USER, folder);
    }
    let mut contents = Contents::new();
    for number in 0..S::MESSAGES {
        let folder = [
            "INBOX", "INBOX", "INBOX", "Sent", "Archive", NESTED, "Projekte", "INBOX",
        ][number % 8];
        let bytes = match number % 200 {
            0 => 150_000,
            1 => 65_536,
            other => other * 20,
        };
        let from = if folder == "Sent" {
            ADDRESS
        } else {
            "Béla <bela@example.net>"
        };
        put(
            world,
            &mut contents,
            folder,
            FLAGS[number % 7],
            letter(number, from, bytes),
        )
        .await;
    }
    for number in 0..20 {
        // The same bytes in another folder, or once more in the same one.
        let folder = if number == 0 { "INBOX" } else { "Archive" };
        put(
            world,
            &mut contents,
            folder,
            &[],
            letter(number * 8, "Béla <bela@example.net>", number * 160),
        )
        .await;
        // The same Message-ID, other bytes.
        put(
            world,
            &mut contents,
            NESTED,
            &[],
            letter(number, "Another <other@example.net>", 300),
        )
        .await;
    }
    contents
}

async fn many_messages_are_stored_once_and_byte_for_byte<S: MailServer>(backend: Backend) {
    let mut world = World::<S>::launch(backend).await;
    let mut contents = populate(&mut world).await;
    let mailbox = world.connect().await;
    let progress = world
        .wait(mailbox.id, "on its way", |mailbox| mailbox.sync_progress.clone())
        .await;
    let all = i64::try_from(S::MESSAGES + 40).unwrap();
    assert!(
        progress.total <= all && progress.done <= progress.total,
        "{progress:?}"
    );
    let count = world.wait(mailbox.id, "connected", connected).await;
    assert_eq!(count, i64::try_from(contents.len()).unwrap());
    world
        .wait(mailbox.id, "done", |mailbox| {
            mailbox.sync_progress.is_none().then_some(())
        })
        .await;

    let folders = world.folders(mailbox.id).await;
    assert_eq!(folders["Sent"]["role"], "sent");
    let placements: i64 = folders
        .values()
        .map(|folder| folder["message_count"].as_i64().unwrap())
        .sum();
    assert_eq!(placements, all);
    let names: HashMap<&str, &String> = folders
        .iter()
        .map(|(name, folder)| (folder["id"].as_str().unwrap(), name))
        .collect();

    let messages = world.messages().await;
    assert_eq!(messages.len(), contents.len());
    for (message, raw) in messages.iter().zip(world.raws(&messages).await) {
        let expected = contents.remove(&raw);
        let expected = expected.unwrap_or_else(|| panic!("not what was appended, or twice: {message:#}"));
        assert_shown_as(message, &expected, &names);
        assert_eq!(message["size"], raw.len(), "{message:#}");
    }
    assert!(contents.is_empty(), "{} messages were lost", contents.len());
    nothing_was_marked_as_read(&mut world).await;
    world.gateway.stop().await;
}

/// The message has the flags and folders of its copies, and what follows from them.
fn assert_shown_as(message: &Value, expected: &Expected, names: &HashMap<&str, &String>) {
    let strings = |field: &str| {
        message[field]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value.as_str().unwrap())
    };
    let flags: BTreeSet<String> = strings("flags").map(str::to_owned).collect();
    let places: BTreeSet<String> = strings("folders").map(|id| names[id].to_owned()).collect();
    assert_eq!(
        (flags, places),
        (expected.flags.clone(), expected.folders.clone()),
        "{message:#}"
    );
    assert_eq!(
        message["unread"],
        !expected.flags.contains("\\Seen"),
        "{message:#}"
    );
    assert_eq!(
        message["incoming"],
        expected.folders != BTreeSet::from(["Sent".to_owned()]),
        "{message:#}"
    );
    assert_eq!(message["truncated"], false);
}

/// The server's flags are those that were appended: 2 of the 7 kinds are without `\Seen`.
async fn nothing_was_marked_as_read<S: MailServer>(world: &mut World<S>) {
    let mut unseen = BTreeMap::new();
    for folder in ["INBOX", "Sent", "Archive", "Projekte", NESTED] {
        let status = world.session.status(&utf7::encode(folder)).await.unwrap();
        unseen.insert(folder, status.unseen.unwrap());
    }
    let appended = (0..S::MESSAGES)
        .filter(|number| matches!(number % 7, 0 | 3))
        .count()
        + 40;
    assert_eq!(
        usize::try_from(unseen.values().sum::<u32>()).unwrap(),
        appended,
        "{unseen:?}"
    );
}

/// Runs `change`, waits until another IMAP client is told of it, and then for the gateway, which would look by itself only
/// after minutes.
async fn shown_when_told<T, S: MailServer>(
    world: &mut World<S>,
    what: &str,
    change: impl AsyncFnOnce(&mut World<S>),
    shown: impl AsyncFn(&World<S>) -> Option<T>,
) -> T {
    let mut other = log_in(&world.server, USER).await;
    other.examine(b"INBOX", None).await.unwrap();
    let mut idle = other.idle().await.unwrap();
    change(world).await;
    let told = idle
        .wait(Duration::from_mins(1), std::future::pending())
        .await
        .unwrap();
    assert_eq!(told, IdleEvent::Changed, "{what}");
    let found = eventually(async || shown(world).await).await;
    found.unwrap_or_else(|| panic!("{what}: not shown"))
}

async fn changes_in_inbox_are_seen_when_the_server_tells_of_them<S: MailServer>(backend: Backend) {
    let mut world = World::<S>::launch(backend).await;
    world.deliver("INBOX", [0]).await;
    let mailbox = world.connect().await;
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 1);

    let append = async |world: &mut World<S>| {
        world.deliver("INBOX", [1]).await;
    };
    let shown = async |world: &World<S>| world.by_subject("Letter 1").await;
    let message = shown_when_told(&mut world, "new mail", append, shown).await;
    assert_eq!(
        (&message["unread"], &message["incoming"]),
        (&Value::Bool(true), &Value::Bool(true))
    );
    let path = format!("/v1/messages/{}", message["id"].as_str().unwrap());

    world.open("INBOX").await;
    let flag = async |world: &mut World<S>| {
        let second = UidSet::range(2, 2);
        world
            .session
            .uid_store(&second, StoreFlags::Add, &["\\Seen", "\\Flagged"])
            .await
            .unwrap();
    };
    let shown = async |world: &World<S>| (world.get(&path).await["unread"] == false).then_some(());
    shown_when_told(&mut world, "a flag", flag, shown).await;
    assert_eq!(
        world.get(&path).await["flags"],
        serde_json::json!(["\\Flagged", "\\Seen"])
    );

    let expunge = async |world: &mut World<S>| {
        world.expunge("INBOX", 2, 2).await;
    };
    let shown = async |world: &World<S>| {
        let (status, _) = world.gateway.call("GET", &world.tenant.key, &path, None).await;
        (status == 404).then_some(())
    };
    shown_when_told(&mut world, "an expunge", expunge, shown).await;
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 1);
    world.gateway.stop().await;
}

async fn moves_renames_and_new_folders_are_followed<S: MailServer>(backend: Backend) {
    let mut world = World::<S>::launch(backend).await;
    world.server.create_folder(USER, "Old");
    world.deliver("INBOX", 0..3).await;
    world.deliver("Old", 10..13).await;
    let mailbox = world.connect().await;
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 6);
    let before = ids(world.messages().await.iter());

    world.open("INBOX").await;
    world
        .session
        .uid_move(&UidSet::range(1, 1), b"Archive")
        .await
        .unwrap();
    world.server.create_folder(USER, "Nouveau");
    world.server.rename_folder(USER, "Old", "Nouveau/été");
    world.server.create_folder(USER, "Fresh");
    world.deliver("Fresh", [20]).await;
    let old = world.folders(mailbox.id).await["Old"]["id"].clone();
    // Twice, because a folder must be missing twice before it goes.
    world.reconnect(mailbox.id).await;
    let seen_once = world.folders(mailbox.id).await;
    if S::FOLLOWS_RENAMES {
        assert_eq!(seen_once["Nouveau/été"]["id"], old, "it is the same folder");
    } else {
        assert!(seen_once.contains_key("Old"), "it was missing only once");
    }
    world.reconnect(mailbox.id).await;

    let folders = world.folders(mailbox.id).await;
    assert!(!folders.contains_key("Old"), "{folders:?}");
    let mut after = ids(world.messages().await.iter());
    assert!(after.remove("Letter 20").is_some());
    assert_eq!(after, before, "moved and renamed, the messages keep their ids");
    for (subject, folder) in [
        ("Letter 0", "Archive"),
        ("Letter 10", "Nouveau/été"),
        ("Letter 20", "Fresh"),
    ] {
        let message = world.by_subject(subject).await.unwrap();
        assert_eq!(
            message["folders"],
            serde_json::json!([folders[folder]["id"]]),
            "{message:#}"
        );
    }
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 7);
    world.gateway.stop().await;
}

/// The subjects of the messages in a folder, and the messages' ids.
async fn shelf(world: &World<impl MailServer>, folder: &Value) -> BTreeMap<String, String> {
    let messages = world.messages().await;
    let here = messages
        .iter()
        .filter(|message| message["folders"].as_array().unwrap().contains(&folder["id"]));
    ids(here)
}

/// The messages' subjects and ids.
fn ids<'m>(messages: impl Iterator<Item = &'m Value>) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    messages
        .map(|message| (text(&message["subject"]), text(&message["id"])))
        .collect()
}

async fn folders_made_anew_and_swapped_lose_nothing<S: MailServer>(backend: Backend) {
    let mut world = World::<S>::launch(backend).await;
    for (folder, first) in [("One", 10), ("Two", 20)] {
        world.server.create_folder(USER, folder);
        world.deliver(folder, first..first + 5).await;
    }
    let mailbox = world.connect().await;
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 10);
    let before = world.folders(mailbox.id).await;
    let (one, two) = (
        shelf(&world, &before["One"]).await,
        shelf(&world, &before["Two"]).await,
    );
    assert_eq!((one.len(), two.len()), (5, 5));

    // Two that swap their names: each shelf is found under its new one.
    for (from, to) in [("One", "Between"), ("Two", "One"), ("Between", "Two")] {
        world.server.rename_folder(USER, from, to);
    }
    for _ in 0..2 {
        world.reconnect(mailbox.id).await;
    }
    let swapped = world.folders(mailbox.id).await;
    assert_eq!(shelf(&world, &swapped["Two"]).await, one);
    assert_eq!(shelf(&world, &swapped["One"]).await, two);
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 10);

    // One that is made anew under its name, with one of the messages that it had and a new one.
    world.server.delete_folder(USER, "One");
    world.server.create_folder(USER, "One");
    world.session = log_in(&world.server, USER).await;
    world.deliver("One", [22, 30]).await;
    world.reconnect(mailbox.id).await;
    let anew = world.folders(mailbox.id).await;
    let kept = shelf(&world, &anew["One"]).await;
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["Letter 22", "Letter 30"]);
    assert_eq!(kept["Letter 22"], two["Letter 22"], "its id stays");
    assert_eq!(shelf(&world, &anew["Two"]).await, one);
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 7);
    world.gateway.stop().await;
}

/// The other way to name folders: all below `INBOX.`, with dots between the levels.
async fn cyrus_with_dots_in_its_names_is_the_same(backend: Backend) {
    let server = Cyrus::start(Names::Dots);
    server.user(USER);
    let mut world = World::on(server, backend).await;
    world.server.create_folder(USER, "INBOX.Größe.日本");
    for (number, folder) in ["INBOX", "INBOX.Sent", "INBOX.Größe.日本"]
        .into_iter()
        .enumerate()
    {
        let from = if folder == "INBOX.Sent" {
            ADDRESS
        } else {
            "bela@example.net"
        };
        world.append(folder, &[], &letter(number, from, 500)).await;
    }
    let mailbox = world.connect().await;
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 3);
    let folders = world.folders(mailbox.id).await;
    assert_eq!(folders["INBOX.Sent"]["role"], "sent");
    assert_eq!(folders["INBOX.Größe.日本"]["message_count"], 1);
    world
        .server
        .rename_folder(USER, "INBOX.Größe.日本", "INBOX.Länge");
    world.deliver("INBOX", [3]).await;
    let shown = eventually(async || world.by_subject("Letter 3").await);
    assert!(shown.await.is_some());
    world.reconnect(mailbox.id).await;
    let renamed = world.folders(mailbox.id).await;
    assert_eq!(renamed["INBOX.Länge"]["id"], folders["INBOX.Größe.日本"]["id"]);
    assert_eq!(shelf(&world, &renamed["INBOX.Länge"]).await.len(), 1);
    world.gateway.stop().await;
}
