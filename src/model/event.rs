//! Events: what a tenant hears of, one for each change, in one log.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    error::{Error, FieldError},
    mailbox::ConnectionError,
    message::Address,
    page::{DEFAULT_LIMIT, MAX_LIMIT},
    state::State,
    webhook::DisabledReason,
};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// A message came in.
    MessageReceived,
    /// A message changed, came back, or is new and not an incoming one.
    MessageUpdated,
    /// A message was deleted.
    MessageDeleted,
    /// A mailbox was connected.
    MailboxCreated,
    /// A mailbox changed in something other than its state.
    MailboxUpdated,
    /// A mailbox was deleted, with its messages.
    MailboxDeleted,
    /// A mailbox has another state.
    MailboxStateChanged,
    /// The server refused a mailbox's credentials.
    MailboxReauthRequired,
    /// What a mailbox had when it was connected is synced.
    MailboxBackfillCompleted,
    /// A webhook endpoint was disabled, because it is gone or has failed for too long.
    WebhookEndpointDisabled,
    /// A caller tries a webhook endpoint.
    Ping,
}

impl EventType {
    /// Every type.
    pub const ALL: [Self; 11] = [
        Self::MessageReceived,
        Self::MessageUpdated,
        Self::MessageDeleted,
        Self::MailboxCreated,
        Self::MailboxUpdated,
        Self::MailboxDeleted,
        Self::MailboxStateChanged,
        Self::MailboxReauthRequired,
        Self::MailboxBackfillCompleted,
        Self::WebhookEndpointDisabled,
        Self::Ping,
    ];

    /// The word on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MessageReceived => "message.received",
            Self::MessageUpdated => "message.updated",
            Self::MessageDeleted => "message.deleted",
            Self::MailboxCreated => "mailbox.created",
            Self::MailboxUpdated => "mailbox.updated",
            Self::MailboxDeleted => "mailbox.deleted",
            Self::MailboxStateChanged => "mailbox.state_changed",
            Self::MailboxReauthRequired => "mailbox.reauth_required",
            Self::MailboxBackfillCompleted => "mailbox.backfill_completed",
            Self::WebhookEndpointDisabled => "webhook_endpoint.disabled",
            Self::Ping => "ping",
        }
    }

    /// True for what happens to a message: its mailbox must be enabled when it is sent.
    pub const fn is_of_message(self) -> bool {
        matches!(
            self,
            Self::MessageReceived | Self::MessageUpdated | Self::MessageDeleted
        )
    }

    /// Reads the word that [`Self::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What became of a mailbox's state, as it was at the time: it cannot be read later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state since.
    pub to: State,
    /// Why the connection does not work.
    pub error: Option<ConnectionError>,
}

/// The webhook endpoint that an event is about, as it was at the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventEndpoint {
    /// Its id.
    pub id: Uuid,
    /// Where it was.
    pub url: String,
    /// Why it was disabled, if it was.
    pub reason: Option<DisabledReason>,
}

/// An event that is about to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its id.
    pub id: Uuid,
    /// What happened.
    pub kind: EventType,
    /// The message that it happened to.
    pub message: Option<Uuid>,
    /// What became of the mailbox's state.
    pub transition: Option<Transition>,
    /// The webhook endpoint that it is about.
    pub endpoint: Option<EventEndpoint>,
}

/// The mailbox of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventMailbox {
    /// Its id.
    pub id: Uuid,
    /// Its address.
    pub address: String,
}

/// The message of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventMessage {
    /// Its id.
    pub id: Uuid,
    /// What is known of it; `None` once it is erased.
    pub known: Option<KnownMessage>,
}

/// What an event tells of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownMessage {
    /// Its thread.
    pub thread_id: Uuid,
    /// Its subject.
    pub subject: Option<String>,
    /// Its authors.
    pub from: Vec<Address>,
    /// When the server received it.
    pub received_at: DateTime<Utc>,
    /// The first words of its text.
    pub snippet: String,
}

/// An event as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the tenant's log.
    pub position: EventPosition,
    /// Its id.
    pub id: Uuid,
    /// What happened.
    pub kind: EventType,
    /// When.
    pub at: DateTime<Utc>,
    /// Its number among the events of its mailbox: 1, 2, 3 and so on.
    pub sequence: Option<i64>,
    /// The mailbox that it happened to, or in.
    pub mailbox: Option<EventMailbox>,
    /// The message that it happened to.
    pub message: Option<EventMessage>,
    /// What became of the mailbox's state.
    pub transition: Option<Transition>,
    /// The webhook endpoint that it is about.
    pub endpoint: Option<EventEndpoint>,
}

/// A place in a tenant's log: the order in which events were committed. Everything up to a place that was read is known;
/// nothing comes in before it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventPosition(pub i64);

impl EventPosition {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// The text of it, which is a cursor and the id of a server-sent event.
    pub fn to_cursor(self) -> String {
        self.0.to_string()
    }

    /// Reads the text that [`Self::to_cursor`] writes.
    pub fn from_cursor(cursor: &str) -> Option<Self> {
        let digits = cursor.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| cursor.parse().ok()).flatten().map(Self)
    }
}

/// Which events are asked for; whatever is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Events of this mailbox.
    pub mailbox_id: Option<Uuid>,
    /// Events of these types; empty is all of them.
    pub kinds: Vec<EventType>,
}

/// In which direction the log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EventOrder {
    /// Oldest first.
    #[default]
    Ascending,
    /// Newest first.
    Descending,
}

/// Which page of the log is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPageRequest {
    /// How many events at most.
    pub limit: u16,
    /// In which direction.
    pub order: EventOrder,
    /// The place that was read last; `None` begins at the log's end that comes first.
    pub after: Option<EventPosition>,
}

impl EventPageRequest {
    /// Checks what a caller sent.
    pub fn parse(limit: Option<u16>, order: EventOrder, cursor: Option<&str>) -> Result<Self, Error> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            let detail = format!("The limit is between 1 and {MAX_LIMIT}.");
            return Err(Error::Invalid(vec![FieldError::query("limit", detail)]));
        }
        let after = cursor
            .map(|cursor| {
                let detail =
                    "This is not a cursor of the log: send `next_cursor`, or the `cursor` of an event.";
                let wrong = || Error::Invalid(vec![FieldError::query("cursor", detail)]);
                EventPosition::from_cursor(cursor).ok_or_else(wrong)
            })
            .transpose()?;
        Ok(Self { limit, order, after })
    }
}

/// A page of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// The events.
    pub data: Vec<Event>,
    /// Where the next page begins; `None` where nothing follows yet.
    pub next: Option<EventPosition>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_cursors_read_back_and_nothing_else_does() {
        for kind in EventType::ALL {
            assert_eq!(EventType::parse(kind.as_str()), Some(kind));
        }
        for position in [EventPosition::START, EventPosition(7), EventPosition(i64::MAX)] {
            assert_eq!(EventPosition::from_cursor(&position.to_cursor()), Some(position));
        }
        for wrong in ["", "-1", "+1", "1.0", "x", "99999999999999999999"] {
            assert_eq!(EventPosition::from_cursor(wrong), None, "{wrong}");
        }
        let parse = |limit, cursor| EventPageRequest::parse(limit, EventOrder::Ascending, cursor);
        assert!(parse(Some(0), None).is_err() && parse(Some(201), None).is_err());
        assert!(parse(None, Some("no")).is_err());
        assert_eq!(parse(None, None).unwrap().limit, DEFAULT_LIMIT);
    }
}
