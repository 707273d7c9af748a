//! Messages that could not be stored, set aside so that they block nothing, and when each was last tried.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conn, on, placements::CHUNK};
use crate::model::{
    Result,
    folder::{Aside, Folder},
    id::TenantId,
};

/// A mailbox is told of at most this many at once.
pub(super) const MAX_ASIDE: i64 = 10_000;

impl Conn {
    /// Sets a message aside that could not be stored; one that lies there has been tried just now.
    pub async fn quarantine(
        &mut self,
        tenant: TenantId,
        folder: &Folder,
        uid: i64,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let generation = folder.cursor.uid_validity;
        on!(
            self,
            quarantine::create(tenant, folder.id, generation, uid, reason, now)
        )
    }

    /// What is set aside in these folders, at most [`MAX_ASIDE`] messages of a thousand folders each.
    pub async fn list_aside(&mut self, tenant: TenantId, folders: &[Uuid]) -> Result<Vec<Aside>> {
        let mut found = Vec::new();
        for chunk in folders.chunks(CHUNK) {
            let rows = on!(self, quarantine::list(tenant, chunk))?;
            found.extend(
                rows.into_iter()
                    .map(|(folder_id, uid_validity, uid, tried_at)| Aside {
                        folder_id: folder_id.0,
                        uid_validity,
                        uid,
                        tried_at: tried_at.map(|at| at.0),
                    }),
            );
        }
        Ok(found)
    }

    /// Notes that a message that lies aside is tried now.
    pub async fn try_aside(
        &mut self,
        tenant: TenantId,
        folder: &Folder,
        uid: i64,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let generation = folder.cursor.uid_validity;
        on!(self, quarantine::touch(tenant, folder.id, generation, uid, now))
    }

    /// Forgets messages that were stored after all, or that the server has no more.
    pub async fn release_aside(&mut self, tenant: TenantId, folder: &Folder, uids: &[i64]) -> Result<()> {
        let generation = folder.cursor.uid_validity;
        for chunk in uids.chunks(CHUNK) {
            on!(self, quarantine::delete(tenant, folder.id, generation, chunk))?;
        }
        Ok(())
    }

    /// Forgets what lay aside in the folder's earlier generations.
    pub async fn release_stale_aside(&mut self, tenant: TenantId, folder: &Folder) -> Result<()> {
        let generation = folder.cursor.uid_validity;
        on!(self, quarantine::delete_stale(tenant, folder.id, generation))
    }

    /// Makes all that lies aside in these folders due at once.
    pub async fn hasten_aside(&mut self, tenant: TenantId, folders: &[Uuid]) -> Result<()> {
        for chunk in folders.chunks(CHUNK) {
            on!(self, quarantine::hasten(tenant, chunk))?;
        }
        Ok(())
    }
}
