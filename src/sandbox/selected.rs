//! The selected folder as one connection has been told it: message sequence numbers, and what has changed since.

use std::num::{NonZeroU32, NonZeroU64};

use imap_codec::imap_types::{
    core::Vec1,
    fetch::MessageDataItem,
    flag::{Flag, FlagFetch},
    response::Data,
    sequence::{SeqOrUid, Sequence, SequenceSet},
};

use super::mailstore::{Folder, Message};

/// One message that the client knows; its place in the list is its sequence number.
#[derive(Clone, Copy)]
struct Row {
    uid: NonZeroU32,
    modseq: NonZeroU64,
}

/// A message that a command names, by both of its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) seq: NonZeroU32,
    pub(super) uid: NonZeroU32,
}

/// A selected folder. The rows change only in [`Selected::refresh`], so sequence numbers hold during a command.
pub(super) struct Selected {
    pub(super) folder_id: u64,
    pub(super) uid_validity: NonZeroU32,
    pub(super) read_only: bool,
    rows: Vec<Row>,
}

impl Selected {
    pub(super) fn open(folder: &Folder, read_only: bool) -> Self {
        let rows = folder
            .messages()
            .iter()
            .map(|m| Row {
                uid: m.uid,
                modseq: m.modseq,
            })
            .collect();
        Self {
            folder_id: folder.id,
            uid_validity: folder.uid_validity,
            read_only,
            rows,
        }
    }

    /// Every message the client knows, ascending.
    pub(super) fn all(&self) -> impl Iterator<Item = Numbered> {
        (1..=u32::MAX)
            .filter_map(NonZeroU32::new)
            .zip(&self.rows)
            .map(|(seq, row)| Numbered { seq, uid: row.uid })
    }

    /// The messages that a set names, ascending and once each; numbers that name none are passed over.
    pub(super) fn resolve(&self, set: &SequenceSet, by_uid: bool) -> Vec<Numbered> {
        let mut named = vec![false; self.rows.len()];
        for sequence in set.0.as_ref() {
            let (a, b) = match sequence {
                Sequence::Single(a) => (self.number(*a, by_uid), self.number(*a, by_uid)),
                Sequence::Range(a, b) => (self.number(*a, by_uid), self.number(*b, by_uid)),
            };
            let (low, high) = (a.min(b), a.max(b));
            let (from, to) = if by_uid {
                (
                    self.rows.partition_point(|r| r.uid.get() < low),
                    self.rows.partition_point(|r| r.uid.get() <= high),
                )
            } else {
                let place = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
                (place(low).saturating_sub(1), place(high).min(self.rows.len()))
            };
            if let Some(range) = named.get_mut(from..to) {
                range.fill(true);
            }
        }
        self.all()
            .zip(named)
            .filter_map(|(n, named)| named.then_some(n))
            .collect()
    }

    fn number(&self, value: SeqOrUid, by_uid: bool) -> u32 {
        match (value, by_uid) {
            (SeqOrUid::Value(n), _) => n.get(),
            (SeqOrUid::Asterisk, true) => self.rows.last().map_or(0, |r| r.uid.get()),
            (SeqOrUid::Asterisk, false) => u32::try_from(self.rows.len()).unwrap_or(u32::MAX),
        }
    }

    /// Notes that the client has been told this message's state, so that [`Selected::refresh`] does not repeat it.
    pub(super) fn told(&mut self, message: &Message) {
        if let Ok(at) = self.rows.binary_search_by_key(&message.uid, |r| r.uid)
            && let Some(row) = self.rows.get_mut(at)
        {
            row.modseq = message.modseq;
        }
    }

    /// Catches up with the folder and answers what to tell the client: EXPUNGE (unless `keep_expunged`, RFC 3501,
    /// 7.4.1), EXISTS, and FETCH for changed flags.
    pub(super) fn refresh(
        &mut self,
        folder: &Folder,
        keep_expunged: bool,
        condstore: bool,
    ) -> Vec<Data<'static>> {
        let mut data = Vec::new();
        if !keep_expunged {
            let gone: Vec<Numbered> = self.all().filter(|n| folder.message(n.uid).is_none()).collect();
            // The highest first: an EXPUNGE renumbers what follows it, so the lower numbers stay right.
            data.extend(gone.iter().rev().map(|n| Data::Expunge(n.seq)));
            if !gone.is_empty() {
                self.rows.retain(|r| folder.message(r.uid).is_some());
            }
        }
        let last = self.rows.last().map_or(0, |r| r.uid.get());
        let known = self.rows.len();
        let new = folder.messages().iter().filter(|m| m.uid.get() > last);
        self.rows.extend(new.map(|m| Row {
            uid: m.uid,
            modseq: m.modseq,
        }));
        if self.rows.len() > known {
            data.push(Data::Exists(u32::try_from(self.rows.len()).unwrap_or(u32::MAX)));
        }
        let changed: Vec<(Numbered, &Message)> = self
            .all()
            .zip(&self.rows)
            .filter_map(|(n, row)| Some((n, folder.message(n.uid).filter(|m| m.modseq > row.modseq)?)))
            .collect();
        for (n, message) in changed {
            self.told(message);
            data.push(flags_update(n.seq, message, true, condstore));
        }
        data
    }
}

/// `* n FETCH (UID … FLAGS … MODSEQ …)` for a message whose flags changed.
pub(super) fn flags_update(seq: NonZeroU32, message: &Message, flags: bool, modseq: bool) -> Data<'static> {
    let mut items = Vec1::from(MessageDataItem::Uid(message.uid))
        .into_iter()
        .collect::<Vec<_>>();
    if flags {
        items.push(MessageDataItem::Flags(flag_list(message)));
    }
    if modseq {
        items.push(MessageDataItem::ModSeq(message.modseq));
    }
    let items = Vec1::try_from(items).unwrap_or_else(|_| Vec1::from(MessageDataItem::Uid(message.uid)));
    Data::Fetch { seq, items }
}

/// The message's flags as FETCH gives them.
pub(super) fn flag_list(message: &Message) -> Vec<FlagFetch<'static>> {
    message
        .flags
        .iter()
        .filter_map(|f| flag(f))
        .map(FlagFetch::Flag)
        .collect()
}

/// Reads a flag such as `\Seen` or `$Forwarded`.
pub(super) fn flag(name: &str) -> Option<Flag<'static>> {
    use imap_codec::imap_types::IntoStatic;
    Flag::try_from(name).ok().map(IntoStatic::into_static)
}
