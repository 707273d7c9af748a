//! PostgreSQL: the queries compiled for it.

mod events;
mod notices;
mod pools;

use diesel::{
    QueryableByName,
    sql_types::{Array, BigInt, Binary, Bool, Text},
};
use diesel_async::{
    AsyncConnectionCore, AsyncPgConnection, RunQueryDsl, pooled_connection::deadpool::Object,
};

use events::{append_events, relabel};
pub use notices::Listener;
pub(super) use notices::notify;
pub(super) use pools::Pools;

use super::{
    placements,
    search::{IndexJob, Words},
    statement::Prepared,
    threads, tsvector,
    types::{At, Guid, Id, Instant},
};
use crate::model::Result;

/// What a query is run on.
pub(crate) type Connection = AsyncPgConnection;
/// A connection, or one of those that share it while several queries are on their way.
pub(crate) trait Pipeline: AsyncConnectionCore<Backend = Backend> + Send {}
impl<C: AsyncConnectionCore<Backend = Backend> + Send> Pipeline for C {}
/// What queries are written for.
pub(crate) type Backend = diesel::pg::Pg;
/// A connection that goes back to the pool.
pub(super) type Pooled = Object<AsyncPgConnection>;

/// Inserts many rows, also into several tables, by a statement that is the same for any number of rows and prepared once: a
/// column is one array.
/// `insert_all!(conn, rows, |row| table { column: row.value, … } on (keys) set (columns); …)`, the last where a row may be
/// there.
macro_rules! insert_all {
    ($conn:expr, $($rows:expr, |$row:ident| $table:ident { $($column:ident: $value:expr),+ $(,)? }
        $(on ($($key:ident),+) set ($($set:ident),+))?);+ $(;)?) => {
        if !($($rows.is_empty())&&+) {
            static TEXT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
            let text = TEXT.get_or_init(|| {
                let mut inserts = $crate::store::statement::Inserts::default();
                $(inserts.add(stringify!($table), &[$(stringify!($column)),+]);
                $(inserts.or_set(&[$(stringify!($key)),+], &[$(stringify!($set)),+]);)?)+
                inserts.text()
            });
            let mut query = diesel::sql_query(text).into_boxed::<diesel::pg::Pg>();
            $($(query = query.bind::<diesel::sql_types::Array<diesel::dsl::SqlTypeOf<$table::$column>>, _>(
                $rows.iter().map(|$row| &$value).collect::<Vec<_>>());)+)+
            $crate::store::statement::Prepared(query).execute($conn).await?;
        }
    };
}

/// Runs a statement for each of some rows, all of them sent before the first is answered; answers how many rows each changed.
macro_rules! for_each {
    ($conn:expr, $rows:expr, |$row:ident| $statement:expr) => {{
        let shared = &*$conn;
        let runs = $rows.iter().map(|$row| async move {
            let mut conn = shared;
            $crate::store::statement::Prepared($statement)
                .execute(&mut conn)
                .await
        });
        futures_util::future::try_join_all(runs).await
    }};
}

/// Runs queries of which none waits for the answer of another, all of them sent before the first is answered:
/// `together!(conn, one(conn).await, another(conn).await)`, each with an error of ours.
macro_rules! together {
    ($conn:ident, $($query:expr),+ $(,)?) => {{
        let shared = &*$conn;
        futures_util::try_join!($($crate::store::statement::query(async {
            let mut own = shared;
            let $conn = &mut own;
            $query
        })),+)
    }};
}

/// Reads all rows of a query.
macro_rules! load {
    ($conn:expr, $query:expr) => {
        $query.load($conn).await?
    };
}

/// The same for a query whose type decides its text, which is then written once.
macro_rules! load_fixed {
    ($conn:expr, $query:expr) => {{
        static TEXT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
        $crate::store::statement::Fixed::new($query, &TEXT)
            .load($conn)
            .await?
    }};
}

/// At most so many rows of a query that locks them.
macro_rules! limited {
    ($query:expr, $rows:expr) => {
        $query.limit($rows)
    };
}

/// Keys for one statement, which takes any number of them: they are one array.
pub(crate) fn padded<T: Clone>(keys: &[T]) -> Vec<T> {
    keys.to_vec()
}

/// Locks the rows that a query answers until the transaction ends.
macro_rules! locked {
    ($query:expr) => {
        $query.for_no_key_update()
    };
}

/// Keeps others from passing [`key_locked`] on the rows that a query answers until the transaction ends.
macro_rules! key_shared {
    ($query:expr) => {
        $query.for_key_share()
    };
}

