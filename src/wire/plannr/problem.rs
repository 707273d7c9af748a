//! Errors as Laravel writes them.

use std::collections::BTreeMap;

use poem_openapi::{ApiResponse, Object, payload::Json, types::Example};

use super::super::{CHALLENGE, RETRY_UNAVAILABLE};
use crate::model::{
    Error,
    error::{FieldError, Place},
};

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct ErrorMessage {
    /// A sentence that says what went wrong.
    pub message: String,
}

impl Example for ErrorMessage {
    fn example() -> Self {
        Self {
            message: "Unauthenticated.".into(),
        }
    }
}

/// What is wrong with the fields of the request.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct ValidationErrors {
    /// The first fault, and how many more there are.
    pub message: String,
    /// The faults of each field, by the field's dotted path.
    pub errors: BTreeMap<String, Vec<String>>,
}

impl From<&[FieldError]> for ValidationErrors {
    fn from(faults: &[FieldError]) -> Self {
        let mut errors = BTreeMap::<String, Vec<String>>::new();
        for FieldError {
            path,
            place: _,
            detail,
        } in faults
        {
            errors.entry(path.join(".")).or_default().push(detail.clone());
        }
        let first = faults
            .first()
            .map_or("The given data was invalid.", |fault| fault.detail.as_str());
        let message = match faults.len().saturating_sub(1) {
            0 => first.to_owned(),
            1 => format!("{first} (and 1 more error)"),
            more => format!("{first} (and {more} more errors)"),
        };
        Self { message, errors }
    }
}

impl Example for ValidationErrors {
    fn example() -> Self {
        let fault = FieldError {
            path: vec!["enabled".into()],
            place: Place::Body,
            detail: "The enabled field must be true or false.".into(),
        };
        Self::from([fault].as_slice())
    }
}

/// The answers of a request that failed.
#[derive(Debug, Clone, ApiResponse)]
pub enum ProblemResponse {
    /// The request cannot be read.
    #[oai(status = 400)]
    BadRequest(Json<ErrorMessage>),
    /// No token, or one that is not valid.
    #[oai(status = 401)]
    Unauthorized(
        Json<ErrorMessage>,
        /// How to authenticate.
        #[oai(header = "WWW-Authenticate")]
        String,
    ),
    /// The token does not allow this.
    #[oai(status = 403)]
    Forbidden(Json<ErrorMessage>),
    /// There is no such thing for this account.
    #[oai(status = 404)]
    NotFound(Json<ErrorMessage>),
    /// The path does not take this method.
    #[oai(status = 405)]
    MethodNotAllowed(
        Json<ErrorMessage>,
        /// The methods that the path takes.
        #[oai(header = "Allow")]
        String,
    ),
    /// It contradicts what is there.
    #[oai(status = 409)]
    Conflict(Json<ErrorMessage>),
    /// The resource is not in the state that `If-Match` names.
    #[oai(status = 412)]
    PreconditionFailed(Json<ErrorMessage>),
    /// The body is too large.
    #[oai(status = 413)]
    PayloadTooLarge(Json<ErrorMessage>),
    /// The body's media type is not one that the operation reads.
    #[oai(status = 415)]
    UnsupportedMediaType(Json<ErrorMessage>),
    /// Fields of the request break a rule.
    #[oai(status = 422)]
    Unprocessable(Json<ValidationErrors>),
    /// Too many requests.
    #[oai(status = 429)]
    TooManyRequests(
        Json<ErrorMessage>,
        /// When to try again, in seconds.
        #[oai(header = "Retry-After")]
        u64,
    ),
    /// Something went wrong in the gateway.
    #[oai(status = 500)]
    Internal(Json<ErrorMessage>),
    /// The gateway cannot answer now.
    #[oai(status = 503)]
    Unavailable(
        Json<ErrorMessage>,
        /// When to try again, in seconds.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

/// The answer of an error.
pub fn problem(error: &Error) -> ProblemResponse {
    let message = |message: &str| {
        Json(ErrorMessage {
            message: message.to_owned(),
        })
    };
    let detail = || {
        Json(ErrorMessage {
            message: error.to_string(),
        })
    };
    match error {
        Error::Unauthenticated(_) => {
            ProblemResponse::Unauthorized(message("Unauthenticated."), CHALLENGE.to_owned())
        }
        Error::Forbidden(_) => ProblemResponse::Forbidden(detail()),
        Error::NotFound(_) => ProblemResponse::NotFound(detail()),
        Error::Invalid(faults) => ProblemResponse::Unprocessable(Json(faults.as_slice().into())),
        // No operation of this dialect answers a part of something.
        Error::Malformed(_) | Error::RangeNotSatisfiable { size: _ } => ProblemResponse::BadRequest(detail()),
        Error::Conflict(_) => ProblemResponse::Conflict(detail()),
        Error::RateLimited { retry_after } => {
            ProblemResponse::TooManyRequests(message("Too Many Attempts."), *retry_after)
        }
        Error::TooLarge { limit: _ } => ProblemResponse::PayloadTooLarge(detail()),
        Error::UnsupportedMediaType => ProblemResponse::UnsupportedMediaType(detail()),
        Error::MethodNotAllowed { allow } => ProblemResponse::MethodNotAllowed(detail(), allow.join(", ")),
        // No operation of this dialect writes to a mail server.
        Error::Unavailable(_) | Error::Upstream(_) => {
            ProblemResponse::Unavailable(detail(), RETRY_UNAVAILABLE)
        }
        Error::Internal(_) => ProblemResponse::Internal(message("Server Error")),
    }
}
