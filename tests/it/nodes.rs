//! Several nodes on one PostgreSQL: who syncs what while they come, go, die and sleep, and what each of them knows.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    crash::{
        process::{ADMIN, Place, Running},
        truth,
    },
    dovecot_sync::account::letter,
    fixture::ask,
    support::{api::Api, dovecot::Dovecot, gateway::Backend},
};

/// Within so long the mailboxes of a node that was killed are served by another: a lease lasts 30 s.
const TAKEN_OVER: Duration = Duration::from_secs(45);
/// Within so long those of a node that ended by itself are.
const HANDED_OVER: Duration = Duration::from_secs(5);
/// Within so long a connection is closed that another node was told to close.
const CLOSED: Duration = Duration::from_secs(5);
/// Nodes look at one another when they renew their leases, every 10 s, and each gives back what it has too much.
const BALANCED: Duration = Duration::from_secs(45);

/// Some mailboxes of one tenant on a Dovecot, and nodes that share a database.
struct World {
    server: Dovecot,
    first: Place,
    key: String,
    mailboxes: Vec<String>,
    letters: usize,
}

impl World {
    /// So many mailboxes, told of through `node`, which is the node at `first`.
    async fn start(first: Place, node: &mut Running, mailboxes: usize) -> Self {
        let server = Dovecot::start();
        let url = node.url().await;
        let tenant = api(&url, ADMIN)
            .call("POST", "/v1/tenants", Some(json!({"name": "Acme"})))
            .await;
        let key = tenant["api_key"]["key"].as_str().unwrap().to_owned();
        let mut world = Self {
            server,
            first,
            key,
            mailboxes: Vec::new(),
            letters: 0,
        };
        let api = world.api(node).await;
        for number in 0..mailboxes {
            let user = format!("user{number}");
            world.server.user(&user);
            let imap = json!({
                "host": "127.0.0.1", "port": world.server.imap_port(), "security": "none",
                "username": user, "password": format!("{user}'s password"),
            });
            let body = json!({"address": format!("{user}@example.org"), "imap": imap});
            let mailbox = api.call("POST", "/v1/mailboxes", Some(body)).await;
            world.mailboxes.push(mailbox["id"].as_str().unwrap().to_owned());
        }
        world
    }

    async fn api(&self, node: &mut Running) -> Api {
        api(&node.url().await, &self.key)
    }

    async fn rows(&self, statement: &str) -> Vec<Vec<String>> {
        ask(&self.first.config().storage.database, statement).await
    }

    /// How many mailboxes each node syncs.
    async fn shares(&self) -> BTreeMap<String, usize> {
        let statement = "SELECT l.owner, count(*) FROM mailbox_leases l JOIN mailboxes m \
            ON m.tenant_id = l.tenant_id AND m.id = l.mailbox_id \
            WHERE l.owner IS NOT NULL AND l.until > now() AND m.phase = 'connected' GROUP BY 1";
        let rows = self.rows(statement).await;
        rows.into_iter()
            .map(|row| (row[0].clone(), row[1].parse().unwrap()))
            .collect()
    }

