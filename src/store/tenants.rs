//! Tenants: the only rows that have no tenant before them.

use diesel::prelude::*;

use super::{
    Conn, on,
    schema::tenants,
    types::{At, Id},
    unreadable,
};
use crate::model::{
    Error, Result,
    id::TenantId,
    page::{Page, PageRequest, Position},
    tenant::Tenant,
};

/// A row of `tenants`.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = tenants, treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct Row {
    id: Id,
    name: String,
    profile: String,
    created_at: At,
    updated_at: At,
}

impl Row {
    pub(crate) fn write(tenant: &Tenant) -> Result<Self> {
        Ok(Self {
            id: tenant.id.0.into(),
            name: tenant.name.clone(),
            profile: serde_json::to_string(&tenant.profile).map_err(Error::internal)?,
            created_at: tenant.created_at.into(),
            updated_at: tenant.updated_at.into(),
        })
    }

    pub(crate) fn read(self) -> Result<Tenant> {
        Ok(Tenant {
            id: TenantId(self.id.0),
            name: self.name,
            profile: serde_json::from_str(&self.profile).map_err(|_| unreadable("tenants.profile"))?,
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
        })
    }
}

impl Conn {
    /// Stores a new tenant with its sealed data key.
    pub async fn create_tenant(&mut self, tenant: &Tenant, data_key: &[u8]) -> Result<()> {
        let row = Row::write(tenant)?;
        on!(self, tenants::create(&row, data_key))
    }

    /// One tenant.
    pub async fn get_tenant(&mut self, tenant: TenantId) -> Result<Option<Tenant>> {
        on!(self, tenants::get(tenant))?.map(Row::read).transpose()
    }

    /// A tenant's sealed data key.
    pub async fn get_data_key(&mut self, tenant: TenantId) -> Result<Option<Vec<u8>>> {
        on!(self, tenants::get_data_key(tenant))
    }

    /// Every tenant, newest first.
    pub async fn list_tenants(&mut self, page: PageRequest) -> Result<Page<Tenant>> {
        let rows = on!(self, tenants::list(page))?;
        let rows = rows.into_iter().map(Row::read).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(rows, page.limit, |tenant| Position {
            at: tenant.created_at,
            id: tenant.id.0,
        }))
    }

    /// Stores what changed about a tenant.
    pub async fn update_tenant(&mut self, tenant: &Tenant) -> Result<()> {
        let row = Row::write(tenant)?;
        on!(self, tenants::update(tenant.id, &row))
    }

    /// Erases a tenant with everything that it has; false when there is no such tenant.
    pub async fn delete_tenant(&mut self, tenant: TenantId) -> Result<bool> {
        on!(self, tenants::delete(tenant))
    }
}
