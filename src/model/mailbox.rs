//! A mailbox: one connected address, whom it is bound to, and how it is doing.

use std::fmt;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    agent::AgentKind,
    credentials::Secret,
    error::FieldError,
    member::Member,
    patch::Patch,
    provider::Provider,
    state::{self, Facts, Phase, State, Status},
};

/// The longest signature, in characters.
pub const MAX_SIGNATURE_CHARS: usize = 20_000;

/// How a connection to a mail server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Security {
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// Plain first, then STARTTLS; refused when the server does not offer it.
    Starttls,
    /// No TLS at all.
    None,
}

impl Security {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Tls, Self::Starttls, Self::None];

    /// The word on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Starttls => "starttls",
            Self::None => "none",
        }
    }

    /// Reads the word that [`Self::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|security| security.as_str() == word)
    }
}

/// Where a mail server is and whom to log in as; the secret is kept apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is secured.
    pub security: Security,
    /// The user to log in as.
    pub username: String,
}

/// Server settings with what proves who logs in.
#[derive(Clone)]
pub struct ServerLogin {
    /// Where and who.
    pub settings: ServerSettings,
    /// The password or the tokens.
    pub secret: Secret,
}

impl fmt::Debug for ServerLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

/// Which of a mailbox's two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Where mail is read.
    Imap,
    /// Where mail is sent.
    Smtp,
}

impl Service {
    /// The word in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Smtp => "smtp",
        }
    }
}

/// Whom a mailbox is bound to: one agent or one team, pinned to a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Binding {
    /// Nobody.
    #[default]
    None,
    /// An agent or a team.
    To {
        /// Which of the two.
        kind: AgentKind,
        /// The agent's or team's id.
        id: Uuid,
        /// The pinned revision.
        revision_id: Uuid,
    },
}

impl Binding {
    /// The id of this side, when it is bound.
    pub fn id(self, side: AgentKind) -> Option<Uuid> {
        match self {
            Self::To { kind, id, .. } if kind == side => Some(id),
            Self::To { .. } | Self::None => None,
        }
    }

    /// The pinned revision of this side, when it is bound.
    pub fn revision_id(self, side: AgentKind) -> Option<Uuid> {
        match self {
            Self::To {
                kind, revision_id, ..
            } if kind == side => Some(revision_id),
            Self::To { .. } | Self::None => None,
        }
    }
}

/// The four binding fields of a request, each three-valued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BindingPatch {
    /// `agent_id`
    pub agent_id: Patch<Uuid>,
    /// `agent_revision_id`
    pub agent_revision_id: Patch<Uuid>,
    /// `team_id`
    pub team_id: Patch<Uuid>,
    /// `team_revision_id`
    pub team_revision_id: Patch<Uuid>,
}

/// What a binding patch asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebind {
    /// Nothing changes.
    Keep,
    /// The mailbox is bound to nobody.
    Clear,
    /// The mailbox is bound to this agent or team, at this revision, or at the active one.
    To {
        /// Which of the two.
        kind: AgentKind,
        /// Its id.
        id: Uuid,
        /// The revision asked for; `None` pins the active one.
        revision_id: Option<Uuid>,
    },
}

