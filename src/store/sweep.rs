//! What the sweep erases: messages that have been deleted for their days, what is left of threads and of retired
//! mailboxes, and which blobs no row names. It is locked so that one node sweeps at a time.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conn, on, placements::CHUNK, types::Id};
use crate::model::{Result, id::TenantId};

/// The key of the advisory lock of the node that sweeps: `sweeping` in ASCII.
const SWEEP_LOCK: i64 = 0x7377_6565_7069_6e67;

/// A message that may be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// The message.
    pub message: Uuid,
    /// Its mailbox.
    pub mailbox: Uuid,
    /// Its thread.
    pub thread: Uuid,
}

impl Conn {
    /// True when no other node sweeps, and none begins to until the transaction ends.
    pub async fn lock_sweep(&mut self) -> Result<bool> {
        on!(self, sweep::try_lock(SWEEP_LOCK))
    }

    /// Keeps the sweep from deleting blobs of the tenant until the transaction ends (`shared`, by those who write rows that
    /// name blobs), or keeps such rows from being written.
    pub async fn lock_blobs(&mut self, tenant: TenantId, shared: bool) -> Result<()> {
        let (high, low) = tenant.0.as_u64_pair();
        on!(self, sweep::lock((high ^ low).cast_signed(), shared))
    }

    /// The tombstones that were made before this time, the oldest first.
    pub async fn list_expired(
        &mut self,
        tenant: TenantId,
        before: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<Expired>> {
        let found = on!(self, sweep::list_expired(tenant, before, limit))?;
        let read = |(message, mailbox, thread): (Id, Id, Id)| Expired {
            message: message.0,
            mailbox: mailbox.0,
            thread: thread.0,
        };
        Ok(found.into_iter().map(read).collect())
    }

    /// Locks these mailboxes' rows until the transaction ends, in the order of their ids.
    pub async fn lock_mailboxes(&mut self, tenant: TenantId, ids: &[Uuid]) -> Result<()> {
        on!(self, sweep::lock_mailboxes(tenant, ids))
    }

    /// Erases those of these messages that are still tombstones from before this time, with everything that hangs on them;
    /// one that another transaction works with is left for later. Answers how many there were.
    pub async fn erase_messages(
        &mut self,
        tenant: TenantId,
        ids: &[Uuid],
        before: DateTime<Utc>,
    ) -> Result<usize> {
        let mut erased = 0;
        for chunk in ids.chunks(CHUNK) {
            erased += on!(self, sweep::erase_messages(tenant, chunk, before))?;
        }
        Ok(erased)
    }

    /// Erases those of these threads that have no message any more, not even a tombstone, with the hashes that led to them
    /// and the threads that were merged into them. Answers how many of these threads there were.
    pub async fn erase_threads(&mut self, tenant: TenantId, ids: &[Uuid]) -> Result<usize> {
        let mut erased = 0;
        for chunk in ids.chunks(CHUNK) {
            erased += on!(self, sweep::erase_threads(tenant, chunk))?;
        }
        Ok(erased)
    }

    /// A mailbox that was retired before this time and still has folders.
    pub async fn find_retired(&mut self, tenant: TenantId, before: DateTime<Utc>) -> Result<Option<Uuid>> {
        Ok(on!(self, sweep::find_retired(tenant, before))?.map(Uuid::from))
    }

    /// Erases every folder of a mailbox, with the placements in it.
    pub async fn erase_folders(&mut self, tenant: TenantId, mailbox: Uuid) -> Result<usize> {
        on!(self, sweep::erase_folders(tenant, mailbox))
    }

    /// Those of these blobs that a row names. A table whose rows name blobs is asked here, or the sweep deletes its blobs.
    pub async fn named_blobs(&mut self, tenant: TenantId, blobs: &[[u8; 32]]) -> Result<HashSet<[u8; 32]>> {
        let mut named = HashSet::new();
        for chunk in blobs.chunks(CHUNK) {
            let found = on!(self, sweep::named_blobs(tenant, chunk))?;
            named.extend(
                found
                    .into_iter()
                    .filter_map(|sha256| <[u8; 32]>::try_from(sha256).ok()),
            );
        }
        Ok(named)
    }
}
