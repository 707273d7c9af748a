//! API keys and what they may do.

use poem_openapi::{Enum, Object, types::Example};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{Time, check::Faults, example};
use crate::model::{self, Result, key::NewApiKey, scope::ScopeSet};

/// What a credential may do. `mailboxes:*` covers folders, agents and teams too, `messages:*` threads and attachments,
/// `webhooks:*` deliveries and events; `platform:admin` is the platform admin key's alone. More values may be added to
/// answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(remote = "model::scope::Scope")]
pub enum Scope {
    /// Read mailboxes, folders, agents and teams.
    #[oai(rename = "mailboxes:read")]
    MailboxesRead,
    /// Connect, change and delete mailboxes, agents and teams.
    #[oai(rename = "mailboxes:write")]
    MailboxesWrite,
    /// Read messages, threads and attachments.
    #[oai(rename = "messages:read")]
    MessagesRead,
    /// Change messages.
    #[oai(rename = "messages:write")]
    MessagesWrite,
    /// Send messages.
    #[oai(rename = "messages:send")]
    MessagesSend,
    /// Read webhook endpoints, deliveries and events.
    #[oai(rename = "webhooks:read")]
    WebhooksRead,
    /// Change webhook endpoints.
    #[oai(rename = "webhooks:write")]
    WebhooksWrite,
    /// Create, change and delete members.
    #[oai(rename = "members:write")]
    MembersWrite,
    /// Create, rotate and revoke API keys.
    #[oai(rename = "keys:write")]
    KeysWrite,
    /// Change the tenant's own profile and settings.
    #[oai(rename = "tenant:write")]
    TenantWrite,
    /// Read the audit log and usage.
    #[oai(rename = "audit:read")]
    AuditRead,
    /// Everything about tenants.
    #[oai(rename = "platform:admin")]
    PlatformAdmin,
}

/// The scopes of a set, in a fixed order.
pub fn scopes(set: ScopeSet) -> Vec<Scope> {
    set.iter().map(Into::into).collect()
}

/// The set of the scopes asked for: at least one, and none that a tenant's credential cannot have.
pub(super) fn scope_set(scopes: Vec<Scope>, faults: &mut Faults) -> ScopeSet {
    if scopes.is_empty() {
        faults.add("scopes", "At least one scope.");
    }
    for (index, scope) in scopes.iter().enumerate() {
        if *scope == Scope::PlatformAdmin {
            faults.add(
                &format!("scopes.{index}"),
                "A tenant's credential cannot have this scope.",
            );
        }
    }
    scopes.into_iter().map(Into::into).collect()
}

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct ApiKey {
    /// The key's id.
    pub id: Uuid,
    /// A name for people.
    pub name: String,
    /// The first characters of the key, to recognise it by.
    pub prefix: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The member that it acts as; null acts as the tenant itself.
    #[oai(nullable)]
    pub member_id: Option<Uuid>,
    /// When it stops working; null never does.
    #[oai(nullable)]
    pub expires_at: Option<Time>,
    /// When it was revoked.
    #[oai(nullable)]
    pub revoked_at: Option<Time>,
    /// When it was created.
    pub created_at: Time,
}

impl From<model::key::ApiKey> for ApiKey {
    fn from(key: model::key::ApiKey) -> Self {
        let model::key::ApiKey {
            id,
            name,
            prefix,
            scopes: set,
            member_id,
            expires_at,
            revoked_at,
            created_at,
        } = key;
        Self {
            id,
            name,
            prefix,
            scopes: scopes(set),
            member_id,
            expires_at: expires_at.map(Into::into),
            revoked_at: revoked_at.map(Into::into),
            created_at: created_at.into(),
        }
    }
}

impl Example for ApiKey {
    fn example() -> Self {
        Self {
            id: example::id(3),
            name: "CRM".into(),
            prefix: "pr_live_5fQ3kVx0Zt1B".into(),
            scopes: vec![Scope::MailboxesRead, Scope::MessagesRead],
            member_id: None,
            expires_at: None,
            revoked_at: None,
            created_at: example::at().into(),
        }
    }
}

/// An API key that was just made, with its secret, which is shown only here.
#[derive(Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct CreatedApiKey {
    /// The key's id.
    pub id: Uuid,
    /// The key itself. It is not stored and cannot be shown again.
    pub key: String,
    /// A name for people.
    pub name: String,
    /// The first characters of the key, to recognise it by.
    pub prefix: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The member that it acts as; null acts as the tenant itself.
    #[oai(nullable)]
    pub member_id: Option<Uuid>,
    /// When it stops working; null never does.
    #[oai(nullable)]
    pub expires_at: Option<Time>,
    /// When it was revoked.
    #[oai(nullable)]
    pub revoked_at: Option<Time>,
    /// When it was created.
    pub created_at: Time,
}

impl CreatedApiKey {
    /// The answer to a creation or a rotation: the one place that writes a key out.
    pub fn new(key: model::key::ApiKey, text: &SecretString) -> Self {
        let ApiKey {
            id,
            name,
            prefix,
            scopes,
            member_id,
            expires_at,
            revoked_at,
            created_at,
        } = key.into();
        let key = text.expose_secret().to_owned();
        Self {
            id,
            key,
            name,
            prefix,
            scopes,
            member_id,
            expires_at,
            revoked_at,
            created_at,
        }
    }
}

impl Example for CreatedApiKey {
    fn example() -> Self {
        let ApiKey {
            id,
            name,
            prefix,
            scopes,
            member_id,
            expires_at,
            revoked_at,
            created_at,
        } = ApiKey::example();
        let key = format!("{prefix}…");
        Self {
            id,
            key,
            name,
            prefix,
            scopes,
            member_id,
            expires_at,
            revoked_at,
            created_at,
        }
    }
}

/// An API key to create.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
pub struct CreateApiKey {
    /// A name for people, at most 200 characters.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: String,
    /// What it may do: nothing that the calling credential may not.
    #[oai(validator(min_items = 1, max_items = 32))]
    pub scopes: Vec<Scope>,
    /// The member that it acts as; left out or null, it acts as the tenant itself.
    #[oai(nullable)]
    pub member_id: Option<Uuid>,
    /// When it stops working; left out or null, it does not.
    #[oai(nullable)]
    pub expires_at: Option<Time>,
}

impl CreateApiKey {
    /// Checks the fields.
    pub fn into_model(self) -> Result<NewApiKey> {
        let Self {
            name,
            scopes,
            member_id,
            expires_at,
        } = self;
        let mut faults = Faults::default();
        faults.name("name", &name);
        let scopes = scope_set(scopes, &mut faults);
        faults.or(NewApiKey {
            name,
            scopes,
            member_id,
            expires_at: expires_at.map(|time| time.at),
        })
    }
}

impl Example for CreateApiKey {
    fn example() -> Self {
        let ApiKey {
            name,
            scopes,
            member_id,
            expires_at,
            ..
        } = ApiKey::example();
        Self {
            name,
            scopes,
            member_id,
            expires_at,
        }
    }
}
