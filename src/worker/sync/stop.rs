//! Why a connection ended, and what is remembered from one connection of a mailbox to the next.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::{
    mail::{imap::Error as MailError, oauth::TokenError},
    model::Error,
    service::{oauth::Unready, sync::Halt},
};

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// The mailbox is not this task's any more.
    #[error("the mailbox was disabled, deleted or taken over")]
    Fenced,
    /// The process stops, or the mailbox's connection was closed.
    #[error("the connection was closed on purpose")]
    Cancelled,
    /// Something must be seen again on a new connection before it is believed.
    #[error("a new connection is needed")]
    Again,
    /// The mail server.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// The endpoint that grants access tokens.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The store.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Fenced => Self::Fenced,
            Halt::Failed(error) => Self::Store(error),
        }
    }
}

impl From<Unready> for Stop {
    fn from(unready: Unready) -> Self {
        match unready {
            Unready::Token(error) => Self::Token(error),
            Unready::Halt(halt) => halt.into(),
        }
    }
}

/// What a folder's SEARCH and EXISTS contradict each other in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Doubt {
    /// How many messages EXISTS counts.
    pub(super) exists: u32,
    /// How many of them SEARCH names.
    pub(super) named: u64,
    /// How many that are stored it does not name.
    pub(super) missed: usize,
}

/// What is remembered from one connection of a mailbox to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// How often in a row the credentials were refused.
    pub(super) refusals: u32,
    /// How often a new connection was asked for at once, since one was healthy.
    pub(super) again: u32,
    /// A folder that lost most of its messages, and must be seen so twice before it is believed.
    pub(super) suspect: Option<Uuid>,
    /// Messages whose fetch or storing failed: `(folder, UID)` and how grave that was.
    pub(super) fragile: HashMap<(Uuid, i64), u32>,
    /// Folders of which QRESYNC has more to tell than is kept: they are asked in windows.
    pub(super) plain: HashSet<Uuid>,
    /// True until the labels of every message were read, in every folder that stands for a label.
    pub(super) relabel: bool,
    /// Labels of the user's own that no folder stands for.
    pub(super) strange: HashSet<String>,
    /// Folders whose SEARCH names fewer messages than EXISTS counts: what was seen when their numbering was asked for.
    pub(super) doubted: HashMap<Uuid, Doubt>,
    /// True once a fetch of new mail was not answered: the server may be one that loses what follows DONE at once, and is
    /// let end IDLE first from then on.
    pub(super) apart: bool,
    /// Folders whose mod-sequence moved without anything that explains it: only rows do then.
    pub(super) unexplained: HashSet<Uuid>,
}
