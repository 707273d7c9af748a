//! What goes wrong between a mailbox and its server, and what the three dialects say of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use postroom::{
    model::{
        caller::Caller,
        credentials::Secret,
        mailbox::{Mailbox, Security, ServerLogin, ServerSettings},
    },
    service::{leases, mailboxes, verify},
};
use serde_json::{Value, json};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    time::Instant,
};
use uuid::Uuid;

use crate::{
    dovecot_sync::account::log_in,
    sandbox::connected,
    support::{
        dovecot::Dovecot,
        gateway::{Backend, Gateway, Login, Tenant, both, eventually},
        postgres::Database,
    },
    world::id,
};

mod on {
    use super::both;
    both!(
        dovecot_refuses_a_password_twice_and_is_left_alone_until_a_new_one,
        dovecot_that_goes_away_is_found_again,
        dovecot_is_left_at_once_by_a_disabled_mailbox,
        dovecot_is_trusted_by_its_authority_alone,
        dovecot_is_resumed_after_a_restart_without_fetching_again,
    );
}

/// How soon a disabled mailbox's connection must be closed.
pub(crate) const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// A forwarder before a server, which counts.
#[derive(Clone, Default)]
pub(crate) struct Counter(Arc<Counts>);

#[derive(Default)]
struct Counts {
    dials: AtomicUsize,
    open: AtomicUsize,
    /// Bytes from the server.
    read: AtomicUsize,
}

impl Counter {
    /// Forwards to a loopback port; answers the port to connect to.
    pub(crate) async fn before(port: u16) -> (Self, u16) {
        let counter = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let counts = counter.0.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let counts = counts.clone();
                counts.dials.fetch_add(1, Ordering::SeqCst);
                counts.open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await
                        && let Ok((_, read)) = copy_bidirectional(&mut client, &mut server).await
                    {
                        counts
                            .read
                            .fetch_add(usize::try_from(read).unwrap(), Ordering::SeqCst);
                    }
                    counts.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        (counter, own)
    }

    pub(crate) fn dials(&self) -> usize {
        self.0.dials.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.0.open.load(Ordering::SeqCst)
    }

    pub(crate) async fn closed(&self) {
        let closed = eventually(async || (self.open() == 0).then_some(()));
        assert!(closed.await.is_some(), "the connection was not closed");
    }
}

/// A gateway with one tenant, and what its tests ask.
struct Asked {
    gateway: Gateway,
    tenant: Tenant,
}

impl Asked {
    async fn start(backend: Backend, extra: &[String]) -> Self {
        let gateway = Gateway::start_with(backend, extra).await;
        let tenant = gateway.tenant("Acme").await;
        Self { gateway, tenant }
    }

    async fn caller(&self) -> Caller {
        self.gateway.caller(&self.tenant.key).await
    }

    /// Connects a mailbox that every dialect shows: Feather knows Gmail and Microsoft alone.
    async fn create(&self, port: u16, security: &str, password: &str) -> Uuid {
        let body = json!({
            "address": "anna@example.org",
            "provider": "gmail",
            "imap": {"host": "localhost", "port": port, "security": security, "username": "anna", "password": password},
        });
        let mailbox = self.gateway.make(&self.tenant.key, "/v1/mailboxes", body).await;
        id(&mailbox["id"])
    }

    async fn patch(&self, id: Uuid, body: Value) {
        let path = format!("/v1/mailboxes/{id}");
        self.gateway.change(&self.tenant.key, &path, body).await;
    }

    async fn message_ids(&self) -> Vec<Value> {
        let page = self.gateway.get(&self.tenant.key, "/v1/messages?limit=200").await;
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["id"].clone())
            .collect()
    }

    /// `state` and `status` of the unified API, Plannr's `state`, Feather's `status`.
    async fn states(&self, id: Uuid) -> [String; 4] {
        let key = &self.tenant.key;
        let own = self.gateway.get(key, &format!("/v1/mailboxes/{id}")).await;
        let plannr = self.gateway.get(key, "/api/v1/mailboxes").await;
        let feather = self.gateway.get(key, "/v1/email/accounts").await;
        let find = |list: &Value, field: &str| -> Value {
            let list = list.as_array().unwrap();
            list.iter()
                .find(|one| one[field] == id.to_string())
                .unwrap_or_else(|| panic!("{list:?}"))
                .clone()
        };
        let (plannr, feather) = (find(&plannr["data"], "uuid"), find(&feather["accounts"], "id"));
        [
            &own["state"],
            &own["status"],
            &plannr["state"],
            &feather["status"],
        ]
        .map(|word| word.as_str().unwrap().to_owned())
    }

    /// Waits for the four words, and answers the unified mailbox.
    async fn wait_for(&self, id: Uuid, words: [&str; 4]) -> Value {
        let mut last = None;
        let found = eventually(async || {
            let states = self.states(id).await;
            let there = states == words;
            last = Some(states);
            there.then_some(())
        });
        assert!(found.await.is_some(), "not {words:?} but {last:?}");
        self.gateway
            .get(&self.tenant.key, &format!("/v1/mailboxes/{id}"))
            .await
    }
}

