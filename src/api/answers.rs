//! The answers that handlers of all three dialects have in common.

use poem_openapi::{
    ApiResponse,
    payload::Json,
    types::{ParseFromJSON, ToJSON},
};

use super::errors::Failure;

/// What a handler answers: JSON with 200, or the errors `P`.
pub(super) type Answer<T, P> = Result<Json<T>, Failure<P>>;

/// A resource that was made.
#[derive(ApiResponse)]
pub(super) enum Created<T: ParseFromJSON + ToJSON + Send + Sync> {
    /// It was made.
    #[oai(status = 201)]
    Created(Json<T>),
}

/// The end of something.
#[derive(ApiResponse)]
pub(super) enum Gone {
    /// Done; there is nothing to answer.
    #[oai(status = 204)]
    Gone,
}
