//! Errors as Feather writes them, and 422 as FastAPI does.

use poem_openapi::{ApiResponse, Object, Union, payload::Json, types::Example};

use super::super::{CHALLENGE, RETRY_UNAVAILABLE};
use crate::model::{
    Error,
    error::{FieldError, Place},
};

/// Standard error response returned by all API error handlers.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct ErrorResponse {
    /// The kind of error as one stable word.
    pub error: String,
    /// A sentence that says what went wrong.
    pub message: String,
    /// True when the same request may succeed later.
    #[oai(nullable)]
    pub retryable: Option<bool>,
    /// When to try again, in seconds.
    #[oai(nullable)]
    pub retry_after: Option<u64>,
}

impl Example for ErrorResponse {
    fn example() -> Self {
        Self {
            error: "not_found".into(),
            message: "There is no such mailbox for this caller.".into(),
            retryable: Some(false),
            retry_after: None,
        }
    }
}

/// A step on the way to a field: a name, or an index of a list.
#[derive(Debug, Clone, PartialEq, Eq, Union)]
pub enum Location {
    /// A name.
    Name(String),
    /// An index.
    Index(u32),
}

/// One fault of the request.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct ValidationError {
    /// The part of the request, and the way to the field in it.
    pub loc: Vec<Location>,
    /// What is wrong.
    pub msg: String,
    /// The kind of fault.
    #[oai(rename = "type")]
    pub kind: String,
}

impl From<&FieldError> for ValidationError {
    fn from(fault: &FieldError) -> Self {
        let FieldError { path, place, detail } = fault;
        let steps = path.iter().filter(|step| !step.is_empty()).map(|step| {
            step.parse()
                .map_or_else(|_| Location::Name(step.clone()), Location::Index)
        });
        let loc = std::iter::once(Location::Name(place.as_str().to_owned()))
            .chain(steps)
            .collect();
        Self {
            loc,
            msg: detail.clone(),
            kind: "value_error".into(),
        }
    }
}

/// The faults of the request.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example, rename = "HTTPValidationError")]
pub struct HttpValidationError {
    /// Each fault.
    pub detail: Vec<ValidationError>,
}

impl Example for HttpValidationError {
    fn example() -> Self {
        let fault = FieldError::body("team_id", "Set agent_id or team_id, not both.");
        Self {
            detail: vec![ValidationError::from(&fault)],
        }
    }
}

/// The answers of a request that failed.
#[derive(Debug, Clone, ApiResponse)]
pub enum ProblemResponse {
    /// Bad request
    #[oai(status = 400)]
    BadRequest(Json<ErrorResponse>),
    /// Authentication required
    #[oai(status = 401)]
    Unauthorized(
        Json<ErrorResponse>,
        /// How to authenticate.
        #[oai(header = "WWW-Authenticate")]
        String,
    ),
    /// The credential does not allow this.
    #[oai(status = 403)]
    Forbidden(Json<ErrorResponse>),
    /// Resource not found
    #[oai(status = 404)]
    NotFound(Json<ErrorResponse>),
    /// The path does not take this method.
    #[oai(status = 405)]
    MethodNotAllowed(
        Json<ErrorResponse>,
        /// The methods that the path takes.
        #[oai(header = "Allow")]
        String,
    ),
    /// It contradicts what is there.
    #[oai(status = 409)]
    Conflict(Json<ErrorResponse>),
    /// The resource is not in the state that `If-Match` names.
    #[oai(status = 412)]
    PreconditionFailed(Json<ErrorResponse>),
    /// The body is too large.
    #[oai(status = 413)]
    PayloadTooLarge(Json<ErrorResponse>),
    /// The body's media type is not one that the operation reads.
    #[oai(status = 415)]
    UnsupportedMediaType(Json<ErrorResponse>),
    /// Validation Error
    #[oai(status = 422)]
    Unprocessable(Json<HttpValidationError>),
    /// Too many requests.
    #[oai(status = 429)]
    TooManyRequests(
        Json<ErrorResponse>,
        /// When to try again, in seconds.
        #[oai(header = "Retry-After")]
        u64,
    ),
    /// Something went wrong in the gateway.
    #[oai(status = 500)]
    Internal(Json<ErrorResponse>),
    /// The gateway cannot answer now.
    #[oai(status = 503)]
    Unavailable(
        Json<ErrorResponse>,
        /// When to try again, in seconds.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

/// The answer of an error.
pub fn problem(error: &Error) -> ProblemResponse {
    let body = |retryable: bool, retry_after: Option<u64>| {
        Json(ErrorResponse {
            error: error.code().to_owned(),
            message: error.to_string(),
            retryable: Some(retryable),
            retry_after,
        })
    };
    let stays = || body(false, None);
    let invalid = |faults: &[FieldError]| {
        let detail = faults.iter().map(Into::into).collect();
        ProblemResponse::Unprocessable(Json(HttpValidationError { detail }))
    };
    match error {
        Error::Unauthenticated(_) => ProblemResponse::Unauthorized(stays(), CHALLENGE.to_owned()),
        Error::Forbidden(_) => ProblemResponse::Forbidden(stays()),
        Error::NotFound(_) => ProblemResponse::NotFound(stays()),
        Error::Invalid(faults) => invalid(faults),
        // FastAPI answers 422 to a body that it cannot read, too.
        Error::Malformed(detail) => invalid(&[FieldError {
            path: Vec::new(),
            place: Place::Body,
            detail: detail.clone(),
        }]),
        // No operation of this dialect answers a part of something.
        Error::RangeNotSatisfiable { size: _ } => ProblemResponse::BadRequest(stays()),
        Error::Conflict(_) => ProblemResponse::Conflict(stays()),
        Error::RateLimited { retry_after } => {
            ProblemResponse::TooManyRequests(body(true, Some(*retry_after)), *retry_after)
        }
        Error::TooLarge { limit: _ } => ProblemResponse::PayloadTooLarge(stays()),
        Error::UnsupportedMediaType => ProblemResponse::UnsupportedMediaType(stays()),
        Error::MethodNotAllowed { allow } => ProblemResponse::MethodNotAllowed(stays(), allow.join(", ")),
        // No operation of this dialect writes to a mail server.
        Error::Unavailable(_) | Error::Upstream(_) => {
            ProblemResponse::Unavailable(body(true, Some(RETRY_UNAVAILABLE)), RETRY_UNAVAILABLE)
        }
        Error::Internal(_) => ProblemResponse::Internal(body(true, None)),
    }
}
