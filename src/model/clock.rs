//! The clock: the only place that asks for the time, cut to the microseconds that both databases keep.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Tells the time. Tests give one that stands still.
#[derive(Clone)]
pub struct Clock {
    tell: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    /// By how many microseconds the clock that nodes share is ahead of this one, as far as is known.
    ahead: Arc<AtomicI64>,
}

impl Clock {
    /// The machine's clock.
    #[expect(clippy::disallowed_methods, reason = "the one home of the clock")]
    pub fn system() -> Self {
        Self::from_fn(Utc::now)
    }

    /// A clock that answers what `now` says.
    pub fn from_fn(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self {
            tell: Arc::new(now),
            ahead: Arc::default(),
        }
    }

    /// The time now, in microseconds.
    pub fn now(&self) -> DateTime<Utc> {
        micros((self.tell)())
    }

    /// The same by the clock that nodes share, the database's, once it was heard.
    pub fn shared(&self) -> DateTime<Utc> {
        self.now() + TimeDelta::microseconds(self.ahead.load(Ordering::Relaxed))
    }

    /// Hears what the shared clock said between two times of this one.
    pub fn hear(&self, said: DateTime<Utc>, (from, to): (DateTime<Utc>, DateTime<Utc>)) {
        if let Some(ahead) = (said - (from + (to - from) / 2)).num_microseconds() {
            self.ahead.store(ahead, Ordering::Relaxed);
        }
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// Cuts a time to microseconds, which is what the store keeps.
pub fn micros(at: DateTime<Utc>) -> DateTime<Utc> {
    at.trunc_subsecs(6)
}
