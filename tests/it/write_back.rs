//! Changes are written to the mail server, confirmed, and shown at once; and what happens where the server will not.

mod labels;
mod refused;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use postroom::model::mailbox::Mailbox;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    dovecot_sync::account::{USER, World, letter, login},
    meddling::{Meddler, fetched},
    sandbox::connected,
    support::{
        dovecot::Dovecot,
        gateway::Backend,
        server::{MailServer, both_servers},
    },
};

mod on {
    use super::both_servers;
    both_servers!(
        flags_are_set_on_the_server_and_shown_at_once,
        a_message_is_moved_with_its_copies_and_never_missing,
        a_deleted_message_goes_to_the_trash_and_then_for_good,
        parallel_changes_end_as_the_server_has_them,
        a_server_without_uidplus_or_move_is_served_as_far_as_it_can_be,
    );
}

/// A mailbox that is synced through a forwarder.
pub(super) struct Wired<S = Dovecot> {
    pub(super) world: World<S>,
    pub(super) meddler: Meddler,
    pub(super) mailbox: Mailbox,
}

impl Wired {
    /// Connects a mailbox on Dovecot with this many letters in INBOX.
    pub(super) async fn start(backend: Backend, letters: usize, seconds: u64) -> Self {
        Self::launch(backend, letters, seconds, &[]).await
    }
}

impl<S: MailServer> Wired<S> {
    /// Connects a mailbox with this many letters in INBOX, on a server of which these words are not heard.
    async fn launch(backend: Backend, letters: usize, seconds: u64, words: &[&str]) -> Self {
        let timeout = std::time::Duration::from_secs(seconds);
        let mut world =
            World::<S>::launch_tweaked(backend, |config| config.mail.write_timeout = timeout).await;
        world.deliver("INBOX", 0..letters).await;
        let (meddler, port) = Meddler::before(world.server.port()).await;
        meddler.hide(words);
        let mailbox = world.gateway.connect(&world.tenant, login(port)).await;
        world.wait(mailbox.id, "connected", connected).await;
        Self {
            world,
            meddler,
            mailbox,
        }
    }

    pub(super) async fn folder(&self, name: &str) -> Uuid {
        let folders = self.world.folders(self.mailbox.id).await;
        folders[name]["id"].as_str().unwrap().parse().unwrap()
    }

    pub(super) async fn letter(&self, number: usize) -> Letter {
        let message = self.world.by_subject(&format!("Letter {number}")).await;
        let message = message.unwrap_or_else(|| panic!("letter {number} is not there"));
        Letter(format!("/v1/messages/{}", message["id"].as_str().unwrap()))
    }

    pub(super) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.world
            .gateway
            .call(method, &self.world.tenant.key, path, body)
            .await
    }

    pub(super) async fn patch(&self, letter: &Letter, body: Value) -> (u16, Value) {
        self.call("PATCH", &letter.0, Some(body)).await
    }

    /// Changes a message; the answer is what a GET shows right after it.
    pub(super) async fn change(&self, letter: &Letter, body: Value) -> Value {
        let (status, answer) = self.patch(letter, body).await;
        assert_eq!(status, 200, "{answer:#}");
        assert_eq!(answer, self.world.get(&letter.0).await);
        answer
    }

    /// What the server has in a folder: the flags of each message, by its UID, as a client sees it that is none of ours.
    fn on_server(&self, folder: &str) -> BTreeMap<u32, Vec<String>> {
        self.world.server.contents(USER, folder)
    }

    /// Folder counts and the mailbox's count are those of the server, at once and after a pass over all folders.
    pub(super) async fn counts(&self, expected: &[(&str, i64)], messages: i64) {
        for (name, count) in expected {
            let on_server = self.on_server(name).len();
            assert_eq!(i64::try_from(on_server).unwrap(), *count, "{name}, on the server");
        }
        for pass in ["at once", "after a pass"] {
            let folders = self.world.folders(self.mailbox.id).await;
            for (name, count) in expected {
                assert_eq!(folders[*name]["message_count"], *count, "{name}, {pass}");
            }
            let path = format!("/v1/mailboxes/{}", self.mailbox.id);
            assert_eq!(self.world.get(&path).await["message_count"], messages, "{pass}");
            let threads = self.world.get("/v1/threads?limit=200").await;
            let threads = threads["data"].as_array().unwrap();
            let in_threads = threads
                .iter()
                .map(|thread| thread["message_count"].as_i64().unwrap());
            assert_eq!(in_threads.sum::<i64>(), messages, "{pass}");
            self.world.reconnect(self.mailbox.id).await;
        }
    }
}

/// The path of a message.
#[derive(Clone)]
pub(super) struct Letter(pub(super) String);

