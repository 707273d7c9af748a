//! Agents and teams with their revisions: one set of functions, told apart by [`AgentKind`].

use uuid::Uuid;

use super::App;
use crate::{
    model::{
        Error, Result,
        agent::{Agent, AgentKind, Revision},
        caller::Caller,
        error::Conflict,
        id::{self, TenantId},
        page::{Page, PageRequest},
        scope::Scope,
    },
    store::Conn,
};

/// What changes about an agent or a team; `None` is unchanged.
#[derive(Debug, Clone, Default)]
pub struct AgentPatch {
    /// Its name.
    pub name: Option<String>,
    /// The revision that a binding pins when it names none: one of its own.
    pub active_revision_id: Option<Uuid>,
}

/// The tenant's agents or teams, newest first.
pub async fn list(app: &App, caller: &Caller, kind: AgentKind, page: PageRequest) -> Result<Page<Agent>> {
    caller.require(Scope::MailboxesRead)?;
    app.store
        .read()
        .await?
        .list_agents(caller.tenant_id, kind, page)
        .await
}

/// One agent or team.
pub async fn get(app: &App, caller: &Caller, kind: AgentKind, id: Uuid) -> Result<Agent> {
    caller.require(Scope::MailboxesRead)?;
    let found = app
        .store
        .read()
        .await?
        .get_agent(caller.tenant_id, kind, id)
        .await?;
    found.ok_or(Error::NotFound(kind.as_str()))
}

/// Makes an agent or a team with its first revision.
pub async fn create(app: &App, caller: &Caller, kind: AgentKind, name: String) -> Result<Agent> {
    caller.require(Scope::MailboxesWrite)?;
    let (tenant, now) = (caller.tenant_id, app.clock.now());
    let agent = Agent {
        id: id::new(),
        kind,
        name,
        active_revision_id: id::new(),
        created_at: now,
        updated_at: now,
    };
    let revision = Revision {
        id: agent.active_revision_id,
        agent_id: agent.id,
        number: 1,
        description: None,
        created_at: now,
    };
    app.write(move |tx| {
        Box::pin(async move {
            tx.create_agent(tenant, &agent).await?;
            tx.create_revision(tenant, &revision).await?;
            Ok(agent)
        })
    })
    .await
}

/// Changes an agent or a team. Mailboxes that are bound to it keep the revision that they are pinned to.
pub async fn update(
    app: &App,
    caller: &Caller,
    kind: AgentKind,
    id: Uuid,
    patch: AgentPatch,
) -> Result<Agent> {
    caller.require(Scope::MailboxesWrite)?;
    let (tenant, now) = (caller.tenant_id, app.clock.now());
    app.write(move |tx| {
        Box::pin(async move {
            let before = lock(tx, tenant, kind, id).await?;
            let AgentPatch {
                name,
                active_revision_id,
            } = patch;
            if let Some(revision) = active_revision_id
                && tx.get_revision(tenant, id, revision).await?.is_none()
            {
                let detail = format!("This is not a revision of this {}.", kind.as_str());
                return Err(Error::field("active_revision_id", detail));
            }
            let mut agent = before.clone();
            agent.name = name.unwrap_or(agent.name);
            agent.active_revision_id = active_revision_id.unwrap_or(agent.active_revision_id);
            if agent != before {
                agent.updated_at = now;
                tx.update_agent(tenant, &agent).await?;
            }
            Ok(agent)
        })
    })
    .await
}

/// Erases an agent or a team that no live mailbox is bound to.
pub async fn delete(app: &App, caller: &Caller, kind: AgentKind, id: Uuid) -> Result<()> {
    caller.require(Scope::MailboxesWrite)?;
    let tenant = caller.tenant_id;
    app.write(move |tx| {
        Box::pin(async move {
            lock(tx, tenant, kind, id).await?;
            if let Some(mailbox) = tx.find_bound(tenant, id).await? {
                return Err(Error::Conflict(Conflict::Bound(mailbox)));
            }
            tx.delete_agent(tenant, id).await?;
            Ok(())
        })
    })
    .await
}

/// The revisions of an agent or a team, newest first.
pub async fn list_revisions(
    app: &App,
    caller: &Caller,
    kind: AgentKind,
    id: Uuid,
    page: PageRequest,
) -> Result<Page<Revision>> {
    caller.require(Scope::MailboxesRead)?;
    let mut conn = app.store.read().await?;
    let found = conn.get_agent(caller.tenant_id, kind, id).await?;
    found.ok_or(Error::NotFound(kind.as_str()))?;
    conn.list_revisions(caller.tenant_id, id, page).await
}

/// Makes the next revision, which from now on is the active one.
pub async fn create_revision(
    app: &App,
    caller: &Caller,
    kind: AgentKind,
    id: Uuid,
    description: Option<String>,
) -> Result<Revision> {
    caller.require(Scope::MailboxesWrite)?;
    let (tenant, now) = (caller.tenant_id, app.clock.now());
    app.write(move |tx| {
        Box::pin(async move {
            let mut agent = lock(tx, tenant, kind, id).await?;
            let revision = Revision {
                id: id::new(),
                agent_id: id,
                number: tx.last_revision_number(tenant, id).await? + 1,
                description,
                created_at: now,
            };
            tx.create_revision(tenant, &revision).await?;
            agent.active_revision_id = revision.id;
            agent.updated_at = now;
            tx.update_agent(tenant, &agent).await?;
            Ok(revision)
        })
    })
    .await
}

async fn lock(tx: &mut Conn, tenant: TenantId, kind: AgentKind, id: Uuid) -> Result<Agent> {
    let found = tx.lock_agent(tenant, kind, id).await?;
    found.ok_or(Error::NotFound(kind.as_str()))
}
