//! Deliveries: one for each event and endpoint, made from the log, taken to be sent, and marked with what came of it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::{
    Conn,
    events::read as read_event,
    on,
    schema::webhook_deliveries,
    types::{At, Id},
    unreadable,
};
use crate::model::{
    Result,
    caller::Visibility,
    event::{Event, EventPosition, EventType},
    id::{self, TenantId},
    page::{Page, PageRequest, Position},
    webhook::{Attempt, Delivery, DeliveryFilter, DeliveryStatus},
};

/// A new row of `webhook_deliveries`.
pub(crate) struct NewRow {
    pub(crate) tenant_id: Id,
    pub(crate) id: Id,
    pub(crate) endpoint_id: Id,
    pub(crate) position: i64,
    pub(crate) mailbox_id: Option<Id>,
    pub(crate) status: &'static str,
    pub(crate) attempts: i32,
    pub(crate) claim: i64,
    pub(crate) due_at: Option<At>,
    pub(crate) created_at: At,
}

/// A row of `webhook_deliveries`, as it is shown.
#[derive(Queryable, Selectable)]
#[diesel(table_name = webhook_deliveries)]
pub(crate) struct Row {
    id: Id,
    endpoint_id: Id,
    status: String,
    attempts: i32,
    due_at: Option<At>,
    attempted_at: Option<At>,
    duration_ms: Option<i64>,
    response_status: Option<i32>,
    response_body: Option<String>,
    error: Option<String>,
    created_at: At,
}

/// A row with the id and the type of its event.
pub(crate) type Found = (Row, Id, String);

/// What is written of an attempt.
#[derive(AsChangeset)]
#[diesel(table_name = webhook_deliveries, treat_none_as_null = true)]
pub(crate) struct Marked {
    status: &'static str,
    attempts: i32,
    due_at: Option<At>,
    attempted_at: Option<At>,
    duration_ms: Option<i64>,
    response_status: Option<i32>,
    response_body: Option<String>,
    error: Option<String>,
}

/// An event as endpoints decide by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// Its place in the log.
    pub position: EventPosition,
    /// What happened.
    pub kind: EventType,
    /// Where.
    pub mailbox: Option<Uuid>,
    /// The agent or team that the mailbox was bound to.
    pub bound: Option<Uuid>,
    /// The member who created the mailbox.
    pub member: Option<Uuid>,
}

/// A delivery that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewDelivery {
    /// To whom.
    pub endpoint: Uuid,
    /// Of which event.
    pub position: EventPosition,
    /// The mailbox that must be enabled.
    pub mailbox: Option<Uuid>,
}

/// A delivery whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueDelivery {
    /// Its id.
    pub id: Uuid,
    /// Of which event.
    pub position: EventPosition,
    /// The mailbox that must be enabled.
    pub mailbox: Option<Uuid>,
    /// How often it was taken.
    pub claim: i64,
    /// How many attempts have failed.
    pub attempts: u32,
}

/// Whether what is about a mailbox's messages may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// Not before the mailbox is enabled.
    Shut,
    /// Never again: the mailbox was deleted.
    Gone,
}

/// What an attempt leaves behind.
#[derive(Debug, Clone)]
pub struct Mark {
    /// The delivery.
    pub id: Uuid,
    /// The number under which it was taken.
    pub claim: i64,
    /// What has become of it.
    pub status: DeliveryStatus,
    /// How many attempts were made.
    pub attempts: u32,
    /// When it is tried next.
    pub next_at: Option<DateTime<Utc>>,
    /// What came of this one.
    pub attempt: Attempt,
}

impl Mark {
    fn write(self) -> (Uuid, i64, Marked) {
        let Self {
            id,
            claim,
            status,
            attempts,
            next_at,
            attempt,
        } = self;
        let marked = Marked {
            status: status.as_str(),
            attempts: count(attempts),
            due_at: next_at.map(At),
            attempted_at: Some(At(attempt.at)),
            duration_ms: i64::try_from(attempt.duration.as_millis()).ok(),
            response_status: attempt.status.map(i32::from),
            response_body: attempt.body,
            error: attempt.error,
        };
        (id, claim, marked)
    }
}

fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn read((row, event, kind): Found) -> Result<Delivery> {
    let status = DeliveryStatus::parse(&row.status);
    let status = status.ok_or_else(|| unreadable("webhook_deliveries.status"))?;
    let last = row.attempted_at.map(|at| Attempt {
        at: at.0,
        duration: Duration::from_millis(
            row.duration_ms
                .and_then(|ms| u64::try_from(ms).ok())
                .unwrap_or_default(),
        ),
        status: row.response_status.and_then(|status| u16::try_from(status).ok()),
        body: row.response_body,
        error: row.error,
    });
    Ok(Delivery {
        id: row.id.0,
        endpoint: row.endpoint_id.0,
        event: event.0,
        kind: EventType::parse(&kind).ok_or_else(|| unreadable("events.type"))?,
        status,
        attempts: u32::try_from(row.attempts).unwrap_or_default(),
        // While it is on its way this is the end of its lease, which is nobody's business.
        next_at: row
            .due_at
            .filter(|_| status == DeliveryStatus::Pending)
            .map(DateTime::from),
        last,
        created_at: row.created_at.0,
    })
}

impl Conn {
    /// The events after a place of the log and up to another, as endpoints decide by them, so many at most.
    pub async fn list_news(
        &mut self,
        tenant: TenantId,
        after: EventPosition,
        until: EventPosition,
        limit: i64,
    ) -> Result<Vec<News>> {
        let rows = on!(self, deliveries::news(tenant, after.0, until.0, limit))?;
        let read =
            |(position, kind, mailbox, bound, member): (i64, String, Option<Id>, Option<Id>, Option<Id>)| {
                Ok(News {
                    position: EventPosition(position),
                    kind: EventType::parse(&kind).ok_or_else(|| unreadable("events.type"))?,
                    mailbox: mailbox.map(Uuid::from),
                    bound: bound.map(Uuid::from),
                    member: member.map(Uuid::from),
                })
            };
        rows.into_iter().map(read).collect()
    }

    /// Makes deliveries that are due at once; one that is there is made anew.
    pub async fn create_deliveries(
        &mut self,
        tenant: TenantId,
        new: &[NewDelivery],
        now: DateTime<Utc>,
    ) -> Result<()> {
        let rows: Vec<NewRow> = new
            .iter()
            .map(|new| NewRow {
                tenant_id: Id(tenant.0),
                id: Id(id::new()),
                endpoint_id: Id(new.endpoint),
                position: new.position.0,
                mailbox_id: new.mailbox.map(Id),
                status: DeliveryStatus::Pending.as_str(),
                attempts: 0,
                claim: 0,
                due_at: Some(At(now)),
                created_at: At(now),
            })
            .collect();
        on!(self, deliveries::create(rows))
    }

