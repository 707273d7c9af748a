//! SQLite: its readers and its one writer, its migrations, and the queries compiled for it.

mod checkpoints;
mod events;
mod place;
mod search;

use std::{path::Path, time::Duration};

use deadpool::{Runtime, managed::QueueMode};
use diesel::{
    Connection as _, ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper, SqliteConnection,
    connection::SimpleConnection,
};
use diesel_async::{
    SimpleAsyncConnection,
    pooled_connection::{
        AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
        deadpool::{Object, Pool},
    },
    sync_connection_wrapper::SyncConnectionWrapper,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use futures_util::FutureExt;

use checkpoints::Checkpoints;
use events::{append_events, relabel};
use place::Place;
pub(super) use place::here;
use search::{BOTH, of_tenant, render, with_matches, write_words};

use super::{
    placements::{self, CHUNK},
    statement::Prepared,
    types::Id,
};
use crate::model::{Error, Result};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
/// Connections for reading; WAL lets them read while the writer writes.
const READERS: usize = 4;
/// How long a request waits for a connection.
const WAIT: Duration = Duration::from_secs(10);
/// What every connection is told: durable at each commit, and a small page cache (2 MiB). Pages have SQLite's own 4 KiB: a
/// mail that comes alone changes some forty, which larger ones would make the commit wait for, and many at once gain nothing.
const PRAGMAS: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA foreign_keys = ON; PRAGMA cache_size = -2048; PRAGMA temp_store = MEMORY; \
    PRAGMA trusted_schema = OFF";
/// What the writer is told besides: a page cache in which a batch of messages has room (24 MiB), so that pages of indexes
/// are neither read again nor written twice; and to move the log into the database itself only when it is long, as it does
/// where [`Checkpoints`] are never done with all of it.
const WRITER: &str = "PRAGMA cache_size = -24576; PRAGMA wal_autocheckpoint = 16384";

/// What a query is run on.
pub(crate) type Connection = SyncConnectionWrapper<SqliteConnection, Place>;
/// What queries are written for.
pub(crate) type Backend = diesel::sqlite::Sqlite;
/// A connection that goes back to the pool.
pub(super) type Pooled = Object<Connection>;

/// Inserts many rows, one prepared statement each, table after table, in one hop to where they run.
/// `insert_all!(conn, rows, |row| table { column: row.value, … } on (keys) set (columns); …)`, the last where a row may be
/// there.
macro_rules! insert_all {
    ($conn:expr, $($rows:expr, |$row:ident| $table:ident { $($column:ident: $value:expr),+ $(,)? }
        $(on ($($key:ident),+) set ($($set:ident),+))?);+ $(;)?) => {
        $conn
            .spawn_blocking(move |conn| {
                $(for $row in &$rows {
                    let insert = diesel::insert_into($table::table).values(($($table::$column.eq(&$value),)+));
                    $(let insert = $crate::store::statement::OrSet {
                        insert,
                        keys: &[$(stringify!($key)),+],
                        columns: &[$(stringify!($set)),+],
                    };)?
                    diesel::RunQueryDsl::execute(insert, conn)?;
                })+
                Ok(())
            })
            .await?
    };
}

/// Runs a statement for each of some rows; answers how many rows each changed.
macro_rules! for_each {
    ($conn:expr, $rows:expr, |$row:ident| $statement:expr) => {
        async {
            let mut changed = Vec::with_capacity($rows.len());
            for $row in $rows {
                changed.push(
                    $crate::store::statement::Prepared($statement)
                        .execute($conn)
                        .await?,
                );
            }
            diesel::QueryResult::Ok(changed)
        }
        .await
    };
}

/// Runs queries one after the other: `together!(conn, one(conn).await, another(conn).await)`, each with an error of ours.
macro_rules! together {
    ($conn:ident, $($query:expr),+ $(,)?) => {
        $crate::store::statement::query(async {
            Ok(($($crate::store::statement::query(async { $query }).await?),+))
        })
        .await
    };
}

/// Reads all rows of a query, decoded while they are read, in one hop to the blocking pool: `diesel-async` would copy each
/// value of each row first.
macro_rules! load {
    ($conn:expr, $query:expr) => {{
        let query = $query;
        $conn
            .spawn_blocking(move |conn| diesel::RunQueryDsl::load(query, conn))
            .await?
    }};
}

/// The same for a query whose type decides its text, which Diesel then writes once.
macro_rules! load_fixed {
    ($conn:expr, $query:expr) => {
        load!($conn, $query)
    };
}

/// At most so many rows of a query that locks them.
macro_rules! limited {
    ($query:expr, $rows:expr) => {
        $crate::store::statement::Limited::new($query, $rows)
    };
}

/// The writer is alone in its transaction, so there is nothing to lock.
macro_rules! locked {
    ($query:expr) => {
        $query
    };
}

/// The same.
macro_rules! key_shared {
    ($query:expr) => {
        $query
    };
}

/// The same.
macro_rules! key_locked {
    ($query:expr) => {
        $query
    };
}

/// The writer is alone in its transaction, so no other has locked anything.
macro_rules! skip_locked {
    ($query:expr) => {
        $query
    };
}

/// The database's clock.
macro_rules! db_now {
    () => {
        diesel::dsl::sql::<crate::store::types::Instant>("CAST(unixepoch('subsec') * 1000000 AS INTEGER)")
    };
}

/// The database's clock, some seconds from now.
macro_rules! db_later {
    ($seconds:expr) => {
        diesel::dsl::sql::<crate::store::types::Instant>(
            "CAST(unixepoch('subsec') * 1000000 AS INTEGER) + 1000000 * ",
        )
        .bind::<diesel::sql_types::BigInt, _>($seconds)
    };
}

/// True for messages whose words match: `words_match!(tenant, query)`. The words are asked first, whatever is thought of the
/// number of a tenant's messages.
macro_rules! words_match {
    ($tenant:expr, $words:expr) => {
        diesel::dsl::sql::<diesel::sql_types::Bool>(
            "messages.id IN (SELECT d.message_id FROM search_words w \
             CROSS JOIN search_documents d ON d.docid = w.rowid WHERE w.search_words MATCH ",
        )
        .bind::<diesel::sql_types::Text, _>($crate::store::sqlite::of_tenant($tenant, &$words))
        .sql(" AND d.tenant_id = ")
        .bind::<crate::store::types::Guid, _>(crate::store::types::Id($tenant))
        .sql(")")
    };
}

/// True for a message that is not deleted, where a few are known: the sign keeps SQLite from walking the indexes of all that
/// are not deleted instead.
macro_rules! live_hit {
    () => {
        diesel::dsl::sql::<diesel::sql_types::Bool>("+messages.deleted_at IS NULL")
    };
}

/// The messages of a query, each with whether its words match: `looked!(conn, query, limit, tenant, words)`.
macro_rules! looked {
    ($conn:expr, $query:expr, $limit:expr, $tenant:expr, $words:expr) => {{
        let document = diesel::dsl::sql::<diesel::sql_types::Nullable<diesel::sql_types::BigInt>>(
            "(SELECT d.docid FROM search_documents d \
             WHERE d.tenant_id = messages.tenant_id AND d.message_id = messages.id)",
        );
        let query = $query.select((messages::received_at, messages::id, document));
        let query = $crate::store::statement::Limited::new(query, $limit);
        let words = $crate::store::sqlite::of_tenant($tenant, &$words);
        $conn
            .spawn_blocking(move |conn| {
                let rows = diesel::RunQueryDsl::load(query, conn)?;
                $crate::store::sqlite::with_matches(conn, &words, rows)
            })
            .await?
    }};
}

/// How many messages match, counted up to a limit: `count_hits!(tenant, query, limit)`.
macro_rules! count_hits {
    ($tenant:expr, $words:expr, $limit:expr) => {
        diesel::dsl::sql::<diesel::sql_types::BigInt>(
            "(SELECT count(*) FROM (SELECT 1 FROM search_words WHERE search_words MATCH ",
        )
        .bind::<diesel::sql_types::Text, _>($crate::store::sqlite::of_tenant($tenant, &$words))
        .sql(" LIMIT ")
        .bind::<diesel::sql_types::BigInt, _>($limit)
        .sql("))")
    };
}

/// Keys for one of few statements, which are prepared once each: as many as a power of two, the last one more than once.
pub(crate) fn padded<T: Clone>(keys: &[T]) -> Vec<T> {
    let last = keys.last().into_iter().cycle();
    let more = keys.len().next_power_of_two() - keys.len();
    keys.iter().chain(last.take(more)).cloned().collect()
}

/// The messages of a mailbox with these dedupe keys.
pub(crate) async fn find_messages(
    conn: &mut Connection,
    (tenant, mailbox): (Id, Id),
    keys: &[Vec<u8>],
) -> Result<Vec<(Vec<u8>, Id)>> {
    use super::schema::messages;
    let mut found = Vec::new();
    for chunk in keys.chunks(CHUNK) {
        let query = messages::table
            .filter(messages::tenant_id.eq(tenant))
            .filter(messages::mailbox_id.eq(mailbox))
            .filter(messages::dedupe_key.eq_any(padded(chunk)))
            .select((messages::dedupe_key, messages::id));
        found.append(&mut diesel_async::RunQueryDsl::load(Prepared(query), conn).await?);
    }
    Ok(found)
}

/// The threads of a mailbox that these hashes lead to.
pub(crate) async fn find_refs(
    conn: &mut Connection,
    (tenant, mailbox): (Id, Id),
    hashes: &[Vec<u8>],
) -> Result<Vec<(Vec<u8>, Id)>> {
    use super::schema::thread_refs;
    let mut found = Vec::new();
    for chunk in hashes.chunks(CHUNK) {
        let query = thread_refs::table
            .filter(thread_refs::tenant_id.eq(tenant))
            .filter(thread_refs::mailbox_id.eq(mailbox))
            .filter(thread_refs::ref_hash.eq_any(padded(chunk)))
            .select((thread_refs::ref_hash, thread_refs::thread_id));
        found.append(&mut diesel_async::RunQueryDsl::load(Prepared(query), conn).await?);
    }
    Ok(found)
}

/// Threads; the writer is alone, so there is nothing to lock.
pub(crate) async fn lock_threads(
    conn: &mut Connection,
    tenant: Id,
    ids: Vec<Id>,
) -> Result<Vec<super::threads::Row>> {
    use super::{schema::threads, threads::Row};
    let query = threads::table
        .filter(threads::tenant_id.eq(tenant))
        .filter(threads::id.eq_any(padded(&ids)))
        .select(Row::as_select());
    Ok(diesel_async::RunQueryDsl::load(Prepared(query), conn).await?)
}

/// Every statement is planned once.
pub(crate) async fn plan_once(_: &mut Connection) -> Result<()> {
    Ok(())
}

/// Every statement is planned once.
pub(crate) async fn plan_anew(_: &mut Connection) -> Result<()> {
    Ok(())
}

/// Stores where messages lie, unless it is stored already; answers the folder and the message of each that is new.
pub(crate) async fn place(conn: &mut Connection, rows: Vec<placements::Row>) -> Result<Vec<(Id, Id)>> {
    use super::schema::placements;
    let placed = conn.spawn_blocking(move |conn| {
        let mut placed = Vec::new();
        for row in rows {
            let insert = diesel::insert_into(placements::table)
                .values(row)
                .on_conflict_do_nothing()
                .returning((placements::folder_id, placements::message_id));
            placed.append(&mut insert.get_results(conn)?);
        }
        Ok(placed)
    });
    Ok(placed.await?)
}

/// The writer is alone in its transaction, so it has every lock.
pub(crate) async fn try_advisory_lock(_: &mut Connection, _: i64) -> Result<bool> {
    Ok(true)
}

/// The writer is alone in its transaction, so it has every lock.
pub(crate) async fn advisory_lock(_: &mut Connection, _: i64, _: bool) -> Result<()> {
    Ok(())
}

#[path = "queries/mod.rs"]
#[expect(
    clippy::duplicate_mod,
    reason = "the same queries are compiled once for each database"
)]
pub(crate) mod queries;