const CONNECTED: [&str; 4] = ["connected", "active", "connected", "active"];
const REFUSED: [&str; 4] = [
    "authentication_error",
    "needs_reauth",
    "authenticationError",
    "needs_reauth",
];
const UNREACHABLE: [&str; 4] = ["connect_error", "error", "connectError", "error"];
const DISABLED: [&str; 4] = ["disconnected", "paused", "disconnected", "paused"];

async fn dovecot_refuses_a_password_twice_and_is_left_alone_until_a_new_one(backend: Backend) {
    let server = Dovecot::start();
    server.user("anna");
    server.save("anna", "INBOX", b"Subject: one\r\n\r\ntext\r\n");
    let (counter, port) = Counter::before(server.imap_port()).await;
    let asked = Asked::start(backend, &[]).await;
    let id = asked.create(port, "none", "not the secret word").await;
    let refused = asked.wait_for(id, REFUSED).await;
    assert_eq!(refused["error"]["code"], "credentials_refused");
    assert!(!refused.to_string().contains("secret word"), "{refused}");
    counter.closed().await;
    assert_eq!(counter.dials(), 2);
    // Nobody is offered this mailbox, now or later.
    let offered = leases::claim(&asked.gateway.app, "another node").await.unwrap();
    assert!(offered.is_empty(), "{offered:?}");
    assert_eq!(counter.dials(), 2);

    asked
        .patch(id, json!({"imap": {"password": "anna's password"}}))
        .await;
    let connected = asked.wait_for(id, CONNECTED).await;
    assert_eq!(
        (&connected["error"], &connected["message_count"]),
        (&Value::Null, &json!(1))
    );
    assert_eq!(counter.dials(), 3);

    // A password that is changed on the server is refused again when the connection is made anew.
    server.set_password("anna", "changed");
    let path = format!("/v1/mailboxes/{id}/reconnect");
    let (status, _) = asked.gateway.call("POST", &asked.tenant.key, &path, None).await;
    assert_eq!(status, 200);
    asked.wait_for(id, REFUSED).await;
    counter.closed().await;
    assert_eq!(counter.dials(), 5);
    asked.gateway.stop().await;
}

async fn dovecot_that_goes_away_is_found_again(backend: Backend) {
    let mut server = Dovecot::start();
    server.user("anna");
    let asked = Asked::start(backend, &[]).await;
    let id = asked.create(server.imap_port(), "none", "anna's password").await;
    asked.wait_for(id, CONNECTED).await;
    server.stop();
    let failed = asked.wait_for(id, UNREACHABLE).await;
    assert!(!failed["error"]["code"].is_null(), "{failed}");
    let code = async || {
        let mailbox = asked
            .gateway
            .get(&asked.tenant.key, &format!("/v1/mailboxes/{id}"))
            .await;
        (mailbox["error"]["code"] == "unreachable").then_some(())
    };
    assert!(eventually(code).await.is_some(), "a closed port is unreachable");
    assert_eq!(
        asked.states(id).await,
        UNREACHABLE,
        "a passing fault is not an authentication error"
    );
    server.restart();
    server.save("anna", "INBOX", b"Subject: after\r\n\r\ntext\r\n");
    let connected = asked.wait_for(id, CONNECTED).await;
    assert_eq!(
        (&connected["error"], &connected["message_count"]),
        (&Value::Null, &json!(1))
    );
    asked.gateway.stop().await;
}

async fn dovecot_is_left_at_once_by_a_disabled_mailbox(backend: Backend) {
    let server = Dovecot::start();
    server.user("anna");
    server.save("anna", "INBOX", b"Subject: one\r\n\r\ntext\r\n");
    let (counter, port) = Counter::before(server.imap_port()).await;
    let asked = Asked::start(backend, &[]).await;
    let id = asked.create(port, "none", "anna's password").await;
    asked.wait_for(id, CONNECTED).await;
    // By the unified API, then in Plannr's dialect.
    for (round, path) in [format!("/v1/mailboxes/{id}"), format!("/api/v1/mailboxes/{id}")]
        .iter()
        .enumerate()
    {
        let method = if round == 0 { "PATCH" } else { "PUT" };
        let dials = counter.dials();
        let switch = async |enabled: bool| {
            let body = Some(json!({"enabled": enabled}));
            let (status, answer) = asked.gateway.call(method, &asked.tenant.key, path, body).await;
            assert_eq!(status, 200, "{answer}");
        };
        switch(false).await;
        let answered = Instant::now();
        counter.closed().await;
        let took = answered.elapsed();
        assert!(took < CLOSED_WITHIN, "the connection was closed after {took:?}");
        server.save(
            "anna",
            "INBOX",
            format!("Subject: meanwhile {round}\r\n\r\ntext\r\n").as_bytes(),
        );
        let disabled = asked.wait_for(id, DISABLED).await;
        assert_eq!(disabled["message_count"], round + 1);
        let offered = leases::claim(&asked.gateway.app, "another node").await.unwrap();
        assert!(offered.is_empty(), "{offered:?}");
        assert_eq!(counter.dials(), dials, "a disabled mailbox is not dialled");
        switch(true).await;
        let enabled = asked.wait_for(id, CONNECTED).await;
        assert_eq!(enabled["message_count"], round + 2, "it catches up");
    }
    asked.gateway.stop().await;
}