impl BindingPatch {
    /// Decides what the patch asks for, seen from the current binding.
    ///
    /// At most one side may be set; setting one clears the other; null on a present key clears that side; a revision
    /// goes only with its own side, and a null revision alone changes nothing.
    pub fn decide(self, current: Binding) -> Result<Rebind, Vec<FieldError>> {
        let mut errors = Vec::new();
        if let (Patch::Value(_), Patch::Value(_)) = (self.agent_id, self.team_id) {
            errors.push(FieldError::body("team_id", "Set agent_id or team_id, not both."));
        }
        for (side, revision, side_name, revision_name) in [
            (
                self.agent_id,
                self.agent_revision_id,
                "agent_id",
                "agent_revision_id",
            ),
            (self.team_id, self.team_revision_id, "team_id", "team_revision_id"),
        ] {
            if revision.value().is_some() && side.value().is_none() {
                let detail = format!("A revision goes with its own {side_name} in the same request.");
                errors.push(FieldError::body(revision_name, detail));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(match (self.agent_id, self.team_id) {
            (Patch::Value(id), _) => Rebind::To {
                kind: AgentKind::Agent,
                id,
                revision_id: self.agent_revision_id.value().copied(),
            },
            (_, Patch::Value(id)) => Rebind::To {
                kind: AgentKind::Team,
                id,
                revision_id: self.team_revision_id.value().copied(),
            },
            (Patch::Null, _) if current.id(AgentKind::Agent).is_some() => Rebind::Clear,
            (_, Patch::Null) if current.id(AgentKind::Team).is_some() => Rebind::Clear,
            (Patch::Absent | Patch::Null, Patch::Absent | Patch::Null) => Rebind::Keep,
        })
    }
}

/// Why the connection does not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionError {
    /// A stable word.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// How far a first sync has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncProgress {
    /// The folder that is being read.
    pub folder: String,
    /// Messages handled, over all folders.
    pub done: i64,
    /// Messages to handle, over all folders.
    pub total: i64,
}

/// One connected address.
#[derive(Debug, Clone, PartialEq)]
pub struct Mailbox {
    /// The mailbox's id.
    pub id: Uuid,
    /// The email address.
    pub address: String,
    /// A name for people.
    pub name: Option<String>,
    /// Whose mailbox it is.
    pub provider: Provider,
    /// What the projections look at.
    pub facts: Facts,
    /// True when dialling has stopped until the credentials change or the mailbox is reconnected.
    pub halted: bool,
    /// Distinct live messages.
    pub message_count: i64,
    /// The member who created it.
    pub created_by: Option<Member>,
    /// Whom it is bound to.
    pub binding: Binding,
    /// HTML that follows what is sent.
    pub default_signature_html: Option<String>,
    /// What the mail server offers, as postroom uses it.
    pub capabilities: Vec<String>,
    /// The provider's own stable id for the account.
    pub external_account_id: Option<String>,
    /// Why the connection does not work.
    pub error: Option<ConnectionError>,
    /// When a pass over its folders last ended.
    pub last_synced_at: Option<DateTime<Utc>>,
    /// How far the first sync has come.
    pub sync_progress: Option<SyncProgress>,
    /// When everything that it had when it was connected was synced: messages that are found later are announced.
    pub backfilled_at: Option<DateTime<Utc>>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Mailbox {
    /// What the connection is doing.
    pub const fn state(&self) -> State {
        state::project(self.facts).0
    }

    /// The coarse answer derived from the state.
    pub const fn status(&self) -> Status {
        state::project(self.facts).1
    }

    /// The phase of its connection.
    pub const fn phase(&self) -> Phase {
        self.facts.phase
    }
}

/// What a mailbox is created with.
#[derive(Debug)]
pub struct NewMailbox {
    /// The email address.
    pub address: String,
    /// A name for people.
    pub name: Option<String>,
    /// Whose mailbox it is; recognised from the host when left out.
    pub provider: Option<Provider>,
    /// Where mail is read.
    pub imap: ServerLogin,
    /// Where mail is sent.
    pub smtp: Option<ServerLogin>,
    /// Whom it is bound to.
    pub binding: BindingPatch,
    /// HTML that follows what is sent.
    pub default_signature_html: Option<String>,
}

/// Server settings as a PATCH gives them: what is left out stays.
#[derive(Debug, Default)]
pub struct ServerPatch {
    /// Host name or address.
    pub host: Option<String>,
    /// TCP port.
    pub port: Option<u16>,
    /// How the connection is secured.
    pub security: Option<Security>,
    /// The user to log in as.
    pub username: Option<String>,
    /// The password or the tokens.
    pub secret: Option<Secret>,
}

/// What changes about a mailbox.
#[derive(Debug, Default)]
pub struct MailboxPatch {
    /// A name for people.
    pub name: Patch<String>,
    /// Enabled or not.
    pub enabled: Option<bool>,
    /// Whom it is bound to.
    pub binding: BindingPatch,
    /// HTML that follows what is sent.
    pub default_signature_html: Patch<String>,
    /// Where mail is read.
    pub imap: Option<ServerPatch>,
    /// Where mail is sent; null removes it.
    pub smtp: Patch<ServerPatch>,
}

/// What people read of a mailbox, and nothing else depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// A name for people.
    pub name: Patch<String>,
    /// HTML that follows what is sent.
    pub default_signature_html: Patch<String>,
}

impl MailboxPatch {
    /// What it sets, when that is labels and nothing else.
    pub fn labels(&self) -> Option<Labels> {
        let Self {
            name,
            enabled: None,
            binding,
            default_signature_html,
            imap: None,
            smtp: Patch::Absent,
        } = self
        else {
            return None;
        };
        let any = name.is_present() || default_signature_html.is_present();
        (any && *binding == BindingPatch::default()).then(|| Labels {
            name: name.clone(),
            default_signature_html: default_signature_html.clone(),
        })
    }
}

/// What a list of mailboxes is narrowed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailboxFilter {
    /// This address.
    pub address: Option<String>,
    /// This provider.
    pub provider: Option<Provider>,
    /// Enabled or not.
    pub enabled: Option<bool>,
    /// Bound to this agent.
    pub agent_id: Option<Uuid>,
    /// Bound to this team.
    pub team_id: Option<Uuid>,
    /// Retired ones too.
    pub include_retired: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid::from_u128(1);
    const T: Uuid = Uuid::from_u128(2);
    const R: Uuid = Uuid::from_u128(3);

