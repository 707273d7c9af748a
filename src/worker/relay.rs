//! The line to the other processes of the database: tells them what happened here, and does what they say.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    model::Result,
    service::{
        App,
        nodes::{self, Line},
    },
};

/// How often the connection is tried, and a process that syncs nothing says that it lives; its row lasts 30 s.
const BEAT: Duration = Duration::from_secs(10);
/// How long to wait before a connection that broke is made anew.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs until `stop`. `attends` says that this process syncs no mailbox, and so has nobody else to say that it lives.
pub async fn run(app: App, mut line: Line, attends: Option<String>, stop: CancellationToken) {
    loop {
        match serve(&app, &mut line, attends.as_deref(), &stop).await {
            Ok(()) => break,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the line to the other nodes broke"
                );
            }
        }
        while let Err(error) = line.reopen(&app).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the line is not back");
            if stop
                .run_until_cancelled(tokio::time::sleep(AGAIN))
                .await
                .is_none()
            {
                return;
            }
        }
    }
    passed_over(line.finish(&app).await);
    if let Some(name) = attends
        && let Err(error) = nodes::leave(&app, &name).await
    {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "the node did not take its leave"
        );
    }
}

/// Until `stop`, or the connection breaks.
async fn serve(app: &App, line: &mut Line, attends: Option<&str>, stop: &CancellationToken) -> Result<()> {
    let mut beat = tokio::time::interval(BEAT);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            turn = line.next() => passed_over(line.act(app, turn?).await),
            _ = beat.tick() => {
                line.ping().await?;
                if let Some(name) = attends {
                    passed_over(nodes::attend(app, name).await);
                }
            }
        }
    }
}

/// A failure that is not the line's own: the database was asked over another connection.
fn passed_over(done: Result<()>) {
    if let Err(error) = done {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the other nodes were not told"
        );
    }
}
