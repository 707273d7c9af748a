//! What every answer has: its dialect's form of an error, its headers, and one line in the log.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::FutureExt;
use poem::{
    Endpoint, IntoResponse, PathPattern, Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};

use poem_openapi::OperationId;

use super::{
    body,
    context::{REQUEST_ID, RequestContext},
    docs::Document,
    errors::from_framework,
};
use crate::{
    model::Error,
    service::{
        App,
        limits::{Quote, Verdict},
    },
    wire,
};

/// At most this many headers are set on every answer.
const DRESS: usize = 6;

/// Whose form an error takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// RFC 9457.
    Unified,
    /// As Laravel writes them.
    Plannr,
    /// As Feather writes them.
    Feather,
}

/// An endpoint whose errors, and whose panics, are answered in its dialect.
pub(super) struct Spoken<E> {
    /// What answers.
    pub(super) inner: E,
    /// Whose form errors take.
    pub(super) dialect: Dialect,
    /// Knows which methods a path takes.
    pub(super) document: Document,
}

impl<E: Endpoint> Endpoint for Spoken<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        // Clones that share: what an error needs is written only for one.
        let uri = request.original_uri().clone();
        let context = request.data::<RequestContext>().cloned();
        let answer = AssertUnwindSafe(self.inner.call(request)).catch_unwind().await;
        let path = uri.path();
        let (error, pattern, operation) = match answer {
            Ok(Ok(response)) => return Ok(response.into_response()),
            Ok(Err(error)) => {
                let pattern = error.data::<PathPattern>().cloned();
                let operation = error.data().map(|OperationId(name)| *name);
                (
                    from_framework(error, &self.document, path, body::LIMIT),
                    pattern,
                    operation,
                )
            }
            Err(_) => (Error::internal("a handler panicked"), None, None),
        };
        let request_id = context.as_ref().map(RequestContext::request_id);
        let mut response = answer_of(&error, self.dialect, path, request_id.unwrap_or_default());
        if let Some(pattern) = pattern {
            response.set_data(pattern);
        }
        if let Some(operation) = operation {
            response.set_data(OperationId(operation));
        }
        Ok(response)
    }
}

/// The answer of an error. A fault of ours is logged here, and nowhere else.
fn answer_of(error: &Error, dialect: Dialect, path: &str, request_id: &str) -> Response {
    if let Error::Internal(source) = error {
        tracing::error!(request_id, error = chain(source.as_ref()), "a request failed");
    }
    match dialect {
        Dialect::Unified => wire::v1::problem::problem(error, Some(path), request_id).into_response(),
        Dialect::Plannr => wire::plannr::problem::problem(error).into_response(),
        Dialect::Feather => wire::feather::problem::problem(error).into_response(),
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The outermost endpoint: gives a request its context, and an answer its headers and its line in the log.
pub(super) struct Framed<E> {
    /// What answers.
    pub(super) inner: E,
    /// The app.
    pub(super) app: App,
}

impl<E: Endpoint<Output = Response>> Endpoint for Framed<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let start = Instant::now();
        let context = RequestContext::of(&request, &self.app.config.http.trusted_proxies);
        request.set_data(context.clone());
        request.set_data(self.app.clone());
        let method = request.method().clone();
        if method == Method::HEAD {
            // The connection leaves the body of the answer out; until then it is that of GET, with all its headers.
            request.set_method(Method::GET);
        }
        let plannr = request.uri().path().starts_with("/api/");
        let mut response = self
            .inner
            .call(request)
            .await
            .unwrap_or_else(poem::Error::into_response);
        dress(response.headers_mut(), &context, plannr);
        self.tell(&method, &response, &context, start.elapsed());
        Ok(response)
    }
}

