//! The loop of kills: a first sync and live mail, and the process killed at named points and at random instants.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::TimeDelta;
use postroom::{config::BlobUrl, model::clock::Clock, service::bootstrap, worker::sweep};
use serde_json::json;
use tokio::time::Instant;

use super::{
    post::{Placed, Post},
    process::{ADMIN, Place, Running},
    truth,
};
use crate::{
    dovecot_sync::account::{ADDRESS, USER},
    fixture::ask,
    support::{
        api::Api,
        dovecot::Dovecot,
        gateway::{Backend, both},
        soak,
    },
    webhooks::receiver::{Got, Receiver},
};

mod on {
    use super::both;
    both!(
        promise_1_and_5_dovecot_and_kills_every_message_is_stored_once_and_told,
        a_restart_after_a_kill_waits_for_no_lease_of_dovecot,
    );
}

/// Where the process dies by itself.
const POINTS: [&str; 4] = [
    "arrivals_after_blob",
    "arrivals_before_commit",
    "webhook_after_post",
    "arrivals_after_commit",
];
/// How long nothing may come of what is to be told, and how often it is looked for.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(500);
/// The longest that a process lives before it is killed at a random instant, in milliseconds.
const LIFE: u64 = 1_500;

/// A mailbox that a process was told of.
struct Mailbox {
    key: String,
    id: String,
}

async fn connect(running: &mut Running, server: &Dovecot, receiver: &Receiver) -> Mailbox {
    let platform = api(running, ADMIN).await;
    let tenant = platform
        .call("POST", "/v1/tenants", Some(json!({"name": "Acme"})))
        .await;
    let key = tenant["api_key"]["key"].as_str().unwrap().to_owned();
    let client = api(running, &key).await;
    // Before the mailbox, so that it hears of everything.
    let endpoint = json!({"url": receiver.url()});
    client.call("POST", "/v1/webhook-endpoints", Some(endpoint)).await;
    let imap = json!({
        "host": "127.0.0.1", "port": server.imap_port(), "security": "none",
        "username": USER, "password": "anna's password",
    });
    let body = json!({"address": ADDRESS, "imap": imap});
    let mailbox = client.call("POST", "/v1/mailboxes", Some(body)).await;
    Mailbox {
        key,
        id: mailbox["id"].as_str().unwrap().to_owned(),
    }
}

async fn api(running: &mut Running, key: &str) -> Api {
    Api {
        http: reqwest::Client::new(),
        url: running.url().await,
        key: key.to_owned(),
    }
}

async fn promise_1_and_5_dovecot_and_kills_every_message_is_stored_once_and_told(backend: Backend) {
    let name = format!("kill -9 while mail flows, {backend:?}");
    let (kills, seed) = (soak::rounds(10, 200), soak::seed(&name));
    let waiting = soak::rounds(500, 20_000);
    let server = Dovecot::start();
    server.user(USER);
    let mut post = Post::new(&server, seed).await;
    for number in 0..waiting {
        let bytes = if number % 25 == 0 {
            70_000
        } else {
            400 + number % 3_000
        };
        post.letter("INBOX", bytes).await;
    }
    let mut dice = Post::new(&server, seed ^ 1).await;
    let place = Place::new(backend).await;
    let mut running = place.start(None);
    let receiver = Receiver::start().await;
    let mailbox = connect(&mut running, &server, &receiver).await;
    running.kill();

    let flow = post.flow(0..40);
    let mut at_points = 0;
    for kill in 0..kills {
        if kill % 2 == 0 {
            let point = POINTS[kill / 2 % POINTS.len()];
            let passed = dice.below(4);
            place
                .start(Some(&format!("{point}={passed}*off->return")))
                .dies()
                .await;
            at_points += 1;
        } else {
            let running = place.start(None);
            tokio::time::sleep(Duration::from_millis(dice.below(LIFE))).await;
            running.kill();
        }
    }
    // Live mail goes on over the last start, too.
    let mut running = place.start(None);
    running.url().await;
    flow.more(10).await;
    let post = flow.stop().await;
    let api = api(&mut running, &mailbox.key).await;
    let patience = Duration::from_secs(if waiting > 500 { 3_600 } else { 60 });
    truth::settled(&api, &mailbox.id, &post.placed, patience).await;
    truth::holds(&api, &mailbox.id, &post.placed).await;
    let received = truth::announced(&api, &mailbox.id).await;
    assert!(received >= 5, "only {received} messages were announced");
    let (told, repeated) = all_told(&api, &receiver).await;
    running.stop().await;

    let swept = nothing_is_left_over(&place, &post.placed, &post.large).await;
    let live = post.placed.values().collect::<BTreeSet<_>>().len();
    let seen = format!(
        "{live} messages once each ({waiting} waiting at first), {received} announced once each, {at_points} kills at named points; \
         {told} events told by webhooks, {repeated} of them more than once; swept then: {} tombstones, {} blobs, {} unfinished \
         files",
        swept.messages, swept.blobs, swept.unfinished
    );
    soak::record(&name, kills, seed, seen);
}

