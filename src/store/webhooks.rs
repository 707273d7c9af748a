//! Webhook endpoints: what their tenants see of them, how they fare, and which of them have something to do.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Conn, on,
    schema::webhook_endpoints,
    types::{At, Id},
    unreadable,
};
use crate::model::{
    Error, Result,
    caller::Visibility,
    endpoint_form::EndpointForm,
    event::{EventPosition, EventType},
    id::TenantId,
    page::{Page, PageRequest, Position},
    webhook::{Disabled, DisabledReason, Endpoint, EndpointFilter, Health},
};

/// What a caller sees of a row of `webhook_endpoints`.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = webhook_endpoints, treat_none_as_null = true, treat_none_as_default_value = false)]
pub(crate) struct Row {
    pub(crate) id: Id,
    member_id: Option<Id>,
    url: String,
    description: Option<String>,
    filter: String,
    enabled: bool,
    disabled_at: Option<At>,
    disabled_reason: Option<String>,
    failing_since: Option<At>,
    created_at: At,
    updated_at: At,
    form: String,
    events: Option<String>,
    last_attempt_at: Option<At>,
}

/// How an endpoint fares.
#[derive(Queryable, Selectable, AsChangeset)]
#[diesel(table_name = webhook_endpoints, treat_none_as_null = true)]
pub(crate) struct HealthRow {
    failures: i32,
    failing_since: Option<At>,
    open_until: Option<At>,
}

/// The secrets of an endpoint, as they are sealed.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = webhook_endpoints)]
pub(crate) struct SecretsRow {
    secret: Vec<u8>,
    old_secret: Option<Vec<u8>>,
    old_secret_until: Option<At>,
}

/// What decides which events an endpoint is sent.
#[derive(Queryable, Selectable)]
#[diesel(table_name = webhook_endpoints)]
pub(crate) struct ReaderRow {
    id: Id,
    member_id: Option<Id>,
    filter: String,
    form: String,
    events: Option<String>,
    position: i64,
}

/// The sealed secrets that sign what an endpoint is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecrets {
    /// The one that was made last.
    pub current: Vec<u8>,
    /// The one before, and until when it signs too.
    pub old: Option<(Vec<u8>, DateTime<Utc>)>,
}

/// An endpoint whose row is locked, with all that decides what it is sent.
#[derive(Debug, Clone)]
pub struct LockedEndpoint {
    /// What callers see of it.
    pub endpoint: Endpoint,
    /// How it fares.
    pub health: Health,
    /// What signs.
    pub secrets: SealedSecrets,
}

/// An endpoint that has not looked at the whole log of its tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Its id.
    pub endpoint: Uuid,
    /// The employee of whose mailboxes alone it hears.
    pub member: Option<Uuid>,
    /// Which events it is sent.
    pub filter: EndpointFilter,
    /// In which form.
    pub form: EndpointForm,
    /// The last event that was looked at for it.
    pub position: EventPosition,
}

/// The JSON of a filter.
#[derive(Serialize, Deserialize)]
struct Filter {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    types: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mailboxes: Vec<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    team: Option<Uuid>,
}

fn write_filter(filter: &EndpointFilter) -> Result<String> {
    let EndpointFilter {
        kinds,
        mailboxes,
        agent,
        team,
    } = filter.clone();
    let types = kinds.into_iter().map(|kind| kind.as_str().to_owned()).collect();
    let filter = Filter {
        types,
        mailboxes,
        agent,
        team,
    };
    serde_json::to_string(&filter).map_err(Error::internal)
}

fn read_filter(text: &str) -> Result<EndpointFilter> {
    let unreadable = || unreadable("webhook_endpoints.filter");
    let Filter {
        types,
        mailboxes,
        agent,
        team,
    } = serde_json::from_str(text).map_err(|_| unreadable())?;
    let kinds = types
        .iter()
        .map(|word| EventType::parse(word).ok_or_else(unreadable));
    Ok(EndpointFilter {
        kinds: kinds.collect::<Result<_>>()?,
        mailboxes,
        agent,
        team,
    })
}

/// The columns `form` and `events`.
fn write_form(form: &EndpointForm) -> Result<(String, Option<String>)> {
    let events = match form {
        EndpointForm::Standard => None,
        EndpointForm::Plannr { events } => Some(serde_json::to_string(events).map_err(Error::internal)?),
    };
    Ok((form.as_str().to_owned(), events))
}

fn read_form(form: &str, events: Option<&str>) -> Result<EndpointForm> {
    let form = match (form, events) {
        ("standard", None) => Some(EndpointForm::Standard),
        ("plannr", Some(events)) => serde_json::from_str(events)
            .ok()
            .map(|events| EndpointForm::Plannr { events }),
        _ => None,
    };
    form.ok_or_else(|| unreadable("webhook_endpoints.form"))
}

