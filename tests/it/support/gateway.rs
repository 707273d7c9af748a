//! A gateway of the test's own: in this process, on SQLite in a temporary folder or on PostgreSQL, with its workers.

use std::{net::IpAddr, path::Path, time::Duration};

use clap::Parser;
use postroom::{
    config::{Config, Settings},
    mail::imap::Timeouts,
    model::{
        Error,
        caller::{Caller, Identity},
        clock::Clock,
        credentials::Secret,
        mailbox::{BindingPatch, Mailbox, NewMailbox, Security, ServerLogin, ServerSettings},
    },
    service::{
        App,
        auth::{self, Presented},
        bootstrap, mailboxes, tenants,
    },
    worker,
};
use secrecy::ExposeSecret;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::postgres::Database;

/// Where a gateway keeps its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// Makes two tests of one function that takes a [`Backend`]: `both!(name);` for `async fn name(backend: Backend)`.
macro_rules! both {
    ($($name:ident),+ $(,)?) => { $(
        mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                super::super::$name($crate::support::gateway::Backend::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                super::super::$name($crate::support::gateway::Backend::Postgres).await;
            }
        }
    )+ };
}
pub(crate) use both;

/// A running gateway; stopped when it is dropped.
pub(crate) struct Gateway {
    pub(crate) app: App,
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    lock: Option<std::fs::File>,
    #[expect(dead_code, reason = "held: dropping it removes the folder")]
    data: tempfile::TempDir,
    database: Option<Database>,
}

// What a test adds comes last, and wins.
#[derive(Parser)]
#[command(args_override_self = true)]
struct Line {
    #[command(flatten)]
    settings: Settings,
}

/// A tenant and its first key.
#[derive(Clone)]
pub(crate) struct Tenant {
    pub(crate) id: Uuid,
    pub(crate) key: String,
}

/// The settings of a test: a folder of its own, loopback mail servers allowed, and what `extra` adds.
pub(crate) fn config(data: &Path, database_url: Option<&str>, extra: &[String]) -> Config {
    let mut line = vec![
        "test".to_owned(),
        "--listen=127.0.0.1:0".to_owned(),
        format!("--data-dir={}", data.display()),
        "--egress-allow=127.0.0.0/8".to_owned(),
        "--rate-limit=1000000/min".to_owned(),
        "--tenant-rate-limit=1000000/min".to_owned(),
    ];
    line.extend(database_url.map(|url| format!("--database-url={url}")));
    line.extend(extra.iter().cloned());
    Config::check(Line::parse_from(line).settings).unwrap()
}

impl Gateway {
    pub(crate) async fn start(backend: Backend) -> Self {
        Self::start_with(backend, &[]).await
    }

    /// With further options of the command line, such as `--ca-file=PATH`.
    pub(crate) async fn start_with(backend: Backend, extra: &[String]) -> Self {
        Self::start_tweaked(backend, extra, |_| {}).await
    }

    /// With what no option says, too.
    pub(crate) async fn start_tweaked(
        backend: Backend,
        extra: &[String],
        tweak: impl FnOnce(&mut Config),
    ) -> Self {
        Self::open(backend, extra, tweak, Timeouts::default())
            .await
            .work("test")
    }

    /// As the node of this name, of those that share a database.
    pub(crate) async fn start_as(backend: Backend, extra: &[String], node: &str) -> Self {
        Self::open(backend, extra, |_| {}, Timeouts::default())
            .await
            .work(node)
    }

    /// With other deadlines for mail servers than the usual ones.
    pub(crate) async fn start_impatient(backend: Backend, extra: &[String], timeouts: Timeouts) -> Self {
        Self::open(backend, extra, |_| {}, timeouts).await.work("test")
    }

    /// The API alone: what workers do is done by the test itself.
    pub(crate) async fn without_workers(backend: Backend) -> Self {
        Self::open(backend, &[], |_| {}, Timeouts::default()).await
    }

    fn work(mut self, node: &str) -> Self {
        let run = worker::run(self.app.clone(), node.to_owned(), self.stop.clone());
        self.tasks.push(tokio::spawn(run));
        self
    }

