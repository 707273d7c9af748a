//! What Diesel's own statements lack: a row limit that SQLite does not plan by, statements that are prepared once, and
//! text that is written once.

use std::{fmt::Write as _, sync::OnceLock};

use diesel::{
    QueryResult,
    backend::Backend,
    query_builder::{AstPass, Query, QueryBuilder, QueryFragment, QueryId},
    serialize::ToSql,
    sql_types::{BigInt, HasSqlType},
};

use crate::model::Result;

/// A query that was written in a macro, which cannot name the error of its answer.
pub(crate) const fn query<T, F: Future<Output = Result<T>>>(query: F) -> F {
    query
}

/// A query that answers at most so many rows.
///
/// SQLite looks at the value that is bound to a plain `LIMIT ?`, and therefore plans the statement anew at every run; the
/// cast keeps the plan.
pub(crate) struct Limited<Q> {
    query: Q,
    rows: i64,
}

impl<Q> Limited<Q> {
    /// The first so many rows of a query.
    pub(crate) const fn new(query: Q, rows: i64) -> Self {
        Self { query, rows }
    }
}

impl<Q: Query> Query for Limited<Q> {
    type SqlType = Q::SqlType;
}

impl<Q: QueryId> QueryId for Limited<Q> {
    type QueryId = Limited<Q::QueryId>;

    const HAS_STATIC_QUERY_ID: bool = Q::HAS_STATIC_QUERY_ID;
}

impl<Q, C> diesel::RunQueryDsl<C> for Limited<Q> {}

impl<Q, DB> QueryFragment<DB> for Limited<Q>
where
    DB: Backend + HasSqlType<BigInt>,
    Q: QueryFragment<DB>,
    i64: ToSql<BigInt, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.query.walk_ast(out.reborrow())?;
        out.push_sql(" LIMIT CAST(");
        out.push_bind_param::<BigInt, _>(&self.rows)?;
        out.push_sql(" AS BIGINT)");
        Ok(())
    }
}

/// A statement whose text is always the same, or one of few, and which is therefore prepared once on each connection. Diesel
/// would prepare every `UPDATE`, every `DO UPDATE` and whatever holds a literal at every run: on PostgreSQL a round trip
/// more, on SQLite as long as a small statement takes. (The `execute` of a connection that is not async does so all the same:
/// it asks a reference, which does not pass the question on.)
pub(crate) struct Prepared<Q>(pub(crate) Q);

impl<Q: Query> Query for Prepared<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> QueryId for Prepared<Q> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q, C> diesel::RunQueryDsl<C> for Prepared<Q> {}

impl<Q, DB> QueryFragment<DB> for Prepared<Q>
where
    DB: Backend,
    Q: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

/// An insert of a row that may be there: what it is found by, and what is then set. Unlike Diesel's own it is prepared once.
pub(crate) struct OrSet<I> {
    /// The insert.
    pub(crate) insert: I,
    /// The columns that it is found by.
    pub(crate) keys: &'static [&'static str],
    /// Those that take the new values.
    pub(crate) columns: &'static [&'static str],
}

impl<I> QueryId for OrSet<I> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<I, C> diesel::RunQueryDsl<C> for OrSet<I> {}

impl<I, DB> QueryFragment<DB> for OrSet<I>
where
    DB: Backend,
    I: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.insert.walk_ast(out.reborrow())?;
        let mut before = " ON CONFLICT (";
        for key in self.keys {
            out.push_sql(before);
            out.push_sql(key);
            before = ", ";
        }
        before = ") DO UPDATE SET ";
        for column in self.columns {
            out.push_sql(before);
            out.push_sql(column);
            out.push_sql(" = excluded.");
            out.push_sql(column);
            before = ", ";
        }
        Ok(())
    }
}

/// A query whose type alone decides its text, which is kept where the query is written: writing it anew at each run takes
/// longer than the rest of a small request.
pub(crate) struct Fixed<Q> {
    query: Q,
    text: &'static OnceLock<String>,
}

impl<Q: QueryId> Fixed<Q> {
    /// The query, with a place for its text that no other query uses.
    pub(crate) const fn new(query: Q, text: &'static OnceLock<String>) -> Self {
        const { assert!(Q::HAS_STATIC_QUERY_ID, "the text differs from run to run") };
        Self { query, text }
    }
}

impl<Q: Query> Query for Fixed<Q> {
    type SqlType = Q::SqlType;
}

impl<Q: QueryId> QueryId for Fixed<Q> {
    type QueryId = Q::QueryId;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<Q, DB> QueryFragment<DB> for Fixed<Q>
where
    DB: Backend,
    DB::QueryBuilder: Default,
    Q: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.query.walk_ast(out)
    }

    fn to_sql(&self, out: &mut DB::QueryBuilder, backend: &DB) -> QueryResult<()> {
        if let Some(text) = self.text.get() {
            out.push_sql(text);
            return Ok(());
        }
        let mut written = DB::QueryBuilder::default();
        self.query.to_sql(&mut written, backend)?;
        out.push_sql(self.text.get_or_init(|| written.finish()));
        Ok(())
    }

    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

/// The text of an insert of many rows into PostgreSQL, which takes each column as an array; into several tables, the last of
/// which the statement is called by. Foreign keys are looked at when all of it is done.
#[derive(Default)]
pub(crate) struct Inserts {
    inserts: Vec<String>,
    values: usize,
}

impl Inserts {
    /// The next table.
    pub(crate) fn add(&mut self, table: &str, columns: &[&str]) {
        let first = self.values + 1;
        self.values += columns.len();
        let arrays: Vec<String> = (first..=self.values).map(|number| format!("${number}")).collect();
        let (columns, arrays) = (columns.join(", "), arrays.join(", "));
        self.inserts.push(format!(
            "INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays})"
        ));
    }

    /// Rows of the last table may be there: what they are found by, and what is then set.
    pub(crate) fn or_set(&mut self, keys: &[&str], columns: &[&str]) {
        let set: Vec<String> = columns
            .iter()
            .map(|column| format!("{column} = excluded.{column}"))
            .collect();
        if let Some(insert) = self.inserts.last_mut() {
            let (keys, set) = (keys.join(", "), set.join(", "));
            let _ = write!(insert, " ON CONFLICT ({keys}) DO UPDATE SET {set}");
        }
    }

    /// The statement.
    pub(crate) fn text(mut self) -> String {
        let last = self.inserts.pop().unwrap_or_default();
        let others: Vec<String> = (1..)
            .zip(self.inserts)
            .map(|(number, insert)| format!("i{number} AS ({insert})"))
            .collect();
        if others.is_empty() {
            last
        } else {
            format!("WITH {} {last}", others.join(", "))
        }
    }
}
