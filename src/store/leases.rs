//! Leases: which node syncs a mailbox, and the fence that stops one that lost it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::{Conn, on, types::Id};
use crate::model::{
    Result,
    id::TenantId,
    lease::{Fence, Lease},
    mailbox::Mailbox,
};

/// How long a lease lasts without renewal, in seconds.
pub(super) const LEASE_SECONDS: i64 = 30;

/// A row of `mailbox_leases`.
#[derive(Queryable)]
pub(crate) struct Row {
    pub(crate) tenant_id: Id,
    pub(crate) mailbox_id: Id,
    pub(crate) epoch: i64,
}

impl Row {
    const fn read(self) -> Lease {
        Lease {
            tenant: TenantId(self.tenant_id.0),
            mailbox: self.mailbox_id.0,
            epoch: self.epoch,
        }
    }
}

fn read(rows: Vec<Row>) -> Vec<Lease> {
    rows.into_iter().map(Row::read).collect()
}

impl Conn {
    /// Takes up to `limit` leases that ran out, of any tenant, of mailboxes that can be connected; the epoch of each
    /// moves on.
    pub async fn claim_leases(&mut self, owner: &str, limit: i64) -> Result<Vec<Lease>> {
        Ok(read(on!(self, leases::claim(owner, limit))?))
    }

    /// The same of those that this node held before it was restarted.
    pub async fn retake_leases(&mut self, owner: &str, limit: i64) -> Result<Vec<Lease>> {
        Ok(read(on!(self, leases::retake(owner, limit))?))
    }

    /// The leases that a node holds, of any tenant.
    pub async fn list_leases(&mut self, owner: &str, limit: i64) -> Result<Vec<Lease>> {
        Ok(read(on!(self, leases::list(owner, limit))?))
    }

    /// Lets every lease run out, of any tenant: for the embedded database, where no other node can hold one.
    pub async fn free_leases(&mut self) -> Result<()> {
        on!(self, leases::free())
    }

    /// The time by the database's clock.
    pub async fn time(&mut self) -> Result<DateTime<Utc>> {
        Ok(on!(self, leases::time())?.0)
    }

    /// Renews every lease of a node, of any tenant, in one statement.
    pub async fn renew_leases(&mut self, owner: &str) -> Result<usize> {
        on!(self, leases::renew(owner))
    }

    /// Gives a lease back, if it is still the same one.
    pub async fn release_lease(&mut self, lease: Lease) -> Result<()> {
        on!(self, leases::release(lease))
    }

    /// Moves the epoch on, so that no write of the present owner passes the fence again, and frees the lease.
    pub async fn revoke_lease(&mut self, tenant: TenantId, mailbox: Uuid) -> Result<()> {
        on!(self, leases::revoke(tenant, mailbox))
    }

    /// The fence: locks the mailbox's row and answers it while the lease holds and the mailbox is enabled.
    pub async fn lock_fenced(&mut self, fence: Fence) -> Result<Option<Mailbox>> {
        // Boxed: the futures of the sync, which pass the fence deep inside, would grow by the row.
        Box::pin(async move {
            let (row, epoch) = on!(&mut *self, leases::lock_mailbox(fence.tenant, fence.mailbox))?;
            let Some(row) = row.filter(|_| epoch == Some(fence.epoch)) else {
                return Ok(None);
            };
            let mailbox = self.with_creator(fence.tenant, row).await?;
            Ok(Some(mailbox).filter(|mailbox| mailbox.facts.enabled && !mailbox.facts.retired))
        })
        .await
    }
}
