//! Webhooks: endpoints, their deliveries, and what an endpoint is sent.

use poem_openapi::{
    Enum, Object,
    types::{Example, MaybeUndefined},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Time,
    check::{Faults, patch},
    event::{Event, EventData, EventType},
    example,
};
use crate::model::{
    self, Error, Result,
    patch::Patch,
    webhook::{EndpointFilter, EndpointPatch, NewEndpoint},
};

/// The longest URL, in characters.
const MAX_URL: usize = 2_000;
/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 2_000;
/// Most types and mailboxes of a filter.
const MAX_FILTER: usize = 100;
/// What an endpoint is sent has less than this many bytes.
pub const MAX_PAYLOAD: usize = 20_000;
/// How much of a subject, of a name and of an address is sent at most, in characters, and how many authors.
const MAX_SUBJECT: usize = 1_000;
const MAX_WORD: usize = 320;
const MAX_AUTHORS: usize = 10;

/// Why postroom disabled an endpoint by itself. `gone`: it answered 410. `failing`: nothing but failures for five days. More
/// values may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "snake_case")]
#[oai(
    rename = "WebhookDisabledReason",
    rename_all = "snake_case",
    remote = "model::webhook::DisabledReason"
)]
pub enum DisabledReason {
    /// It answered 410.
    Gone,
    /// It failed for five days.
    Failing,
}

/// What has become of a delivery. `pending`: it waits for its time, for its mailbox or its endpoint to be enabled. `sending`:
/// it is on its way. `succeeded`: the endpoint answered 2xx. `failed`: it is not tried any more. More values may be added to
/// answers.
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

