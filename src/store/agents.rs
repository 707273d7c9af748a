//! Agents and teams with their revisions: one pair of tables, told apart by kind.

use diesel::prelude::*;
use uuid::Uuid;

use super::{
    Conn, on,
    schema::{agent_revisions, agents},
    types::{At, Id},
    unreadable,
};
use crate::model::{
    Result,
    agent::{Agent, AgentKind, Revision},
    id::TenantId,
    page::{Page, PageRequest, Position},
};

/// A row of `agents`.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = agents, treat_none_as_default_value = false)]
pub(crate) struct Row {
    pub(crate) id: Id,
    kind: String,
    name: String,
    active_revision_id: Id,
    created_at: At,
    updated_at: At,
}

/// A row of `agent_revisions`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = agent_revisions, treat_none_as_default_value = false)]
pub(crate) struct RevisionRow {
    id: Id,
    agent_id: Id,
    number: i64,
    description: Option<String>,
    created_at: At,
}

impl Row {
    fn write(agent: &Agent) -> Self {
        Self {
            id: agent.id.into(),
            kind: agent.kind.as_str().to_owned(),
            name: agent.name.clone(),
            active_revision_id: agent.active_revision_id.into(),
            created_at: agent.created_at.into(),
            updated_at: agent.updated_at.into(),
        }
    }

    fn read(self) -> Result<Agent> {
        let kind = [AgentKind::Agent, AgentKind::Team]
            .into_iter()
            .find(|kind| kind.as_str() == self.kind);
        Ok(Agent {
            id: self.id.into(),
            kind: kind.ok_or_else(|| unreadable("agents.kind"))?,
            name: self.name,
            active_revision_id: self.active_revision_id.into(),
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
        })
    }
}

impl RevisionRow {
    fn write(revision: &Revision) -> Self {
        let Revision {
            id,
            agent_id,
            number,
            description,
            created_at,
        } = revision.clone();
        Self {
            id: Id(id),
            agent_id: Id(agent_id),
            number,
            description,
            created_at: At(created_at),
        }
    }

    fn read(self) -> Revision {
        let Self {
            id,
            agent_id,
            number,
            description,
            created_at,
        } = self;
        Revision {
            id: id.0,
            agent_id: agent_id.0,
            number,
            description,
            created_at: created_at.0,
        }
    }
}

impl Conn {
    /// Stores a new agent or team; its first revision is stored by [`Self::create_revision`].
    pub async fn create_agent(&mut self, tenant: TenantId, agent: &Agent) -> Result<()> {
        let row = Row::write(agent);
        on!(self, agents::create(tenant, &row))
    }

    /// One agent or team.
    pub async fn get_agent(&mut self, tenant: TenantId, kind: AgentKind, id: Uuid) -> Result<Option<Agent>> {
        on!(self, agents::get(tenant, kind, id))?
            .map(Row::read)
            .transpose()
    }

    /// One agent or team, its row locked until the transaction ends.
    pub async fn lock_agent(&mut self, tenant: TenantId, kind: AgentKind, id: Uuid) -> Result<Option<Agent>> {
        on!(self, agents::lock(tenant, kind, id))?
            .map(Row::read)
            .transpose()
    }

    /// The tenant's agents or teams, newest first.
    pub async fn list_agents(
        &mut self,
        tenant: TenantId,
        kind: AgentKind,
        page: PageRequest,
    ) -> Result<Page<Agent>> {
        let rows = on!(self, agents::list(tenant, kind, page))?;
        let rows = rows.into_iter().map(Row::read).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(rows, page.limit, |agent| Position {
            at: agent.created_at,
            id: agent.id,
        }))
    }

    /// Stores what changed about an agent or a team.
    pub async fn update_agent(&mut self, tenant: TenantId, agent: &Agent) -> Result<()> {
        let row = Row::write(agent);
        on!(self, agents::update(tenant, &row))
    }

    /// Erases an agent or team, which no live mailbox may be bound to; retired mailboxes lose their binding.
    pub async fn delete_agent(&mut self, tenant: TenantId, id: Uuid) -> Result<bool> {
        on!(self, agents::delete(tenant, id))
    }

    /// A live mailbox that is bound to this agent or team.
    pub async fn find_bound(&mut self, tenant: TenantId, id: Uuid) -> Result<Option<Uuid>> {
        Ok(on!(self, agents::find_bound(tenant, id))?.map(Uuid::from))
    }

    /// Stores a new revision.
    pub async fn create_revision(&mut self, tenant: TenantId, revision: &Revision) -> Result<()> {
        let row = RevisionRow::write(revision);
        on!(self, agents::create_revision(tenant, &row))
    }

    /// One revision of an agent or a team.
    pub async fn get_revision(
        &mut self,
        tenant: TenantId,
        agent: Uuid,
        id: Uuid,
    ) -> Result<Option<Revision>> {
        Ok(on!(self, agents::get_revision(tenant, agent, id))?.map(RevisionRow::read))
    }

    /// The number of the newest revision.
    pub async fn last_revision_number(&mut self, tenant: TenantId, agent: Uuid) -> Result<i64> {
        on!(self, agents::last_revision_number(tenant, agent))
    }

    /// The revisions of an agent or a team, newest first.
    pub async fn list_revisions(
        &mut self,
        tenant: TenantId,
        agent: Uuid,
        page: PageRequest,
    ) -> Result<Page<Revision>> {
        let rows = on!(self, agents::list_revisions(tenant, agent, page))?;
        let rows = rows.into_iter().map(RevisionRow::read).collect();
        Ok(Page::cut(rows, page.limit, |revision: &Revision| Position {
            at: revision.created_at,
            id: revision.id,
        }))
    }
}
