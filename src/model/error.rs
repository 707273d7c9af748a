//! The closed list of what can go wrong. Every dialect turns it into its own form; none adds to it.

use std::time::Duration;

use uuid::Uuid;

use super::scope::Scope;

/// The result of every use case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, without a word of HTTP.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody, or nobody we know, is asking.
    #[error("{}", .0.detail())]
    Unauthenticated(Unauthenticated),
    /// We know who is asking, and they may not.
    #[error("{}", .0.detail())]
    Forbidden(Forbidden),
    /// There is no such thing for this caller: unknown, another tenant's, or not visible.
    #[error("There is no such {0} for this caller.")]
    NotFound(&'static str),
    /// The request can be read but breaks a rule.
    #[error("The request breaks {} rule(s).", .0.len())]
    Invalid(Vec<FieldError>),
    /// The request cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// It contradicts what is there.
    #[error("{}", .0.detail())]
    Conflict(Conflict),
    /// Too many requests.
    #[error("Too many requests. The next one is answered in {retry_after} s.")]
    RateLimited {
        /// Seconds until the next request is answered.
        retry_after: u64,
    },
    /// The body is larger than the operation takes.
    #[error("The body is larger than {limit} bytes.")]
    TooLarge {
        /// The largest body taken, in bytes.
        limit: u64,
    },
    /// The body's media type is not one that the operation reads.
    #[error("The body's media type is not one that this operation reads.")]
    UnsupportedMediaType,
    /// The path exists, but not with this method.
    #[error("This path does not take this method.")]
    MethodNotAllowed {
        /// The methods that the path takes.
        allow: Vec<String>,
    },
    /// The range asked for lies outside of the content.
    #[error("The range lies outside of the content, which has {size} bytes.")]
    RangeNotSatisfiable {
        /// The content's size, in bytes.
        size: u64,
    },
    /// The gateway cannot answer now.
    #[error("{0}")]
    Unavailable(&'static str),
    /// A mail server did not do what it was asked for.
    #[error("{}", .0.detail())]
    Upstream(Upstream),
    /// A fault of ours. Logged once at the boundary, never shown.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a caller is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthenticated {
    /// No credential was sent.
    Missing,
    /// The credential is not a key or token of this gateway, or was revoked.
    Unknown,
    /// The key or token is past its expiry.
    Expired,
    /// The signed link is wrong or past its time.
    Link,
}

impl Unauthenticated {
    /// A sentence for the caller.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Missing => "The request carries no credential.",
            Self::Unknown => "The credential is not known here, or was revoked.",
            Self::Expired => "The credential has expired.",
            Self::Link => "The link is not valid, or its time has run out.",
        }
    }
}

/// Why a known caller may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbidden {
    /// The key or token lacks this scope.
    Scope(Scope),
    /// The member's role is too small.
    Role,
    /// The member may not act as another.
    ActAs,
    /// The caller's address is not on the tenant's list.
    Address,
    /// The platform admin key works on tenants only.
    Platform,
    /// The operation is for the platform admin key.
    NotPlatform,
    /// A key cannot make one that may do more than itself.
    Broader,
}

impl Forbidden {
    /// A sentence for the caller.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Scope(_) => "The credential lacks the scope that this operation needs.",
            Self::Role => "The acting member's role does not allow this.",
            Self::ActAs => "Only an owner or a senior can act as another member.",
            Self::Address => "The tenant's ip_whitelist does not contain this address.",
            Self::Platform => "The platform admin key works on /v1/tenants only.",
            Self::NotPlatform => "This operation takes the platform admin key only.",
            Self::Broader => "A credential cannot make one that may do more than itself.",
        }
    }
}

/// What a request contradicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// The address is connected already, as this mailbox.
    MailboxExists(Uuid),
    /// A member of the tenant has this email address already.
    MemberExists(Uuid),
    /// The tenant's last owner cannot go.
    LastOwner,
    /// The agent or team still has mailboxes.
    Bound(Uuid),
    /// The mailbox is disabled, so that nothing of it is changed.
    MailboxDisabled(Uuid),
    /// The mail server refuses the mailbox's credentials, or it has none.
    CredentialsRefused(Uuid),
    /// The message does not lie where it was last seen: the sync is about to follow it.
    MessageElsewhere,
    /// The tenant has as many webhook endpoints as it may have.
    WebhookEndpointLimit {
        /// So many.
        limit: i64,
    },
}

