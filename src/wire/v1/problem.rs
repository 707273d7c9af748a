//! Errors as RFC 9457 writes them.

use poem_openapi::{ApiResponse, Object, payload::Json, types::Example};

use super::super::{CHALLENGE, RETRY_UNAVAILABLE};
use crate::model::{
    Error,
    error::{Conflict, FieldError, Forbidden, Place, Unauthenticated, Upstream},
};

/// What went wrong (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Problem {
    /// A URI that names the kind of problem: `urn:postroom:problem:` and the code. It is stable and leads nowhere.
    #[oai(rename = "type")]
    pub kind: String,
    /// The kind of problem in a few words; the same for every problem of one code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time.
    pub detail: String,
    /// The path that was asked for.
    #[oai(nullable)]
    pub instance: Option<String>,
    /// The kind of problem as one stable word, to match on. More may be added.
    pub code: String,
    /// What to do about it.
    pub fix: String,
    /// The request's id, which the operator finds in the log; also in the header `X-Request-Id`.
    pub request_id: String,
    /// The fields that break a rule; only with 422.
    #[oai(skip_serializing_if_is_none)]
    pub errors: Option<Vec<ProblemField>>,
}

/// A field of the request that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct ProblemField {
    /// Where the field is: a JSON pointer (RFC 6901) into the part of the request that `place` names.
    pub pointer: String,
    /// The part of the request: `body`, `query`, `path` or `header`.
    pub place: String,
    /// What is wrong and what would be right.
    pub detail: String,
}

impl From<&FieldError> for ProblemField {
    fn from(error: &FieldError) -> Self {
        let FieldError { path, place, detail } = error;
        Self {
            pointer: pointer(path),
            place: place.as_str().to_owned(),
            detail: detail.clone(),
        }
    }
}

