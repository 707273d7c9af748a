//! Events: what happened, as the log and the stream show it.

use poem_openapi::{Enum, Object, types::Example};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Time, example,
    mailbox::{MailboxError, State},
    message::Address,
    webhook::DisabledReason,
};
use crate::model;

/// What happened. `message.received`: a message came in. `message.updated`: one changed, came back, or is new and not an
/// incoming one. `message.deleted`: one was deleted. `mailbox.created`, `mailbox.updated`: a mailbox was connected, or
/// changed in something other than its state. `mailbox.deleted`: one was deleted, with its messages, which have no events of
/// their own then. `mailbox.state_changed`: it has another state. `mailbox.reauth_required`: the server refused its
/// credentials. `mailbox.backfill_completed`: what it had when it was connected is synced; there is no `message.received`
/// for that. `webhook_endpoint.disabled`: an endpoint is gone, or has failed for five days. `ping`: a caller tries an
/// endpoint, which alone is sent it. More values may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[oai(remote = "model::event::EventType")]
pub enum EventType {
    /// A message came in.
    #[serde(rename = "message.received")]
    #[oai(rename = "message.received")]
    MessageReceived,
    /// A message changed, came back, or is new and not an incoming one.
    #[serde(rename = "message.updated")]
    #[oai(rename = "message.updated")]
    MessageUpdated,
    /// A message was deleted.
    #[serde(rename = "message.deleted")]
    #[oai(rename = "message.deleted")]
    MessageDeleted,
    /// A mailbox was connected.
    #[serde(rename = "mailbox.created")]
    #[oai(rename = "mailbox.created")]
    MailboxCreated,
    /// A mailbox changed in something other than its state.
    #[serde(rename = "mailbox.updated")]
    #[oai(rename = "mailbox.updated")]
    MailboxUpdated,
    /// A mailbox was deleted.
    #[serde(rename = "mailbox.deleted")]
    #[oai(rename = "mailbox.deleted")]
    MailboxDeleted,
    /// A mailbox has another state.
    #[serde(rename = "mailbox.state_changed")]
    #[oai(rename = "mailbox.state_changed")]
    MailboxStateChanged,
    /// The server refused a mailbox's credentials.
    #[serde(rename = "mailbox.reauth_required")]
    #[oai(rename = "mailbox.reauth_required")]
    MailboxReauthRequired,
    /// What a mailbox had when it was connected is synced.
    #[serde(rename = "mailbox.backfill_completed")]
    #[oai(rename = "mailbox.backfill_completed")]
    MailboxBackfillCompleted,
    /// A webhook endpoint was disabled, because it is gone or has failed for too long.
    #[serde(rename = "webhook_endpoint.disabled")]
    #[oai(rename = "webhook_endpoint.disabled")]
    WebhookEndpointDisabled,
    /// A caller tries a webhook endpoint.
    #[serde(rename = "ping")]
    #[oai(rename = "ping")]
    Ping,
}

/// The direction in which the log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Enum)]
#[oai(rename_all = "snake_case", remote = "model::event::EventOrder")]
pub enum EventOrder {
    /// Oldest first.
    #[default]
    #[oai(rename = "asc")]
    Ascending,
    /// Newest first.
    #[oai(rename = "desc")]
    Descending,
}

/// The mailbox that an event is about, or in which it happened.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct EventMailbox {
    /// The mailbox's id.
    pub id: Uuid,
    /// Its email address.
    pub address: String,
    /// Where it can be read.
    pub url: String,
}

/// The message that an event is about: as it is when the event is read, and only its id once it is erased.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct EventMessage {
    /// The message's id.
    pub id: Uuid,
    /// The thread that it belongs to.
    #[oai(nullable)]
    pub thread_id: Option<Uuid>,
    /// `Subject`, decoded.
    #[oai(nullable)]
    pub subject: Option<String>,
    /// The authors.
    pub from: Vec<Address>,
    /// When the server received it.
    #[oai(nullable)]
    pub received_at: Option<Time>,
    /// The first words of the text, at most 200 characters.
    #[oai(nullable)]
    pub snippet: Option<String>,
    /// Where it can be read; 404 once it is deleted.
    pub url: String,
}

/// What became of a mailbox's state at the time of the event.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct EventStateChange {
    /// The state before.
    pub previous_state: State,
    /// The state since.
    pub state: State,
    /// Why the connection does not work; null while it does.
    #[oai(nullable)]
    pub error: Option<MailboxError>,
}

/// The webhook endpoint that an event is about, as it was at the time.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct EventEndpoint {
    /// The endpoint's id.
    pub id: Uuid,
    /// Where it was.
    pub url: String,
    /// Why it was disabled; null where it was not.
    #[oai(nullable)]
    pub disabled_reason: Option<DisabledReason>,
}

impl From<model::event::EventEndpoint> for EventEndpoint {
    fn from(endpoint: model::event::EventEndpoint) -> Self {
        let model::event::EventEndpoint { id, url, reason } = endpoint;
        Self {
            id,
            url,
            disabled_reason: reason.map(Into::into),
        }
    }
}