/// Every event of the log comes to the endpoint, and nothing else does; a repetition has the id of what it repeats. Answers how
/// many events there are, and how many requests brought one again.
async fn all_told(api: &Api, receiver: &Receiver) -> (usize, usize) {
    let (mut left, mut progress) = (usize::MAX, Instant::now());
    loop {
        let logged: BTreeSet<String> = api
            .all("/v1/events")
            .await
            .iter()
            .map(|event| event["id"].as_str().unwrap().to_owned())
            .collect();
        let got = receiver.got();
        let told: BTreeSet<String> = got.iter().map(Got::id).collect();
        let missing = logged.difference(&told).count();
        if missing == 0 {
            assert_eq!(told, logged, "what was told is in the log");
            return (told.len(), got.len() - told.len());
        }
        if missing < left {
            (left, progress) = (missing, Instant::now());
        }
        assert!(
            progress.elapsed() < PATIENCE,
            "{missing} of {} events were not told",
            logged.len()
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// After the sweep there is no row that nothing on the server accounts for, and no blob that no row names.
async fn nothing_is_left_over(place: &Place, placed: &Placed, large: &BTreeSet<[u8; 32]>) -> sweep::Swept {
    let config = place.config();
    let BlobUrl::Folder(blobs) = config.storage.blobs.clone() else {
        panic!("the blobs are in a folder");
    };
    let later = Clock::from_fn(|| Clock::system().now() + TimeDelta::days(31));
    let opened = bootstrap::open(config, later)
        .await
        .unwrap_or_else(|error| panic!("{error:?}"));
    let swept = sweep::step(&opened.app)
        .await
        .unwrap_or_else(|error| panic!("{error:?}"));
    let live: BTreeSet<[u8; 32]> = placed.values().copied().collect();
    let expected: BTreeSet<String> = live.intersection(large).map(hex).collect();
    let files: Vec<String> = files(&blobs)
        .iter()
        .map(|file| file.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(files.len(), expected.len(), "{files:?} are the blobs");
    assert_eq!(files.into_iter().collect::<BTreeSet<_>>(), expected);
    let database = &opened.app.config.storage.database;
    for (table, rows) in [
        ("messages", live.len()),
        ("message_bodies", live.len()),
        ("message_raws", live.len() - expected.len()),
        ("placements", placed.len()),
        ("threads WHERE message_count = 0 AND merged_into IS NULL", 0),
        ("quarantine", 0),
    ] {
        let found = ask(database, &format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(found[0][0], rows.to_string(), "{table}");
    }
    swept
}

fn hex(sha256: &[u8; 32]) -> String {
    let mut text = String::new();
    for byte in sha256 {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The lease of the killed process lasts for an hour and, in the embedded database, is another node's: nothing waits for it.
async fn a_restart_after_a_kill_waits_for_no_lease_of_dovecot(backend: Backend) {
    let server = Dovecot::start();
    server.user(USER);
    let mut post = Post::new(&server, soak::seed("restart")).await;
    post.letter("INBOX", 500).await;
    let place = Place::new(backend).await;
    let mut running = place.start(None);
    let mailbox = connect(&mut running, &server, &Receiver::start().await).await;
    let client = api(&mut running, &mailbox.key).await;
    let patience = Duration::from_secs(60);
    truth::settled(&client, &mailbox.id, &post.placed, patience).await;
    running.kill();
    let database = place.config().storage.database;
    let epoch = async || ask(&database, "SELECT epoch FROM mailbox_leases").await[0][0].clone();
    let held = epoch().await;
    let extend = match backend {
        Backend::Sqlite => "UPDATE mailbox_leases SET owner = 'another', until = until + 3600000000",
        Backend::Postgres => "UPDATE mailbox_leases SET until = until + interval '1 hour'",
    };
    ask(&database, extend).await;
    post.letter("INBOX", 500).await;
    let mut running = place.start(None);
    let client = api(&mut running, &mailbox.key).await;
    truth::settled(&client, &mailbox.id, &post.placed, patience).await;
    let next = held.parse::<i64>().unwrap() + 1;
    assert_eq!(epoch().await, next.to_string(), "the epoch moved on by one");
    running.stop().await;
}
