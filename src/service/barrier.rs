//! The barrier: once it is answered that a mailbox is disabled, no request about a message of it begins.
//!
//! A delivery is taken in a transaction that keeps the mailbox as it is, and its request begins soon after or asks again;
//! who disables the mailbox waits for such transactions, and then for the requests.

use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{App, deliveries::LEASE};
use crate::{
    model::{Result, id::TenantId},
    store::{DueDelivery, Gate},
};

/// How long the answer to a disabling waits for requests that are on the wire, and how often it looks.
const BARRIER: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(20);
/// For how long after a delivery was taken its request may begin: within it such an answer still waits.
const FRESH: Duration = Duration::from_millis(500);

/// Whether a delivery may still be sent, though it was taken some time ago and its mailbox may have been disabled since. If
/// not, it is given back.
pub async fn may_begin(app: &App, tenant: TenantId, taken: DueDelivery, since: Instant) -> Result<bool> {
    if since.elapsed() < FRESH {
        return Ok(true);
    }
    let (now, mine) = (app.clock.shared(), (taken.id, taken.claim));
    app.write(move |tx| {
        Box::pin(async move {
            let gates = match taken.mailbox {
                Some(mailbox) => tx.share_gates(tenant, &[mailbox]).await?,
                None => Vec::new(),
            };
            if gates.iter().all(|(_, gate)| *gate == Gate::Open) {
                return tx.renew_delivery(tenant, mine, now + LEASE).await;
            }
            tx.return_delivery(tenant, mine, now).await?;
            Ok(false)
        })
    })
    .await
}

/// Waits until no request about a message of this mailbox, which was just disabled, is on the wire; a second at most.
pub(super) async fn settle(app: &App, tenant: TenantId, mailbox: Uuid) -> Result<()> {
    let sent = async {
        while app.store.read().await?.is_sending_of(tenant, mailbox).await? {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    };
    tokio::time::timeout(BARRIER, sent).await.unwrap_or(Ok(()))
}
