//! SQL for the log of events.

use diesel::{dsl::sql, prelude::*, sql_types::Bool};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Backend, Connection, append_events};
use crate::{
    model::{
        Result,
        caller::Visibility,
        event::{EventFilter, EventOrder, EventPosition, EventType},
        id::TenantId,
    },
    store::{
        events::{EventSpan, Found, KnownRow, NewRows, Row},
        schema::{event_counters, events, mailboxes, messages},
        statement::Limited,
        types::{At, Guid, Id},
    },
};

pub(crate) async fn append(conn: &mut Connection, new: NewRows) -> Result<()> {
    append_events(conn, new).await
}

pub(crate) async fn last(conn: &mut Connection, tenant: TenantId) -> Result<Option<i64>> {
    let counter = event_counters::table
        .filter(event_counters::tenant_id.eq(Id(tenant.0)))
        .select(event_counters::position);
    Ok(Limited::new(counter, 1).get_result(conn).await.optional()?)
}

/// Narrows a boxed query to a span of the log, and orders it.
macro_rules! spanned {
    ($query:expr, $span:expr) => {{
        let (mut query, span): (_, EventSpan) = ($query, $span);
        let place = |place: Option<EventPosition>| place.map(|EventPosition(place)| place);
        match span.order {
            EventOrder::Ascending => {
                if let Some(after) = place(span.after) {
                    query = query.filter(events::position.gt(after));
                }
                if let Some(until) = place(span.until) {
                    query = query.filter(events::position.le(until));
                }
                query.order(events::position.asc())
            }
            EventOrder::Descending => {
                if let Some(after) = place(span.after) {
                    query = query.filter(events::position.lt(after));
                }
                if let Some(until) = place(span.until) {
                    query = query.filter(events::position.ge(until));
                }
                query.order(events::position.desc())
            }
        }
    }};
}

pub(crate) async fn after(
    conn: &mut Connection,
    tenant: TenantId,
    mailbox: Option<Uuid>,
    span: EventSpan,
    count: i64,
) -> Result<Option<i64>> {
    let mut query = events::table
        .filter(events::tenant_id.eq(Id(tenant.0)))
        .select(events::position)
        .into_boxed::<Backend>();
    if let Some(mailbox) = mailbox {
        query = query.filter(events::mailbox_id.eq(Some(Id(mailbox))));
    }
    Ok(spanned!(query, span)
        .offset(count - 1)
        .limit(1)
        .get_result(conn)
        .await
        .optional()?)
}

pub(crate) async fn list(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    filter: &EventFilter,
    span: EventSpan,
) -> Result<Vec<Found>> {
    let EventFilter { mailbox_id, kinds } = filter;
    let mut query = events::table
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
        .select((
            Row::as_select(),
            mailboxes::address.nullable(),
            Option::<KnownRow>::as_select(),
        ))
        .into_boxed::<Backend>();
    if let Some(mailbox) = mailbox_id {
        query = query.filter(events::mailbox_id.eq(Some(Id(*mailbox))));
    }
    if !kinds.is_empty() {
        let words: Vec<&str> = kinds.iter().copied().map(EventType::as_str).collect();
        query = query.filter(events::kind.eq_any(words));
    }
    if let Visibility::CreatedBy(member) = seen {
        // A comparison that no index answers, so that the log is read in its own order.
        let created = sql::<Bool>("mailboxes.created_by IS NOT DISTINCT FROM ").bind::<Guid, _>(Id(member));
        query = query.filter(created);
    }
    Ok(load!(conn, Limited::new(spanned!(query, span), span.limit)))
}

pub(crate) async fn oldest(conn: &mut Connection, tenant: TenantId, limit: i64) -> Result<Vec<(i64, At)>> {
    let oldest = events::table
        .filter(events::tenant_id.eq(Id(tenant.0)))
        .order(events::position)
        .select((events::position, events::created_at));
    Ok(Limited::new(oldest, limit).load(conn).await?)
}

pub(crate) async fn erase(conn: &mut Connection, tenant: TenantId, last: i64) -> Result<usize> {
    Ok(diesel::delete(
        events::table
            .filter(events::tenant_id.eq(Id(tenant.0)))
            .filter(events::position.le(last)),
    )
    .execute(conn)
    .await?)
}
