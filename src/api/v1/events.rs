//! The log of events: in pages, and as a stream.

use poem::Request;
use poem_openapi::{
    OpenApi,
    param::{Header, Query},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Call, Failure, Tag, WrittenAnswer, default_limit};
use crate::{
    api::{answers::Written, auth::Standing, event_stream::Stream},
    model::{
        Error, Result,
        error::{FieldError, Place},
        event::{EventFilter, EventPageRequest, EventPosition},
    },
    service::events,
    wire::v1::event::{EventList, EventOrder, EventType},
};

/// The name of the header in which a stream is resumed.
const LAST_EVENT_ID: &str = "Last-Event-ID";

/// Handlers of events.
pub(super) struct Events {
    /// Cancelled when the process is to stop: streams end then.
    pub(super) stop: CancellationToken,
}

#[OpenApi(tag = "Tag::Events")]
impl Events {
    /// List events
    ///
    /// The log of everything that happened in the mailboxes that the caller sees, in the order in which it was committed,
    /// oldest first: nothing ever comes in before an event that was read. Events are kept for as long as the operator has
    /// set, 30 days by default; a cursor from before begins with the oldest that is kept, and `sequence` shows the gap. With
    /// `type`, and for an employee, a page looks at 5,000 events: it may then have fewer rows than `limit`, or none, and
    /// `next_cursor` goes on until it is null. Needs the scope `webhooks:read`.
    #[oai(path = "/events", method = "get", operation_id = "list_events")]
    async fn list(
        &self,
        call: Call,
        /// Events of this mailbox.
        mailbox_id: Query<Option<Uuid>>,
        /// Events of this type; given several times, of any of these.
        #[oai(name = "type")]
        kinds: Query<Option<Vec<EventType>>>,
        /// Oldest or newest first.
        #[oai(default)]
        order: Query<EventOrder>,
        /// Events on a page, 1 to 200.
        #[oai(
            default = "default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u16>,
        /// `next_cursor` of the page before, or the `cursor` of an event.
        cursor: Query<Option<String>>,
    ) -> WrittenAnswer<EventList> {
        let page = EventPageRequest::parse(Some(limit.0), order.0.into(), cursor.0.as_deref())?;
        let filter = filter(mailbox_id.0, kinds.0);
        let events = events::list(&call.app, call.caller()?, filter, page).await?;
        Ok(Written(EventList::new(events, &call.app.config.http.public_url)))
    }

    /// Follow events
    ///
    /// Server-sent events: each has the event as its `data`, its type as `event` and its `cursor` as `id`. It begins with
    /// what follows `Last-Event-ID`, else `cursor`, else with what happens from now on. A client that was cut off sends the
    /// last `id` that it got, which browsers do by themselves, and goes on without a gap or a repeat. A first message without
    /// data tells the `id` to begin from, and one comes every 15 seconds in which nothing else does. The stream ends when the
    /// credential does, when it may not read events any more, and when the server stops: connect again. At most 100 of a
    /// tenant are open at a time (429). Needs the scope `webhooks:read`.
    #[oai(path = "/events/stream", method = "get", operation_id = "stream_events")]
    async fn stream(
        &self,
        call: Call,
        request: &Request,
        /// Events of this mailbox.
        mailbox_id: Query<Option<Uuid>>,
        /// Events of this type; given several times, of any of these.
        #[oai(name = "type")]
        kinds: Query<Option<Vec<EventType>>>,
        /// The `cursor` of the last event that is known.
        cursor: Query<Option<String>>,
        /// The last `id` that was got.
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<String>>,
    ) -> Result<Stream, Failure> {
        let named = match last_event_id.0.filter(|id| !id.is_empty()) {
            Some(id) => Some((id, (LAST_EVENT_ID, Place::Header))),
            None => cursor.0.map(|cursor| (cursor, ("cursor", Place::Query))),
        };
        let after = named
            .as_ref()
            .map(|(text, name)| place(text, *name))
            .transpose()?;
        let name = named.map_or(("cursor", Place::Query), |(_, name)| name);
        let filter = filter(mailbox_id.0, kinds.0);
        let follow = events::follow(&call.app, call.caller()?, filter, after, name).await?;
        let standing = Standing::of(request, call.app)?;
        Ok(Stream::new(follow, standing, self.stop.clone()))
    }
}

fn filter(mailbox_id: Option<Uuid>, kinds: Option<Vec<EventType>>) -> EventFilter {
    EventFilter {
        mailbox_id,
        kinds: kinds.unwrap_or_default().into_iter().map(Into::into).collect(),
    }
}

/// A place of the log, from the text of a parameter or a header.
fn place(text: &str, (name, place): (&str, Place)) -> Result<EventPosition> {
    EventPosition::from_cursor(text).ok_or_else(|| {
        Error::Invalid(vec![FieldError {
            path: vec![name.to_owned()],
            place,
            detail: "This is not a place in the log: send the `cursor` or `id` of an event.".to_owned(),
        }])
    })
}
