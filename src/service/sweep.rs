//! The sweep: erases for good what has been deleted for its days, and the blobs that nothing needs any more.
//!
//! Erasing is silent: what callers hear of a deletion they heard when it became a tombstone.
//!
//! A blob is put before its row, and equal bytes are one blob within a tenant. So one that no row names may be about to
//! be named: by a sync whose transaction is still to come, perhaps of a mailbox of another node. Two things keep it:
//!
//! - A blob is left alone until its last put is older than [`GRACE`]. This spares the work; it does not make it safe,
//!   because nothing bounds how old an orphan is when a sync finds the same bytes again.
//! - A transaction that writes rows which name blobs holds the tenant's blob lock, shared, and sees that its blobs are
//!   there ([`hold`]); the sweep looks for rows and deletes while it holds the same lock alone. So either the sweep sees
//!   the row, or the sync sees that the blob is gone, writes nothing, and fetches the message again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::App;
use crate::{
    model::{
        Error, Result,
        id::TenantId,
        page::{Page, PageRequest},
        tenant::Tenant,
    },
    store::{Blobs, Conn, ListedBlob},
};

/// A blob that was put less than this ago is left alone.
pub const GRACE: TimeDelta = TimeDelta::hours(1);
/// How many messages one transaction erases.
const BATCH: i64 = 200;
/// How many blobs are looked at together.
const PAGE: usize = 500;
/// How many blobs are deleted while their tenant's lock is held, how many at once, and how long that may take: less than
/// others wait for a lock.
const DELETED: usize = 50;
const AT_ONCE: usize = 8;
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(20);

/// One step of a sweep. `None`: another node sweeps now, so this one need not.
pub type Step = Result<Option<Done>>;

/// What a step erased, and whether it may have left some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// How many messages, folders or blobs it erased.
    pub count: usize,
    /// True when the next step may find more.
    pub more: bool,
}

/// The tenants, a page at a time.
pub async fn tenants(app: &App, page: PageRequest) -> Result<Page<Tenant>> {
    app.store.read().await?.list_tenants(page).await
}

/// The time before which a tenant's tombstones are erased.
pub fn expiry(app: &App, tenant: &Tenant) -> DateTime<Utc> {
    let days = TimeDelta::try_days(tenant.profile.keep_deleted_days()).unwrap_or(TimeDelta::MAX);
    let before = app.clock.now().checked_sub_signed(days);
    before.unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// Erases a batch of a tenant's messages that were deleted before this time, with all that hangs on them, and the threads
/// of which no message is left.
pub async fn erase_messages(app: &App, tenant: TenantId, before: DateTime<Utc>) -> Step {
    app.write(move |tx| {
        Box::pin(async move {
            if !tx.lock_sweep().await? {
                return Ok(None);
            }
            let expired = tx.list_expired(tenant, before, BATCH).await?;
            let full = expired.len() >= usize::try_from(BATCH).unwrap_or_default();
            let mailboxes: BTreeSet<_> = expired.iter().map(|one| one.mailbox).collect();
            let threads: BTreeSet<_> = expired.iter().map(|one| one.thread).collect();
            let messages: Vec<_> = expired.iter().map(|one| one.message).collect();
            // A sync locks the mailbox before it revives a message or adds to a thread.
            let mailboxes: Vec<_> = mailboxes.into_iter().collect();
            tx.lock_mailboxes(tenant, &mailboxes).await?;
            let count = tx.erase_messages(tenant, &messages, before).await?;
            let threads: Vec<_> = threads.into_iter().collect();
            tx.erase_threads(tenant, &threads).await?;
            Ok(Some(Done {
                count,
                more: full && count > 0,
            }))
        })
    })
    .await
}

/// Erases the folders of one mailbox that was retired before this time; the mailbox's own row stays, and is listed.
pub async fn erase_folders(app: &App, tenant: TenantId, before: DateTime<Utc>) -> Step {
    app.write(move |tx| {
        Box::pin(async move {
            if !tx.lock_sweep().await? {
                return Ok(None);
            }
            let Some(mailbox) = tx.find_retired(tenant, before).await? else {
                return Ok(Some(Done {
                    count: 0,
                    more: false,
                }));
            };
            tx.lock_mailboxes(tenant, &[mailbox]).await?;
            let count = tx.erase_folders(tenant, mailbox).await?;
            Ok(Some(Done { count, more: true }))
        })
    })
    .await
}

/// Every blob of every tenant, those of deleted tenants too, a page at a time.
pub fn blobs(app: &App) -> BoxStream<'static, Result<Vec<ListedBlob>>> {
    app.blobs.list(PAGE)
}

