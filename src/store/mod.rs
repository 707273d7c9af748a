//! The store: the only room that names Diesel, and the only one that speaks SQL.
//!
//! One set of queries (`queries/`) is compiled once for each database: it is a module of [`pg`] and of [`sqlite`], each
//! of which says what its connection is and how it locks. [`Conn`] hides which of the two runs; its methods are spread
//! over the files that carry their noun. Every method that reads or writes a tenant's rows takes the tenant first; the
//! few that cannot (a key's look-up, the leases of a node, the index queue) say so.
//!
//! No rule of the domain may live here, and nothing above this room may name a table.

mod agents;
mod arrivals;
mod attachments;
mod blobs;
mod deliveries;
mod events;
mod figures;
mod folders;
mod keys;
mod leases;
mod logins;
mod mailboxes;
mod members;
mod messages;
mod moves;
mod nodes;
mod pg;
mod placements;
mod quarantine;
mod schema;
mod search;
mod sqlite;
mod statement;
mod sweep;
mod tenants;
mod threads;
mod tsvector;
mod types;
mod webhooks;

use std::{future::Future, path::PathBuf, pin::Pin};

pub use self::{
    arrivals::NewMessages,
    blobs::{Blobs, Listed as ListedBlob},
    deliveries::{DueDelivery, Gate, Mark, NewDelivery, News},
    events::EventSpan,
    keys::Credential,
    logins::SealedLogin,
    messages::{MessageInsert, StoredRaw},
    pg::Listener,
    placements::PlacementRow,
    search::{IndexJob, Indexed, SearchCaps, Words},
    sweep::Expired,
    threads::ThreadRef,
    webhooks::{LockedEndpoint, Reader, SealedSecrets},
};
use crate::model::{Error, Result};

/// Which database to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// The embedded one: the path of its file.
    Sqlite(PathBuf),
    /// PostgreSQL: its URL, which carries a password.
    Postgres(PostgresUrl),
}

/// A PostgreSQL URL; its Debug form hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(pub String);

impl std::fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("postgres://…")
    }
}

/// An open database.
#[derive(Clone)]
pub enum Store {
    /// PostgreSQL.
    Pg(pg::Pools),
    /// SQLite.
    Sqlite(sqlite::Pools),
}

/// A connection that was taken from a pool, inside or outside of a transaction.
#[expect(
    clippy::large_enum_variant,
    reason = "there are as many as the pools are large, and they are not moved"
)]
pub enum Conn {
    /// To PostgreSQL.
    Pg(pg::Pooled),
    /// To SQLite.
    Sqlite(sqlite::Pooled),
}

/// What a transaction's work answers.
pub type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'c>>;

impl Store {
    /// Opens the database; migrations are run by [`Self::migrate`].
    pub fn open(database: &Database) -> Result<Self> {
        match database {
            Database::Sqlite(path) => Ok(Self::Sqlite(sqlite::Pools::open(path)?)),
            Database::Postgres(url) => Ok(Self::Pg(pg::Pools::open(url)?)),
        }
    }

    /// Brings the schema up to date, under a lock, so that nodes that start together do it once.
    pub async fn migrate(&self) -> Result<()> {
        match self {
            Self::Pg(pools) => pools.migrate().await,
            Self::Sqlite(pools) => pools.migrate().await,
        }
    }

    /// True for the embedded database, which has one process at a time.
    pub const fn is_embedded(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// A connection that hears what the processes of the database say; `None` for the embedded one, which has one process.
    pub async fn listen(&self) -> Result<Option<Listener>> {
        match self {
            Self::Pg(pools) => pools.listen().await.map(Some),
            Self::Sqlite(_) => Ok(None),
        }
    }

    /// A connection for reading.
    pub async fn read(&self) -> Result<Conn> {
        match self {
            Self::Pg(pools) => Ok(Conn::Pg(pools.read().await?)),
            Self::Sqlite(pools) => Ok(Conn::Sqlite(pools.read().await?)),
        }
    }

    /// Runs `work`, whose first statement is the only one that writes and is a transaction of its own.
    pub async fn statement<T, F>(&self, work: F) -> Result<T>
    where
        F: for<'c> FnOnce(&'c mut Conn) -> Work<'c, T> + Send,
    {
        let mut conn = match self {
            Self::Pg(pools) => Conn::Pg(pools.read().await?),
            Self::Sqlite(pools) => Conn::Sqlite(pools.write().await?),
        };
        let answer = work(&mut conn).await;
        drop(conn);
        self.written();
        answer
    }

