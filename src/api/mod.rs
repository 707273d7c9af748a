//! The HTTP surface: parses a request, calls one use case and translates its answer.
//!
//! `v1/`, `plannr/` and `feather/` each have one file a noun, and could each be deleted by deleting their folder. No
//! rule of the domain, no JSON shape and no SQL may live here: a handler translates, calls one function of `service`,
//! and translates back.

mod admin;
mod answers;
mod auth;
mod body;
mod conditional;
mod content;
mod context;
pub mod docs;
mod downloads;
mod errors;
mod event_stream;
mod feather;
mod mailbox_list;
mod middleware;
mod operational;
mod pages;
mod parameters;
mod plannr;
pub mod server;
mod v1;

use std::{
    panic::resume_unwind,
    sync::{Mutex, PoisonError},
    thread,
};

use poem::{
    Endpoint, EndpointExt, Response, Route, get,
    middleware::{Compression, SetHeader},
};
use poem_openapi::{OpenApi, OpenApiService};
use tokio_util::sync::CancellationToken;

use self::{
    body::Validators,
    conditional::Tagged,
    docs::{Document, MendError, Options},
    middleware::{Dialect, Framed, Spoken},
};
use crate::{model::Error, service::App};

/// The version that the documents carry.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The three published documents.
#[derive(Debug, Clone)]
pub struct Documents {
    /// The unified API, under `/v1`.
    pub unified: Document,
    /// Plannr's dialect, under `/api`.
    pub plannr: Document,
    /// Feather's dialect, under `/v1/email`.
    pub feather: Document,
}

/// The three documents, as they are published. Nothing of a deployment is in them.
///
/// # Errors
/// When what the handlers derive cannot be mended, which a test excludes.
pub fn documents() -> Result<Documents, MendError> {
    // They take longer to make than everything else at a start: at the same time, and once in a process.
    static MADE: Mutex<Option<Documents>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(documents) = &*made {
        return Ok(documents.clone());
    }
    let documents = thread::scope(|scope| {
        let unified = scope.spawn(|| mend(&v1::service(CancellationToken::new()), "/v1", true));
        let plannr = scope.spawn(|| mend(&plannr::service(), "/api", false));
        let feather = mend(&feather::service(), "/v1/email", true)?;
        Ok::<_, MendError>(Documents {
            unified: unified.join().unwrap_or_else(|panic| resume_unwind(panic))?,
            plannr: plannr.join().unwrap_or_else(|panic| resume_unwind(panic))?,
            feather,
        })
    })?;
    Ok(made.insert(documents).clone())
}

fn mend<T: OpenApi>(
    service: &OpenApiService<T, ()>,
    prefix: &str,
    closed_requests: bool,
) -> Result<Document, MendError> {
    Document::mend(
        &service.spec(),
        &Options {
            prefix: prefix.to_owned(),
            license: Some(("MIT OR Apache-2.0".into(), "MIT OR Apache-2.0".into())),
            contact: Some("postroom".into()),
            closed_requests,
            prune: true,
            ..Options::default()
        },
    )
}

/// The whole HTTP surface of an app. From the moment that `stop` is cancelled, `/readyz` says so.
///
/// # Errors
/// When the documents cannot be made, which a test excludes.
pub fn build(app: App, stop: CancellationToken) -> Result<impl Endpoint<Output = Response> + 'static, Error> {
    let Documents {
        unified,
        plannr,
        feather,
    } = documents().map_err(Error::internal)?;
    let files = docs::routes(&unified, &plannr, &feather)
        .with(Compression::new())
        .with(SetHeader::new().appending("vary", "accept-encoding"));
    let routes = Route::new()
        .nest("/", files)
        .at("/", get(pages::home))
        .at("/healthz", get(operational::healthz))
        .at("/readyz", get(operational::Readiness { stop: stop.clone() }))
        .at("/metrics", get(operational::Figures))
        .at("/admin", get(admin::Admin))
        .at("/downloads/:token", get(downloads::download))
        .nest_no_strip(
            "/v1",
            spoken("/v1", v1::service(stop), Dialect::Unified, &unified)?,
        )
        .nest_no_strip(
            "/v1/email",
            spoken("/v1/email", feather::service(), Dialect::Feather, &feather)?,
        )
        .nest_no_strip(
            "/api",
            spoken("/api", plannr::service(), Dialect::Plannr, &plannr)?,
        );
    let root = Spoken {
        inner: Tagged { inner: routes },
        dialect: Dialect::Unified,
        document: unified,
    };
    Ok(Framed { inner: root, app })
}

/// A dialect's endpoint under its prefix, with its validators and its form of errors.
fn spoken<T: OpenApi + 'static>(
    prefix: &'static str,
    service: OpenApiService<T, ()>,
    dialect: Dialect,
    document: &Document,
) -> Result<Spoken<impl Endpoint + use<T>>, Error> {
    let inner = Route::new().nest(prefix, service).data(Validators::of(document)?);
    Ok(Spoken {
        inner,
        dialect,
        document: document.clone(),
    })
}
