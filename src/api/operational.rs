//! What a supervisor asks: whether the process lives, whether it should get requests, and what it counts.

use std::time::Duration;

use poem::{Endpoint, Request, Response, handler, http::StatusCode};
use tokio_util::sync::CancellationToken;

use crate::{
    model::{Error, Result},
    service::{App, figures},
};

/// How long the database may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// The media type of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The process lives.
#[handler]
pub(super) fn healthz() -> &'static str {
    "ok\n"
}

/// Whether requests should be sent here: the database answers, and the process is not about to stop.
pub(super) struct Readiness {
    /// Cancelled when the process is to stop.
    pub(super) stop: CancellationToken,
}

impl Endpoint for Readiness {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let unavailable = |why: &'static str| text(StatusCode::SERVICE_UNAVAILABLE, why);
        if self.stop.is_cancelled() {
            return Ok(unavailable("draining\n"));
        }
        let answers = match request.data::<App>() {
            Some(app) => tokio::time::timeout(DEADLINE, ping(app)).await.unwrap_or(false),
            None => false,
        };
        Ok(if answers {
            text(StatusCode::OK, "ok\n")
        } else {
            unavailable("the database does not answer\n")
        })
    }
}

/// What the process counts and measures, for Prometheus.
pub(super) struct Figures;

impl Endpoint for Figures {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let counted = async {
            let app = request
                .data::<App>()
                .ok_or_else(|| Error::internal("the request has no app"))?;
            app.metrics
                .text(&figures::latest(app).await?, app.signals.running())
        };
        let counted: Result<String> = tokio::time::timeout(DEADLINE, counted)
            .await
            .unwrap_or(Err(Error::Unavailable("The database does not answer.")));
        Ok(match counted {
            Ok(counted) => Response::builder().content_type(OPEN_METRICS).body(counted),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the figures cannot be read"
                );
                text(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n")
            }
        })
    }
}

fn text(status: StatusCode, text: &'static str) -> Response {
    Response::builder()
        .status(status)
        .content_type("text/plain; charset=utf-8")
        .body(text)
}

async fn ping(app: &App) -> bool {
    match app.store.read().await {
        Ok(mut conn) => conn.ping().await.is_ok(),
        Err(_) => false,
    }
}
