//! How often a server's hints may ask for a pass: many at first, then one a second, so that a server that never falls
//! silent is listened to and not run after.

use std::time::Duration;

use tokio::time::Instant;

/// This many passes may follow each other at once.
const BURST: u32 = 30;
/// After them, one in this time.
const EVERY: Duration = Duration::from_secs(1);

/// Counts the passes of one connection.
#[derive(Debug)]
pub(super) struct Pace {
    /// The time at which the burst would be whole again.
    whole: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { whole: now }
    }

    /// How long the next pass has to wait.
    pub(super) fn next(&mut self, now: Instant) -> Duration {
        self.whole = self.whole.max(now) + EVERY;
        self.whole.saturating_duration_since(now + EVERY * BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_then_each_pass_waits() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for _ in 0..BURST {
            assert_eq!(pace.next(start), Duration::ZERO);
        }
        assert_eq!(pace.next(start), EVERY);
        assert_eq!(pace.next(start + EVERY), EVERY);
        let later = start + EVERY * 100;
        for _ in 0..BURST {
            assert_eq!(pace.next(later), Duration::ZERO);
        }
        assert_eq!(pace.next(later), EVERY);
    }
}
