//! The hostile server: every way to misbehave at every command of a session. Nothing is deleted, skipped or advanced,
//! memory stays flat, and the state says what is so.

mod account;
mod axes;
mod lies;
mod meddler;
mod memory;
mod table;
