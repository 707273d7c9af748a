//! Webhook deliveries, and what an endpoint is sent.

use poem_openapi::{Enum, Object, types::Example};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Time,
    event::{Event, EventData, EventType},
    example,
};
use crate::{
    model::{self, Error, Result},
    wire::thin::thin,
};

/// What has become of a delivery. `pending`: it waits for its time, for its mailbox or its endpoint to be enabled. `sending`:
/// it is on its way. `succeeded`: the endpoint answered 2xx. `failed`: it is not tried any more, because ten attempts failed,
/// or because it was about a message of a mailbox that was deleted. More values may be added to answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(
    rename = "WebhookDeliveryStatus",
    rename_all = "snake_case",
    remote = "model::webhook::DeliveryStatus"
)]
pub enum DeliveryStatus {
    /// It waits for its time.
    Pending,
    /// It is on its way.
    Sending,
    /// The endpoint took it.
    Succeeded,
    /// It is not tried any more.
    Failed,
}

/// What came of an attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct WebhookAttempt {
    /// When it began.
    pub at: Time,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// The HTTP status that was answered.
    #[oai(nullable)]
    pub response_status: Option<i32>,
    /// The beginning of the answer, at most 1,024 bytes.
    #[oai(nullable)]
    pub response_body: Option<String>,
    /// Why there was no answer.
    #[oai(nullable)]
    pub error: Option<String>,
}

/// An event on its way to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct WebhookDelivery {
    /// The delivery's id.
    pub id: Uuid,
    /// The endpoint that it goes to.
    pub endpoint_id: Uuid,
    /// The event's id, which is its `webhook-id` at every attempt.
    pub event_id: Uuid,
    /// The event's type.
    pub event_type: EventType,
    /// What has become of it.
    pub status: DeliveryStatus,
    /// How many attempts were made; a retry and a replay count anew.
    pub attempts: i64,
    /// When it is tried next, at the earliest.
    #[oai(nullable)]
    pub next_attempt_at: Option<Time>,
    /// What came of the last attempt.
    #[oai(nullable)]
    pub last_attempt: Option<WebhookAttempt>,
    /// When it was made from the log.
    pub created_at: Time,
}

impl From<model::webhook::Attempt> for WebhookAttempt {
    fn from(attempt: model::webhook::Attempt) -> Self {
        let model::webhook::Attempt {
            at,
            duration,
            status,
            body,
            error,
        } = attempt;
        Self {
            at: at.into(),
            duration_ms: i64::try_from(duration.as_millis()).unwrap_or(i64::MAX),
            response_status: status.map(i32::from),
            response_body: body,
            error,
        }
    }
}

impl From<model::webhook::Delivery> for WebhookDelivery {
    fn from(delivery: model::webhook::Delivery) -> Self {
        let model::webhook::Delivery {
            id,
            endpoint,
            event,
            kind,
            status,
            attempts,
            next_at,
            last,
            created_at,
        } = delivery;
        Self {
            id,
            endpoint_id: endpoint,
            event_id: event,
            event_type: kind.into(),
            status: status.into(),
            attempts: i64::from(attempts),
            next_attempt_at: next_at.map(Into::into),
            last_attempt: last.map(Into::into),
            created_at: created_at.into(),
        }
    }
}

impl Example for WebhookDelivery {
    fn example() -> Self {
        Self {
            id: example::id(22),
            endpoint_id: example::id(21),
            event_id: example::id(20),
            event_type: EventType::MessageReceived,
            status: DeliveryStatus::Succeeded,
            attempts: 1,
            next_attempt_at: None,
            last_attempt: Some(WebhookAttempt {
                at: example::at().into(),
                duration_ms: 84,
                response_status: Some(204),
                response_body: Some(String::new()),
                error: None,
            }),
            created_at: example::at().into(),
        }
    }
}

/// What an endpoint is sent.
#[derive(Serialize)]
struct Payload {
    #[serde(rename = "type")]
    kind: EventType,
    timestamp: Time,
    id: Uuid,
    sequence: Option<i64>,
    data: EventData,
}

/// The body of a request about an event: long words and lists are cut. `base` is what its links begin with.
pub fn payload(event: model::event::Event, base: &str) -> Result<Vec<u8>> {
    thin(event, |event| {
        let Event {
            id,
            kind,
            timestamp,
            sequence,
            cursor: _,
            data,
        } = Event::new(event.clone(), base);
        let payload = Payload {
            kind,
            timestamp,
            id,
            sequence,
            data,
        };
        serde_json::to_vec(&payload).map_err(Error::internal)
    })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::Value;

    use super::*;
    use crate::{
        model::{event, message::Address},
        wire::thin::MAX_PAYLOAD,
    };

    #[test]
    fn a_payload_is_thin_whatever_the_message_says() {
        let author = Address {
            name: Some("\u{1}".repeat(5_000)),
            address: format!("{}@example.org", "ü".repeat(5_000)),
        };
        let known = event::KnownMessage {
            thread_id: Uuid::nil(),
            subject: Some("\u{1}".repeat(9_000)),
            from: vec![author; 500],
            received_at: DateTime::UNIX_EPOCH,
            snippet: "\u{1}".repeat(200),
        };
        let event = event::Event {
            position: event::EventPosition(1),
            id: Uuid::from_u128(7),
            kind: event::EventType::MessageReceived,
            at: DateTime::UNIX_EPOCH,
            sequence: Some(3),
            mailbox: None,
            message: Some(event::EventMessage {
                id: Uuid::nil(),
                known: Some(known),
            }),
            transition: None,
            endpoint: None,
        };
        let bytes = payload(event, "https://mail.example.org").unwrap();
        assert!(bytes.len() < MAX_PAYLOAD, "{} bytes", bytes.len());
        let json: Value = serde_json::from_slice(&bytes).unwrap();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["type", "timestamp", "id", "sequence", "data"]);
        assert_eq!(
            (&json["type"], &json["sequence"]),
            (&"message.received".into(), &3.into())
        );
    }
}