/// What a mail server did not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// It did not answer in time.
    Timeout {
        /// How long was waited.
        after: Duration,
        /// True when the change was sent, so that it may have been made.
        sent: bool,
    },
    /// It refused, for this reason of its own.
    Refused(String),
    /// It cannot be reached, or broke off.
    Lost {
        /// Why.
        reason: String,
        /// True when the change was sent, so that it may have been made.
        sent: bool,
    },
}

impl Upstream {
    /// What the caller can do about it.
    const fn fix(&self) -> &'static str {
        match self {
            Self::Refused(_) => "Do what the reason asks for; the same change will be refused again.",
            Self::Timeout { sent: true, .. } | Self::Lost { sent: true, .. } => {
                "GET the message in a minute: it shows what is true. Then send the change again if it is needed."
            }
            Self::Timeout { sent: false, .. } | Self::Lost { sent: false, .. } => {
                "Try again later; the mailbox's `state` and `error` tell how its connection fares."
            }
        }
    }

    /// A sentence or two for the caller.
    pub fn detail(&self) -> String {
        let made = |sent: &bool| {
            if *sent {
                "The change may or may not have been made."
            } else {
                "Nothing was changed."
            }
        };
        match self {
            Self::Timeout { after, sent } => {
                let seconds = after.as_secs();
                format!(
                    "The mail server did not answer within {seconds} s. {}",
                    made(sent)
                )
            }
            Self::Refused(reason) => format!("The mail server refused the change: {reason}"),
            Self::Lost { reason, sent } => {
                format!(
                    "The mail server cannot be reached, or broke off: {reason} {}",
                    made(sent)
                )
            }
        }
    }
}

impl Conflict {
    /// What the caller can do about it.
    fn fix(self) -> String {
        match self {
            Self::MailboxExists(id) => {
                format!("PATCH /v1/mailboxes/{id} to change it, or delete it first.")
            }
            Self::MemberExists(id) => format!("PATCH /v1/members/{id} to change it."),
            Self::LastOwner => "Make another member an owner first.".into(),
            Self::Bound(id) => {
                format!("Bind mailbox {id} to another agent or team first.")
            }
            Self::MailboxDisabled(id) => {
                format!("PATCH /v1/mailboxes/{id} with `enabled: true` first.")
            }
            Self::CredentialsRefused(id) => {
                format!("PATCH /v1/mailboxes/{id} with credentials that the mail server accepts.")
            }
            Self::MessageElsewhere => "GET the message and try again in a few seconds.".into(),
            Self::WebhookEndpointLimit { .. } => "Delete an endpoint, or widen the filter of one.".to_owned(),
        }
    }

    /// A sentence for the caller.
    pub fn detail(self) -> String {
        match self {
            Self::MailboxExists(id) => format!("This address is connected already, as mailbox {id}."),
            Self::MemberExists(id) => format!("This email address belongs to member {id} already."),
            Self::LastOwner => "A tenant keeps at least one owner.".to_owned(),
            Self::Bound(id) => format!("Mailbox {id} is bound to it."),
            Self::MailboxDisabled(id) => format!("Mailbox {id} is disabled."),
            Self::CredentialsRefused(id) => {
                format!("The mail server does not accept the credentials of mailbox {id}.")
            }
            Self::MessageElsewhere => {
                "The message does not lie where it was last seen; it is being synced anew.".to_owned()
            }
            Self::WebhookEndpointLimit { limit } => {
                format!("The tenant has {limit} webhook endpoints, which is as many as it may have.")
            }
        }
    }
}

/// A field of the request that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where in the request: the names and indexes on the way to the field.
    pub path: Vec<String>,
    /// Which part of the request the path starts in.
    pub place: Place,
    /// What is wrong and what would be right.
    pub detail: String,
}

/// A part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The JSON body.
    Body,
    /// The query string.
    Query,
    /// The path.
    Path,
    /// The header.
    Header,
}

impl Place {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Query => "query",
            Self::Path => "path",
            Self::Header => "header",
        }
    }
}

impl FieldError {
    /// A field of the body, given by its dotted path.
    pub fn body(path: &str, detail: impl Into<String>) -> Self {
        Self {
            path: path.split('.').map(str::to_owned).collect(),
            place: Place::Body,
            detail: detail.into(),
        }
    }

    /// A parameter of the query.
    pub fn query(name: &str, detail: impl Into<String>) -> Self {
        Self {
            path: vec![name.to_owned()],
            place: Place::Query,
            detail: detail.into(),
        }
    }
}

