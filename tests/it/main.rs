//! All integration tests, in one binary: what the parts promise together, against real servers.
//!
//! Every module is a topic; `support` starts the servers and holds no test of a feature. Each is `cfg(test)`, by which
//! clippy knows that its functions may unwrap and panic as tests do.

#![expect(
    clippy::disallowed_methods,
    reason = "tests read the variables of their runner, and start tasks and clocks of their own"
)]

#[cfg(test)]
mod access;
#[cfg(test)]
mod arch;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod disable;
#[cfg(test)]
mod dovecot_sync;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod events;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod feather;
#[cfg(test)]
mod files;
#[cfg(test)]
mod firm;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod generations;
#[cfg(test)]
mod gmail;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod meddling;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod model;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod oauth;
#[cfg(test)]
mod object_id;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod plannr;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod search;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod servers;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod store;
#[cfg(test)]
mod support;
#[cfg(test)]
mod sweep;
#[cfg(test)]
mod tenancy_sql;
#[cfg(test)]
mod threads;
#[cfg(test)]
mod unified;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
mod world;
#[cfg(test)]
mod write_back;
