//! Where ids come from, and the one id that has a type of its own because it is the wall between tenants.

use std::fmt;

use uuid::Uuid;

/// A new UUIDv7 (RFC 9562): unique, and sorted by the time it was made.
#[expect(clippy::disallowed_methods, reason = "the one home of id generation")]
pub fn new() -> Uuid {
    Uuid::now_v7()
}

/// The tenant that a row belongs to. Every store function takes it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(pub Uuid);

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