    /// Waits until so many nodes have these shares, the smallest first.
    async fn shared(&self, expected: &[usize], patience: Duration) {
        let deadline = Instant::now() + patience;
        loop {
            let shares = self.shares().await;
            let mut counts: Vec<usize> = shares.values().copied().collect();
            counts.sort_unstable();
            if counts == expected {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{shares:?} after {patience:?}, not {expected:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until all mailboxes are synced by nodes other than these.
    async fn served_without(&self, gone: &str, patience: Duration) {
        let deadline = Instant::now() + patience;
        loop {
            let shares = self.shares().await;
            let elsewhere: usize = shares
                .iter()
                .filter(|(node, _)| !node.ends_with(gone))
                .map(|(_, count)| count)
                .sum();
            if elsewhere == self.mailboxes.len() {
                return;
            }
            assert!(Instant::now() < deadline, "{shares:?} after {patience:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A letter comes into each mailbox, and each node's API shows it.
    async fn mail_flows(&mut self, nodes: &mut [&mut Running]) {
        self.letters += 1;
        for number in 0..self.mailboxes.len() {
            let raw = letter(self.letters * 100 + number, "bela@example.net", 500);
            self.server.save(&format!("user{number}"), "INBOX", &raw);
        }
        for node in nodes {
            let api = self.api(node).await;
            let deadline = Instant::now() + Duration::from_secs(30);
            loop {
                let found = api.all("/v1/messages").await.len();
                if found == self.letters * self.mailboxes.len() {
                    break;
                }
                assert!(Instant::now() < deadline, "{found} messages");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Each message was told of once, whoever synced it.
    async fn told_once(&self, node: &mut Running, received: usize) {
        let api = self.api(node).await;
        let mut sum = 0;
        for mailbox in &self.mailboxes {
            sum += truth::announced(&api, mailbox).await;
        }
        assert_eq!(sum, received);
    }
}

fn api(url: &str, key: &str) -> Api {
    Api {
        http: reqwest::Client::new(),
        url: url.to_owned(),
        key: key.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_share_mailboxes_as_they_come_and_go_on_dovecot_and_postgres() {
    let place = Place::new(Backend::Postgres).await;
    let mut a = place.start(None);
    let mut world = World::start(place, &mut a, 6).await;
    world.shared(&[6], BALANCED).await;
    world.mail_flows(&mut [&mut a]).await;

    // One joins, and then a third.
    let mut b = world.first.beside(&[]).start(None);
    b.url().await;
    world.shared(&[3, 3], BALANCED).await;
    world.mail_flows(&mut [&mut a, &mut b]).await;
    let mut c = world.first.beside(&[]).start(None);
    c.url().await;
    world.shared(&[2, 2, 2], BALANCED).await;
    world.mail_flows(&mut [&mut a, &mut b, &mut c]).await;

    // One ends by itself, and one is killed.
    let gone = c.address().await;
    c.stop().await;
    world.served_without(&gone, HANDED_OVER).await;
    world.shared(&[3, 3], BALANCED).await;
    world.mail_flows(&mut [&mut a, &mut b]).await;
    let gone = a.address().await;
    a.kill();
    world.served_without(&gone, TAKEN_OVER).await;
    world.mail_flows(&mut [&mut b]).await;
    // Every letter but those that were there before the first sync.
    world.told_once(&mut b, 5 * 6).await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_12_a_node_that_slept_while_another_took_over_writes_nothing_on_dovecot_and_postgres() {
    let place = Place::new(Backend::Postgres).await;
    let mut a = place.start(None);
    let mut world = World::start(place, &mut a, 2).await;
    world.shared(&[2], BALANCED).await;
    let asleep = a.address().await;
    a.signal("STOP");
    let mut b = world.first.beside(&[]).start(None);
    b.url().await;
    world.served_without(&asleep, TAKEN_OVER).await;
    world.mail_flows(&mut [&mut b]).await;
    // The letters are shown before their pass has ended.
    world.served_without(&asleep, BALANCED).await;
    let before = world.mail_rows().await;

    // Awake, the first finds that it lost everything, hangs up, and says that it lives; what there is stays as it is.
    let sessions = world.sessions();
    a.signal("CONT");
    let nodes = "SELECT count(*) FROM nodes WHERE until > now()";
    let deadline = Instant::now() + BALANCED;
    while world.rows(nodes).await[0][0] != "2" || world.sessions() >= sessions {
        assert!(
            Instant::now() < deadline,
            "{} sessions of {sessions}",
            world.sessions()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.mail_rows().await, before, "something was written");
    world.shared(&[1, 1], BALANCED).await;
    world.mail_flows(&mut [&mut a, &mut b]).await;
    world.told_once(&mut b, 2 * 2).await;
    a.stop().await;
    b.stop().await;
}

impl World {
    /// How many connections the server has.
    fn sessions(&self) -> usize {
        let who = self.server.doveadm(&["-f", "flow", "who", "-1"]);
        who.lines().count()
    }

    /// Everything that tells of mail, as one hash a table.
    async fn mail_rows(&self) -> Vec<Vec<String>> {
        let mut hashes = Vec::new();
        for table in [
            "mailboxes",
            "folders",
            "messages",
            "placements",
            "threads",
            "events",
        ] {
            // When a pass ended last changes with every pass, and says nothing of mail.
            let rows = format!(
                "SELECT count(*), string_agg((to_jsonb(t) - 'last_synced_at')::text, E'\\n' ORDER BY t::text) \
                 FROM {table} t"
            );
            hashes.extend(self.rows(&rows).await);
        }
        hashes
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_serves_another_does_on_dovecot_and_postgres() {
    let place = Place::new(Backend::Postgres).await;
    let front = place.beside(&["--role=api"]);
    let mut api_node = front.start(None);
    // The worker serves no API; its secrets are those of the folder that both share.
    let mut world = World::start(place, &mut api_node, 1).await;
    let worker = world.first.beside(&["--role=worker"]).start(None);
    world.shared(&[1], BALANCED).await;
    let api = world.api(&mut api_node).await;
    let path = format!("/v1/mailboxes/{}", world.mailboxes[0]);

    // An event that one node writes reaches the stream of another.
    let stream = api
        .http
        .get(format!("{}/v1/events/stream?types=message.received", api.url))
        .header("x-api-key", &api.key)
        .send();
    let mut stream = stream.await.unwrap();
    world.mail_flows(&mut [&mut api_node]).await;
    let event = tokio::time::timeout(Duration::from_secs(10), received(&mut stream)).await;
    assert_eq!(
        event.unwrap()["data"]["mailbox"]["id"].as_str(),
        Some(world.mailboxes[0].as_str())
    );

    // One node is told to disable what another syncs.
    assert_eq!(world.sessions(), 1);
    let disable = json!({"enabled": false});
    api.call("PATCH", &path, Some(disable)).await;
    let deadline = Instant::now() + CLOSED;
    while world.sessions() > 0 {
        assert!(Instant::now() < deadline, "the connection stays open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    api.call("PATCH", &path, Some(json!({"enabled": true}))).await;
    world.shared(&[1], BALANCED).await;
    world.mail_flows(&mut [&mut api_node]).await;
    worker.stop().await;
    api_node.stop().await;
}

/// The next event of a stream.
async fn received(stream: &mut reqwest::Response) -> Value {
    let mut text = String::new();
    loop {
        let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
        text += std::str::from_utf8(&chunk).unwrap();
        let data = text.lines().find_map(|line| line.strip_prefix("data: "));
        if let Some(event) = data.and_then(|data| serde_json::from_str(data).ok()) {
            return event;
        }
    }
}
