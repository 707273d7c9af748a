//! Members of a tenant.

use diesel::prelude::*;
use uuid::Uuid;

use super::{
    Conn, on,
    schema::members,
    types::{At, Id},
    unreadable,
};
use crate::model::{
    Result,
    id::TenantId,
    member::{Member, Role},
    message::address_key,
    page::{Page, PageRequest, Position},
};

/// A row of `members`.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = members, treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct Row {
    id: Id,
    first_name: String,
    last_name: String,
    email: String,
    role: String,
    created_at: At,
    updated_at: At,
}

impl Row {
    fn write(member: &Member) -> Self {
        Self {
            id: member.id.into(),
            first_name: member.first_name.clone(),
            last_name: member.last_name.clone(),
            email: member.email.clone(),
            role: member.role.as_str().to_owned(),
            created_at: member.created_at.into(),
            updated_at: member.updated_at.into(),
        }
    }

    pub(crate) const fn id(&self) -> Id {
        self.id
    }

    pub(crate) fn read(self) -> Result<Member> {
        Ok(Member {
            id: self.id.into(),
            first_name: self.first_name,
            last_name: self.last_name,
            email: self.email,
            role: Role::parse(&self.role).ok_or_else(|| unreadable("members.role"))?,
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
        })
    }
}

impl Conn {
    /// Stores a new member; false when another has the email address already.
    pub async fn create_member(&mut self, tenant: TenantId, member: &Member) -> Result<bool> {
        let row = Row::write(member);
        on!(self, members::create(tenant, &row, &address_key(&member.email)))
    }

    /// One member.
    pub async fn get_member(&mut self, tenant: TenantId, id: Uuid) -> Result<Option<Member>> {
        on!(self, members::get(tenant, id))?.map(Row::read).transpose()
    }

    /// The member with this email address.
    pub async fn find_member(&mut self, tenant: TenantId, email: &str) -> Result<Option<Member>> {
        on!(self, members::find(tenant, &address_key(email)))?
            .map(Row::read)
            .transpose()
    }

    /// The tenant's members, newest first.
    pub async fn list_members(&mut self, tenant: TenantId, page: PageRequest) -> Result<Page<Member>> {
        let rows = on!(self, members::list(tenant, page))?;
        let rows = rows.into_iter().map(Row::read).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(rows, page.limit, |member| Position {
            at: member.created_at,
            id: member.id,
        }))
    }

    /// How many owners the tenant has, the rows locked until the transaction ends.
    pub async fn count_owners(&mut self, tenant: TenantId) -> Result<usize> {
        on!(self, members::lock_owners(tenant, Role::Owner.as_str()))
    }

    /// Stores what changed about a member.
    pub async fn update_member(&mut self, tenant: TenantId, member: &Member) -> Result<()> {
        let row = Row::write(member);
        on!(self, members::update(tenant, &row, &address_key(&member.email)))
    }

    /// Erases a member with the keys that act as it; its mailboxes stay, created by nobody.
    pub async fn delete_member(&mut self, tenant: TenantId, id: Uuid) -> Result<bool> {
        on!(self, members::delete(tenant, id))
    }
}
