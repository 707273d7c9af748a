//! Deliveries: made from the log for the endpoints that take an event, taken to be sent, and marked with what came of it.
//!
//! An endpoint has its turn in one transaction, in which its row is locked: what came of its deliveries is marked, and the
//! next ones are taken. A delivery that is taken belongs to whoever took it until its lease ends, and its number rises each
//! time; one whose taker has died is taken again with its attempts as they were.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use super::{App, journal::Journal, logins, vault, webhooks};
use crate::{
    model::{
        Error, Result,
        caller::Caller,
        endpoint_form::EndpointForm,
        event::{Event, EventEndpoint, EventPosition, EventType},
        id::TenantId,
        page::{Page, PageRequest},
        scope::Scope,
        webhook::{
            self, Attempt, Delivery, DeliveryFilter, DeliveryStatus, Disabled, DisabledReason, Endpoint,
            Health, IN_FLIGHT,
        },
    },
    store::{Conn, DueDelivery, Gate, Mark, NewDelivery, SealedSecrets},
};

const RESOURCE: &str = "webhook delivery";
/// How long a request may take.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// For how long a delivery is nobody else's once it is taken: a request's time and 5 s.
pub const LEASE: TimeDelta = TimeDelta::seconds(20);
/// For how long an endpoint is left to whoever has picked it for a turn.
const PICKED: TimeDelta = TimeDelta::seconds(20);
/// When an endpoint is looked at again that had more to send than its sender had room for.
const SOON: TimeDelta = TimeDelta::seconds(1);
/// How many endpoints are picked at once, and how many of a tenant look at the log together.
const PICKS: i64 = 200;
const READERS: i64 = 200;
/// How many events they look at: fewer when they are many, so that a transaction makes at most this many deliveries.
const EVENTS: i64 = 500;
const MADE: i64 = 5_000;
/// How often a turn goes on past deliveries whose mailbox is disabled.
const HELD: usize = 50;

/// The deliveries that the caller sees, newest first.
pub async fn list(
    app: &App,
    caller: &Caller,
    filter: DeliveryFilter,
    page: PageRequest,
) -> Result<Page<Delivery>> {
    caller.require(Scope::WebhooksRead)?;
    let mut conn = app.store.read().await?;
    conn.list_deliveries(caller.tenant_id, caller.visibility(), filter, page)
        .await
}

/// Tries a delivery again at once, whatever has become of it, with its whole schedule before it. One that is on its way is
/// left alone.
pub async fn retry(app: &App, caller: &Caller, id: Uuid) -> Result<Delivery> {
    caller.require(Scope::WebhooksWrite)?;
    let (tenant, seen, now) = (caller.tenant_id, caller.visibility(), app.clock.shared());
    let retried = app.write(move |tx| {
        Box::pin(async move {
            let missing = || Error::NotFound(RESOURCE);
            let found = tx.get_delivery(tenant, seen, id).await?.ok_or_else(missing)?;
            // Its turns wait until this is written.
            tx.lock_endpoint(tenant, found.endpoint)
                .await?
                .ok_or_else(missing)?;
            let found = tx.get_delivery(tenant, seen, id).await?.ok_or_else(missing)?;
            if found.status == DeliveryStatus::Sending {
                return Ok(found);
            }
            tx.retry_delivery(tenant, id, now).await?;
            tx.hasten_endpoints(tenant, &[found.endpoint], now).await?;
            tx.get_delivery(tenant, seen, id).await?.ok_or_else(missing)
        })
    });
    let retried = retried.await?;
    app.signals.wake_deliver();
    Ok(retried)
}

/// A request that is to be sent.
pub struct Job {
    /// Whose.
    pub tenant: TenantId,
    /// To which endpoint.
    pub endpoint: Uuid,
    /// Where that is.
    pub url: String,
    /// What signs it, the newest first.
    pub secrets: Vec<SecretString>,
    /// In which form it is.
    pub form: EndpointForm,
    /// What it tells.
    pub event: Event,
    /// Which delivery it is.
    pub taken: DueDelivery,
    /// Since when it is taken.
    pub since: Instant,
}

/// What came of a request.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Which delivery it was.
    pub taken: DueDelivery,
    /// What came of it.
    pub attempt: Attempt,
    /// How long the endpoint asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// An endpoint's turn.
