//! Plannr's dialect, served under `/api`: one file a noun; nothing of another dialect may live here.

mod mailboxes;
mod messages;
mod webhooks;

use poem_openapi::{ExtraHeader, OpenApi, OpenApiService, Tags};

use super::{VERSION, answers, auth::Call, body::RawBody};
use crate::wire::plannr::problem::ProblemResponse;

/// What a handler of this dialect answers.
type Answer<T> = answers::Answer<T, ProblemResponse>;
/// The errors of a handler of this dialect.
type Failure = super::errors::Failure<ProblemResponse>;

/// What the operations are about.
#[derive(Tags)]
enum Tag {
    /// The connected mailboxes and their messages.
    Mailboxes,
    /// Where events are sent.
    Webhooks,
}

const DESCRIPTION: &str = "The mailboxes and webhook subscriptions in Plannr's shape: an integration written for that API works here when its base \
    URL is changed.\n\nSend an API key as `Authorization: Bearer KEY` or `x-api-key: KEY`. `X-PLANNR-ACCOUNT-UUID` names \
    the member to act as. Authenticated answers carry `X-RateLimit-Limit` and `X-RateLimit-Remaining`.";

/// The service, as it is served and documented.
pub(super) fn service() -> OpenApiService<impl OpenApi + 'static, ()> {
    OpenApiService::new(
        (mailboxes::Mailboxes, messages::Messages, webhooks::Webhooks),
        "postroom: Plannr dialect",
        VERSION,
    )
    .description(DESCRIPTION)
    .extra_response_header::<Option<String>, _>(
        ExtraHeader::new("X-Request-Id").description("The request's id."),
    )
    .extra_response_header::<Option<u32>, _>(
        ExtraHeader::new("X-RateLimit-Limit").description("How many requests are answered in a period."),
    )
    .extra_response_header::<Option<u32>, _>(
        ExtraHeader::new("X-RateLimit-Remaining").description("How many are left."),
    )
}
