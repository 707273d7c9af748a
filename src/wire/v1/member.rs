//! Members: the people of a tenant.

use poem_openapi::{Enum, Object, types::Example};
use serde::Serialize;
use uuid::Uuid;

use super::{Time, check::Faults};
use crate::model::{
    self, Result,
    member::{MemberPatch, NewMember},
};

/// What a member may see and change. `owner`: every mailbox, and the tenant itself. `senior`: every mailbox.
/// `employee`: the mailboxes that they created. More values may be added to answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "snake_case")]
#[oai(
    rename = "MemberRole",
    rename_all = "snake_case",
    remote = "model::member::Role"
)]
pub enum Role {
    /// Sees the mailboxes that they created.
    Employee,
    /// Sees every mailbox of the tenant.
    Senior,
    /// Sees every mailbox and changes the tenant.
    Owner,
}

/// A person in a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
#[oai(example)]
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
    pub created_at: Time,
    /// When the member last changed.
    pub updated_at: Time,
}

impl From<model::member::Member> for Member {
    fn from(member: model::member::Member) -> Self {
        let model::member::Member {
            id,
            first_name,
            last_name,
            email,
            role,
            created_at,
            updated_at,
        } = member;
        Self {
            id,
            first_name,
            last_name,
            email,
            role: role.into(),
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}

impl Example for Member {
    fn example() -> Self {
        Self {
            id: super::example::id(2),
            first_name: "Ada".into(),
            last_name: "Lovelace".into(),
            email: "ada@example.org".into(),
            role: Role::Senior,
            created_at: super::example::at().into(),
            updated_at: super::example::at().into(),
        }
    }
}

/// A member to create.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(deny_unknown_fields, example)]
pub struct CreateMember {
    /// Given name, at most 200 characters.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub first_name: String,
    /// Family name, at most 200 characters.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub last_name: String,
    /// Email address, unique in the tenant, at most 320 characters.
    #[oai(validator(min_length = 3, max_length = 320))]
    pub email: String,
    /// The member's role.
    pub role: Role,
}

impl CreateMember {
    /// Checks the fields.
    pub fn into_model(self) -> Result<NewMember> {
        let Self {
            first_name,
            last_name,
            email,
            role,
        } = self;
        let mut faults = Faults::default();
        faults.name("first_name", &first_name);
        faults.name("last_name", &last_name);
        faults.address("email", &email);
        faults.or(NewMember {
            first_name,
            last_name,
            email,
            role: role.into(),
        })
    }
}

impl Example for CreateMember {
    fn example() -> Self {
        let Member {
            first_name,
            last_name,
            email,
            role,
            ..
        } = Member::example();
        Self {
            first_name,
            last_name,
            email,
            role,
        }
    }
}

/// What changes about a member; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
pub struct UpdateMember {
    /// Given name, at most 200 characters.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub first_name: Option<String>,
    /// Family name, at most 200 characters.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub last_name: Option<String>,
    /// Email address, unique in the tenant, at most 320 characters.
    #[oai(validator(min_length = 3, max_length = 320))]
    pub email: Option<String>,
    /// The member's role.
    pub role: Option<Role>,
}

impl UpdateMember {
    /// Checks the fields.
    pub fn into_model(self) -> Result<MemberPatch> {
        let Self {
            first_name,
            last_name,
            email,
            role,
        } = self;
        let mut faults = Faults::default();
        if let Some(name) = &first_name {
            faults.name("first_name", name);
        }
        if let Some(name) = &last_name {
            faults.name("last_name", name);
        }
        if let Some(email) = &email {
            faults.address("email", email);
        }
        faults.or(MemberPatch {
            first_name,
            last_name,
            email,
            role: role.map(Into::into),
        })
    }
}

impl Example for UpdateMember {
    fn example() -> Self {
        Self {
            role: Some(Role::Owner),
            ..Self::default()
        }
    }
}
