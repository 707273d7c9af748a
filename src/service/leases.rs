//! Which mailboxes this node syncs.

use std::collections::HashMap;

use uuid::Uuid;

use super::{App, nodes, signals::Nudge};
use crate::model::{
    Result,
    lease::{Lease, Node, may_take, share},
};

/// How many leases are claimed at once.
const BATCH: i64 = 200;
/// How many a node takes again at its start, or looks at: all that it can hold, since what it left out would be renewed as
/// its own, and synced by nobody.
const ALL: i64 = 100_000;
/// A node that holds a tenth more than its share keeps that: mailboxes are not moved for little.
const SLACK: i64 = 10;
/// So many mailboxes are given back at a renewal: each is dialled again by the node that takes it.
const MOVED: i64 = 200;

/// How a node stands when it has renewed its leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// So many leases it holds.
    pub held: usize,
    /// So many are too many: other nodes hold fewer.
    pub surplus: usize,
}

/// Takes the leases that a node of this name held before it was started again; in the embedded database, which has one
/// process at a time, all of them.
pub async fn retake(app: &App, node: &str) -> Result<Vec<Lease>> {
    let (node, embedded) = (node.to_owned(), app.store.is_embedded());
    app.write(move |tx| {
        Box::pin(async move {
            if embedded {
                tx.free_leases().await?;
                return tx.claim_leases(&node, ALL).await;
            }
            tx.retake_leases(&node, ALL).await
        })
    })
    .await
}

/// Claims mailboxes that no node syncs, unless other nodes hold fewer.
pub async fn claim(app: &App, node: &str) -> Result<Vec<Lease>> {
    let (node, embedded) = (node.to_owned(), app.store.is_embedded());
    let claimed = app.write(move |tx| {
        Box::pin(async move {
            if embedded {
                return tx.claim_leases(&node, BATCH).await;
            }
            let nodes = tx.list_nodes(nodes::MOST).await?;
            if !may_take(&nodes, &node) {
                return Ok(Vec::new());
            }
            let claimed = tx.claim_leases(&node, BATCH).await?;
            tx.add_held(&node, count(claimed.len())).await?;
            Ok(claimed)
        })
    });
    let claimed = claimed.await?;
    if count(claimed.len()) == BATCH {
        // There may be more, which others may take now that this node holds more.
        app.signals.tell(Nudge::Sync);
    }
    Ok(claimed)
}

/// Renews every lease of this node, and says that it lives.
pub async fn renew(app: &App, node: &str) -> Result<Standing> {
    let (name, embedded) = (node.to_owned(), app.store.is_embedded());
    let (standing, alone) = app
        .write(move |tx| {
            Box::pin(async move {
                let held = tx.renew_leases(&name).await?;
                if embedded {
                    return Ok((Standing { held, surplus: 0 }, true));
                }
                let mut nodes = tx.list_nodes(nodes::MOST).await?;
                nodes.retain(|node| node.name != name);
                let alone = nodes.is_empty();
                let mut node = Node {
                    name,
                    worker: true,
                    held: count(held),
                };
                nodes.push(node.clone());
                let surplus = surplus(node.held, share(&nodes));
                // The others reckon with what will be left.
                node.held -= surplus;
                tx.save_node(&node).await?;
                let surplus = usize::try_from(surplus).unwrap_or(0);
                Ok((Standing { held, surplus }, alone))
            })
        })
        .await?;
    app.signals.set_alone(alone);
    Ok(standing)
}

/// How many leases a node gives back that holds so many.
fn surplus(held: i64, share: i64) -> i64 {
    let most = share.saturating_add(share.checked_div(SLACK).unwrap_or(0));
    if held > most { (held - share).min(MOVED) } else { 0 }
}

/// The leases that this node holds: mailboxes with their epochs.
pub async fn held(app: &App, node: &str) -> Result<HashMap<Uuid, Lease>> {
    let held = app.store.read().await?.list_leases(node, ALL).await?;
    Ok(held.into_iter().map(|lease| (lease.mailbox, lease)).collect())
}

fn count(leases: usize) -> i64 {
    i64::try_from(leases).unwrap_or(i64::MAX)
}