async fn flags_are_set_on_the_server_and_shown_at_once<S: MailServer>(backend: Backend) {
    let mut wired = Wired::<S>::launch(backend, 3, 20, &[]).await;
    let first = wired.letter(0).await;
    let dials = wired.meddler.dials();
    let body = json!({"unread": false, "add_flags": ["\\flagged", "$Work"]});
    let changed = wired.change(&first, body).await;
    assert_eq!(
        (&changed["unread"], &changed["flags"]),
        (&json!(false), &json!(["$Work", "\\Flagged", "\\Seen"]))
    );
    assert_eq!(wired.on_server("INBOX")[&1], ["$Work", "\\Flagged", "\\Seen"]);
    let body = json!({"unread": true, "remove_flags": ["$work", "\\Answered"]});
    let changed = wired.change(&first, body).await;
    assert_eq!(
        (&changed["unread"], &changed["flags"]),
        (&json!(true), &json!(["\\Flagged"]))
    );
    assert_eq!(wired.on_server("INBOX")[&1], ["\\Flagged"]);
    // Nothing to do is done without a word to the server.
    let same = wired.change(&first, json!({})).await;
    assert_eq!(same, changed);
    // One connection for all of it beside the one that idles, which was not disturbed.
    assert_eq!(wired.meddler.dials(), dials + 1);

    // A copy elsewhere has its own flags on the server: all copies get them.
    let raw = letter(1, "bela@example.net", 500);
    wired.world.append("Archive", &["\\Answered"], &raw).await;
    wired.world.reconnect(wired.mailbox.id).await;
    let second = wired.letter(1).await;
    let changed = wired.change(&second, json!({"add_flags": ["\\Draft"]})).await;
    assert_eq!(changed["flags"], json!(["\\Answered", "\\Draft"]));
    assert_eq!(wired.on_server("INBOX")[&2], ["\\Draft"]);
    assert_eq!(wired.on_server("Archive")[&1], ["\\Answered", "\\Draft"]);
    wired.counts(&[("INBOX", 3), ("Archive", 1)], 3).await;
    wired.world.gateway.stop().await;
}

async fn a_message_is_moved_with_its_copies_and_never_missing<S: MailServer>(backend: Backend) {
    let mut wired = Wired::<S>::launch(backend, 3, 20, &[]).await;
    let (inbox, archive) = (wired.folder("INBOX").await, wired.folder("Archive").await);
    let moving = wired.letter(0).await;
    let bodies = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&bodies);
    wired.meddler.set(move |line| {
        counted.fetch_add(usize::from(fetched(line).is_some()), Ordering::SeqCst);
        None
    });
    let body = json!({"folder_id": archive, "add_flags": ["\\Flagged"]});
    let moved = wired.change(&moving, body).await;
    assert_eq!(
        (&moved["folders"], &moved["flags"]),
        (&json!([archive]), &json!(["\\Flagged"]))
    );
    assert_eq!(wired.on_server("Archive")[&1], ["\\Flagged"]);
    // Where it lies already, it stays.
    wired.change(&moving, json!({"folder_id": archive})).await;
    wired.counts(&[("INBOX", 2), ("Archive", 1)], 3).await;
    let after = wired.world.get(&moving.0).await;
    assert_eq!(
        (&after["folders"], &after["flags"]),
        (&moved["folders"], &moved["flags"])
    );

    assert_eq!(
        bodies.load(Ordering::SeqCst),
        0,
        "no pass fetches again what was moved"
    );

    to_and_fro(&wired, &moving, inbox, archive).await;
    wired.counts(&[("INBOX", 2), ("Archive", 1)], 3).await;

    // Copies in two folders: both go.
    wired.world.deliver("Sent", [1]).await;
    wired.world.reconnect(wired.mailbox.id).await;
    let twice = wired.letter(1).await;
    let moved = wired.change(&twice, json!({"folder_id": archive})).await;
    assert_eq!(moved["folders"], json!([archive]));
    wired
        .counts(&[("INBOX", 1), ("Sent", 0), ("Archive", 3)], 3)
        .await;
    wired.world.gateway.stop().await;
}

/// Moves a message to and fro, with a pass woken by each change: whoever looks sees it, always under its id.
async fn to_and_fro(wired: &Wired<impl MailServer>, moving: &Letter, inbox: Uuid, archive: Uuid) {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let (url, key) = (
        format!("{}{}", wired.world.gateway.url, moving.0),
        wired.world.tenant.key.clone(),
    );
    let http = wired.world.gateway.http.clone();
    let watcher = tokio::spawn(async move {
        let mut seen = 0;
        while !*stopped.borrow() {
            let answer = http.get(&url).header("x-api-key", &key).send().await.unwrap();
            assert_eq!(answer.status(), 200, "after {seen} looks");
            seen += 1;
        }
        seen
    });
    for round in 0..20 {
        let target = if round % 2 == 0 { inbox } else { archive };
        let moved = wired.change(moving, json!({"folder_id": target})).await;
        assert_eq!(moved["folders"], json!([target]));
    }
    stop.send(true).unwrap();
    assert!(watcher.await.unwrap() > 0);
}

