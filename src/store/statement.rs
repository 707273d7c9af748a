//! What Diesel's own statements lack: a row limit that SQLite does not plan by, and updates that are prepared once.

use diesel::{
    QueryResult,
    backend::Backend,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    serialize::ToSql,
    sql_types::{BigInt, HasSqlType},
};

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

impl<Q> QueryId for Limited<Q> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

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

/// A statement whose text is always the same, and which is therefore prepared once on each connection. Diesel would
/// prepare every `UPDATE`, and whatever holds a literal, at every run: on PostgreSQL a round trip more.
pub(crate) struct Prepared<Q>(pub(crate) Q);

impl<Q: Query> Query for Prepared<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> QueryId for Prepared<Q> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

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
