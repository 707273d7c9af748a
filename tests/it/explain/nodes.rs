//! Calls every method of the store that is about nodes, their leases, and the operator's figures.

use postroom::{model::lease::Node, store::Conn};

use super::workload::Done;
use crate::fixture::{Filled, at};

/// Calls every method about nodes, leases and figures.
pub(super) async fn run(tx: &mut Conn, filled: Filled) -> Done {
    leases(tx, filled).await?;
    nodes(tx).await?;
    figures(tx, filled).await
}

async fn leases(tx: &mut Conn, filled: Filled) -> Done {
    assert!(tx.time().await? > at(0));
    tx.free_leases().await?;
    let taken = tx.claim_leases("node", 10).await?;
    assert_eq!(taken.len(), 2, "both mailboxes can be connected");
    assert!(tx.claim_leases("node", 10).await?.is_empty(), "they are taken");
    assert!(
        tx.retake_leases("another", 10).await?.is_empty(),
        "by another node"
    );
    let again = tx.retake_leases("node", 10).await?;
    assert_eq!(again.len(), 2, "a node that is started again takes what it held");
    assert_eq!(tx.renew_leases("node").await?, 2);
    assert_eq!(tx.list_leases("node", 10).await?.len(), 2);
    let lease = *again
        .iter()
        .find(|lease| lease.mailbox == filled.owner.mailbox)
        .unwrap();
    assert!(tx.lock_fenced(lease).await?.is_some());
    let stale = *taken
        .iter()
        .find(|lease| lease.mailbox == filled.owner.mailbox)
        .unwrap();
    assert!(tx.lock_fenced(stale).await?.is_none(), "the epoch moved on");
    tx.release_lease(lease).await?;
    tx.revoke_lease(filled.owner.tenant, filled.owner.mailbox).await
}

async fn nodes(tx: &mut Conn) -> Done {
    let mut node = Node {
        name: "node".to_owned(),
        worker: true,
        held: 1,
    };
    tx.save_node(&node).await?;
    tx.save_node(&node).await?;
    tx.add_held("node", 2).await?;
    node.held = 3;
    assert_eq!(tx.list_nodes(10).await?, [node]);
    tx.delete_node("node").await?;
    assert!(tx.list_nodes(10).await?.is_empty());
    tx.notify("[]").await
}

async fn figures(tx: &mut Conn, filled: Filled) -> Done {
    let count = |counts: Vec<i64>| counts.iter().sum::<i64>();
    let all = tx.count_mailboxes().await?;
    let of_tenant = tx.count_mailboxes_of(&[filled.owner.tenant]).await?;
    assert_eq!(count(all.into_iter().map(|(_, count)| count).collect()), 2);
    assert_eq!(
        count(of_tenant.into_iter().map(|(_, _, count)| count).collect()),
        2
    );
    tx.count_unindexed(10).await?;
    tx.count_undelivered(10).await?;
    tx.count_failing(10).await?;
    tx.list_failing(10).await.map(drop)
}