#[derive(Debug, Clone)]
pub struct Turn {
    /// The endpoint.
    pub endpoint: Uuid,
    /// What came of its requests since the last one.
    pub sent: Vec<Sent>,
    /// How many requests may be sent to it, as far as the sender is concerned.
    pub room: usize,
}

/// What turns answer.
#[derive(Default)]
pub struct Taken {
    /// What is to be sent.
    pub jobs: Vec<Job>,
    /// When one of the endpoints has something to do again.
    pub due: Option<DateTime<Utc>>,
}

/// What was found in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    /// The endpoints that may have something to send.
    pub endpoints: Vec<Uuid>,
    /// True where there may be more to look at.
    pub more: bool,
}

/// Hears the database's clock, by which nodes agree when a lease ends, and when a delivery is due.
pub async fn agree(app: &App) -> Result<()> {
    if app.store.is_embedded() {
        return Ok(());
    }
    let mut conn = app.store.read().await?;
    let asked = app.clock.now();
    let said = conn.time().await?;
    app.clock.hear(said, (asked, app.clock.now()));
    Ok(())
}

/// Makes the deliveries of a batch of events that a tenant's endpoints have not looked at.
pub async fn spread(app: &App, tenant: TenantId) -> Result<Spread> {
    let now = app.clock.shared();
    app.write(move |tx| {
        Box::pin(async move {
            let last = tx.last_event(tenant).await?;
            let readers = tx.lock_readers(tenant, last, READERS).await?;
            let Some(first) = readers.iter().map(|reader| reader.position).min() else {
                return Ok(Spread::default());
            };
            let count = i64::try_from(readers.len()).unwrap_or(READERS);
            let limit = (MADE / count).clamp(1, EVENTS);
            let news = tx.list_news(tenant, first, last, limit).await?;
            let whole = i64::try_from(news.len()).is_ok_and(|found| found < limit);
            let upto = news.last().filter(|_| !whole).map_or(last, |news| news.position);
            // A mailbox may have been enabled or deleted, for which deliveries waited.
            let switched = news
                .iter()
                .any(|news| matches!(news.kind, EventType::MailboxUpdated | EventType::MailboxDeleted));
            let (mut new, mut endpoints, mut moved) = (Vec::new(), Vec::new(), Vec::new());
            for reader in readers.iter().filter(|reader| reader.position < upto) {
                let takes = |news: &&crate::store::News| {
                    news.position > reader.position
                        && reader.member.is_none_or(|member| news.member == Some(member))
                        && reader.form.takes(news.kind)
                        && reader.filter.takes(news.kind, news.mailbox, news.bound)
                };
                let before = new.len();
                new.extend(news.iter().filter(takes).map(|news| NewDelivery {
                    endpoint: reader.endpoint,
                    position: news.position,
                    mailbox: news.mailbox.filter(|_| news.kind.is_of_message()),
                }));
                if switched || new.len() > before {
                    endpoints.push(reader.endpoint);
                }
                moved.push(reader.endpoint);
            }
            tx.create_deliveries(tenant, &new, now).await?;
            tx.set_reader_positions(tenant, &moved, upto).await?;
            if !endpoints.is_empty() {
                tx.hasten_endpoints(tenant, &endpoints, now).await?;
            }
            Ok(Spread {
                endpoints,
                more: !whole || count == READERS,
            })
        })
    })
    .await
}

/// The tenants whose endpoints have not looked at the whole log, after this one.
pub async fn unread(app: &App, after: Option<TenantId>) -> Result<Vec<TenantId>> {
    app.store.read().await?.list_unread(after, PICKS).await
}

/// Picks endpoints that have something to do by now, of any tenant, and says when the next one has.
pub async fn pick(app: &App) -> Result<(Vec<(TenantId, Uuid)>, Option<DateTime<Utc>>)> {
    let now = app.clock.shared();
    let next = app.store.read().await?.next_due_endpoint().await?;
    if next.is_none_or(|next| next > now) {
        return Ok((Vec::new(), next));
    }
    app.write(move |tx| {
        Box::pin(async move {
            let picked = tx.take_due_endpoints(now, now + PICKED, PICKS).await?;
            let next = tx.next_due_endpoint().await?;
            Ok((picked, next))
        })
    })
    .await
}

