//! From what goes wrong on the way, in a handler or in the framework, to the domain's errors; and what documents them.

use std::marker::PhantomData;

use poem::{
    error::{MethodNotAllowedError, NotFoundError, ReadBodyError, ResponseError},
    http::StatusCode,
};
use poem_openapi::{
    ApiResponse,
    error::{ContentTypeError, ParseParamError, ParsePathError},
    registry::{MetaResponses, Registry},
};

use super::{docs::Document, parameters};
use crate::model::{Error, error::FieldError};

impl ResponseError for Error {
    /// Only for those who look at the error itself: the answer's status is that of the dialect's own form.
    fn status(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

/// An error of a handler: carries the domain's error to the edge of its dialect, and is documented as the answers `P`.
pub(super) struct Failure<P> {
    error: Error,
    documented: PhantomData<fn() -> P>,
}

impl<P> From<Error> for Failure<P> {
    fn from(error: Error) -> Self {
        Self {
            error,
            documented: PhantomData,
        }
    }
}

impl<P> From<Failure<P>> for poem::Error {
    fn from(failure: Failure<P>) -> Self {
        failure.error.into()
    }
}

impl<P: ApiResponse> ApiResponse for Failure<P> {
    fn meta() -> MetaResponses {
        P::meta()
    }

    fn register(registry: &mut Registry) {
        P::register(registry);
    }
}

/// The domain's error behind one of the framework's; the document says what `path` takes, `limit` how much of it.
pub(super) fn from_framework(error: poem::Error, document: &Document, path: &str, limit: u64) -> Error {
    let allow = || document.allowed_methods(path);
    let error = match error.downcast::<Error>() {
        Ok(ours) => return ours,
        Err(other) => other,
    };
    if error.is::<NotFoundError>() {
        return Error::NotFound("path");
    }
    if error.is::<ParsePathError>() {
        // What is not an id cannot be the id of anything.
        return Error::NotFound("resource");
    }
    if error.is::<MethodNotAllowedError>() {
        return Error::MethodNotAllowed { allow: allow() };
    }
    if error.is::<ContentTypeError>() {
        return Error::UnsupportedMediaType;
    }
    if let Some(ParseParamError { name, reason: _ }) = error.downcast_ref() {
        return Error::Invalid(vec![FieldError::query(
            name,
            parameters::expected(document, name),
        )]);
    }
    match error.downcast_ref::<ReadBodyError>() {
        Some(ReadBodyError::PayloadTooLarge) => return Error::TooLarge { limit },
        Some(_) => return Error::Malformed("The body broke off, or cannot be read.".into()),
        None => {}
    }
    match error.status() {
        StatusCode::NOT_FOUND => Error::NotFound("path"),
        StatusCode::METHOD_NOT_ALLOWED => Error::MethodNotAllowed { allow: allow() },
        StatusCode::PAYLOAD_TOO_LARGE => Error::TooLarge { limit },
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Error::UnsupportedMediaType,
        status if status.is_client_error() => Error::Malformed("The request cannot be read.".into()),
        _ => Error::internal(error.to_string()),
    }
}
