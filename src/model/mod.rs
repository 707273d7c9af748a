//! The domain: words, parsing and rules. No I/O, no HTTP, no SQL and no `async` may live here.

pub mod agent;
pub mod attachment;
pub mod caller;
pub mod clock;
pub mod credentials;
pub mod endpoint_form;
pub mod error;
pub mod event;
pub mod folder;
pub mod id;
pub mod key;
pub mod label;
pub mod lease;
pub mod mailbox;
pub mod member;
pub mod message;
pub mod page;
pub mod patch;
pub mod provider;
pub mod scope;

pub mod search;
pub mod state;
pub mod tenant;
pub mod thread;
pub mod webhook;

pub use error::{Error, Result};
