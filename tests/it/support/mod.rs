//! The servers and tools that the tests run against: started here, each torn down by its guard.
//!
//! What checks a feature must not live here, nor a mock of something that can be run for real.

pub(crate) mod api;
pub(crate) mod certificates;
pub(crate) mod cyrus;
pub(crate) mod dovecot;
pub(crate) mod gateway;
pub(crate) mod lint;
pub(crate) mod postgres;
pub(crate) mod server;
pub(crate) mod soak;
pub(crate) mod tokens;
pub(crate) mod tooling;
