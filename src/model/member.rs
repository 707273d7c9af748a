//! A member: a person in a tenant, whose role says which mailboxes they see.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// What a member may see and change. Ordered from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees the mailboxes that they created.
    Employee,
    /// Sees every mailbox of the tenant.
    Senior,
    /// Sees every mailbox and changes the tenant.
    Owner,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Employee, Self::Senior, Self::Owner];

    /// The word on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Employee => "employee",
            Self::Senior => "senior",
            Self::Owner => "owner",
        }
    }

    /// Reads the word that [`Self::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// A person in a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The member's id.
    pub id: Uuid,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// Email address, unique in the tenant.
    pub email: String,
    /// The member's role.
    pub role: Role,
    /// When the member was created.
    pub created_at: DateTime<Utc>,
    /// When the member last changed.
    pub updated_at: DateTime<Utc>,
}

/// What a member is created with.
#[derive(Debug, Clone)]
pub struct NewMember {
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// Email address.
    pub email: String,
    /// Role.
    pub role: Role,
}

/// What changes about a member; `None` is unchanged.
#[derive(Debug, Clone, Default)]
pub struct MemberPatch {
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// Role.
    pub role: Option<Role>,
}
