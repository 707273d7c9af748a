//! All integration tests, in one binary: what the parts promise together, against real servers.
//!
//! Every module is a topic; `support` starts the servers and holds no test of a feature. Each is `cfg(test)`, by which
//! clippy knows that its functions may unwrap and panic as tests do.

#![expect(
    clippy::disallowed_methods,
    reason = "tests read the variables of their runner, and start tasks and clocks of their own"
)]

#[cfg(test)]
mod arch;
#[cfg(test)]
mod files;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod support;
