//! SQL for placements.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Connection, place};
use crate::{
    model::{Result, id::TenantId},
    store::{
        placements::{RETIRED, Row},
        schema::placements,
        statement::{Limited, Prepared},
        types::Id,
    },
};

pub(crate) async fn create(conn: &mut Connection, rows: Vec<Row>) -> Result<Vec<(Id, Id)>> {
    place(conn, rows).await
}

pub(crate) async fn of_messages(
    conn: &mut Connection,
    tenant: TenantId,
    messages: &[Uuid],
) -> Result<Vec<Row>> {
    let query = placements::table
        .filter(placements::tenant_id.eq(Id(tenant.0)))
        .filter(placements::message_id.eq_any(super::ids(messages)))
        .select(Row::as_select());
    Ok(Prepared(query).load(conn).await?)
}

pub(crate) async fn in_range(
    conn: &mut Connection,
    tenant: TenantId,
    folder: Uuid,
    uid_validity: i64,
    low: i64,
    high: i64,
) -> Result<Vec<(i64, Id, String)>> {
    Ok(placements::table
        .filter(placements::tenant_id.eq(Id(tenant.0)))
        .filter(placements::folder_id.eq(Id(folder)))
        .filter(placements::uid_validity.eq(uid_validity))
        .filter(placements::uid.ge(low).and(placements::uid.le(high)))
        .order(placements::uid)
        .select((placements::uid, placements::message_id, placements::flags))
        .load(conn)
        .await?)
}

pub(crate) async fn set_flags(
    conn: &mut Connection,
    tenant: TenantId,
    folder: Uuid,
    uid_validity: i64,
    uid: i64,
    flags: &str,
) -> Result<Option<Id>> {
    let placement = placements::table
        .find((Id(tenant.0), Id(folder), uid_validity, uid))
        .filter(placements::flags.ne(flags));
    let update = diesel::update(placement)
        .set(placements::flags.eq(flags.to_owned()))
        .returning(placements::message_id);
    Ok(Prepared(update).get_result(conn).await.optional()?)
}

pub(crate) async fn delete(
    conn: &mut Connection,
    tenant: TenantId,
    folder: Uuid,
    uid_validity: i64,
    uids: &[i64],
) -> Result<Vec<Id>> {
    Ok(diesel::delete(
        placements::table
            .filter(placements::tenant_id.eq(Id(tenant.0)))
            .filter(placements::folder_id.eq(Id(folder)))
            .filter(placements::uid_validity.eq(uid_validity))
            .filter(placements::uid.eq_any(uids.to_vec())),
    )
    .returning(placements::message_id)
    .get_results(conn)
    .await?)
}

pub(crate) async fn delete_stale(
    conn: &mut Connection,
    tenant: TenantId,
    folder: Uuid,
    current: i64,
    limit: i64,
) -> Result<Vec<Id>> {
    let stale = placements::table
        .filter(placements::tenant_id.eq(Id(tenant.0)))
        .filter(placements::folder_id.eq(Id(folder)))
        .filter(
            placements::uid_validity
                .lt(current)
                .or(placements::uid_validity.gt(current)),
        )
        .order((placements::uid_validity, placements::uid))
        .select((placements::uid_validity, placements::uid));
    let stale: Vec<(i64, i64)> = Limited::new(stale, limit).load(conn).await?;
    let Some((generation, _)) = stale.iter().copied().next() else {
        return Ok(Vec::new());
    };
    let uids: Vec<i64> = stale
        .iter()
        .filter(|(of, _)| *of == generation)
        .map(|(_, uid)| *uid)
        .collect();
    delete(conn, tenant, folder, generation, &uids).await
}

pub(crate) async fn retire(
    conn: &mut Connection,
    tenant: TenantId,
    folder: Uuid,
    uid_validity: i64,
    limit: i64,
) -> Result<usize> {
    let uids = placements::table
        .filter(placements::tenant_id.eq(Id(tenant.0)))
        .filter(placements::folder_id.eq(Id(folder)))
        .filter(placements::uid_validity.eq(uid_validity))
        .order(placements::uid)
        .select(placements::uid);
    let uids: Vec<i64> = Limited::new(uids, limit).load(conn).await?;
    if uids.is_empty() {
        return Ok(0);
    }
    let lowest = placements::table
        .filter(placements::tenant_id.eq(Id(tenant.0)))
        .filter(placements::folder_id.eq(Id(folder)))
        .order((placements::uid_validity, placements::uid))
        .select(placements::uid_validity);
    let lowest: Option<i64> = Limited::new(lowest, 1).get_result(conn).await.optional()?;
    let retired = lowest.unwrap_or_default().min(RETIRED) - 1;
    Ok(diesel::update(
        placements::table
            .filter(placements::tenant_id.eq(Id(tenant.0)))
            .filter(placements::folder_id.eq(Id(folder)))
            .filter(placements::uid_validity.eq(uid_validity))
            .filter(placements::uid.eq_any(uids)),
    )
    .set(placements::uid_validity.eq(retired))
    .execute(conn)
    .await?)
}

pub(crate) async fn count(
    conn: &mut Connection,
    tenant: TenantId,
    folder: Uuid,
    uid_validity: i64,
) -> Result<i64> {
    Ok(placements::table
        .filter(placements::tenant_id.eq(Id(tenant.0)))
        .filter(placements::folder_id.eq(Id(folder)))
        .filter(placements::uid_validity.eq(uid_validity))
        // Every UID is; with it PostgreSQL sees that the primary key names the rows.
        .filter(placements::uid.gt(0))
        .count()
        .get_result(conn)
        .await?)
}

pub(crate) async fn has_stale(
    conn: &mut Connection,
    tenant: TenantId,
    folder: Uuid,
    current: i64,
) -> Result<bool> {
    let stale = placements::table
        .filter(placements::tenant_id.eq(Id(tenant.0)))
        .filter(placements::folder_id.eq(Id(folder)))
        .filter(
            placements::uid_validity
                .lt(current)
                .or(placements::uid_validity.gt(current)),
        )
        .select(placements::uid);
    let stale: Option<i64> = Limited::new(stale, 1).get_result(conn).await.optional()?;
    Ok(stale.is_some())
}
