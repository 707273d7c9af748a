//! PostgreSQL: its pool, and its migrations.

use std::time::Duration;

use deadpool::{
    Runtime,
    managed::{Hook, HookError, QueueMode},
};
use diesel_async::{
    AsyncConnection, AsyncMigrationHarness, AsyncPgConnection, SimpleAsyncConnection,
    pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod, deadpool::Pool},
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use futures_util::FutureExt;

use super::{Listener, Pooled};
use crate::{
    model::{Error, Result},
    store::PostgresUrl,
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");
/// Connections in the pool: about four for a core of a small machine.
const CONNECTIONS: usize = 8;
/// A connection that nobody had for so long is not handed out again: what lies between may have dropped it without a word.
const IDLE: Duration = Duration::from_secs(60);
/// How long a request waits for a connection.
pub(super) const WAIT: Duration = Duration::from_secs(10);
/// What every connection is told: no statement, no wait for a lock and no forgotten transaction lasts for ever. The longest
/// statement erases a tenant with all its mail.
const SETTINGS: &str = "SET statement_timeout = '10min'; SET lock_timeout = '30s'; \
    SET idle_in_transaction_session_timeout = '60s'";
/// The key of the advisory lock under which migrations run: `postroom` in ASCII.
const MIGRATION_LOCK: &str = "SET lock_timeout = '120s'; SELECT pg_advisory_lock(8101811374497751917)";

/// The pool.
#[derive(Clone)]
pub struct Pools {
    url: PostgresUrl,
    pool: Pool<AsyncPgConnection>,
}

impl Pools {
    pub(in crate::store) fn open(url: &PostgresUrl) -> Result<Self> {
        let mut config = ManagerConfig::default();
        config.recycling_method = RecyclingMethod::Fast;
        config.custom_setup = Box::new(|url| {
            async move {
                let mut conn = AsyncPgConnection::establish(url).await?;
                conn.batch_execute(SETTINGS)
                    .await
                    .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
                Ok(conn)
            }
            .boxed()
        });
        let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new_with_config(&url.0, config);
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            // The one that was just used knows the tables and the statements best.
            .queue_mode(QueueMode::Lifo)
            .pre_recycle(Hook::sync_fn(|_, metrics| {
                if metrics.last_used() > IDLE {
                    return Err(HookError::message("nobody had it for too long"));
                }
                Ok(())
            }))
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(WAIT))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(Error::internal)?;
        Ok(Self {
            url: url.clone(),
            pool,
        })
    }

    pub(in crate::store) async fn read(&self) -> Result<Pooled> {
        self.pool.get().await.map_err(|error| {
            tracing::error!(%error, "no connection to PostgreSQL");
            Error::Unavailable("The database cannot be reached.")
        })
    }

    pub(in crate::store) async fn listen(&self) -> Result<Listener> {
        Listener::open(&self.url).await
    }

    pub(in crate::store) async fn migrate(&self) -> Result<()> {
        let connect = AsyncPgConnection::establish(&self.url.0);
        let connected = tokio::time::timeout(WAIT, connect).await;
        let mut conn = connected.map_err(Error::internal)?.map_err(Error::internal)?;
        conn.batch_execute(MIGRATION_LOCK).await?;
        let mut harness = AsyncMigrationHarness::new(conn);
        harness
            .run_pending_migrations(MIGRATIONS)
            .map_err(Error::Internal)?;
        Ok(())
    }
}
