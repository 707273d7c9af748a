//! Plannr's dialect, served under `/api`; nothing of another dialect may live here.
//!
//! Where Plannr has a field that postroom keeps no value for, the answer is null, or `[]` for a collection: never an
//! invented value.

pub mod account;
pub mod attachment;
pub mod delivery;
pub mod firm;
pub mod mailbox;
pub mod message;
pub mod participant;
pub mod problem;
pub mod webhook;

use poem_openapi::Object;

use super::{
    check, example,
    stamp::{Offset, Stamp},
    thin,
};

/// A time with a numeric offset, in whole seconds: `2025-06-25T15:10:40+00:00`.
pub type Time = Stamp<Offset>;

/// A resource of Plannr's that postroom does not keep; never answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object)]
pub struct Resource {}
