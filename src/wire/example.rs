//! The ids and the time that the examples of the API documents share.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The n-th id: a UUIDv7 of the examples' time.
pub(super) const fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0197_a7b2_1c80_7000_8000_0000_0000_0000 + number)
}

/// 2025-06-25T15:10:40Z.
pub(super) const fn at() -> DateTime<Utc> {
    match DateTime::from_timestamp(1_750_864_240, 0) {
        Some(at) => at,
        None => DateTime::UNIX_EPOCH,
    }
}
