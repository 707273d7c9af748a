//! The IMAP client (RFC 9051, RFC 3501): connections, logins, sessions and IDLE, each type consuming the one before.
//!
//! `Client::connect` → `Client::login` → [`Session`] ⇄ [`Idle`]. Framing and reading of responses are pure; one small
//! driver does the I/O. Three rules hold everywhere. Only the tagged OK of a command's own tag ends it well: NO, BAD, BYE,
//! the end of the connection and a deadline are errors, never an empty answer. A command that is given up in the middle
//! poisons its connection. Nothing is allocated because a server announced it.
//!
//! What must not live here: what to synchronise and when, storage, the parsing of messages, and any retry.

mod body;
mod capability;
mod change;
mod client;
mod command;
mod connection;
mod dial;
mod error;
mod fetch;
mod frame;
mod idle;
mod list;
mod login;
mod numbering;
mod response;
mod row;
mod search;
mod select;
mod session;
mod set;
mod token;
pub mod utf7;

#[cfg(test)]
mod tests;

use std::fmt;

use secrecy::SecretString;

pub use self::{
    body::{Body, BodyLimits, Content, StoredBody},
    capability::Capabilities,
    change::{Appended, Copied, Labelling, StoreFlags},
    client::Client,
    connection::Pending,
    dial::{Dialer, Timeouts},
    error::{Answer, Error, FailureClass, Phase, ProtocolError},
    fetch::{Fetch, FetchItems, FetchedMessage, MessageIds},
    frame::FrameError,
    idle::{Idle, IdleEvent, IdleRefused},
    list::ListEntry,
    numbering::Numbering,
    response::FolderStatus,
    row::FetchRow,
    select::{Qresync, Selected},
    session::Session,
    set::UidSet,
};
pub use crate::model::mailbox::Security;

/// Where a mail server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address, in any spelling; the egress guard reads it.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is secured.
    pub security: Security,
}

/// Whom to log in as.
#[derive(Clone)]
pub enum Credentials {
    /// A user name and a password, or a password made for this application.
    Password {
        /// The user name.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// A user name and an OAuth 2 access token.
    OAuth {
        /// The user name, which is the address.
        username: String,
        /// The access token.
        access_token: SecretString,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Credentials::Password",
            Self::OAuth { .. } => "Credentials::OAuth",
        })
    }
}
