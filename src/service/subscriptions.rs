//! Plannr's webhook subscriptions: the webhook endpoints in that form, with the secret that each answer there shows.
//!
//! One is made by [`webhooks::create`], as every endpoint is. Endpoints in another form are unknown here: their secrets are
//! shown once.

use secrecy::SecretString;
use uuid::Uuid;

use super::{App, logins, webhooks};
use crate::{
    model::{
        Error, Result,
        caller::Caller,
        endpoint_form::EndpointForm,
        scope::Scope,
        webhook::{Endpoint, MAX_ENDPOINTS},
    },
    store::LockedEndpoint,
};

const RESOURCE: &str = "webhook subscription";

/// The subscriptions that the caller sees, newest first: never more than a tenant's endpoints.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<(Endpoint, SecretString)>> {
    caller.require(Scope::WebhooksRead)?;
    let tenant = caller.tenant_id;
    let data_key = logins::data_key(app, tenant).await?;
    let mut conn = app.store.read().await?;
    let found = conn
        .list_subscriptions(tenant, caller.visibility(), MAX_ENDPOINTS)
        .await?;
    let open = |(endpoint, sealed): (Endpoint, _)| {
        let secret = webhooks::open_current(&data_key, tenant, endpoint.id, &sealed)?;
        Ok((endpoint, secret))
    };
    found.into_iter().map(open).collect()
}

/// One subscription that the caller sees.
pub async fn get(app: &App, caller: &Caller, id: Uuid) -> Result<(Endpoint, SecretString)> {
    caller.require(Scope::WebhooksRead)?;
    let tenant = caller.tenant_id;
    let data_key = logins::data_key(app, tenant).await?;
    let mut conn = app.store.read().await?;
    let found = conn.get_sealed_endpoint(tenant, caller.visibility(), id).await?;
    let (endpoint, sealed) = found
        .filter(|(endpoint, _)| matches!(endpoint.form, EndpointForm::Plannr { events: _ }))
        .ok_or(Error::NotFound(RESOURCE))?;
    let secret = webhooks::open_current(&data_key, tenant, id, &sealed)?;
    Ok((endpoint, secret))
}

/// Subscribes to other events, of which those are sent that were not looked at yet.
pub async fn update(
    app: &App,
    caller: &Caller,
    id: Uuid,
    events: Vec<String>,
) -> Result<(Endpoint, SecretString)> {
    caller.require(Scope::WebhooksWrite)?;
    let (tenant, seen, now) = (caller.tenant_id, caller.visibility(), app.clock.shared());
    let data_key = logins::data_key(app, tenant).await?;
    let updated = app.write(move |tx| {
        Box::pin(async move {
            let missing = |error| match error {
                Error::NotFound(_) => Error::NotFound(RESOURCE),
                error => error,
            };
            let locked = webhooks::lock(tx, tenant, seen, id).await.map_err(missing)?;
            let LockedEndpoint {
                mut endpoint,
                secrets,
                ..
            } = locked;
            let EndpointForm::Plannr { events: before } = &mut endpoint.form else {
                return Err(Error::NotFound(RESOURCE));
            };
            if *before != events {
                *before = events;
                endpoint.updated_at = now;
                tx.update_endpoint(tenant, &endpoint).await?;
            }
            let secret = webhooks::open_current(&data_key, tenant, id, &secrets)?;
            Ok((endpoint, secret))
        })
    });
    updated.await
}