/// Deletes those of a page of blobs that no row names.
pub async fn delete_blobs(app: &App, page: Vec<ListedBlob>) -> Step {
    let before = app.clock.now() - GRACE;
    let mut old: BTreeMap<TenantId, Vec<[u8; 32]>> = BTreeMap::new();
    for blob in page.into_iter().filter(|blob| blob.modified < before) {
        old.entry(blob.tenant).or_default().push(blob.sha256);
    }
    let mut count = 0;
    for (tenant, mut blobs) in old {
        // Most are named: those need no lock.
        let named = app.store.read().await?.named_blobs(tenant, &blobs).await?;
        blobs.retain(|sha256| !named.contains(sha256));
        for some in blobs.chunks(DELETED) {
            match delete_unnamed(app, tenant, some.to_vec()).await? {
                None => return Ok(None),
                Some(deleted) => count += deleted,
            }
        }
    }
    Ok(Some(Done { count, more: false }))
}

async fn delete_unnamed(app: &App, tenant: TenantId, mut blobs: Vec<[u8; 32]>) -> Result<Option<usize>> {
    let store = app.blobs.clone();
    app.write(move |tx| {
        Box::pin(async move {
            if !tx.lock_sweep().await? {
                return Ok(None);
            }
            tx.lock_blobs(tenant, false).await?;
            let named = tx.named_blobs(tenant, &blobs).await?;
            blobs.retain(|sha256| !named.contains(sha256));
            let deleted = blobs.len();
            let delete = stream::iter(blobs).map(|sha256| {
                let store = store.clone();
                async move { store.delete(tenant, &sha256).await }
            });
            let delete = delete.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>();
            let ended = tokio::time::timeout(DEADLINE, delete).await;
            ended.map_err(|_| Error::Unavailable("The object store does not answer."))??;
            Ok(Some(deleted))
        })
    })
    .await
}

/// Deletes what was left by puts that never ended.
pub async fn delete_unfinished(app: &App) -> Result<usize> {
    app.blobs.delete_unfinished(app.clock.now() - GRACE).await
}

/// Keeps the sweep from these blobs until the transaction ends, and sees that it has not deleted one before: then nothing
/// may be written, and the message is fetched again.
///
/// # Errors
/// [`Error::Unavailable`], also when the object store fails: that says nothing about the messages, which must not be blamed.
pub(super) async fn hold(tx: &mut Conn, store: &Blobs, tenant: TenantId, blobs: Vec<[u8; 32]>) -> Result<()> {
    if blobs.is_empty() {
        return Ok(());
    }
    tx.lock_blobs(tenant, true).await?;
    let seen = stream::iter(blobs).map(|sha256| {
        let store = store.clone();
        async move { store.has(tenant, &sha256).await }
    });
    let seen = seen.buffer_unordered(AT_ONCE).try_all(std::future::ready);
    let unanswered = || Error::Unavailable("The object store does not answer.");
    let seen = tokio::time::timeout(DEADLINE, seen).await;
    match seen.map_err(|_| unanswered())? {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Unavailable(
            "The bytes of a message were swept before its row was written: it is fetched again.",
        )),
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a blob could not be looked for"
            );
            Err(unanswered())
        }
    }
}
