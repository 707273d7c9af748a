//! Webhook subscriptions in Plannr's shape, and the bodies that make and change one.

use std::cmp::Reverse;

use poem_openapi::{Object, types::Example};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{Time, check::Faults, example};
use crate::model::{
    self, Result,
    endpoint_form::EndpointForm,
    webhook::{EndpointFilter, NewEndpoint},
};

/// The longest URL, in characters.
const MAX_URL: usize = 2_000;
/// Most events of a subscription.
const MAX_EVENTS: usize = 100;
/// The events that Plannr itself has, by its published list. They may be subscribed to, and never happen here.
const PLANNR_EVENTS: [&str; 44] = [
    "account.created",
    "account.updated",
    "account.deleted",
    "account.annual-review-date-occurred",
    "circle.created",
    "circle.updated",
    "circle.deleted",
    "plan.created",
    "plan.updated",
    "plan.deleted",
    "case.created",
    "case.updated",
    "case.deleted",
    "task.created",
    "task.updated",
    "task.deleted",
    "task.completed",
    "fact-find.completed",
    "fact-find.completed-v3",
    "form-submission.completed",
    "bank-account.created",
    "bank-account.updated",
    "bank-account.deleted",
    "bank-statement.created",
    "bank-statement.updated",
    "bank-statement.deleted",
    "bank-transaction.created",
    "bank-transaction.updated",
    "bank-transaction.deleted",
    "provider-statement.created",
    "provider-statement.updated",
    "provider-statement.deleted",
    "transaction.created",
    "transaction.updated",
    "transaction.deleted",
    "transaction.reconciled",
    "transaction.unreconciled",
    "statement.lock-status",
    "conversation.message.created",
    "conversation.message.updated",
    "conversation.message.deleted",
    "client-portal-document.uploaded",
    "client-portal-document.updated",
    "client-portal-document.deleted",
];

/// A webhook subscription.
#[derive(Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct WebhookSubscription {
    /// The UUID of the resource.
    pub uuid: Uuid,
    /// The timestamp of when the resource was created.
    pub created_at: Time,
    /// The timestamp of when the resource was updated.
    pub updated_at: Time,
    /// The signing secret, 60 letters and digits: `X-Signature` is the HMAC-SHA256 of the raw body with it.
    pub signing_secret: String,
    /// The URL that events are sent to.
    pub url: String,
    /// The events that are subscribed to, as they were sent.
    pub events: Vec<String>,
    /// The last time a request was sent to the URL; null before the first.
    #[oai(nullable)]
    pub last_outgoing_webhook_call_at: Option<Time>,
}

impl WebhookSubscription {
    /// The answer of an endpoint in this dialect's form, with its secret: every answer there shows it.
    pub fn new((endpoint, secret): (model::webhook::Endpoint, SecretString)) -> Self {
        let model::webhook::Endpoint {
            id,
            member: _,
            url,
            description: _,
            filter: _,
            form,
            enabled: _,
            disabled: _,
            failing_since: _,
            last_attempt_at,
            created_at,
            updated_at,
        } = endpoint;
        let events = match form {
            EndpointForm::Standard => Vec::new(),
            EndpointForm::Plannr { events } => events,
        };
        Self {
            uuid: id,
            created_at: created_at.into(),
            updated_at: updated_at.into(),
            signing_secret: secret.expose_secret().to_owned(),
            url,
            events,
            last_outgoing_webhook_call_at: last_attempt_at.map(Into::into),
        }
    }
}

impl Example for WebhookSubscription {
    fn example() -> Self {
        Self {
            uuid: example::id(21),
            created_at: example::at().into(),
            updated_at: example::at().into(),
            signing_secret: "…".into(),
            url: "https://crm.example.com/hooks/mail".into(),
            events: vec!["message.received".into(), "mailbox.state_changed".into()],
            last_outgoing_webhook_call_at: Some(example::at().into()),
        }
    }
}

/// Webhook subscriptions.
#[derive(Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct WebhookSubscriptionList {
    /// The subscriptions.
    pub data: Vec<WebhookSubscription>,
}

impl Example for WebhookSubscriptionList {
    fn example() -> Self {
        Self {
            data: vec![WebhookSubscription::example()],
        }
    }
}