    /// Says that something was committed.
    fn written(&self) {
        if let Self::Sqlite(pools) = self {
            pools.written();
        }
    }

    /// Runs `work` in one transaction: committed when it answers `Ok`, rolled back otherwise, also when it is dropped.
    pub async fn transaction<T, F>(&self, work: F) -> Result<T>
    where
        F: for<'c> FnOnce(&'c mut Conn) -> Work<'c, T> + Send,
    {
        let open = Transaction::take(self).await?;
        match self {
            Self::Pg(_) => open.run(work).await,
            Self::Sqlite(pools) => {
                let answer = sqlite::here(open.run(work)).await;
                pools.written();
                answer
            }
        }
    }
}

/// A transaction that is open. Dropped before its end, it takes its connection out of the pool, which rolls back.
struct Transaction {
    conn: Option<Conn>,
}

impl Transaction {
    async fn take(store: &Store) -> Result<Self> {
        Ok(Self {
            conn: Some(match store {
                Store::Pg(pools) => Conn::Pg(pools.read().await?),
                Store::Sqlite(pools) => Conn::Sqlite(pools.write().await?),
            }),
        })
    }

    async fn run<T, F>(mut self, work: F) -> Result<T>
    where
        F: for<'c> FnOnce(&'c mut Conn) -> Work<'c, T> + Send,
    {
        let conn = self
            .conn
            .as_mut()
            .ok_or_else(|| Error::internal("the transaction has no connection"))?;
        let begin = match conn {
            Conn::Pg(_) => "BEGIN",
            Conn::Sqlite(_) => "BEGIN IMMEDIATE",
        };
        conn.execute(begin).await?;
        let answer = work(conn).await;
        conn.execute(if answer.is_ok() { "COMMIT" } else { "ROLLBACK" })
            .await?;
        drop(self.conn.take());
        answer
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        match self.conn.take() {
            Some(Conn::Pg(pooled)) => drop(pg::Pooled::take(pooled)),
            Some(Conn::Sqlite(pooled)) => drop(sqlite::Pooled::take(pooled)),
            None => {}
        }
    }
}

impl Conn {
    /// Runs a statement that has no values and answers no rows.
    async fn execute(&mut self, statement: &'static str) -> Result<()> {
        use diesel_async::SimpleAsyncConnection;
        match self {
            Self::Pg(conn) => conn.batch_execute(statement).await?,
            Self::Sqlite(conn) => conn.batch_execute(statement).await?,
        }
        Ok(())
    }

    /// Says something to all processes of the database that listen, in at most 8,000 bytes; the embedded one has no other.
    pub async fn notify(&mut self, what: &str) -> Result<()> {
        match self {
            Self::Pg(conn) => pg::notify(conn, what).await,
            Self::Sqlite(_) => Ok(()),
        }
    }

    /// Asks the database for nothing, to see that it answers.
    pub async fn ping(&mut self) -> Result<()> {
        self.execute("SELECT 1").await
    }
}

/// Calls one query of the database that runs: `on!(self, mailboxes::get(tenant, id))`.
macro_rules! on {
    ($conn:expr, $noun:ident :: $query:ident ( $($argument:expr),* $(,)? )) => {
        match $conn {
            $crate::store::Conn::Pg(conn) => $crate::store::pg::queries::$noun::$query(conn, $($argument),*).await,
            $crate::store::Conn::Sqlite(conn) => $crate::store::sqlite::queries::$noun::$query(conn, $($argument),*).await,
        }
    };
}
use on;

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        Self::internal(error)
    }
}

/// A stored word or JSON text that the model does not know: the row was written by a newer version, or by hand.
fn unreadable(column: &str) -> Error {
    Error::internal(format!(
        "the store holds a value for `{column}` that this version cannot read"
    ))
}
