//! Webhook endpoints: created, changed, tried, and shown their events again.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    App, journal, logins,
    vault::{self, Key, Place},
};
use crate::{
    mail::{egress::EgressError, http::HttpError},
    model::{
        Error, Result,
        agent::AgentKind,
        caller::{Caller, Visibility},
        endpoint_form::{EndpointForm, PLANNR_SECRET},
        error::Conflict,
        event::{Draft, EventEndpoint, EventPosition, EventType},
        id::{self, TenantId},
        page::{Page, PageRequest},
        scope::Scope,
        webhook::{
            self, Delivery, Endpoint, EndpointFilter, EndpointPatch, GRACE, Health, MAX_ENDPOINTS,
            NewEndpoint,
        },
    },
    store::{Conn, LockedEndpoint, NewDelivery, SealedSecrets},
};

const RESOURCE: &str = "webhook endpoint";
/// Events that are written at the same time may be in the log in another order than their times, by so much at most.
const SKEW: TimeDelta = TimeDelta::minutes(1);

/// The endpoints that the caller sees, newest first.
pub async fn list(app: &App, caller: &Caller, page: PageRequest) -> Result<Page<Endpoint>> {
    caller.require(Scope::WebhooksRead)?;
    let mut conn = app.store.read().await?;
    conn.list_endpoints(caller.tenant_id, caller.visibility(), page)
        .await
}

/// One endpoint that the caller sees.
pub async fn get(app: &App, caller: &Caller, id: Uuid) -> Result<Endpoint> {
    caller.require(Scope::WebhooksRead)?;
    let mut conn = app.store.read().await?;
    let found = conn
        .get_endpoint(caller.tenant_id, caller.visibility(), id)
        .await?;
    found.ok_or(Error::NotFound(RESOURCE))
}

/// Makes an endpoint, which is sent what happens from now on: the only time, with [`rotate`], that its secret is seen. One
/// that an employee makes hears of the employee's own mailboxes.
pub async fn create(app: &App, caller: &Caller, new: NewEndpoint) -> Result<(Endpoint, SecretString)> {
    caller.require(Scope::WebhooksWrite)?;
    let (tenant, seen, now) = (caller.tenant_id, caller.visibility(), app.clock.shared());
    check_url(app, &new.url).await?;
    let data_key = logins::data_key(app, tenant).await?;
    let id = id::new();
    let secret = new_secret(&new.form);
    let sealed = vault::seal_secret(&data_key, place(tenant, id), &secret)?;
    let endpoint = Endpoint {
        id,
        member: match seen {
            Visibility::All => None,
            Visibility::CreatedBy(member) => Some(member),
        },
        url: new.url,
        description: new.description,
        filter: new.filter,
        form: new.form,
        enabled: true,
        disabled: None,
        failing_since: None,
        last_attempt_at: None,
        created_at: now,
        updated_at: now,
    };
    let made = app.write(move |tx| {
        Box::pin(async move {
            check_filter(tx, tenant, seen, &endpoint.filter).await?;
            if tx.has_endpoints(tenant, MAX_ENDPOINTS).await? {
                return Err(Error::Conflict(Conflict::WebhookEndpointLimit {
                    limit: MAX_ENDPOINTS,
                }));
            }
            let last = tx.last_event(tenant).await?;
            tx.create_endpoint(tenant, &endpoint, &sealed, last).await?;
            Ok(endpoint)
        })
    });
    Ok((made.await?, secret))
}

/// Changes an endpoint. One that is enabled again goes on where it stopped.
pub async fn update(app: &App, caller: &Caller, id: Uuid, patch: EndpointPatch) -> Result<Endpoint> {
    caller.require(Scope::WebhooksWrite)?;
    let (tenant, seen, now) = (caller.tenant_id, caller.visibility(), app.clock.shared());
    if let Some(url) = &patch.url {
        check_url(app, url).await?;
    }
    let updated = app.write(move |tx| {
        Box::pin(async move {
            let before = lock(tx, tenant, seen, id).await?.endpoint;
            if patch.kinds.is_present() && before.form != EndpointForm::Standard {
                return Err(Error::field(
                    "event_types",
                    "The events of an endpoint in Plannr's form are changed by PUT /api/v2/webhook-subscriptions.",
                ));
            }
            let mut endpoint = apply(before.clone(), patch);
            if endpoint.filter.agent.is_some() && endpoint.filter.team.is_some() {
                return Err(Error::field("team_id", "Set agent_id or team_id, not both."));
            }
            if endpoint.filter != before.filter {
                check_filter(tx, tenant, seen, &endpoint.filter).await?;
            }
            if endpoint == before {
                return Ok(endpoint);
            }
            endpoint.updated_at = now;
            if endpoint.enabled && (!before.enabled || endpoint.url != before.url) {
                endpoint.disabled = None;
                endpoint.failing_since = None;
                tx.set_endpoint_health(tenant, id, Health::mended()).await?;
            }
            tx.update_endpoint(tenant, &endpoint).await?;
            let due = endpoint.enabled.then_some(now);
            tx.set_endpoint_due(tenant, id, due).await?;
            Ok(endpoint)
        })
    });
    let updated = updated.await?;
    // What it has missed is in the log.
    app.signals.wake_events(tenant);
    app.signals.wake_deliver();
    Ok(updated)
}