    #[test]
    fn every_case_of_the_binding_rules() {
        use Patch::{Absent, Null, Value};
        let agent = Binding::To {
            kind: AgentKind::Agent,
            id: A,
            revision_id: R,
        };
        let team = Binding::To {
            kind: AgentKind::Team,
            id: T,
            revision_id: R,
        };
        let to = |kind, id, revision_id| {
            Ok(Rebind::To {
                kind,
                id,
                revision_id,
            })
        };
        let decide = |current, agent_id, agent_revision_id, team_id, team_revision_id| {
            BindingPatch {
                agent_id,
                agent_revision_id,
                team_id,
                team_revision_id,
            }
            .decide(current)
            .map_err(|errors| errors.len())
        };
        assert_eq!(decide(agent, Absent, Absent, Absent, Absent), Ok(Rebind::Keep));
        assert_eq!(decide(agent, Absent, Null, Absent, Null), Ok(Rebind::Keep));
        assert_eq!(decide(agent, Value(A), Absent, Value(T), Absent), Err(1));
        assert_eq!(decide(agent, Absent, Value(R), Absent, Absent), Err(1));
        assert_eq!(decide(agent, Value(A), Absent, Absent, Value(R)), Err(1));
        assert_eq!(decide(agent, Null, Value(R), Null, Value(R)), Err(2));
        assert_eq!(
            decide(team, Value(A), Absent, Absent, Absent),
            to(AgentKind::Agent, A, None)
        );
        assert_eq!(
            decide(team, Value(A), Value(R), Null, Null),
            to(AgentKind::Agent, A, Some(R))
        );
        assert_eq!(
            decide(agent, Null, Absent, Value(T), Absent),
            to(AgentKind::Team, T, None)
        );
        assert_eq!(decide(agent, Null, Absent, Absent, Absent), Ok(Rebind::Clear));
        assert_eq!(decide(team, Absent, Absent, Null, Absent), Ok(Rebind::Clear));
        assert_eq!(decide(agent, Null, Absent, Null, Absent), Ok(Rebind::Clear));
        assert_eq!(
            decide(agent, Absent, Absent, Null, Absent),
            Ok(Rebind::Keep),
            "the other side was not bound"
        );
        assert_eq!(
            decide(Binding::None, Null, Absent, Null, Absent),
            Ok(Rebind::Keep)
        );
    }
}
