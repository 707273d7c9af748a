//! Where messages lie: flags that changed, copies that went, and what follows for the message, its thread and the counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    App, Fence, Fenced, Found, announced,
    labels::{self, Labelled},
};
use crate::{
    model::{
        Result,
        folder::{FlagUpdate, Folder},
        id::TenantId,
        mailbox::Mailbox,
        message::{Message, ParticipantKind, Presence},
    },
    service::{journal::Journal, mailboxes::is_own},
    store::{Conn, PlacementRow},
};

/// How many placements of an earlier generation go in one transaction.
const STALE_BATCH: i64 = 500;

/// Stores flags that changed on the server, together with the folder's cursor.
pub async fn apply_flags(app: &App, fence: Fence, folder: Folder, updates: Vec<FlagUpdate>) -> Fenced<()> {
    let now = app.clock.now();
    announced(app, fence, move |tx, mailbox, journal| {
        Box::pin(async move {
            let generation = folder.cursor.uid_validity;
            let mut changed = tx
                .update_flags(fence.tenant, folder.id, generation, &updates)
                .await?;
            changed.extend(labels::apply(tx, (fence.tenant, fence.mailbox), &folder, &updates).await?);
            settle((tx, journal), fence.tenant, &mailbox, changed, now).await?;
            tx.update_folder(fence.tenant, &folder, 0).await.map(drop)
        })
    })
    .await
}

/// Takes copies away that the server has no more, together with the folder's cursor. Answers the folder's new count.
pub async fn apply_expunges(app: &App, fence: Fence, folder: Folder, uids: Vec<i64>) -> Fenced<Folder> {
    let now = app.clock.now();
    announced(app, fence, move |tx, mailbox, journal| {
        Box::pin(async move {
            let mut folder = folder;
            let generation = folder.cursor.uid_validity;
            let removed = tx
                .delete_placements(fence.tenant, folder.id, generation, &uids)
                .await?;
            let fewer = -i64::try_from(removed.len()).unwrap_or_default();
            settle((tx, journal), fence.tenant, &mailbox, removed, now).await?;
            folder.message_count = tx.update_folder(fence.tenant, &folder, fewer).await?;
            Ok(folder)
        })
    })
    .await
}

/// Where a message that is stored lies in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its UID in the folder's present generation.
    pub uid: i64,
    /// The message.
    pub message: Uuid,
    /// Its flags there, sorted.
    pub flags: Vec<String>,
    /// The folders that its labels stand for, sorted; `None` where labels say nothing.
    pub label_folders: Option<Vec<Uuid>>,
}

/// Places messages that are known, from the folder's earlier generation or from another folder. They are neither fetched
/// nor announced again.
pub async fn place_matched(
    app: &App,
    fence: Fence,
    folder: Folder,
    (found, matched): (Found, Vec<Place>),
) -> Fenced<Folder> {
    let now = app.clock.now();
    announced(app, fence, move |tx, mailbox, journal| {
        Box::pin(async move {
            if found.is_hushed(&mailbox) {
                journal.hush();
            }
            let mut folder = folder;
            let rows: Vec<PlacementRow> = matched
                .iter()
                .map(|place| PlacementRow {
                    folder_id: folder.id,
                    uid_validity: folder.cursor.uid_validity,
                    uid: place.uid,
                    message_id: place.message,
                    flags: place.flags.clone(),
                })
                .collect();
            let placed = tx.create_placements(fence.tenant, fence.mailbox, &rows).await?;
            let more = i64::try_from(placed.len()).unwrap_or_default();
            let mut changed: Vec<Uuid> = placed.into_iter().map(|(_, message)| message).collect();
            let labelled: Vec<Labelled> = matched.iter().filter_map(Place::labelled).collect();
            changed.extend(labels::set_rows(tx, (fence.tenant, fence.mailbox), &folder, &labelled).await?);
            settle((tx, journal), fence.tenant, &mailbox, changed, now).await?;
            folder.message_count = tx.update_folder(fence.tenant, &folder, more).await?;
            Ok(folder)
        })
    })
    .await
}

/// Drops placements of the folder's earlier generations, a batch at a time; true when some may be left.
pub async fn drop_stale(app: &App, fence: Fence, folder: &Folder) -> Fenced<bool> {
    let now = app.clock.now();
    let (id, generation) = (folder.id, folder.cursor.uid_validity);
    announced(app, fence, move |tx, mailbox, journal| {
        Box::pin(async move {
            let removed = tx
                .delete_stale_placements(fence.tenant, id, generation, STALE_BATCH)
                .await?;
            let more = !removed.is_empty();
            settle((tx, journal), fence.tenant, &mailbox, removed, now).await?;
            Ok(more)
        })
    })
    .await
}

/// Gives up waiting for the new copies of messages that were to be moved.
pub async fn end_moves(app: &App, fence: Fence) -> Fenced<()> {
    let now = app.clock.now();
    announced(app, fence, move |tx, mailbox, journal| {
        Box::pin(async move {
            let ended = tx.end_overdue_moves(fence.tenant, fence.mailbox, now).await?;
            settle((tx, journal), fence.tenant, &mailbox, ended, now).await
        })
    })
    .await
}

