//! Which mailboxes this node syncs.

use super::App;
use crate::model::{Result, lease::Lease};

/// How many leases are claimed at once.
const BATCH: i64 = 200;
/// How many are claimed at a node's start: all that it can hold, since what it left out would be renewed as its own, and
/// synced by nobody.
const FIRST: i64 = 100_000;

/// Claims mailboxes that no node syncs. `first` is the node's first claim since it started: leases that it held before
/// are its own again, and in the embedded database every lease is.
pub async fn claim(app: &App, node: &str, first: bool) -> Result<Vec<Lease>> {
    let (node, embedded) = (node.to_owned(), app.store.is_embedded());
    app.write(move |tx| {
        Box::pin(async move {
            if first && embedded {
                tx.free_leases().await?;
            }
            tx.claim_leases(&node, first, if first { FIRST } else { BATCH })
                .await
        })
    })
    .await
}

/// Renews every lease of this node.
pub async fn renew(app: &App, node: &str) -> Result<()> {
    let node = node.to_owned();
    app.write(move |tx| Box::pin(async move { tx.renew_leases(&node).await.map(drop) }))
        .await
}
