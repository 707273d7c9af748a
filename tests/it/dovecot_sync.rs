//! The sync against Dovecot: every message once, byte for byte; then what changes on the server is followed.

#[path = "dovecot_sync/account.rs"]
pub(crate) mod account;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use postroom::mail::imap::{IdleEvent, StoreFlags, UidSet, utf7};
use serde_json::Value;
use tokio::time::Instant;

use self::account::{ADDRESS, USER, World, letter, log_in};
use crate::{
    sandbox::connected,
    support::gateway::{Backend, both, eventually},
};

mod on {
    use super::both;
    both!(
        dovecot_with_two_thousand_messages_is_stored_once_and_byte_for_byte,
        dovecot_changes_in_inbox_are_seen_within_two_seconds,
        dovecot_moves_renames_and_new_folders_are_followed,
        dovecot_with_a_new_uidvalidity_loses_nothing_and_keeps_ids,
    );
}

/// A folder below another, with a name beyond ASCII.
const NESTED: &str = "Projekte/Größe 日本";
/// How soon the gateway must show what the server has told.
const PROMISE: Duration = Duration::from_secs(2);

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

async fn put(world: &mut World, contents: &mut Contents, folder: &str, flags: &[&str], raw: Vec<u8>) {
    world.append(folder, flags, &raw).await;
    let entry = contents.entry(raw).or_default();
    entry.flags.extend(flags.iter().map(ToString::to_string));
    entry.folders.insert(folder.to_owned());
    entry.placements += 1;
}

/// 2,000 messages in five folders, tiny to large, with copies, and with one Message-ID over other bytes.
async fn populate(world: &mut World) -> Contents {
    world
        .server
        .doveadm(&["mailbox", "create", "-u", USER, "Projekte", NESTED]);
    let mut contents = Contents::new();
    for number in 0..1_960 {
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

async fn dovecot_with_two_thousand_messages_is_stored_once_and_byte_for_byte(backend: Backend) {
    let mut world = World::start(backend).await;
    let mut contents = populate(&mut world).await;
    let mailbox = world.connect().await;
    let progress = world
        .wait(mailbox.id, "on its way", |mailbox| mailbox.sync_progress.clone())
        .await;
    assert!(
        progress.total <= 2_000 && progress.done <= progress.total,
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
    assert_eq!(placements, 2_000);
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
async fn nothing_was_marked_as_read(world: &mut World) {
    let mut unseen = BTreeMap::new();
    for folder in ["INBOX", "Sent", "Archive", "Projekte", NESTED] {
        let status = world.session.status(&utf7::encode(folder)).await.unwrap();
        unseen.insert(folder, status.unseen.unwrap());
    }
    let appended = (0..1_960).filter(|number| matches!(number % 7, 0 | 3)).count() + 40;
    assert_eq!(
        usize::try_from(unseen.values().sum::<u32>()).unwrap(),
        appended,
        "{unseen:?}"
    );
}

/// Runs `change`, waits until another IMAP client is told of it, and then at most two seconds for the gateway.
async fn shown_in_time<T>(
    world: &mut World,
    what: &str,
    change: impl AsyncFnOnce(&mut World),
    shown: impl AsyncFn(&World) -> Option<T>,
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
    let told = Instant::now();
    let found = eventually(async || shown(world).await).await;
    let took = told.elapsed();
    let found = found.unwrap_or_else(|| panic!("{what}: not shown"));
    assert!(
        took < PROMISE,
        "{what}: shown {took:?} after the server's notification"
    );
    found
}

async fn dovecot_changes_in_inbox_are_seen_within_two_seconds(backend: Backend) {
    let mut world = World::start(backend).await;
    world
        .append("INBOX", &[], &letter(0, "bela@example.net", 500))
        .await;
    let mailbox = world.connect().await;
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 1);

    let append = async |world: &mut World| {
        world
            .append("INBOX", &[], &letter(1, "bela@example.net", 500))
            .await;
    };
    let shown = async |world: &World| world.by_subject("Letter 1").await;
    let message = shown_in_time(&mut world, "new mail", append, shown).await;
    assert_eq!(
        (&message["unread"], &message["incoming"]),
        (&Value::Bool(true), &Value::Bool(true))
    );
    let path = format!("/v1/messages/{}", message["id"].as_str().unwrap());

    world.open("INBOX").await;
    let flag = async |world: &mut World| {
        let second = UidSet::range(2, 2);
        world
            .session
            .uid_store(&second, StoreFlags::Add, &["\\Seen", "\\Flagged"])
            .await
            .unwrap();
    };
    let shown = async |world: &World| (world.get(&path).await["unread"] == false).then_some(());
    shown_in_time(&mut world, "a flag", flag, shown).await;
    assert_eq!(
        world.get(&path).await["flags"],
        serde_json::json!(["\\Flagged", "\\Seen"])
    );

    let expunge = async |world: &mut World| {
        let second = UidSet::range(2, 2);
        world
            .session
            .uid_store(&second, StoreFlags::Add, &["\\Deleted"])
            .await
            .unwrap();
        world.session.uid_expunge(&second).await.unwrap();
    };
    let shown = async |world: &World| {
        let (status, _) = world.gateway.call("GET", &world.tenant.key, &path, None).await;
        (status == 404).then_some(())
    };
    shown_in_time(&mut world, "an expunge", expunge, shown).await;
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 1);
    world.gateway.stop().await;
}

async fn dovecot_moves_renames_and_new_folders_are_followed(backend: Backend) {
    let mut world = World::start(backend).await;
    world.server.doveadm(&["mailbox", "create", "-u", USER, "Old"]);
    for number in 0..3 {
        world
            .append("INBOX", &[], &letter(number, "bela@example.net", 500))
            .await;
        world
            .append("Old", &[], &letter(10 + number, "bela@example.net", 500))
            .await;
    }
    let mailbox = world.connect().await;
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 6);
    let ids = |messages: Vec<Value>| -> BTreeMap<String, String> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        messages
            .iter()
            .map(|message| (text(&message["subject"]), text(&message["id"])))
            .collect()
    };
    let before = ids(world.messages().await);

    world.open("INBOX").await;
    world
        .session
        .uid_move(&UidSet::range(1, 1), b"Archive")
        .await
        .unwrap();
    world
        .server
        .doveadm(&["mailbox", "rename", "-u", USER, "Old", "Nouveau/été"]);
    world.server.doveadm(&["mailbox", "create", "-u", USER, "Fresh"]);
    world
        .append("Fresh", &[], &letter(20, "bela@example.net", 500))
        .await;
    // Twice, because a folder must be missing twice before it goes.
    world.reconnect(mailbox.id).await;
    assert!(
        world.folders(mailbox.id).await.contains_key("Old"),
        "it was missing only once"
    );
    world.reconnect(mailbox.id).await;

    let folders = world.folders(mailbox.id).await;
    assert!(!folders.contains_key("Old"), "{folders:?}");
    let mut after = ids(world.messages().await);
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
    let (first, _) = all.split(1);
    world
        .session
        .uid_store(&first, StoreFlags::Add, &["\\Deleted"])
        .await
        .unwrap();
    world.session.uid_expunge(&first).await.unwrap();
    world
        .append("INBOX", &[], &letter(100, "bela@example.net", 500))
        .await;
    let followed = eventually(async || {
        let gone = world.by_subject("Letter 0").await.is_none();
        (gone && world.by_subject("Letter 100").await.is_some()).then_some(())
    });
    assert!(followed.await.is_some());
}
