//! The turns of endpoints: what came of their deliveries is marked, and the next ones are taken.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use crate::{
    model::{
        Result,
        endpoint_form::EndpointForm,
        event::{Event, EventEndpoint, EventPosition, EventType},
        id::TenantId,
        webhook::{self, Attempt, DeliveryStatus, Disabled, DisabledReason, Endpoint, Health, IN_FLIGHT},
    },
    service::{App, journal::Journal, logins, vault, webhooks},
    store::{Conn, DueDelivery, Gate, Mark, SealedSecrets},
};

/// For how long a delivery is nobody else's once it is taken: a request's time and 5 s.
pub const LEASE: TimeDelta = TimeDelta::seconds(20);
/// The status of an endpoint that is there no more.
const GONE: u16 = 410;
/// When an endpoint is looked at again that had more to send than its sender had room for.
const SOON: TimeDelta = TimeDelta::seconds(1);
/// So many deliveries of one endpoint are taken at once at most, by its only sender: beside those on the wire the ones that
/// follow them.
pub const AHEAD: usize = 64;
/// How often a turn goes on past deliveries whose mailbox is disabled.
const HELD: usize = 50;

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
    pub form: Arc<EndpointForm>,
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

/// What has become of deliveries that were taken.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// What came of requests.
    pub sent: Vec<Sent>,
    /// Those that are not sent.
    pub returned: Vec<DueDelivery>,
}

impl Done {
    /// True where nothing has.
    pub const fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.returned.is_empty()
    }
}

/// An endpoint's turn.
#[derive(Debug, Clone)]
pub struct Turn {
    /// The endpoint.
    pub endpoint: Uuid,
    /// What has become of its deliveries since the last one.
    pub done: Done,
    /// How many of its deliveries the sender has, on the wire or behind those that are.
    pub held: usize,
    /// How many more the sender has room for.
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
        let form = Arc::new(form);
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
    let Done { sent, returned } = turn.done;
    let health = mark(tx, journal, tenant, &mut endpoint, locked.health, sent, now).await?;
    for one in returned {
        tx.return_delivery(tenant, (one.id, one.claim), now).await?;
    }
    if !endpoint.enabled {
        tx.end_turn(tenant, id, endpoint.last_attempt_at, None).await?;
        return Ok((None, None));
    }
    let sending = tx.count_sending(tenant, id, now).await?;
    let free = match health.room(now) {
        // Nobody else has any of its deliveries, so that no more are on the wire than may be.
        IN_FLIGHT if sending <= turn.held => AHEAD,
        most => most,
    };
    let free = free.saturating_sub(sending);
    let room = free.min(turn.room);
    let taken = claim(tx, tenant, id, room, now).await?;
    let is_busy = taken.len() == free || (taken.len() == room && turn.held + room >= IN_FLIGHT);
    let due = match health.open_until {
        Some(until) if now < until => Some(until),
        // A request that ends gives it its next turn.
        _ if is_busy => Some(now + LEASE),
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
    let marks: Vec<Mark> = sent.into_iter().map(|sent| outcome(sent, now)).collect();
    let came: Vec<_> = marks
        .iter()
        .map(|mark| (mark.status, mark.attempt.status))
        .collect();
    let marked = tx.mark_deliveries(tenant, marks).await?;
    for ((status, answer), _) in came.into_iter().zip(marked).filter(|(_, own)| *own) {
        health = if status == DeliveryStatus::Succeeded {
            Health::mended()
        } else {
            health.worse(now)
        };
        if answer == Some(GONE) {
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

/// What a request leaves behind.
fn outcome(sent: Sent, now: DateTime<Utc>) -> Mark {
    let Sent {
        taken,
        attempt,
        retry_after,
    } = sent;
    let is_over = attempt.succeeded() || attempt.status == Some(GONE);
    let attempts = taken.attempts.saturating_add(1);
    let delay = webhook::delay(attempts, jitter(), retry_after).filter(|_| !is_over);
    let status = match delay {
        _ if attempt.succeeded() => DeliveryStatus::Succeeded,
        Some(_) => DeliveryStatus::Pending,
        None => DeliveryStatus::Failed,
    };
    Mark {
        id: taken.id,
        claim: taken.claim,
        status,
        attempts,
        next_at: delay.map(|delay| now + delay),
        attempt,
    }
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
        let wanted = i64::try_from(room.saturating_sub(taken.len())).unwrap_or_default();
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
