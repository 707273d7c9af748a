//! The start: from the process to `/readyz`, on a SQLite database that is there already.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection as _};
use postroom::{
    model::{clock::Clock, id::TenantId},
    service::bootstrap,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    gateway,
    rounds::median,
    rows::{self, at},
    table::{Table, Wanted},
};

const STARTS: usize = 7;
/// The longest that a start may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// 99,999 copies of the one message that is there.
const FILL: &str = "BEGIN;
    CREATE TEMP TABLE copies AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)
        SELECT i, randomblob(16) id FROM n;
    INSERT INTO messages SELECT m.tenant_id, c.id, m.mailbox_id, m.thread_id, c.id, hex(c.id), m.in_reply_to, m.refs,
        m.subject, m.participants, m.sent_at + c.i, m.received_at + c.i, m.snippet, m.incoming, m.unread, m.flags,
        m.folder_ids, m.size, m.truncated, m.has_attachments, m.sha256, m.in_blobs, m.deleted_at, m.created_at,
        m.updated_at FROM messages m, copies c;
    INSERT INTO message_bodies SELECT b.tenant_id, c.id, b.text, b.html FROM message_bodies b, copies c;
    COMMIT";

pub(crate) async fn run(table: &mut Table) {
    let data = tempfile::tempdir().unwrap();
    fill(data.path()).await;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        times.push(start(data.path()).await.as_secs_f64() * 1000.0);
    }
    let what = "start to /readyz, 100,000 messages, SQLite";
    table.value(what, " ms", median(times), Wanted::AtMost(200.0));
}

async fn fill(data: &Path) {
    let config = gateway::config(data, None, &[]);
    let database = config.storage.database.clone();
    let opened = bootstrap::open(config, Clock::system()).await.unwrap();
    let (tenant, _, _) = postroom::service::tenants::create(
        &opened.app,
        &postroom::model::caller::Identity::Platform,
        "Start".to_owned(),
    )
    .await
    .unwrap();
    let owner = rows::mailbox(&opened.app, TenantId(tenant.id.0), "ann@hotel.test").await;
    rows::thread(&opened.app, owner, at(0), 1).await;
    drop(opened);
    let postroom::config::DatabaseUrl::Sqlite(path) = database else {
        panic!("the database is a file")
    };
    let mut conn = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    conn.batch_execute(FILL).unwrap();
}

/// From the start of the process until `/readyz` answers 200.
async fn start(data: &Path) -> Duration {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let begin = Instant::now();
    let process = Process(
        Command::new(env!("CARGO_BIN_EXE_postroom"))
            .args(["serve", &format!("--listen=127.0.0.1:{port}")])
            .arg(format!("--data-dir={}", data.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    while !ready(port).await {
        assert!(begin.elapsed() < DEADLINE, "postroom serve does not become ready");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = begin.elapsed();
    drop(process);
    took
}

async fn ready(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        return false;
    };
    let request = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request).await.is_ok()
        && stream.read_to_string(&mut answer).await.is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

/// A process that is killed when it is dropped: the next start finds what a crash leaves.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