async fn a_deleted_message_goes_to_the_trash_and_then_for_good<S: MailServer>(backend: Backend) {
    let mut wired = Wired::<S>::launch(backend, 3, 20, &[]).await;
    let trash = wired.folder("Trash").await;
    let (first, second) = (wired.letter(0).await, wired.letter(1).await);
    assert_eq!(wired.call("DELETE", &first.0, None).await.0, 204);
    assert_eq!(wired.world.get(&first.0).await["folders"], json!([trash]));
    wired.counts(&[("INBOX", 2), ("Trash", 1)], 3).await;
    // Another message of the folder is marked by another client: it is none of ours.
    wired
        .world
        .append("Trash", &["\\Deleted"], &letter(9, "bela@example.net", 500))
        .await;
    wired.world.reconnect(wired.mailbox.id).await;
    assert_eq!(wired.call("DELETE", &first.0, None).await.0, 204);
    assert_eq!(wired.call("GET", &first.0, None).await.0, 404);
    assert_eq!(wired.call("DELETE", &first.0, None).await.0, 404);
    wired.counts(&[("INBOX", 2), ("Trash", 1)], 3).await;
    let path = format!("{}?permanent=true", second.0);
    assert_eq!(wired.call("DELETE", &path, None).await.0, 204);
    assert_eq!(wired.call("GET", &second.0, None).await.0, 404);
    wired.counts(&[("INBOX", 1), ("Trash", 1)], 2).await;
    wired.world.gateway.stop().await;
}

async fn parallel_changes_end_as_the_server_has_them<S: MailServer>(backend: Backend) {
    let wired = Wired::<S>::launch(backend, 2, 20, &[]).await;
    let (inbox, archive) = (wired.folder("INBOX").await, wired.folder("Archive").await);
    let one = wired.letter(0).await;
    let changes = (0..20).map(|number| {
        let body = match number % 4 {
            0 => json!({"unread": number % 8 == 0}),
            1 => json!({"add_flags": [format!("k{number}")]}),
            2 => json!({"folder_id": if number % 8 == 2 { archive } else { inbox }}),
            _ => json!({"remove_flags": [format!("k{}", number - 2)], "add_flags": ["\\Answered"]}),
        };
        wired.patch(&one, body)
    });
    for (status, answer) in futures_util::future::join_all(changes).await {
        assert_eq!(status, 200, "{answer:#}");
    }
    let shown = wired.world.get(&one.0).await;
    let folders = shown["folders"].as_array().unwrap();
    assert_eq!(folders.len(), 1);
    let in_archive = folders[0] == json!(archive);
    let flags = |of: BTreeMap<u32, Vec<String>>| of.into_values().find(|flags| !flags.is_empty()).unwrap();
    let on_server = flags(wired.on_server(if in_archive { "Archive" } else { "INBOX" }));
    assert_eq!(shown["flags"], json!(on_server));
    let counts = if in_archive { (1, 1) } else { (2, 0) };
    wired
        .counts(&[("INBOX", counts.0), ("Archive", counts.1)], 2)
        .await;
    let after = wired.world.get(&one.0).await;
    assert_eq!(
        (&after["flags"], &after["folders"]),
        (&shown["flags"], &shown["folders"])
    );
    wired.world.gateway.stop().await;
}

async fn a_server_without_uidplus_or_move_is_served_as_far_as_it_can_be<S: MailServer>(backend: Backend) {
    // Without UIDPLUS the new UID is found by looking, and nothing can be erased without erasing more.
    let mut wired = Wired::<S>::launch(backend, 2, 20, &["UIDPLUS", "COPYUID"]).await;
    let archive = wired.folder("Archive").await;
    let one = wired.letter(0).await;
    let moved = wired.change(&one, json!({"folder_id": archive})).await;
    assert_eq!(moved["folders"], json!([archive]));
    let path = format!("{}?permanent=true", one.0);
    let (status, refused) = wired.call("DELETE", &path, None).await;
    assert_eq!((status, &refused["code"]), (502, &json!("upstream_refused")));
    assert!(
        refused["detail"].as_str().unwrap().contains("UIDPLUS"),
        "{refused}"
    );
    wired.counts(&[("INBOX", 1), ("Archive", 1)], 2).await;
    assert_eq!(wired.on_server("Archive")[&1], Vec::<String>::new());

    // Without MOVE it is copied and erased; what others marked stays.
    wired.meddler.hide(&[" MOVE"]);
    wired
        .world
        .append("Archive", &["\\Deleted"], &letter(9, "bela@example.net", 500))
        .await;
    // This closes the connection that was kept, and that knows MOVE still.
    wired.world.reconnect(wired.mailbox.id).await;
    let inbox = wired.folder("INBOX").await;
    let moved = wired.change(&one, json!({"folder_id": inbox})).await;
    assert_eq!(moved["folders"], json!([inbox]));
    wired.counts(&[("INBOX", 2), ("Archive", 1)], 3).await;
    let marked = wired.on_server("Archive");
    assert_eq!(marked.values().collect::<Vec<_>>(), [&["\\Deleted"]]);
    wired.world.gateway.stop().await;
}
