//! SQL for folders.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use crate::{
    model::{Result, id::TenantId},
    store::{
        folders::{MAX_FOLDERS, Row},
        schema::folders,
        statement::{Limited, Prepared},
        types::Id,
    },
};

pub(crate) async fn create(conn: &mut Connection, tenant: TenantId, row: &Row) -> Result<()> {
    diesel::insert_into(folders::table)
        .values((row, folders::tenant_id.eq(Id(tenant.0))))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn get(conn: &mut Connection, tenant: TenantId, id: Uuid) -> Result<Option<Row>> {
    Ok(folders::table
        .find((Id(tenant.0), Id(id)))
        .select(Row::as_select())
        .get_result(conn)
        .await
        .optional()?)
}

pub(crate) async fn list(conn: &mut Connection, tenant: TenantId, mailbox: Uuid) -> Result<Vec<Row>> {
    let folders = folders::table
        .filter(folders::tenant_id.eq(Id(tenant.0)))
        .filter(folders::mailbox_id.eq(Id(mailbox)))
        .order(folders::raw_name)
        .select(Row::as_select());
    Ok(Limited::new(folders, MAX_FOLDERS).load(conn).await?)
}

pub(crate) async fn update(
    conn: &mut Connection,
    tenant: TenantId,
    row: &Row,
    added: i64,
) -> Result<Option<i64>> {
    let folder = folders::table
        .filter(folders::tenant_id.eq(Id(tenant.0)))
        .filter(folders::id.eq(row.id));
    let update = diesel::update(folder)
        .set((row, folders::message_count.eq(folders::message_count + added)))
        .returning(folders::message_count);
    Ok(Prepared(update).get_result(conn).await.optional()?)
}

pub(crate) async fn add_count(conn: &mut Connection, tenant: TenantId, id: Uuid, added: i64) -> Result<()> {
    diesel::update(folders::table.find((Id(tenant.0), Id(id))))
        .set(folders::message_count.eq(folders::message_count + added))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn delete(conn: &mut Connection, tenant: TenantId, id: Uuid) -> Result<()> {
    diesel::delete(folders::table.find((Id(tenant.0), Id(id))))
        .execute(conn)
        .await?;
    Ok(())
}
