//! A folder's UIDs on the server against those that are stored: what is gone, and what was never stored.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    folder::range,
    live::Connection,
    stop::{Doubt, Stop},
};
use crate::{
    mail::imap::{self, Numbering, UidSet},
    model::{Error, folder::Folder},
    service::sync,
};

/// How many UIDs a window has in which those of the server are asked for.
pub(super) const WINDOW: i64 = 5_000;
/// The numbering of a folder with more messages than this is not asked for.
const NUMBERED: u32 = 20_000;
/// A message that lies aside is tried again after this time.
const RETRY: TimeDelta = TimeDelta::days(1);
/// A pass tries at most this many of them in one folder.
const RETRIES: usize = 20;

/// What lies aside in a mailbox's folders: when each UID was last tried.
#[derive(Debug, Default)]
pub(super) struct AsideMap(HashMap<Uuid, HashMap<i64, Option<DateTime<Utc>>>>);

impl AsideMap {
    fn of(&self, folder: &Folder) -> Option<&HashMap<i64, Option<DateTime<Utc>>>> {
        self.0.get(&folder.id)
    }

    /// How many messages of a folder lie aside.
    pub(super) fn count(&self, folder: &Folder) -> i64 {
        let count = self.of(folder).map_or(0, HashMap::len);
        i64::try_from(count).unwrap_or_default()
    }

    /// Those that are to be tried again, at most [`RETRIES`].
    fn due(&self, folder: &Folder, now: DateTime<Utc>) -> Vec<i64> {
        let is_due = |tried: &Option<DateTime<Utc>>| tried.is_none_or(|tried| now - tried > RETRY);
        let aside = self.of(folder).into_iter().flatten();
        let mut due: Vec<i64> = aside
            .filter(|(_, tried)| is_due(tried))
            .map(|(uid, _)| *uid)
            .collect();
        due.sort_unstable();
        due.truncate(RETRIES);
        due
    }

    pub(super) fn insert(&mut self, folder: &Folder, uid: i64, tried: DateTime<Utc>) {
        self.0.entry(folder.id).or_default().insert(uid, Some(tried));
    }

    /// The folder's UIDs begin anew: none of them lies aside.
    pub(super) fn forget(&mut self, folder: &Folder) {
        self.0.remove(&folder.id);
    }

    fn uids(&self, folder: &Folder) -> UidSet {
        let aside = self.of(folder).into_iter().flatten();
        aside.filter_map(|(uid, _)| u32::try_from(*uid).ok()).collect()
    }

    fn remove(&mut self, folder: &Folder, uids: &[i64]) {
        if let Some(aside) = self.0.get_mut(&folder.id) {
            aside.retain(|uid, _| !uids.contains(uid));
        }
    }
}

/// What a comparison found.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// UIDs that the server has.
    pub(super) existing: u64,
    /// Stored, and not on the server.
    pub(super) gone: Vec<i64>,
    /// On the server, and not stored.
    pub(super) absent: UidSet,
}

