//! Mailboxes: what is answered, created and changed.

use poem_openapi::{
    Enum, Object,
    types::{Example, MaybeUndefined},
};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Time,
    check::{Faults, patch},
    example,
    member::Member,
    server::{MailServer, UpdateMailServer},
};
use crate::model::{
    self, Result,
    agent::AgentKind,
    mailbox::{BindingPatch, MAX_SIGNATURE_CHARS, MailboxPatch, NewMailbox},
    patch::Patch,
};

/// Whose mailbox it is: `imap` is any IMAP server. More values may be added to answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case", remote = "model::provider::Provider")]
pub enum Provider {
    /// Any IMAP server.
    Imap,
    /// Gmail and Google Workspace.
    Gmail,
    /// Outlook.com and Microsoft 365.
    Microsoft,
}

/// What the connection is doing. `init`: not tried yet. `connecting`: being made. `syncing`: first sync, or catching up.
/// `connected`: up to date. `authentication_error`: the server refused the credentials. `connect_error`: it could not be
/// reached, or broke off. `unset`: no usable credentials yet. `disconnected`: disabled or deleted. More values may be
/// added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "snake_case")]
#[oai(
    rename = "MailboxState",
    rename_all = "snake_case",
    remote = "model::state::State"
)]
pub enum State {
    /// Not tried yet.
    Init,
    /// First sync, or catching up.
    Syncing,
    /// Being made.
    Connecting,
    /// Up to date.
    Connected,
    /// The server refused the credentials.
    AuthenticationError,
    /// The server could not be reached, or broke off.
    ConnectError,
    /// No usable credentials yet.
    Unset,
    /// Disabled or deleted.
    Disconnected,
}

/// The coarse answer derived from the state. `pending`: not connected yet. `active`: connected. `paused`: disabled.
/// `error`: the server could not be reached. `needs_reauth`: the credentials were refused. `retired`: deleted. More
/// values may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "snake_case")]
#[oai(
    rename = "MailboxStatus",
    rename_all = "snake_case",
    remote = "model::state::Status"
)]
pub enum Status {
    /// Not connected yet.
    Pending,
    /// Connected.
    Active,
    /// Disabled.
    Paused,
    /// The server could not be reached.
    Error,
    /// The credentials were refused.
    NeedsReauth,
    /// Deleted.
    Retired,
}

/// Why the connection does not work.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct MailboxError {
    /// A stable word. More may be added.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// Since when.
    pub since: Time,
}

impl From<model::mailbox::ConnectionError> for MailboxError {
    fn from(error: model::mailbox::ConnectionError) -> Self {
        let model::mailbox::ConnectionError { code, message, since } = error;
        Self {
            code,
            message,
            since: since.into(),
        }
    }
}

/// How far the first sync has come.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct SyncProgress {
    /// The folder that is being read.
    pub folder: String,
    /// Messages handled, over all folders.
    pub done: i64,
    /// Messages to handle, over all folders.
    pub total: i64,
}

impl From<model::mailbox::SyncProgress> for SyncProgress {
    fn from(progress: model::mailbox::SyncProgress) -> Self {
        let model::mailbox::SyncProgress { folder, done, total } = progress;
        Self { folder, done, total }
    }
}

