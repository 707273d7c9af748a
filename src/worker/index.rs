//! The indexer: follows the queue of messages whose words are to be searchable.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    model::Result,
    service::{App, search},
};

/// How often the queue is looked at when nobody woke the indexer.
const POLL: Duration = Duration::from_secs(5);
/// How long it waits after a failure.
const PAUSE: Duration = Duration::from_secs(2);
/// How long it waits once it is woken: who has just stored a message has more to do, and another may follow.
const GATHER: Duration = Duration::from_millis(50);
/// While many messages are being stored they wait for the index, but not longer than this; then it rests for so many times
/// as long as it worked. Both share the processor, and the one writer of SQLite.
const LAG: TimeDelta = TimeDelta::seconds(30);
const SHARE: u32 = 4;
/// How often it is looked whether that is over.
const LOOK: Duration = Duration::from_millis(250);

/// Indexes until `stop`.
pub async fn run(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let begun = Instant::now();
        let takes_in = app.signals.takes_in();
        let indexed = if takes_in && !is_late(&app).await {
            stop.run_until_cancelled(tokio::time::sleep(LOOK)).await;
            continue;
        } else {
            step(&app).await
        };
        let wait = match indexed {
            Ok(0) => POLL,
            Ok(_) if takes_in => {
                let pause = PAUSE.min(begun.elapsed() * SHARE);
                stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                continue;
            }
            Ok(_) => continue,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the index fell behind");
                PAUSE
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.signals.index_woken() => {
                stop.run_until_cancelled(tokio::time::sleep(GATHER)).await;
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// True when messages wait for longer than [`LAG`], or when that cannot be told.
async fn is_late(app: &App) -> bool {
    let oldest = search::oldest_waiting(app).await;
    !oldest.is_ok_and(|oldest| oldest.is_some_and(|oldest| app.clock.now() - oldest < LAG))
}

/// Indexes one batch; answers how many messages it had.
pub async fn step(app: &App) -> Result<usize> {
    search::index_batch(app).await
}