impl Connection<'_> {
    /// Reads what lies aside in the folders' present generations.
    pub(super) async fn load_aside(&mut self) -> Result<(), Stop> {
        let ids: Vec<Uuid> = self.folders.iter().map(|folder| folder.id).collect();
        let mut map = AsideMap::default();
        for aside in sync::list_aside(&self.shared.app, self.fence, &ids).await? {
            let is_current = |folder: &&Folder| {
                folder.id == aside.folder_id && folder.cursor.uid_validity == aside.uid_validity
            };
            if self.folders.iter().any(|folder| is_current(&folder)) {
                map.0
                    .entry(aside.folder_id)
                    .or_default()
                    .insert(aside.uid, aside.tried_at);
            }
        }
        self.aside = map;
        Ok(())
    }

    /// True when something lies aside in the folder that is to be tried again.
    pub(super) fn has_due(&self, folder: &Folder) -> bool {
        !self.aside.due(folder, self.shared.app.clock.now()).is_empty()
    }

    /// Compares the UIDs between these two, both ways: those of a small folder at once, however far apart they lie. In a large
    /// one the windows grow while there is nothing in them, so that UIDs which are spread over 32 bits do not make them many.
    pub(super) async fn compare(
        &mut self,
        folder: &Folder,
        exists: i64,
        uids: (i64, i64),
    ) -> Result<Compared, Stop> {
        self.compare_with(folder, exists, uids, None).await
    }

    /// The same; the server's UIDs are these, or are searched for.
    async fn compare_with(
        &mut self,
        folder: &Folder,
        exists: i64,
        (low, high): (i64, i64),
        present: Option<&UidSet>,
    ) -> Result<Compared, Stop> {
        let mut compared = Compared::default();
        let small = exists.max(folder.message_count) <= WINDOW;
        let mut window = if small { high } else { WINDOW };
        let mut from = low;
        while from <= high {
            let to = from.saturating_add(window - 1).min(high);
            let existing = match present {
                Some(present) => present.intersection(&range(from, to)),
                None => self.existing(from, to).await?,
            };
            if !small && window > WINDOW && !existing.is_empty() {
                // It has grown into a part that is not empty, which is not held at once.
                window = WINDOW;
                continue;
            }
            let seen = sync::placements(&self.shared.app, self.fence, folder, (from, to)).await?;
            let stored: UidSet = seen
                .iter()
                .filter_map(|seen| u32::try_from(seen.uid).ok())
                .collect();
            let gone = stored.difference(&existing);
            compared.gone.extend(gone.iter().map(i64::from));
            for uid in existing.difference(&stored).iter() {
                compared.absent.insert(uid);
            }
            compared.existing += existing.len();
            if !small && existing.is_empty() {
                window = window.saturating_mul(2);
            }
            from = to + 1;
        }
        Ok(compared)
    }

    /// What can be believed of a comparison in which SEARCH names fewer messages than EXISTS counts: what rows say too, and
    /// what the folder's numbering leaves no room for. Messages that SEARCH does not name are found. `None`: nothing can.
    pub(super) async fn verify(
        &mut self,
        folder: &Folder,
        exists: u32,
        uids: (i64, i64),
        compared: Compared,
    ) -> Result<Option<Compared>, Stop> {
        let doubt = Doubt {
            exists,
            named: compared.existing,
            missed: compared.gone.len(),
        };
        if self.memory.doubted.get(&folder.id) == Some(&doubt) {
            return Ok(None);
        }
        tracing::warn!(mailbox = %self.fence.mailbox, folder = %folder.id,
            "a server names fewer messages than it counts");
        if exists > NUMBERED {
            return Ok(None);
        }
        let Numbering { present, vacant } = match self.session()?.numbering(exists).await {
            Ok(Some(numbering)) => numbering,
            // The folder is changing, or this is not told.
            Ok(None) | Err(imap::Error::No { .. } | imap::Error::Bad { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let told = self
            .compare_with(folder, i64::from(exists), uids, Some(&present))
            .await?;
        let is_gone = |uid: &i64| {
            told.gone.binary_search(uid).is_ok() && u32::try_from(*uid).is_ok_and(|uid| vacant.contains(uid))
        };
        let Compared {
            existing,
            mut gone,
            mut absent,
        } = compared;
        gone.retain(is_gone);
        for uid in told.absent.iter() {
            absent.insert(uid);
        }
        let aside = self.aside.uids(folder);
        if gone.is_empty() && absent.difference(&aside).is_empty() {
            // Nothing has come of it, and nothing would come of it the next time.
            self.memory.doubted.insert(folder.id, doubt);
        }
        // What lies aside stays there until it is known to be gone.
        for uid in aside.difference(&vacant).iter() {
            absent.insert(uid);
        }
        Ok(Some(Compared {
            existing,
            gone,
            absent,
        }))
    }

    /// Fetches what the server has and what is not stored, though the cursor has passed it: a server said once that it was
    /// not there, or it lies aside and is tried again now.
    pub(super) async fn heal(
        &mut self,
        mut folder: Folder,
        absent: &UidSet,
        low: i64,
        high: i64,
    ) -> Result<Folder, Stop> {
        let lies_aside = self.aside.uids(&folder);
        let settled = lies_aside
            .intersection(&range(low, high))
            .difference(absent)
            .iter()
            .map(i64::from)
            .collect();
        self.release(&folder, settled).await?;
        let lost = absent.difference(&lies_aside);
        if !lost.is_empty() {
            tracing::warn!(mailbox = %self.fence.mailbox, folder = %folder.id, count = lost.len(),
                "messages that were passed over are fetched");
            folder = self.receive(folder, &lost).await?;
        }
        for uid in self.aside.due(&folder, self.shared.app.clock.now()) {
            if u32::try_from(uid).is_ok_and(|uid| absent.contains(uid)) {
                folder = self.retry(folder, uid).await?;
            }
        }
        Ok(folder)
    }

    /// Tries a message that lies aside once more.
    async fn retry(&mut self, folder: Folder, uid: i64) -> Result<Folder, Stop> {
        sync::try_aside(&self.shared.app, self.fence, folder.clone(), uid).await?;
        self.aside.insert(&folder, uid, self.shared.app.clock.now());
        let items = self.items;
        let rows = self.session()?.fetch_metadata(&range(uid, uid), items).await?;
        match self.fetch_and_store(folder.clone(), &rows).await {
            Ok(stored) if stored.message_count > folder.message_count => {
                self.release(&stored, vec![uid]).await?;
                Ok(stored)
            }
            Ok(stored) => Ok(stored),
            // It is as it was; the others need not wait for it.
            Err(Stop::Mail(imap::Error::No { .. } | imap::Error::Bad { .. })) => Ok(folder),
            Err(Stop::Store(error)) if !matches!(error, Error::Unavailable(_)) => Ok(folder),
            Err(stop) => Err(stop),
        }
    }

    async fn release(&mut self, folder: &Folder, uids: Vec<i64>) -> Result<(), Stop> {
        if !uids.is_empty() {
            self.aside.remove(folder, &uids);
            sync::release_aside(&self.shared.app, self.fence, folder.clone(), uids).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_aside_is_due_once_a_day_and_a_few_at_a_time() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(10);
        let folder = Folder::unseen(Uuid::nil(), now);
        let mut map = AsideMap::default();
        map.insert(&folder, 1, now - TimeDelta::hours(25));
        map.insert(&folder, 2, now - TimeDelta::hours(23));
        map.0.entry(folder.id).or_default().insert(3, None);
        assert_eq!(map.count(&folder), 3);
        assert_eq!(map.due(&folder, now), [1, 3]);
        map.insert(&folder, 1, now);
        assert_eq!(map.due(&folder, now), [3]);
        for uid in 100..200 {
            map.0.entry(folder.id).or_default().insert(uid, None);
        }
        assert_eq!(map.due(&folder, now).len(), RETRIES);
        map.remove(&folder, &[1, 2, 3]);
        assert_eq!(map.count(&folder), 100);
        map.forget(&folder);
        assert_eq!(map.count(&folder), 0);
    }
}
