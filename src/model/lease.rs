//! A lease: which node syncs a mailbox, and the epoch that fences off one that lost it.

use uuid::Uuid;

use super::id::TenantId;

/// A mailbox that this node syncs, and the epoch under which it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The mailbox's tenant.
    pub tenant: TenantId,
    /// The mailbox.
    pub mailbox: Uuid,
    /// The epoch that every write must name.
    pub epoch: i64,
}

/// What a write of a sync must name.
pub type Fence = Lease;
