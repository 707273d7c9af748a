//! Figures of the whole database, for its operator: how they are now, and how they were in the last hour.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{App, metrics::Counted, nodes};
use crate::model::{
    Result,
    caller::Identity,
    id::TenantId,
    lease::Node,
    page::{Page, PageRequest},
    state::{self, State},
    tenant::Tenant,
    webhook::Failing,
};

/// What is waiting is counted up to this.
const MOST: i64 = 10_000;
/// Figures this old are taken again.
const FRESH: TimeDelta = TimeDelta::seconds(10);
/// One sample a minute is kept, for an hour.
const SAMPLES: usize = 61;
/// So many failing endpoints are shown.
const FAILING: i64 = 20;

/// How everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// When they were taken.
    pub at: DateTime<Utc>,
    /// How many mailboxes there are in each state; deleted ones are left out.
    pub mailboxes: Vec<(State, i64)>,
    /// How many processes share the database.
    pub nodes: i64,
    /// How many messages wait for the full-text index.
    pub unindexed: i64,
    /// How many webhook deliveries wait for an attempt.
    pub undelivered: i64,
    /// Of how many enabled webhook endpoints nothing but failures is known.
    pub failing: i64,
}

impl Figures {
    /// How many mailboxes are in one of these states.
    pub fn count(&self, states: &[State]) -> i64 {
        let of_these = self.mailboxes.iter().filter(|(state, _)| states.contains(state));
        of_these.map(|(_, count)| count).sum()
    }
}

/// What one minute was like.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The figures at its end.
    pub figures: Figures,
    /// Requests a second that this process answered in it.
    pub requests: f64,
    /// How long the new messages that this process stored in it had waited, in seconds on average; `None` where there were
    /// none.
    pub delay: Option<f64>,
}

/// The figures of late. They are this process's own.
#[derive(Default)]
pub struct Pictures {
    kept: Mutex<Kept>,
    /// Held by whoever takes figures: those who ask meanwhile get the same.
    taking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    latest: Option<Figures>,
    samples: VecDeque<Sample>,
    counted: Option<(DateTime<Utc>, Counted)>,
}

/// The figures, at most some seconds old.
pub async fn latest(app: &App) -> Result<Figures> {
    if let Some(figures) = app.pictures.fresh(app.clock.now()) {
        return Ok(figures);
    }
    let _taking = app.pictures.taking.lock().await;
    let now = app.clock.now();
    if let Some(figures) = app.pictures.fresh(now) {
        return Ok(figures);
    }
    let figures = take(app, now).await?;
    app.pictures.lock().latest = Some(figures.clone());
    Ok(figures)
}

async fn take(app: &App, at: DateTime<Utc>) -> Result<Figures> {
    let mut conn = app.store.read().await?;
    let mut mailboxes: BTreeMap<&str, (State, i64)> = State::ALL
        .into_iter()
        .map(|state| (state.as_str(), (state, 0)))
        .collect();
    for (facts, count) in conn.count_mailboxes().await? {
        if let Some((_, sum)) = mailboxes.get_mut(state::project(facts).0.as_str()) {
            *sum += count;
        }
    }
    let nodes = nodes::list(app, &mut conn).await?.len().max(1);
    Ok(Figures {
        at,
        mailboxes: mailboxes.into_values().collect(),
        nodes: i64::try_from(nodes).unwrap_or(i64::MAX),
        unindexed: conn.count_unindexed(MOST).await?,
        undelivered: conn.count_undelivered(MOST).await?,
        failing: conn.count_failing(MOST).await?,
    })
}

/// Keeps what the minute that ends now was like.
pub async fn sample(app: &App) -> Result<()> {
    let figures = latest(app).await?;
    let (now, counted) = (app.clock.now(), app.metrics.counted());
    let mut kept = app.pictures.lock();
    let (since, before) = kept.counted.replace((now, counted)).unwrap_or((now, counted));
    let delayed = counted.delayed.saturating_sub(before.delayed);
    let delay_ms = counted.delay_ms.saturating_sub(before.delay_ms);
    let seconds = (now - since).as_seconds_f64();
    kept.samples.push_back(Sample {
        requests: mean(counted.requests.saturating_sub(before.requests), seconds).unwrap_or(0.0),
        delay: mean(delay_ms, whole(delayed)).map(|ms| ms / 1_000.0),
        figures,
    });
    while kept.samples.len() > SAMPLES {
        kept.samples.pop_front();
    }
    Ok(())
}

fn mean(sum: u64, count: f64) -> Option<f64> {
    (count > 0.0).then(|| whole(sum) / count)
}

#[expect(clippy::cast_precision_loss, reason = "of figures that are drawn")]
const fn whole(number: u64) -> f64 {
    number as f64
}

/// What an operator is shown.
pub struct Overview {
    /// How everything is.
    pub now: Figures,
    /// The samples of the last hour, the oldest first.
    pub hour: Vec<Sample>,
    /// The processes that share the database; none for the embedded one.
    pub nodes: Vec<Node>,
    /// The endpoints that have failed for longest.
    pub failing: Vec<Failing>,
    /// Tenants, the newest first, with their mailboxes by state.
    pub tenants: Page<(Tenant, BTreeMap<&'static str, i64>)>,
}

/// Everything that an operator is shown, with this page of the tenants.
pub async fn overview(app: &App, identity: &Identity, page: PageRequest) -> Result<Overview> {
    identity.require_platform()?;
    let now = latest(app).await?;
    let hour = app.pictures.lock().samples.iter().cloned().collect();
    let mut conn = app.store.read().await?;
    let Page { data: items, next } = conn.list_tenants(page).await?;
    let ids: Vec<TenantId> = items.iter().map(|tenant| tenant.id).collect();
    let mut counts: BTreeMap<Uuid, BTreeMap<&'static str, i64>> = BTreeMap::new();
    for (tenant, facts, count) in conn.count_mailboxes_of(&ids).await? {
        let of_tenant = counts.entry(tenant.0).or_default();
        *of_tenant.entry(state::project(facts).0.as_str()).or_default() += count;
    }
    let with_counts = items.into_iter().map(|tenant| {
        let counts = counts.remove(&tenant.id.0).unwrap_or_default();
        (tenant, counts)
    });
    Ok(Overview {
        now,
        hour,
        nodes: nodes::list(app, &mut conn).await?,
        failing: conn.list_failing(FAILING).await?,
        tenants: Page {
            data: with_counts.collect(),
            next,
        },
    })
}

impl Pictures {
    /// The latest figures, unless they are old.
    fn fresh(&self, now: DateTime<Utc>) -> Option<Figures> {
        let latest = self.lock().latest.clone();
        latest.filter(|figures| (now - figures.at) < FRESH)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
