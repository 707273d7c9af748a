//! SQL for webhook endpoints.

use chrono::{DateTime, Utc};
use diesel::{dsl::sql, prelude::*, sql_types::Bool};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Backend, Connection, ids, paged};
use crate::{
    model::{Result, caller::Visibility, id::TenantId, page::PageRequest},
    store::{
        schema::{event_counters, tenants, webhook_deliveries, webhook_endpoints},
        statement::{Limited, Prepared},
        types::{At, Id},
        webhooks::{HealthRow, ReaderRow, Row, SecretsRow},
    },
};

pub(crate) async fn create(
    conn: &mut Connection,
    tenant: TenantId,
    row: &Row,
    secret: &[u8],
    after: i64,
) -> Result<()> {
    diesel::insert_into(webhook_endpoints::table)
        .values((
            row,
            webhook_endpoints::tenant_id.eq(Id(tenant.0)),
            webhook_endpoints::secret.eq(secret),
            webhook_endpoints::position.eq(after),
            webhook_endpoints::failures.eq(0),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn is_full(conn: &mut Connection, tenant: TenantId, most: i64) -> Result<bool> {
    // One creation after the other.
    let owner = tenants::table.find(Id(tenant.0)).select(tenants::id);
    let _: Id = locked!(owner).get_result(conn).await?;
    let last: Option<Id> = webhook_endpoints::table
        .filter(webhook_endpoints::tenant_id.eq(Id(tenant.0)))
        .order(webhook_endpoints::id)
        .offset(most - 1)
        .limit(1)
        .select(webhook_endpoints::id)
        .get_result(conn)
        .await
        .optional()?;
    Ok(last.is_some())
}

/// A tenant's endpoints, as far as the caller sees them.
macro_rules! seen {
    ($tenant:expr, $seen:expr, $columns:expr) => {{
        let of_tenant = webhook_endpoints::table
            .filter(webhook_endpoints::tenant_id.eq(Id($tenant.0)))
            .select($columns)
            .into_boxed::<Backend>();
        match $seen {
            Visibility::All => of_tenant,
            Visibility::CreatedBy(member) => {
                of_tenant.filter(webhook_endpoints::member_id.eq(Some(Id(member))))
            }
        }
    }};
}

pub(crate) async fn get(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    id: Uuid,
) -> Result<Option<Row>> {
    let query = seen!(tenant, seen, Row::as_select()).filter(webhook_endpoints::id.eq(Id(id)));
    Ok(query.get_result(conn).await.optional()?)
}

pub(crate) async fn get_sealed(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    id: Uuid,
) -> Result<Option<(Row, SecretsRow)>> {
    let columns = (Row::as_select(), SecretsRow::as_select());
    let query = seen!(tenant, seen, columns).filter(webhook_endpoints::id.eq(Id(id)));
    Ok(query.get_result(conn).await.optional()?)
}

pub(crate) async fn list_subscriptions(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    limit: i64,
) -> Result<Vec<(Row, SecretsRow)>> {
    let query = seen!(tenant, seen, (Row::as_select(), SecretsRow::as_select()))
        .filter(sql::<Bool>("webhook_endpoints.form = 'plannr'"))
        .order((webhook_endpoints::created_at.desc(), webhook_endpoints::id.desc()));
    Ok(Limited::new(query, limit).load(conn).await?)
}

pub(crate) async fn lock(
    conn: &mut Connection,
    tenant: TenantId,
    id: Uuid,
) -> Result<Option<(Row, HealthRow, SecretsRow)>> {
    let query = webhook_endpoints::table
        .filter(webhook_endpoints::tenant_id.eq(Id(tenant.0)))
        .filter(webhook_endpoints::id.eq(Id(id)))
        .select((Row::as_select(), HealthRow::as_select(), SecretsRow::as_select()));
    Ok(locked!(query).get_result(conn).await.optional()?)
}

pub(crate) async fn list(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    page: PageRequest,
) -> Result<Vec<Row>> {
    let query = seen!(tenant, seen, Row::as_select());
    let paged = paged!(query, webhook_endpoints::created_at, webhook_endpoints::id, page);
    Ok(paged.load(conn).await?)
}

/// The row of one endpoint.
macro_rules! one {
    ($tenant:expr, $id:expr) => {
        webhook_endpoints::table
            .filter(webhook_endpoints::tenant_id.eq(Id($tenant.0)))
            .filter(webhook_endpoints::id.eq(Id($id)))
    };
}

/// The rows of some endpoints.
macro_rules! some {
    ($tenant:expr, $ids:expr) => {
        webhook_endpoints::table
            .filter(webhook_endpoints::tenant_id.eq(Id($tenant.0)))
            .filter(webhook_endpoints::id.eq_any(ids($ids)))
    };
}

pub(crate) async fn update(conn: &mut Connection, tenant: TenantId, row: &Row) -> Result<()> {
    diesel::update(one!(tenant, row.id.0))
        .set(row)
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn set_health(
    conn: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    row: &HealthRow,
) -> Result<()> {
    diesel::update(one!(tenant, id)).set(row).execute(conn).await?;
    Ok(())
}

pub(crate) async fn set_due(
    conn: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    due: Option<At>,
) -> Result<()> {
    let setting = diesel::update(one!(tenant, id)).set(webhook_endpoints::due_at.eq(due));
    Prepared(setting).execute(conn).await?;
    Ok(())
}

pub(crate) async fn end_turn(
    conn: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    last_attempt_at: Option<At>,
    due: Option<At>,
) -> Result<()> {
    let setting = diesel::update(one!(tenant, id)).set((
        webhook_endpoints::last_attempt_at.eq(last_attempt_at),
        webhook_endpoints::due_at.eq(due),
    ));
    Prepared(setting).execute(conn).await?;
    Ok(())
}

pub(crate) async fn rotate(
    conn: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    secret: &[u8],
    (old, until): (&[u8], DateTime<Utc>),
    now: DateTime<Utc>,
) -> Result<()> {
    diesel::update(one!(tenant, id))
        .set((
            webhook_endpoints::secret.eq(secret),
            webhook_endpoints::old_secret.eq(Some(old)),
            webhook_endpoints::old_secret_until.eq(Some(At(until))),
            webhook_endpoints::updated_at.eq(At(now)),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn delete(conn: &mut Connection, tenant: TenantId, id: Uuid) -> Result<bool> {
    Ok(diesel::delete(one!(tenant, id)).execute(conn).await? > 0)
}

pub(crate) async fn lock_readers(
    conn: &mut Connection,
    tenant: TenantId,
    last: i64,
    limit: i64,
) -> Result<Vec<ReaderRow>> {
    let query = webhook_endpoints::table
        .filter(webhook_endpoints::tenant_id.eq(Id(tenant.0)))
        .filter(webhook_endpoints::enabled.eq(true))
        .filter(webhook_endpoints::position.lt(last))
        .order(webhook_endpoints::id)
        .select(ReaderRow::as_select());
    Ok(locked!(limited!(query, limit)).load(conn).await?)
}

pub(crate) async fn set_positions(
    conn: &mut Connection,
    tenant: TenantId,
    endpoints: &[Uuid],
    position: i64,
) -> Result<()> {
    let moving = diesel::update(some!(tenant, endpoints)).set(webhook_endpoints::position.eq(position));
    Prepared(moving).execute(conn).await?;
    Ok(())
}

pub(crate) async fn rewind(conn: &mut Connection, tenant: TenantId, id: Uuid, position: i64) -> Result<()> {
    diesel::update(one!(tenant, id).filter(webhook_endpoints::position.gt(position)))
        .set(webhook_endpoints::position.eq(position))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn hasten(
    conn: &mut Connection,
    tenant: TenantId,
    endpoints: &[Uuid],
    now: DateTime<Utc>,
) -> Result<()> {
    let hastening = diesel::update(some!(tenant, endpoints)).set(webhook_endpoints::due_at.eq(Some(At(now))));
    Prepared(hastening).execute(conn).await?;
    Ok(())
}

pub(crate) async fn take_due(
    conn: &mut Connection,
    now: DateTime<Utc>,
    later: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(Id, Id)>> {
    let due = webhook_endpoints::table
        .filter(webhook_endpoints::due_at.le(At(now)))
        .order(webhook_endpoints::due_at)
        .select((webhook_endpoints::tenant_id, webhook_endpoints::id));
    let taken: Vec<(Id, Id)> = skip_locked!(limited!(due, limit)).load(conn).await?;
    for (tenant, id) in &taken {
        set_due(conn, TenantId(tenant.0), id.0, Some(At(later))).await?;
    }
    Ok(taken)
}

pub(crate) async fn next_due(conn: &mut Connection) -> Result<Option<At>> {
    let next = webhook_endpoints::table
        .filter(webhook_endpoints::due_at.is_not_null())
        .order(webhook_endpoints::due_at)
        .select(webhook_endpoints::due_at.assume_not_null());
    Ok(Limited::new(next, 1).get_result(conn).await.optional()?)
}

pub(crate) async fn list_unread(
    conn: &mut Connection,
    after: Option<TenantId>,
    limit: i64,
) -> Result<Vec<Id>> {
    let mut query = webhook_endpoints::table
        .inner_join(event_counters::table.on(event_counters::tenant_id.eq(webhook_endpoints::tenant_id)))
        .filter(webhook_endpoints::enabled.eq(true))
        .filter(webhook_endpoints::position.lt(event_counters::position))
        .order((webhook_endpoints::tenant_id, webhook_endpoints::id))
        .select(webhook_endpoints::tenant_id)
        .into_boxed::<Backend>();
    if let Some(after) = after {
        query = query.filter(webhook_endpoints::tenant_id.gt(Id(after.0)));
    }
    let mut tenants: Vec<Id> = Limited::new(query, limit).load(conn).await?;
    tenants.dedup();
    Ok(tenants)
}

pub(crate) async fn is_unread(conn: &mut Connection, tenant: TenantId) -> Result<bool> {
    let behind = webhook_endpoints::table
        .inner_join(event_counters::table.on(event_counters::tenant_id.eq(webhook_endpoints::tenant_id)))
        .filter(webhook_endpoints::tenant_id.eq(Id(tenant.0)))
        .filter(webhook_endpoints::enabled.eq(true))
        .filter(webhook_endpoints::position.lt(event_counters::position))
        .select(webhook_endpoints::id);
    let behind: Option<Id> = Limited::new(behind, 1).get_result(conn).await.optional()?;
    Ok(behind.is_some())
}

pub(crate) async fn free(conn: &mut Connection, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<()> {
    diesel::update(webhook_deliveries::table)
        .filter(sql::<Bool>("webhook_deliveries.status = 'sending'"))
        .set(webhook_deliveries::due_at.eq(Some(At(now))))
        .execute(conn)
        .await?;
    diesel::update(webhook_endpoints::table)
        .filter(webhook_endpoints::due_at.le(At(until)))
        .set(webhook_endpoints::due_at.eq(Some(At(now))))
        .execute(conn)
        .await?;
    Ok(())
}
