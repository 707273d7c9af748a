//! The delivery of webhooks: endpoints take their turns, fairly between tenants, and no request waits for another's answer.
//!
//! The database is the truth: what is held here are only the endpoints that are about to have a turn and the requests that
//! are on the wire. A process that dies loses neither: leases end, and both are found again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    mail::{http::HttpError, oauth::retry_after},
    model::{
        Error, Result,
        endpoint_form::{self, EndpointForm},
        id::TenantId,
        webhook,
    },
    service::{
        App, barrier,
        deliveries::{self, Job, Sent, Taken, Turn},
        metrics::Tried,
    },
    wire::{plannr, v1},
};

/// Most requests that are on the wire at once.
const IN_FLIGHT: usize = 512;
/// Most requests of one tenant that are on the wire at once.
pub const OF_TENANT: usize = 32;
/// The most of what is left that one tenant gets is this part of it: however many tenants' endpoints hang, there is room.
const PART: usize = 8;
/// How many endpoints of a tenant have their turns together before the next tenant has some.
const TOGETHER: usize = 8;
/// How often it is looked for events of other nodes.
const POLL: TimeDelta = TimeDelta::seconds(2);
/// How often the database's clock is heard.
const AGREE: Duration = Duration::from_secs(10);
/// How long to wait after a failure of our own.
const PAUSE: Duration = Duration::from_secs(1);
/// How much of an answer is kept, in bytes.
const KEPT: usize = 1_024;

/// Hands out turns and sends what they take.
pub struct Dispatcher {
    app: App,
    /// The endpoints that are about to have a turn, with what came of their requests.
    ready: BTreeMap<TenantId, Ready>,
    /// The tenant that had turns last.
    last: Option<TenantId>,
    /// The tenants with events that are not looked at.
    news: BTreeSet<TenantId>,
    sends: JoinSet<(TenantId, Uuid, Option<Sent>)>,
    in_flight: HashMap<TenantId, usize>,
    /// When it is to be looked for endpoints whose time has come, and for events of other nodes.
    due: Option<DateTime<Utc>>,
    poll: DateTime<Utc>,
}

/// The endpoints of one tenant, in the order in which they came.
#[derive(Default)]
struct Ready {
    order: VecDeque<Uuid>,
    sent: HashMap<Uuid, Vec<Sent>>,
}

impl Ready {
    fn add(&mut self, endpoint: Uuid, sent: impl IntoIterator<Item = Sent>) {
        if !self.sent.contains_key(&endpoint) {
            self.order.push_back(endpoint);
        }
        self.sent.entry(endpoint).or_default().extend(sent);
    }

    fn take(&mut self, count: usize, room: usize) -> Vec<Turn> {
        let taken = self.order.len().min(count);
        let mut turns = Vec::with_capacity(taken);
        for endpoint in self.order.drain(..taken) {
            turns.push(Turn {
                endpoint,
                sent: self.sent.remove(&endpoint).unwrap_or_default(),
                room,
            });
        }
        turns
    }
}

/// Delivers until `stop`; requests that are on the wire then are given their time by whoever waits for this.
pub async fn run(app: App, stop: CancellationToken) {
    let mut dispatcher = Dispatcher::new(app.clone());
    let freed = deliveries::free(&app).await;
    report(freed);
    let mut agreed = None::<Instant>;
    while !stop.is_cancelled() {
        if agreed.is_none_or(|at| at.elapsed() > AGREE) {
            report(deliveries::agree(&app).await);
            agreed = Some(Instant::now());
        }
        let worked = async {
            dispatcher.look().await?;
            dispatcher.start().await
        };
        let worked = worked.await;
        if report(worked).is_none() {
            stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
            continue;
        }
        let (sending, wait) = (dispatcher.is_sending(), dispatcher.wait());
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.signals.deliver_woken() => {}
            () = dispatcher.finish(), if sending => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    while dispatcher.is_sending() {
        dispatcher.finish().await;
        report(dispatcher.record().await);
    }
}

fn report<T>(result: Result<T>) -> Option<T> {
    result
        .inspect_err(|error| {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "webhooks could not be looked after"
            );
        })
        .ok()
}

impl Dispatcher {
    /// One that has not looked yet.
    pub fn new(app: App) -> Self {
        Self {
            ready: BTreeMap::new(),
            last: None,
            news: BTreeSet::new(),
            sends: JoinSet::new(),
            in_flight: HashMap::new(),
            due: Some(DateTime::UNIX_EPOCH),
            poll: DateTime::UNIX_EPOCH,
            app,
        }
    }

