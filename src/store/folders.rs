//! Folders of a mailbox, with the cursors of their sync.

use diesel::prelude::*;
use uuid::Uuid;

use super::{
    Conn, on,
    schema::folders,
    types::{At, Id},
    unreadable,
};
use crate::model::{
    Result,
    folder::{Cursor, Folder, FolderRole},
    id::TenantId,
};

/// A mailbox has at most this many folders that are synced.
pub(super) const MAX_FOLDERS: i64 = 2_000;

/// A row of `folders`.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = folders, treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct Row {
    pub(crate) id: Id,
    mailbox_id: Id,
    raw_name: Vec<u8>,
    name: String,
    delimiter: Option<String>,
    role: Option<String>,
    object_id: Option<String>,
    uid_validity: i64,
    last_uid: i64,
    backfill_low: i64,
    highest_modseq: i64,
    // Changed by what is added, never by what somebody read before.
    #[diesel(skip_update)]
    message_count: i64,
    missing: i32,
    created_at: At,
    updated_at: At,
}

impl Row {
    fn write(folder: &Folder) -> Self {
        let Folder {
            id,
            mailbox_id,
            raw_name,
            name,
            delimiter,
            role,
            object_id,
            cursor,
            ..
        } = folder.clone();
        let Cursor {
            uid_validity,
            last_uid,
            backfill_low,
            highest_modseq,
        } = cursor;
        Self {
            id: Id(id),
            mailbox_id: Id(mailbox_id),
            raw_name,
            name,
            delimiter,
            role: role.map(|role| role.as_str().to_owned()),
            object_id,
            uid_validity,
            last_uid,
            backfill_low,
            highest_modseq,
            message_count: folder.message_count,
            missing: folder.missing,
            created_at: folder.created_at.into(),
            updated_at: folder.updated_at.into(),
        }
    }

    fn read(self) -> Result<Folder> {
        let role = match self.role {
            Some(word) => Some(FolderRole::parse(&word).ok_or_else(|| unreadable("folders.role"))?),
            None => None,
        };
        Ok(Folder {
            id: self.id.into(),
            mailbox_id: self.mailbox_id.into(),
            raw_name: self.raw_name,
            name: self.name,
            delimiter: self.delimiter,
            role,
            object_id: self.object_id,
            cursor: Cursor {
                uid_validity: self.uid_validity,
                last_uid: self.last_uid,
                backfill_low: self.backfill_low,
                highest_modseq: self.highest_modseq,
            },
            message_count: self.message_count,
            missing: self.missing,
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
        })
    }
}

impl Conn {
    /// Stores a new folder.
    pub async fn create_folder(&mut self, tenant: TenantId, folder: &Folder) -> Result<()> {
        let row = Row::write(folder);
        on!(self, folders::create(tenant, &row))
    }

    /// One folder.
    pub async fn get_folder(&mut self, tenant: TenantId, id: Uuid) -> Result<Option<Folder>> {
        on!(self, folders::get(tenant, id))?.map(Row::read).transpose()
    }

    /// The folders of a mailbox, by name, at most [`MAX_FOLDERS`].
    pub async fn list_folders(&mut self, tenant: TenantId, mailbox: Uuid) -> Result<Vec<Folder>> {
        on!(self, folders::list(tenant, mailbox))?
            .into_iter()
            .map(Row::read)
            .collect()
    }

    /// Stores what changed about a folder, and adds to its count; answers the new count. The caller's own count may be
    /// an old one and is not looked at.
    pub async fn update_folder(&mut self, tenant: TenantId, folder: &Folder, added: i64) -> Result<i64> {
        let row = Row::write(folder);
        Ok(on!(self, folders::update(tenant, &row, added))?.unwrap_or_default())
    }

    /// Adds to a folder's count, and to nothing else of it.
    pub async fn add_folder_count(&mut self, tenant: TenantId, id: Uuid, added: i64) -> Result<()> {
        on!(self, folders::add_count(tenant, id, added))
    }

    /// Erases a folder with its placements, which must be settled before.
    pub async fn delete_folder(&mut self, tenant: TenantId, id: Uuid) -> Result<()> {
        on!(self, folders::delete(tenant, id))
    }
}
