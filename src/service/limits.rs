//! Rate limits by GCRA, for each API key and for each tenant.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};
use uuid::Uuid;

use crate::{config::Rate, model::id::TenantId};

type Limiter = RateLimiter<Uuid, DefaultKeyedStateStore<Uuid>, DefaultClock, StateInformationMiddleware>;

/// The two limits.
pub struct Limits {
    key: Bucket,
    tenant: Bucket,
}

struct Bucket {
    limiter: Limiter,
    rate: Rate,
}

/// What a bucket says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// Requests in a period.
    pub limit: u32,
    /// The period, in seconds.
    pub period: u32,
    /// Requests that would be answered right now.
    pub remaining: u32,
    /// Seconds until the next request is answered, when this one is refused.
    pub retry_after: Option<u64>,
}

/// What both limits say of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The API key's limit.
    pub key: Quote,
    /// The tenant's limit.
    pub tenant: Quote,
}

impl Verdict {
    /// Seconds to wait when the request is refused.
    pub fn retry_after(&self) -> Option<u64> {
        self.key.retry_after.max(self.tenant.retry_after)
    }

    /// The tighter of the two.
    pub const fn tighter(&self) -> Quote {
        if self.tenant.remaining < self.key.remaining {
            self.tenant
        } else {
            self.key
        }
    }
}

impl Limits {
    /// Limits at these rates.
    pub fn new(key: Rate, tenant: Rate) -> Self {
        Self {
            key: Bucket::new(key),
            tenant: Bucket::new(tenant),
        }
    }

    /// Counts one request.
    pub fn check(&self, key: Uuid, tenant: TenantId) -> Verdict {
        let key = self.key.check(key);
        // A request that its key's limit refuses is not held against the tenant.
        let tenant = if key.retry_after.is_some() {
            self.tenant.untouched()
        } else {
            self.tenant.check(tenant.0)
        };
        Verdict { key, tenant }
    }

    /// Forgets keys and tenants that have not called for as long as their burst takes to fill again.
    pub fn forget_idle(&self) {
        for bucket in [&self.key, &self.tenant] {
            bucket.limiter.retain_recent();
            bucket.limiter.shrink_to_fit();
        }
    }
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        let burst = NonZeroU32::new(rate.count).unwrap_or(NonZeroU32::MIN);
        let each = Duration::from_secs(u64::from(rate.period)) / burst.get();
        let quota = Quota::with_period(each.max(Duration::from_nanos(1)))
            .unwrap_or_else(|| Quota::per_second(burst))
            .allow_burst(burst);
        Self {
            limiter: RateLimiter::keyed(quota).with_middleware(),
            rate,
        }
    }

    const fn untouched(&self) -> Quote {
        Quote {
            limit: self.rate.count,
            period: self.rate.period,
            remaining: self.rate.count,
            retry_after: None,
        }
    }

    fn check(&self, id: Uuid) -> Quote {
        let (remaining, retry_after) = match self.limiter.check_key(&id) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(refused) => {
                let wait = refused.wait_time_from(DefaultClock::default().now());
                (0, Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)))
            }
        };
        Quote {
            limit: self.rate.count,
            period: self.rate.period,
            remaining,
            retry_after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_burst_equals_the_count_and_the_next_is_refused() {
        let limits = Limits::new(
            Rate {
                count: 3,
                period: 3600,
            },
            Rate {
                count: 4,
                period: 3600,
            },
        );
        let (one, other, tenant) = (
            Uuid::from_u128(1),
            Uuid::from_u128(2),
            TenantId(Uuid::from_u128(9)),
        );
        for remaining in [2, 1, 0] {
            let verdict = limits.check(one, tenant);
            assert_eq!((verdict.key.remaining, verdict.retry_after()), (remaining, None));
        }
        assert!(
            limits
                .check(one, tenant)
                .retry_after()
                .is_some_and(|wait| (1..=1200).contains(&wait))
        );
        assert_eq!(
            limits.check(other, tenant).retry_after(),
            None,
            "a refused request does not count for the tenant"
        );
        assert!(
            limits.check(other, tenant).tenant.retry_after.is_some(),
            "the tenant's own limit"
        );
    }
}
