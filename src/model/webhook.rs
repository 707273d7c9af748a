//! Webhooks: the endpoints that a tenant's events are sent to, how they are signed, and when a delivery is tried again.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use uuid::Uuid;

use super::{
    endpoint_form::EndpointForm,
    error::{Error, Result},
    event::EventType,
    id::TenantId,
    patch::Patch,
};

/// The seconds between the attempts of a delivery: the first is made at once, the last a day after the one before it.
pub const SCHEDULE: [i64; 10] = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// By how much of itself a delay may differ, either way, so that what failed together is not tried together.
const JITTER: f64 = 0.2;
/// An endpoint of which nothing but failures is known for so long is disabled.
pub const GIVE_UP: TimeDelta = TimeDelta::days(5);
/// After so many failures in a row an endpoint is left alone for a time, and then tried with one delivery.
const BREAKS: i32 = 5;
/// For how long at first, and at most.
const BREAK: i64 = 30;
const LONGEST_BREAK: i64 = 1_800;
/// How long the secret before a rotation still signs.
pub const GRACE: TimeDelta = TimeDelta::hours(24);
/// At most so many deliveries of one endpoint are on their way at once.
pub const IN_FLIGHT: usize = 4;
/// The most endpoints of a tenant: each event is looked at for every one of them.
pub const MAX_ENDPOINTS: i64 = 100;
/// What a secret begins with (Standard Webhooks).
const SECRET_PREFIX: &str = "whsec_";
/// How many random bytes a secret has.
pub const SECRET_BYTES: usize = 32;

/// Why postroom disabled an endpoint by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledReason {
    /// It answered 410.
    Gone,
    /// It failed for five days.
    Failing,
}

impl DisabledReason {
    /// The word on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    /// Reads the word that [`Self::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Gone, Self::Failing]
            .into_iter()
            .find(|reason| reason.as_str() == word)
    }
}

/// That postroom disabled an endpoint by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disabled {
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: DisabledReason,
}

/// Which events an endpoint is sent; whatever is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointFilter {
    /// Of these types; empty is all of them.
    pub kinds: Vec<EventType>,
    /// Of these mailboxes; empty is all of them.
    pub mailboxes: Vec<Uuid>,
    /// Of mailboxes that are bound to this agent when it happens.
    pub agent: Option<Uuid>,
    /// Of mailboxes that are bound to this team when it happens.
    pub team: Option<Uuid>,
}

impl EndpointFilter {
    /// Whether an event is sent: its type, its mailbox, and whom that was bound to.
    pub fn takes(&self, kind: EventType, mailbox: Option<Uuid>, bound: Option<Uuid>) -> bool {
        // A ping is for one endpoint, and is handed to it by whoever asks for it.
        kind != EventType::Ping
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
            && (self.mailboxes.is_empty() || mailbox.is_some_and(|id| self.mailboxes.contains(&id)))
            && self.agent.is_none_or(|agent| bound == Some(agent))
            && self.team.is_none_or(|team| bound == Some(team))
    }
}

/// Where events of a tenant are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id.
    pub id: Uuid,
    /// The employee of whose mailboxes alone it hears; `None` hears of all.
    pub member: Option<Uuid>,
    /// Where.
    pub url: String,
    /// What it is for, in the tenant's words.
    pub description: Option<String>,
    /// Which events.
    pub filter: EndpointFilter,
    /// In which form.
    pub form: EndpointForm,
    /// False sends nothing; what happens meanwhile waits.
    pub enabled: bool,
    /// Set where postroom disabled it by itself.
    pub disabled: Option<Disabled>,
    /// Since when nothing but failures is known of it.
    pub failing_since: Option<DateTime<Utc>>,
    /// When a request was last sent to it.
    pub last_attempt_at: Option<DateTime<Utc>>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed by a caller.
    pub updated_at: DateTime<Utc>,
}

/// An endpoint of which nothing but failures is known, as its operator is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its id.
    pub endpoint: Uuid,
    /// Where.
    pub url: String,
    /// Whether it is tried again.
    pub enabled: bool,
    /// How many attempts have failed in a row.
    pub failures: i32,
    /// Since when.
    pub since: DateTime<Utc>,
}

impl Failing {
    /// The host that it is at. A URL's path may be what lets one in.
    pub fn host(&self) -> &str {
        let (_, rest) = self.url.split_once("://").unwrap_or_default();
        rest.split(['/', '?', '#']).next().unwrap_or_default()
    }
}

