//! SQL for webhook deliveries.

use chrono::{DateTime, Utc};
use diesel::{dsl::sql, prelude::*, sql_types::Bool};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Backend, Connection, ids, padded, paged};
use crate::{
    model::{
        Result,
        caller::Visibility,
        id::TenantId,
        page::PageRequest,
        webhook::{DeliveryFilter, DeliveryStatus},
    },
    store::{
        deliveries::{Found, Marked, NewRow, Row},
        events::{Found as FoundEvent, KnownRow, Row as EventRow},
        schema::{events, mailboxes, messages, webhook_deliveries, webhook_endpoints},
        statement::{Limited, Prepared},
        types::{At, Guid, Id},
    },
};

/// The words of partial indexes, which a bound value does not meet.
const SENDING: &str = "webhook_deliveries.status = 'sending'";
const NOT_SUCCEEDED: &str = "webhook_deliveries.status <> 'succeeded'";

/// An event's place, type, mailbox, whom that was bound to, and who created it.
type NewsRow = (i64, String, Option<Id>, Option<Id>, Option<Id>);

pub(crate) async fn news(
    conn: &mut Connection,
    tenant: TenantId,
    after: i64,
    until: i64,
    limit: i64,
) -> Result<Vec<NewsRow>> {
    let news = events::table
        .left_join(
            mailboxes::table.on(mailboxes::tenant_id
                .eq(events::tenant_id)
                .and(mailboxes::id.nullable().eq(events::mailbox_id))),
        )
        .filter(events::tenant_id.eq(Id(tenant.0)))
        .filter(events::position.gt(after))
        .filter(events::position.le(until))
        .order(events::position)
        .select((
            events::position,
            events::kind,
            events::mailbox_id,
            events::agent_id,
            mailboxes::created_by.nullable(),
        ));
    Ok(Limited::new(news, limit).load(conn).await?)
}

pub(crate) async fn create(conn: &mut Connection, rows: Vec<NewRow>) -> Result<()> {
    insert_all!(conn, rows, |row| webhook_deliveries {
        tenant_id: row.tenant_id,
        id: row.id,
        endpoint_id: row.endpoint_id,
        position: row.position,
        mailbox_id: row.mailbox_id,
        status: row.status,
        attempts: row.attempts,
        claim: row.claim,
        due_at: row.due_at,
        created_at: row.created_at,
    } on (tenant_id, position, endpoint_id) set (status, attempts, due_at));
    Ok(())
}

