//! The process killed at any instant while mail flows, and a lease owner that was overtaken: nothing is lost or twice.

pub(crate) mod fence;
pub(crate) mod loops;
pub(crate) mod post;
pub(crate) mod process;
pub(crate) mod truth;