impl Row {
    fn write(endpoint: &Endpoint) -> Result<Self> {
        let Endpoint {
            id,
            member,
            url,
            description,
            filter,
            form,
            enabled,
            disabled,
            failing_since,
            last_attempt_at,
            created_at,
            updated_at,
        } = endpoint.clone();
        let (form, events) = write_form(&form)?;
        Ok(Self {
            id: Id(id),
            member_id: member.map(Id),
            url,
            description,
            filter: write_filter(&filter)?,
            enabled,
            disabled_at: disabled.map(|disabled| At(disabled.at)),
            disabled_reason: disabled.map(|disabled| disabled.reason.as_str().to_owned()),
            failing_since: failing_since.map(At),
            created_at: At(created_at),
            updated_at: At(updated_at),
            form,
            events,
            last_attempt_at: last_attempt_at.map(At),
        })
    }

    fn read(self) -> Result<Endpoint> {
        let reason = self.disabled_reason.as_deref().map(|word| {
            DisabledReason::parse(word).ok_or_else(|| unreadable("webhook_endpoints.disabled_reason"))
        });
        let disabled = self.disabled_at.zip(reason.transpose()?);
        Ok(Endpoint {
            id: self.id.0,
            member: self.member_id.map(Uuid::from),
            url: self.url,
            description: self.description,
            filter: read_filter(&self.filter)?,
            form: read_form(&self.form, self.events.as_deref())?,
            enabled: self.enabled,
            disabled: disabled.map(|(at, reason)| Disabled { at: at.0, reason }),
            failing_since: self.failing_since.map(DateTime::from),
            last_attempt_at: self.last_attempt_at.map(DateTime::from),
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
        })
    }
}

impl ReaderRow {
    fn read(self) -> Result<Reader> {
        Ok(Reader {
            endpoint: self.id.0,
            member: self.member_id.map(Uuid::from),
            filter: read_filter(&self.filter)?,
            form: read_form(&self.form, self.events.as_deref())?,
            position: EventPosition(self.position),
        })
    }
}

fn sealed((row, secrets): (Row, SecretsRow)) -> Result<(Endpoint, SealedSecrets)> {
    Ok((row.read()?, secrets.read()))
}

impl HealthRow {
    fn write(health: Health) -> Self {
        Self {
            failures: health.failures,
            failing_since: health.failing_since.map(At),
            open_until: health.open_until.map(At),
        }
    }

    fn read(self) -> Health {
        Health {
            failures: self.failures,
            failing_since: self.failing_since.map(DateTime::from),
            open_until: self.open_until.map(DateTime::from),
        }
    }
}

impl SecretsRow {
    fn read(self) -> SealedSecrets {
        let old = self.old_secret.zip(self.old_secret_until);
        SealedSecrets {
            current: self.secret,
            old: old.map(|(secret, until)| (secret, until.0)),
        }
    }
}

impl Conn {
    /// Whether the tenant has so many endpoints already; none is made elsewhere until the transaction ends.
    pub async fn has_endpoints(&mut self, tenant: TenantId, most: i64) -> Result<bool> {
        on!(self, webhooks::is_full(tenant, most))
    }

    /// Stores a new endpoint, which is sent what comes after this place of the log.
    pub async fn create_endpoint(
        &mut self,
        tenant: TenantId,
        endpoint: &Endpoint,
        secret: &[u8],
        after: EventPosition,
    ) -> Result<()> {
        let row = Row::write(endpoint)?;
        on!(self, webhooks::create(tenant, &row, secret, after.0))
    }

    /// One endpoint that the caller sees.
    pub async fn get_endpoint(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        id: Uuid,
    ) -> Result<Option<Endpoint>> {
        let found = on!(self, webhooks::get(tenant, seen, id))?;
        found.map(Row::read).transpose()
    }

    /// One endpoint that the caller sees, with what signs.
    pub async fn get_sealed_endpoint(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        id: Uuid,
    ) -> Result<Option<(Endpoint, SealedSecrets)>> {
        let found = on!(self, webhooks::get_sealed(tenant, seen, id))?;
        found.map(sealed).transpose()
    }

    /// The endpoints in Plannr's form that the caller sees, newest first, with what signs; so many at most.
    pub async fn list_subscriptions(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        limit: i64,
    ) -> Result<Vec<(Endpoint, SealedSecrets)>> {
        let rows = on!(self, webhooks::list_subscriptions(tenant, seen, limit))?;
        rows.into_iter().map(sealed).collect()
    }

    /// One endpoint, its row locked until the transaction ends.
    pub async fn lock_endpoint(&mut self, tenant: TenantId, id: Uuid) -> Result<Option<LockedEndpoint>> {
        let Some((row, health, secrets)) = on!(self, webhooks::lock(tenant, id))? else {
            return Ok(None);
        };
        Ok(Some(LockedEndpoint {
            endpoint: row.read()?,
            health: health.read(),
            secrets: secrets.read(),
        }))
    }

