//! SQL for the sweep.

use chrono::{DateTime, Utc};
use diesel::{dsl::sql, prelude::*, sql_types::Bool};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Connection, advisory_lock, try_advisory_lock};
use crate::{
    model::{Result, id::TenantId},
    store::{
        schema::{folders, mailboxes, messages, thread_refs, threads},
        statement::Limited,
        types::{At, Id},
    },
};

pub(crate) async fn try_lock(conn: &mut Connection, key: i64) -> Result<bool> {
    try_advisory_lock(conn, key).await
}

pub(crate) async fn lock(conn: &mut Connection, key: i64, shared: bool) -> Result<()> {
    advisory_lock(conn, key, shared).await
}

pub(crate) async fn list_expired(
    conn: &mut Connection,
    tenant: TenantId,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(Id, Id, Id)>> {
    let expired = messages::table
        .filter(messages::tenant_id.eq(Id(tenant.0)))
        .filter(messages::deleted_at.lt(At(before)))
        .order(messages::deleted_at)
        .select((messages::id, messages::mailbox_id, messages::thread_id));
    Ok(Limited::new(expired, limit).load(conn).await?)
}

pub(crate) async fn lock_mailboxes(conn: &mut Connection, tenant: TenantId, ids: &[Uuid]) -> Result<()> {
    let query = mailboxes::table
        .filter(mailboxes::tenant_id.eq(Id(tenant.0)))
        .filter(mailboxes::id.eq_any(super::ids(ids)))
        .order(mailboxes::id)
        .select(mailboxes::id);
    locked!(query).load::<Id>(conn).await?;
    Ok(())
}

pub(crate) async fn erase_messages(
    conn: &mut Connection,
    tenant: TenantId,
    ids: &[Uuid],
    before: DateTime<Utc>,
) -> Result<usize> {
    let query = messages::table
        .filter(messages::tenant_id.eq(Id(tenant.0)))
        .filter(messages::id.eq_any(super::ids(ids)))
        .filter(messages::deleted_at.lt(At(before)))
        .order(messages::id)
        .select(messages::id);
    let mine = skip_locked!(query).load::<Id>(conn).await?;
    Ok(diesel::delete(
        messages::table
            .filter(messages::tenant_id.eq(Id(tenant.0)))
            .filter(messages::id.eq_any(mine)),
    )
    .execute(conn)
    .await?)
}

pub(crate) async fn erase_threads(conn: &mut Connection, tenant: TenantId, ids: &[Uuid]) -> Result<usize> {
    let empty: Vec<Id> = threads::table
        .filter(threads::tenant_id.eq(Id(tenant.0)))
        .filter(threads::id.eq_any(super::ids(ids)))
        .filter(diesel::dsl::not(diesel::dsl::exists(
            messages::table
                .filter(messages::tenant_id.eq(Id(tenant.0)))
                .filter(messages::thread_id.eq(threads::id)),
        )))
        .select(threads::id)
        .load(conn)
        .await?;
    diesel::delete(
        thread_refs::table
            .filter(thread_refs::tenant_id.eq(Id(tenant.0)))
            .filter(thread_refs::thread_id.eq_any(empty.clone())),
    )
    .execute(conn)
    .await?;
    diesel::delete(
        threads::table
            .filter(threads::tenant_id.eq(Id(tenant.0)))
            .filter(threads::merged_into.eq_any(empty.iter().copied().map(Some).collect::<Vec<_>>())),
    )
    .execute(conn)
    .await?;
    Ok(diesel::delete(
        threads::table
            .filter(threads::tenant_id.eq(Id(tenant.0)))
            .filter(threads::id.eq_any(empty)),
    )
    .execute(conn)
    .await?)
}

pub(crate) async fn find_retired(
    conn: &mut Connection,
    tenant: TenantId,
    before: DateTime<Utc>,
) -> Result<Option<Id>> {
    let retired = mailboxes::table
        .filter(mailboxes::tenant_id.eq(Id(tenant.0)))
        .filter(mailboxes::retired_at.lt(At(before)))
        .filter(diesel::dsl::exists(
            folders::table
                .filter(folders::tenant_id.eq(Id(tenant.0)))
                .filter(folders::mailbox_id.eq(mailboxes::id)),
        ))
        .select(mailboxes::id);
    Ok(Limited::new(retired, 1).get_result(conn).await.optional()?)
}

pub(crate) async fn erase_folders(conn: &mut Connection, tenant: TenantId, mailbox: Uuid) -> Result<usize> {
    Ok(diesel::delete(
        folders::table
            .filter(folders::tenant_id.eq(Id(tenant.0)))
            .filter(folders::mailbox_id.eq(Id(mailbox))),
    )
    .execute(conn)
    .await?)
}

pub(crate) async fn named_blobs(
    conn: &mut Connection,
    tenant: TenantId,
    blobs: &[[u8; 32]],
) -> Result<Vec<Vec<u8>>> {
    Ok(messages::table
        .filter(messages::tenant_id.eq(Id(tenant.0)))
        .filter(messages::sha256.eq_any(blobs.iter().map(|sha256| sha256.to_vec())))
        // Written out, not bound: the condition of a partial index is met by the same words only.
        .filter(sql::<Bool>("messages.in_blobs"))
        .select(messages::sha256)
        .load(conn)
        .await?)
}