/// Writes the two forms of an endpoint: with its secret and without.
macro_rules! endpoint {
    ($(#[$doc:meta])* $name:ident $(, $(#[$secret_doc:meta])* $secret:ident)?) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Object)]
        #[oai(example)]
        pub struct $name {
            /// The endpoint's id.
            pub id: Uuid,
            $($(#[$secret_doc])* pub $secret: String,)?
            /// Where events are sent.
            pub url: String,
            /// What it is for, in your words.
            #[oai(nullable)]
            pub description: Option<String>,
            /// The types of events that are sent; empty is all.
            pub event_types: Vec<EventType>,
            /// The mailboxes whose events are sent; empty is all.
            pub mailbox_ids: Vec<Uuid>,
            /// Only events of mailboxes that were bound to this agent when it happened.
            #[oai(nullable)]
            pub agent_id: Option<Uuid>,
            /// Only events of mailboxes that were bound to this team when it happened.
            #[oai(nullable)]
            pub team_id: Option<Uuid>,
            /// The employee of whose mailboxes alone it hears; null hears of all.
            #[oai(nullable)]
            pub member_id: Option<Uuid>,
            /// False sends nothing. What happens meanwhile waits in the log, and is sent once it is enabled again.
            pub enabled: bool,
            /// When postroom disabled it by itself.
            #[oai(nullable)]
            pub disabled_at: Option<Time>,
            /// Why postroom disabled it by itself.
            #[oai(nullable)]
            pub disabled_reason: Option<DisabledReason>,
            /// Since when every request to it has failed; null while they succeed.
            #[oai(nullable)]
            pub failing_since: Option<Time>,
            /// When it was created.
            pub created_at: Time,
            /// When it was last changed.
            pub updated_at: Time,
        }

        impl $name {
            fn write(endpoint: model::webhook::Endpoint $(, $secret: String)?) -> Self {
                let model::webhook::Endpoint {
                    id, member, url, description, filter, enabled, disabled, failing_since, created_at, updated_at,
                } = endpoint;
                let EndpointFilter { kinds, mailboxes, agent, team } = filter;
                Self {
                    id,
                    $($secret,)?
                    url,
                    description,
                    event_types: kinds.into_iter().map(Into::into).collect(),
                    mailbox_ids: mailboxes,
                    agent_id: agent,
                    team_id: team,
                    member_id: member,
                    enabled,
                    disabled_at: disabled.map(|disabled| disabled.at.into()),
                    disabled_reason: disabled.map(|disabled| disabled.reason.into()),
                    failing_since: failing_since.map(Into::into),
                    created_at: created_at.into(),
                    updated_at: updated_at.into(),
                }
            }
        }
    };
}

endpoint! {
    /// Where events are sent.
    #[derive(Debug)]
    WebhookEndpoint
}

endpoint! {
    /// An endpoint with a secret that was just made, which is shown only here.
    CreatedWebhookEndpoint,
    /// What signs the requests (Standard Webhooks). It cannot be shown again.
    secret
}

impl From<model::webhook::Endpoint> for WebhookEndpoint {
    fn from(endpoint: model::webhook::Endpoint) -> Self {
        Self::write(endpoint)
    }
}

impl CreatedWebhookEndpoint {
    /// The answer to a creation or a rotation: the one place that writes a secret out.
    pub fn new(endpoint: model::webhook::Endpoint, secret: &SecretString) -> Self {
        Self::write(endpoint, secret.expose_secret().to_owned())
    }
}

fn sample() -> model::webhook::Endpoint {
    model::webhook::Endpoint {
        id: example::id(21),
        member: None,
        url: "https://crm.example.com/hooks/mail".into(),
        description: Some("CRM".into()),
        filter: EndpointFilter {
            kinds: vec![model::event::EventType::MessageReceived],
            agent: Some(example::id(5)),
            ..EndpointFilter::default()
        },
        enabled: true,
        disabled: None,
        failing_since: None,
        created_at: example::at(),
        updated_at: example::at(),
    }
}

impl Example for WebhookEndpoint {
    fn example() -> Self {
        sample().into()
    }
}

impl Example for CreatedWebhookEndpoint {
    fn example() -> Self {
        Self::write(sample(), "whsec_…".into())
    }
}

/// Where events are to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
pub struct CreateWebhookEndpoint {
    /// https, or http where `POSTROOM_EGRESS_ALLOW` names the address; at most 2,000 characters.
    #[oai(validator(min_length = 1, max_length = 2000))]
    pub url: String,
    /// What it is for, in your words, at most 2,000 characters.
    #[oai(nullable, validator(max_length = 2000))]
    pub description: Option<String>,
    /// The types of events to send; left out, null or empty, all.
    #[oai(nullable, validator(max_items = 100))]
    pub event_types: Option<Vec<EventType>>,
    /// The mailboxes whose events to send; left out, null or empty, all that the caller sees.
    #[oai(nullable, validator(max_items = 100))]
    pub mailbox_ids: Option<Vec<Uuid>>,
    /// Only events of mailboxes that are bound to this agent when it happens; not together with `team_id`.
    #[oai(nullable)]
    pub agent_id: Option<Uuid>,
    /// Only events of mailboxes that are bound to this team when it happens; not together with `agent_id`.
    #[oai(nullable)]
    pub team_id: Option<Uuid>,
}

/// The checks of the fields that creating and changing share.
fn check(
    faults: &mut Faults,
    url: Option<&String>,
    description: Option<&String>,
    (kinds, mailboxes): (Option<&Vec<EventType>>, Option<&Vec<Uuid>>),
) {
    if let Some(url) = url {
        faults.at_most("url", url, MAX_URL);
    }
    if let Some(description) = description {
        faults.at_most("description", description, MAX_DESCRIPTION);
        if description.contains('\0') {
            faults.add("description", "It contains a NUL character.");
        }
    }
    for (name, count) in [
        ("event_types", kinds.map_or(0, Vec::len)),
        ("mailbox_ids", mailboxes.map_or(0, Vec::len)),
    ] {
        if count > MAX_FILTER {
            faults.add(name, format!("At most {MAX_FILTER}."));
        }
    }
    if kinds.is_some_and(|kinds| kinds.contains(&EventType::Ping)) {
        faults.add(
            "event_types",
            "A ping is sent to the endpoint that is tried, without a filter.",
        );
    }
}

fn kinds(types: Vec<EventType>) -> Vec<model::event::EventType> {
    types.into_iter().map(Into::into).collect()
}

impl CreateWebhookEndpoint {
    /// Checks the fields.
    pub fn into_model(self) -> Result<NewEndpoint> {
        let Self {
            url,
            description,
            event_types,
            mailbox_ids,
            agent_id,
            team_id,
        } = self;
        let mut faults = Faults::default();
        let lists = (event_types.as_ref(), mailbox_ids.as_ref());
        check(&mut faults, Some(&url), description.as_ref(), lists);
        if agent_id.is_some() && team_id.is_some() {
            faults.add("team_id", "Set agent_id or team_id, not both.");
        }
        faults.or(NewEndpoint {
            url,
            description,
            filter: EndpointFilter {
                kinds: kinds(event_types.unwrap_or_default()),
                mailboxes: mailbox_ids.unwrap_or_default(),
                agent: agent_id,
                team: team_id,
            },
        })
    }
}

impl Example for CreateWebhookEndpoint {
    fn example() -> Self {
        Self {
            url: "https://crm.example.com/hooks/mail".into(),
            description: Some("CRM".into()),
            event_types: Some(vec![EventType::MessageReceived]),
            mailbox_ids: None,
            agent_id: Some(example::id(5)),
            team_id: None,
        }
    }
}

/// What changes about an endpoint: left out is unchanged, null clears, a value sets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
pub struct UpdateWebhookEndpoint {
    /// https, or http where `POSTROOM_EGRESS_ALLOW` names the address; at most 2,000 characters.
    #[oai(validator(min_length = 1, max_length = 2000))]
    pub url: Option<String>,
    /// What it is for, in your words, at most 2,000 characters.
    #[oai(nullable, validator(max_length = 2000))]
    pub description: MaybeUndefined<String>,
    /// The types of events to send; null or empty, all.
    #[oai(nullable, validator(max_items = 100))]
    pub event_types: MaybeUndefined<Vec<EventType>>,
    /// The mailboxes whose events to send; null or empty, all.
    #[oai(nullable, validator(max_items = 100))]
    pub mailbox_ids: MaybeUndefined<Vec<Uuid>>,
    /// Only events of mailboxes that are bound to this agent when it happens.
    #[oai(nullable)]
    pub agent_id: MaybeUndefined<Uuid>,
    /// Only events of mailboxes that are bound to this team when it happens.
    #[oai(nullable)]
    pub team_id: MaybeUndefined<Uuid>,
    /// False sends nothing; true goes on where it stopped.
    pub enabled: Option<bool>,
}

impl UpdateWebhookEndpoint {
    /// Checks the fields.
    pub fn into_model(self) -> Result<EndpointPatch> {
        let Self {
            url,
            description,
            event_types,
            mailbox_ids,
            agent_id,
            team_id,
            enabled,
        } = self;
        let mut faults = Faults::default();
        let lists = (event_types.value(), mailbox_ids.value());
        check(&mut faults, url.as_ref(), description.value(), lists);
        if agent_id.value().is_some() && team_id.value().is_some() {
            faults.add("team_id", "Set agent_id or team_id, not both.");
        }
        let kinds = match patch(event_types) {
            Patch::Absent => Patch::Absent,
            Patch::Null => Patch::Null,
            Patch::Value(types) => Patch::Value(kinds(types)),
        };
        faults.or(EndpointPatch {
            url,
            description: patch(description),
            kinds,
            mailboxes: patch(mailbox_ids),
            agent: patch(agent_id),
            team: patch(team_id),
            enabled,
        })
    }
}

impl Example for UpdateWebhookEndpoint {
    fn example() -> Self {
        Self {
            enabled: Some(true),
            ..Self::default()
        }
    }
}

/// From when on events are to be sent again.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ReplayWebhooks {
    /// Everything since this time that the log still has and the filter takes.
    pub since: Time,
}

impl Example for ReplayWebhooks {
    fn example() -> Self {
        Self {
            since: example::at().into(),
        }
    }
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
struct Payload<'a> {
    #[serde(rename = "type")]
    kind: EventType,
    timestamp: Time,
    id: Uuid,
    sequence: Option<i64>,
    data: &'a EventData,
}

/// The body of a request about an event: less than [`MAX_PAYLOAD`] bytes, long words and lists are cut. `base` is what its
/// links begin with.
pub fn payload(event: model::event::Event, base: &str) -> Result<Vec<u8>> {
    let mut event = Event::new(event, base);
    let mut authors = MAX_AUTHORS;
    loop {
        if let Some(message) = &mut event.data.message {
            message.from.truncate(authors);
            if let Some(subject) = &mut message.subject {
                cut(subject, MAX_SUBJECT);
            }
            for author in &mut message.from {
                cut(&mut author.address, MAX_WORD);
                if let Some(name) = &mut author.name {
                    cut(name, MAX_WORD);
                }
            }
        }
        let payload = Payload {
            kind: event.kind,
            timestamp: event.timestamp,
            id: event.id,
            sequence: event.sequence,
            data: &event.data,
        };
        let bytes = serde_json::to_vec(&payload).map_err(Error::internal)?;
        if bytes.len() < MAX_PAYLOAD || authors == 0 {
            return Ok(bytes);
        }
        authors /= 2;
    }
}

/// Cuts a text to so many characters.
fn cut(text: &mut String, characters: usize) {
    if let Some((end, _)) = text.char_indices().nth(characters) {
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::Value;

    use super::*;
    use crate::model::{event, message::Address};

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
