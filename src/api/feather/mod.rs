//! Feather's dialect, served under `/v1/email`: one file a noun; nothing of another dialect may live here.

mod accounts;

use poem_openapi::{ExtraHeader, OpenApi, OpenApiService, Tags};

use super::{VERSION, answers, auth::Call, body::Body};
use crate::wire::feather::problem::ProblemResponse;

/// What a handler of this dialect answers.
type Answer<T> = answers::Answer<T, ProblemResponse>;
/// The errors of this dialect.
type Failure = super::errors::Failure<ProblemResponse>;

/// What the operations are about.
#[derive(Tags)]
enum Tag {
    /// The connected Gmail and Microsoft mailboxes.
    #[oai(rename = "email")]
    Email,
}

const DESCRIPTION: &str = "The Gmail and Microsoft mailboxes in Feather's shape: an integration written for that API works \
    here when its base URL is changed.\n\nSend an API key as `x-api-key: KEY` or `Authorization: Bearer KEY`.";

/// The service, as it is served and documented.
pub(super) fn service() -> OpenApiService<impl OpenApi + 'static, ()> {
    OpenApiService::new(accounts::Accounts, "postroom: Feather dialect", VERSION)
        .description(DESCRIPTION)
        .extra_response_header::<Option<String>, _>(
            ExtraHeader::new("X-Request-Id").description("The request's id."),
        )
        .extra_response_header::<Option<String>, _>(
            ExtraHeader::new("RateLimit-Policy")
                .description("How many requests (`q`) are answered in how many seconds (`w`)."),
        )
        .extra_response_header::<Option<String>, _>(
            ExtraHeader::new("RateLimit")
                .description("How many are left (`r`), and seconds until all are there again (`t`)."),
        )
}
