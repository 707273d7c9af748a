//! SQL for tenants.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::{Connection, paged};
use crate::{
    model::{Result, id::TenantId, page::PageRequest},
    store::{schema::tenants, tenants::Row, types::Id},
};

pub(crate) async fn create(conn: &mut Connection, row: &Row, data_key: &[u8]) -> Result<()> {
    diesel::insert_into(tenants::table)
        .values((row, tenants::data_key.eq(data_key.to_vec())))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn get(conn: &mut Connection, tenant: TenantId) -> Result<Option<Row>> {
    Ok(tenants::table
        .find(Id(tenant.0))
        .select(Row::as_select())
        .get_result(conn)
        .await
        .optional()?)
}

pub(crate) async fn get_data_key(conn: &mut Connection, tenant: TenantId) -> Result<Option<Vec<u8>>> {
    Ok(tenants::table
        .find(Id(tenant.0))
        .select(tenants::data_key)
        .get_result(conn)
        .await
        .optional()?)
}

pub(crate) async fn list(conn: &mut Connection, page: PageRequest) -> Result<Vec<Row>> {
    let query = tenants::table.select(Row::as_select()).into_boxed();
    Ok(paged!(query, tenants::created_at, tenants::id, page)
        .load(conn)
        .await?)
}

pub(crate) async fn update(conn: &mut Connection, tenant: TenantId, row: &Row) -> Result<()> {
    diesel::update(tenants::table.find(Id(tenant.0)))
        .set(row)
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn delete(conn: &mut Connection, tenant: TenantId) -> Result<bool> {
    Ok(diesel::delete(tenants::table.find(Id(tenant.0)))
        .execute(conn)
        .await?
        > 0)
}
