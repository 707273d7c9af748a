//! The log of events: written with the change itself, read by position.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Conn,
    messages::read_participants,
    on,
    placements::CHUNK,
    schema::{events, messages},
    types::{At, Id},
    unreadable,
};
use crate::model::{
    Error, Result,
    caller::Visibility,
    event::{
        Draft, Event, EventEndpoint, EventFilter, EventMailbox, EventMessage, EventOrder, EventPosition,
        EventType, KnownMessage, Transition,
    },
    id::TenantId,
    mailbox::ConnectionError,
    message::ParticipantKind,
    state::State,
    webhook::DisabledReason,
};

/// Events that are written together, of one mailbox or of none.
pub(crate) struct NewRows {
    pub(crate) tenant: Id,
    pub(crate) mailbox: Option<Id>,
    pub(crate) agent: Option<Id>,
    pub(crate) at: At,
    pub(crate) rows: Vec<NewRow>,
}

/// What tells one of them from the others.
pub(crate) struct NewRow {
    pub(crate) id: Id,
    pub(crate) kind: &'static str,
    pub(crate) message: Option<Id>,
    pub(crate) detail: Option<String>,
}

/// A row of `events`, as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = events)]
pub(crate) struct Row {
    position: i64,
    id: Id,
    kind: String,
    mailbox_id: Option<Id>,
    sequence: Option<i64>,
    message_id: Option<Id>,
    detail: Option<String>,
    created_at: At,
}

/// What an event shows of its message.
#[derive(Queryable, Selectable)]
#[diesel(table_name = messages)]
pub(crate) struct KnownRow {
    thread_id: Id,
    subject: Option<String>,
    participants: String,
    received_at: At,
    snippet: String,
}

/// A row with the address of its mailbox, and with its message unless that is erased.
pub(crate) type Found = (Row, Option<String>, Option<KnownRow>);

/// The part of the log that a query looks at: after the first place and up to the second, seen from the order's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventSpan {
    /// In which direction.
    pub order: EventOrder,
    /// The place that was read last.
    pub after: Option<EventPosition>,
    /// The last place to look at.
    pub until: Option<EventPosition>,
    /// How many events at most.
    pub limit: i64,
}

/// What the log keeps of a change of state.
#[derive(Serialize, Deserialize)]
struct Detail {
    from: String,
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<DetailError>,
}

