//! The sweep's loop: at the start and then every hour, in short steps, so that it never stands in anyone's way.

use std::time::Duration;

use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::{
    model::{Result, page::PageRequest, tenant::Tenant},
    service::{App, events, sweep},
};

/// How often it is swept, and how soon again after a failure.
const PERIOD: Duration = Duration::from_secs(60 * 60);
const PAUSE: Duration = Duration::from_secs(5 * 60);

/// What a sweep erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Messages.
    pub messages: usize,
    /// Folders of retired mailboxes.
    pub folders: usize,
    /// Events that were kept long enough.
    pub events: usize,
    /// Blobs that no row named.
    pub blobs: usize,
    /// Files of puts that never ended.
    pub unfinished: usize,
}

/// Sweeps until `stop`.
pub async fn run(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let swept = stop.run_until_cancelled(step(&app)).await;
        let wait = match swept {
            None => return,
            Some(Ok(swept)) => {
                if swept != Swept::default() {
                    tracing::info!(?swept, "swept");
                }
                PERIOD
            }
            Some(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the sweep broke off");
                PAUSE
            }
        };
        stop.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
}

/// Sweeps once, or until it meets another node that does; a transaction that has begun ends also when this is dropped.
///
/// # Errors
/// The last of those met. One of a tenant, or of some blobs, keeps nothing else from being swept.
pub async fn step(app: &App) -> Result<Swept> {
    let mut swept = Swept::default();
    let mut failed = None;
    let mut page = PageRequest::first();
    loop {
        let tenants = sweep::tenants(app, page).await?;
        for tenant in &tenants.data {
            match erase(app, tenant, &mut swept).await {
                Ok(true) => {}
                Ok(false) => return Ok(swept),
                Err(error) => {
                    tracing::error!(tenant = %tenant.id, error = &error as &dyn std::error::Error,
                        "a tenant could not be swept");
                    failed = Some(error);
                }
            }
        }
        match tenants.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    // After the messages, so that their blobs go in the same sweep.
    let mut pages = sweep::blobs(app);
    while let Some(page) = pages.next().await {
        match sweep::delete_blobs(app, page?).await {
            Ok(Some(done)) => swept.blobs += done.count,
            Ok(None) => return Ok(swept),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "some blobs could not be swept"
                );
                failed = Some(error);
            }
        }
    }
    swept.unfinished = sweep::delete_unfinished(app).await?;
    failed.map_or(Ok(swept), Err)
}

/// Erases what a tenant has kept long enough; false when another node is at it.
async fn erase(app: &App, tenant: &Tenant, swept: &mut Swept) -> Result<bool> {
    let before = sweep::expiry(app, tenant);
    loop {
        let Some(done) = sweep::erase_messages(app, tenant.id, before).await? else {
            return Ok(false);
        };
        swept.messages += done.count;
        if !done.more {
            break;
        }
    }
    loop {
        let Some(done) = sweep::erase_folders(app, tenant.id, before).await? else {
            return Ok(false);
        };
        swept.folders += done.count;
        if !done.more {
            break;
        }
    }
    loop {
        let (count, more) = events::erase_expired(app, tenant.id).await?;
        swept.events += count;
        if !more {
            return Ok(true);
        }
    }
}
