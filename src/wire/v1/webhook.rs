//! Webhook endpoints: what is answered, created and changed.

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
    event::EventType,
    example,
};
use crate::model::{
    self, Result,
    endpoint_form::EndpointForm,
    patch::Patch,
    webhook::{EndpointFilter, EndpointPatch, NewEndpoint},
};

/// The longest URL, in characters.
const MAX_URL: usize = 2_000;
/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 2_000;
/// Most types and mailboxes of a filter.
const MAX_FILTER: usize = 100;
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

/// In which form events are sent. `standard`: as this API says it, signed as Standard Webhooks says. `plannr`: as a webhook
/// subscription of Plannr's dialect, which made the endpoint, and signed by `X-Signature`. More values may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "WebhookForm", rename_all = "snake_case")]
pub enum Form {
    /// As this API says it.
    Standard,
    /// As a webhook subscription of Plannr's dialect.
    Plannr,
}

impl From<&EndpointForm> for Form {
    fn from(form: &EndpointForm) -> Self {
        match form {
            EndpointForm::Standard => Self::Standard,
            EndpointForm::Plannr { events: _ } => Self::Plannr,
        }
    }
}

/// The types that are sent, as far as filter and form say.
fn types(form: &EndpointForm, kinds: Vec<model::event::EventType>) -> Vec<EventType> {
    let kinds = match form {
        EndpointForm::Standard => kinds,
        EndpointForm::Plannr { events: _ } => {
            let all = EndpointForm::OF_PLANNR.into_iter();
            all.filter(|kind| form.takes(*kind)).collect()
        }
    };
    kinds.into_iter().map(Into::into).collect()
}

/// Writes the two answers about an endpoint: with its secret and without.
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
            /// In which form events are sent.
            pub form: Form,
            /// The types of events that are sent; empty is all, but where `form` is `plannr` it is none.
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
            /// When a request was last sent to it.
            #[oai(nullable)]
            pub last_attempt_at: Option<Time>,
            /// When it was created.
            pub created_at: Time,
            /// When it was last changed.
            pub updated_at: Time,
        }

        impl $name {
            fn write(endpoint: model::webhook::Endpoint $(, $secret: String)?) -> Self {
                let model::webhook::Endpoint {
                    id, member, url, description, filter, form, enabled, disabled, failing_since, last_attempt_at,
                    created_at, updated_at,
                } = endpoint;
                let EndpointFilter { kinds, mailboxes, agent, team } = filter;
                Self {
                    id,
                    $($secret,)?
                    url,
                    description,
                    form: Form::from(&form),
                    event_types: types(&form, kinds),
                    mailbox_ids: mailboxes,
                    agent_id: agent,
                    team_id: team,
                    member_id: member,
                    enabled,
                    disabled_at: disabled.map(|disabled| disabled.at.into()),
                    disabled_reason: disabled.map(|disabled| disabled.reason.into()),
                    failing_since: failing_since.map(Into::into),
                    last_attempt_at: last_attempt_at.map(Into::into),
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
    /// What signs the requests, as `form` says. This API does not show it again.
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
        form: EndpointForm::Standard,
        enabled: true,
        disabled: None,
        failing_since: None,
        last_attempt_at: Some(example::at()),
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
            form: EndpointForm::Standard,
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
    /// The types of events to send; null or empty, all. Refused where `form` is `plannr`: those are changed there.
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
