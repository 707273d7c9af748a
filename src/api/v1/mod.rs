//! The unified API, served under `/v1`: one file a noun; nothing of another dialect may live here.

mod agents;
mod api_keys;
mod attachments;
mod events;
mod identity;
mod mailboxes;
mod members;
mod messages;
mod own_tenant;
mod teams;
mod tenants;
mod threads;
mod webhooks;

use poem_openapi::{ExtraHeader, OpenApi, OpenApiService, Tags};
use tokio_util::sync::CancellationToken;

use super::{
    VERSION, answers,
    auth::Call,
    body::{Body, OptionalBody},
};
use crate::{
    model::{Result, page::PageRequest},
    wire::v1::problem::ProblemResponse,
};

/// What a handler of this dialect answers.
type Answer<T> = answers::Answer<T, ProblemResponse>;
/// The same, for what is large or asked for often.
type WrittenAnswer<T> = answers::WrittenAnswer<T, ProblemResponse>;
/// The errors of this dialect.
type Failure = super::errors::Failure<ProblemResponse>;

/// What the operations are about.
#[derive(Tags)]
enum Tag {
    /// The walls: each tenant has its own members, keys and mailboxes. For the platform admin key, but for the tenant's
    /// own profile.
    Tenants,
    /// The people of a tenant, and what they may see.
    Members,
    /// Credentials: long-lived API keys and the short-lived tokens that are made from them.
    #[oai(rename = "API keys")]
    ApiKeys,
    /// Agents and teams: whoever works a mailbox's inbound mail, each with numbered revisions.
    #[oai(rename = "Agents and teams")]
    Agents,
    /// The connected addresses and their folders.
    Mailboxes,
    /// What was synced: messages, and their raw bytes.
    Messages,
    /// The messages that answer one another.
    Threads,
    /// The files that messages carry.
    Attachments,
    /// What happened, in one log for each tenant: to be read in pages, or followed as it happens.
    Events,
    /// Where events are sent, and what became of each there.
    Webhooks,
}

const DESCRIPTION: &str = "Mailboxes of any provider, kept in sync, behind one tenant-scoped API.\n\n\
    Send an API key as `x-api-key: KEY` or `Authorization: Bearer KEY`, or a token of `POST /v1/tokens` as \
    `Authorization: Bearer TOKEN`. A key that acts as its tenant, or as an owner or a senior, can act as another \
    member of the tenant: `X-PLANNR-ACCOUNT-UUID: MEMBER_ID`; the call then has the lesser of both roles.\n\n\
    Lists are answered newest first, in pages: send `next_cursor` of one page as `cursor` for the next. Another tenant's \
    id is answered exactly as an unknown one, 404. Errors are `application/problem+json` (RFC 9457): match on `code`, \
    read `fix`. Times are RFC 3339 in UTC. Values may be added to enumerations of answers, and fields to answers.\n\n\
    Every answer carries `X-Request-Id`, taken from the request or made. Authenticated ones carry `RateLimit-Policy` and \
    `RateLimit` (draft-ietf-httpapi-ratelimit-headers) for the key and for the tenant.";

/// The service, as it is served and documented. From the moment that `stop` is cancelled, its streams end.
pub(super) fn service(stop: CancellationToken) -> OpenApiService<impl OpenApi + 'static, ()> {
    let apis = (
        identity::Identity,
        mailboxes::Mailboxes,
        messages::Messages,
        threads::Threads,
        attachments::Attachments,
        events::Events { stop },
        webhooks::Webhooks,
        agents::Agents,
        teams::Teams,
        members::Members,
        api_keys::ApiKeys,
        own_tenant::OwnTenant,
        tenants::Tenants,
    );
    OpenApiService::new(apis, "postroom", VERSION)
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

/// Which page was asked for.
fn page(limit: Option<u16>, cursor: Option<&str>) -> Result<PageRequest> {
    PageRequest::parse(limit, cursor)
}

/// Rows of a page when the caller does not say.
const fn default_limit() -> u16 {
    crate::model::page::DEFAULT_LIMIT
}