    /// The deliveries of an endpoint whose time has come, the one that has waited longest first, so many at most.
    pub async fn due_deliveries(
        &mut self,
        tenant: TenantId,
        endpoint: Uuid,
        now: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<DueDelivery>> {
        let rows = on!(self, deliveries::due(tenant, endpoint, now, limit))?;
        let read = |(id, position, mailbox, claim, attempts): (Id, i64, Option<Id>, i64, i32)| DueDelivery {
            id: id.0,
            position: EventPosition(position),
            mailbox: mailbox.map(Uuid::from),
            claim,
            attempts: u32::try_from(attempts).unwrap_or_default(),
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// The gates of these mailboxes. Until the transaction ends [`Self::bar_mailbox`] waits, and nothing else does: a sync
    /// goes on storing.
    pub async fn share_gates(&mut self, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<(Uuid, Gate)>> {
        let rows = on!(self, deliveries::share_gates(tenant, ids))?;
        let read = |(id, enabled, retired): (Id, bool, Option<At>)| {
            let gate = match (enabled, retired) {
                (_, Some(_)) => Gate::Gone,
                (true, None) => Gate::Open,
                (false, None) => Gate::Shut,
            };
            (id.0, gate)
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Before a mailbox is disabled or deleted: waits until nobody counts on its gate, and nobody does until the transaction
    /// ends.
    pub async fn bar_mailbox(&mut self, tenant: TenantId, mailbox: Uuid) -> Result<()> {
        on!(self, deliveries::bar(tenant, mailbox))
    }

    /// Lets deliveries wait until their mailbox is enabled.
    pub async fn hold_deliveries(&mut self, tenant: TenantId, ids: &[Uuid]) -> Result<()> {
        on!(self, deliveries::hold(tenant, ids, DeliveryStatus::Pending))
    }

    /// Ends deliveries without an attempt.
    pub async fn drop_deliveries(&mut self, tenant: TenantId, ids: &[Uuid]) -> Result<()> {
        on!(self, deliveries::hold(tenant, ids, DeliveryStatus::Failed))
    }

    /// Lets the deliveries go that waited for this mailbox's gate.
    pub async fn release_deliveries(
        &mut self,
        tenant: TenantId,
        mailbox: Uuid,
        now: DateTime<Utc>,
    ) -> Result<usize> {
        on!(self, deliveries::release(tenant, mailbox, now))
    }

    /// Takes deliveries to be sent: from now on until this time they are nobody else's.
    pub async fn claim_deliveries(
        &mut self,
        tenant: TenantId,
        ids: &[Uuid],
        until: DateTime<Utc>,
    ) -> Result<()> {
        on!(self, deliveries::claim(tenant, ids, until))
    }

    /// Marks deliveries; false for one that was taken again since, or made anew.
    pub async fn mark_deliveries(&mut self, tenant: TenantId, marks: Vec<Mark>) -> Result<Vec<bool>> {
        let marks: Vec<_> = marks.into_iter().map(Mark::write).collect();
        let changed = on!(self, deliveries::mark(tenant, &marks))?;
        Ok(changed.into_iter().map(|rows| rows > 0).collect())
    }

    /// Leaves a delivery that was taken under this number to its sender for longer; false when it is somebody else's.
    pub async fn renew_delivery(
        &mut self,
        tenant: TenantId,
        (id, claim): (Uuid, i64),
        until: DateTime<Utc>,
    ) -> Result<bool> {
        let renewed = (DeliveryStatus::Sending, until);
        on!(self, deliveries::renew(tenant, id, claim, renewed))
    }

    /// Gives a delivery back that was taken under this number and not sent.
    pub async fn return_delivery(
        &mut self,
        tenant: TenantId,
        (id, claim): (Uuid, i64),
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let returned = (DeliveryStatus::Pending, now);
        on!(self, deliveries::renew(tenant, id, claim, returned))
    }

    /// How many deliveries of an endpoint are on their way.
    pub async fn count_sending(
        &mut self,
        tenant: TenantId,
        endpoint: Uuid,
        now: DateTime<Utc>,
    ) -> Result<usize> {
        let count = on!(self, deliveries::count_sending(tenant, endpoint, now))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// Whether a delivery of this mailbox's messages is on its way, or was when its sender died.
    pub async fn is_sending_of(&mut self, tenant: TenantId, mailbox: Uuid) -> Result<bool> {
        on!(self, deliveries::is_sending_of(tenant, mailbox))
    }

    /// When the next delivery of an endpoint is due.
    pub async fn next_due_delivery(
        &mut self,
        tenant: TenantId,
        endpoint: Uuid,
    ) -> Result<Option<DateTime<Utc>>> {
        Ok(on!(self, deliveries::next_due(tenant, endpoint))?.map(DateTime::from))
    }

    /// The events at these places of the log.
    pub async fn events_at(&mut self, tenant: TenantId, positions: &[EventPosition]) -> Result<Vec<Event>> {
        let positions = positions.iter().map(|position| position.0).collect();
        let found = on!(self, deliveries::events_at(tenant, positions))?;
        found.into_iter().map(read_event).collect()
    }

    /// The place and the time of the first event at or after a place of the log.
    pub async fn event_from(
        &mut self,
        tenant: TenantId,
        place: EventPosition,
    ) -> Result<Option<(EventPosition, DateTime<Utc>)>> {
        let found = on!(self, deliveries::event_from(tenant, place.0, None))?;
        Ok(found.map(|(position, at)| (EventPosition(position), at.0)))
    }

    /// The same of the first one that is not from before this time.
    pub async fn event_since(
        &mut self,
        tenant: TenantId,
        place: EventPosition,
        since: DateTime<Utc>,
    ) -> Result<Option<EventPosition>> {
        let found = on!(self, deliveries::event_from(tenant, place.0, Some(since)))?;
        Ok(found.map(|(position, _)| EventPosition(position)))
    }

    /// The deliveries that the caller sees, newest first.
    pub async fn list_deliveries(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        filter: DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<Delivery>> {
        let rows = on!(self, deliveries::list(tenant, seen, filter, page))?;
        let rows = rows.into_iter().map(read).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(rows, page.limit, |delivery| Position {
            at: delivery.created_at,
            id: delivery.id,
        }))
    }

    /// One delivery that the caller sees.
    pub async fn get_delivery(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        id: Uuid,
    ) -> Result<Option<Delivery>> {
        on!(self, deliveries::get(tenant, seen, id))?
            .map(read)
            .transpose()
    }

    /// The delivery of an event to an endpoint.
    pub async fn find_delivery(
        &mut self,
        tenant: TenantId,
        endpoint: Uuid,
        position: EventPosition,
    ) -> Result<Option<Delivery>> {
        let found = on!(self, deliveries::find(tenant, endpoint, position.0))?;
        found.map(read).transpose()
    }

    /// Makes a delivery due at once, with its whole schedule before it.
    pub async fn retry_delivery(&mut self, tenant: TenantId, id: Uuid, now: DateTime<Utc>) -> Result<()> {
        on!(self, deliveries::retry(tenant, id, now))
    }
}
