//! Folders that are labels: what a message's labels say becomes placements in those folders, so that all that follows from
//! placements, from a message's folders to a folder's count, is the same whether a server has labels or not.
//!
//! Such placements belong to the generation that [`Folder::label_generation`] names, and go with the message's own one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::{App, Fence, Fenced, Place, fenced};
use crate::{
    model::{
        Result,
        folder::{Cursor, FlagUpdate, Folder, FolderRole},
        id::TenantId,
        mailbox::Mailbox,
    },
    store::{Conn, PlacementRow},
};

/// The generations of placements that follow from labels: UIDVALIDITY has 32 bits.
const LABEL_GENERATIONS: std::ops::Range<i64> = -(1 << 32)..0;

/// The capability of a server with labels.
const LABELS: &str = "X-GM-EXT-1";

/// The folders of one message of the folder with `\All`, as its labels say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Labelled {
    /// Its UID in the folder with `\All`.
    uid: i64,
    message: Uuid,
    folders: Vec<Uuid>,
}

impl Labelled {
    /// `None` where labels say nothing.
    pub(super) fn new(uid: i64, message: Uuid, folders: Option<Vec<Uuid>>) -> Option<Self> {
        folders.map(|folders| Self {
            uid,
            message,
            folders,
        })
    }
}

impl Place {
    /// What its labels say.
    pub(super) fn labelled(&self) -> Option<Labelled> {
        Labelled::new(self.uid, self.message, self.label_folders.clone())
    }
}

/// True when the mailbox's server had labels at the last login.
pub(in crate::service) fn offers_labels(mailbox: &Mailbox) -> bool {
    mailbox.capabilities.iter().any(|name| name == LABELS)
}

/// Makes the folders that stand for labels count in the generation of the folder with `\All`, which is `all`. What lay in
/// them before is then an earlier generation, and goes when all labels are known. Answers the mailbox's folders.
///
/// Unless the generation of `all` has just begun, its mod-sequence is forgotten, so that every label is asked for.
pub async fn adopt_label_folders(app: &App, fence: Fence, all: Folder, begun: bool) -> Fenced<Vec<Folder>> {
    fenced(app, fence, move |tx, _| {
        Box::pin(async move {
            let generation = all.label_generation();
            let mut folders = tx.list_folders(fence.tenant, fence.mailbox).await?;
            for folder in &mut folders {
                if folder.id == all.id && !begun {
                    folder.cursor.highest_modseq = 0;
                    tx.update_folder(fence.tenant, folder, 0).await?;
                }
                if !folder.is_label() || folder.missing > 0 || folder.cursor.uid_validity == generation {
                    continue;
                }
                folder.cursor = Cursor {
                    uid_validity: generation,
                    last_uid: 0,
                    backfill_low: 2,
                    highest_modseq: 0,
                };
                let count = tx.count_placements(fence.tenant, folder.id, generation).await?;
                let added = count - folder.message_count;
                folder.message_count = tx.update_folder(fence.tenant, folder, added).await?;
            }
            Ok(folders)
        })
    })
    .await
}

/// Notes that the labels of every message are known. Answers the mailbox's folders.
pub async fn finish_label_folders(app: &App, fence: Fence) -> Fenced<Vec<Folder>> {
    fenced(app, fence, move |tx, _| {
        Box::pin(async move {
            let mut folders = tx.list_folders(fence.tenant, fence.mailbox).await?;
            for folder in &mut folders {
                if folder.cursor.is_by_label() && !folder.cursor.is_backfilled() {
                    folder.cursor.backfill_low = 1;
                    tx.update_folder(fence.tenant, folder, 0).await?;
                }
            }
            Ok(folders)
        })
    })
    .await
}

/// Brings the placements in label folders in line with these updates of the folder with `\All`; answers the messages for
/// which something changed.
pub(in crate::service) async fn apply(
    tx: &mut Conn,
    (tenant, mailbox): (TenantId, Uuid),
    all: &Folder,
    updates: &[FlagUpdate],
) -> Result<Vec<Uuid>> {
    let wanted: BTreeMap<i64, &Vec<Uuid>> = updates
        .iter()
        .filter_map(|update| Some((update.uid, update.label_folders.as_ref()?)))
        .collect();
    let (Some((low, _)), Some((high, _))) = (wanted.first_key_value(), wanted.last_key_value()) else {
        return Ok(Vec::new());
    };
    let generation = all.cursor.uid_validity;
    let stored = tx
        .placements_in(tenant, all.id, generation, (*low, *high))
        .await?;
    let labelled: Vec<Labelled> = stored
        .into_iter()
        .filter_map(|seen| {
            let folders = (*wanted.get(&seen.uid)?).clone();
            Labelled::new(seen.uid, seen.message_id, Some(folders))
        })
        .collect();
    set_rows(tx, (tenant, mailbox), all, &labelled).await
}

