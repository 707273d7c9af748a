//! Email accounts: the Gmail and Microsoft mailboxes in Feather's shape.

use poem_openapi::{
    Enum, Object,
    types::{Example, MaybeUndefined},
};
use uuid::Uuid;

use super::{
    Time,
    check::{Faults, patch},
    example,
};
use crate::model::{
    self, Result,
    agent::AgentKind,
    mailbox::{BindingPatch, MAX_SIGNATURE_CHARS, Mailbox, MailboxPatch},
    provider::Provider,
};

/// Mailbox-native providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum MailboxProvider {
    /// Gmail and Google Workspace.
    Gmail,
    /// Outlook.com and Microsoft 365.
    Microsoft,
}

/// How the account is doing. `pending`: not connected yet. `active`: connected. `paused`: disabled. `error`: the server
/// could not be reached. `needs_reauth`: the credentials were refused. `retired`: deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", remote = "model::state::Status")]
pub enum MailboxStatus {
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

/// One row in the org's connected-mailbox list.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct MailboxAccountResponse {
    /// The account's id.
    pub id: Uuid,
    /// The email address.
    pub address: String,
    /// Whose mailbox it is.
    pub provider: MailboxProvider,
    /// How the account is doing.
    pub status: MailboxStatus,
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
    /// The provider's own stable id for the account.
    #[oai(nullable)]
    pub external_account_id: Option<String>,
    /// What the mail server offers.
    pub capabilities: Vec<String>,
    /// HTML that follows what is sent, at most 20,000 characters.
    #[oai(nullable)]
    pub default_signature_html: Option<String>,
    /// When it was created.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// The account of a mailbox; an `imap` mailbox does not appear in this dialect.
pub fn account(mailbox: &Mailbox) -> Option<MailboxAccountResponse> {
    let Mailbox {
        id,
        address,
        name: _,
        provider,
        facts: _,
        halted: _,
        message_count: _,
        created_by: _,
        binding,
        default_signature_html,
        capabilities,
        external_account_id,
        error: _,
        last_synced_at: _,
        backfilled_at: _,
        sync_progress: _,
        created_at,
        updated_at,
    } = mailbox;
    let provider = match provider {
        Provider::Imap => return None,
        Provider::Gmail => MailboxProvider::Gmail,
        Provider::Microsoft => MailboxProvider::Microsoft,
    };
    Some(MailboxAccountResponse {
        id: *id,
        address: address.clone(),
        provider,
        status: mailbox.status().into(),
        agent_id: binding.id(AgentKind::Agent),
        agent_revision_id: binding.revision_id(AgentKind::Agent),
        team_id: binding.id(AgentKind::Team),
        team_revision_id: binding.revision_id(AgentKind::Team),
        external_account_id: external_account_id.clone(),
        capabilities: capabilities.clone(),
        default_signature_html: default_signature_html.clone(),
        created_at: (*created_at).into(),
        updated_at: (*updated_at).into(),
    })
}

impl Example for MailboxAccountResponse {
    fn example() -> Self {
        Self {
            id: example::id(4),
            address: "desk@example.org".into(),
            provider: MailboxProvider::Gmail,
            status: MailboxStatus::Active,
            agent_id: Some(example::id(5)),
            agent_revision_id: Some(example::id(6)),
            team_id: None,
            team_revision_id: None,
            external_account_id: None,
            capabilities: vec!["idle".into()],
            default_signature_html: Some("<p>The front desk</p>".into()),
            created_at: example::at().into(),
            updated_at: example::at().into(),
        }
    }
}

/// Wrapper for the list endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct ListMailboxAccountsResponse {
    /// The accounts, retired ones included.
    pub accounts: Vec<MailboxAccountResponse>,
}

/// The list of mailboxes, without the `imap` ones.
pub fn accounts(mailboxes: &[Mailbox]) -> ListMailboxAccountsResponse {
    ListMailboxAccountsResponse {
        accounts: mailboxes.iter().filter_map(account).collect(),
    }
}

impl Example for ListMailboxAccountsResponse {
    fn example() -> Self {
        Self {
            accounts: vec![MailboxAccountResponse::example()],
        }
    }
}

/// Partial update for a connected mailbox: a key left out is unchanged, null clears, a value sets.
///
/// The binding is updated only when `agent_id` or `team_id` is present. At most one may be set per request: a mailbox
/// binds to either a single agent or a team. Null on a present key clears that side of the binding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
pub struct UpdateMailboxAccountRequest {
    /// HTML that follows what is sent, at most 20,000 characters.
    #[oai(nullable, validator(max_length = 20000))]
    pub default_signature_html: MaybeUndefined<String>,
    /// The agent to bind the mailbox to; clears the team.
    #[oai(nullable)]
    pub agent_id: MaybeUndefined<Uuid>,
    /// The agent's revision to pin, only together with `agent_id`; left out, the active one.
    #[oai(nullable)]
    pub agent_revision_id: MaybeUndefined<Uuid>,
    /// The team to bind the mailbox to; clears the agent.
    #[oai(nullable)]
    pub team_id: MaybeUndefined<Uuid>,
    /// The team's revision to pin, only together with `team_id`; left out, the active one.
    #[oai(nullable)]
    pub team_revision_id: MaybeUndefined<Uuid>,
}

impl UpdateMailboxAccountRequest {
    /// Checks the fields. Whether the binding fields fit together is decided by [`BindingPatch::decide`].
    pub fn into_model(self) -> Result<MailboxPatch> {
        let Self {
            default_signature_html,
            agent_id,
            agent_revision_id,
            team_id,
            team_revision_id,
        } = self;
        let mut faults = Faults::default();
        if let Some(html) = default_signature_html.value() {
            faults.at_most("default_signature_html", html, MAX_SIGNATURE_CHARS);
        }
        let binding = BindingPatch {
            agent_id: patch(agent_id),
            agent_revision_id: patch(agent_revision_id),
            team_id: patch(team_id),
            team_revision_id: patch(team_revision_id),
        };
        let default_signature_html = patch(default_signature_html);
        faults.or(MailboxPatch {
            binding,
            default_signature_html,
            ..MailboxPatch::default()
        })
    }
}

impl Example for UpdateMailboxAccountRequest {
    fn example() -> Self {
        Self {
            agent_id: MaybeUndefined::Value(example::id(5)),
            ..Self::default()
        }
    }
}
