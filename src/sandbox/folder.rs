//! A folder's messages, with the UIDs and mod-sequences that the folder gives them.

use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
};

use chrono::{DateTime, FixedOffset};

use super::Error;

/// Most messages in a folder.
const MAX_MESSAGES: usize = 100_000;
/// Most flags on one message.
pub(super) const MAX_FLAGS: usize = 64;

/// One message of a folder.
#[derive(Clone)]
pub(super) struct Message {
    pub(super) uid: NonZeroU32,
    pub(super) flags: BTreeSet<String>,
    pub(super) internal_date: DateTime<FixedOffset>,
    pub(super) modseq: NonZeroU64,
    pub(super) raw: Arc<[u8]>,
    /// The same for every copy of a message within its account.
    pub(super) id: u64,
    /// Its labels but the folder's own, as sent; empty where the account has none.
    pub(super) labels: BTreeSet<String>,
}

/// What a message brings when it enters a folder; the folder gives it its UID.
#[derive(Clone)]
pub(super) struct NewMessage {
    pub(super) flags: BTreeSet<String>,
    pub(super) internal_date: DateTime<FixedOffset>,
    pub(super) raw: Arc<[u8]>,
    /// The id of the message that it is a copy of; 0 for a new one.
    pub(super) id: u64,
}

/// One folder. `id` stays through a rename, `uid_validity` says whether the UIDs mean the same (RFC 3501, 2.3.1.1).
pub(super) struct Folder {
    pub(super) id: u64,
    pub(super) uid_validity: NonZeroU32,
    pub(super) uid_next: NonZeroU32,
    pub(super) highest_modseq: NonZeroU64,
    pub(super) special_use: Option<&'static str>,
    pub(super) subscribed: bool,
    /// True when clients do not see it, as if it were not there.
    pub(super) hidden: bool,
    pub(super) messages: Vec<Message>,
    /// Bytes of all its messages.
    pub(super) bytes: usize,
}

impl Folder {
    /// The messages, ascending by UID.
    pub(super) fn messages(&self) -> &[Message] {
        &self.messages
    }

    pub(super) fn message(&self, uid: NonZeroU32) -> Option<&Message> {
        let at = self.messages.binary_search_by_key(&uid, |m| m.uid).ok()?;
        self.messages.get(at)
    }

    /// Adds a message and answers its UID.
    pub(super) fn append(&mut self, new: NewMessage) -> Result<NonZeroU32, Error> {
        self.check_room(1)?;
        if new.flags.len() > MAX_FLAGS {
            return Err(Error::Full);
        }
        let uid = self.uid_next;
        self.uid_next = uid.checked_add(1).ok_or(Error::Full)?;
        let modseq = self.next_modseq();
        self.bytes += new.raw.len();
        let NewMessage {
            flags,
            internal_date,
            raw,
            id,
        } = new;
        self.messages.push(Message {
            uid,
            flags,
            internal_date,
            modseq,
            raw,
            id,
            labels: BTreeSet::new(),
        });
        Ok(uid)
    }

    /// Refuses with [`Error::Full`] when `more` messages do not fit.
    pub(super) fn check_room(&self, more: usize) -> Result<(), Error> {
        if self.messages.len() + more > MAX_MESSAGES {
            Err(Error::Full)
        } else {
            Ok(())
        }
    }

    /// Replaces a message's flags. An unchanged set keeps its mod-sequence (RFC 7162, 3.1).
    pub(super) fn set_flags(&mut self, uid: NonZeroU32, flags: BTreeSet<String>) -> Result<(), Error> {
        if flags.len() > MAX_FLAGS {
            return Err(Error::Full);
        }
        let at = self
            .messages
            .binary_search_by_key(&uid, |m| m.uid)
            .map_err(|_| Error::NoMessage)?;
        if self.messages.get(at).is_some_and(|m| m.flags == flags) {
            return Ok(());
        }
        let modseq = self.next_modseq();
        let message = self.messages.get_mut(at).ok_or(Error::NoMessage)?;
        message.flags = flags;
        message.modseq = modseq;
        Ok(())
    }

    /// Replaces a message's labels. An unchanged set keeps its mod-sequence.
    pub(super) fn set_labels(&mut self, uid: NonZeroU32, labels: BTreeSet<String>) {
        if self.message(uid).is_none_or(|m| m.labels == labels) {
            return;
        }
        let modseq = self.next_modseq();
        if let Some(message) = self.messages.iter_mut().find(|m| m.uid == uid) {
            message.labels = labels;
            message.modseq = modseq;
        }
    }

    /// Takes out the messages for which `gone` holds, and answers their UIDs.
    pub(super) fn remove(&mut self, gone: impl Fn(&Message) -> bool) -> Vec<NonZeroU32> {
        let mut removed = Vec::new();
        self.messages.retain(|m| {
            let out = gone(m);
            if out {
                removed.push(m.uid);
                self.bytes -= m.raw.len();
            }
            !out
        });
        if !removed.is_empty() {
            self.next_modseq();
        }
        removed
    }

    fn next_modseq(&mut self) -> NonZeroU64 {
        self.highest_modseq = self.highest_modseq.saturating_add(1);
        self.highest_modseq
    }
}
