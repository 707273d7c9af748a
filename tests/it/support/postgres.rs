//! A PostgreSQL database of the test's own, on the server that `make test` starts for the run.

use std::{env, future::Future, thread, time::Duration};

use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

/// The longest that one statement of this file may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// A database that is dropped, connections and all, when this guard is.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
    server: String,
}

impl Database {
    /// An empty database.
    pub(crate) async fn create() -> Self {
        Self::create_from("template0").await
    }

    /// A copy of the database that `prepare(url)` fills. The first test of a run with this `name` fills it, the others copy
    /// it, so that migrations run once; `prepare` has to close its connections before it returns.
    pub(crate) async fn prepared<F: Future<Output = ()>>(
        name: &str,
        prepare: impl FnOnce(String) -> F,
    ) -> Self {
        let template = format!("template_{name}");
        let lock = format!("SELECT pg_advisory_lock(hashtext('{template}'))");
        let found = format!("SELECT 1 FROM pg_database WHERE datname = '{template}'");
        // The lock is the session's: it is free again when this session ends, however it ends.
        with_client(&server(), async |client| {
            client.batch_execute(&lock).await?;
            if client.query_opt(&found, &[]).await?.is_none() {
                let unfinished = Self::create().await;
                prepare(unfinished.url()).await;
                let rename = format!("ALTER DATABASE {} RENAME TO {template}", unfinished.name);
                client.batch_execute(&rename).await?;
            }
            Ok(())
        })
        .await;
        Self::create_from(&template).await
    }

    async fn create_from(template: &str) -> Self {
        let created = Self {
            name: format!("test_{}", Uuid::new_v4().simple()),
            server: server(),
        };
        let create = format!("CREATE DATABASE {} TEMPLATE {template}", created.name);
        with_client(&created.server, async |client| {
            client.batch_execute(&create).await
        })
        .await;
        created
    }

    /// `postgres://…`, with the user and the password.
    pub(crate) fn url(&self) -> String {
        let (base, _) = self.server.rsplit_once('/').unwrap();
        format!("{base}/{}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let server = self.server.clone();
        // A runtime cannot wait within another one's thread.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(with_client(&server, async |client| {
                client.batch_execute(&drop).await
            }));
        });
        if dropped.join().is_err() {
            eprintln!("the database {} stays until the server is stopped", self.name);
        }
    }
}

fn server() -> String {
    env::var("POSTROOM_TEST_POSTGRES").unwrap_or_else(|_| {
        panic!(
            "no PostgreSQL: run `make test`, or set POSTROOM_TEST_POSTGRES to the URL of a server to test on"
        )
    })
}

/// Connects, does the work, and ends the connection.
async fn with_client(url: &str, work: impl AsyncFnOnce(&Client) -> Result<(), tokio_postgres::Error>) {
    let mut config: Config = url.parse().unwrap();
    let (client, connection) = config.connect_timeout(DEADLINE).connect(NoTls).await.unwrap();
    let work = async {
        let done = work(&client).await;
        drop(client);
        done
    };
    let (done, ended) = tokio::time::timeout(DEADLINE, async { tokio::join!(work, connection) })
        .await
        .expect("PostgreSQL did not answer in time");
    done.and(ended).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_databases_are_apart_and_dropped() {
    let filled = |database: Database| async move {
        let found = "SELECT 1 / count(*) FROM information_schema.tables WHERE table_name = 'thing'";
        with_client(&database.url(), async |client| client.batch_execute(found).await).await;
        database
    };
    let prepare = |url: String| async move {
        with_client(&url, async |client| {
            client.batch_execute("CREATE TABLE thing (id int)").await
        })
        .await;
    };
    let name = format!("self_test_{}", Uuid::new_v4().simple());
    let first = filled(Database::prepared(&name, prepare).await).await;
    let second = filled(Database::prepared(&name, |_| async { panic!("prepared already") }).await).await;
    assert_ne!(first.url(), second.url());

    let gone = first.name.clone();
    drop(first);
    let absent = format!("SELECT 1 / (1 - count(*)) FROM pg_database WHERE datname = '{gone}'");
    with_client(&server(), async |client| client.batch_execute(&absent).await).await;
}
