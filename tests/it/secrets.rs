//! Secrets: no password and no key is in the database, in the log at its most talkative, or in an answer.

use std::{
    io::Write,
    sync::{Arc, Mutex, OnceLock},
};

use postroom::{
    model::{clock::Clock, mailbox::Mailbox},
    sandbox::{Account, Sandbox, story},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::util::SubscriberInitExt;

use crate::{
    sandbox::connected,
    support::{
        gateway::{Backend, Gateway, both},
        tokens::{Issuer, Mood},
    },
};

mod on {
    use super::both;
    both!(secrets_stay_secret);
}

/// What the process logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Logs everything of every crate, from now on and once for the process.
fn log() -> Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    let log = LOG.get_or_init(|| {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone());
        subscriber.finish().try_init().unwrap();
        log
    });
    log.clone()
}

fn contains(bytes: &[u8], secret: &str) -> bool {
    bytes
        .windows(secret.len())
        .any(|window| window == secret.as_bytes())
}

/// A sandbox with one account, and its port.
async fn sandbox(password: &str) -> (CancellationToken, u16) {
    let sandbox = Sandbox::new(Clock::system());
    sandbox.add_account(Account {
        username: story::ADDRESS.to_owned(),
        password: password.to_owned().into(),
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = CancellationToken::new();
    tokio::spawn(sandbox.serve(listener, None, stop.clone()));
    (stop, port)
}

/// Everything in the database, as its file has it or as its tables print it.
async fn stored(gateway: &Gateway, backend: Backend, url: Option<&str>) -> Vec<u8> {
    let mut all = Vec::new();
    if backend == Backend::Sqlite {
        let folder = &gateway.app.config.storage.data_dir;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && path.to_string_lossy().contains("postroom.db") {
                all.extend(std::fs::read(path).unwrap());
            }
        }
        return all;
    }
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'";
    for row in crate::fixture::postgres(url.unwrap(), tables).await.unwrap() {
        let text = format!("SELECT t::text FROM \"{}\" t", row[0]);
        for row in crate::fixture::postgres(url.unwrap(), &text).await.unwrap() {
            all.extend(row[0].as_bytes());
        }
    }
    all
}

#[expect(
    clippy::too_many_lines,
    reason = "one life of a mailbox, from its connection to its errors"
)]
async fn secrets_stay_secret(backend: Backend) {
    let log = log();
    let unique = |word: &str| format!("{word}-{}", uuid::Uuid::new_v4().simple());
    let (password, wrong, later) = (unique("right"), unique("wrong"), unique("later"));
    let (_stop, port) = sandbox(&password).await;
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let server = |password: &str| json!({"host": "127.0.0.1", "port": port, "security": "none", "username": story::ADDRESS, "password": password});
    let mut answers = Vec::new();
    let mut call = async |method: &str, path: &str, body: serde_json::Value| {
        let body = Some(body).filter(|body| !body.is_null());
        let (status, json) = gateway.call(method, &tenant.key, path, body).await;
        answers.push(json.to_string());
        (status, json)
    };
    let create = |address: &str, imap: serde_json::Value| json!({"address": address, "imap": imap});
    let refused = |mailbox: &Mailbox| mailbox.error.is_some().then_some(());
    let issuer = Issuer::start().await;
    let id_of = |mailbox: &serde_json::Value| mailbox["id"].as_str().unwrap().parse().unwrap();
    // Refused by the check of the request, which names what is wrong with it.
    let mut unknown = server(&password);
    unknown["secret"] = json!(password);
    assert!(
        (400..500).contains(
            &call("POST", "/v1/mailboxes", create(story::ADDRESS, unknown))
                .await
                .0
        )
    );
    let mut shape = server(&password);
    shape["password"] = json!([password]);
    assert!(
        (400..500).contains(
            &call("POST", "/v1/mailboxes", create(story::ADDRESS, shape))
                .await
                .0
        )
    );
    // Refused by the mail server, and by a port where none is.
    let (status, mailbox) = call("POST", "/v1/mailboxes", create(story::ADDRESS, server(&wrong))).await;
    assert_eq!(status, 201, "{mailbox}");
    let id = id_of(&mailbox);
    gateway.wait_for(&tenant, id, "refused", refused).await;
    let mut unreachable = server(&password);
    unreachable["port"] = json!(1);
    let (status, other) = call("POST", "/v1/mailboxes", create("other@example.test", unreachable)).await;
    assert_eq!(status, 201, "{other}");
    gateway
        .wait_for(&tenant, id_of(&other), "unreachable", refused)
        .await;
    // Connected, read, and changed to a password that does not work.
    let path = format!("/v1/mailboxes/{id}");
    let (status, changed) = call("PATCH", &path, json!({"imap": server(&password)})).await;
    assert_eq!(status, 200, "{changed}");
    gateway.wait_for(&tenant, id, "connected", connected).await;
    let (status, changed) = call("PATCH", &path, json!({"imap": server(&later)})).await;
    assert_eq!(status, 200, "{changed}");
    gateway.wait_for(&tenant, id, "refused", refused).await;
    // Tokens: refused in the request, refreshed, and used on a server that does not take them.
    let mut tokens = issuer.oauth2();
    tokens["access_token"] = json!(issuer.access_token());
    let mut by_token = server(&password);
    by_token["oauth2"] = tokens.clone();
    let (status, both) = call(
        "POST",
        "/v1/mailboxes",
        create("token@example.test", by_token.clone()),
    )
    .await;
    assert_eq!(status, 422, "{both}");
    by_token.as_object_mut().unwrap().remove("password");
    by_token["oauth2"]["refresh_token"] = json!([tokens["refresh_token"]]);
    let (status, shape) = call(
        "POST",
        "/v1/mailboxes",
        create("token@example.test", by_token.clone()),
    )
    .await;
    assert!((400..500).contains(&status), "{shape}");
    by_token["oauth2"] = tokens;
    by_token["oauth2"]["expires_at"] = json!("2020-01-01T00:00:00Z");
    let (status, third) = call("POST", "/v1/mailboxes", create("token@example.test", by_token)).await;
    assert_eq!(status, 201, "{third}");
    gateway.wait_for(&tenant, id_of(&third), "refused", refused).await;
    assert_eq!(issuer.asked(), 1);
    issuer.set(Mood::Refuses);
    let mut again = issuer.oauth2();
    again["client_id"] = json!("desk");
    let path_of_third = format!("/v1/mailboxes/{}", third["id"].as_str().unwrap());
    call("PATCH", &path_of_third, json!({"imap": {"oauth2": again}})).await;
    let halted = |mailbox: &Mailbox| mailbox.halted.then_some(());
    gateway
        .wait_for(&tenant, id_of(&third), "without a grant", halted)
        .await;
    call("GET", &path_of_third, json!(null)).await;
    call("GET", &path, json!(null)).await;
    call("GET", "/v1/mailboxes", json!(null)).await;
    call("GET", "/v1/api-keys", json!(null)).await;
    call("GET", "/v1/nothing", json!(null)).await;
    let wrong_key = format!("{}x", tenant.key);
    assert_eq!(
        gateway.call("GET", &wrong_key, "/v1/mailboxes", None).await.0,
        401
    );
    let admin = gateway.admin_key();
    gateway.call("GET", &admin, "/v1/tenants", None).await;

    let url = match &gateway.app.config.storage.database {
        postroom::config::DatabaseUrl::Postgres(url) => Some(url.clone()),
        postroom::config::DatabaseUrl::Sqlite(_) => None,
    };
    let stored = stored(&gateway, backend, url.as_deref()).await;
    assert!(contains(&stored, story::ADDRESS), "what is read is the database");
    let logged = log.0.lock().unwrap().clone();
    assert!(
        contains(&logged, "tokio") || contains(&logged, "hyper"),
        "the log is that of every crate"
    );
    // Of a key, the part that is no secret is stored and may be logged; the last characters are the secret.
    let secret_of = |key: &str| key[key.len() - 24..].to_owned();
    let issued = issuer.issued().into_iter().map(|token| ("a token", token));
    for (name, secret) in [
        ("the password", password),
        ("a wrong password", wrong),
        ("a later password", later),
        ("the tenant's key", secret_of(&tenant.key)),
        ("the admin key", secret_of(&admin)),
    ]
    .into_iter()
    .chain(issued)
    {
        let hex = secret
            .bytes()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        for secret in [&secret, &hex] {
            assert!(!contains(&stored, secret), "{name} is in the database");
            assert!(!contains(&logged, secret), "{name} is in the log");
            assert!(
                !answers.iter().any(|answer| answer.contains(secret)),
                "{name} is in an answer"
            );
        }
    }
    gateway.stop().await;
}
