//! The speed of sync: a mailbox fetched, parsed, threaded, durable and readable, against a client that only reads it.
//!
//! `POSTROOM_BENCH_MESSAGES` says how many messages are synced (20,000), `POSTROOM_BENCH_GROWTH` up to how many the cost of
//! one is followed (20,000; the promise is about 200,000), `POSTROOM_BENCH_PARTS` which parts run.

mod growth;
mod notify;
mod plain;
pub(crate) mod post;
mod words;

use std::{
    env, fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use postroom::model::mailbox::{Mailbox, Security};

use self::{plain::Plain, post::Sizes};
use crate::support::{
    dovecot::Dovecot,
    gateway::{Backend, Gateway, Login, Tenant},
    table::{Table, Wanted},
};

pub(crate) const BACKENDS: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];
/// How often a store is looked at while it is filled.
const LOOK: Duration = Duration::from_millis(10);

pub(crate) async fn run(table: &mut Table) {
    let parts = env::var("POSTROOM_BENCH_PARTS").unwrap_or_else(|_| "all two growth notify words".to_owned());
    let runs = |part: &str| parts.split(' ').any(|one| one == part);
    durable().await;
    let server = Dovecot::start_with(maildir());
    if runs("all") {
        whole(table, &server).await;
    }
    if runs("two") {
        two_mailboxes(table, &server).await;
    }
    if runs("words") {
        for backend in BACKENDS {
            words::run(table, &server, backend).await;
        }
    }
    if runs("growth") {
        for backend in BACKENDS {
            growth::run(table, &server, backend).await;
        }
    }
    if runs("notify") {
        for backend in BACKENDS {
            notify::run(table, &server, backend).await;
        }
    }
}

/// Makes PostgreSQL write as it would in earnest: to the disk at each commit. The server is the runner's, for this run alone.
pub(crate) async fn durable() {
    let url = env::var("POSTROOM_TEST_POSTGRES").unwrap();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        let on = format!("ALTER SYSTEM SET {setting} = on");
        client.batch_execute(&on).await.unwrap();
    }
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

/// One mailbox, as large as promised.
async fn whole(table: &mut Table, server: &Dovecot) {
    let count = setting("POSTROOM_BENCH_MESSAGES", 20_000);
    let bytes = lay_down(server, "anna", count, 1, Sizes::MIXED);
    let mut client = Plain::log_in(server, "anna").await;
    client.read_all().await;
    let megabytes = bytes / 1_000_000;
    for (backend, wanted) in [(Backend::Sqlite, 0.3), (Backend::Postgres, 0.2)] {
        let before = client.read_all().await;
        let (seconds, cpu) = sync(server, backend, &["anna"], count).await;
        let after = client.read_all().await;
        let rate = |seconds: f64| real(count) / seconds;
        table.ratio(
            format!("sync of {count} messages, {megabytes} MB, {backend:?} ({cpu:.1} s of the processor)"),
            "/s",
            rate(seconds),
            rate(f64::midpoint(before, after)),
            Wanted::AtLeast(wanted),
        );
    }
}

/// Two mailboxes at once against one of the same size: what the second core gives.
async fn two_mailboxes(table: &mut Table, server: &Dovecot) {
    let count = setting("POSTROOM_BENCH_MESSAGES", 20_000) / 4;
    for (user, seed) in [("berta", 2), ("carla", 3)] {
        lay_down(server, user, count, seed, Sizes::MIXED);
        Plain::log_in(server, user).await.read_all().await;
    }
    for backend in BACKENDS {
        let (one, _) = sync(server, backend, &["berta"], count).await;
        let (two, _) = sync(server, backend, &["berta", "carla"], count).await;
        table.ratio(
            format!("two mailboxes of {count} messages at once, against one, {backend:?}"),
            "/s",
            real(2 * count) / two,
            real(count) / one,
            Wanted::Nothing,
        );
    }
}

/// Connects mailboxes that have so many messages each; answers the seconds until all are stored and readable, and the
/// seconds of the processor that this process took for it.
async fn sync(server: &Dovecot, backend: Backend, users: &[&str], count: usize) -> (f64, f64) {
    let ca = format!("--ca-file={}", server.ca_pem().display());
    let gateway = Gateway::start_with(backend, &[ca]).await;
    let tenant = gateway.tenant("Acme").await;
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let mut mailboxes = Vec::new();
    for user in users {
        mailboxes.push(connect(&gateway, &tenant, server, user).await.id);
    }
    for mailbox in mailboxes {
        wait(&gateway, &tenant, mailbox, count).await;
    }
    let taken = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    gateway.stop().await;
    taken
}

pub(crate) async fn wait(gateway: &Gateway, tenant: &Tenant, mailbox: uuid::Uuid, count: usize) {
    let caller = gateway.caller(&tenant.key).await;
    loop {
        let mailbox = postroom::service::mailboxes::get(&gateway.app, &caller, mailbox)
            .await
            .unwrap();
        let all = mailbox.message_count == i64::try_from(count).unwrap();
        if all && mailbox.sync_progress.is_none() {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

pub(crate) async fn connect(gateway: &Gateway, tenant: &Tenant, server: &Dovecot, user: &str) -> Mailbox {
    let login = Login {
        address: &format!("{user}@example.org"),
        host: Dovecot::HOST,
        port: server.imaps_port(),
        security: Security::Tls,
        username: user,
        password: &format!("{user}'s password"),
    };
    gateway.connect(tenant, login).await
}

/// Makes a user with so many messages; answers how many bytes they have.
pub(crate) fn lay_down(server: &Dovecot, user: &str, count: usize, seed: u64, sizes: Sizes) -> u64 {
    server.user(user);
    let home = server.mail_folder().join(user);
    let bytes = post::maildir(&home.join("Maildir"), count, seed, sizes);
    hand_over(&home);
    bytes
}

/// Gives files to the user that Dovecot's processes run as, where that is another one.
pub(crate) fn hand_over(path: &Path) {
    let owner = fs::metadata(path.parent().unwrap()).unwrap();
    let (uid, gid) = {
        use std::os::unix::fs::MetadataExt;
        (owner.uid(), owner.gid())
    };
    let changed = Command::new("chown")
        .args(["-R", &format!("{uid}:{gid}")])
        .arg(path)
        .status();
    assert!(changed.unwrap().success());
}

pub(crate) fn maildir() -> &'static str {
    let version = Command::new("dovecot")
        .env("PATH", "/usr/sbin:/usr/bin:/bin")
        .arg("--version")
        .output()
        .unwrap();
    if version.stdout.starts_with(b"2.3.") {
        "mail_location = maildir:~/Maildir\n"
    } else {
        "mail_driver = maildir\nmail_path = ~/Maildir\n"
    }
}

pub(crate) fn setting(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

pub(crate) fn real(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

/// Seconds of the processor that this process has used.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}
