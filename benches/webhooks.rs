//! The speed of webhooks: from a message's arrival at its server to the request at the receiver, a burst, one event for many
//! endpoints, and what one tenant's dead endpoints cost another.
//!
//! `POSTROOM_BENCH_ARRIVALS` says how many messages are followed one by one (500), `POSTROOM_BENCH_BURST` how many come at
//! once (5,000).

mod receiver;

use std::time::{Duration, Instant};

use serde_json::json;
use uuid::Uuid;

use self::receiver::{Came, Receiver};
use crate::{
    support::{
        dovecot::Dovecot,
        gateway::{Backend, Gateway, Tenant},
        rounds::{median, percentile},
        table::{Table, Wanted},
    },
    sync::{
        BACKENDS, connect, durable, hand_over, lay_down, maildir,
        post::{Sizes, Writer},
        real, setting, wait,
    },
};

/// How many messages a mailbox has before.
const BEFORE: usize = 20;
/// So many endpoints hear of one event.
const ENDPOINTS: usize = 100;
/// How often one event is sent to all of them.
const EVENTS: usize = 20;
/// So many endpoints of another tenant never answer.
const DEAD: usize = 20;
/// How many requests of one endpoint are on their way at once: the floor has as many.
const AT_ONCE: usize = postroom::model::webhook::IN_FLIGHT;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) async fn run(table: &mut Table) {
    durable().await;
    let server = Dovecot::start_with(maildir());
    for backend in BACKENDS {
        arrivals(table, &server, backend).await;
        burst(table, &server, backend).await;
        fan_out(table, backend).await;
        beside_the_dead(table, backend).await;
    }
}

/// A gateway whose tenant has a mailbox of this user, and a receiver that hears of its new messages.
async fn world(server: &Dovecot, backend: Backend, user: &str) -> (Gateway, Tenant, Uuid, Receiver) {
    lay_down(server, user, BEFORE, 8, Sizes::SMALL);
    let ca = format!("--ca-file={}", server.ca_pem().display());
    let gateway = Gateway::start_with(backend, &[ca]).await;
    let tenant = gateway.tenant("Acme").await;
    let receiver = Receiver::start().await;
    subscribe(&gateway, &tenant, &receiver.url, "message.received").await;
    let mailbox = connect(&gateway, &tenant, server, user).await.id;
    wait(&gateway, &tenant, mailbox, BEFORE).await;
    (gateway, tenant, mailbox, receiver)
}

async fn subscribe(gateway: &Gateway, tenant: &Tenant, url: &str, kind: &str) {
    let body = json!({"url": url, "event_types": [kind]});
    let (status, answer) = gateway
        .call("POST", &tenant.key, "/v1/webhook-endpoints", Some(body))
        .await;
    assert_eq!(status, 201, "{answer:#}");
}

/// From the arrival to the request, against the arrival and a bare client's notification by IDLE.
async fn arrivals(table: &mut Table, server: &Dovecot, backend: Backend) {
    let count = setting("POSTROOM_BENCH_ARRIVALS", 500);
    let user = format!("ida-{backend:?}").to_lowercase();
    let (gateway, _, _, mut receiver) = world(server, backend, &user).await;
    let mut idle = Idle::start(server, &user).await;
    let mut writer = Writer::new(9, Sizes::SMALL);
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for number in 0..count {
        // IDLE has begun again on both.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let message = writer.next();
        let begun = Instant::now();
        deliver(server, &user, number, &message);
        let (told, came) = tokio::join!(idle.told(), receiver.take(number + 1));
        ours.push((came[0].at - begun).as_secs_f64() * 1e3);
        floors.push((told - begun).as_secs_f64() * 1e3);
    }
    gateway.stop().await;
    for (what, percent, wanted) in [("median", 50, 1.2), ("99th percentile", 99, 2.0)] {
        table.ratio(
            format!("arrival of a message to its webhook, {what} of {count}, against a bare client's IDLE, {backend:?}"),
            " ms",
            percentile(ours.clone(), percent),
            percentile(floors.clone(), percent),
            Wanted::AtMost(wanted),
        );
    }
}