/// What an event is about: ids, a few words, and where the rest can be read.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct EventData {
    /// The mailbox that it is about, or in which it happened.
    #[oai(nullable)]
    pub mailbox: Option<EventMailbox>,
    /// The message that it is about.
    #[oai(nullable)]
    pub message: Option<EventMessage>,
    /// What became of the mailbox's state.
    #[oai(nullable)]
    pub state_change: Option<EventStateChange>,
    /// The webhook endpoint that it is about.
    #[oai(nullable)]
    pub webhook_endpoint: Option<EventEndpoint>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
#[oai(example)]
pub struct Event {
    /// The event's id: the same wherever it is shown.
    pub id: Uuid,
    /// What happened.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: EventType,
    /// When it happened.
    pub timestamp: Time,
    /// Its number among the events of its mailbox, which are 1, 2, 3 and so on, without a gap.
    #[oai(nullable)]
    pub sequence: Option<i64>,
    /// Its place in the tenant's log: send it as `cursor`, or as `Last-Event-ID`, to go on after it.
    pub cursor: String,
    /// What it is about.
    pub data: EventData,
}

impl Event {
    /// The event; `base` is what its links begin with.
    pub fn new(event: model::event::Event, base: &str) -> Self {
        let model::event::Event {
            position,
            id,
            kind,
            at,
            sequence,
            mailbox,
            message,
            transition,
            endpoint,
        } = event;
        let data = EventData {
            mailbox: mailbox.map(|mailbox| EventMailbox::new(mailbox, base)),
            message: message.map(|message| EventMessage::new(message, base)),
            state_change: transition.map(Into::into),
            webhook_endpoint: endpoint.map(Into::into),
        };
        Self {
            id,
            kind: kind.into(),
            timestamp: at.into(),
            sequence,
            cursor: position.to_cursor(),
            data,
        }
    }
}

impl EventMailbox {
    fn new(mailbox: model::event::EventMailbox, base: &str) -> Self {
        let model::event::EventMailbox { id, address } = mailbox;
        Self {
            id,
            address,
            url: format!("{base}/v1/mailboxes/{id}"),
        }
    }
}

impl EventMessage {
    fn new(message: model::event::EventMessage, base: &str) -> Self {
        let model::event::EventMessage { id, known } = message;
        let url = format!("{base}/v1/messages/{id}");
        let Some(known) = known else {
            return Self {
                id,
                thread_id: None,
                subject: None,
                from: Vec::new(),
                received_at: None,
                snippet: None,
                url,
            };
        };
        let model::event::KnownMessage {
            thread_id,
            subject,
            from,
            received_at,
            snippet,
        } = known;
        Self {
            id,
            thread_id: Some(thread_id),
            subject,
            from: from.into_iter().map(Into::into).collect(),
            received_at: Some(received_at.into()),
            snippet: Some(snippet),
            url,
        }
    }
}

impl From<model::event::Transition> for EventStateChange {
    fn from(transition: model::event::Transition) -> Self {
        let model::event::Transition { from, to, error } = transition;
        Self {
            previous_state: from.into(),
            state: to.into(),
            error: error.map(Into::into),
        }
    }
}

impl Example for Event {
    fn example() -> Self {
        let base = "https://mail.example.org";
        let known = model::event::KnownMessage {
            thread_id: example::id(9),
            subject: Some("Your offer".into()),
            from: vec![model::message::Address {
                name: Some("Béla Kovács".into()),
                address: "bela@example.net".into(),
            }],
            received_at: example::at(),
            snippet: "Thank you, we take it.".into(),
        };
        let event = model::event::Event {
            position: model::event::EventPosition(1_207),
            id: example::id(20),
            kind: model::event::EventType::MessageReceived,
            at: example::at(),
            sequence: Some(31),
            mailbox: Some(model::event::EventMailbox {
                id: example::id(4),
                address: "desk@example.org".into(),
            }),
            message: Some(model::event::EventMessage {
                id: example::id(7),
                known: Some(known),
            }),
            transition: None,
            endpoint: None,
        };
        Self::new(event, base)
    }
}

/// A page of the log.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
#[oai(example)]
pub struct EventList {
    /// The events of this page, oldest first unless asked for otherwise.
    pub data: Vec<Event>,
    /// Send it as `cursor` for the next page. Null where nothing follows yet: go on later with the `cursor` of the last
    /// event.
    #[oai(nullable)]
    pub next_cursor: Option<String>,
}

impl EventList {
    /// The page; `base` is what its links begin with.
    pub fn new(page: model::event::EventPage, base: &str) -> Self {
        let model::event::EventPage { data, next } = page;
        Self {
            data: data.into_iter().map(|event| Event::new(event, base)).collect(),
            next_cursor: next.map(model::event::EventPosition::to_cursor),
        }
    }
}

impl Example for EventList {
    fn example() -> Self {
        Self {
            data: vec![Event::example()],
            next_cursor: None,
        }
    }
}
