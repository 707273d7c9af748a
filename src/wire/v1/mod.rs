//! The unified dialect, served under `/v1`; nothing of another dialect may live here.

pub mod agent;
pub mod api_key;
pub mod attachment;
pub mod delivery;
pub mod event;
pub mod folder;
pub mod identity;
pub mod mailbox;
pub mod member;
pub mod message;
pub mod oauth;
pub mod page;
pub mod problem;
pub mod server;
pub mod tenant;
pub mod thread;
pub mod token;
pub mod webhook;

use super::{
    check, example,
    stamp::{Exact, Stamp},
};

/// A time, in UTC: `2025-06-25T15:10:40.125Z`.
pub type Time = Stamp<Exact>;
