//! How often a server's hints may ask for a pass that brings no mail: many at first, then one a second, so that a server
//! that never falls silent is listened to and not run after.

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

    /// The last pass brought mail: it does not count.
    pub(super) fn forgive(&mut self) {
        self.whole -= EVERY;
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

    #[test]
    fn a_pass_that_brings_mail_never_makes_another_wait() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for _ in 1..BURST {
            assert_eq!(pace.next(start), Duration::ZERO);
        }
        for _ in 0..500 {
            assert_eq!(pace.next(start), Duration::ZERO);
            pace.forgive();
        }
        assert_eq!(pace.next(start), Duration::ZERO);
        assert_eq!(pace.next(start), EVERY, "what came before is not forgotten");
    }
}
