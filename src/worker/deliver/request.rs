//! One request to a webhook endpoint: signed, sent, and what came of it.

use std::time::Instant;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::report;
use crate::{
    mail::{http::HttpError, oauth::retry_after},
    model::{
        Error, Result,
        endpoint_form::{self, EndpointForm},
        webhook,
    },
    service::{
        App, barrier,
        deliveries::{self, Job, Sent},
        metrics::Tried,
    },
    wire::{plannr, v1},
};

/// How much of an answer is kept, in bytes.
const KEPT: usize = 1_024;

/// Sends one request; `None` where it must not be sent any more.
pub(super) async fn send(app: &App, job: Job) -> Option<Sent> {
    let (at, begun) = (app.clock.shared(), Instant::now());
    let (tenant, taken, since) = (job.tenant, job.taken, job.since);
    let answer = match request(app, job, at) {
        Ok(request) => {
            let client = app.http.clone().with_deadline(deliveries::TIMEOUT);
            let still = async { report(barrier::may_begin(app, tenant, taken, since).await) == Some(true) };
            let sent = client.send_cut(request, KEPT, still).await;
            sent.map_err(|error| said(&error)).transpose()?
        }
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a webhook request could not be written"
            );
            Err("The request could not be written.".to_owned())
        }
    };
    fail::fail_point!("webhook_after_post", |_| std::process::abort());
    let (retry_after, status, body, error) = match answer {
        Ok(answer) => {
            let body = String::from_utf8_lossy(answer.body()).replace('\0', "\u{fffd}");
            let wait = retry_after(answer.headers(), at);
            (wait, Some(answer.status().as_u16()), Some(body), None)
        }
        Err(error) => (None, None, None, Some(error)),
    };
    let duration = begun.elapsed();
    let tried = match status {
        Some(200..=299) => Tried::Succeeded,
        Some(_) => Tried::Refused,
        None => Tried::Failed,
    };
    app.metrics.attempt(tried, duration);
    Some(Sent {
        taken,
        attempt: webhook::Attempt {
            at,
            duration,
            status,
            body,
            error,
        },
        retry_after,
    })
}

/// What is told of a request that got no answer.
fn said(error: &HttpError) -> String {
    let text: String = error.to_string().chars().take(KEPT).collect();
    text.replace('\0', "\u{fffd}")
}

/// The signed request, in its endpoint's form.
fn request(app: &App, job: Job, at: DateTime<Utc>) -> Result<http::Request<Vec<u8>>> {
    let (event, base) = (job.event, &app.config.http.public_url);
    let (trace, id, timestamp) = (event.id, event.id.to_string(), at.timestamp());
    let request = http::Request::post(&job.url)
        .header("content-type", "application/json")
        .header("user-agent", concat!("postroom/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", &id)
        .header("traceparent", traceparent(trace));
    let request = match &*job.form {
        EndpointForm::Standard => {
            let body = v1::delivery::payload(event, base)?;
            let signature = webhook::sign(&job.secrets, &id, timestamp, &body)?;
            request
                .header("webhook-timestamp", timestamp)
                .header("webhook-signature", signature)
                .body(body)
        }
        EndpointForm::Plannr { events: _ } => {
            let body = plannr::delivery::payload(event, base)?;
            let newest = job.secrets.first();
            let newest = newest.ok_or_else(|| Error::internal("a webhook endpoint has no secret"))?;
            let signature = endpoint_form::sign_body(newest, &body)?;
            request.header("x-signature", signature).body(body)
        }
    };
    request.map_err(Error::internal)
}

/// The attempt as a span of its own (W3C Trace Context, section 3.2). All attempts of all endpoints at an event are of one
/// trace, whose id is the event's.
fn traceparent(event: Uuid) -> String {
    format!(
        "00-{}-{:016x}-01",
        event.simple(),
        rand::random_range(1..=u64::MAX)
    )
}