/// Delivers as a Maildir's own agent does.
fn deliver(server: &Dovecot, user: &str, number: usize, message: &[u8]) {
    let folder = server.mail_folder().join(user).join("Maildir");
    let name = format!("{}.R{number}P3.post", 1_900_000_000 + number);
    let aside = folder.join("tmp").join(&name);
    std::fs::write(&aside, message).unwrap();
    hand_over(&aside);
    std::fs::rename(aside, folder.join("new").join(name)).unwrap();
}

/// Many messages at once: deliveries a second, against bare requests of the same bytes.
async fn burst(table: &mut Table, server: &Dovecot, backend: Backend) {
    let count = setting("POSTROOM_BENCH_BURST", 5_000);
    let user = format!("bea-{backend:?}").to_lowercase();
    let (gateway, tenant, mailbox, mut receiver) = world(server, backend, &user).await;
    let mut writer = Writer::new(10, Sizes::SMALL);
    let folder = server.mail_folder().join(&user).join("Maildir");
    // Written aside, so that what is measured is not the disk that they are laid on.
    for number in 0..count {
        let name = format!("{}.R{number}P4.post", 1_900_000_000 + number);
        std::fs::write(folder.join("tmp").join(name), writer.next()).unwrap();
    }
    hand_over(&folder.join("tmp"));
    let begun = Instant::now();
    for number in 0..count {
        let name = format!("{}.R{number}P4.post", 1_900_000_000 + number);
        std::fs::rename(folder.join("tmp").join(&name), folder.join("new").join(name)).unwrap();
    }
    let came = receiver.take(count).await;
    wait(&gateway, &tenant, mailbox, BEFORE + count).await;
    assert_eq!(came.len(), count, "each once");
    let whole = came.iter().map(|one| one.at).max().unwrap() - begun;
    gateway.stop().await;
    let bare = bare(&came).await;
    let rate = |from: Duration| real(count) / from.as_secs_f64();
    table.ratio(
        format!(
            "webhooks of a burst of {count} messages, from their arrival, against bare requests, {backend:?}"
        ),
        "/s",
        rate(whole),
        rate(bare),
        Wanted::AtLeast(0.5),
    );
}

/// How long the same receiver takes for bare requests of the same bytes from one client.
async fn bare(came: &[Came]) -> Duration {
    use futures_util::StreamExt;
    let mut receiver = Receiver::start().await;
    let client = reqwest::Client::new();
    let url = receiver.url.clone();
    let begun = Instant::now();
    futures_util::stream::iter(came)
        .for_each_concurrent(AT_ONCE, async |one| {
            let request = client
                .post(&url)
                .header("content-type", "application/json")
                .body(vec![b' '; one.bytes]);
            request.send().await.unwrap().bytes().await.unwrap();
        })
        .await;
    let all = receiver.take(came.len()).await;
    all.iter().map(|one| one.at).max().unwrap() - begun
}

/// One event to many endpoints: from its commit to the last of its requests, against as many bare requests.
async fn fan_out(table: &mut Table, backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let mut receiver = Receiver::start().await;
    for _ in 0..ENDPOINTS {
        subscribe(&gateway, &tenant, &receiver.url, "mailbox.updated").await;
    }
    let path = mailbox_of(&gateway, &tenant).await;
    let mut sent = receiver.take(ENDPOINTS).await;
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for number in 0..EVENTS {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let rename = json!({"name": format!("Name {number}")});
        gateway.call("PATCH", &tenant.key, &path, Some(rename)).await;
        let begun = Instant::now();
        sent = receiver.take(ENDPOINTS * (number + 2)).await;
        ours.push((sent.iter().map(|one| one.at).max().unwrap() - begun).as_secs_f64() * 1e3);
        floors.push(bare(&sent).await.as_secs_f64() * 1e3);
    }
    drop(sent);
    gateway.stop().await;
    table.ratio(
        format!("one event to {ENDPOINTS} endpoints, against as many bare requests, {backend:?}"),
        " ms",
        median(ours),
        median(floors),
        Wanted::Nothing,
    );
}

