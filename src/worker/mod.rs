//! The long loops: syncing mailboxes, delivering webhooks, indexing words, sweeping what was deleted, and the line to the
//! other nodes.
//!
//! Each loop exposes a step that tests can await, so that none needs to sleep. What is written is a use case of
//! `service`; no SQL, no HTTP and no rule of the domain may live here.

pub mod deliver;
pub mod figures;
pub mod index;
pub mod relay;
pub mod sweep;
pub mod sync;

use std::time::Duration;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::service::App;

/// How long the workers have to finish when the process stops.
const STOP: Duration = Duration::from_secs(10);
/// How often idle rate limits are forgotten.
const FORGET: Duration = Duration::from_secs(60);

/// Runs every loop until `stop`, then waits for them to finish.
pub async fn run(app: App, node: String, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    tasks.spawn(sync::Supervisor::new(app.clone(), node).run(stop.clone()));
    tasks.spawn(deliver::run(app.clone(), stop.clone()));
    tasks.spawn(index::run(app.clone(), stop.clone()));
    tasks.spawn(sweep::run(app.clone(), stop.clone()));
    tasks.spawn(forget(app, stop.clone()));
    tasks.close();
    stop.cancelled().await;
    if tokio::time::timeout(STOP, tasks.wait()).await.is_err() {
        tracing::warn!("the workers did not finish in time");
    }
}

async fn forget(app: App, stop: CancellationToken) {
    let mut tick = tokio::time::interval(FORGET);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        app.limits.forget_idle();
    }
}

/// Starts a task that nobody waits for: the one that listens for the process's signals.
#[expect(clippy::disallowed_methods, reason = "tasks start in this room")]
pub fn detach(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}