/// Makes the placements in label folders those that the labels say; answers the messages for which something changed.
pub(super) async fn set_rows(
    tx: &mut Conn,
    (tenant, mailbox): (TenantId, Uuid),
    all: &Folder,
    labelled: &[Labelled],
) -> Result<Vec<Uuid>> {
    if labelled.is_empty() {
        return Ok(Vec::new());
    }
    let generation = all.label_generation();
    let messages: Vec<Uuid> = labelled.iter().map(|one| one.message).collect();
    let uids: BTreeSet<i64> = labelled.iter().map(|one| one.uid).collect();
    let mut stored: BTreeSet<(Uuid, i64)> = BTreeSet::new();
    for row in tx.placements_of(tenant, &messages).await? {
        if row.uid_validity == generation && uids.contains(&row.uid) {
            stored.insert((row.folder_id, row.uid));
        }
    }
    let mut rows = Vec::new();
    for Labelled {
        uid,
        message,
        folders,
    } in labelled
    {
        for folder in folders {
            if !stored.remove(&(*folder, *uid)) {
                rows.push(PlacementRow {
                    folder_id: *folder,
                    uid_validity: generation,
                    uid: *uid,
                    message_id: *message,
                    flags: Vec::new(),
                });
            }
        }
    }
    let mut changed = Vec::new();
    let mut counts: BTreeMap<Uuid, i64> = BTreeMap::new();
    for (folder, message) in tx.create_placements(tenant, mailbox, &rows).await? {
        *counts.entry(folder).or_default() += 1;
        changed.push(message);
    }
    changed.extend(delete(tx, tenant, generation, &stored, &mut counts).await?);
    add_counts(tx, tenant, counts).await?;
    Ok(changed)
}

/// Takes placements in label folders away whose message is gone from the folder with `\All`, whoever took it away there.
pub(super) async fn drop_orphans(
    tx: &mut Conn,
    tenant: TenantId,
    folders: &HashMap<Uuid, Folder>,
    copies: &mut HashMap<Uuid, Vec<PlacementRow>>,
) -> Result<()> {
    let mut orphans: BTreeMap<i64, BTreeSet<(Uuid, i64)>> = BTreeMap::new();
    for copies in copies.values_mut() {
        let labels = |copy: &PlacementRow| LABEL_GENERATIONS.contains(&copy.uid_validity);
        let owners: BTreeSet<(i64, i64)> = copies
            .iter()
            .filter(|copy| {
                folders
                    .get(&copy.folder_id)
                    .is_some_and(|folder| !folder.is_label())
            })
            .map(|copy| (-copy.uid_validity, copy.uid))
            .collect();
        let orphan = |copy: &PlacementRow| labels(copy) && !owners.contains(&(copy.uid_validity, copy.uid));
        for copy in copies.iter().filter(|copy| orphan(copy)) {
            let rows = orphans.entry(copy.uid_validity).or_default();
            rows.insert((copy.folder_id, copy.uid));
        }
        copies.retain(|copy| !orphan(copy));
    }
    copies.retain(|_, copies| !copies.is_empty());
    let mut counts = BTreeMap::new();
    for (generation, rows) in orphans {
        let mut theirs = BTreeMap::new();
        delete(tx, tenant, generation, &rows, &mut theirs).await?;
        // Only the present generation is counted.
        let present = |folder: &Uuid| {
            let folder = folders.get(folder);
            folder.is_some_and(|folder| folder.cursor.uid_validity == generation)
        };
        for (folder, delta) in theirs.into_iter().filter(|(folder, _)| present(folder)) {
            *counts.entry(folder).or_default() += delta;
        }
    }
    add_counts(tx, tenant, counts).await
}

/// While the folder with `\All` is hidden, a message that appears in Spam or Trash proves that it lies there no more.
/// Nothing else does: what is hidden stays as it was last seen.
pub(super) async fn drop_hidden(
    tx: &mut Conn,
    tenant: TenantId,
    mailbox: &Mailbox,
    folders: &HashMap<Uuid, Folder>,
    copies: &mut HashMap<Uuid, Vec<PlacementRow>>,
) -> Result<()> {
    let role = |id: &Uuid| folders.get(id).and_then(|folder| folder.role);
    let hidden = folders
        .values()
        .find(|folder| folder.role == Some(FolderRole::All) && folder.missing > 0);
    let Some(all) = hidden.filter(|_| offers_labels(mailbox)) else {
        return Ok(());
    };
    let mut left = BTreeMap::new();
    for copies in copies.values_mut() {
        let thrown =
            |copy: &PlacementRow| matches!(role(&copy.folder_id), Some(FolderRole::Junk | FolderRole::Trash));
        if copies.iter().any(thrown) {
            for copy in copies.iter().filter(|copy| copy.folder_id == all.id) {
                let gone = tx
                    .delete_placements(tenant, all.id, copy.uid_validity, &[copy.uid])
                    .await?;
                *left.entry(all.id).or_default() -= i64::try_from(gone.len()).unwrap_or_default();
            }
            copies.retain(|copy| copy.folder_id != all.id);
        }
    }
    add_counts(tx, tenant, left).await
}

async fn delete(
    tx: &mut Conn,
    tenant: TenantId,
    generation: i64,
    rows: &BTreeSet<(Uuid, i64)>,
    counts: &mut BTreeMap<Uuid, i64>,
) -> Result<Vec<Uuid>> {
    let mut by_folder: BTreeMap<Uuid, Vec<i64>> = BTreeMap::new();
    for (folder, uid) in rows {
        by_folder.entry(*folder).or_default().push(*uid);
    }
    let mut removed = Vec::new();
    for (folder, uids) in by_folder {
        let gone = tx.delete_placements(tenant, folder, generation, &uids).await?;
        *counts.entry(folder).or_default() -= i64::try_from(gone.len()).unwrap_or_default();
        removed.extend(gone);
    }
    Ok(removed)
}

async fn add_counts(tx: &mut Conn, tenant: TenantId, counts: BTreeMap<Uuid, i64>) -> Result<()> {
    for (folder, delta) in counts {
        tx.add_folder_count(tenant, folder, delta).await?;
    }
    Ok(())
}