    /// True while a request is on the wire.
    pub fn is_sending(&self) -> bool {
        !self.sends.is_empty()
    }

    /// True while it knows of events that no endpoint has looked at.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Finds the endpoints that have something to do: of each tenant's events some, so that a long log delays nobody else.
    pub async fn look(&mut self) -> Result<()> {
        let now = self.app.clock.shared();
        self.news.extend(self.app.signals.take_news());
        // Another may have made an endpoint due, on this node or, found by the poll, on another one.
        let hastened = self.app.signals.take_hastened() || now >= self.poll;
        if now >= self.poll {
            let mut after = None;
            loop {
                let unread = deliveries::unread(&self.app, after).await?;
                after = unread.last().copied();
                if after.is_none() {
                    break;
                }
                self.news.extend(unread);
            }
            self.poll = now + POLL;
        }
        for tenant in self.news.clone() {
            let spread = deliveries::spread(&self.app, tenant).await?;
            self.add(tenant, spread.endpoints);
            if !spread.more {
                self.news.remove(&tenant);
            }
        }
        if hastened || self.due.is_some_and(|due| due <= now) {
            let (picked, next) = deliveries::pick(&self.app).await?;
            for (tenant, endpoint) in picked {
                self.add(tenant, [endpoint]);
            }
            self.due = next;
        }
        Ok(())
    }

    fn add(&mut self, tenant: TenantId, endpoints: impl IntoIterator<Item = Uuid>) {
        for endpoint in endpoints {
            self.ready.entry(tenant).or_default().add(endpoint, None);
        }
    }

    /// Gives turns to the endpoints that wait for one, some of each tenant after the other, as long as there is room.
    pub async fn start(&mut self) -> Result<()> {
        while self.sends.len() < IN_FLIGHT
            && let Some(tenant) = self.next()
        {
            self.turn(tenant).await?;
        }
        Ok(())
    }

    /// The tenant after the last one that has endpoints waiting and room for a request.
    fn next(&self) -> Option<TenantId> {
        let waits = |tenant: &&TenantId| self.room(**tenant) > 0;
        let after = self
            .ready
            .keys()
            .filter(waits)
            .find(|tenant| Some(**tenant) > self.last);
        after.or_else(|| self.ready.keys().find(waits)).copied()
    }

    fn room(&self, tenant: TenantId) -> usize {
        let left = IN_FLIGHT.saturating_sub(self.sends.len());
        let most = left.div_ceil(PART).min(OF_TENANT);
        most.saturating_sub(self.in_flight.get(&tenant).copied().unwrap_or_default())
    }

    /// Gives some endpoints of a tenant their turns, and sends what they take.
    async fn turn(&mut self, tenant: TenantId) -> Result<()> {
        self.last = Some(tenant);
        let room = self.room(tenant);
        let Some(ready) = self.ready.get_mut(&tenant) else {
            return Ok(());
        };
        let together = TOGETHER.min(room.max(1));
        let turns = ready.take(together, room / together);
        if ready.order.is_empty() {
            self.ready.remove(&tenant);
        }
        let again = turns.clone();
        let taken = deliveries::turns(&self.app, tenant, turns).await;
        let Taken { jobs, due } = taken.inspect_err(|_| self.put_back(tenant, again))?;
        self.due = self.due.into_iter().chain(due).min();
        for job in jobs {
            *self.in_flight.entry(tenant).or_default() += 1;
            let app = self.app.clone();
            self.sends.spawn(async move {
                let (tenant, endpoint) = (job.tenant, job.endpoint);
                // One that panics leaves its delivery to the end of its lease.
                let sent = AssertUnwindSafe(send(&app, job)).catch_unwind().await;
                (tenant, endpoint, sent.unwrap_or_default())
            });
        }
        Ok(())
    }

    /// Turns that could not be given: what came of requests is not forgotten.
    fn put_back(&mut self, tenant: TenantId, turns: Vec<Turn>) {
        let ready = self.ready.entry(tenant).or_default();
        for turn in turns {
            ready.add(turn.endpoint, turn.sent);
        }
    }

