//! What the server was seen to do, applied to the store in one transaction.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::server::{Done, Placed};
use crate::{
    model::{
        Error, Result, caller::Visibility, error::Conflict, folder::FlagUpdate, id::TenantId,
        mailbox::Mailbox,
    },
    service::{
        App,
        sync::{apply_labels, settle},
    },
    store::{Conn, PlacementRow},
};

/// A message, by tenant, mailbox and its own id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) tenant: TenantId,
    pub(super) mailbox: Uuid,
    pub(super) message: Uuid,
}

/// Says that the message is about to be moved, so that no pass takes it for deleted before its new copy is stored.
pub(super) async fn announce(app: &App, target: Target, until: DateTime<Utc>) -> Result<()> {
    app.write(move |tx| {
        Box::pin(async move {
            writable(tx, target).await?;
            tx.begin_move(target.tenant, target.mailbox, target.message, until)
                .await
        })
    })
    .await
}

/// Applies what was done. `waits`: the message's new copy is still to be found.
pub(super) async fn apply(app: &App, target: Target, done: Done, waits: bool) -> Result<()> {
    let now = app.clock.now();
    app.write_journal(target.tenant, move |tx, journal| {
        Box::pin(async move {
            let mailbox = writable(tx, target).await?;
            journal.of(&mailbox);
            let tenant = target.tenant;
            let Done {
                announced: _,
                sent: _,
                flags,
                labels,
                gone,
                placed,
                absent: _,
            } = done;
            for (copy, flags) in flags {
                let update = FlagUpdate {
                    uid: i64::from(copy.uid),
                    flags,
                    label_folders: None,
                };
                tx.update_flags(tenant, copy.folder.id, i64::from(copy.uid_validity), &[update])
                    .await?;
            }
            for copy in gone {
                let generation = i64::from(copy.uid_validity);
                let removed = tx
                    .delete_placements(tenant, copy.folder.id, generation, &[i64::from(copy.uid)])
                    .await?;
                let fewer = -i64::try_from(removed.len()).unwrap_or_default();
                count(tx, tenant, copy.folder.id, generation, fewer).await?;
            }
            let mut lost = waits;
            for copy in placed {
                lost |= !place(tx, target, copy).await?;
            }
            // After the copies: labels are those of one that is stored.
            for (copy, folders) in labels {
                let update = FlagUpdate {
                    uid: i64::from(copy.uid),
                    flags: Vec::new(),
                    label_folders: Some(folders),
                };
                // Only in the generation that the folder still counts in.
                let folder = tx.get_folder(tenant, copy.folder.id).await?;
                if let Some(folder) =
                    folder.filter(|now| now.cursor.uid_validity == i64::from(copy.uid_validity))
                {
                    apply_labels(tx, (tenant, target.mailbox), &folder, &[update]).await?;
                }
            }
            if !lost {
                tx.end_move(tenant, target.message).await?;
            }
            settle((tx, journal), tenant, &mailbox, vec![target.message], now).await
        })
    })
    .await?;
    app.signals.wake_index();
    Ok(())
}

/// Stores a new copy, unless the folder is not known in this generation: a pass finds it then. Answers whether it is stored.
async fn place(tx: &mut Conn, target: Target, copy: Placed) -> Result<bool> {
    let generation = i64::from(copy.uid_validity);
    let folder = tx.get_folder(target.tenant, copy.folder).await?;
    if folder.is_none_or(|folder| folder.cursor.uid_validity != generation) {
        return Ok(false);
    }
    let row = PlacementRow {
        folder_id: copy.folder,
        uid_validity: generation,
        uid: i64::from(copy.uid),
        message_id: target.message,
        flags: copy.flags,
    };
    let created = tx
        .create_placements(target.tenant, target.mailbox, &[row])
        .await?;
    let more = i64::try_from(created.len()).unwrap_or_default();
    count(tx, target.tenant, copy.folder, generation, more).await?;
    Ok(true)
}

/// A folder counts what lies in its present generation.
async fn count(tx: &mut Conn, tenant: TenantId, folder: Uuid, generation: i64, added: i64) -> Result<()> {
    let stored = tx.get_folder(tenant, folder).await?;
    if added != 0 && stored.is_some_and(|folder| folder.cursor.uid_validity == generation) {
        tx.add_folder_count(tenant, folder, added).await?;
    }
    Ok(())
}

/// The mailbox, its row locked, while it may be written to: once disabling it was answered, nothing is.
async fn writable(tx: &mut Conn, target: Target) -> Result<Mailbox> {
    let found = tx
        .lock_mailbox(target.tenant, Visibility::All, target.mailbox)
        .await?;
    let mailbox = found
        .filter(|mailbox| !mailbox.facts.retired)
        .ok_or(Error::NotFound("message"))?;
    if mailbox.facts.enabled {
        Ok(mailbox)
    } else {
        Err(Error::Conflict(Conflict::MailboxDisabled(mailbox.id)))
    }
}