async fn dovecot_is_trusted_by_its_authority_alone(backend: Backend) {
    let server = Dovecot::start();
    server.user("anna");
    let trusting = format!("--ca-file={}", server.ca_pem().display());
    for (extra, trusted) in [(vec![trusting], true), (vec![], false)] {
        for (security, port) in [("tls", server.imaps_port()), ("starttls", server.imap_port())] {
            let asked = Asked::start(backend, &extra).await;
            let id = asked.create(port, security, "anna's password").await;
            if trusted {
                asked.wait_for(id, CONNECTED).await;
            } else {
                let refused = asked.wait_for(id, UNREACHABLE).await;
                assert_eq!(refused["error"]["code"], "certificate_refused", "{security}");
            }
            asked.gateway.stop().await;
        }
    }
}

/// A message of 17 kB.
fn letter(number: usize) -> String {
    format!(
        "Subject: {number}\r\n\r\n{}\r\n",
        "words and words\r\n".repeat(1_000)
    )
}

/// A node that is started on the same data again.
async fn dovecot_is_resumed_after_a_restart_without_fetching_again(backend: Backend) {
    let server = Dovecot::start();
    server.user("anna");
    let mut session = log_in(&server, "anna").await;
    for number in 0..40 {
        session
            .append(b"INBOX", &[], None, letter(number).as_bytes())
            .await
            .unwrap();
    }
    let data = tempfile::tempdir().unwrap();
    let database = match backend {
        Backend::Sqlite => None,
        Backend::Postgres => Some(Database::create().await),
    };
    let mut extra = vec![format!("--data-dir={}", data.path().display())];
    extra.extend(
        database
            .iter()
            .map(|database| format!("--database-url={}", database.url())),
    );
    let (counter, port) = Counter::before(server.imap_port()).await;

    let asked = Asked::start(Backend::Sqlite, &extra).await;
    let id = asked.create(port, "none", "anna's password").await;
    asked.wait_for(id, CONNECTED).await;
    let before = asked.message_ids().await;
    assert_eq!(before.len(), 40);
    let tenant = asked.tenant.clone();
    asked.gateway.stop().await;
    counter.closed().await;
    let read = counter.0.read.load(Ordering::SeqCst);
    assert!(read > 40 * 16_000, "every message was fetched: {read} bytes");

    session
        .append(b"INBOX", &[], None, letter(40).as_bytes())
        .await
        .unwrap();
    let asked = Asked {
        gateway: Gateway::start_with(Backend::Sqlite, &extra).await,
        tenant,
    };
    let more = |mailbox: &Mailbox| connected(mailbox).filter(|count| *count == 41);
    asked
        .gateway
        .wait_for(&asked.tenant, id, "one message richer", more)
        .await;
    let after = asked.message_ids().await;
    assert!(
        before.iter().all(|id| after.contains(id)),
        "the messages keep their ids"
    );
    asked.gateway.stop().await;
    counter.closed().await;
    let again = counter.0.read.load(Ordering::SeqCst) - read;
    assert!(
        again < 3 * 16_000,
        "only the new message was fetched, not {again} bytes"
    );
    assert_eq!(counter.dials(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn dovecot_on_an_address_that_is_not_allowed_is_not_dialled() {
    let server = Dovecot::start();
    server.user("anna");
    let (counter, port) = Counter::before(server.imap_port()).await;
    let asked = Asked::start(Backend::Sqlite, &["--egress-allow=10.0.0.0/8".to_owned()]).await;
    let caller = asked.caller().await;
    for host in [
        "127.0.0.1",
        "localhost",
        "[::ffff:127.0.0.1]",
        "::ffff:127.0.0.1",
        "2130706433",
        "127.1",
    ] {
        let settings = ServerSettings {
            host: host.to_owned(),
            port,
            security: Security::None,
            username: "anna".to_owned(),
        };
        let login = ServerLogin {
            settings,
            secret: Secret::Password("anna's password".to_owned().into()),
        };
        let verified = verify::verify(&asked.gateway.app, &caller, login, None)
            .await
            .unwrap();
        assert_eq!(verified.imap.unwrap_err().code, "address_not_allowed", "{host}");
    }
    let id = asked.create(port, "none", "anna's password").await;
    let refused = asked.wait_for(id, UNREACHABLE).await;
    assert_eq!(refused["error"]["code"], "address_not_allowed");
    let login = Login {
        address: "other@example.org",
        host: "2130706433",
        port,
        security: Security::None,
        username: "anna",
        password: "anna's password",
    };
    let other = mailboxes::create(&asked.gateway.app, &caller, login.into_new())
        .await
        .unwrap();
    let refused = |mailbox: &Mailbox| mailbox.error.clone();
    let error = asked
        .gateway
        .wait_for(&asked.tenant, other.id, "refused", refused)
        .await;
    assert_eq!(error.code, "address_not_allowed");
    assert_eq!(counter.dials(), 0);
    asked.gateway.stop().await;
}
