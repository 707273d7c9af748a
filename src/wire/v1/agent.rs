//! Agents and teams, each with its revisions: two resources of one form, so that a client never mixes their ids.

use poem_openapi::{Object, types::Example};
use uuid::Uuid;

use super::{Time, check::Faults, example};
use crate::model::{self, Result};

/// The longest description of a revision, in characters.
const MAX_DESCRIPTION: usize = 2_000;

/// Writes the resource and its revision under the names of one of the two.
macro_rules! assignee {
    ($(#[$doc:meta])* $resource:ident, $(#[$revision_doc:meta])* $revision:ident, $(#[$owner_doc:meta])* $owner:ident, $name:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Object)]
        #[oai(example)]
        pub struct $resource {
            /// Its id.
            pub id: Uuid,
            /// Its name.
            pub name: String,
            /// The revision that a mailbox is pinned to when it names none.
            pub active_revision_id: Uuid,
            /// When it was created.
            pub created_at: Time,
            /// When it last changed.
            pub updated_at: Time,
        }

        impl From<model::agent::Agent> for $resource {
            fn from(agent: model::agent::Agent) -> Self {
                let model::agent::Agent { id, kind: _, name, active_revision_id, created_at, updated_at } = agent;
                Self { id, name, active_revision_id, created_at: created_at.into(), updated_at: updated_at.into() }
            }
        }

        impl Example for $resource {
            fn example() -> Self {
                Self {
                    id: example::id(5),
                    name: $name.into(),
                    active_revision_id: example::id(6),
                    created_at: example::at().into(),
                    updated_at: example::at().into(),
                }
            }
        }

        $(#[$revision_doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Object)]
        #[oai(example)]
        pub struct $revision {
            /// Its id.
            pub id: Uuid,
            $(#[$owner_doc])*
            pub $owner: Uuid,
            /// 1, 2, 3 …
            pub number: i64,
            /// What changed, in the author's words.
            #[oai(nullable)]
            pub description: Option<String>,
            /// When it was created.
            pub created_at: Time,
        }

        impl From<model::agent::Revision> for $revision {
            fn from(revision: model::agent::Revision) -> Self {
                let model::agent::Revision { id, agent_id, number, description, created_at } = revision;
                Self { id, $owner: agent_id, number, description, created_at: created_at.into() }
            }
        }

        impl Example for $revision {
            fn example() -> Self {
                Self {
                    id: example::id(6),
                    $owner: example::id(5),
                    number: 1,
                    description: None,
                    created_at: example::at().into(),
                }
            }
        }
    };
}

assignee! {
    /// An agent: works the inbound mail of the mailboxes that are bound to it.
    Agent,
    /// One revision of an agent.
    AgentRevision,
    /// The agent that it is a revision of.
    agent_id,
    "Front desk"
}

assignee! {
    /// A team: works the inbound mail of the mailboxes that are bound to it.
    Team,
    /// One revision of a team.
    TeamRevision,
    /// The team that it is a revision of.
    team_id,
    "Support"
}

/// Writes the two request bodies under the names of one of the two.
macro_rules! requests {
    ($(#[$create_doc:meta])* $create:ident, $(#[$update_doc:meta])* $update:ident, $name:literal) => {
        $(#[$create_doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Object)]
        #[oai(deny_unknown_fields, example)]
        pub struct $create {
            /// A name, at most 200 characters.
            #[oai(validator(min_length = 1, max_length = 200))]
            pub name: String,
        }

        impl $create {
            /// Checks the fields; answers the name.
            pub fn into_model(self) -> Result<String> {
                let Self { name } = self;
                let mut faults = Faults::default();
                faults.name("name", &name);
                faults.or(name)
            }
        }

        impl Example for $create {
            fn example() -> Self {
                Self { name: $name.into() }
            }
        }

        $(#[$update_doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Object)]
        #[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
        pub struct $update {
            /// A name, at most 200 characters.
            #[oai(validator(min_length = 1, max_length = 200))]
            pub name: Option<String>,
            /// One of its own revisions, which a mailbox is pinned to from now on when it names none. Mailboxes that
            /// are bound already stay at theirs.
            pub active_revision_id: Option<Uuid>,
        }

        impl $update {
            /// Checks the fields; answers the name and the active revision.
            pub fn into_model(self) -> Result<(Option<String>, Option<Uuid>)> {
                let Self { name, active_revision_id } = self;
                let mut faults = Faults::default();
                if let Some(name) = &name {
                    faults.name("name", name);
                }
                faults.or((name, active_revision_id))
            }
        }

        impl Example for $update {
            fn example() -> Self {
                Self { name: Some($name.into()), active_revision_id: None }
            }
        }
    };
}

requests! {
    /// An agent to create; its first revision is made with it.
    CreateAgent,
    /// What changes about an agent; what is left out stays.
    UpdateAgent,
    "Front desk"
}

requests! {
    /// A team to create; its first revision is made with it.
    CreateTeam,
    /// What changes about a team; what is left out stays.
    UpdateTeam,
    "Support"
}

/// A revision to create.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object)]
#[oai(deny_unknown_fields, example)]
pub struct CreateRevision {
    /// What changes, in your words, at most 2,000 characters.
    #[oai(nullable, validator(max_length = 2000))]
    pub description: Option<String>,
}

impl CreateRevision {
    /// Checks the fields; answers the description.
    pub fn into_model(self) -> Result<Option<String>> {
        let Self { description } = self;
        let mut faults = Faults::default();
        if let Some(text) = &description {
            faults.at_most("description", text, MAX_DESCRIPTION);
        }
        faults.or(description)
    }
}

impl Example for CreateRevision {
    fn example() -> Self {
        Self {
            description: Some("Answers in Welsh too".into()),
        }
    }
}