/// Locks the rows that a query answers until the transaction ends, also against [`key_shared`].
macro_rules! key_locked {
    ($query:expr) => {
        $query.for_update()
    };
}

/// Locks the rows that a query answers, and passes over those that another transaction has locked.
macro_rules! skip_locked {
    ($query:expr) => {
        $query.for_update().skip_locked()
    };
}

/// The database's clock.
macro_rules! db_now {
    () => {
        diesel::dsl::sql::<crate::store::types::Instant>("now()")
    };
}

/// The database's clock, some seconds from now.
macro_rules! db_later {
    ($seconds:expr) => {
        diesel::dsl::sql::<crate::store::types::Instant>("now() + interval '1 second' * ")
            .bind::<diesel::sql_types::BigInt, _>($seconds)
    };
}

/// True for messages whose words match: `words_match!(tenant, query)`.
macro_rules! words_match {
    ($tenant:expr, $words:expr) => {
        diesel::dsl::sql::<diesel::sql_types::Bool>(
            "messages.id IN (SELECT d.message_id FROM search_documents d WHERE d.tenant_id = ",
        )
        .bind::<crate::store::types::Guid, _>(crate::store::types::Id($tenant))
        .sql(" AND d.words @@ CAST(")
        .bind::<diesel::sql_types::Text, _>($words)
        .sql(" AS tsquery))")
    };
}

/// True for a message that is not deleted, where a few are known.
macro_rules! live_hit {
    () => {
        messages::deleted_at.is_null()
    };
}

/// The messages of a query, each with whether its words match: `looked!(conn, query, limit, tenant, words)`.
macro_rules! looked {
    ($conn:expr, $query:expr, $limit:expr, $tenant:expr, $words:expr) => {{
        let matches = diesel::dsl::sql::<diesel::sql_types::Bool>("COALESCE((SELECT d.words @@ CAST(")
            .bind::<diesel::sql_types::Text, _>($words)
            .sql(" AS tsquery) FROM search_documents d WHERE d.message_id = messages.id AND d.tenant_id = ")
            .bind::<crate::store::types::Guid, _>(crate::store::types::Id($tenant))
            .sql("), FALSE)");
        let query = $query.select((messages::received_at, messages::id, matches));
        $crate::store::statement::Limited::new(query, $limit)
            .load($conn)
            .await?
    }};
}

/// How many messages match, counted up to a limit: `count_hits!(tenant, query, limit)`.
macro_rules! count_hits {
    ($tenant:expr, $words:expr, $limit:expr) => {
        diesel::dsl::sql::<diesel::sql_types::BigInt>(
            "(SELECT count(*) FROM (SELECT 1 FROM search_documents d WHERE d.tenant_id = ",
        )
        .bind::<crate::store::types::Guid, _>(crate::store::types::Id($tenant))
        .sql(" AND d.words @@ CAST(")
        .bind::<diesel::sql_types::Text, _>($words)
        .sql(" AS tsquery) LIMIT ")
        .bind::<diesel::sql_types::BigInt, _>($limit)
        .sql(") hits)")
    };
}

/// What joins two queries that must both hold.
pub(crate) const BOTH: &str = " & ";

/// How the words of a query are written for this database.
pub(crate) fn render(query: &crate::model::search::Query, subject_only: bool) -> String {
    query.tsquery(subject_only.then_some('A'))
}

/// Takes messages out of the index.
const GONE: &str = "DELETE FROM search_documents d \
    USING unnest(CAST($1 AS uuid[]), CAST($2 AS uuid[])) AS j (tenant_id, message_id) \
    WHERE d.tenant_id = j.tenant_id AND d.message_id = j.message_id";
/// Puts their words into it.
const WORDS: &str = "INSERT INTO search_documents (tenant_id, message_id, words) \
    SELECT m.tenant_id, m.id, CAST(j.words AS tsvector) \
    FROM unnest(CAST($1 AS uuid[]), CAST($2 AS uuid[]), CAST($3 AS text[])) AS j (tenant_id, message_id, words), \
        messages m \
    WHERE m.tenant_id = j.tenant_id AND m.id = j.message_id ORDER BY m.tenant_id, m.id \
    ON CONFLICT (tenant_id, message_id) DO UPDATE SET words = excluded.words";
/// Ends their jobs, locked in the order in which everything else queues messages.
const DONE: &str = "WITH done AS (SELECT q.tenant_id, q.message_id \
    FROM unnest(CAST($1 AS uuid[]), CAST($2 AS uuid[]), CAST($3 AS timestamptz[])) \
        AS j (tenant_id, message_id, queued_at) \
    JOIN search_queue q ON q.tenant_id = j.tenant_id AND q.message_id = j.message_id \
        AND q.queued_at = j.queued_at \
    ORDER BY q.tenant_id, q.message_id FOR UPDATE OF q) \
    DELETE FROM search_queue q USING done WHERE q.tenant_id = done.tenant_id AND q.message_id = done.message_id";

