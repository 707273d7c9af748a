//! The sync against Dovecot: every message once, byte for byte; then what changes on the server is followed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt::Write as _,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, stream};
use postroom::{
    mail::{
        egress::Guard,
        imap::{Client, Credentials, Dialer, Endpoint, IdleEvent, Session, StoreFlags, UidSet, utf7},
        tls,
    },
    model::mailbox::{Mailbox, Security},
};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    sandbox::connected,
    support::{
        dovecot::Dovecot,
        gateway::{Backend, Gateway, Login, Tenant, both, eventually},
    },
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

const USER: &str = "anna";
const ADDRESS: &str = "anna@example.org";
/// A folder below another, with a name beyond ASCII.
const NESTED: &str = "Projekte/Größe 日本";
/// How soon the gateway must show what the server has told.
const PROMISE: Duration = Duration::from_secs(2);

/// A mailbox on a Dovecot of the test's own, and a session of the test beside the gateway's.
pub(crate) struct World {
    pub(crate) server: Dovecot,
    pub(crate) gateway: Gateway,
    pub(crate) tenant: Tenant,
    pub(crate) session: Session,
}

/// Logs in beside the gateway.
pub(crate) async fn log_in(server: &Dovecot, username: &str) -> Session {
    let guard = Guard::new(["127.0.0.0/8".parse().unwrap()]);
    let dialer = Dialer::new(guard, tls::client_config(Some(server.ca_pem())).unwrap());
    let endpoint =
        Endpoint { host: "127.0.0.1".to_owned(), port: server.imap_port(), security: Security::None };
    let password = format!("{username}'s password").into();
    let credentials = Credentials::Password { username: username.to_owned(), password };
    Client::connect(&dialer, &endpoint).await.unwrap().login(&credentials).await.unwrap()
}

impl World {
    pub(crate) async fn start(backend: Backend) -> Self {
        let server = Dovecot::start();
        server.user(USER);
        let session = log_in(&server, USER).await;
        let gateway = Gateway::start(backend).await;
        let tenant = gateway.tenant("Acme").await;
        Self { server, gateway, tenant, session }
    }

    pub(crate) async fn connect(&self) -> Mailbox {
        let login = Login {
            address: ADDRESS,
            host: "127.0.0.1",
            port: self.server.imap_port(),
            security: Security::None,
            username: USER,
            password: "anna's password",
        };
        self.gateway.connect(&self.tenant, login).await
    }

    pub(crate) async fn append(&mut self, folder: &str, flags: &[&str], raw: &[u8]) -> u32 {
        let at = DateTime::from_timestamp(1_700_000_000 + i64::try_from(raw.len()).unwrap(), 0);
        self.session.append(&utf7::encode(folder), flags, at, raw).await.unwrap().unwrap().uid
    }

    async fn open(&mut self, folder: &str) {
        self.session.select(&utf7::encode(folder), None).await.unwrap();
    }

    async fn get(&self, path: &str) -> Value {
        self.gateway.get(&self.tenant.key, path).await
    }

    /// Every message that the API lists, by its raw bytes' `Message-ID` and all.
    pub(crate) async fn messages(&self) -> Vec<Value> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/v1/messages?limit=200{cursor}")).await;
            all.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    /// The message with this subject.
    async fn by_subject(&self, subject: &str) -> Option<Value> {
        self.messages().await.into_iter().find(|message| message["subject"] == subject)
    }

    async fn folders(&self, mailbox: Uuid) -> HashMap<String, Value> {
        let folders = self.get(&format!("/v1/mailboxes/{mailbox}/folders")).await;
        let named = |folder: &Value| (folder["name"].as_str().unwrap().to_owned(), folder.clone());
        folders["data"].as_array().unwrap().iter().map(named).collect()
    }

    async fn wait<T>(&self, mailbox: Uuid, what: &str, done: impl Fn(&Mailbox) -> Option<T>) -> T {
        self.gateway.wait_for(&self.tenant, mailbox, what, done).await
    }

