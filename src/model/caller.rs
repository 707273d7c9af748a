//! Who is asking, and what they may do.

use uuid::Uuid;

use super::{
    error::{Error, Forbidden, Result},
    id::TenantId,
    key::ApiKey,
    member::{Member, Role},
    scope::{Scope, ScopeSet},
};

/// Whoever a request was authenticated as.
#[derive(Debug, Clone)]
pub enum Identity {
    /// The holder of the platform admin key.
    Platform,
    /// The holder of a tenant's key or token.
    Tenant(Box<Caller>),
}

impl Identity {
    /// The caller within a tenant; the platform admin key is refused.
    pub fn caller(&self) -> Result<&Caller> {
        match self {
            Self::Tenant(caller) => Ok(caller),
            Self::Platform => Err(Error::Forbidden(Forbidden::Platform)),
        }
    }

    /// Refuses everybody but the platform admin key.
    pub const fn require_platform(&self) -> Result<()> {
        match self {
            Self::Platform => Ok(()),
            Self::Tenant(_) => Err(Error::Forbidden(Forbidden::NotPlatform)),
        }
    }
}

/// Which mailboxes a caller sees. Every query over mailboxes and their messages takes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Every mailbox of the tenant.
    All,
    /// Those that this member created.
    CreatedBy(Uuid),
}

/// The holder of a tenant's key or token.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant, which is the wall.
    pub tenant_id: TenantId,
    /// The key that was sent, or that the token was made from.
    pub key: ApiKey,
    /// What this call may do: the key's scopes, or fewer.
    pub scopes: ScopeSet,
    /// The member it acts as; `None` acts as the tenant itself.
    pub member: Option<Member>,
    /// The role it has: the lesser of the key's own and the acting member's.
    pub role: Role,
}

impl Caller {
    /// Refuses a caller without this scope.
    pub const fn require(&self, scope: Scope) -> Result<()> {
        if self.scopes.contains(scope) {
            Ok(())
        } else {
            Err(Error::Forbidden(Forbidden::Scope(scope)))
        }
    }

    /// Refuses a caller whose role is below this one.
    pub fn require_role(&self, role: Role) -> Result<()> {
        if self.role >= role {
            Ok(())
        } else {
            Err(Error::Forbidden(Forbidden::Role))
        }
    }

    /// The id of the acting member.
    pub fn member_id(&self) -> Option<Uuid> {
        self.member.as_ref().map(|member| member.id)
    }

    /// Which mailboxes it sees.
    pub fn visibility(&self) -> Visibility {
        match (&self.member, self.role) {
            (None, _) | (_, Role::Owner | Role::Senior) => Visibility::All,
            (Some(member), Role::Employee) => Visibility::CreatedBy(member.id),
        }
    }

    /// The same caller acting as another member of its tenant.
    ///
    /// A key that acts as the tenant may act as anyone; a member's key only when that member is `owner` or `senior`.
    /// The call has the lesser of both roles.
    pub fn act_as(mut self, other: Member) -> Result<Self> {
        if let Some(own) = &self.member
            && own.id != other.id
            && own.role < Role::Senior
        {
            return Err(Error::Forbidden(Forbidden::ActAs));
        }
        self.role = self.role.min(other.role);
        self.member = Some(other);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn member(id: u128, role: Role) -> Member {
        Member {
            id: Uuid::from_u128(id),
            first_name: "A".into(),
            last_name: "B".into(),
            email: "a@b.example".into(),
            role,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    fn caller(member: Option<Member>) -> Caller {
        Caller {
            tenant_id: TenantId(Uuid::nil()),
            key: ApiKey {
                id: Uuid::nil(),
                name: String::new(),
                prefix: String::new(),
                scopes: ScopeSet::tenant(),
                member_id: None,
                expires_at: None,
                revoked_at: None,
                created_at: DateTime::UNIX_EPOCH,
            },
            scopes: ScopeSet::tenant(),
            role: member.as_ref().map_or(Role::Owner, |member| member.role),
            member,
        }
    }

    #[test]
    fn acting_as_another_gives_the_lesser_role_and_an_employee_cannot() {
        let employee = member(1, Role::Employee);
        let senior = member(2, Role::Senior);
        let owner = member(3, Role::Owner);
        let seen = caller(None).act_as(employee.clone()).unwrap().visibility();
        assert_eq!(seen, Visibility::CreatedBy(employee.id));
        let as_owner = caller(Some(senior.clone())).act_as(owner.clone()).unwrap();
        assert_eq!(
            (as_owner.role, as_owner.member_id()),
            (Role::Senior, Some(owner.id))
        );
        assert!(caller(Some(employee.clone())).act_as(owner).is_err());
        assert!(caller(Some(employee.clone())).act_as(employee).is_ok());
        assert!(caller(Some(senior)).require_role(Role::Owner).is_err());
    }
}