/// Puts messages' words into the index in place of those that were there, and ends the jobs; a message that is gone has
/// none. Rows are locked in the order of the jobs.
pub(crate) async fn write_words(conn: &mut Connection, work: Vec<(IndexJob, Option<Words>)>) -> Result<()> {
    let ids = |jobs: &[&IndexJob]| -> (Vec<Id>, Vec<Id>) {
        jobs.iter().map(|job| (Id(job.tenant.0), Id(job.message))).unzip()
    };
    let gone: Vec<&IndexJob> = work
        .iter()
        .filter(|(_, words)| words.is_none())
        .map(|(job, _)| job)
        .collect();
    if !gone.is_empty() {
        let (tenants, messages) = ids(&gone);
        let gone = diesel::sql_query(GONE)
            .bind::<Array<Guid>, _>(tenants)
            .bind::<Array<Guid>, _>(messages);
        Prepared(gone).execute(conn).await?;
    }
    let (there, words): (Vec<&IndexJob>, Vec<String>) = work
        .iter()
        .filter_map(|(job, words)| Some((job, tsvector::write(words.as_ref()?))))
        .unzip();
    if !there.is_empty() {
        let (tenants, messages) = ids(&there);
        let index = diesel::sql_query(WORDS)
            .bind::<Array<Guid>, _>(tenants)
            .bind::<Array<Guid>, _>(messages)
            .bind::<Array<Text>, _>(words);
        Prepared(index).execute(conn).await?;
    }
    let jobs: Vec<&IndexJob> = work.iter().map(|(job, _)| job).collect();
    let (tenants, messages) = ids(&jobs);
    let times: Vec<At> = jobs.iter().map(|job| At(job.queued_at)).collect();
    let done = diesel::sql_query(DONE)
        .bind::<Array<Guid>, _>(tenants)
        .bind::<Array<Guid>, _>(messages)
        .bind::<Array<Instant>, _>(times);
    Prepared(done).execute(conn).await?;
    Ok(())
}

/// The messages with these keys. Each key is looked up on its own, in the order of the one index that ends in it: given
/// `= ANY`, the planner reads all of a mailbox as long as it has no statistics of a table that is being filled.
const MESSAGES: &str = "SELECT m.dedupe_key AS key, m.id \
    FROM unnest(CAST($3 AS bytea[])) AS k (key) CROSS JOIN LATERAL \
    (SELECT dedupe_key, id FROM messages WHERE tenant_id = $1 AND mailbox_id = $2 AND dedupe_key >= k.key \
    ORDER BY tenant_id, mailbox_id, dedupe_key LIMIT 1) m WHERE m.dedupe_key = k.key";
/// The threads that these hashes lead to, looked up in the same way.
const REFS: &str = "SELECT r.ref_hash AS key, r.thread_id AS id \
    FROM unnest(CAST($3 AS bytea[])) AS k (hash) CROSS JOIN LATERAL \
    (SELECT ref_hash, thread_id FROM thread_refs WHERE tenant_id = $1 AND mailbox_id = $2 AND ref_hash = k.hash \
    LIMIT 1) r";

/// Threads by their ids, each looked up alone for the same reason, and locked in the order in which the ids are given.
const THREADS: &str = "SELECT t.id, t.mailbox_id, t.subject, t.message_count, t.last_message_at, t.created_at \
    FROM unnest(CAST($2 AS uuid[])) AS k (id) CROSS JOIN LATERAL \
    (SELECT * FROM threads WHERE tenant_id = $1 AND id = k.id LIMIT 1 FOR NO KEY UPDATE) t";
/// Stores where messages lie.
const PLACEMENTS: &str = "INSERT INTO placements \
    (tenant_id, folder_id, uid_validity, uid, mailbox_id, message_id, flags) \
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING folder_id, message_id";

/// Until the transaction ends, statements are planned once for all values. Those of new mail find rows by whole keys, and
/// planning them anew for each takes as long as they do; of others that would keep a plan from when a table was empty.
pub(crate) async fn plan_once(conn: &mut impl Pipeline) -> Result<()> {
    let mode = "SET LOCAL plan_cache_mode = force_generic_plan";
    Prepared(diesel::sql_query(mode)).execute(conn).await?;
    Ok(())
}