/// Sets the headers that every answer has, unless the handler has said otherwise.
fn dress(headers: &mut HeaderMap, context: &RequestContext, plannr: bool) {
    headers.reserve(DRESS);
    if let Ok(id) = HeaderValue::from_str(context.request_id()) {
        headers.insert(HeaderName::from_static(REQUEST_ID), id);
    }
    let mut set_default = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set_default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set_default(header::CACHE_CONTROL, "no-store");
    set_default(header::REFERRER_POLICY, "no-referrer");
    let Some(verdict) = context.verdict() else { return };
    let named = if plannr {
        plannr_limits(verdict)
    } else {
        limits(verdict)
    };
    for (name, value) in named {
        if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// As draft-ietf-httpapi-ratelimit-headers writes them: both policies, and what is left of each.
fn limits(verdict: Verdict) -> [(&'static str, String); 2] {
    let Verdict { key, tenant } = verdict;
    [
        (
            "ratelimit-policy",
            format!(
                "\"key\";q={};w={}, \"tenant\";q={};w={}",
                key.limit, key.period, tenant.limit, tenant.period
            ),
        ),
        (
            "ratelimit",
            format!(
                "\"key\";r={};t={}, \"tenant\";r={};t={}",
                key.remaining,
                seconds_to_full(key),
                tenant.remaining,
                seconds_to_full(tenant)
            ),
        ),
    ]
}

fn plannr_limits(verdict: Verdict) -> [(&'static str, String); 2] {
    let Quote { limit, remaining, .. } = verdict.tighter();
    [
        ("x-ratelimit-limit", limit.to_string()),
        ("x-ratelimit-remaining", remaining.to_string()),
    ]
}

/// How long until the whole quota is there again: it fills evenly.
fn seconds_to_full(quote: Quote) -> u64 {
    let used = u64::from(quote.limit.saturating_sub(quote.remaining));
    (used * u64::from(quote.period)).div_ceil(u64::from(quote.limit.max(1)))
}

impl<E> Framed<E> {
    /// Counts a request, and writes its one line: never a query string, an address or a token.
    fn tell(&self, method: &Method, response: &Response, context: &RequestContext, took: Duration) {
        let route = response.data::<PathPattern>().map_or("-", |pattern| &*pattern.0);
        let status = response.status();
        let operation = response.data().map(|OperationId(name)| *name);
        self.app.metrics.answered(operation, status.as_u16(), took);
        let tenant = context.tenant().map(|tenant| tenant.to_string());
        let (request_id, trace_id) = (context.request_id(), context.trace_id());
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::warn!(%method, route, status = status.as_u16(), ms, request_id, trace_id, tenant, "request");
        } else {
            tracing::info!(%method, route, status = status.as_u16(), ms, request_id, trace_id, tenant, "request");
        }
    }
}

#[cfg(test)]
mod tests {
    use poem::endpoint::make_sync;

    use super::*;

    #[test]
    fn the_limits_are_written_as_the_draft_says() {
        let quote = |limit, remaining| Quote {
            limit,
            period: 60,
            remaining,
            retry_after: None,
        };
        let verdict = Verdict {
            key: quote(6000, 5999),
            tenant: quote(30_000, 30_000),
        };
        let [policy, state] = limits(verdict);
        assert_eq!(policy.1, "\"key\";q=6000;w=60, \"tenant\";q=30000;w=60");
        assert_eq!(state.1, "\"key\";r=5999;t=1, \"tenant\";r=30000;t=0");
        let verdict = Verdict {
            key: quote(6000, 4500),
            tenant: quote(30_000, 0),
        };
        assert_eq!(limits(verdict)[1].1, "\"key\";r=4500;t=15, \"tenant\";r=0;t=60");
        assert_eq!(plannr_limits(verdict).map(|(_, value)| value), ["30000", "0"]);
    }
    #[tokio::test]
    async fn a_panic_is_answered_in_its_dialect_and_shows_nothing() {
        let documents = crate::api::documents().unwrap();
        for (dialect, document, words) in [
            (Dialect::Unified, documents.unified, "\"code\":\"internal\""),
            (
                Dialect::Plannr,
                documents.plannr,
                "{\"message\":\"Server Error\"}",
            ),
            (Dialect::Feather, documents.feather, "\"error\":\"internal\""),
        ] {
            let inner = make_sync(|_| -> &'static str { panic!("secret") });
            let answer = Spoken {
                inner,
                dialect,
                document,
            }
            .call(Request::default())
            .await;
            let mut response = answer.unwrap();
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let body = response.take_body().into_string().await.unwrap();
            assert!(body.contains(words) && !body.contains("secret"), "{body}");
        }
    }
}
