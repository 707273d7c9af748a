//! What a webhook subscription is sent. Plannr's own envelope is not public: this one is ours.

use serde::Serialize;
use uuid::Uuid;

use super::{Time, mailbox::MailboxState, participant::ParticipantType, thin::thin};
use crate::model::{self, Error, Result, event::Event, message::Address};

/// The body of a request.
#[derive(Serialize)]
struct Payload<'a> {
    uuid: Uuid,
    event: &'static str,
    created_at: Time,
    data: Data<'a>,
}

/// What the event is about: a message, a mailbox, or nothing, as a ping.
#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Message(Message<'a>),
    Mailbox(Mailbox<'a>),
    Nothing {},
}

/// The fields of a message of this dialect that an event knows, and where the others can be read.
#[derive(Serialize)]
struct Message<'a> {
    uuid: Uuid,
    mailbox: Option<MailboxName<'a>>,
    participants: Vec<Participant<'a>>,
    subject: Option<&'a str>,
    snippet: Option<&'a str>,
    received_at: Option<Time>,
    url: String,
}

#[derive(Serialize)]
struct Participant<'a> {
    name: Option<&'a str>,
    email: &'a str,
    #[serde(rename = "type")]
    kind: ParticipantType,
}

#[derive(Serialize)]
struct MailboxName<'a> {
    uuid: Uuid,
    email: &'a str,
}

/// The fields of a mailbox of this dialect that an event knows. Both states are null where it does not change them.
#[derive(Serialize)]
struct Mailbox<'a> {
    uuid: Uuid,
    email: &'a str,
    previous_state: Option<MailboxState>,
    state: Option<MailboxState>,
}

/// The body of a request about an event: long words and lists are cut. `base` is what its links begin with.
pub fn payload(event: Event, base: &str) -> Result<Vec<u8>> {
    thin(event, |event| {
        let Event {
            position: _,
            id,
            kind,
            at,
            sequence: _,
            mailbox: _,
            message: _,
            transition: _,
            endpoint: _,
        } = event;
        let payload = Payload {
            uuid: *id,
            event: kind.as_str(),
            created_at: (*at).into(),
            data: data(event, base),
        };
        serde_json::to_vec(&payload).map_err(Error::internal)
    })
}

fn data<'a>(event: &'a Event, base: &str) -> Data<'a> {
    let mailbox = event.mailbox.as_ref();
    match (&event.message, mailbox) {
        (Some(message), _) => Data::Message(Message::new(message, mailbox, base)),
        (None, Some(model::event::EventMailbox { id, address })) => {
            let transition = event.transition.as_ref();
            Data::Mailbox(Mailbox {
                uuid: *id,
                email: address,
                previous_state: transition.map(|transition| transition.from.into()),
                state: transition.map(|transition| transition.to.into()),
            })
        }
        (None, None) => Data::Nothing {},
    }
}

impl<'a> Message<'a> {
    fn new(
        message: &'a model::event::EventMessage,
        mailbox: Option<&'a model::event::EventMailbox>,
        base: &str,
    ) -> Self {
        let model::event::EventMessage { id, known } = message;
        let mailbox = mailbox.map(|model::event::EventMailbox { id, address }| MailboxName {
            uuid: *id,
            email: address,
        });
        let known = known.as_ref();
        let authors = known.map(|known| known.from.as_slice()).unwrap_or_default();
        Self {
            uuid: *id,
            mailbox,
            participants: authors
                .iter()
                .map(|Address { name, address }| Participant {
                    name: name.as_deref(),
                    email: address,
                    kind: ParticipantType::From,
                })
                .collect(),
            subject: known.and_then(|known| known.subject.as_deref()),
            snippet: known.map(|known| known.snippet.as_str()),
            received_at: known.map(|known| known.received_at.into()),
            url: format!("{base}/api/v1/mailboxes/message/{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        model::{
            event::{EventMailbox, EventMessage, EventPosition, EventType, KnownMessage, Transition},
            state::State,
        },
        wire::thin::MAX_PAYLOAD,
    };

    fn event(kind: EventType) -> Event {
        Event {
            position: EventPosition(1),
            id: Uuid::from_u128(7),
            kind,
            at: DateTime::UNIX_EPOCH,
            sequence: Some(3),
            mailbox: Some(EventMailbox {
                id: Uuid::from_u128(4),
                address: "desk@example.org".into(),
            }),
            message: None,
            transition: None,
            endpoint: None,
        }
    }

    fn written(event: Event) -> Value {
        let bytes = payload(event, "https://mail.example.org").unwrap();
        assert!(bytes.len() < MAX_PAYLOAD, "{} bytes", bytes.len());
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn a_message_is_told_of_in_a_few_words_and_by_its_id_once_it_is_erased() {
        let known = KnownMessage {
            thread_id: Uuid::nil(),
            subject: Some("Your offer".into()),
            from: vec![Address {
                name: None,
                address: "bela@example.net".into(),
            }],
            received_at: DateTime::UNIX_EPOCH,
            snippet: "Thank you.".into(),
        };
        let id = Uuid::from_u128(9);
        let message = |known| Event {
            message: Some(EventMessage { id, known }),
            ..event(EventType::MessageReceived)
        };
        let mailbox = json!({"uuid": Uuid::from_u128(4), "email": "desk@example.org"});
        let url = format!("https://mail.example.org/api/v1/mailboxes/message/{id}");
        let expected = json!({
            "uuid": Uuid::from_u128(7), "event": "message.received", "created_at": "1970-01-01T00:00:00+00:00",
            "data": {
                "uuid": id, "mailbox": mailbox, "subject": "Your offer", "snippet": "Thank you.", "url": url,
                "participants": [{"name": null, "email": "bela@example.net", "type": "from"}],
                "received_at": "1970-01-01T00:00:00+00:00",
            },
        });
        assert_eq!(written(message(Some(known.clone()))), expected);
        let erased = json!({
            "uuid": id, "mailbox": mailbox, "subject": null, "snippet": null, "url": url, "participants": [],
            "received_at": null,
        });
        assert_eq!(written(message(None))["data"], erased);
        let long = KnownMessage {
            subject: Some("\u{1}".repeat(9_000)),
            from: vec![
                Address {
                    name: Some("\u{1}".repeat(5_000)),
                    address: format!("{}@example.org", "ü".repeat(5_000)),
                };
                500
            ],
            snippet: "\u{1}".repeat(200),
            ..known
        };
        let authors = &written(message(Some(long)))["data"]["participants"];
        assert_eq!(authors.as_array().unwrap().len(), 2, "as many as fit");
    }

    #[test]
    fn a_mailbox_is_told_of_with_its_states_and_a_ping_has_nothing() {
        let changed = Event {
            transition: Some(Transition {
                from: State::Connecting,
                to: State::AuthenticationError,
                error: None,
            }),
            ..event(EventType::MailboxReauthRequired)
        };
        let expected = json!({
            "uuid": Uuid::from_u128(4), "email": "desk@example.org", "previous_state": "connecting",
            "state": "authenticationError",
        });
        assert_eq!(written(changed)["data"], expected);
        assert_eq!(
            written(event(EventType::MailboxUpdated))["data"]["state"],
            Value::Null
        );
        let ping = Event {
            mailbox: None,
            ..event(EventType::Ping)
        };
        assert_eq!(written(ping)["data"], json!({}));
    }
}
