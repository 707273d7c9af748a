//! The JSON of the three dialects and its translation from and to the domain, pure; no I/O, no decision about what may be
//! done, no SQL and no routing may live here.
//!
//! A translation names every field of what it translates (no `..`) and every variant (no `_ =>`): a new field, state or
//! error of the domain does not compile until every dialect has answered.

mod check;
mod example;
pub mod feather;
pub mod firm;
pub mod plannr;
pub mod stamp;
pub mod thin;
pub mod v1;

/// What a 401 says of how to authenticate (RFC 9110, section 11.6.1).
const CHALLENGE: &str = "Bearer realm=\"postroom\"";
/// When to try again after a 503, in seconds.
const RETRY_UNAVAILABLE: u64 = 5;

#[cfg(test)]
mod tests;