/// The start of the embedded database's one process: what its last run was sending is sent again at once.
pub async fn free(app: &App) -> Result<()> {
    let now = app.clock.shared();
    if app.store.is_embedded() {
        let until = now + LEASE.max(PICKED);
        app.write(move |tx| Box::pin(async move { tx.free_deliveries(now, until).await }))
            .await?;
    }
    Ok(())
}

/// What was taken for one endpoint.
struct Claimed {
    endpoint: Uuid,
    url: String,
    secrets: SealedSecrets,
    form: EndpointForm,
    taken: Vec<DueDelivery>,
    events: Vec<Event>,
}

/// Gives some endpoints of a tenant their turns.
pub async fn turns(app: &App, tenant: TenantId, mut turns: Vec<Turn>) -> Result<Taken> {
    turns.sort_unstable_by_key(|turn| turn.endpoint);
    let (now, since) = (app.clock.shared(), Instant::now());
    let work = app.write_journal(tenant, move |tx, journal| {
        Box::pin(async move {
            let (mut claimed, mut due) = (Vec::new(), None::<DateTime<Utc>>);
            for turn in turns {
                let (taken, next) = take(tx, journal, tenant, turn, now).await?;
                claimed.extend(taken);
                due = due.into_iter().chain(next).min();
            }
            Ok((claimed, due))
        })
    });
    let (claimed, due) = work.await?;
    if claimed.is_empty() {
        return Ok(Taken {
            jobs: Vec::new(),
            due,
        });
    }
    let data_key = logins::data_key(app, tenant).await?;
    let mut jobs = Vec::new();
    for Claimed {
        endpoint,
        url,
        secrets,
        form,
        taken,
        events,
    } in claimed
    {
        let secrets = webhooks::open_secrets(&data_key, tenant, endpoint, &secrets, now)?;
        for taken in taken {
            let event = events.iter().find(|event| event.position == taken.position);
            jobs.extend(event.map(|event| Job {
                tenant,
                endpoint,
                url: url.clone(),
                secrets: secrets.clone(),
                form: form.clone(),
                event: event.clone(),
                taken,
                since,
            }));
        }
    }
    Ok(Taken { jobs, due })
}

/// One endpoint's turn: what was taken for it, and when it has something to do again.
async fn take(
    tx: &mut Conn,
    journal: &mut Journal,
    tenant: TenantId,
    turn: Turn,
    now: DateTime<Utc>,
) -> Result<(Option<Claimed>, Option<DateTime<Utc>>)> {
    let id = turn.endpoint;
    let Some(locked) = tx.lock_endpoint(tenant, id).await? else {
        return Ok((None, None));
    };
    let mut endpoint = locked.endpoint;
    let health = mark(tx, journal, tenant, &mut endpoint, locked.health, turn.sent, now).await?;
    if !endpoint.enabled {
        tx.end_turn(tenant, id, endpoint.last_attempt_at, None).await?;
        return Ok((None, None));
    }
    let sending = tx.count_sending(tenant, id, now).await?;
    let free = health.room(now).saturating_sub(sending);
    let room = free.min(turn.room);
    let taken = claim(tx, tenant, id, room, now).await?;
    let due = match health.open_until {
        Some(until) if now < until => Some(until),
        // A request that ends gives it its next turn.
        _ if taken.len() == free => Some(now + LEASE),
        _ if taken.len() == room => Some(now + SOON),
        _ => tx.next_due_delivery(tenant, id).await?,
    };
    tx.end_turn(tenant, id, endpoint.last_attempt_at, due).await?;
    if taken.is_empty() {
        return Ok((None, due));
    }
    let positions: Vec<EventPosition> = taken.iter().map(|taken| taken.position).collect();
    let events = tx.events_at(tenant, &positions).await?;
    let claimed = Claimed {
        endpoint: id,
        url: endpoint.url,
        secrets: locked.secrets,
        form: endpoint.form,
        taken,
        events,
    };
    Ok((Some(claimed), due))
}

