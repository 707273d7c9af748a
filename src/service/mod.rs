//! The use cases: each authorises its caller first, then decides, then opens the transaction.
//!
//! The three dialects call the same functions, so that none can forget a check. Nothing of HTTP, JSON or SQL may live
//! here.

pub mod agents;
pub mod attachments;
pub mod auth;
pub mod barrier;
pub mod bootstrap;
pub mod credentials;
pub mod deliveries;
pub mod events;
pub mod figures;
mod journal;
pub mod keys;
pub mod leases;
pub mod limits;
pub mod links;
pub mod logins;
pub mod mailboxes;
pub mod members;
pub mod messages;
pub mod metrics;
pub mod nodes;
pub mod oauth;
pub mod search;
pub mod signals;
pub mod subscriptions;
pub mod sweep;
pub mod sync;
pub mod tenants;
pub mod threads;
pub mod tokens;
pub mod vault;
pub mod verify;
pub mod webhooks;
pub mod write_back;

use std::sync::Arc;

use secrecy::SecretString;
use tokio::task::JoinHandle;
use uuid::Uuid;

use self::{
    credentials::Credentials,
    figures::Pictures,
    limits::Limits,
    links::Links,
    metrics::Metrics,
    oauth::Turns,
    signals::{Nudge, Signals},
    tokens::Tokens,
    vault::Vault,
    write_back::Writers,
};
use crate::{
    config::Config,
    mail::{http::HttpClient, imap::Dialer},
    model::{Error, Result, clock::Clock, id::TenantId},
    store::{Blobs, Conn, Store, Work},
};

/// Everything that a use case needs. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] is made of.
pub struct Parts {
    /// The settings.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// The raw bytes of large messages.
    pub blobs: Blobs,
    /// The clock.
    pub clock: Clock,
    /// Secrets at rest.
    pub vault: Vault,
    /// The platform admin key.
    pub admin_key: SecretString,
    /// Credentials that were just read.
    pub credentials: Credentials,
    /// Rate limits.
    pub limits: Limits,
    /// Short-lived tokens.
    pub tokens: Tokens,
    /// Signed links.
    pub links: Links,
    /// How connections to mail servers are made.
    pub dialer: Dialer,
    /// How token endpoints are asked.
    pub http: HttpClient,
    /// Whose turn it is to refresh a mailbox's tokens.
    pub refreshes: Turns,
    /// How use cases wake and stop the workers of this process.
    pub signals: Signals,
    /// What this process counts.
    pub metrics: Metrics,
    /// The figures of late.
    pub pictures: Pictures,
    /// The connections that changes of messages are written over.
    pub writers: Writers,
}

impl App {
    /// An app of these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Closes a mailbox's connections, whichever process has them.
    fn close(&self, mailbox: Uuid) {
        self.close_here(mailbox);
        self.signals.tell(Nudge::Close(mailbox));
    }

    /// Closes those that this process has.
    fn close_here(&self, mailbox: Uuid) {
        self.signals.close(mailbox);
        self.writers.close(mailbox);
    }

    /// Runs a transaction in a task of its own, so that it commits also when the request that asked for it has gone.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> Work<'c, T> + Send + 'static,
    {
        let store = self.store.clone();
        detach(async move { store.transaction(work).await })
            .await
            .map_err(Error::internal)?
    }

    /// The same for one statement, which needs no transaction around it. SQLite's runs on the thread that asks and waits for
    /// nothing between its beginning and its commit, so that no request can go meanwhile.
    pub async fn write_once<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> Work<'c, T> + Send + 'static,
    {
        if self.store.is_embedded() {
            return self.store.statement(work).await;
        }
        let store = self.store.clone();
        detach(async move { store.statement(work).await })
            .await
            .map_err(Error::internal)?
    }

    /// The same for what changes who may do what in a tenant: the next request sees it.
    pub async fn write_access<T, F>(&self, tenant: TenantId, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> Work<'c, T> + Send + 'static,
    {
        let app = self.clone();
        detach(async move {
            let answer = app.store.transaction(work).await;
            // Also when it failed: a commit whose answer was lost may have happened.
            app.credentials.changed(tenant);
            answer
        })
        .await
        .map_err(Error::internal)?
    }
}

/// Runs something in a task of its own, so that it comes to its end also when the request that asked for it has gone.
#[expect(
    clippy::disallowed_methods,
    reason = "the one function whose work outlives its request"
)]
fn detach<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(work)
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
