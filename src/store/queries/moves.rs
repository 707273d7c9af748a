//! SQL for moves.

use chrono::{DateTime, Utc};
use diesel::{prelude::*, upsert::excluded};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use crate::{
    model::{Result, id::TenantId},
    store::{
        moves::Row,
        schema::moves,
        statement::Prepared,
        types::{At, Id},
    },
};

pub(crate) async fn begin(conn: &mut Connection, row: Row) -> Result<()> {
    diesel::insert_into(moves::table)
        .values(row)
        .on_conflict((moves::tenant_id, moves::message_id))
        .do_update()
        .set(moves::until.eq(excluded(moves::until)))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn end(conn: &mut Connection, tenant: TenantId, message: Uuid) -> Result<()> {
    diesel::delete(moves::table.find((Id(tenant.0), Id(message))))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn of_messages(
    conn: &mut Connection,
    tenant: TenantId,
    messages: &[Uuid],
    now: DateTime<Utc>,
) -> Result<Vec<Id>> {
    let query = moves::table
        .filter(moves::tenant_id.eq(Id(tenant.0)))
        .filter(moves::message_id.eq_any(super::ids(messages)))
        .filter(moves::until.gt(At(now)))
        .select(moves::message_id);
    Ok(Prepared(query).load(conn).await?)
}

pub(crate) async fn end_overdue(
    conn: &mut Connection,
    tenant: TenantId,
    mailbox: Uuid,
    now: DateTime<Utc>,
) -> Result<Vec<Id>> {
    Ok(diesel::delete(
        moves::table
            .filter(moves::tenant_id.eq(Id(tenant.0)))
            .filter(moves::mailbox_id.eq(Id(mailbox)))
            .filter(moves::until.le(At(now))),
    )
    .returning(moves::message_id)
    .get_results(conn)
    .await?)
}