/// A mailbox whose name can be changed; it is disabled, so that nobody tries it meanwhile.
async fn mailbox_of(gateway: &Gateway, tenant: &Tenant) -> String {
    let imap = json!({"host": "127.0.0.1", "port": 9, "security": "none", "username": "a", "password": "b"});
    let body = json!({"address": "fan@example.org", "imap": imap});
    let (status, mailbox) = gateway
        .call("POST", &tenant.key, "/v1/mailboxes", Some(body))
        .await;
    assert_eq!(status, 201, "{mailbox:#}");
    let path = format!("/v1/mailboxes/{}", mailbox["id"].as_str().unwrap());
    gateway
        .call("PATCH", &tenant.key, &path, Some(json!({"enabled": false})))
        .await;
    path
}

/// From the change to its webhook: alone, and while every endpoint of another tenant hangs.
async fn beside_the_dead(table: &mut Table, backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let (one, other) = (gateway.tenant("One").await, gateway.tenant("Other").await);
    let mut receiver = Receiver::start().await;
    subscribe(&gateway, &one, &receiver.url, "mailbox.updated").await;
    let path = mailbox_of(&gateway, &one).await;
    receiver.take(1).await;
    let mut told = 1;
    let alone = delays(&gateway, (&one, &path), &mut receiver, &mut told, None).await;
    // Connections are taken by the kernel, and nobody reads from them.
    let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", dead.local_addr().unwrap());
    for _ in 0..DEAD {
        subscribe(&gateway, &other, &url, "mailbox.updated").await;
    }
    let noisy = mailbox_of(&gateway, &other).await;
    let beside = delays(
        &gateway,
        (&one, &path),
        &mut receiver,
        &mut told,
        Some((&other, &noisy)),
    )
    .await;
    gateway.stop().await;
    table.value(
        format!(
            "how much later a webhook is while {DEAD} endpoints of another tenant hang, median, {backend:?}"
        ),
        " ms",
        beside - alone,
        Wanted::AtMost(100.0),
    );
}

/// The median of a webhook's delay after its change, in milliseconds; `noisy` is changed before.
async fn delays(
    gateway: &Gateway,
    (tenant, path): (&Tenant, &str),
    receiver: &mut Receiver,
    told: &mut usize,
    noisy: Option<(&Tenant, &str)>,
) -> f64 {
    let mut delays = Vec::new();
    for number in 0..EVENTS {
        let rename = json!({"name": format!("Name {number}")});
        if let Some((tenant, path)) = noisy {
            gateway
                .call("PATCH", &tenant.key, path, Some(rename.clone()))
                .await;
        }
        let rename = json!({"name": format!("Name {told}")});
        gateway.call("PATCH", &tenant.key, path, Some(rename)).await;
        let begun = Instant::now();
        *told += 1;
        let came = receiver.take(*told).await;
        delays.push(came[0].at.saturating_duration_since(begun).as_secs_f64() * 1e3);
    }
    median(delays)
}

/// A bare client that idles.
struct Idle {
    lines: tokio::sync::mpsc::Receiver<Instant>,
}

impl Idle {
    async fn start(server: &Dovecot, user: &str) -> Self {
        use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", server.imap_port()))
            .await
            .unwrap();
        stream.set_nodelay(true).unwrap();
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        let mut line = String::new();
        for command in [
            format!("a LOGIN {user} \"{user}'s password\""),
            "b EXAMINE INBOX".to_owned(),
            "c IDLE".to_owned(),
        ] {
            writer
                .write_all(format!("{command}\r\n").as_bytes())
                .await
                .unwrap();
            let tag = if command.ends_with("IDLE") {
                "+ "
            } else {
                &command[..2]
            };
            loop {
                line.clear();
                reader.read_line(&mut line).await.unwrap();
                if line.starts_with(tag) {
                    break;
                }
            }
        }
        let (sender, lines) = tokio::sync::mpsc::channel(1_000);
        tokio::spawn(async move {
            // Held, so that the connection stays.
            let _writer = writer;
            loop {
                line.clear();
                if reader.read_line(&mut line).await.unwrap_or(0) == 0 {
                    break;
                }
                if line.trim_end().ends_with(" EXISTS") && sender.send(Instant::now()).await.is_err() {
                    break;
                }
            }
        });
        Self { lines }
    }

    /// When the next message is told of.
    async fn told(&mut self) -> Instant {
        tokio::time::timeout(PATIENCE, self.lines.recv())
            .await
            .unwrap()
            .expect("the server hung up")
    }
}
