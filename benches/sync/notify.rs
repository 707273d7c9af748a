//! From the server's notification to the message in the API, against one FETCH and one committed insert.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use postroom::{model::mailbox::Security, store::Conn};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{lay_down, post, wait};
use crate::support::{
    dovecot::Dovecot,
    gateway::{Backend, Gateway, Login},
    load::Ask,
    rounds::median,
    table::{Table, Wanted},
};

const ROUNDS: usize = 30;
const BEFORE: usize = 200;
/// How long the API is left alone between two looks.
const PAUSE: Duration = Duration::from_micros(200);

/// When the server's last notification passed.
type Told = Arc<Mutex<Option<Instant>>>;

pub(crate) async fn run(table: &mut Table, server: &Dovecot, backend: Backend) {
    let user = format!("nina-{backend:?}").to_lowercase();
    lay_down(server, &user, BEFORE, 6, post::Sizes::SMALL);
    let (port, told) = before(server.imap_port()).await;
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let login = Login {
        address: &format!("{user}@example.org"),
        host: "127.0.0.1",
        port,
        security: Security::None,
        username: &user,
        password: &format!("{user}'s password"),
    };
    let mailbox = gateway.connect(&tenant, login).await;
    wait(&gateway, &tenant, mailbox.id, BEFORE).await;
    let path = format!("/v1/messages?limit=1&mailbox_id={}", mailbox.id);
    let newest = Ask::get(&gateway.url, &tenant.key, &path);
    let other = format!("{user}-bare");
    lay_down(server, &other, BEFORE, 6, post::Sizes::SMALL);
    let mut floor = Floor::start(port, &other, &gateway).await;
    let folder_of = |user| server.mail_folder().join(user).join("Maildir");
    let (folder, bare) = (folder_of(&user), folder_of(&other));
    let mut writer = post::Writer::new(7, post::Sizes::SMALL);
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Long enough that IDLE has begun again, and that nothing of the round before still runs.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let shown = newest.watch(PAUSE).await;
        told.lock().unwrap().take();
        let message = writer.next();
        deliver(&folder, round, &message);
        let shown = shown.await.unwrap();
        let told = told
            .lock()
            .unwrap()
            .expect("the server tells before there is a message");
        ours.push((shown - told).as_secs_f64() * 1e3);
        // The same message in a mailbox of its own, where nobody has fetched it before either.
        deliver(&bare, round, &message);
        let last = i64::try_from(BEFORE + round + 1).unwrap();
        floors.push(floor.once(last).await.as_secs_f64() * 1e3);
    }
    gateway.stop().await;
    table.ratio(
        format!("notification to readable, against FETCH and one committed insert, {backend:?}"),
        " ms",
        median(ours),
        median(floors),
        Wanted::AtMost(3.0),
    );
}

/// Delivers as a Maildir's own agent does: written aside, and moved in whole, with the newest date of all.
fn deliver(folder: &Path, round: usize, message: &[u8]) {
    let name = format!("{}.R{round}P2.post", 1_900_000_000 + round);
    let aside = folder.join("tmp").join(&name);
    fs::write(&aside, message).unwrap();
    super::hand_over(&aside);
    fs::rename(aside, folder.join("new").join(name)).unwrap();
}

/// A forwarder that notes when EXISTS passes; answers its port.
async fn before(port: u16) -> (u16, Told) {
    let told = Told::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let noting = told.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            tokio::spawn(forward(client, server, noting.clone()));
        }
    });
    (own, told)
}

async fn forward(client: TcpStream, server: TcpStream, told: Told) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async { tokio::io::copy(&mut from_client, &mut to_server).await };
    let down = async {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = from_server.read(&mut bytes).await {
            if bytes[..read].windows(8).any(|part| part == b" EXISTS\r") {
                told.lock().unwrap().get_or_insert_with(Instant::now);
            }
            if to_client.write_all(&bytes[..read]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        _ = up => {}
        () = down => {}
    }
}

/// What cannot be done without: one FETCH, and one insert that is committed.
struct Floor<'g> {
    imap: TcpStream,
    gateway: &'g Gateway,
    tags: u32,
}

impl<'g> Floor<'g> {
    /// By the same forwarder.
    async fn start(port: u16, user: &str, gateway: &'g Gateway) -> Self {
        let imap = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        imap.set_nodelay(true).unwrap();
        let mut floor = Self {
            imap,
            gateway,
            tags: 0,
        };
        floor
            .command(&format!("LOGIN {user} \"{user}'s password\""))
            .await;
        floor.command("EXAMINE INBOX").await;
        floor
            .execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, message TEXT)")
            .await;
        floor
    }

    /// The last message is fetched and stored as it is.
    async fn once(&mut self, last: i64) -> Duration {
        self.command("NOOP").await;
        let begun = Instant::now();
        let message = self.command(&format!("FETCH {last} BODY.PEEK[]")).await;
        assert!(message.len() > 300, "{message}");
        let insert = format!(
            "INSERT INTO bare VALUES ({last}, '{}')",
            message.replace('\'', "")
        );
        self.execute(&insert).await;
        begun.elapsed()
    }

    async fn execute(&self, statement: &str) {
        let statement = statement.to_owned();
        let done = self.gateway.app.store.transaction(|tx| {
            Box::pin(async move {
                use diesel_async::RunQueryDsl;
                let query = diesel::sql_query(statement);
                match tx {
                    Conn::Pg(conn) => query.execute(conn).await?,
                    Conn::Sqlite(conn) => query.execute(conn).await?,
                };
                Ok(())
            })
        });
        done.await.unwrap();
    }

    async fn command(&mut self, command: &str) -> String {
        self.tags += 1;
        let tag = format!("F{}", self.tags);
        self.imap
            .write_all(format!("{tag} {command}\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = Vec::new();
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let read = self.imap.read(&mut bytes).await.unwrap();
            assert!(read > 0, "the server hung up");
            answer.extend_from_slice(&bytes[..read]);
            let text = String::from_utf8_lossy(&answer);
            if text.ends_with("\r\n") && text.lines().any(|line| line.starts_with(&format!("{tag} "))) {
                assert!(text.contains(&format!("{tag} OK")), "{command}: {text}");
                return text.into_owned();
            }
        }
    }
}
