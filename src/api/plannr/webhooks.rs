//! Webhook subscriptions in Plannr's shape.

use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use super::{Answer, Call, Failure, Tag};
use crate::{
    api::{answers::Created, body::Body},
    service::{subscriptions, webhooks},
    wire::plannr::webhook::{
        CreateWebhookSubscription, SubscriptionQuery, UpdateWebhookSubscription, WebhookSubscription,
        WebhookSubscriptionList,
    },
};

/// Handlers of webhook subscriptions.
pub(super) struct Webhooks;

#[OpenApi(
    tag = "Tag::Webhooks",
    request_header(
        name = "X-PLANNR-ACCOUNT-UUID",
        ty = "Option<String>",
        description = "The member to act as."
    )
)]
impl Webhooks {
    /// List webhook subscriptions
    ///
    /// The subscriptions that the account sees, at most 100, with their signing secrets. Endpoints that were made by the
    /// unified API are not among them. Needs the scope `webhooks:read`.
    #[oai(
        path = "/v2/webhook-subscriptions",
        method = "get",
        operation_id = "listWebhookSubscriptions"
    )]
    async fn list(
        &self,
        call: Call,
        /// Only the subscriptions with these UUIDs, separated by commas.
        #[oai(name = "filter[uuid]")]
        uuid: Query<Option<String>>,
        /// Only the subscriptions with these URLs, separated by commas.
        #[oai(name = "filter[url]")]
        url: Query<Option<String>>,
        /// `created_at` or `updated_at`, with a minus before it the latest first; `-created_at` where it is left out.
        sort: Query<Option<String>>,
    ) -> Answer<WebhookSubscriptionList> {
        let all = subscriptions::list(&call.app, call.caller()?).await?;
        let query = SubscriptionQuery {
            uuid: uuid.0,
            url: url.0,
            sort: sort.0,
        };
        Ok(Json(query.apply(all)?))
    }

    /// Create a webhook subscription
    ///
    /// The URL is sent every event from now on that the subscription names. Those of mail are `message.received`,
    /// `message.updated`, `message.deleted`, `mailbox.created`, `mailbox.updated`, `mailbox.deleted`,
    /// `mailbox.state_changed`, `mailbox.reauth_required` and `mailbox.backfill_completed`. Plannr's own, such as
    /// `account.created`, are taken too and never happen here; any other name is 422.
    ///
    /// A request is a POST of `{"uuid", "event", "created_at", "data"}`: the event's id, its name, when it happened, and
    /// what it is about, less than 20 kB. `data` of a message has `uuid`, `mailbox` (`uuid`, `email`), `participants` (the
    /// authors), `subject`, `snippet`, `received_at` and the `url` where the rest can be read; once the message is erased
    /// only its `uuid`, `mailbox` and `url` are not null or empty. `data` of a mailbox has `uuid`, `email`, `previous_state`
    /// and `state`, both null where the event does not change it. `X-Signature` is the HMAC-SHA256 of the raw body, keyed
    /// with the signing secret, in lower-case hexadecimal digits; `webhook-id` is the event's id, the same at every attempt.
    ///
    /// A 2xx within 15 seconds takes the event; else it is tried again, ten times within three days. 410 disables the
    /// subscription, and so do five days of nothing but failures: `PATCH /v1/webhook-endpoints/{endpoint_id}` enables it,
    /// and `DELETE` there ends it. An employee's subscription hears of the employee's own mailboxes. A tenant has at most
    /// 100 endpoints, subscriptions among them: 409. Needs the scope `webhooks:write`.
    #[oai(
        path = "/v2/webhook-subscriptions",
        method = "post",
        operation_id = "createWebhookSubscription"
    )]
    async fn create(
        &self,
        call: Call,
        body: Body<CreateWebhookSubscription>,
    ) -> Result<Created<WebhookSubscription>, Failure> {
        let made = webhooks::create(&call.app, call.caller()?, body.0.into_model()?).await?;
        Ok(Created::Created(Json(WebhookSubscription::new(made))))
    }

    /// Retrieve a webhook subscription
    ///
    /// With its signing secret. Needs the scope `webhooks:read`.
    #[oai(
        path = "/v2/webhook-subscriptions/:uuid",
        method = "get",
        operation_id = "getWebhookSubscription"
    )]
    async fn get(
        &self,
        call: Call,
        /// The subscription's id.
        uuid: Path<Uuid>,
    ) -> Answer<WebhookSubscription> {
        let found = subscriptions::get(&call.app, call.caller()?, uuid.0).await?;
        Ok(Json(WebhookSubscription::new(found)))
    }

    /// Update a webhook subscription
    ///
    /// Subscribes to other events, and changes nothing else. They hold for events that were not looked at yet. Needs the
    /// scope `webhooks:write`.
    #[oai(
        path = "/v2/webhook-subscriptions/:uuid",
        method = "put",
        operation_id = "updateWebhookSubscription"
    )]
    async fn update(
        &self,
        call: Call,
        /// The subscription's id.
        uuid: Path<Uuid>,
        body: Body<UpdateWebhookSubscription>,
    ) -> Answer<WebhookSubscription> {
        let events = body.0.into_model()?;
        let updated = subscriptions::update(&call.app, call.caller()?, uuid.0, events).await?;
        Ok(Json(WebhookSubscription::new(updated)))
    }
}