    /// The endpoints that the caller sees, newest first.
    pub async fn list_endpoints(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        page: PageRequest,
    ) -> Result<Page<Endpoint>> {
        let rows = on!(self, webhooks::list(tenant, seen, page))?;
        let rows = rows.into_iter().map(Row::read).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(rows, page.limit, |endpoint| Position {
            at: endpoint.created_at,
            id: endpoint.id,
        }))
    }

    /// Stores what changed about an endpoint.
    pub async fn update_endpoint(&mut self, tenant: TenantId, endpoint: &Endpoint) -> Result<()> {
        let row = Row::write(endpoint)?;
        on!(self, webhooks::update(tenant, &row))
    }

    /// Stores how an endpoint fares.
    pub async fn set_endpoint_health(&mut self, tenant: TenantId, id: Uuid, health: Health) -> Result<()> {
        let row = HealthRow::write(health);
        on!(self, webhooks::set_health(tenant, id, &row))
    }

    /// Says when an endpoint has something to do again; `None`: when an event comes.
    pub async fn set_endpoint_due(
        &mut self,
        tenant: TenantId,
        id: Uuid,
        due: Option<DateTime<Utc>>,
    ) -> Result<()> {
        on!(self, webhooks::set_due(tenant, id, due.map(At)))
    }

    /// Notes when a request was last sent to an endpoint, and says when it has something to do again.
    pub async fn end_turn(
        &mut self,
        tenant: TenantId,
        id: Uuid,
        last_attempt_at: Option<DateTime<Utc>>,
        due: Option<DateTime<Utc>>,
    ) -> Result<()> {
        let last_attempt_at = last_attempt_at.map(At);
        on!(self, webhooks::end_turn(tenant, id, last_attempt_at, due.map(At)))
    }

    /// Puts a secret in the place of one that signs too until its time.
    pub async fn rotate_endpoint(
        &mut self,
        tenant: TenantId,
        id: Uuid,
        secret: &[u8],
        (old, until): (&[u8], DateTime<Utc>),
        now: DateTime<Utc>,
    ) -> Result<()> {
        on!(self, webhooks::rotate(tenant, id, secret, (old, until), now))
    }

    /// Erases an endpoint with its deliveries; false when it is unknown.
    pub async fn delete_endpoint(&mut self, tenant: TenantId, id: Uuid) -> Result<bool> {
        on!(self, webhooks::delete(tenant, id))
    }

    /// The enabled endpoints of a tenant that have not looked at the log up to this place, their rows locked; so many at
    /// most.
    pub async fn lock_readers(
        &mut self,
        tenant: TenantId,
        last: EventPosition,
        limit: i64,
    ) -> Result<Vec<Reader>> {
        let rows = on!(self, webhooks::lock_readers(tenant, last.0, limit))?;
        rows.into_iter().map(ReaderRow::read).collect()
    }

    /// Notes up to which place of the log these endpoints have looked.
    pub async fn set_reader_positions(
        &mut self,
        tenant: TenantId,
        ids: &[Uuid],
        position: EventPosition,
    ) -> Result<()> {
        on!(self, webhooks::set_positions(tenant, ids, position.0))
    }

    /// Has an endpoint look at the log again from after this place, if it has come further.
    pub async fn rewind_endpoint(
        &mut self,
        tenant: TenantId,
        id: Uuid,
        position: EventPosition,
    ) -> Result<()> {
        on!(self, webhooks::rewind(tenant, id, position.0))
    }

    /// Says that these endpoints have something to do now.
    pub async fn hasten_endpoints(
        &mut self,
        tenant: TenantId,
        ids: &[Uuid],
        now: DateTime<Utc>,
    ) -> Result<()> {
        on!(self, webhooks::hasten(tenant, ids, now))
    }

    /// Takes endpoints of any tenant that have something to do by now, the one that has waited longest first, so many at
    /// most: until `later` no other node takes them.
    pub async fn take_due_endpoints(
        &mut self,
        now: DateTime<Utc>,
        later: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<(TenantId, Uuid)>> {
        let taken = on!(self, webhooks::take_due(now, later, limit))?;
        Ok(taken
            .into_iter()
            .map(|(tenant, id)| (TenantId(tenant.0), id.0))
            .collect())
    }

    /// When the next endpoint of any tenant has something to do.
    pub async fn next_due_endpoint(&mut self) -> Result<Option<DateTime<Utc>>> {
        Ok(on!(self, webhooks::next_due())?.map(DateTime::from))
    }

    /// Tenants with an enabled endpoint that has not looked at the whole log, in the order of their ids after this one; so
    /// many rows at most are looked at together.
    pub async fn list_unread(&mut self, after: Option<TenantId>, limit: i64) -> Result<Vec<TenantId>> {
        let found = on!(self, webhooks::list_unread(after, limit))?;
        Ok(found.into_iter().map(|tenant| TenantId(tenant.0)).collect())
    }

    /// True for a tenant with an enabled endpoint that has not looked at the whole log.
    pub async fn is_unread(&mut self, tenant: TenantId) -> Result<bool> {
        on!(self, webhooks::is_unread(tenant))
    }

    /// The start of the only node: what was on its way is not any more, and the endpoints that were left to somebody until
    /// some time before `until` are nobody's.
    pub async fn free_deliveries(&mut self, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<()> {
        on!(self, webhooks::free(now, until))
    }
}