fn apply(mut endpoint: Endpoint, patch: EndpointPatch) -> Endpoint {
    let EndpointPatch {
        url,
        description,
        kinds,
        mailboxes,
        agent,
        team,
        enabled,
    } = patch;
    let filter = &mut endpoint.filter;
    filter.kinds = kinds
        .apply(Some(std::mem::take(&mut filter.kinds)))
        .unwrap_or_default();
    filter.mailboxes = mailboxes
        .apply(Some(std::mem::take(&mut filter.mailboxes)))
        .unwrap_or_default();
    filter.agent = agent.apply(filter.agent);
    filter.team = team.apply(filter.team);
    endpoint.url = url.unwrap_or(endpoint.url);
    endpoint.description = description.apply(endpoint.description);
    endpoint.enabled = enabled.unwrap_or(endpoint.enabled);
    endpoint
}

/// Erases an endpoint with its deliveries.
pub async fn delete(app: &App, caller: &Caller, id: Uuid) -> Result<()> {
    caller.require(Scope::WebhooksWrite)?;
    let (tenant, seen) = (caller.tenant_id, caller.visibility());
    app.write(move |tx| {
        Box::pin(async move {
            lock(tx, tenant, seen, id).await?;
            tx.delete_endpoint(tenant, id).await?;
            Ok(())
        })
    })
    .await
}

/// Gives an endpoint a new secret; the old one signs too for 24 hours, where its form has room for two signatures.
pub async fn rotate(app: &App, caller: &Caller, id: Uuid) -> Result<(Endpoint, SecretString)> {
    caller.require(Scope::WebhooksWrite)?;
    let (tenant, seen, now) = (caller.tenant_id, caller.visibility(), app.clock.shared());
    let data_key = logins::data_key(app, tenant).await?;
    let rotated = app.write(move |tx| {
        Box::pin(async move {
            let LockedEndpoint {
                mut endpoint,
                secrets,
                ..
            } = lock(tx, tenant, seen, id).await?;
            let secret = new_secret(&endpoint.form);
            let sealed = vault::seal_secret(&data_key, place(tenant, id), &secret)?;
            let old = (secrets.current.as_slice(), now + GRACE);
            tx.rotate_endpoint(tenant, id, &sealed, old, now).await?;
            endpoint.updated_at = now;
            Ok((endpoint, secret))
        })
    });
    rotated.await
}

/// A secret as an endpoint's form has them.
fn new_secret(form: &EndpointForm) -> SecretString {
    match form {
        EndpointForm::Standard => webhook::secret(&vault::random()),
        EndpointForm::Plannr { events: _ } => vault::random_text(PLANNR_SECRET),
    }
}

/// Sends an endpoint an event that nothing but this call is about.
pub async fn test(app: &App, caller: &Caller, id: Uuid) -> Result<Delivery> {
    caller.require(Scope::WebhooksWrite)?;
    let (tenant, seen, now) = (caller.tenant_id, caller.visibility(), app.clock.shared());
    let made = app.write(move |tx| {
        Box::pin(async move {
            let endpoint = lock(tx, tenant, seen, id).await?.endpoint;
            tx.hasten_endpoints(tenant, &[id], now).await?;
            let ping = Draft {
                endpoint: Some(EventEndpoint {
                    id,
                    url: endpoint.url,
                    reason: None,
                }),
                ..journal::draft(EventType::Ping)
            };
            tx.append_events(tenant, (None, None), &[ping], now).await?;
            // The tenant's counter is locked: this is the place of the ping.
            let position = tx.last_event(tenant).await?;
            let new = NewDelivery {
                endpoint: id,
                position,
                mailbox: None,
            };
            tx.create_deliveries(tenant, &[new], now).await?;
            let found = tx.find_delivery(tenant, id, position).await?;
            found.ok_or_else(|| Error::internal("a delivery that was made is not there"))
        })
    });
    let made = made.await?;
    app.signals.wake_events(tenant);
    app.signals.wake_deliver();
    Ok(made)
}

