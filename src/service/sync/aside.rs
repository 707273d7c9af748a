//! Messages that could not be stored: set aside with the cursor, tried again from time to time, and let go.

use uuid::Uuid;

use super::{App, Fence, Fenced, fenced};
use crate::model::folder::{Aside, Folder};

/// Sets a message aside that could not be stored, together with the folder's cursor, so that it blocks nothing.
pub async fn set_aside(app: &App, fence: Fence, folder: Folder, uid: i64, reason: String) -> Fenced<()> {
    let now = app.clock.now();
    fenced(app, fence, move |tx, _| {
        Box::pin(async move {
            tx.quarantine(fence.tenant, &folder, uid, &reason, now).await?;
            tx.update_folder(fence.tenant, &folder, 0).await.map(drop)
        })
    })
    .await
}

/// What is set aside in these folders.
pub async fn list_aside(app: &App, fence: Fence, folders: &[Uuid]) -> Fenced<Vec<Aside>> {
    let mut conn = app.store.read().await?;
    Ok(conn.list_aside(fence.tenant, folders).await?)
}

/// Notes that a message that lies aside is tried now: before the try, so that one which ends the process is not tried
/// again at its next start.
pub async fn try_aside(app: &App, fence: Fence, folder: Folder, uid: i64) -> Fenced<()> {
    let now = app.clock.now();
    fenced(app, fence, move |tx, _| {
        Box::pin(async move { tx.try_aside(fence.tenant, &folder, uid, now).await })
    })
    .await
}

/// Forgets messages that lay aside: they were stored after all, or the server has them no more.
pub async fn release_aside(app: &App, fence: Fence, folder: Folder, uids: Vec<i64>) -> Fenced<()> {
    fenced(app, fence, move |tx, _| {
        Box::pin(async move { tx.release_aside(fence.tenant, &folder, &uids).await })
    })
    .await
}