/// Marks what came of an endpoint's requests, and disables it where it is gone or has failed for too long.
async fn mark(
    tx: &mut Conn,
    journal: &mut Journal,
    tenant: TenantId,
    endpoint: &mut Endpoint,
    before: Health,
    sent: Vec<Sent>,
    now: DateTime<Utc>,
) -> Result<Health> {
    let (mut health, mut reason) = (before, None);
    let last = sent.iter().map(|sent| sent.attempt.at).max();
    endpoint.last_attempt_at = endpoint.last_attempt_at.max(last);
    for Sent {
        taken,
        attempt,
        retry_after,
    } in sent
    {
        let (succeeded, gone) = (attempt.succeeded(), attempt.status == Some(410));
        let attempts = taken.attempts.saturating_add(1);
        let delay = webhook::delay(attempts, jitter(), retry_after).filter(|_| !succeeded && !gone);
        let status = match delay {
            _ if succeeded => DeliveryStatus::Succeeded,
            Some(_) => DeliveryStatus::Pending,
            None => DeliveryStatus::Failed,
        };
        let mark = Mark {
            id: taken.id,
            claim: taken.claim,
            status,
            attempts,
            next_at: delay.map(|delay| now + delay),
            attempt,
        };
        if !tx.mark_delivery(tenant, mark).await? {
            continue;
        }
        health = if succeeded {
            Health::mended()
        } else {
            health.worse(now)
        };
        if gone {
            reason = Some(DisabledReason::Gone);
        }
    }
    if health.is_hopeless(now) && health != before {
        reason = reason.or(Some(DisabledReason::Failing));
    }
    if health != before {
        tx.set_endpoint_health(tenant, endpoint.id, health).await?;
    }
    if let Some(reason) = reason.filter(|_| endpoint.enabled) {
        endpoint.enabled = false;
        endpoint.failing_since = health.failing_since;
        endpoint.disabled = Some(Disabled { at: now, reason });
        tx.update_endpoint(tenant, endpoint).await?;
        let about = EventEndpoint {
            id: endpoint.id,
            url: endpoint.url.clone(),
            reason: Some(reason),
        };
        journal.endpoint(EventType::WebhookEndpointDisabled, about);
    }
    Ok(health)
}

/// Takes deliveries whose time has come, so many at most. Those of messages whose mailbox is disabled wait until it is
/// enabled: it stays as it is until they are taken, so that none is after the answer to a disabling. Those of a mailbox that
/// was deleted end.
async fn claim(
    tx: &mut Conn,
    tenant: TenantId,
    endpoint: Uuid,
    room: usize,
    now: DateTime<Utc>,
) -> Result<Vec<DueDelivery>> {
    let mut taken: Vec<DueDelivery> = Vec::new();
    for _ in 0..HELD {
        let wanted = i64::try_from(room.min(IN_FLIGHT).saturating_sub(taken.len())).unwrap_or_default();
        if wanted == 0 {
            break;
        }
        let due = tx.due_deliveries(tenant, endpoint, now, wanted).await?;
        if due.is_empty() {
            break;
        }
        let mut mailboxes: Vec<Uuid> = due.iter().filter_map(|one| one.mailbox).collect();
        mailboxes.sort_unstable();
        mailboxes.dedup();
        let gates = if mailboxes.is_empty() {
            Vec::new()
        } else {
            tx.share_gates(tenant, &mailboxes).await?
        };
        let (mut go, mut held, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for one in due {
            let found = gates.iter().find(|(id, _)| Some(*id) == one.mailbox);
            match found.map(|(_, gate)| gate) {
                None | Some(Gate::Open) => {
                    go.push(one.id);
                    taken.push(DueDelivery {
                        claim: one.claim + 1,
                        ..one
                    });
                }
                Some(Gate::Shut) => held.push(one.id),
                Some(Gate::Gone) => ended.push(one.id),
            }
        }
        if !held.is_empty() {
            tx.hold_deliveries(tenant, &held).await?;
        }
        if !ended.is_empty() {
            tx.drop_deliveries(tenant, &ended).await?;
        }
        if !go.is_empty() {
            tx.claim_deliveries(tenant, &go, now + LEASE).await?;
        }
    }
    Ok(taken)
}

/// A number between 0 and 1.
fn jitter() -> f64 {
    f64::from(u32::from_le_bytes(vault::random())) / f64::from(u32::MAX)
}
