//! The folder list: new folders come, renamed ones keep their id, and one that was missing twice goes.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{App, Fence, Fenced, fenced, presence};
use crate::model::{
    folder::{Cursor, Folder, FolderRole},
    id,
};

/// A folder must be missing from this many listings in a row, each of another connection, before it goes.
const MISSING_BEFORE_GONE: i32 = 2;

/// A folder as the server listed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The server's own bytes for its name.
    pub raw_name: Vec<u8>,
    /// The name, decoded.
    pub name: String,
    /// The hierarchy delimiter.
    pub delimiter: Option<String>,
    /// Its special use.
    pub role: Option<FolderRole>,
    /// MAILBOXID, where the server has it.
    pub object_id: Option<String>,
}

/// Compares a listing with what is stored, and answers the folders that are to be synced, in the listing's order.
///
/// `first_of_connection` counts a folder that is missing; a second listing of the same connection proves nothing new.
pub async fn save_folders(
    app: &App,
    fence: Fence,
    listed: Vec<Listed>,
    first_of_connection: bool,
) -> Fenced<Vec<Folder>> {
    let now = app.clock.now();
    fenced(app, fence, move |tx, mailbox| {
        Box::pin(async move {
            let mut stored = tx.list_folders(fence.tenant, fence.mailbox).await?;
            let mut folders = Vec::with_capacity(listed.len());
            // Names first, so that a rename is only what no name explains.
            let mut unknown = Vec::new();
            for (at, entry) in listed.into_iter().enumerate() {
                match take(&mut stored, |folder| folder.raw_name == entry.raw_name) {
                    Some(folder) => folders.push((at, Some(folder), entry)),
                    None => unknown.push((at, entry)),
                }
            }
            for (at, entry) in unknown {
                let same = |folder: &Folder| entry.object_id.is_some() && folder.object_id == entry.object_id;
                folders.push((at, take(&mut stored, same), entry));
            }
            folders.sort_by_key(|(at, ..)| *at);
            let mut kept = Vec::with_capacity(folders.len());
            for (_, folder, entry) in folders {
                let known = folder.is_some();
                let before = folder.clone();
                let mut folder = folder.unwrap_or_else(|| unseen(fence.mailbox, now));
                let Listed {
                    raw_name,
                    name,
                    delimiter,
                    role,
                    object_id,
                } = entry;
                folder.missing = 0;
                (folder.raw_name, folder.name, folder.delimiter, folder.role) =
                    (raw_name, name, delimiter, role);
                folder.object_id = object_id.or(folder.object_id);
                if !known {
                    tx.create_folder(fence.tenant, &folder).await?;
                } else if before.as_ref() != Some(&folder) {
                    folder.updated_at = now;
                    tx.update_folder(fence.tenant, &folder, 0).await?;
                }
                kept.push(folder);
            }
            for mut folder in stored.into_iter().filter(|_| first_of_connection) {
                folder.missing += 1;
                if folder.missing < MISSING_BEFORE_GONE {
                    tx.update_folder(fence.tenant, &folder, 0).await?;
                } else {
                    presence::remove_folder(tx, fence.tenant, &mailbox, &folder, now).await?;
                }
            }
            Ok(kept)
        })
    })
    .await
}

/// Stores a folder's cursor; answers the folder with its present count.
pub async fn save_folder(app: &App, fence: Fence, folder: Folder) -> Fenced<Folder> {
    fenced(app, fence, move |tx, _| {
        Box::pin(async move {
            let mut folder = folder;
            folder.message_count = tx.update_folder(fence.tenant, &folder, 0).await?;
            Ok(folder)
        })
    })
    .await
}

/// Stores a folder whose UIDs begin anew: its count begins at 0.
pub async fn begin_generation(app: &App, fence: Fence, folder: Folder) -> Fenced<Folder> {
    fenced(app, fence, move |tx, _| {
        Box::pin(async move {
            let mut folder = folder;
            let stored = tx.get_folder(fence.tenant, folder.id).await?;
            let counted = stored.map_or(0, |stored| stored.message_count);
            folder.message_count = tx.update_folder(fence.tenant, &folder, -counted).await?;
            Ok(folder)
        })
    })
    .await
}

/// How many messages are stored of a folder's present generation: a change that was written back counts at once.
pub async fn count(app: &App, fence: Fence, folder: &Folder) -> Fenced<i64> {
    let mut conn = app.store.read().await?;
    let stored = conn.get_folder(fence.tenant, folder.id).await?;
    Ok(stored.map_or(0, |stored| stored.message_count))
}

fn take(folders: &mut Vec<Folder>, is_it: impl Fn(&Folder) -> bool) -> Option<Folder> {
    let at = folders.iter().position(is_it)?;
    Some(folders.swap_remove(at))
}

/// A folder that was never opened; its names are set by what lists it.
fn unseen(mailbox: Uuid, now: DateTime<Utc>) -> Folder {
    Folder {
        id: id::new(),
        mailbox_id: mailbox,
        raw_name: Vec::new(),
        name: String::new(),
        delimiter: None,
        role: None,
        object_id: None,
        cursor: Cursor::default(),
        message_count: 0,
        missing: 0,
        created_at: now,
        updated_at: now,
    }
}
