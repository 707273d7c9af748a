//! The delivery of webhooks: endpoints take their turns, fairly between tenants, and no request waits for another's answer.
//!
//! The database is the truth: what is held here are only the endpoints that are about to have a turn and the requests that
//! they have taken. A process that dies loses neither: leases end, and both are found again.

mod lane;
mod request;

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

use self::lane::Lane;
use crate::{
    model::{Result, id::TenantId, webhook},
    service::{
        App,
        deliveries::{self, Done, Sent, Taken, Turn},
    },
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

/// Hands out turns and sends what they take.
pub struct Dispatcher {
    app: App,
    /// The endpoints that are about to have a turn, with what came of their requests.
    ready: BTreeMap<TenantId, Ready>,
    /// The tenant that had turns last.
    last: Option<TenantId>,
    /// The tenants with events that are not looked at.
    news: BTreeSet<TenantId>,
    /// The endpoints that have taken requests.
    lanes: HashMap<Uuid, Lane>,
    sends: JoinSet<Ended>,
    in_flight: HashMap<TenantId, usize>,
    /// When it is to be looked for endpoints whose time has come, and for events of other nodes.
    due: Option<DateTime<Utc>>,
    poll: DateTime<Utc>,
}

/// A request that has ended.
struct Ended {
    tenant: TenantId,
    endpoint: Uuid,
    /// What came of it; `None` where nothing did.
    sent: Option<Sent>,
}

/// The endpoints of one tenant, in the order in which they came.
#[derive(Default)]
struct Ready {
    order: VecDeque<Uuid>,
    done: HashMap<Uuid, Done>,
}

impl Ready {
    fn add(&mut self, endpoint: Uuid, done: Done) {
        if !self.done.contains_key(&endpoint) {
            self.order.push_back(endpoint);
        }
        let all = self.done.entry(endpoint).or_default();
        all.sent.extend(done.sent);
        all.returned.extend(done.returned);
    }

    fn take(&mut self, count: usize) -> Vec<(Uuid, Done)> {
        let taken = self.order.len().min(count);
        let endpoints = self.order.drain(..taken);
        let with_done = endpoints.map(|endpoint| (endpoint, self.done.remove(&endpoint).unwrap_or_default()));
        with_done.collect()
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
    dispatcher.give_back();
    report(dispatcher.record().await);
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
            lanes: HashMap::new(),
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
            self.ready
                .entry(tenant)
                .or_default()
                .add(endpoint, Done::default());
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
        let share = room / together;
        let taken = ready.take(together);
        if ready.order.is_empty() {
            self.ready.remove(&tenant);
        }
        let nothing = Lane::default();
        let turns = taken.into_iter().map(|(endpoint, done)| {
            let lane = self.lanes.get(&endpoint).unwrap_or(&nothing);
            lane.turn(endpoint, done, share)
        });
        let turns: Vec<Turn> = turns.collect();
        let Taken { jobs, due } = self.give(tenant, turns).await?;
        self.due = self.due.into_iter().chain(due).min();
        let mut endpoints = BTreeSet::new();
        for job in jobs {
            endpoints.insert(job.endpoint);
            self.lanes.entry(job.endpoint).or_default().push(job);
        }
        for endpoint in endpoints {
            let on_wire = self.lanes.get(&endpoint).map_or(0, Lane::on_wire);
            self.send(endpoint, webhook::IN_FLIGHT.min(on_wire + share));
        }
        Ok(())
    }

    /// Sends what an endpoint has taken, until so many requests to it are on the wire.
    fn send(&mut self, endpoint: Uuid, most: usize) {
        while let Some(job) = self.lanes.get_mut(&endpoint).and_then(|lane| lane.next(most)) {
            *self.in_flight.entry(job.tenant).or_default() += 1;
            let app = self.app.clone();
            self.sends.spawn(async move {
                let (tenant, endpoint) = (job.tenant, job.endpoint);
                // One that panics leaves its delivery to the end of its lease.
                let sent = AssertUnwindSafe(request::send(&app, job)).catch_unwind().await;
                Ended {
                    tenant,
                    endpoint,
                    sent: sent.unwrap_or_default(),
                }
            });
        }
    }

    /// Gives turns. If that fails, what came of their requests is kept for the next ones.
    async fn give(&mut self, tenant: TenantId, turns: Vec<Turn>) -> Result<Taken> {
        let again = turns.clone();
        let taken = deliveries::turns(&self.app, tenant, turns).await;
        taken.inspect_err(|_| {
            let ready = self.ready.entry(tenant).or_default();
            for turn in again {
                ready.add(turn.endpoint, turn.done);
            }
        })
    }

    /// Waits until a request has ended. What waits behind it follows at once; where nothing does, its endpoint has a turn.
    pub async fn finish(&mut self) {
        let mut next = self.sends.join_next().await;
        while let Some(ended) = next {
            if let Ok(ended) = ended {
                self.end(ended);
            }
            next = self.sends.try_join_next();
        }
    }

    fn end(&mut self, ended: Ended) {
        let Ended {
            tenant,
            endpoint,
            sent,
        } = ended;
        if let Some(count) = self.in_flight.get_mut(&tenant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.in_flight.remove(&tenant);
            }
        }
        let lane = self.lanes.entry(endpoint).or_default();
        if let Some(done) = lane.ended(sent) {
            self.ready.entry(tenant).or_default().add(endpoint, done);
        } else {
            let one_more = lane.on_wire() + 1;
            self.send(endpoint, one_more);
        }
        if self.lanes.get(&endpoint).is_some_and(Lane::is_empty) {
            self.lanes.remove(&endpoint);
        }
    }

    /// Lets go of what was taken and is not on the wire.
    pub fn give_back(&mut self) {
        for (endpoint, lane) in &mut self.lanes {
            let Some(tenant) = lane.tenant() else { continue };
            self.ready
                .entry(tenant)
                .or_default()
                .add(*endpoint, lane.give_up());
        }
    }

    /// Notes what has become of deliveries, and takes nothing new.
    pub async fn record(&mut self) -> Result<()> {
        while let Some((tenant, mut ready)) = self.ready.pop_first() {
            let done = ready
                .take(usize::MAX)
                .into_iter()
                .filter(|(_, done)| !done.is_empty());
            let turns = done.map(|(endpoint, done)| Lane::default().turn(endpoint, done, 0));
            let turns: Vec<Turn> = turns.collect();
            self.give(tenant, turns).await?;
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