/// A JSON pointer; `~` and `/` in a name are escaped (RFC 6901, section 3). An empty path is the whole part.
fn pointer(path: &[String]) -> String {
    let mut pointer = String::new();
    for name in path.iter().filter(|name| !name.is_empty()) {
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

/// The answers of a request that failed.
#[derive(Debug, Clone, ApiResponse)]
pub enum ProblemResponse {
    /// The request cannot be read.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Problem>),
    /// No credential, or one that is not valid.
    #[oai(status = 401, content_type = "application/problem+json")]
    Unauthorized(
        Json<Problem>,
        /// How to authenticate.
        #[oai(header = "WWW-Authenticate")]
        String,
    ),
    /// The credential does not allow this.
    #[oai(status = 403, content_type = "application/problem+json")]
    Forbidden(Json<Problem>),
    /// There is no such thing for this caller.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<Problem>),
    /// The path does not take this method.
    #[oai(status = 405, content_type = "application/problem+json")]
    MethodNotAllowed(
        Json<Problem>,
        /// The methods that the path takes.
        #[oai(header = "Allow")]
        String,
    ),
    /// It contradicts what is there.
    #[oai(status = 409, content_type = "application/problem+json")]
    Conflict(Json<Problem>),
    /// The resource is not in the state that `If-Match` names.
    #[oai(status = 412, content_type = "application/problem+json")]
    PreconditionFailed(Json<Problem>),
    /// The body is too large.
    #[oai(status = 413, content_type = "application/problem+json")]
    PayloadTooLarge(Json<Problem>),
    /// The body's media type is not one that the operation reads.
    #[oai(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(Json<Problem>),
    /// The range lies outside of the content.
    #[oai(status = 416, content_type = "application/problem+json")]
    RangeNotSatisfiable(
        Json<Problem>,
        /// The content's size: `bytes */SIZE`.
        #[oai(header = "Content-Range")]
        String,
    ),
    /// Fields of the request break a rule; `errors` names them.
    #[oai(status = 422, content_type = "application/problem+json")]
    Unprocessable(Json<Problem>),
    /// Too many requests.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooManyRequests(
        Json<Problem>,
        /// When to try again, in seconds.
        #[oai(header = "Retry-After")]
        u64,
    ),
    /// Something went wrong in postroom.
    #[oai(status = 500, content_type = "application/problem+json")]
    Internal(Json<Problem>),
    /// The mail server refused, cannot be reached, or broke off.
    #[oai(status = 502, content_type = "application/problem+json")]
    BadGateway(Json<Problem>),
    /// postroom cannot answer now.
    #[oai(status = 503, content_type = "application/problem+json")]
    Unavailable(
        Json<Problem>,
        /// When to try again, in seconds.
        #[oai(header = "Retry-After")]
        u64,
    ),
    /// The mail server did not answer in time; `detail` says whether the change may have been made.
    #[oai(status = 504, content_type = "application/problem+json")]
    GatewayTimeout(Json<Problem>),
}

/// The answer of an error; `instance` is the path that was asked for.
pub fn problem(error: &Error, instance: Option<&str>, request_id: &str) -> ProblemResponse {
    let body = |status: u16| {
        let errors = match error {
            Error::Invalid(errors) => Some(errors.iter().map(Into::into).collect()),
            Error::Unauthenticated(_)
            | Error::Forbidden(_)
            | Error::NotFound(_)
            | Error::Malformed(_)
            | Error::Conflict(_)
            | Error::RateLimited { .. }
            | Error::TooLarge { .. }
            | Error::UnsupportedMediaType
            | Error::MethodNotAllowed { .. }
            | Error::RangeNotSatisfiable { .. }
            | Error::Unavailable(_)
            | Error::Upstream(_)
            | Error::Internal(_) => None,
        };
        Json(Problem {
            kind: format!("urn:postroom:problem:{}", error.code()),
            title: title(error).to_owned(),
            status,
            detail: error.to_string(),
            instance: instance.map(str::to_owned),
            code: error.code().to_owned(),
            fix: error.fix(),
            request_id: request_id.to_owned(),
            errors,
        })
    };
    match error {
        Error::Unauthenticated(_) => ProblemResponse::Unauthorized(body(401), CHALLENGE.to_owned()),
        Error::Forbidden(_) => ProblemResponse::Forbidden(body(403)),
        Error::NotFound(_) => ProblemResponse::NotFound(body(404)),
        Error::Invalid(_) => ProblemResponse::Unprocessable(body(422)),
        Error::Malformed(_) => ProblemResponse::BadRequest(body(400)),
        Error::Conflict(_) => ProblemResponse::Conflict(body(409)),
        Error::RateLimited { retry_after } => ProblemResponse::TooManyRequests(body(429), *retry_after),
        Error::TooLarge { limit: _ } => ProblemResponse::PayloadTooLarge(body(413)),
        Error::UnsupportedMediaType => ProblemResponse::UnsupportedMediaType(body(415)),
        Error::MethodNotAllowed { allow } => ProblemResponse::MethodNotAllowed(body(405), allow.join(", ")),
        Error::RangeNotSatisfiable { size } => {
            ProblemResponse::RangeNotSatisfiable(body(416), format!("bytes */{size}"))
        }
        Error::Unavailable(_) => ProblemResponse::Unavailable(body(503), RETRY_UNAVAILABLE),
        Error::Upstream(Upstream::Timeout { .. }) => ProblemResponse::GatewayTimeout(body(504)),
        Error::Upstream(Upstream::Refused(_) | Upstream::Lost { .. }) => {
            ProblemResponse::BadGateway(body(502))
        }
        Error::Internal(_) => ProblemResponse::Internal(body(500)),
    }
}

/// The kind of problem in a few words.
const fn title(error: &Error) -> &'static str {
    match error {
        Error::Unauthenticated(Unauthenticated::Missing) => "No credential",
        Error::Unauthenticated(Unauthenticated::Unknown) => "Unknown credential",
        Error::Unauthenticated(Unauthenticated::Expired) => "Expired credential",
        Error::Unauthenticated(Unauthenticated::Link) => "Link not valid",
        Error::Forbidden(Forbidden::Scope(_)) => "Scope missing",
        Error::Forbidden(Forbidden::Role) => "Role too small",
        Error::Forbidden(Forbidden::ActAs) => "Acting as another not allowed",
        Error::Forbidden(Forbidden::Address) => "Address not allowed",
        Error::Forbidden(Forbidden::Platform) => "Platform admin key not allowed",
        Error::Forbidden(Forbidden::NotPlatform) => "Platform admin key required",
        Error::Forbidden(Forbidden::Broader) => "More than the credential may",
        Error::NotFound(_) => "Not found",
        Error::Invalid(_) => "Invalid request",
        Error::Malformed(_) => "Malformed request",
        Error::Conflict(Conflict::MailboxExists(_)) => "Mailbox exists",
        Error::Conflict(Conflict::MemberExists(_)) => "Member exists",
        Error::Conflict(Conflict::LastOwner) => "Last owner",
        Error::Conflict(Conflict::Bound(_)) => "Still bound",
        Error::Conflict(Conflict::MailboxDisabled(_)) => "Mailbox disabled",
        Error::Conflict(Conflict::CredentialsRefused(_)) => "Credentials refused by the mail server",
        Error::Conflict(Conflict::MessageElsewhere) => "Message elsewhere",
        Error::Conflict(Conflict::WebhookEndpointLimit { .. }) => "Too many webhook endpoints",
        Error::RateLimited { .. } => "Too many requests",
        Error::TooLarge { .. } => "Body too large",
        Error::UnsupportedMediaType => "Unsupported media type",
        Error::MethodNotAllowed { .. } => "Method not allowed",
        Error::RangeNotSatisfiable { .. } => "Range not satisfiable",
        Error::Unavailable(_) => "Unavailable",
        Error::Upstream(Upstream::Timeout { .. }) => "Mail server silent",
        Error::Upstream(Upstream::Refused(_)) => "Refused by the mail server",
        Error::Upstream(Upstream::Lost { .. }) => "Mail server unavailable",
        Error::Internal(_) => "Internal error",
    }
}

impl Example for Problem {
    fn example() -> Self {
        let error = FieldError {
            path: vec!["imap".into(), "host".into()],
            place: Place::Body,
            detail: "A host name such as imap.example.org, or an IP address.".into(),
        };
        Self {
            kind: "urn:postroom:problem:invalid".into(),
            title: "Invalid request".into(),
            status: 422,
            detail: "The request breaks 1 rule(s).".into(),
            instance: Some("/v1/mailboxes".into()),
            code: "invalid".into(),
            fix: "Change the fields named in `errors`.".into(),
            request_id: "0197a7b2-1c80-7000-8000-00000000000b".into(),
            errors: Some(vec![ProblemField::from(&error)]),
        }
    }
}
