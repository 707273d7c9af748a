//! When to dial again: full jitter, from 2 s to 15 min, and at least as long as the server asked.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(2);
const LAST: Duration = Duration::from_secs(15 * 60);
/// A connection that lasted this long starts the count anew.
pub(super) const HEALTHY: Duration = Duration::from_secs(5 * 60);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Forgets the failures.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure. `random` is between 0 and 1.
    pub(super) fn next(&mut self, hint: Option<Duration>, random: f64) -> Duration {
        let ceiling = FIRST
            .saturating_mul(2_u32.saturating_pow(self.failures.min(12)))
            .min(LAST);
        self.failures = self.failures.saturating_add(1);
        ceiling
            .mul_f64(random.clamp(0.0, 1.0))
            .max(hint.unwrap_or_default())
            .min(LAST.max(hint.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_a_quarter_of_an_hour() {
        let mut backoff = Backoff::default();
        let ceilings: Vec<u64> = (0..12).map(|_| backoff.next(None, 1.0).as_secs()).collect();
        assert_eq!(ceilings, [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert_eq!(backoff.next(None, 0.0), Duration::ZERO);
        assert_eq!(
            backoff.next(Some(Duration::from_secs(3000)), 0.5),
            Duration::from_secs(3000)
        );
        backoff.reset();
        assert_eq!(backoff.next(None, 0.5), Duration::from_secs(1));
    }
}
