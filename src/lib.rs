//! postroom: a self-hosted, multi-tenant mailbox gateway.
//!
//! It connects its tenants' mailboxes, keeps them in sync, and serves them behind one tenant-scoped API, in three
//! dialects whose OpenAPI documents are derived from the typed handlers.
//!
//! # The rooms, and the arrows between them
//!
//! ```text
//! cli        the root: commands, the start, the demo            may use every room
//! api        HTTP: parse, call one use case, translate          model config wire service
//! worker     the long loops                                     model config mail wire service
//! service    the use cases: authorise, decide, write            model config store mail
//! wire       JSON shapes and translations, one folder a dialect model
//! store      the only room that speaks SQL                      model
//! mail       IMAP, MIME, the egress guard                       model
//! sandbox    a small real IMAP server for demo and tests        model
//! config     settings, checked once                             -
//! model      the domain: types, parsing, rules                  -
//! ```
//!
//! A test reads the imports and fails on any other arrow.
//!
//! # Invariants
//!
//! - Every row belongs to a tenant, every query names it, and foreign keys carry it: nothing points across.
//! - Authorisation is the first line of every use case, below all dialects.
//! - A sync's cursor moves only over messages that are stored, proven absent, or set aside, in the same transaction.
//! - Every write of a sync passes the fence: its lease's epoch, and the mailbox being enabled.
//! - A mail server's refusal or silence is an error, never an empty answer.

pub mod api;
pub mod cli;
pub mod config;
pub mod mail;
pub mod model;
pub mod sandbox;
pub mod service;
pub mod store;
pub mod wire;
pub mod worker;
