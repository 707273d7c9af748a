//! SQL for members.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Connection, paged};
use crate::{
    model::{Result, id::TenantId, page::PageRequest},
    store::{
        members::Row,
        schema::{mailboxes, members},
        types::Id,
    },
};

pub(crate) async fn create(
    conn: &mut Connection,
    tenant: TenantId,
    row: &Row,
    email_key: &str,
) -> Result<bool> {
    let inserted = diesel::insert_into(members::table)
        .values((
            row,
            members::tenant_id.eq(Id(tenant.0)),
            members::email_key.eq(email_key.to_owned()),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(inserted > 0)
}

pub(crate) async fn get(conn: &mut Connection, tenant: TenantId, id: Uuid) -> Result<Option<Row>> {
    Ok(members::table
        .find((Id(tenant.0), Id(id)))
        .select(Row::as_select())
        .get_result(conn)
        .await
        .optional()?)
}

pub(crate) async fn find(conn: &mut Connection, tenant: TenantId, email_key: &str) -> Result<Option<Row>> {
    Ok(members::table
        .filter(members::tenant_id.eq(Id(tenant.0)))
        .filter(members::email_key.eq(email_key))
        .select(Row::as_select())
        .get_result(conn)
        .await
        .optional()?)
}

pub(crate) async fn list(conn: &mut Connection, tenant: TenantId, page: PageRequest) -> Result<Vec<Row>> {
    let query = members::table
        .filter(members::tenant_id.eq(Id(tenant.0)))
        .select(Row::as_select())
        .into_boxed();
    Ok(paged!(query, members::created_at, members::id, page)
        .load(conn)
        .await?)
}

pub(crate) async fn lock_owners(conn: &mut Connection, tenant: TenantId, owner: &str) -> Result<usize> {
    let query = members::table
        .filter(members::tenant_id.eq(Id(tenant.0)))
        .filter(members::role.eq(owner))
        .select(members::id);
    Ok(locked!(query).load::<Id>(conn).await?.len())
}

pub(crate) async fn update(
    conn: &mut Connection,
    tenant: TenantId,
    row: &Row,
    email_key: &str,
) -> Result<()> {
    diesel::update(
        members::table
            .filter(members::tenant_id.eq(Id(tenant.0)))
            .filter(members::id.eq(row.id())),
    )
    .set((row, members::email_key.eq(email_key.to_owned())))
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn delete(conn: &mut Connection, tenant: TenantId, id: Uuid) -> Result<bool> {
    diesel::update(
        mailboxes::table
            .filter(mailboxes::tenant_id.eq(Id(tenant.0)))
            .filter(mailboxes::created_by.eq(Some(Id(id)))),
    )
    .set(mailboxes::created_by.eq(None::<Id>))
    .execute(conn)
    .await?;
    Ok(diesel::delete(members::table.find((Id(tenant.0), Id(id))))
        .execute(conn)
        .await?
        > 0)
}
