//! What one process says to the others that share the database: LISTEN and NOTIFY, on a connection outside of the pool.

use std::{pin::pin, time::Duration};

use diesel::sql_types::{Bool, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::StreamExt;

use super::{Connection, pools::WAIT};
use crate::{
    model::{Error, Result},
    store::{PostgresUrl, statement::Prepared},
};

/// How long an answer on this connection may take.
const ANSWER: Duration = Duration::from_secs(10);

/// A connection that hears what the processes of its database say.
pub struct Listener {
    conn: AsyncPgConnection,
}

impl Listener {
    pub(in crate::store) async fn open(url: &PostgresUrl) -> Result<Self> {
        let connect = AsyncPgConnection::establish(&url.0);
        let connected = tokio::time::timeout(WAIT, connect).await;
        let mut conn = connected.map_err(Error::internal)?.map_err(Error::internal)?;
        within(conn.batch_execute("LISTEN postroom")).await?;
        Ok(Self { conn })
    }

    /// Takes a name for as long as this connection lasts, unless another has it.
    pub async fn take_name(&mut self, name: &str) -> Result<bool> {
        let lock = diesel::dsl::sql::<Bool>("pg_try_advisory_lock(hashtextextended('postroom node ' || ")
            .bind::<Text, _>(name)
            .sql(", 0))");
        within(diesel::select(lock).get_result(&mut self.conn)).await
    }

    /// Waits for the next thing that is said; dropped before, it has lost nothing.
    pub async fn next(&mut self) -> Result<String> {
        let mut said = pin!(self.conn.notifications_stream());
        match said.next().await {
            Some(said) => Ok(said?.payload),
            None => Err(Error::Unavailable("The database cannot be reached.")),
        }
    }

    /// Asks whether the connection still works.
    pub async fn ping(&mut self) -> Result<()> {
        within(self.conn.batch_execute("SELECT 1")).await
    }
}

/// Says something to all that listen, this process included: at most 8,000 bytes.
pub(in crate::store) async fn notify(conn: &mut Connection, what: &str) -> Result<()> {
    let say = diesel::sql_query("SELECT pg_notify('postroom', $1)").bind::<Text, _>(what);
    Prepared(say).execute(conn).await?;
    Ok(())
}

async fn within<T>(answer: impl Future<Output = diesel::QueryResult<T>>) -> Result<T> {
    let answer = tokio::time::timeout(ANSWER, answer).await;
    Ok(answer.map_err(|_| Error::Unavailable("The database does not answer."))??)
}