/// Takes a folder away with the copies that lay in it.
pub(super) async fn remove_folder(
    (tx, journal): (&mut Conn, &mut Journal),
    tenant: TenantId,
    mailbox: &Mailbox,
    folder: &Folder,
    now: DateTime<Utc>,
) -> Result<()> {
    // Generation 0 is none, so every placement of the folder is an earlier one.
    loop {
        let removed = tx
            .delete_stale_placements(tenant, folder.id, 0, STALE_BATCH)
            .await?;
        if removed.is_empty() {
            break;
        }
        settle((tx, journal), tenant, mailbox, removed, now).await?;
    }
    tx.delete_folder(tenant, folder.id).await
}

/// Works out anew what follows from the placements of these messages: flags, folders, and whether they are there at all.
/// A message without a copy becomes a tombstone, unless it is being moved; one that has a copy again is revived. Each change
/// is noted.
pub(in crate::service) async fn settle(
    (tx, journal): (&mut Conn, &mut Journal),
    tenant: TenantId,
    mailbox: &Mailbox,
    ids: Vec<Uuid>,
    now: DateTime<Utc>,
) -> Result<()> {
    let ids: Vec<Uuid> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    if ids.is_empty() {
        return Ok(());
    }
    let folders = folders_of(tx, tenant, mailbox.id).await?;
    let mut copies: HashMap<Uuid, Vec<PlacementRow>> = HashMap::new();
    for placement in tx.placements_of(tenant, &ids).await? {
        copies.entry(placement.message_id).or_default().push(placement);
    }
    labels::drop_hidden(tx, tenant, mailbox, &folders, &mut copies).await?;
    labels::drop_orphans(tx, tenant, &folders, &mut copies).await?;
    let role = |folder: &Uuid| folders.get(folder).and_then(|folder| folder.role);
    let without = ids.iter().filter(|id| !copies.contains_key(id));
    let moving = moving(tx, tenant, without.copied().collect(), now).await?;
    let mut came_or_went = Vec::new();
    let mut threads: BTreeMap<Uuid, i64> = BTreeMap::new();
    for (mut message, was_deleted) in tx.lock_messages(tenant, &ids).await? {
        if moving.contains(&message.id) {
            // It stays as it is until its new copy is found, or nobody waits for that any more.
            continue;
        }
        let copies = copies.remove(&message.id).unwrap_or_default();
        let deleted = copies.is_empty();
        let before = (
            message.flags.clone(),
            message.folder_ids.clone(),
            message.incoming,
        );
        if !deleted {
            let own = is_own(mailbox, author(&message));
            let copies = copies
                .iter()
                .map(|copy| (copy.folder_id, role(&copy.folder_id), copy.flags.as_slice()));
            let presence = Presence::of(own, copies);
            (message.flags, message.folder_ids) = (presence.flags, presence.folder_ids);
            (message.unread, message.incoming) = (presence.unread, presence.incoming);
        }
        if deleted == was_deleted
            && before
                == (
                    message.flags.clone(),
                    message.folder_ids.clone(),
                    message.incoming,
                )
        {
            continue;
        }
        message.updated_at = now;
        tx.update_presence(tenant, &message, deleted).await?;
        journal.presence(message.id, was_deleted, deleted);
        if deleted != was_deleted {
            came_or_went.push(message.id);
            *threads.entry(message.thread_id).or_default() += if deleted { -1 } else { 1 };
        }
    }
    count(tx, tenant, mailbox.id, threads, now).await?;
    tx.queue_index(tenant, &came_or_went, now).await
}

/// Those of these messages that are being moved, so that it says nothing that they have no copy.
async fn moving(
    tx: &mut Conn,
    tenant: TenantId,
    without: Vec<Uuid>,
    now: DateTime<Utc>,
) -> Result<BTreeSet<Uuid>> {
    if without.is_empty() {
        return Ok(BTreeSet::new());
    }
    Ok(tx.moving(tenant, &without, now).await?.into_iter().collect())
}

/// Adds to the counts of threads, and of the mailbox by their sum.
async fn count(
    tx: &mut Conn,
    tenant: TenantId,
    mailbox: Uuid,
    deltas: BTreeMap<Uuid, i64>,
    now: DateTime<Utc>,
) -> Result<()> {
    let ids: Vec<Uuid> = deltas.keys().copied().collect();
    let mut threads = tx.lock_threads(tenant, &ids).await?;
    for thread in &mut threads {
        thread.message_count += deltas.get(&thread.id).copied().unwrap_or_default();
        if let Some(last) = tx.last_sent_in_thread(tenant, thread.id).await? {
            thread.last_message_at = last;
        }
    }
    tx.save_threads(tenant, &threads, now).await?;
    tx.add_message_count(tenant, mailbox, deltas.values().sum()).await
}

/// The folders of a mailbox, by their ids.
pub(super) async fn folders_of(
    tx: &mut Conn,
    tenant: TenantId,
    mailbox: Uuid,
) -> Result<HashMap<Uuid, Folder>> {
    let folders = tx.list_folders(tenant, mailbox).await?;
    Ok(folders.into_iter().map(|folder| (folder.id, folder)).collect())
}

/// The address of a message's author.
pub(super) fn author(message: &Message) -> Option<&str> {
    message
        .participants(ParticipantKind::From)
        .next()
        .map(|address| address.address.as_str())
}
