//! Webhook endpoints and their deliveries.

use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use super::{Answer, Body, Call, Failure, Tag, default_limit, page};
use crate::{
    api::answers::{Created, Gone},
    model::webhook::DeliveryFilter,
    service::{deliveries, webhooks},
    wire::v1::{
        delivery::{DeliveryStatus, WebhookDelivery},
        page::{WebhookDeliveryList, WebhookEndpointList},
        webhook::{
            CreateWebhookEndpoint, CreatedWebhookEndpoint, ReplayWebhooks, UpdateWebhookEndpoint,
            WebhookEndpoint,
        },
    },
};

/// Handlers of webhooks.
pub(super) struct Webhooks;

#[OpenApi(tag = "Tag::Webhooks")]
impl Webhooks {
    /// List webhook endpoints
    ///
    /// The endpoints of the tenant, those that are webhook subscriptions of Plannr's dialect among them; an employee sees its
    /// own. Needs the scope `webhooks:read`.
    #[oai(
        path = "/webhook-endpoints",
        method = "get",
        operation_id = "list_webhook_endpoints"
    )]
    async fn list(
        &self,
        call: Call,
        /// Rows on a page, 1 to 200.
        #[oai(
            default = "default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u16>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Answer<WebhookEndpointList> {
        let page = page(Some(limit.0), cursor.0.as_deref())?;
        Ok(Json(
            webhooks::list(&call.app, call.caller()?, page).await?.into(),
        ))
    }

    /// Create a webhook endpoint
    ///
    /// It is sent every event from now on that its filter takes, by POST, signed as Standard Webhooks says: `webhook-id` is
    /// the event's id, the same at every attempt; `webhook-signature` is over `webhook-id.webhook-timestamp.body`. The secret
    /// is shown only here. A 2xx within 15 seconds takes the event; else it is tried again, ten times within three days, or
    /// as `Retry-After` says within one to two times the usual delay. 410 disables the endpoint, and so do five days of
    /// nothing but failures. Events may come more than once and out of order: go by `id` and `sequence`. Those of a message
    /// wait while its mailbox is disabled. An employee's endpoint hears of the employee's own mailboxes. A tenant has at most
    /// 100 endpoints: 409 `webhook_endpoint_limit`. Needs the scope `webhooks:write`.
    #[oai(
        path = "/webhook-endpoints",
        method = "post",
        operation_id = "create_webhook_endpoint"
    )]
    async fn create(
        &self,
        call: Call,
        body: Body<CreateWebhookEndpoint>,
    ) -> Result<Created<CreatedWebhookEndpoint>, Failure> {
        let (endpoint, secret) = webhooks::create(&call.app, call.caller()?, body.0.into_model()?).await?;
        Ok(Created::Created(Json(CreatedWebhookEndpoint::new(
            endpoint, &secret,
        ))))
    }

    /// Get a webhook endpoint
    ///
    /// Without its secret. Needs the scope `webhooks:read`.
    #[oai(
        path = "/webhook-endpoints/:endpoint_id",
        method = "get",
        operation_id = "get_webhook_endpoint"
    )]
    async fn get(
        &self,
        call: Call,
        /// The endpoint's id.
        endpoint_id: Path<Uuid>,
    ) -> Answer<WebhookEndpoint> {
        Ok(Json(
            webhooks::get(&call.app, call.caller()?, endpoint_id.0)
                .await?
                .into(),
        ))
    }

    /// Change a webhook endpoint
    ///
    /// What is left out is unchanged, null clears it. Another filter holds for events that were not looked at yet. An endpoint
    /// that is enabled again goes on where it stopped. The events of one in Plannr's form are changed in that dialect:
    /// `event_types` is 422 here. Needs the scope `webhooks:write`.
    #[oai(
        path = "/webhook-endpoints/:endpoint_id",
        method = "patch",
        operation_id = "update_webhook_endpoint"
    )]
    async fn update(
        &self,
        call: Call,
        /// The endpoint's id.
        endpoint_id: Path<Uuid>,
        body: Body<UpdateWebhookEndpoint>,
    ) -> Answer<WebhookEndpoint> {
        let patch = body.0.into_model()?;
        Ok(Json(
            webhooks::update(&call.app, call.caller()?, endpoint_id.0, patch)
                .await?
                .into(),
        ))
    }

    /// Delete a webhook endpoint
    ///
    /// With its deliveries. Needs the scope `webhooks:write`.
    #[oai(
        path = "/webhook-endpoints/:endpoint_id",
        method = "delete",
        operation_id = "delete_webhook_endpoint"
    )]
    async fn delete(
        &self,
        call: Call,
        /// The endpoint's id.
        endpoint_id: Path<Uuid>,
    ) -> Result<Gone, Failure> {
        webhooks::delete(&call.app, call.caller()?, endpoint_id.0).await?;
        Ok(Gone::Gone)
    }

    /// Rotate a webhook endpoint's secret
    ///
    /// The new secret is shown only here. For 24 hours requests carry two signatures, the second by the secret of before;
    /// those in Plannr's form have room for one, which is by the new secret at once. Needs the scope `webhooks:write`.
    #[oai(
        path = "/webhook-endpoints/:endpoint_id/rotate-secret",
        method = "post",
        operation_id = "rotate_webhook_secret"
    )]
    async fn rotate(
        &self,
        call: Call,
        /// The endpoint's id.
        endpoint_id: Path<Uuid>,
    ) -> Answer<CreatedWebhookEndpoint> {
        let (endpoint, secret) = webhooks::rotate(&call.app, call.caller()?, endpoint_id.0).await?;
        Ok(Json(CreatedWebhookEndpoint::new(endpoint, &secret)))
    }

    /// Try a webhook endpoint
    ///
    /// Sends it an event of the type `ping`, whatever its filter; the delivery shows what came of it. Where the endpoint is
    /// disabled it waits. Needs the scope `webhooks:write`.
    #[oai(
        path = "/webhook-endpoints/:endpoint_id/test",
        method = "post",
        operation_id = "test_webhook_endpoint"
    )]
    async fn test(
        &self,
        call: Call,
        /// The endpoint's id.
        endpoint_id: Path<Uuid>,
    ) -> Result<Created<WebhookDelivery>, Failure> {
        let delivery = webhooks::test(&call.app, call.caller()?, endpoint_id.0).await?;
        Ok(Created::Created(Json(delivery.into())))
    }

    /// Replay events to a webhook endpoint
    ///
    /// Sends it once more, with the same ids, what happened since a time, as far as the log is kept and its filter takes it.
    /// Needs the scope `webhooks:write`.
    #[oai(
        path = "/webhook-endpoints/:endpoint_id/replay",
        method = "post",
        operation_id = "replay_webhook_events"
    )]
    async fn replay(
        &self,
        call: Call,
        /// The endpoint's id.
        endpoint_id: Path<Uuid>,
        body: Body<ReplayWebhooks>,
    ) -> Answer<WebhookEndpoint> {
        let since = body.0.since.at;
        Ok(Json(
            webhooks::replay(&call.app, call.caller()?, endpoint_id.0, since)
                .await?
                .into(),
        ))
    }

    /// List webhook deliveries
    ///
    /// Every event that an endpoint was or is to be sent, for as long as the event is kept; every filter that is given must
    /// hold. Needs the scope `webhooks:read`.
    #[oai(
        path = "/webhook-deliveries",
        method = "get",
        operation_id = "list_webhook_deliveries"
    )]
    async fn list_deliveries(
        &self,
        call: Call,
        /// To this endpoint.
        endpoint_id: Query<Option<Uuid>>,
        /// With this status.
        status: Query<Option<DeliveryStatus>>,
        /// Rows on a page, 1 to 200.
        #[oai(
            default = "default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u16>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Answer<WebhookDeliveryList> {
        let page = page(Some(limit.0), cursor.0.as_deref())?;
        let filter = DeliveryFilter {
            endpoint: endpoint_id.0,
            status: status.0.map(Into::into),
        };
        Ok(Json(
            deliveries::list(&call.app, call.caller()?, filter, page)
                .await?
                .into(),
        ))
    }

    /// Retry a webhook delivery
    ///
    /// Tries it again at once, also where it succeeded or failed for good, with its whole schedule before it. Needs the scope
    /// `webhooks:write`.
    #[oai(
        path = "/webhook-deliveries/:delivery_id/retry",
        method = "post",
        operation_id = "retry_webhook_delivery"
    )]
    async fn retry(
        &self,
        call: Call,
        /// The delivery's id.
        delivery_id: Path<Uuid>,
    ) -> Answer<WebhookDelivery> {
        Ok(Json(
            deliveries::retry(&call.app, call.caller()?, delivery_id.0)
                .await?
                .into(),
        ))
    }
}
