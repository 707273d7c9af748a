//! The indexer: follows the queue of messages whose words are to be searchable.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    model::Result,
    service::{App, search},
};

/// How often the queue is looked at when nobody woke the indexer.
const POLL: Duration = Duration::from_secs(5);
/// How long it waits after a failure.
const PAUSE: Duration = Duration::from_secs(2);

/// Indexes until `stop`.
pub async fn run(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let wait = match step(&app).await {
            Ok(0) => POLL,
            Ok(_) => continue,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the index fell behind");
                PAUSE
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.signals.index_woken() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Indexes one batch; answers how many messages it had.
pub async fn step(app: &App) -> Result<usize> {
    search::index_batch(app).await
}
