//! Agents and teams: whoever works a mailbox's inbound mail, each with numbered revisions.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Which of the two an assignee is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentKind {
    /// A single agent.
    Agent,
    /// A team.
    Team,
}

impl AgentKind {
    /// The word on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Team => "team",
        }
    }
}

/// An agent or a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: Uuid,
    /// Agent or team.
    pub kind: AgentKind,
    /// Its name.
    pub name: String,
    /// The revision that a binding pins when it names none.
    pub active_revision_id: Uuid,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// One revision of an agent or a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its id.
    pub id: Uuid,
    /// The agent or team that it is a revision of.
    pub agent_id: Uuid,
    /// 1, 2, 3 …
    pub number: i64,
    /// What changed, in the author's words.
    pub description: Option<String>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}