impl Error {
    /// The stable word for it, which a client may match on.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated(Unauthenticated::Missing) => "credential_missing",
            Self::Unauthenticated(Unauthenticated::Unknown) => "credential_unknown",
            Self::Unauthenticated(Unauthenticated::Expired) => "credential_expired",
            Self::Unauthenticated(Unauthenticated::Link) => "link_invalid",
            Self::Forbidden(Forbidden::Scope(_)) => "scope_missing",
            Self::Forbidden(Forbidden::Role) => "role_too_small",
            Self::Forbidden(Forbidden::ActAs) => "act_as_forbidden",
            Self::Forbidden(Forbidden::Address) => "address_not_allowed",
            Self::Forbidden(Forbidden::Platform) => "platform_key_not_allowed",
            Self::Forbidden(Forbidden::NotPlatform) => "platform_key_required",
            Self::Forbidden(Forbidden::Broader) => "scope_too_broad",
            Self::NotFound(_) => "not_found",
            Self::Invalid(_) => "invalid",
            Self::Malformed(_) => "malformed",
            Self::Conflict(Conflict::MailboxExists(_)) => "mailbox_exists",
            Self::Conflict(Conflict::MemberExists(_)) => "member_exists",
            Self::Conflict(Conflict::LastOwner) => "last_owner",
            Self::Conflict(Conflict::Bound(_)) => "bound",
            Self::Conflict(Conflict::MailboxDisabled(_)) => "mailbox_disabled",
            Self::Conflict(Conflict::CredentialsRefused(_)) => "credentials_refused",
            Self::Conflict(Conflict::MessageElsewhere) => "message_elsewhere",
            Self::Conflict(Conflict::WebhookEndpointLimit { .. }) => "webhook_endpoint_limit",
            Self::RateLimited { .. } => "rate_limited",
            Self::TooLarge { .. } => "body_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::RangeNotSatisfiable { .. } => "range_not_satisfiable",
            Self::Unavailable(_) => "unavailable",
            Self::Upstream(Upstream::Timeout { .. }) => "upstream_timeout",
            Self::Upstream(Upstream::Refused(_)) => "upstream_refused",
            Self::Upstream(Upstream::Lost { .. }) => "upstream_unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// What the caller can do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::Unauthenticated(Unauthenticated::Link) => {
                "Ask for the resource again: each answer carries a fresh link.".into()
            }
            Self::Unauthenticated(Unauthenticated::Expired) => {
                "Send a key or token that is still valid; POST /v1/tokens makes a new token.".into()
            }
            Self::Unauthenticated(_) => {
                "Send a valid API key as `x-api-key: KEY` or `Authorization: Bearer KEY`.".into()
            }
            Self::Forbidden(Forbidden::Scope(scope)) => {
                format!("Use a credential that has the scope `{}`.", scope.as_str())
            }
            Self::Forbidden(Forbidden::Role) => {
                "Let an owner of the tenant do it, or use a key that acts as the tenant.".into()
            }
            Self::Forbidden(Forbidden::ActAs) => {
                "Leave X-PLANNR-ACCOUNT-UUID out, or name the key's own member.".into()
            }
            Self::Forbidden(Forbidden::Address) => {
                "Call from an address on the list, or let the tenant's owner add this one.".into()
            }
            Self::Forbidden(Forbidden::Platform) => "Use an API key of the tenant.".into(),
            Self::Forbidden(Forbidden::NotPlatform) => {
                "Use the platform admin key (POSTROOM_ADMIN_KEY).".into()
            }
            Self::Forbidden(Forbidden::Broader) => {
                "Ask only for scopes, a member and an expiry that the calling credential has itself.".into()
            }
            Self::NotFound(_) => {
                "Check the id and the path, and that the credential belongs to the right tenant.".into()
            }
            Self::Invalid(_) => "Change the fields named in `errors`.".into(),
            Self::Malformed(_) => "Send the request as the API document describes it.".into(),
            Self::Conflict(conflict) => conflict.fix(),
            Self::RateLimited { retry_after } => format!("Wait {retry_after} s before the next request."),
            Self::TooLarge { limit } => format!("Send at most {limit} bytes."),
            Self::UnsupportedMediaType => "Send `Content-Type: application/json`.".into(),
            Self::MethodNotAllowed { allow } => format!("Use one of: {}.", allow.join(", ")),
            Self::RangeNotSatisfiable { size } => format!("Ask for a range within 0 to {size}."),
            Self::Unavailable(_) => "Try again in a few seconds.".into(),
            Self::Upstream(upstream) => upstream.fix().into(),
            Self::Internal(_) => "Try again; if it stays, tell the operator the request_id.".into(),
        }
    }

    /// A fault of ours.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }

    /// One field of the body that breaks a rule.
    pub fn field(path: &str, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::body(path, detail)])
    }
}