/// Ends [`plan_once`].
pub(crate) async fn plan_anew(conn: &mut impl Pipeline) -> Result<()> {
    let mode = "SET LOCAL plan_cache_mode = auto";
    Prepared(diesel::sql_query(mode)).execute(conn).await?;
    Ok(())
}

/// What a key leads to.
#[derive(QueryableByName)]
struct Led {
    #[diesel(sql_type = Binary)]
    key: Vec<u8>,
    #[diesel(sql_type = Guid)]
    id: Id,
}

async fn lead(
    conn: &mut impl Pipeline,
    statement: &'static str,
    (tenant, mailbox): (Id, Id),
    keys: &[Vec<u8>],
) -> Result<Vec<(Vec<u8>, Id)>> {
    let leading = diesel::sql_query(statement)
        .bind::<Guid, _>(tenant)
        .bind::<Guid, _>(mailbox)
        .bind::<Array<Binary>, _>(keys);
    let found: Vec<Led> = Prepared(leading).load(conn).await?;
    Ok(found.into_iter().map(|led| (led.key, led.id)).collect())
}

/// The messages of a mailbox with these dedupe keys.
pub(crate) async fn find_messages(
    conn: &mut impl Pipeline,
    within: (Id, Id),
    keys: &[Vec<u8>],
) -> Result<Vec<(Vec<u8>, Id)>> {
    lead(conn, MESSAGES, within, keys).await
}

/// The threads of a mailbox that these hashes lead to.
pub(crate) async fn find_refs(
    conn: &mut impl Pipeline,
    within: (Id, Id),
    hashes: &[Vec<u8>],
) -> Result<Vec<(Vec<u8>, Id)>> {
    lead(conn, REFS, within, hashes).await
}

/// Threads, locked until the transaction ends; the ids are in order.
pub(crate) async fn lock_threads(
    conn: &mut Connection,
    tenant: Id,
    ids: Vec<Id>,
) -> Result<Vec<threads::Row>> {
    let locking = diesel::sql_query(THREADS)
        .bind::<Guid, _>(tenant)
        .bind::<Array<Guid>, _>(ids);
    Ok(Prepared(locking).load(conn).await?)
}

/// A folder and a message.
#[derive(QueryableByName)]
struct Placed {
    #[diesel(sql_type = Guid)]
    folder_id: Id,
    #[diesel(sql_type = Guid)]
    message_id: Id,
}

fn column<'r, R, T>(rows: &'r [R], of: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

/// Stores where messages lie, unless it is stored already; answers the folder and the message of each that is new.
pub(crate) async fn place(conn: &mut impl Pipeline, rows: Vec<placements::Row>) -> Result<Vec<(Id, Id)>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let insert = diesel::sql_query(PLACEMENTS)
        .bind::<Array<Guid>, _>(column(&rows, |row| row.tenant_id))
        .bind::<Array<Guid>, _>(column(&rows, |row| row.folder_id))
        .bind::<Array<BigInt>, _>(column(&rows, |row| row.uid_validity))
        .bind::<Array<BigInt>, _>(column(&rows, |row| row.uid))
        .bind::<Array<Guid>, _>(column(&rows, |row| row.mailbox_id))
        .bind::<Array<Guid>, _>(column(&rows, |row| row.message_id))
        .bind::<Array<Text>, _>(column(&rows, |row| &row.flags));
    let placed: Vec<Placed> = Prepared(insert).load(conn).await?;
    Ok(placed
        .into_iter()
        .map(|row| (row.folder_id, row.message_id))
        .collect())
}

/// Takes an advisory lock until the transaction ends, if nobody has it.
pub(crate) async fn try_advisory_lock(conn: &mut Connection, key: i64) -> Result<bool> {
    let lock = diesel::dsl::sql::<Bool>("pg_try_advisory_xact_lock(").bind::<BigInt, _>(key);
    Ok(diesel::select(lock.sql(")")).get_result(conn).await?)
}

/// Waits for an advisory lock, which is held until the transaction ends; shared ones exclude only one that is not.
pub(crate) async fn advisory_lock(conn: &mut Connection, key: i64, shared: bool) -> Result<()> {
    let statement = if shared {
        "SELECT pg_advisory_xact_lock_shared($1)"
    } else {
        "SELECT pg_advisory_xact_lock($1)"
    };
    let lock = diesel::sql_query(statement).bind::<BigInt, _>(key);
    Prepared(lock).execute(conn).await?;
    Ok(())
}

#[path = "queries/mod.rs"]
#[expect(
    clippy::duplicate_mod,
    reason = "the same queries are compiled once for each database"
)]
pub(crate) mod queries;
