//! The log of events as a stream of server-sent events (HTML Standard, section 9.2): a page at a time, while its client
//! takes it.

use std::{io, time::Duration};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use poem::{
    Body, IntoResponse, Response,
    http::{HeaderValue, header},
    web::sse,
};
use poem_openapi::{
    ApiResponse,
    payload::EventStream,
    registry::{MetaResponses, Registry},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::auth::Standing;
use crate::{model::Result, service::events::Follow, wire::v1::event::Event};

/// How soon a client should connect again, in milliseconds.
const RETRY: u64 = 2_000;
/// How long the caller's credential and role are believed before they are looked at again.
const BELIEVED: Duration = Duration::from_secs(1);

/// The answer of a stream.
pub(super) struct Stream(Body);

/// What is documented: events, one after the other.
type Documented = EventStream<BoxStream<'static, Event>>;

impl ApiResponse for Stream {
    fn meta() -> MetaResponses {
        Documented::meta()
    }

    fn register(registry: &mut Registry) {
        Documented::register(registry);
    }
}

impl IntoResponse for Stream {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        );
        // For proxies that would otherwise wait until an answer is whole.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        response.set_body(self.0);
        response
    }
}

/// A stream that is being sent.
struct Live {
    follow: Follow,
    standing: Standing,
    believed: Instant,
    base: String,
    heartbeat: Duration,
    due: Instant,
    stop: CancellationToken,
    begun: bool,
}

impl Stream {
    /// The stream of what is followed, until the caller may follow it no more or the process is to stop.
    pub(super) fn new(follow: Follow, standing: Standing, stop: CancellationToken) -> Self {
        let http = &standing.app.config.http;
        let (base, heartbeat) = (http.public_url.clone(), http.heartbeat);
        let now = Instant::now();
        let live = Live {
            follow,
            standing,
            believed: now,
            base,
            heartbeat,
            due: now + heartbeat,
            stop,
            begun: false,
        };
        let chunks = stream::unfold(live, |mut live| async move {
            let chunk = live.next().await?;
            Some((Ok::<_, io::Error>(Bytes::from(chunk)), live))
        });
        Self(Body::from_bytes_stream(chunks))
    }
}

impl Live {
    /// What is sent next; `None` ends the stream, and the client connects again.
    async fn next(&mut self) -> Option<String> {
        if !self.begun {
            // Before anything happens, so that a client knows where to go on if it is cut off by then.
            self.begun = true;
            return Some(format!("{}{}", sse::Event::retry(RETRY), self.place()));
        }
        loop {
            if self.stop.is_cancelled() {
                return None;
            }
            match self.read().await {
                Ok((None, more)) if more && Instant::now() < self.due => continue,
                Ok((None, _)) => {}
                Ok((Some(text), _)) => {
                    self.due = Instant::now() + self.heartbeat;
                    return Some(text);
                }
                Err(error) => {
                    tracing::info!(
                        error = &error as &dyn std::error::Error,
                        "a stream of events ends"
                    );
                    return None;
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep_until(self.due) => {
                    self.due = Instant::now() + self.heartbeat;
                    return Some(self.place().to_string());
                }
                () = self.follow.woken() => {}
            }
        }
    }

    /// A heartbeat: no event, but the place to go on from, which moves over what the client did not ask for.
    fn place(&self) -> sse::Event {
        sse::Event::message("").id(self.follow.place().to_cursor())
    }

    /// The next page of events, written, and whether more follow at once.
    async fn read(&mut self) -> Result<(Option<String>, bool)> {
        if self.believed.elapsed() >= BELIEVED {
            let identity = self.standing.identify().await?;
            self.follow.see(identity.caller()?)?;
            self.believed = Instant::now();
        }
        let (events, more) = self.follow.next().await?;
        let mut text = String::new();
        for event in events {
            let event = Event::new(event, &self.base);
            let data = serde_json::to_string(&event).map_err(crate::model::Error::internal)?;
            let word = crate::model::event::EventType::from(event.kind).as_str();
            text += &sse::Event::message(data)
                .id(event.cursor)
                .event_type(word)
                .to_string();
        }
        Ok(((!text.is_empty()).then_some(text), more))
    }
}
