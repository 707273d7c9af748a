//! One pass over a folder: its generation, its new mail, its flags, and what was expunged (RFC 9051; RFC 7162).
//!
//! The cursor moves only over UIDs that were stored, proven absent by a tagged OK, or set aside, and in the same
//! transaction as what it moves over.

use std::collections::HashMap;

use super::{live::Connection, stop::Stop};
use crate::{
    mail::imap::{self, FetchRow, ProtocolError, Qresync, Selected, UidSet},
    model::folder::{Cursor, FlagUpdate, Folder, FolderRole, Seen},
    service::sync::{self, Found, Traits},
};

/// How many messages' metadata are asked for at once.
pub(super) const METADATA: u64 = 1_000;
/// Servers without mod-sequences are asked for the flags of this many of the newest UIDs.
const PLAIN_FLAGS: i64 = 1_000;
/// How many UIDs a window has in which flags are asked for: the answer is kept in memory.
const FLAG_WINDOW: i64 = 20_000;
/// A pass that removes more than this many messages, and more than half of the folder, is checked on a new connection.
const BRAKE: usize = 20;

/// What a pass has seen before it asks for flags.
#[derive(Debug, Clone, Copy)]
struct Told {
    new: bool,
    expunged: bool,
}

impl Connection<'_> {
    /// Passes over a folder; answers it as it is now, and how many messages the server has in it. `None`: the server
    /// does not open it.
    ///
    /// Expunges come before flags, because the mod-sequence that is stored with the flags is also where the server begins
    /// to tell of expunges the next time.
    pub(super) async fn pass_over(&mut self, mut folder: Folder) -> Result<Option<(Folder, u32)>, Stop> {
        if !self.is_followed(&folder) {
            return Ok(None);
        }
        let known = self.known(&folder);
        let Some(selected) = self.try_open(&folder, known).await? else {
            return Ok(None);
        };
        let exists = selected.exists;
        if i64::from(selected.uid_validity) != folder.cursor.uid_validity {
            return Ok(Some((self.begin_generation(folder, &selected).await?, exists)));
        }
        self.adopt(&mut folder, false).await?;
        // What is compared with the server's answers is what was known before them.
        let known_to = folder.cursor.last_uid;
        let taken = self.taken.take_if(|taken| *taken == folder.id);
        let mut newer = 0;
        if i64::from(selected.uid_next) - 1 > known_to {
            let new = self
                .existing(known_to + 1, i64::from(selected.uid_next) - 1)
                .await?;
            newer = new.len();
            folder = self.receive(folder, &new).await?;
            folder.cursor.last_uid = folder.cursor.last_uid.max(i64::from(selected.uid_next) - 1);
            folder = sync::save_folder(&self.shared.app, self.fence, folder).await?;
        }
        let (healed, gone) = self
            .find_expunged(folder, &selected, (known_to, newer), known.is_some())
            .await?;
        let told = Told {
            new: newer > 0 || taken.is_some(),
            expunged: !gone.is_empty(),
        };
        folder = self.take_away(healed, gone).await?;
        folder = self.follow_flags(folder, &selected, told).await?;
        Ok(Some((folder, exists)))
    }

    /// Opens a folder; `None` when the server refuses it, as one that was removed after it was listed. The main folder is
    /// never removed: that it was refused is told when everything else is done.
    pub(super) async fn try_open(
        &mut self,
        folder: &Folder,
        known: Option<Qresync>,
    ) -> Result<Option<Selected>, Stop> {
        let is_main = folder.role == Some(FolderRole::Inbox) || self.is_all(folder);
        match self.open(&folder.raw_name, known).await {
            Ok(selected) => {
                self.opened = Some((folder.id, i64::from(selected.uid_validity)));
                self.main_refused.take_if(|_| is_main);
                Ok(Some(selected))
            }
            Err(Stop::Mail(error @ (imap::Error::No { .. } | imap::Error::Bad { .. }))) => {
                tracing::info!(mailbox = %self.fence.mailbox, folder = %folder.id, "a folder could not be opened");
                if is_main {
                    self.main_refused = Some(error);
                }
                Ok(None)
            }
            Err(Stop::Mail(imap::Error::Protocol(ProtocolError::AnswerTooLarge(_)))) if known.is_some() => {
                // Too much has changed to be told at once: ask in windows, on a new connection.
                self.memory.plain.insert(folder.id);
                Err(Stop::Again)
            }
            Err(stop) => Err(stop),
        }
    }

    /// What QRESYNC tells the server that we know.
    fn known(&self, folder: &Folder) -> Option<Qresync> {
        let cursor = folder.cursor;
        if self.memory.plain.contains(&folder.id) {
            return None;
        }
        let uid_validity = u32::try_from(cursor.uid_validity)
            .ok()
            .filter(|validity| *validity > 0)?;
        let modseq = u64::try_from(cursor.highest_modseq)
            .ok()
            .filter(|modseq| *modseq > 0)?;
        let low = u32::try_from(cursor.backfill_low.max(1)).ok()?;
        let high = u32::try_from(cursor.last_uid).ok()?;
        let known_uids = (low <= high).then_some((low, high));
        self.qresync.then_some(Qresync {
            uid_validity,
            modseq,
            known_uids,
        })
    }

    /// The folder is new to us, or its UIDs have begun anew: everything in it is for the backfill, which recognises what
    /// is known from an earlier generation.
    pub(super) async fn begin_generation(
        &mut self,
        mut folder: Folder,
        selected: &Selected,
    ) -> Result<Folder, Stop> {
        folder.cursor = Cursor {
            uid_validity: i64::from(selected.uid_validity),
            last_uid: i64::from(selected.uid_next) - 1,
            backfill_low: i64::from(selected.uid_next),
            highest_modseq: modseq(selected),
        };
        folder.object_id = selected.mailbox_id.clone().or(folder.object_id);
        self.gone.remove(&folder.id);
        self.aside.forget(&folder);
        let mut folder = sync::begin_generation(&self.shared.app, self.fence, folder).await?;
        self.adopt(&mut folder, true).await?;
        Ok(folder)
    }

    /// The UIDs between these two that the server has.
    pub(super) async fn existing(&mut self, low: i64, high: i64) -> Result<UidSet, Stop> {
        let (Ok(low), Ok(high)) = (u32::try_from(low), u32::try_from(high)) else {
            return Ok(UidSet::new());
        };
        Ok(self.session()?.search_uids(low, high).await?)
    }

    /// New mail, oldest first.
    pub(super) async fn receive(&mut self, mut folder: Folder, uids: &UidSet) -> Result<Folder, Stop> {
        let mut rest = uids.clone();
        while !rest.is_empty() {
            let (slice, later) = rest.split(METADATA);
            let items = self.items;
            let rows = self.session()?.fetch_metadata(&slice, items).await?;
            let rows = self.complete(rows, &slice).await?;
            let (rows, updates) = self.unplaced(&folder, rows).await?;
            self.follow_placed(&folder, updates).await?;
            let (placed, rows) = self.place_known(folder, Found::Since, rows).await?;
            folder = self
                .fetch(placed, rows, |cursor, uid| {
                    cursor.last_uid = cursor.last_uid.max(uid);
                })
                .await?;
            if let Some(last) = slice.last() {
                folder.cursor.last_uid = folder.cursor.last_uid.max(i64::from(last));
            }
            rest = later;
        }
        Ok(folder)
    }

    /// Drops what only earlier generations of a folder had, once the present one is known as a whole.
    pub(super) async fn end_generations(&self, folder: &Folder) -> Result<(), Stop> {
        if folder.cursor.is_backfilled() && sync::has_stale(&self.shared.app, self.fence, folder).await? {
            while sync::drop_stale(&self.shared.app, self.fence, folder).await? {}
        }
        Ok(())
    }

    /// Leaves out what is stored already: a change that was written back places a message before a pass sees it. Only its
    /// flags and labels are to be followed, because what the server tells of changes begins behind them.
    pub(super) async fn unplaced(
        &mut self,
        folder: &Folder,
        rows: Vec<FetchRow>,
    ) -> Result<(Vec<FetchRow>, Vec<FlagUpdate>), Stop> {
        let uids = || rows.iter().map(|row| i64::from(row.uid));
        let Some(range) = uids().min().zip(uids().max()) else {
            return Ok((rows, Vec::new()));
        };
        let seen = sync::placements(&self.shared.app, self.fence, folder, range).await?;
        Ok(self.without(folder, rows, seen))
    }

    /// Leaves out what was seen to be stored.
    pub(super) fn without(
        &mut self,
        folder: &Folder,
        rows: Vec<FetchRow>,
        seen: Vec<Seen>,
    ) -> (Vec<FetchRow>, Vec<FlagUpdate>) {
        let seen: HashMap<i64, Vec<String>> = seen.into_iter().map(|seen| (seen.uid, seen.flags)).collect();
        let (mut updates, mut rest) = (Vec::new(), Vec::new());
        for row in rows {
            let uid = i64::from(row.uid);
            let Some(known) = seen.get(&uid) else {
                rest.push(row);
                continue;
            };
            let (flags, label_folders) = (row.lasting_flags(), self.label_folders(folder, &row));
            if row.flags.is_some() && (*known != flags || label_folders.is_some()) {
                updates.push(FlagUpdate {
                    uid,
                    flags,
                    label_folders,
                });
            }
        }
        (rest, updates)
    }

    /// Stores flags that differ, if any do.
    pub(super) async fn follow_placed(&self, folder: &Folder, updates: Vec<FlagUpdate>) -> Result<(), Stop> {
        if !updates.is_empty() {
            sync::apply_flags(&self.shared.app, self.fence, folder.clone(), updates).await?;
        }
        Ok(())
    }

    /// Places messages that are known from an earlier generation; answers the rows that are not.
    pub(super) async fn recognise(
        &mut self,
        folder: Folder,
        rows: Vec<FetchRow>,
    ) -> Result<(Folder, Vec<FetchRow>), Stop> {
        let mut wanted = Vec::new();
        let mut owners = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            if let Some(traits) = traits(row) {
                wanted.push(traits);
                owners.push(at);
            }
        }
        let found = sync::match_generation(&self.shared.app, self.fence, &folder, &wanted).await?;
        let mut matched = HashMap::new();
        for (index, message) in found {
            if let Some(at) = owners.get(index) {
                matched.insert(*at, message);
            }
        }
        let mut places = Vec::with_capacity(matched.len());
        let mut rest = Vec::new();
        for (at, row) in rows.into_iter().enumerate() {
            match matched.get(&at) {
                Some(message) => places.push(self.place(&folder, &row, *message)),
                None => rest.push(row),
            }
        }
        let folder =
            sync::place_matched(&self.shared.app, self.fence, folder, (Found::Before, places)).await?;
        Ok((folder, rest))
    }

    /// Flags that changed: by CHANGEDSINCE, or for plain servers those of the newest messages. The mod-sequence is stored
    /// only after the whole answer, and only when something that was told explains it: new messages are asked for too, so
    /// that an answer without them is known to be none.
    async fn follow_flags(
        &mut self,
        mut folder: Folder,
        selected: &Selected,
        told: Told,
    ) -> Result<Folder, Stop> {
        let known_to = folder.cursor.last_uid;
        let low = folder.cursor.backfill_low.max(1);
        let labels = self.is_all(&folder);
        let relabel = labels && self.memory.relabel;
        let now = modseq(selected);
        let since = u64::try_from(folder.cursor.highest_modseq)
            .ok()
            .filter(|since| *since > 0 && !relabel);
        if since.is_some() && folder.cursor.highest_modseq == now {
            return Ok(folder);
        }
        let since = since.filter(|_| now > 0);
        // Where mod-sequences can be followed from now on, what was before them is read as a whole.
        let mut from = if since.is_some() || now > 0 || relabel {
            low
        } else {
            low.max(known_to - PLAIN_FLAGS)
        };
        let mut explained = since.is_none();
        while from <= known_to {
            let to = (from + FLAG_WINDOW - 1).min(known_to);
            let rows = self
                .session()?
                .fetch_flags(&range(from, to), since, labels)
                .await?;
            explained |= !rows.is_empty();
            let changed = rows.iter().filter(|row| row.flags.is_some());
            let updates: Vec<FlagUpdate> = changed
                .map(|row| FlagUpdate {
                    uid: i64::from(row.uid),
                    flags: row.lasting_flags(),
                    label_folders: self.label_folders(&folder, row),
                })
                .collect();
            if !updates.is_empty() {
                sync::apply_flags(&self.shared.app, self.fence, folder.clone(), updates).await?;
            }
            from = to + 1;
        }
        explained |= told.expunged && !told.new && !self.memory.unexplained.contains(&folder.id);
        if !explained {
            self.memory.unexplained.insert(folder.id);
            return Ok(folder);
        }
        self.memory.unexplained.remove(&folder.id);
        if folder.cursor.highest_modseq != now {
            folder.cursor.highest_modseq = now;
            folder = sync::save_folder(&self.shared.app, self.fence, folder).await?;
        }
        self.memory.plain.remove(&folder.id);
        self.memory.relabel &= !labels;
        Ok(folder)
    }

    /// Messages that the server has no more: by VANISHED, and by comparing windows of UIDs where the server does not tell
    /// so much, or has fewer messages than that leaves.
    async fn find_expunged(
        &mut self,
        mut folder: Folder,
        selected: &Selected,
        (known_to, newer): (i64, u64),
        told: bool,
    ) -> Result<(Folder, Vec<i64>), Stop> {
        let low = folder.cursor.backfill_low.max(1);
        let mut gone = Vec::new();
        if told {
            for (first, last) in selected
                .vanished_earlier
                .intersection(&range(low, known_to))
                .ranges()
            {
                let uids = (i64::from(*first), i64::from(*last));
                let seen = sync::placements(&self.shared.app, self.fence, &folder, uids).await?;
                gone.extend(seen.into_iter().map(|seen| seen.uid));
            }
        }
        // New mail is stored by now, so equal counts mean that nothing else is gone or was passed over.
        let exists = i64::from(selected.exists);
        let whole = folder.cursor.is_backfilled();
        let aside = self.aside.count(&folder);
        let doubtful = |count: i64| {
            let left = count - i64::try_from(gone.len()).unwrap_or_default();
            let differs = exists != left + aside;
            if told { whole && differs } else { !whole || differs }
        };
        let mut count = folder.message_count;
        if doubtful(count) {
            // The count of this pass does not know what was written back meanwhile.
            count = sync::count(&self.shared.app, self.fence, &folder).await?;
        }
        if doubtful(count) || self.has_due(&folder) {
            let mut compared = self.compare(&folder, exists, (low, known_to)).await?;
            let expunged = self.session()?.pending().expunged;
            if whole && !expunged && compared.existing + newer < u64::from(selected.exists) {
                // One of its two answers is wrong, so neither proves that anything is gone.
                let uids = (low, known_to);
                match self.verify(&folder, selected.exists, uids, compared).await? {
                    Some(verified) => compared = verified,
                    None => return Ok((folder, Vec::new())),
                }
            }
            folder = Box::pin(self.heal(folder, &compared.absent, low, known_to)).await?;
            count = folder.message_count;
            gone = compared.gone;
        }
        let half = usize::try_from(count / 2).unwrap_or_default();
        if gone.len() > BRAKE && gone.len() > half && self.memory.suspect != Some(folder.id) {
            tracing::warn!(mailbox = %self.fence.mailbox, folder = %folder.id, gone = gone.len(),
                "most of a folder is gone: looking again on a new connection");
            self.memory.suspect = Some(folder.id);
            return Err(Stop::Again);
        }
        self.memory.suspect = self.memory.suspect.filter(|suspect| *suspect != folder.id);
        Ok((folder, gone))
    }
}

pub(super) fn range(low: i64, high: i64) -> UidSet {
    match (u32::try_from(low), u32::try_from(high)) {
        (Ok(low), Ok(high)) => UidSet::range(low, high),
        _ => UidSet::new(),
    }
}

fn modseq(selected: &Selected) -> i64 {
    selected
        .highest_modseq
        .and_then(|modseq| i64::try_from(modseq).ok())
        .unwrap_or_default()
}

/// What a row tells of a message, when it is enough to recognise it by.
fn traits(row: &FetchRow) -> Option<Traits> {
    let parsed = crate::mail::mime::parse_header(row.header.as_deref()?);
    let size = i64::try_from(row.size?).ok()?;
    Some((parsed.message_id?, size, row.internal_date?))
}
