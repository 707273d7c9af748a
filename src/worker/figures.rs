//! Keeps what each minute was like, for the operator's page.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::service::{App, figures};

/// How often a sample is kept.
const MINUTE: Duration = Duration::from_secs(60);

/// Runs until `stop`.
pub async fn run(app: App, stop: CancellationToken) {
    let mut tick = tokio::time::interval(MINUTE);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        if let Err(error) = figures::sample(&app).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the figures could not be taken"
            );
        }
    }
}