/// What the log keeps of a webhook endpoint.
#[derive(Serialize, Deserialize)]
struct EndpointDetail {
    endpoint: Uuid,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

fn write_endpoint(endpoint: &EventEndpoint) -> Result<String> {
    let EventEndpoint { id, url, reason } = endpoint;
    let detail = EndpointDetail {
        endpoint: *id,
        url: url.clone(),
        reason: reason.map(|reason| reason.as_str().to_owned()),
    };
    serde_json::to_string(&detail).map_err(Error::internal)
}

fn read_endpoint(text: &str) -> Result<EventEndpoint> {
    let unreadable = || unreadable("events.detail");
    let detail: EndpointDetail = serde_json::from_str(text).map_err(|_| unreadable())?;
    let reason = detail.reason.as_deref();
    Ok(EventEndpoint {
        id: detail.endpoint,
        url: detail.url,
        reason: reason
            .map(|word| DisabledReason::parse(word).ok_or_else(unreadable))
            .transpose()?,
    })
}

#[derive(Serialize, Deserialize)]
struct DetailError {
    code: String,
    message: String,
    since: DateTime<Utc>,
}

fn write_detail(transition: &Transition) -> Result<String> {
    let Transition { from, to, error } = transition;
    let error = error.as_ref().map(|error| DetailError {
        code: error.code.clone(),
        message: error.message.clone(),
        since: error.since,
    });
    let detail = Detail {
        from: from.as_str().to_owned(),
        to: to.as_str().to_owned(),
        error,
    };
    serde_json::to_string(&detail).map_err(Error::internal)
}

fn read_detail(text: &str) -> Result<Transition> {
    let unreadable = || unreadable("events.detail");
    let Detail { from, to, error } = serde_json::from_str(text).map_err(|_| unreadable())?;
    let state = |word: &str| State::parse(word).ok_or_else(unreadable);
    Ok(Transition {
        from: state(&from)?,
        to: state(&to)?,
        error: error.map(|error| ConnectionError {
            code: error.code,
            message: error.message,
            since: error.since,
        }),
    })
}

impl NewRow {
    fn write(draft: &Draft) -> Result<Self> {
        Ok(Self {
            id: draft.id.into(),
            kind: draft.kind.as_str(),
            message: draft.message.map(Id),
            detail: match (&draft.transition, &draft.endpoint) {
                (Some(transition), _) => Some(write_detail(transition)?),
                (None, Some(endpoint)) => Some(write_endpoint(endpoint)?),
                (None, None) => None,
            },
        })
    }
}

impl KnownRow {
    fn read(self) -> Result<KnownMessage> {
        let participants = read_participants(&self.participants)?.into_iter();
        let authors = participants.filter(|one| one.kind == ParticipantKind::From);
        Ok(KnownMessage {
            thread_id: self.thread_id.into(),
            subject: self.subject,
            from: authors.map(|one| one.address).collect(),
            received_at: self.received_at.into(),
            snippet: self.snippet,
        })
    }
}

pub(crate) fn read((row, address, message): Found) -> Result<Event> {
    let known = message.map(KnownRow::read).transpose()?;
    let mailbox = row.mailbox_id.zip(address);
    let kind = EventType::parse(&row.kind).ok_or_else(|| unreadable("events.type"))?;
    let detail = row.detail.as_deref();
    let (transition, endpoint) = match kind {
        EventType::WebhookEndpointDisabled | EventType::Ping => {
            (None, detail.map(read_endpoint).transpose()?)
        }
        _ => (detail.map(read_detail).transpose()?, None),
    };
    Ok(Event {
        position: EventPosition(row.position),
        id: row.id.into(),
        kind,
        at: row.created_at.into(),
        sequence: row.sequence,
        mailbox: mailbox.map(|(id, address)| EventMailbox { id: id.0, address }),
        message: row.message_id.map(|id| EventMessage { id: id.0, known }),
        transition,
        endpoint,
    })
}

impl Conn {
    /// Writes events with the next positions of the tenant's log, and with the next numbers of the mailbox. `agent` is the
    /// agent or team that it is bound to.
    ///
    /// To be the last statement of a transaction: the tenant's counter is locked from here to its end, so that positions
    /// are in the order of the commits. A mailbox's row is locked before.
    pub async fn append_events(
        &mut self,
        tenant: TenantId,
        (mailbox, agent): (Option<Uuid>, Option<Uuid>),
        drafts: &[Draft],
        at: DateTime<Utc>,
    ) -> Result<()> {
        for chunk in drafts.chunks(CHUNK) {
            let rows = NewRows {
                tenant: Id(tenant.0),
                mailbox: mailbox.map(Id),
                agent: agent.map(Id),
                at: At(at),
                rows: chunk.iter().map(NewRow::write).collect::<Result<_>>()?,
            };
            on!(self, events::append(rows))?;
        }
        Ok(())
    }

    /// The place of the last event of a tenant.
    pub async fn last_event(&mut self, tenant: TenantId) -> Result<EventPosition> {
        let last = on!(self, events::last(tenant))?;
        Ok(last.map_or(EventPosition::START, EventPosition))
    }

    /// The place of the event that comes so many after another one, of the mailbox that the filter names if it does; `None`
    /// where fewer follow.
    pub async fn event_after(
        &mut self,
        tenant: TenantId,
        mailbox: Option<Uuid>,
        span: EventSpan,
        count: i64,
    ) -> Result<Option<EventPosition>> {
        Ok(on!(self, events::after(tenant, mailbox, span, count))?.map(EventPosition))
    }

    /// The events of a span that the caller sees.
    pub async fn list_events(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        filter: &EventFilter,
        span: EventSpan,
    ) -> Result<Vec<Event>> {
        let found = on!(self, events::list(tenant, seen, filter, span))?;
        found.into_iter().map(read).collect()
    }

    /// Erases the oldest events of a tenant, up to the first that is not from before this time; so many at most. Answers how
    /// many there were.
    pub async fn erase_events(
        &mut self,
        tenant: TenantId,
        before: DateTime<Utc>,
        limit: i64,
    ) -> Result<usize> {
        let oldest = on!(&mut *self, events::oldest(tenant, limit))?;
        let old = oldest.iter().take_while(|(_, at)| at.0 < before);
        match old.last() {
            None => Ok(0),
            Some((last, _)) => on!(self, events::erase(tenant, *last)),
        }
    }
}