/// Which subscriptions are listed, and in which order: all of them at first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubscriptionQuery {
    /// `filter[uuid]`: one of these, separated by commas.
    pub uuid: Option<String>,
    /// `filter[url]`: one of these, separated by commas.
    pub url: Option<String>,
    /// `sort`: `created_at` or `updated_at`, the latest first behind a minus.
    pub sort: Option<String>,
}

impl SubscriptionQuery {
    /// Applies it to the subscriptions as they were created, newest first.
    pub fn apply(
        &self,
        mut all: Vec<(model::webhook::Endpoint, SecretString)>,
    ) -> Result<WebhookSubscriptionList> {
        let (ids, urls) = (listed(self.uuid.as_deref()), listed(self.url.as_deref()));
        all.retain(|(endpoint, _)| {
            let id = endpoint.id.to_string();
            (ids.is_empty() || ids.iter().any(|one| one.eq_ignore_ascii_case(&id)))
                && (urls.is_empty() || urls.contains(&endpoint.url.as_str()))
        });
        match self.sort.as_deref().unwrap_or("-created_at") {
            "-created_at" => {}
            "created_at" => all.reverse(),
            "-updated_at" => all.sort_by_key(|(one, _)| Reverse(one.updated_at)),
            "updated_at" => all.sort_by_key(|(one, _)| one.updated_at),
            _ => {
                let detail =
                    "The selected sort is invalid: created_at, -created_at, updated_at or -updated_at.";
                let fault = model::error::FieldError::query("sort", detail);
                return Err(model::Error::Invalid(vec![fault]));
            }
        }
        let data = all.into_iter().map(WebhookSubscription::new).collect();
        Ok(WebhookSubscriptionList { data })
    }
}

/// What a filter names, separated by commas; nothing where it is left out or empty.
fn listed(filter: Option<&str>) -> Vec<&str> {
    let names = filter.unwrap_or_default().split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).collect()
}

/// What to subscribe to, and where it is to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct CreateWebhookSubscription {
    /// The URL to send events to: https, or http where `POSTROOM_EGRESS_ALLOW` names the address; at most 2,000 characters.
    #[oai(validator(min_length = 1, max_length = 2000))]
    pub url: String,
    /// The events to subscribe to, 1 to 100: those of mail, and Plannr's own.
    #[oai(validator(min_items = 1, max_items = 100))]
    pub events: Vec<String>,
}

impl CreateWebhookSubscription {
    /// Checks the fields.
    pub fn into_model(self) -> Result<NewEndpoint> {
        let Self { url, events } = self;
        let mut faults = Faults::default();
        faults.at_most("url", &url, MAX_URL);
        check_events(&mut faults, &events);
        faults.or(NewEndpoint {
            url,
            description: None,
            filter: EndpointFilter::default(),
            form: EndpointForm::Plannr { events },
        })
    }
}

impl Example for CreateWebhookSubscription {
    fn example() -> Self {
        Self {
            url: "https://crm.example.com/hooks/mail".into(),
            events: vec!["message.received".into(), "mailbox.state_changed".into()],
        }
    }
}

/// What to subscribe to instead; the URL stays.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct UpdateWebhookSubscription {
    /// The events to subscribe to, 1 to 100: those of mail, and Plannr's own.
    #[oai(validator(min_items = 1, max_items = 100))]
    pub events: Vec<String>,
}

impl UpdateWebhookSubscription {
    /// The events, checked.
    pub fn into_model(self) -> Result<Vec<String>> {
        let mut faults = Faults::default();
        check_events(&mut faults, &self.events);
        faults.or(self.events)
    }
}

impl Example for UpdateWebhookSubscription {
    fn example() -> Self {
        Self {
            events: vec!["message.received".into()],
        }
    }
}

/// Names every event that is not one, as Laravel's rule `in` does.
fn check_events(faults: &mut Faults, events: &[String]) {
    if events.is_empty() {
        faults.add("events", "The events field is required.");
    }
    if events.len() > MAX_EVENTS {
        faults.add(
            "events",
            format!("The events field must not have more than {MAX_EVENTS} items."),
        );
        return;
    }
    for (place, name) in events.iter().enumerate() {
        let ours = EndpointForm::OF_PLANNR.iter().any(|kind| kind.as_str() == name);
        if !ours && !PLANNR_EVENTS.contains(&name.as_str()) {
            faults.add(
                &format!("events.{place}"),
                format!("The selected events.{place} is invalid."),
            );
        }
    }
}