/// What an endpoint is created with.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    /// Where.
    pub url: String,
    /// What it is for.
    pub description: Option<String>,
    /// Which events.
    pub filter: EndpointFilter,
    /// In which form.
    pub form: EndpointForm,
}

/// What changes about an endpoint.
#[derive(Debug, Clone, Default)]
pub struct EndpointPatch {
    /// Where.
    pub url: Option<String>,
    /// What it is for.
    pub description: Patch<String>,
    /// Which types of events; those of an endpoint in Plannr's form are changed there.
    pub kinds: Patch<Vec<EventType>>,
    /// Of which mailboxes.
    pub mailboxes: Patch<Vec<Uuid>>,
    /// Of which agent's.
    pub agent: Patch<Uuid>,
    /// Of which team's.
    pub team: Patch<Uuid>,
    /// Whether it is sent anything.
    pub enabled: Option<bool>,
}

/// How an endpoint has fared, by which it is decided when it is sent something next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// Failures in a row.
    pub failures: i32,
    /// When the first of them was.
    pub failing_since: Option<DateTime<Utc>>,
    /// Until when nothing is sent.
    pub open_until: Option<DateTime<Utc>>,
}

impl Health {
    /// How many deliveries may be on their way at once now.
    pub fn room(self, now: DateTime<Utc>) -> usize {
        match self.open_until {
            Some(until) if now < until => 0,
            Some(_) => 1,
            None => IN_FLIGHT,
        }
    }

    /// After a success.
    pub const fn mended() -> Self {
        Self {
            failures: 0,
            failing_since: None,
            open_until: None,
        }
    }

    /// After another failure.
    #[must_use]
    pub fn worse(self, now: DateTime<Utc>) -> Self {
        // Those that were on their way when it broke say nothing new.
        if self.open_until.is_some_and(|until| now < until) {
            return self;
        }
        let failures = self.failures.saturating_add(1);
        let open_until = (failures >= BREAKS).then(|| {
            let doublings = u32::try_from(failures - BREAKS).unwrap_or_default().min(10);
            now + TimeDelta::seconds((BREAK << doublings).min(LONGEST_BREAK))
        });
        Self {
            failures,
            failing_since: self.failing_since.or(Some(now)),
            open_until,
        }
    }

    /// Whether nothing but failures is known for so long that it is given up.
    pub fn is_hopeless(self, now: DateTime<Utc>) -> bool {
        self.failing_since.is_some_and(|since| now - since >= GIVE_UP)
    }
}

/// How long after `failed` attempts the next one is made; `None` after the last. `jitter` is between 0 and 1; what the
/// endpoint asks for holds between one and two times the delay.
pub fn delay(failed: u32, jitter: f64, retry_after: Option<Duration>) -> Option<TimeDelta> {
    let place = usize::try_from(failed).ok()?;
    let seconds = SCHEDULE.get(place).copied()?;
    let base = TimeDelta::seconds(seconds);
    let micros = base.num_microseconds()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a part of at most a day, in microseconds"
    )]
    let spread = (micros as f64 * JITTER * 2.0_f64.mul_add(jitter.clamp(0.0, 1.0), -1.0)) as i64;
    let usual = base + TimeDelta::microseconds(spread);
    let asked = retry_after.map(|asked| TimeDelta::from_std(asked).unwrap_or(TimeDelta::MAX));
    Some(asked.map_or(usual, |asked| asked.clamp(base, base * 2)))
}

/// What has become of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// It waits for its time.
    Pending,
    /// It is on its way.
    Sending,
    /// The endpoint took it.
    Succeeded,
    /// It is not tried any more.
    Failed,
}

impl DeliveryStatus {
    /// The word on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    /// Reads the word that [`Self::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Sending, Self::Succeeded, Self::Failed]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: DateTime<Utc>,
    /// How long it took.
    pub duration: Duration,
    /// The status that was answered.
    pub status: Option<u16>,
    /// The beginning of what was answered.
    pub body: Option<String>,
    /// Why there was no answer.
    pub error: Option<String>,
}

impl Attempt {
    /// Whether the endpoint took it: only 2xx says so.
    pub fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// An event on its way to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: Uuid,
    /// Where it goes.
    pub endpoint: Uuid,
    /// The event's id.
    pub event: Uuid,
    /// The event's type.
    pub kind: EventType,
    /// What has become of it.
    pub status: DeliveryStatus,
    /// How many attempts were made since it was last asked for.
    pub attempts: u32,
    /// When the next attempt is made at the earliest.
    pub next_at: Option<DateTime<Utc>>,
    /// What came of the last attempt.
    pub last: Option<Attempt>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Which deliveries are asked for; whatever is given must hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// To this endpoint.
    pub endpoint: Option<Uuid>,
    /// With this status.
    pub status: Option<DeliveryStatus>,
}

