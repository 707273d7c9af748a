//! The folder list: new folders come, renamed ones keep their id, and one that was missing twice goes.

use super::{App, Fence, Fenced, announced, fenced, labels, presence};
use crate::model::folder::{Folder, FolderRole};

/// A folder must be missing from this many listings in a row, each of another connection, before it goes.
const MISSING_BEFORE_GONE: i32 = 2;

/// Finds the stored folder of each that is listed, in the listing's order, and leaves in `stored` what is not listed.
fn pair(stored: &mut Vec<Folder>, listed: Vec<Listed>, labelled: bool) -> Vec<(Option<Folder>, Listed)> {
    let by_name = |entry: Listed| {
        let folder = take(stored, |folder| folder.raw_name == entry.raw_name);
        (folder, entry)
    };
    // Names first, so that a rename is only what no name explains.
    let mut pairs: Vec<(Option<Folder>, Listed)> = listed.into_iter().map(by_name).collect();
    for (folder, entry) in pairs.iter_mut().filter(|(folder, _)| folder.is_none()) {
        *folder = take(stored, |folder| {
            let same_id = entry.object_id.is_some() && folder.object_id == entry.object_id;
            // Gmail gives no ids, and the names of its own folders follow the account's language.
            same_id || (labelled && folder.role.is_some() && folder.role == entry.role)
        });
    }
    pairs
}

/// How many placements of a generation are renumbered in one transaction.
const RETIRE_BATCH: i64 = 500;

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
    announced(app, fence, move |tx, mailbox, journal| {
        Box::pin(async move {
            let mut stored = tx.list_folders(fence.tenant, fence.mailbox).await?;
            let labelled = labels::offers_labels(&mailbox);
            let folders = pair(&mut stored, listed, labelled);
            let mut kept = Vec::with_capacity(folders.len());
            for (folder, entry) in folders {
                let known = folder.is_some();
                let before = folder.clone();
                let mut folder = folder.unwrap_or_else(|| Folder::unseen(fence.mailbox, now));
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
                folder.missing = folder.missing.saturating_add(1);
                // `\All` is never deleted at Gmail: it is hidden, which says nothing about its messages.
                let hidden = labelled && folder.role == Some(FolderRole::All);
                if folder.missing < MISSING_BEFORE_GONE || hidden {
                    tx.update_folder(fence.tenant, &folder, 0).await?;
                } else {
                    presence::remove_folder((tx, journal), fence.tenant, &mailbox, &folder, now).await?;
                }
            }
            Ok(kept)
        })
    })
    .await
}

/// The folders that are stored.
pub async fn known_folders(app: &App, fence: Fence) -> Fenced<Vec<Folder>> {
    let mut conn = app.store.read().await?;
    Ok(conn.list_folders(fence.tenant, fence.mailbox).await?)
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
///
/// A server may come back to a UIDVALIDITY that it had before. What is stored under that number belongs to a time before
/// another generation: it becomes an earlier generation like every other, and what the server says now tells what a UID
/// holds. Moved in batches, each harmless alone, so that neither memory nor a transaction grows with the folder.
pub async fn begin_generation(app: &App, fence: Fence, folder: Folder) -> Fenced<Folder> {
    let (id, generation) = (folder.id, folder.cursor.uid_validity);
    loop {
        let moved = fenced(app, fence, move |tx, _| {
            Box::pin(async move {
                tx.retire_placements(fence.tenant, id, generation, RETIRE_BATCH)
                    .await
            })
        });
        if moved.await? == 0 {
            break;
        }
    }
    fenced(app, fence, move |tx, _| {
        Box::pin(async move {
            let mut folder = folder;
            let stored = tx.get_folder(fence.tenant, folder.id).await?;
            let counted = stored.map_or(0, |stored| stored.message_count);
            tx.release_stale_aside(fence.tenant, &folder).await?;
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
