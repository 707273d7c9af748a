//! Memory: what a gateway holds, a process of its own, while mailboxes idle over TLS and while a large message is synced.
//!
//! The mail server is another process, so that none of its memory is counted.

mod sandbox;

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::support::{
    api::Api,
    table::{Table, Wanted},
};
pub(crate) use sandbox::serve_if_asked;
use sandbox::{EMPTY, LARGE, LARGE_BYTES, PASSWORD, Server};

/// So many mailboxes idle at the slope's foot and at its head.
const FOOT: usize = 500;
const HEAD: usize = 5_000;
/// How many requests that create mailboxes wait at once.
const AT_ONCE: usize = 16;
/// How long everything is left alone before it is measured.
const REST: Duration = Duration::from_secs(3);
/// How long mailboxes may take to connect.
const PATIENCE: Duration = Duration::from_secs(900);
const MIB: f64 = 1024.0;

pub(crate) async fn run(table: &mut Table) {
    let server = Server::start();
    let mut gateway = Process::start(&server).await;
    gateway.connect(&server, EMPTY, 1).await;
    tokio::time::sleep(REST).await;
    let idle = gateway.kib("VmRSS");
    table.value(
        "memory with one idle mailbox",
        " MiB",
        idle / MIB,
        Wanted::AtMost(64.0),
    );

    gateway.forget_peak();
    gateway.connect(&server, LARGE, 1).await;
    let what = format!(
        "memory above idle while a message of {} MB is synced",
        LARGE_BYTES / 1_000_000
    );
    let above = gateway.kib("VmHWM") - idle;
    table.value(what, " MiB", above / MIB, Wanted::AtMost(48.0));

    gateway.connect(&server, EMPTY, FOOT).await;
    tokio::time::sleep(REST).await;
    let foot = gateway.kib("VmRSS");
    gateway.connect(&server, EMPTY, HEAD - FOOT).await;
    tokio::time::sleep(REST).await;
    #[expect(clippy::cast_precision_loss, reason = "they are few")]
    let slope = (gateway.kib("VmRSS") - foot) / (HEAD - FOOT) as f64;
    let what = format!("memory for one more idle mailbox over TLS, between {FOOT} and {HEAD}");
    table.value(what, " KiB", slope, Wanted::AtMost(32.0));
}

/// A gateway on SQLite, in a process of its own; killed when it is dropped.
struct Process {
    child: Child,
    api: Api,
    mailboxes: usize,
    #[expect(dead_code, reason = "held: dropping it removes the folder")]
    data: tempfile::TempDir,
}

impl Process {
    async fn start(server: &Server) -> Self {
        let data = tempfile::tempdir().unwrap();
        let port = sandbox::free_port();
        let admin_key = "memory".repeat(8);
        let child = Command::new(env!("CARGO_BIN_EXE_postroom"))
            .arg("serve")
            .env("POSTROOM_LISTEN", format!("127.0.0.1:{port}"))
            .env("POSTROOM_DATA_DIR", data.path())
            .env("POSTROOM_ADMIN_KEY", &admin_key)
            .env("POSTROOM_CA_FILE", server.ca())
            .env("POSTROOM_EGRESS_ALLOW", "127.0.0.0/8")
            .env("POSTROOM_RATE_LIMIT", "1000000/min")
            .env("POSTROOM_TENANT_RATE_LIMIT", "1000000/min")
            .env("POSTROOM_LOG", "error")
            .current_dir(data.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut gateway = Self {
            child,
            api: Api {
                http: reqwest::Client::new(),
                url: format!("http://127.0.0.1:{port}"),
                key: admin_key,
            },
            mailboxes: 0,
            data,
        };
        gateway.wait_until_ready().await;
        let body = json!({"name": "Acme"});
        let tenant = gateway.api.call("POST", "/v1/tenants", Some(body)).await;
        let key = tenant["api_key"]["key"].as_str().unwrap();
        key.clone_into(&mut gateway.api.key);
        gateway
    }

    async fn wait_until_ready(&self) {
        for _ in 0..600 {
            let url = format!("{}/readyz", self.api.url);
            let asked = self.api.http.get(url).send().await;
            if asked.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the gateway does not become ready");
    }

    /// Connects so many more mailboxes to an account of the server, and waits until all idle.
    async fn connect(&mut self, server: &Server, account: &str, more: usize) {
        let (first, count) = (self.mailboxes, self.mailboxes + more);
        let this = &*self;
        stream::iter(first..count)
            .for_each_concurrent(AT_ONCE, async |number| {
                let imap = json!({
                    "host": "127.0.0.1",
                    "port": server.port(),
                    "security": "tls",
                    "username": account,
                    "password": PASSWORD,
                });
                let address = format!("m{number}@example.org");
                let body = json!({"address": address, "imap": imap});
                this.api.call("POST", "/v1/mailboxes", Some(body)).await;
            })
            .await;
        self.mailboxes = count;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let connected = self.connected().await;
            if connected == count {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{connected} of {count} mailboxes are connected"
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// How many mailboxes are connected.
    async fn connected(&self) -> usize {
        let mailboxes = self.api.all("/v1/mailboxes").await;
        let connected = |mailbox: &&Value| mailbox["state"] == "connected";
        mailboxes.iter().filter(connected).count()
    }

    /// A figure of the kernel's about the process's memory, in KiB: `VmRSS`, or `VmHWM` for its peak.
    fn kib(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Lets the peak begin anew from what is held now.
    fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
