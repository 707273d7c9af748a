//! What this process counts and measures, as Prometheus reads it (OpenMetrics text). No label names a tenant, a mailbox, an
//! address or anything else that grows with what is served.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use chrono::{DateTime, Utc};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry, Unit},
};

use super::figures::Figures;
use crate::model::{Error, Result, event::EventType};

/// The upper ends of the buckets of a request's time, in seconds.
const SHORT: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Those of what another's server has a part in.
const LONG: [f64; 11] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0];

/// A message that came so long ago did not just arrive.
const NEWS: Duration = Duration::from_hours(1);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    r#type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

/// What became of something that was tried at another's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// It worked.
    Succeeded,
    /// The other side said no.
    Refused,
    /// It could not be reached, broke off, or was too slow.
    Failed,
}

impl Tried {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// The counters of this process.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    request_time: Histogram,
    logins: Family<Outcome, Counter>,
    stored: Counter,
    delay: Histogram,
    events: Family<Kind, Counter>,
    attempts: Family<Outcome, Counter>,
    attempt_time: Histogram,
    gauges: Gauges,
    totals: Totals,
}

/// What is read when it is asked for.
struct Gauges {
    mailboxes: Family<State, Gauge>,
    syncing: Gauge,
    nodes: Gauge,
    unindexed: Gauge,
    undelivered: Gauge,
    failing: Gauge,
}

/// Sums that are read again here, since the process began.
#[derive(Default)]
struct Totals {
    requests: AtomicU64,
    delayed: AtomicU64,
    delay_ms: AtomicU64,
}

/// What was counted since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Requests that were answered.
    pub requests: u64,
    /// New messages that were stored.
    pub delayed: u64,
    /// How long these had waited together, in milliseconds.
    pub delay_ms: u64,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut book = Book(Registry::with_prefix("postroom"));
        let build = book.of::<Family<Build, Gauge>>("build_info", "The version that runs");
        let version = env!("CARGO_PKG_VERSION");
        build.get_or_create(&Build { version }).set(1);
        Self {
            requests: book.of(
                "http_requests",
                "Requests that were answered, by their operationId",
            ),
            request_time: book.seconds(
                "http_request_duration",
                "How long an answer took, without its body's way",
                SHORT,
            ),
            logins: book.of(
                "imap_logins",
                "Connections to mail servers, by what became of the login",
            ),
            stored: book.of("messages_stored", "Messages that were stored, of first syncs too"),
            delay: book.seconds(
                "message_delay",
                "From a new message's arrival at its server, which tells whole seconds, until it was stored",
                LONG,
            ),
            events: book.of("events", "Events that were written, by type"),
            attempts: book.of(
                "webhook_attempts",
                "Requests to webhook endpoints, by what became of them",
            ),
            attempt_time: book.seconds(
                "webhook_attempt_duration",
                "How long a request to a webhook endpoint took",
                SHORT,
            ),
            gauges: Gauges::new(&mut book),
            totals: Totals::default(),
            registry: book.0,
        }
    }
}

/// The registry while it is filled.
struct Book(Registry);

impl Book {
    fn of<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        let metric = M::default();
        self.0.register(name, help, metric.clone());
        metric
    }

    fn seconds(&mut self, name: &str, help: &str, ends: impl IntoIterator<Item = f64>) -> Histogram {
        let metric = Histogram::new(ends);
        self.0
            .register_with_unit(name, help, Unit::Seconds, metric.clone());
        metric
    }
}

impl Gauges {
    fn new(book: &mut Book) -> Self {
        Self {
            mailboxes: book.of(
                "mailboxes",
                "Mailboxes of the whole database that are not deleted, by state: every process tells the same",
            ),
            syncing: book.of("mailboxes_syncing_here", "Mailboxes that this process syncs"),
            nodes: book.of(
                "nodes",
                "Processes that share the database: every one tells the same",
            ),
            unindexed: book.of(
                "search_queue_messages",
                "Messages that wait for the full-text index, counted up to 10,000: every process tells the same",
            ),
            undelivered: book.of(
                "webhook_deliveries_waiting",
                "Deliveries that wait for an attempt, counted up to 10,000: every process tells the same",
            ),
            failing: book.of(
                "webhook_endpoints_failing",
                "Enabled webhook endpoints of which nothing but failures is known, counted up to 10,000: every process tells the same",
            ),
        }
    }
}

impl Metrics {
    /// A request was answered: of an operation of the documents, or of nothing that they know.
    pub fn answered(&self, operation: Option<&'static str>, status: u16, took: Duration) {
        let operation = operation.unwrap_or("other");
        self.requests.get_or_create(&Answered { operation, status }).inc();
        self.request_time.observe(took.as_secs_f64());
        self.totals.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A mailbox was logged in to, or not.
    pub fn login(&self, tried: Tried) {
        self.logins
            .get_or_create(&Outcome {
                outcome: tried.as_str(),
            })
            .inc();
    }

    /// So many messages were stored.
    pub fn stored(&self, count: usize) {
        self.stored.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// A new message was stored now that had come then. What was put into a folder with a date of long ago did not just
    /// arrive, and is passed over.
    pub fn arrived(&self, then: DateTime<Utc>, now: DateTime<Utc>) {
        let delay = (now - then).to_std().unwrap_or_default();
        if delay >= NEWS {
            return;
        }
        self.delay.observe(delay.as_secs_f64());
        let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.totals.delayed.fetch_add(1, Ordering::Relaxed);
        self.totals.delay_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// An event was written.
    pub fn event(&self, kind: EventType) {
        self.events
            .get_or_create(&Kind {
                r#type: kind.as_str(),
            })
            .inc();
    }

    /// A request was sent to a webhook endpoint.
    pub fn attempt(&self, tried: Tried, took: Duration) {
        self.attempts
            .get_or_create(&Outcome {
                outcome: tried.as_str(),
            })
            .inc();
        self.attempt_time.observe(took.as_secs_f64());
    }

    /// What was counted so far.
    pub fn counted(&self) -> Counted {
        Counted {
            requests: self.totals.requests.load(Ordering::Relaxed),
            delayed: self.totals.delayed.load(Ordering::Relaxed),
            delay_ms: self.totals.delay_ms.load(Ordering::Relaxed),
        }
    }

    /// Everything as OpenMetrics text, with these figures of the database.
    pub fn text(&self, figures: &Figures, syncing: usize) -> Result<String> {
        let gauges = &self.gauges;
        for (state, count) in &figures.mailboxes {
            gauges
                .mailboxes
                .get_or_create(&State {
                    state: state.as_str(),
                })
                .set(*count);
        }
        gauges.syncing.set(i64::try_from(syncing).unwrap_or(i64::MAX));
        gauges.nodes.set(figures.nodes);
        gauges.unindexed.set(figures.unindexed);
        gauges.undelivered.set(figures.undelivered);
        gauges.failing.set(figures.failing);
        let mut text = String::new();
        encode(&mut text, &self.registry).map_err(Error::internal)?;
        Ok(text)
    }
}