    async fn open(
        backend: Backend,
        extra: &[String],
        tweak: impl FnOnce(&mut Config),
        timeouts: Timeouts,
    ) -> Self {
        postroom::mail::tls::install_provider();
        let data = tempfile::tempdir().unwrap();
        let database = match backend {
            Backend::Sqlite => None,
            Backend::Postgres => Some(Database::prepared("gateway", migrate).await),
        };
        let url = database.as_ref().map(Database::url);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut config = config(data.path(), url.as_deref(), extra);
        config.http.public_url = format!("http://{address}");
        tweak(&mut config);
        let opened = bootstrap::open_with(config, Clock::system(), timeouts)
            .await
            .unwrap_or_else(|error| panic!("{error:?}"));
        let mut gateway = Self {
            url: format!("http://{address}"),
            http: reqwest::Client::new(),
            app: opened.app,
            stop: CancellationToken::new(),
            tasks: Vec::new(),
            lock: opened.lock,
            data,
            database,
        };
        let (app, stop) = (gateway.app.clone(), gateway.stop.clone());
        gateway.tasks.push(tokio::spawn(async move {
            let endpoint = postroom::api::build(app, stop.clone()).unwrap();
            postroom::api::server::serve(listener, endpoint, stop)
                .await
                .unwrap();
        }));
        gateway
    }

    /// Stops the workers and the API, as SIGTERM does.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        for task in self.tasks.drain(..) {
            task.await.unwrap();
        }
        drop(self.lock.take());
        drop(self.database.take());
    }

    pub(crate) fn admin_key(&self) -> String {
        self.app.admin_key.expose_secret().to_owned()
    }

    pub(crate) async fn tenant(&self, name: &str) -> Tenant {
        let (tenant, _, key) = tenants::create(&self.app, &Identity::Platform, name.to_owned())
            .await
            .unwrap();
        Tenant {
            id: tenant.id.0,
            key: key.expose_secret().to_owned(),
        }
    }

    /// The caller that a key stands for.
    pub(crate) async fn caller(&self, key: &str) -> Caller {
        let address = Some(IpAddr::from([127, 0, 0, 1]));
        let presented = Presented {
            credential: Some(key),
            act_as: None,
            address,
        };
        match auth::authenticate(&self.app, &presented).await.1.unwrap() {
            Identity::Tenant(caller) => *caller,
            Identity::Platform => panic!("the platform key stands for no tenant"),
        }
    }

    /// Connects a mailbox on a loopback server.
    pub(crate) async fn connect(&self, tenant: &Tenant, login: Login<'_>) -> Mailbox {
        let caller = self.caller(&tenant.key).await;
        mailboxes::create(&self.app, &caller, login.into_new())
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits until `done` answers something of a mailbox; asks every 20 ms, for a minute at most.
    pub(crate) async fn wait_for<T>(
        &self,
        tenant: &Tenant,
        mailbox: Uuid,
        what: &str,
        done: impl Fn(&Mailbox) -> Option<T>,
    ) -> T {
        let caller = self.caller(&tenant.key).await;
        let mut last = None;
        let found = eventually(async || {
            let mailbox = mailboxes::get(&self.app, &caller, mailbox).await.unwrap();
            let answer = done(&mailbox);
            last = Some(mailbox);
            answer
        })
        .await;
        found.unwrap_or_else(|| panic!("a mailbox did not become {what}: {last:#?}"))
    }

    /// Asks over HTTP; answers the status and the JSON.
    pub(crate) async fn call(
        &self,
        method: &str,
        key: &str,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> (u16, serde_json::Value) {
        let mut request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.url));
        if !key.is_empty() {
            request = request.header("x-api-key", key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let json = if text.is_empty() {
            serde_json::Value::Null
        } else {
            serde_json::from_str(&text)
                .unwrap_or_else(|_| panic!("{method} {path} answers {status}, not JSON: {text}"))
        };
        (status, json)
    }

    pub(crate) async fn get(&self, key: &str, path: &str) -> serde_json::Value {
        let (status, json) = self.call("GET", key, path, None).await;
        assert_eq!(status, 200, "GET {path}: {json:#}");
        json
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Where a test's mailbox is, and whom to log in as.
#[derive(Clone, Copy)]
pub(crate) struct Login<'a> {
    pub(crate) address: &'a str,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) security: Security,
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
}

impl Login<'_> {
    pub(crate) fn into_new(self) -> NewMailbox {
        let settings = ServerSettings {
            host: self.host.to_owned(),
            port: self.port,
            security: self.security,
            username: self.username.to_owned(),
        };
        NewMailbox {
            address: self.address.to_owned(),
            name: None,
            provider: None,
            imap: ServerLogin {
                settings,
                secret: Secret::Password(self.password.to_owned().into()),
            },
            smtp: None,
            binding: BindingPatch::default(),
            default_signature_html: None,
        }
    }
}

/// Asks until there is an answer, every 20 ms, for a minute at most.
pub(crate) async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    while tokio::time::Instant::now() < deadline {
        if let Some(answer) = ask().await {
            return Some(answer);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}

async fn migrate(url: String) {
    let data = tempfile::tempdir().unwrap();
    let config = config(data.path(), Some(&url), &[]);
    let store = bootstrap::open_store(&config.storage).unwrap();
    store
        .migrate()
        .await
        .unwrap_or_else(|error: Error| panic!("{error:?}"));
}