    /// Has the gateway dial again, and waits until it has caught up.
    async fn reconnect(&self, mailbox: Uuid) {
        let before = self.wait(mailbox, "read", |mailbox| Some(mailbox.last_synced_at)).await;
        let path = format!("/v1/mailboxes/{mailbox}/reconnect");
        let (status, answer) = self.gateway.call("POST", &self.tenant.key, &path, None).await;
        assert_eq!(status, 200, "{answer}");
        let again = |mailbox: &Mailbox| connected(mailbox).filter(|_| mailbox.last_synced_at > before);
        self.wait(mailbox, "connected again", again).await;
    }

    async fn raw(&self, id: &str) -> Vec<u8> {
        let url = format!("{}/v1/messages/{id}/raw", self.gateway.url);
        let answer = self.gateway.http.get(url).header("x-api-key", &self.tenant.key).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap().to_vec()
    }

    /// The raw bytes of these messages.
    pub(crate) async fn raws(&self, messages: &[Value]) -> Vec<Vec<u8>> {
        let ids = messages.iter().map(|message| message["id"].as_str().unwrap());
        stream::iter(ids).map(|id| self.raw(id)).buffered(8).collect().await
    }
}

/// A message; `number` makes it unlike the others.
fn letter(number: usize, from: &str, bytes: usize) -> Vec<u8> {
    let date = DateTime::UNIX_EPOCH + TimeDelta::seconds(1_600_000_000 + i64::try_from(number).unwrap() * 61);
    let mut text = format!(
        "From: {from}\r\nTo: {ADDRESS}\r\nDate: {}\r\nMessage-ID: <m{number}@example.net>\r\nSubject: Letter {number}\r\n\r\n",
        date.to_rfc2822()
    );
    while text.len() < bytes {
        write!(text, "Line {} of letter {number}.\r\n", text.len()).unwrap();
    }
    text.into_bytes()
}

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
    world.server.doveadm(&["mailbox", "create", "-u", USER, "Projekte", NESTED]);
    let mut contents = Contents::new();
    for number in 0..1_960 {
        let folder = ["INBOX", "INBOX", "INBOX", "Sent", "Archive", NESTED, "Projekte", "INBOX"][number % 8];
        let bytes = match number % 200 {
            0 => 150_000,
            1 => 65_536,
            other => other * 20,
        };
        let from = if folder == "Sent" { ADDRESS } else { "Béla <bela@example.net>" };
        put(world, &mut contents, folder, FLAGS[number % 7], letter(number, from, bytes)).await;
    }
    for number in 0..20 {
        // The same bytes in another folder, or once more in the same one.
        let folder = if number == 0 { "INBOX" } else { "Archive" };
        put(world, &mut contents, folder, &[], letter(number * 8, "Béla <bela@example.net>", number * 160)).await;
        // The same Message-ID, other bytes.
        put(world, &mut contents, NESTED, &[], letter(number, "Another <other@example.net>", 300)).await;
    }
    contents
}