/// The two pools.
#[derive(Clone)]
pub struct Pools {
    path: String,
    readers: Pool<Connection>,
    writer: Pool<Connection>,
    checkpoints: Checkpoints,
}

impl Pools {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let path = path
            .to_str()
            .ok_or_else(|| Error::internal("the database's path is not UTF-8"))?
            .to_owned();
        Ok(Self {
            readers: pool(&path, READERS, "", Place::Aside)?,
            writer: pool(&path, 1, WRITER, Place::Here)?,
            checkpoints: Checkpoints::start(path.clone())?,
            path,
        })
    }

    pub(super) async fn read(&self) -> Result<Pooled> {
        get(&self.readers).await
    }

    pub(super) async fn write(&self) -> Result<Pooled> {
        get(&self.writer).await
    }

    /// Says that the writer has committed.
    pub(super) fn written(&self) {
        self.checkpoints.ask();
    }

    pub(super) async fn migrate(&self) -> Result<()> {
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || {
            let mut conn = SqliteConnection::establish(&path).map_err(Error::internal)?;
            conn.batch_execute(PRAGMAS)?;
            conn.run_pending_migrations(MIGRATIONS).map_err(Error::Internal)?;
            Ok(())
        })
        .await
        .map_err(Error::internal)?
    }
}

fn pool(path: &str, size: usize, pragmas: &'static str, place: Place) -> Result<Pool<Connection>> {
    let mut config = ManagerConfig::default();
    config.recycling_method = RecyclingMethod::Fast;
    config.custom_setup = Box::new(move |path| {
        let path = path.to_owned();
        async move {
            let opened = tokio::task::spawn_blocking(move || SqliteConnection::establish(&path));
            let opened = opened
                .await
                .map_err(|error| diesel::ConnectionError::BadConnection(error.to_string()))?;
            let mut conn = Connection::with_runtime(opened?, place);
            let told = async {
                conn.batch_execute(PRAGMAS).await?;
                conn.batch_execute(pragmas).await
            };
            told.await
                .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
            Ok(conn)
        }
        .boxed()
    });
    let manager = AsyncDieselConnectionManager::<Connection>::new_with_config(path, config);
    Pool::builder(manager)
        .max_size(size)
        // The one that was just used has the pages.
        .queue_mode(QueueMode::Lifo)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(WAIT))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(Error::internal)
}

async fn get(pool: &Pool<Connection>) -> Result<Pooled> {
    pool.get().await.map_err(|error| {
        tracing::error!(%error, "no connection to SQLite");
        Error::Unavailable("The database is busy.")
    })
}