/// The text of a secret of these bytes.
pub fn secret(bytes: &[u8; SECRET_BYTES]) -> SecretString {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes)).into()
}

/// The signature of a request with each of these secrets, as its header says it (Standard Webhooks).
///
/// # Errors
/// A fault of ours, when a secret is not one that [`secret`] wrote.
pub fn sign(secrets: &[SecretString], id: &str, timestamp: i64, body: &[u8]) -> Result<String> {
    let mut signatures = Vec::with_capacity(secrets.len());
    for secret in secrets {
        let unreadable = || Error::internal("a webhook secret cannot be read");
        let text = secret
            .expose_secret()
            .strip_prefix(SECRET_PREFIX)
            .ok_or_else(unreadable)?;
        let key = STANDARD.decode(text).map_err(|_| unreadable())?;
        let mac = Hmac::<Sha256>::new_from_slice(&key)
            .map_err(Error::internal)?
            .chain_update(format!("{id}.{timestamp}."))
            .chain_update(body)
            .finalize()
            .into_bytes();
        signatures.push(format!("v1,{}", STANDARD.encode(mac)));
    }
    Ok(signatures.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let body = br#"{"test": 2432232314}"#;
        let signed = sign(&[key.into()], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(sign(&["nonsense".to_owned().into()], "a", 0, b"").is_err());
    }

    #[test]
    fn a_delivery_is_tried_ten_times_and_what_is_asked_for_holds_within_bounds() {
        assert_eq!(delay(0, 0.5, None), Some(TimeDelta::zero()));
        for (place, seconds) in SCHEDULE.into_iter().enumerate().skip(1) {
            let failed = u32::try_from(place).unwrap();
            let of = |part: i64| Some(TimeDelta::milliseconds(seconds * part));
            assert_eq!(delay(failed, 0.5, None), of(1_000));
            assert_eq!(delay(failed, 0.0, None), of(800));
            assert_eq!(delay(failed, 1.0, None), of(1_200));
            assert_eq!(delay(failed, 0.0, Some(Duration::ZERO)), of(1_000));
            assert_eq!(delay(failed, 0.0, Some(Duration::MAX)), of(2_000));
        }
        assert_eq!(delay(10, 0.5, Some(Duration::ZERO)), None);
    }

    #[test]
    fn an_endpoint_that_fails_is_left_alone_for_a_time_and_then_tried_once() {
        let now = DateTime::UNIX_EPOCH;
        let mut health = Health::default();
        for _ in 0..4 {
            health = health.worse(now);
            assert_eq!(health.room(now), IN_FLIGHT);
        }
        health = health.worse(now);
        assert_eq!(health.room(now), 0);
        assert_eq!(health.room(now + TimeDelta::seconds(30)), 1);
        assert_eq!(health.worse(now), health, "it was on its way");
        let mut later = now;
        for _ in 0..100 {
            later = health.open_until.unwrap();
            health = health.worse(later);
        }
        assert_eq!(health.open_until, Some(later + TimeDelta::seconds(LONGEST_BREAK)));
        assert!(!health.is_hopeless(now + GIVE_UP - TimeDelta::seconds(1)));
        assert!(health.is_hopeless(now + GIVE_UP));
        assert_eq!(Health::mended().room(now), IN_FLIGHT);
    }

    #[test]
    fn a_filter_takes_what_fits_all_of_it() {
        let [one, two, agent] = [1, 2, 3].map(Uuid::from_u128);
        let received = EventType::MessageReceived;
        let all = EndpointFilter::default();
        assert!(all.takes(received, Some(one), None) && all.takes(received, None, None));
        assert!(!all.takes(EventType::Ping, None, None));
        let filter = EndpointFilter {
            kinds: vec![received],
            mailboxes: vec![one],
            agent: Some(agent),
            team: None,
        };
        assert!(filter.takes(received, Some(one), Some(agent)));
        assert!(!filter.takes(received, Some(two), Some(agent)));
        assert!(!filter.takes(received, Some(one), Some(two)));
        assert!(!filter.takes(received, Some(one), None));
        assert!(!filter.takes(received, None, Some(agent)));
        assert!(!filter.takes(EventType::MessageUpdated, Some(one), Some(agent)));
    }
}