/// One connected address.
#[derive(Debug, Clone, PartialEq, Object, Serialize)]
#[oai(example)]
pub struct Mailbox {
    /// The mailbox's id.
    pub id: Uuid,
    /// The email address.
    pub address: String,
    /// A name for people.
    #[oai(nullable)]
    pub name: Option<String>,
    /// Whose mailbox it is.
    pub provider: Provider,
    /// What the connection is doing.
    pub state: State,
    /// The coarse answer derived from the state.
    pub status: Status,
    /// False closes the connection and stops webhooks for new messages.
    pub enabled: bool,
    /// How many messages it has; one that lies in several folders counts once.
    pub message_count: i64,
    /// The member who created it; null when it was the tenant itself.
    #[oai(nullable)]
    pub created_by: Option<Member>,
    /// The agent that it is bound to.
    #[oai(nullable)]
    pub agent_id: Option<Uuid>,
    /// The revision of the agent that it is pinned to.
    #[oai(nullable)]
    pub agent_revision_id: Option<Uuid>,
    /// The team that it is bound to.
    #[oai(nullable)]
    pub team_id: Option<Uuid>,
    /// The revision of the team that it is pinned to.
    #[oai(nullable)]
    pub team_revision_id: Option<Uuid>,
    /// HTML that follows what is sent, at most 20,000 characters.
    #[oai(nullable)]
    pub default_signature_html: Option<String>,
    /// What the mail server offers, as postroom uses it.
    pub capabilities: Vec<String>,
    /// The provider's own stable id for the account.
    #[oai(nullable)]
    pub external_account_id: Option<String>,
    /// Why the connection does not work; null while it does.
    #[oai(nullable)]
    pub error: Option<MailboxError>,
    /// When a pass over its folders last ended.
    #[oai(nullable)]
    pub last_synced_at: Option<Time>,
    /// How far the first sync has come; null when it is done.
    #[oai(nullable)]
    pub sync_progress: Option<SyncProgress>,
    /// When it was created.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

impl From<model::mailbox::Mailbox> for Mailbox {
    fn from(mailbox: model::mailbox::Mailbox) -> Self {
        let (state, status) = (mailbox.state(), mailbox.status());
        let model::mailbox::Mailbox {
            id,
            address,
            name,
            provider,
            facts,
            halted: _,
            message_count,
            created_by,
            binding,
            default_signature_html,
            capabilities,
            external_account_id,
            error,
            last_synced_at,
            sync_progress,
            backfilled_at: _,
            created_at,
            updated_at,
        } = mailbox;
        Self {
            id,
            address,
            name,
            provider: provider.into(),
            state: state.into(),
            status: status.into(),
            enabled: facts.enabled,
            message_count,
            created_by: created_by.map(Into::into),
            agent_id: binding.id(AgentKind::Agent),
            agent_revision_id: binding.revision_id(AgentKind::Agent),
            team_id: binding.id(AgentKind::Team),
            team_revision_id: binding.revision_id(AgentKind::Team),
            default_signature_html,
            capabilities,
            external_account_id,
            error: error.map(Into::into),
            last_synced_at: last_synced_at.map(Into::into),
            sync_progress: sync_progress.map(Into::into),
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}

impl Example for Mailbox {
    fn example() -> Self {
        Self {
            id: example::id(4),
            address: "desk@example.org".into(),
            name: Some("Front desk".into()),
            provider: Provider::Imap,
            state: State::Connected,
            status: Status::Active,
            enabled: true,
            message_count: 1_204,
            created_by: Some(Member::example()),
            agent_id: Some(example::id(5)),
            agent_revision_id: Some(example::id(6)),
            team_id: None,
            team_revision_id: None,
            default_signature_html: Some("<p>The front desk</p>".into()),
            capabilities: vec!["idle".into(), "condstore".into()],
            external_account_id: None,
            error: None,
            last_synced_at: Some(example::at().into()),
            sync_progress: None,
            created_at: example::at().into(),
            updated_at: example::at().into(),
        }
    }
}

/// A mailbox to connect. The answer does not wait for the connection: watch `state`, or try first with
/// `POST /v1/mailboxes/verify`.
#[derive(Clone, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
pub struct CreateMailbox {
    /// The email address, at most 320 characters.
    #[oai(validator(min_length = 3, max_length = 320))]
    pub address: String,
    /// A name for people, at most 200 characters.
    #[oai(nullable, validator(max_length = 200))]
    pub name: Option<String>,
    /// Whose mailbox it is; left out or null, it is recognised from the IMAP host.
    #[oai(nullable)]
    pub provider: Option<Provider>,
    /// Where mail is read.
    pub imap: MailServer,
    /// Where mail is sent.
    #[oai(nullable)]
    pub smtp: Option<MailServer>,
    /// The agent to bind it to, at its active revision; not together with `team_id`.
    #[oai(nullable)]
    pub agent_id: Option<Uuid>,
    /// The team to bind it to, at its active revision; not together with `agent_id`.
    #[oai(nullable)]
    pub team_id: Option<Uuid>,
    /// HTML that follows what is sent, at most 20,000 characters.
    #[oai(nullable, validator(max_length = 20000))]
    pub default_signature_html: Option<String>,
}

impl CreateMailbox {
    /// Checks the fields.
    pub fn into_model(self) -> Result<NewMailbox> {
        let Self {
            address,
            name,
            provider,
            imap,
            smtp,
            agent_id,
            team_id,
            default_signature_html,
        } = self;
        let mut faults = Faults::default();
        faults.address("address", &address);
        if let Some(name) = &name {
            faults.name("name", name);
        }
        let imap = imap.into_login("imap", &mut faults);
        let smtp = smtp.map(|smtp| smtp.into_login("smtp", &mut faults));
        if agent_id.is_some() && team_id.is_some() {
            faults.add("team_id", "Set agent_id or team_id, not both.");
        }
        if let Some(html) = &default_signature_html {
            faults.at_most("default_signature_html", html, MAX_SIGNATURE_CHARS);
        }
        let set = |id: Option<Uuid>| id.map_or(Patch::Absent, Patch::Value);
        let binding = BindingPatch {
            agent_id: set(agent_id),
            team_id: set(team_id),
            ..BindingPatch::default()
        };
        let provider = provider.map(Into::into);
        faults.or(NewMailbox {
            address,
            name,
            provider,
            imap,
            smtp,
            binding,
            default_signature_html,
        })
    }
}

impl Example for CreateMailbox {
    fn example() -> Self {
        Self {
            address: "desk@example.org".into(),
            name: Some("Front desk".into()),
            provider: None,
            imap: MailServer::example(),
            smtp: None,
            agent_id: None,
            team_id: None,
            default_signature_html: None,
        }
    }
}

/// What changes about a mailbox: left out is unchanged, null clears, a value sets.
#[derive(Clone, Default, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
pub struct UpdateMailbox {
    /// A name for people, at most 200 characters.
    #[oai(nullable, validator(max_length = 200))]
    pub name: MaybeUndefined<String>,
    /// False closes the connection and stops webhooks for new messages; true connects again and catches up.
    pub enabled: Option<bool>,
    /// The agent to bind it to; clears the team. Null unbinds the agent.
    #[oai(nullable)]
    pub agent_id: MaybeUndefined<Uuid>,
    /// The agent's revision to pin, only together with `agent_id`; left out, the active one.
    #[oai(nullable)]
    pub agent_revision_id: MaybeUndefined<Uuid>,
    /// The team to bind it to; clears the agent. Null unbinds the team.
    #[oai(nullable)]
    pub team_id: MaybeUndefined<Uuid>,
    /// The team's revision to pin, only together with `team_id`; left out, the active one.
    #[oai(nullable)]
    pub team_revision_id: MaybeUndefined<Uuid>,
    /// HTML that follows what is sent, at most 20,000 characters.
    #[oai(nullable, validator(max_length = 20000))]
    pub default_signature_html: MaybeUndefined<String>,
    /// Where mail is read; what is left out of it stays.
    pub imap: Option<UpdateMailServer>,
    /// Where mail is sent; what is left out of it stays. Null removes it.
    #[oai(nullable)]
    pub smtp: MaybeUndefined<UpdateMailServer>,
}

impl UpdateMailbox {
    /// Checks the fields. Whether the binding fields fit together is decided by [`BindingPatch::decide`].
    pub fn into_model(self) -> Result<MailboxPatch> {
        let Self {
            name,
            enabled,
            agent_id,
            agent_revision_id,
            team_id,
            team_revision_id,
            default_signature_html,
            imap,
            smtp,
        } = self;
        let mut faults = Faults::default();
        if let Some(name) = name.value() {
            faults.name("name", name);
        }
        if let Some(html) = default_signature_html.value() {
            faults.at_most("default_signature_html", html, MAX_SIGNATURE_CHARS);
        }
        let imap = imap.map(|imap| imap.into_patch("imap", &mut faults));
        let smtp = patch(smtp.map_value(|smtp| smtp.into_patch("smtp", &mut faults)));
        let binding = BindingPatch {
            agent_id: patch(agent_id),
            agent_revision_id: patch(agent_revision_id),
            team_id: patch(team_id),
            team_revision_id: patch(team_revision_id),
        };
        let (name, default_signature_html) = (patch(name), patch(default_signature_html));
        faults.or(MailboxPatch {
            name,
            enabled,
            binding,
            default_signature_html,
            imap,
            smtp,
        })
    }
}

impl Example for UpdateMailbox {
    fn example() -> Self {
        Self {
            enabled: Some(false),
            ..Self::default()
        }
    }
}
