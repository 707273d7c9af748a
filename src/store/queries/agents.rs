//! SQL for agents and teams.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Connection, paged};
use crate::{
    model::{Result, agent::AgentKind, id::TenantId, page::PageRequest},
    store::{
        agents::{RevisionRow, Row},
        schema::{agent_revisions, agents, mailboxes},
        statement::Limited,
        types::Id,
    },
};

pub(crate) async fn create(conn: &mut Connection, tenant: TenantId, row: &Row) -> Result<()> {
    diesel::insert_into(agents::table)
        .values((row, agents::tenant_id.eq(Id(tenant.0))))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn get(
    conn: &mut Connection,
    tenant: TenantId,
    kind: AgentKind,
    id: Uuid,
) -> Result<Option<Row>> {
    let query = agents::table
        .find((Id(tenant.0), Id(id)))
        .filter(agents::kind.eq(kind.as_str()));
    Ok(query.select(Row::as_select()).get_result(conn).await.optional()?)
}

pub(crate) async fn lock(
    conn: &mut Connection,
    tenant: TenantId,
    kind: AgentKind,
    id: Uuid,
) -> Result<Option<Row>> {
    let query = agents::table
        .find((Id(tenant.0), Id(id)))
        .filter(agents::kind.eq(kind.as_str()))
        .select(Row::as_select());
    Ok(locked!(query).get_result(conn).await.optional()?)
}

pub(crate) async fn list(
    conn: &mut Connection,
    tenant: TenantId,
    kind: AgentKind,
    page: PageRequest,
) -> Result<Vec<Row>> {
    let query = agents::table
        .filter(agents::tenant_id.eq(Id(tenant.0)))
        .filter(agents::kind.eq(kind.as_str()))
        .select(Row::as_select())
        .into_boxed();
    Ok(paged!(query, agents::created_at, agents::id, page)
        .load(conn)
        .await?)
}

pub(crate) async fn update(conn: &mut Connection, tenant: TenantId, row: &Row) -> Result<()> {
    diesel::update(
        agents::table
            .filter(agents::tenant_id.eq(Id(tenant.0)))
            .filter(agents::id.eq(row.id)),
    )
    .set(row)
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn delete(conn: &mut Connection, tenant: TenantId, id: Uuid) -> Result<bool> {
    // One statement for each column, so that each has its index.
    let retired = mailboxes::table
        .filter(mailboxes::tenant_id.eq(Id(tenant.0)))
        .filter(mailboxes::retired_at.is_not_null());
    diesel::update(retired.filter(mailboxes::agent_id.eq(Some(Id(id)))))
        .set((
            mailboxes::agent_id.eq(None::<Id>),
            mailboxes::agent_revision_id.eq(None::<Id>),
        ))
        .execute(conn)
        .await?;
    diesel::update(retired.filter(mailboxes::team_id.eq(Some(Id(id)))))
        .set((
            mailboxes::team_id.eq(None::<Id>),
            mailboxes::team_revision_id.eq(None::<Id>),
        ))
        .execute(conn)
        .await?;
    Ok(diesel::delete(agents::table.find((Id(tenant.0), Id(id))))
        .execute(conn)
        .await?
        > 0)
}

pub(crate) async fn find_bound(conn: &mut Connection, tenant: TenantId, id: Uuid) -> Result<Option<Id>> {
    let live = mailboxes::table
        .filter(mailboxes::tenant_id.eq(Id(tenant.0)))
        .filter(mailboxes::retired_at.is_null())
        .select(mailboxes::id);
    let agents = live.filter(mailboxes::agent_id.eq(Some(Id(id))));
    if let Some(found) = Limited::new(agents, 1).get_result(conn).await.optional()? {
        return Ok(Some(found));
    }
    let teams = live.filter(mailboxes::team_id.eq(Some(Id(id))));
    Ok(Limited::new(teams, 1).get_result(conn).await.optional()?)
}

pub(crate) async fn create_revision(
    conn: &mut Connection,
    tenant: TenantId,
    row: &RevisionRow,
) -> Result<()> {
    diesel::insert_into(agent_revisions::table)
        .values((row, agent_revisions::tenant_id.eq(Id(tenant.0))))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn get_revision(
    conn: &mut Connection,
    tenant: TenantId,
    agent: Uuid,
    id: Uuid,
) -> Result<Option<RevisionRow>> {
    let query = agent_revisions::table
        .find((Id(tenant.0), Id(id)))
        .filter(agent_revisions::agent_id.eq(Id(agent)));
    Ok(query
        .select(RevisionRow::as_select())
        .get_result(conn)
        .await
        .optional()?)
}

pub(crate) async fn last_revision_number(
    conn: &mut Connection,
    tenant: TenantId,
    agent: Uuid,
) -> Result<i64> {
    Ok(agent_revisions::table
        .filter(agent_revisions::tenant_id.eq(Id(tenant.0)))
        .filter(agent_revisions::agent_id.eq(Id(agent)))
        .select(diesel::dsl::max(agent_revisions::number))
        .get_result::<Option<i64>>(conn)
        .await?
        .unwrap_or_default())
}

pub(crate) async fn list_revisions(
    conn: &mut Connection,
    tenant: TenantId,
    agent: Uuid,
    page: PageRequest,
) -> Result<Vec<RevisionRow>> {
    let query = agent_revisions::table
        .filter(agent_revisions::tenant_id.eq(Id(tenant.0)))
        .filter(agent_revisions::agent_id.eq(Id(agent)))
        .select(RevisionRow::as_select())
        .into_boxed();
    Ok(
        paged!(query, agent_revisions::created_at, agent_revisions::id, page)
            .load(conn)
            .await?,
    )
}