pub(crate) async fn due(
    conn: &mut Connection,
    tenant: TenantId,
    endpoint: Uuid,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(Id, i64, Option<Id>, i64, i32)>> {
    let due = webhook_deliveries::table
        .filter(webhook_deliveries::tenant_id.eq(Id(tenant.0)))
        .filter(webhook_deliveries::endpoint_id.eq(Id(endpoint)))
        .filter(webhook_deliveries::due_at.le(At(now)))
        .order((webhook_deliveries::due_at, webhook_deliveries::position))
        .select((
            webhook_deliveries::id,
            webhook_deliveries::position,
            webhook_deliveries::mailbox_id,
            webhook_deliveries::claim,
            webhook_deliveries::attempts,
        ));
    Ok(Limited::new(due, limit).load(conn).await?)
}

pub(crate) async fn share_gates(
    conn: &mut Connection,
    tenant: TenantId,
    mailboxes: &[Uuid],
) -> Result<Vec<(Id, bool, Option<At>)>> {
    let query = mailboxes::table
        .filter(mailboxes::tenant_id.eq(Id(tenant.0)))
        .filter(mailboxes::id.eq_any(ids(mailboxes)))
        .order(mailboxes::id)
        .select((mailboxes::id, mailboxes::enabled, mailboxes::retired_at));
    Ok(Prepared(key_shared!(query)).load(conn).await?)
}

pub(crate) async fn bar(conn: &mut Connection, tenant: TenantId, mailbox: Uuid) -> Result<()> {
    let query = mailboxes::table
        .find((Id(tenant.0), Id(mailbox)))
        .select(mailboxes::id);
    let _: Option<Id> = key_locked!(query).get_result(conn).await.optional()?;
    Ok(())
}

/// The rows of some deliveries.
macro_rules! some {
    ($tenant:expr, $ids:expr) => {
        webhook_deliveries::table
            .filter(webhook_deliveries::tenant_id.eq(Id($tenant.0)))
            .filter(webhook_deliveries::id.eq_any(ids($ids)))
    };
}

pub(crate) async fn hold(
    conn: &mut Connection,
    tenant: TenantId,
    deliveries: &[Uuid],
    status: DeliveryStatus,
) -> Result<()> {
    diesel::update(some!(tenant, deliveries))
        .set((
            webhook_deliveries::due_at.eq(None::<At>),
            webhook_deliveries::status.eq(status.as_str()),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn release(
    conn: &mut Connection,
    tenant: TenantId,
    mailbox: Uuid,
    now: DateTime<Utc>,
) -> Result<usize> {
    let held = webhook_deliveries::table
        .filter(webhook_deliveries::tenant_id.eq(Id(tenant.0)))
        .filter(webhook_deliveries::mailbox_id.eq(Some(Id(mailbox))))
        .filter(webhook_deliveries::status.eq(DeliveryStatus::Pending.as_str()))
        .filter(webhook_deliveries::due_at.is_null());
    Ok(diesel::update(held)
        .set(webhook_deliveries::due_at.eq(Some(At(now))))
        .execute(conn)
        .await?)
}

pub(crate) async fn claim(
    conn: &mut Connection,
    tenant: TenantId,
    deliveries: &[Uuid],
    until: DateTime<Utc>,
) -> Result<()> {
    let claiming = diesel::update(some!(tenant, deliveries)).set((
        webhook_deliveries::status.eq(DeliveryStatus::Sending.as_str()),
        webhook_deliveries::claim.eq(webhook_deliveries::claim + 1),
        webhook_deliveries::due_at.eq(Some(At(until))),
    ));
    Prepared(claiming).execute(conn).await?;
    Ok(())
}

/// The row of a delivery that is being sent under this number.
macro_rules! mine {
    ($tenant:expr, $id:expr, $claim:expr) => {
        webhook_deliveries::table
            .filter(webhook_deliveries::tenant_id.eq(Id($tenant.0)))
            .filter(webhook_deliveries::id.eq(Id($id)))
            .filter(webhook_deliveries::claim.eq($claim))
            .filter(webhook_deliveries::status.eq(DeliveryStatus::Sending.as_str()))
    };
}

pub(crate) async fn mark(
    conn: &mut Connection,
    tenant: TenantId,
    marks: &[(Uuid, i64, Marked)],
) -> Result<Vec<usize>> {
    Ok(for_each!(conn, marks, |one| {
        diesel::update(mine!(tenant, one.0, one.1)).set(&one.2)
    })?)
}

pub(crate) async fn renew(
    conn: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    claim: i64,
    (status, due): (DeliveryStatus, DateTime<Utc>),
) -> Result<bool> {
    let renewed = diesel::update(mine!(tenant, id, claim)).set((
        webhook_deliveries::status.eq(status.as_str()),
        webhook_deliveries::due_at.eq(Some(At(due))),
    ));
    Ok(renewed.execute(conn).await? > 0)
}

pub(crate) async fn count_sending(
    conn: &mut Connection,
    tenant: TenantId,
    endpoint: Uuid,
    now: DateTime<Utc>,
) -> Result<i64> {
    let sending = webhook_deliveries::table
        .filter(webhook_deliveries::tenant_id.eq(Id(tenant.0)))
        .filter(webhook_deliveries::endpoint_id.eq(Id(endpoint)))
        .filter(sql::<Bool>(SENDING))
        .filter(webhook_deliveries::due_at.gt(At(now)))
        .count();
    Ok(Prepared(sending).get_result(conn).await?)
}

pub(crate) async fn is_sending_of(conn: &mut Connection, tenant: TenantId, mailbox: Uuid) -> Result<bool> {
    let sending = webhook_deliveries::table
        .filter(webhook_deliveries::tenant_id.eq(Id(tenant.0)))
        .filter(webhook_deliveries::mailbox_id.eq(Some(Id(mailbox))))
        .filter(sql::<Bool>(SENDING))
        .select(webhook_deliveries::id);
    let found: Option<Id> = Prepared(Limited::new(sending, 1))
        .get_result(conn)
        .await
        .optional()?;
    Ok(found.is_some())
}

pub(crate) async fn next_due(conn: &mut Connection, tenant: TenantId, endpoint: Uuid) -> Result<Option<At>> {
    let next = webhook_deliveries::table
        .filter(webhook_deliveries::tenant_id.eq(Id(tenant.0)))
        .filter(webhook_deliveries::endpoint_id.eq(Id(endpoint)))
        .filter(webhook_deliveries::due_at.is_not_null())
        .order((webhook_deliveries::due_at, webhook_deliveries::position))
        .select(webhook_deliveries::due_at.assume_not_null());
    Ok(Limited::new(next, 1).get_result(conn).await.optional()?)
}

pub(crate) async fn events_at(
    conn: &mut Connection,
    tenant: TenantId,
    positions: Vec<i64>,
) -> Result<Vec<FoundEvent>> {
    let found = events::table
        .left_join(
            mailboxes::table.on(mailboxes::tenant_id
                .eq(events::tenant_id)
                .and(mailboxes::id.nullable().eq(events::mailbox_id))),
        )
        .left_join(
            messages::table.on(messages::tenant_id
                .eq(events::tenant_id)
                .and(messages::id.nullable().eq(events::message_id))),
        )
        .filter(events::tenant_id.eq(Id(tenant.0)))
        .filter(events::position.eq_any(padded(&positions)))
        .select((
            EventRow::as_select(),
            mailboxes::address.nullable(),
            Option::<KnownRow>::as_select(),
        ));
    Ok(Prepared(found).load(conn).await?)
}

pub(crate) async fn event_from(
    conn: &mut Connection,
    tenant: TenantId,
    place: i64,
    since: Option<DateTime<Utc>>,
) -> Result<Option<(i64, At)>> {
    let mut query = events::table
        .filter(events::tenant_id.eq(Id(tenant.0)))
        .filter(events::position.ge(place))
        .order(events::position)
        .select((events::position, events::created_at))
        .into_boxed::<Backend>();
    if let Some(since) = since {
        query = query.filter(events::created_at.ge(At(since)));
    }
    Ok(Limited::new(query, 1).get_result(conn).await.optional()?)
}

/// Deliveries with their events, of the endpoints that the caller sees.
macro_rules! shown {
    ($tenant:expr, $seen:expr) => {{
        let mut query = webhook_deliveries::table
            .inner_join(
                events::table.on(events::tenant_id
                    .eq(webhook_deliveries::tenant_id)
                    .and(events::position.eq(webhook_deliveries::position))),
            )
            .inner_join(
                webhook_endpoints::table.on(webhook_endpoints::tenant_id
                    .eq(webhook_deliveries::tenant_id)
                    .and(webhook_endpoints::id.eq(webhook_deliveries::endpoint_id))),
            )
            .filter(webhook_deliveries::tenant_id.eq(Id($tenant.0)))
            .select((Row::as_select(), events::id, events::kind))
            .into_boxed::<Backend>();
        if let Visibility::CreatedBy(member) = $seen {
            // A comparison that no index answers, so that the list is read in its own order.
            let own =
                sql::<Bool>("webhook_endpoints.member_id IS NOT DISTINCT FROM ").bind::<Guid, _>(Id(member));
            query = query.filter(own);
        }
        query
    }};
}

pub(crate) async fn list(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    filter: DeliveryFilter,
    page: PageRequest,
) -> Result<Vec<Found>> {
    let DeliveryFilter { endpoint, status } = filter;
    let mut query = shown!(tenant, seen);
    if let Some(endpoint) = endpoint {
        query = query.filter(webhook_deliveries::endpoint_id.eq(Id(endpoint)));
    }
    if let Some(status) = status {
        query = query.filter(webhook_deliveries::status.eq(status.as_str()));
        if status != DeliveryStatus::Succeeded {
            query = query.filter(sql::<Bool>(NOT_SUCCEEDED));
        }
    }
    let paged = paged!(
        query,
        webhook_deliveries::created_at,
        webhook_deliveries::id,
        page
    );
    Ok(paged.load(conn).await?)
}

pub(crate) async fn get(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    id: Uuid,
) -> Result<Option<Found>> {
    let query = shown!(tenant, seen).filter(webhook_deliveries::id.eq(Id(id)));
    Ok(query.get_result(conn).await.optional()?)
}

pub(crate) async fn find(
    conn: &mut Connection,
    tenant: TenantId,
    endpoint: Uuid,
    position: i64,
) -> Result<Option<Found>> {
    let query = shown!(tenant, Visibility::All)
        .filter(webhook_deliveries::position.eq(position))
        .filter(webhook_deliveries::endpoint_id.eq(Id(endpoint)));
    Ok(query.get_result(conn).await.optional()?)
}

pub(crate) async fn retry(
    conn: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<()> {
    let one = webhook_deliveries::table
        .filter(webhook_deliveries::tenant_id.eq(Id(tenant.0)))
        .filter(webhook_deliveries::id.eq(Id(id)));
    diesel::update(one)
        .set((
            webhook_deliveries::status.eq(DeliveryStatus::Pending.as_str()),
            webhook_deliveries::attempts.eq(0),
            webhook_deliveries::due_at.eq(Some(At(now))),
        ))
        .execute(conn)
        .await?;
    Ok(())
}