async fn dovecot_with_two_thousand_messages_is_stored_once_and_byte_for_byte(backend: Backend) {
    let mut world = World::start(backend).await;
    let mut contents = populate(&mut world).await;
    let mailbox = world.connect().await;
    let progress = world.wait(mailbox.id, "on its way", |mailbox| mailbox.sync_progress.clone()).await;
    assert!(progress.total <= 2_000 && progress.done <= progress.total, "{progress:?}");
    let count = world.wait(mailbox.id, "connected", connected).await;
    assert_eq!(count, i64::try_from(contents.len()).unwrap());
    world.wait(mailbox.id, "done", |mailbox| mailbox.sync_progress.is_none().then_some(())).await;

    let folders = world.folders(mailbox.id).await;
    assert_eq!(folders["Sent"]["role"], "sent");
    let placements: i64 = folders.values().map(|folder| folder["message_count"].as_i64().unwrap()).sum();
    assert_eq!(placements, 2_000);
    let names: HashMap<&str, &String> =
        folders.iter().map(|(name, folder)| (folder["id"].as_str().unwrap(), name)).collect();

    let messages = world.messages().await;
    assert_eq!(messages.len(), contents.len());
    for (message, raw) in messages.iter().zip(world.raws(&messages).await) {
        let expected = contents.remove(&raw);
        let expected = expected.unwrap_or_else(|| panic!("not what was appended, or twice: {message:#}"));
        let strings = |field: &str| message[field].as_array().unwrap().iter().map(|value| value.as_str().unwrap());
        let flags: BTreeSet<String> = strings("flags").map(str::to_owned).collect();
        let places: BTreeSet<String> = strings("folders").map(|id| names[id].clone()).collect();
        assert_eq!((flags, places), (expected.flags.clone(), expected.folders.clone()), "{message:#}");
        assert_eq!(message["unread"], !expected.flags.contains("\\Seen"), "{message:#}");
        assert_eq!(message["incoming"], expected.folders != BTreeSet::from(["Sent".to_owned()]), "{message:#}");
        assert_eq!(message["size"], raw.len(), "{message:#}");
        assert_eq!(message["truncated"], false);
    }
    assert!(contents.is_empty(), "{} messages were lost", contents.len());
    nothing_was_marked_as_read(&mut world).await;
    world.gateway.stop().await;
}

/// The server's flags are those that were appended: 2 of the 7 kinds are without `\Seen`.
async fn nothing_was_marked_as_read(world: &mut World) {
    let mut unseen = BTreeMap::new();
    for folder in ["INBOX", "Sent", "Archive", "Projekte", NESTED] {
        let status = world.session.status(&utf7::encode(folder)).await.unwrap();
        unseen.insert(folder, status.unseen.unwrap());
    }
    let appended = (0..1_960).filter(|number| matches!(number % 7, 0 | 3)).count() + 40;
    assert_eq!(usize::try_from(unseen.values().sum::<u32>()).unwrap(), appended, "{unseen:?}");
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
    let told = idle.wait(Duration::from_secs(60), std::future::pending()).await.unwrap();
    assert_eq!(told, IdleEvent::Changed, "{what}");
    let told = Instant::now();
    let found = eventually(async || shown(world).await).await;
    let took = told.elapsed();
    let found = found.unwrap_or_else(|| panic!("{what}: not shown"));
    assert!(took < PROMISE, "{what}: shown {took:?} after the server's notification");
    found
}

