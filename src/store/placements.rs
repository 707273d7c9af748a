//! Placements: where a message lies on the server, and with which flags.

use diesel::prelude::*;
use uuid::Uuid;

use super::{Conn, on, schema::placements, types::Id, unreadable};
use crate::model::{
    Error, Result,
    folder::{FlagUpdate, Seen},
    id::TenantId,
};

/// Generations that are over, and whose number a server gives again, are numbered downwards from here: below UIDVALIDITY
/// values, and below the generations of labels.
pub(crate) const RETIRED: i64 = -(1 << 40);

/// How many ids one statement names at most; SQLite takes 32,766 values, PostgreSQL 65,535.
pub(crate) const CHUNK: usize = 1_000;

/// A row of `placements`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = placements, treat_none_as_default_value = false)]
pub(crate) struct Row {
    pub(crate) tenant_id: Id,
    pub(crate) folder_id: Id,
    pub(crate) uid_validity: i64,
    pub(crate) uid: i64,
    pub(crate) mailbox_id: Id,
    pub(crate) message_id: Id,
    pub(crate) flags: String,
}

/// Where a message lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacementRow {
    /// The folder.
    pub folder_id: Uuid,
    /// The generation of the folder's UIDs.
    pub uid_validity: i64,
    /// The UID.
    pub uid: i64,
    /// The message.
    pub message_id: Uuid,
    /// Its flags there, sorted.
    pub flags: Vec<String>,
}

pub(crate) fn write_flags(flags: &[String]) -> Result<String> {
    serde_json::to_string(flags).map_err(Error::internal)
}

pub(crate) fn read_flags(text: &str) -> Result<Vec<String>> {
    serde_json::from_str(text).map_err(|_| unreadable("flags"))
}

impl Row {
    pub(crate) fn write(tenant: TenantId, mailbox: Uuid, placement: &PlacementRow) -> Result<Self> {
        Ok(Self {
            tenant_id: Id(tenant.0),
            folder_id: placement.folder_id.into(),
            uid_validity: placement.uid_validity,
            uid: placement.uid,
            mailbox_id: Id(mailbox),
            message_id: placement.message_id.into(),
            flags: write_flags(&placement.flags)?,
        })
    }

    fn read(self) -> Result<PlacementRow> {
        Ok(PlacementRow {
            folder_id: self.folder_id.into(),
            uid_validity: self.uid_validity,
            uid: self.uid,
            message_id: self.message_id.into(),
            flags: read_flags(&self.flags)?,
        })
    }
}

impl Conn {
    /// Stores where messages lie; a placement that is there already stays. Answers the folder and the message of each
    /// that is new.
    pub async fn create_placements(
        &mut self,
        tenant: TenantId,
        mailbox: Uuid,
        placements: &[PlacementRow],
    ) -> Result<Vec<(Uuid, Uuid)>> {
        let mut created = Vec::with_capacity(placements.len());
        for chunk in placements.chunks(CHUNK) {
            let rows = chunk
                .iter()
                .map(|placement| Row::write(tenant, mailbox, placement))
                .collect::<Result<Vec<_>>>()?;
            let rows = on!(self, placements::create(rows))?;
            created.extend(rows.into_iter().map(|(folder, message)| (folder.0, message.0)));
        }
        Ok(created)
    }

    /// The placements of these messages, in every folder, by folder and UID.
    pub async fn placements_of(&mut self, tenant: TenantId, messages: &[Uuid]) -> Result<Vec<PlacementRow>> {
        let mut found = Vec::new();
        for chunk in messages.chunks(CHUNK) {
            for row in on!(self, placements::of_messages(tenant, chunk))? {
                found.push(row.read()?);
            }
        }
        // Sorted here: asked for this order, SQLite reads every placement of the tenant in it.
        found.sort_unstable_by_key(|one| (one.folder_id, one.uid_validity, one.uid));
        Ok(found)
    }

    /// The placements of a folder's generation with UIDs between `low` and `high`, both included, by UID.
    pub async fn placements_in(
        &mut self,
        tenant: TenantId,
        folder: Uuid,
        uid_validity: i64,
        (low, high): (i64, i64),
    ) -> Result<Vec<Seen>> {
        on!(
            self,
            placements::in_range(tenant, folder, uid_validity, low, high)
        )?
        .into_iter()
        .map(|(uid, message_id, flags)| {
            Ok(Seen {
                uid,
                message_id: message_id.0,
                flags: read_flags(&flags)?,
            })
        })
        .collect()
    }

    /// Stores flags that changed; answers the messages that they belong to.
    pub async fn update_flags(
        &mut self,
        tenant: TenantId,
        folder: Uuid,
        uid_validity: i64,
        updates: &[FlagUpdate],
    ) -> Result<Vec<Uuid>> {
        let mut changed = Vec::new();
        for update in updates {
            let flags = write_flags(&update.flags)?;
            changed.extend(
                on!(
                    self,
                    placements::set_flags(tenant, folder, uid_validity, update.uid, &flags)
                )?
                .map(Uuid::from),
            );
        }
        Ok(changed)
    }

    /// Erases placements by UID; answers the messages that they belonged to.
    pub async fn delete_placements(
        &mut self,
        tenant: TenantId,
        folder: Uuid,
        uid_validity: i64,
        uids: &[i64],
    ) -> Result<Vec<Uuid>> {
        let mut removed = Vec::new();
        for chunk in uids.chunks(CHUNK) {
            removed.extend(
                on!(self, placements::delete(tenant, folder, uid_validity, chunk))?
                    .into_iter()
                    .map(Uuid::from),
            );
        }
        Ok(removed)
    }

    /// Erases up to `limit` placements of a folder's other generations; answers the messages that they belonged to.
    pub async fn delete_stale_placements(
        &mut self,
        tenant: TenantId,
        folder: Uuid,
        current: i64,
        limit: i64,
    ) -> Result<Vec<Uuid>> {
        let rows = on!(self, placements::delete_stale(tenant, folder, current, limit))?;
        Ok(rows.into_iter().map(Uuid::from).collect())
    }

    /// Gives up to `limit` placements of a folder's generation the number of one that no server gives and that none of its
    /// placements has; answers how many.
    pub async fn retire_placements(
        &mut self,
        tenant: TenantId,
        folder: Uuid,
        uid_validity: i64,
        limit: i64,
    ) -> Result<usize> {
        on!(self, placements::retire(tenant, folder, uid_validity, limit))
    }

    /// How many placements a folder's generation has.
    pub async fn count_placements(
        &mut self,
        tenant: TenantId,
        folder: Uuid,
        uid_validity: i64,
    ) -> Result<i64> {
        on!(self, placements::count(tenant, folder, uid_validity))
    }

    /// True when a folder has placements of another generation.
    pub async fn has_stale_placements(
        &mut self,
        tenant: TenantId,
        folder: Uuid,
        current: i64,
    ) -> Result<bool> {
        on!(self, placements::has_stale(tenant, folder, current))
    }
}
