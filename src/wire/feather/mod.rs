//! Feather's dialect, served under `/v1/email`; nothing of another dialect may live here.
//!
//! The names of the types and fields are those of that API's own published document.

pub mod account;
pub mod problem;

use super::{
    check, example,
    stamp::{Seconds, Stamp},
};

/// A time in UTC, in whole seconds: `2023-11-07T05:31:56Z`.
pub type Time = Stamp<Seconds>;