    /// Waits until a request has ended, and gives the endpoints of all that have a turn.
    pub async fn finish(&mut self) {
        let mut ended = self.sends.join_next().await;
        while let Some(one) = ended {
            if let Ok((tenant, endpoint, sent)) = one {
                if let Some(count) = self.in_flight.get_mut(&tenant) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.in_flight.remove(&tenant);
                    }
                }
                self.ready.entry(tenant).or_default().add(endpoint, sent);
            }
            ended = self.sends.try_join_next();
        }
    }

    /// Marks what has ended, and takes nothing new.
    pub async fn record(&mut self) -> Result<()> {
        while let Some((tenant, mut ready)) = self.ready.pop_first() {
            let turns = ready.take(usize::MAX, 0);
            let turns = turns.into_iter().filter(|turn| !turn.sent.is_empty()).collect();
            deliveries::turns(&self.app, tenant, turns).await?;
        }
        Ok(())
    }

    /// How long there is nothing to look for.
    fn wait(&self) -> Duration {
        if self.has_news() {
            return Duration::ZERO;
        }
        let next = self.due.into_iter().chain([self.poll]).min();
        let wait = next.map(|next| next - self.app.clock.shared());
        wait.and_then(|wait| wait.to_std().ok()).unwrap_or_default()
    }
}

/// Sends one request; `None` where it must not be sent any more.
async fn send(app: &App, job: Job) -> Option<Sent> {
    let (at, begun) = (app.clock.shared(), Instant::now());
    let (tenant, taken, since) = (job.tenant, job.taken, job.since);
    let answer = match request(app, job, at) {
        Ok(request) => {
            let client = app.http.clone().with_deadline(deliveries::TIMEOUT);
            let still = async { report(barrier::may_begin(app, tenant, taken, since).await) == Some(true) };
            let sent = client.send_cut(request, KEPT, still).await;
            sent.map_err(|error| said(&error)).transpose()?
        }
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a webhook request could not be written"
            );
            Err("The request could not be written.".to_owned())
        }
    };
    fail::fail_point!("webhook_after_post", |_| std::process::abort());
    let (retry_after, status, body, error) = match answer {
        Ok(answer) => {
            let body = String::from_utf8_lossy(answer.body()).replace('\0', "\u{fffd}");
            let wait = retry_after(answer.headers(), at);
            (wait, Some(answer.status().as_u16()), Some(body), None)
        }
        Err(error) => (None, None, None, Some(error)),
    };
    let duration = begun.elapsed();
    let tried = match status {
        Some(200..=299) => Tried::Succeeded,
        Some(_) => Tried::Refused,
        None => Tried::Failed,
    };
    app.metrics.attempt(tried, duration);
    Some(Sent {
        taken,
        attempt: webhook::Attempt {
            at,
            duration,
            status,
            body,
            error,
        },
        retry_after,
    })
}

/// What is told of a request that got no answer.
fn said(error: &HttpError) -> String {
    let text: String = error.to_string().chars().take(KEPT).collect();
    text.replace('\0', "\u{fffd}")
}

/// The signed request, in its endpoint's form.
fn request(app: &App, job: Job, at: DateTime<Utc>) -> Result<http::Request<Vec<u8>>> {
    let (event, base) = (job.event, &app.config.http.public_url);
    let (trace, id, timestamp) = (event.id, event.id.to_string(), at.timestamp());
    let request = http::Request::post(&job.url)
        .header("content-type", "application/json")
        .header("user-agent", concat!("postroom/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", &id)
        .header("traceparent", traceparent(trace));
    let request = match job.form {
        EndpointForm::Standard => {
            let body = v1::delivery::payload(event, base)?;
            let signature = webhook::sign(&job.secrets, &id, timestamp, &body)?;
            request
                .header("webhook-timestamp", timestamp)
                .header("webhook-signature", signature)
                .body(body)
        }
        EndpointForm::Plannr { events: _ } => {
            let body = plannr::delivery::payload(event, base)?;
            let newest = job.secrets.first();
            let newest = newest.ok_or_else(|| Error::internal("a webhook endpoint has no secret"))?;
            let signature = endpoint_form::sign_body(newest, &body)?;
            request.header("x-signature", signature).body(body)
        }
    };
    request.map_err(Error::internal)
}

/// The attempt as a span of its own (W3C Trace Context, section 3.2). All attempts of all endpoints at an event are of one
/// trace, whose id is the event's.
fn traceparent(event: Uuid) -> String {
    format!(
        "00-{}-{:016x}-01",
        event.simple(),
        rand::random_range(1..=u64::MAX)
    )
}
