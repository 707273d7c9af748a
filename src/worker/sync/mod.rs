//! Syncing: the supervisor claims mailboxes and runs one task for each; a task dials, catches up, and then idles.
//!
//! What is written, and the fence before it, are `service::sync`; no SQL and no parsing of responses may live here.

mod backfill;
mod backoff;
mod compare;
mod folder;
mod incoming;
mod intake;
mod known;
mod labels;
mod live;
mod pace;
mod parsing;
mod run;
mod stop;
mod told;

use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    model::{Result, lease::Lease},
    service::{
        App,
        leases::{self, Standing},
        nodes, sync,
    },
};

/// How often leases that ran out are looked for when nobody woke the supervisor.
const CLAIM: Duration = Duration::from_secs(2);
/// How often this node's leases are renewed; they last 30 s.
const RENEW: Duration = Duration::from_secs(10);
/// Without a renewal for this long, another node may soon own the mailboxes: the connections are dropped.
const LOST: Duration = Duration::from_secs(20);
/// How often a lease is tried to be given back while the store does not answer.
const RELEASE: Duration = Duration::from_secs(1);
/// How long a node's leave may take.
const LEAVE: Duration = Duration::from_secs(1);
/// Message bytes that all mailboxes together hold in memory, in KiB.
const BUDGET: u32 = 128 * 1024;

/// What the tasks of all mailboxes share.
#[derive(Clone)]
struct Shared {
    app: App,
    /// Bounds the bytes of messages that are held in memory, in KiB.
    budget: Arc<Semaphore>,
    /// What has to end before the process does.
    tasks: TaskTracker,
}

/// Claims mailboxes and runs a task for each.
pub struct Supervisor {
    shared: Shared,
    node: String,
    /// Leases that had no task at the last renewal.
    idle: HashSet<Lease>,
}

impl Supervisor {
    /// A supervisor of the node with this name, which is unique among the nodes and stays over restarts.
    pub fn new(app: App, node: String) -> Self {
        let shared = Shared {
            app,
            budget: Arc::new(Semaphore::new(BUDGET as usize)),
            tasks: TaskTracker::new(),
        };
        Self {
            shared,
            node,
            idle: HashSet::new(),
        }
    }

    /// Runs until `stop`, then waits until every task has said goodbye to its server.
    pub async fn run(mut self, stop: CancellationToken) {
        let app = self.shared.app.clone();
        let mut connections = stop.child_token();
        let mut own = true;
        let mut renewed = Instant::now();
        let mut renewal = tokio::time::interval(RENEW);
        while !stop.is_cancelled() {
            let wait = match self.claim(own, &connections, &stop).await {
                Ok(claimed) => {
                    own = false;
                    if claimed { Duration::ZERO } else { CLAIM }
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "no mailbox could be claimed"
                    );
                    CLAIM
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                // However many mailboxes there are to claim: what is held must not run out meanwhile.
                _ = renewal.tick() => match self.renew().await {
                    Ok(()) => renewed = Instant::now(),
                    Err(error) => {
                        tracing::error!(error = &error as &dyn std::error::Error, "the leases could not be renewed");
                    }
                },
                () = app.signals.sync_woken() => {}
                () = tokio::time::sleep(wait) => {}
            }
            if renewed.elapsed() > LOST && !app.store.is_embedded() {
                connections.cancel();
                connections = stop.child_token();
                renewed = Instant::now();
            }
        }
        let left = tokio::time::timeout(LEAVE, nodes::leave(&app, &self.node)).await;
        if !matches!(left, Ok(Ok(()))) {
            tracing::warn!("the other nodes will learn of this one's end when its leases run out");
        }
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Claims some of what is free and starts its tasks; `own`, what this node held before it was started again. Answers
    /// whether there was any, and so may be more.
    async fn claim(
        &self,
        own: bool,
        connections: &CancellationToken,
        stop: &CancellationToken,
    ) -> Result<bool> {
        let app = &self.shared.app;
        let mut claimed = if own {
            leases::retake(app, &self.node).await?
        } else {
            Vec::new()
        };
        claimed.append(&mut leases::claim(app, &self.node).await?);
        let found = !claimed.is_empty();
        for lease in claimed {
            self.start(lease, connections.child_token(), stop.clone());
        }
        Ok(found)
    }

    /// Renews the leases, and puts right what they say: ends the tasks of those that another node has taken, or that this
    /// one has too many of, and gives back those that have no task.
    async fn renew(&mut self) -> Result<()> {
        let app = &self.shared.app;
        let Standing { held, surplus } = leases::renew(app, &self.node).await?;
        if held == app.signals.running() {
            self.idle.clear();
        } else {
            let held = leases::held(app, &self.node).await?;
            app.signals.close_lost(&held);
            let idle = held.into_values().filter(|lease| !app.signals.runs(*lease));
            // One that was just claimed, or is just being given back, is in order; not for as long as this.
            let idle: HashSet<Lease> = idle.collect();
            for lease in idle.intersection(&self.idle) {
                sync::release(app, *lease).await?;
            }
            self.idle = idle;
        }
        if surplus > 0 {
            tracing::info!(surplus, "other nodes hold fewer mailboxes: some are given back");
            app.signals.close_some(surplus);
        }
        Ok(())
    }

    fn start(&self, lease: Lease, switch: CancellationToken, stop: CancellationToken) {
        let shared = self.shared.clone();
        shared.app.signals.register(lease, switch.clone());
        self.shared.tasks.spawn(async move {
            let ended = AssertUnwindSafe(run::sync(&shared, lease, &switch)).catch_unwind().await;
            if ended.is_err() {
                tracing::error!(mailbox = %lease.mailbox, "the sync of a mailbox panicked and is begun again");
            }
            shared.app.signals.unregister(lease);
            Box::pin(release(&shared.app, lease, &stop)).await;
        });
    }
}

/// Gives a lease back, and says so to the other nodes. This node renews all that it holds, so one that were kept without a
/// task would never be free: it is tried until the store answers, or the process stops and renews no more.
async fn release(app: &App, lease: Lease, stop: &CancellationToken) {
    while let Err(error) = sync::release(app, lease).await {
        tracing::warn!(mailbox = %lease.mailbox, error = &error as &dyn std::error::Error, "a lease was not released");
        if stop
            .run_until_cancelled(tokio::time::sleep(RELEASE))
            .await
            .is_none()
        {
            return;
        }
    }
    app.signals.wake_sync();
}