async fn dovecot_changes_in_inbox_are_seen_within_two_seconds(backend: Backend) {
    let mut world = World::start(backend).await;
    world.append("INBOX", &[], &letter(0, "bela@example.net", 500)).await;
    let mailbox = world.connect().await;
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 1);

    let append = async |world: &mut World| {
        world.append("INBOX", &[], &letter(1, "bela@example.net", 500)).await;
    };
    let shown = async |world: &World| world.by_subject("Letter 1").await;
    let message = shown_in_time(&mut world, "new mail", append, shown).await;
    assert_eq!((&message["unread"], &message["incoming"]), (&Value::Bool(true), &Value::Bool(true)));
    let path = format!("/v1/messages/{}", message["id"].as_str().unwrap());

    world.open("INBOX").await;
    let flag = async |world: &mut World| {
        let second = UidSet::range(2, 2);
        world.session.uid_store(&second, StoreFlags::Add, &["\\Seen", "\\Flagged"]).await.unwrap();
    };
    let shown = async |world: &World| (world.get(&path).await["unread"] == false).then_some(());
    shown_in_time(&mut world, "a flag", flag, shown).await;
    assert_eq!(world.get(&path).await["flags"], serde_json::json!(["\\Flagged", "\\Seen"]));

    let expunge = async |world: &mut World| {
        let second = UidSet::range(2, 2);
        world.session.uid_store(&second, StoreFlags::Add, &["\\Deleted"]).await.unwrap();
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
        world.append("INBOX", &[], &letter(number, "bela@example.net", 500)).await;
        world.append("Old", &[], &letter(10 + number, "bela@example.net", 500)).await;
    }
    let mailbox = world.connect().await;
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 6);
    let ids = |messages: Vec<Value>| -> BTreeMap<String, String> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        messages.iter().map(|message| (text(&message["subject"]), text(&message["id"]))).collect()
    };
    let before = ids(world.messages().await);

    world.open("INBOX").await;
    world.session.uid_move(&UidSet::range(1, 1), b"Archive").await.unwrap();
    world.server.doveadm(&["mailbox", "rename", "-u", USER, "Old", "Nouveau/été"]);
    world.server.doveadm(&["mailbox", "create", "-u", USER, "Fresh"]);
    world.append("Fresh", &[], &letter(20, "bela@example.net", 500)).await;
    // Twice, because a folder must be missing twice before it goes.
    world.reconnect(mailbox.id).await;
    assert!(world.folders(mailbox.id).await.contains_key("Old"), "it was missing only once");
    world.reconnect(mailbox.id).await;

    let folders = world.folders(mailbox.id).await;
    assert!(!folders.contains_key("Old"), "{folders:?}");
    let mut after = ids(world.messages().await);
    assert!(after.remove("Letter 20").is_some());
    assert_eq!(after, before, "moved and renamed, the messages keep their ids");
    for (subject, folder) in [("Letter 0", "Archive"), ("Letter 10", "Nouveau/été"), ("Letter 20", "Fresh")] {
        let message = world.by_subject(subject).await.unwrap();
        assert_eq!(message["folders"], serde_json::json!([folders[folder]["id"]]), "{message:#}");
    }
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 7);
    world.gateway.stop().await;
}

async fn dovecot_with_a_new_uidvalidity_loses_nothing_and_keeps_ids(backend: Backend) {
    let mut world = World::start(backend).await;
    for number in 0..60 {
        world.append("INBOX", FLAGS[number % 3], &letter(number, "bela@example.net", 200 + number * 40)).await;
    }
    // Two that metadata cannot tell apart: the same Message-ID, size and INTERNALDATE, other bytes.
    for name in ["one", "two"] {
        world.append("INBOX", &[], &letter(99, &format!("{name}@example.net"), 0)).await;
    }
    let mailbox = world.connect().await;
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 62);
    let ids = |messages: &[Value]| -> HashSet<String> {
        messages.iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect()
    };
    let before = world.messages().await;
    let created = |messages: &[Value]| -> DateTime<Utc> {
        let times = messages.iter().map(|message| message["created_at"].as_str().unwrap().parse().unwrap());
        times.max().unwrap()
    };

    world.server.doveadm(&["mailbox", "update", "-u", USER, "--uid-validity", "4242", "INBOX"]);
    world.reconnect(mailbox.id).await;
    let inbox = world.folders(mailbox.id).await["INBOX"].clone();
    assert_eq!((&inbox["uid_validity"], &inbox["message_count"]), (&Value::from(4242), &Value::from(62)));
    let after = world.messages().await;
    assert_eq!(ids(&after), ids(&before));
    assert_eq!(created(&after), created(&before), "nothing was stored anew");
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 62);

    // The new generation is followed like the one before.
    world.session = log_in(&world.server, USER).await;
    world.open("INBOX").await;
    let all = world.session.search_uids(1, u32::MAX).await.unwrap();
    let (first, _) = all.split(1);
    world.session.uid_store(&first, StoreFlags::Add, &["\\Deleted"]).await.unwrap();
    world.session.uid_expunge(&first).await.unwrap();
    world.append("INBOX", &[], &letter(100, "bela@example.net", 500)).await;
    let followed = eventually(async || {
        let gone = world.by_subject("Letter 0").await.is_none();
        (gone && world.by_subject("Letter 100").await.is_some()).then_some(())
    });
    assert!(followed.await.is_some());
    world.gateway.stop().await;
}