/// Sends an endpoint everything that happened since a time once more, as far as the log is kept and its filter takes it.
pub async fn replay(app: &App, caller: &Caller, id: Uuid, since: DateTime<Utc>) -> Result<Endpoint> {
    caller.require(Scope::WebhooksWrite)?;
    let (tenant, seen, now) = (caller.tenant_id, caller.visibility(), app.clock.shared());
    if since > now {
        return Err(Error::field("since", "A time that has passed."));
    }
    let replayed = app.write(move |tx| {
        Box::pin(async move {
            let endpoint = lock(tx, tenant, seen, id).await?.endpoint;
            if let Some(first) = first_since(tx, tenant, since).await? {
                tx.rewind_endpoint(tenant, id, EventPosition(first.0 - 1)).await?;
            }
            Ok(endpoint)
        })
    });
    let replayed = replayed.await?;
    app.signals.wake_events(tenant);
    Ok(replayed)
}

/// The place of the first event since a time. Times rise with places but for a little, so that no index of them is needed.
async fn first_since(tx: &mut Conn, tenant: TenantId, since: DateTime<Utc>) -> Result<Option<EventPosition>> {
    let early = since.checked_sub_signed(SKEW).unwrap_or(since);
    let (mut low, mut high) = (1, tx.last_event(tenant).await?.0 + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match tx.event_from(tenant, EventPosition(middle)).await? {
            Some((found, at)) if at < early => low = found.0 + 1,
            _ => high = middle,
        }
    }
    tx.event_since(tenant, EventPosition(low), since).await
}

/// An endpoint that the caller sees, its row locked.
pub(super) async fn lock(
    tx: &mut Conn,
    tenant: TenantId,
    seen: Visibility,
    id: Uuid,
) -> Result<LockedEndpoint> {
    let visible = |locked: &LockedEndpoint| match seen {
        Visibility::All => true,
        Visibility::CreatedBy(member) => locked.endpoint.member == Some(member),
    };
    let found = tx.lock_endpoint(tenant, id).await?;
    found.filter(visible).ok_or(Error::NotFound(RESOURCE))
}

/// Refuses a URL that nothing would be sent to. A name that does not resolve now may do so later.
async fn check_url(app: &App, url: &str) -> Result<()> {
    let detail = match app.http.check(url).await {
        Ok(()) => return Ok(()),
        Err(HttpError::Egress(EgressError::Unresolved | EgressError::Timeout) | HttpError::Timeout)
            if url.starts_with("https:") =>
        {
            return Ok(());
        }
        Err(HttpError::Insecure) => {
            "Plain http is taken only where POSTROOM_EGRESS_ALLOW names the address: use https.".to_owned()
        }
        Err(HttpError::Egress(EgressError::Forbidden)) => {
            "This host leads to an address that is not public, and that POSTROOM_EGRESS_ALLOW does not name."
                .to_owned()
        }
        Err(HttpError::Url | HttpError::Egress(EgressError::InvalidHost)) => {
            "An https URL with a host and without user information.".to_owned()
        }
        Err(error) => format!("Nothing can be sent there: {error}."),
    };
    Err(Error::field("url", detail))
}

/// What a filter names must be there, and be seen by the caller.
async fn check_filter(
    tx: &mut Conn,
    tenant: TenantId,
    seen: Visibility,
    filter: &EndpointFilter,
) -> Result<()> {
    for mailbox in &filter.mailboxes {
        let found = tx.get_mailbox(tenant, seen, *mailbox).await?;
        found
            .filter(|mailbox| !mailbox.facts.retired)
            .ok_or(Error::NotFound("mailbox"))?;
    }
    for (kind, id) in [(AgentKind::Agent, filter.agent), (AgentKind::Team, filter.team)] {
        if let Some(id) = id
            && tx.get_agent(tenant, kind, id).await?.is_none()
        {
            return Err(Error::NotFound(kind.as_str()));
        }
    }
    Ok(())
}

/// The secrets that sign what is sent now.
pub(super) fn open_secrets(
    data_key: &Key,
    tenant: TenantId,
    endpoint: Uuid,
    sealed: &SealedSecrets,
    now: DateTime<Utc>,
) -> Result<Vec<SecretString>> {
    let old = sealed.old.iter().filter(|(_, until)| now < *until);
    std::iter::once(&sealed.current)
        .chain(old.map(|(secret, _)| secret))
        .map(|secret| vault::open_secret(data_key, place(tenant, endpoint), secret))
        .collect()
}

/// The secret that was made last.
pub(super) fn open_current(
    data_key: &Key,
    tenant: TenantId,
    endpoint: Uuid,
    sealed: &SealedSecrets,
) -> Result<SecretString> {
    vault::open_secret(data_key, place(tenant, endpoint), &sealed.current)
}

/// Where an endpoint's secrets lie: that of before lies in the same place.
const fn place(tenant: TenantId, endpoint: Uuid) -> Place {
    Place {
        table: "webhook_endpoints",
        column: "secret",
        tenant,
        row: endpoint,
    }
}
