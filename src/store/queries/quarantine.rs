//! SQL for messages that were set aside.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use crate::{
    model::{Result, id::TenantId},
    store::{
        quarantine::MAX_ASIDE,
        schema::quarantine,
        statement::Limited,
        types::{At, Id},
    },
};

pub(crate) async fn create(
    conn: &mut Connection,
    tenant: TenantId,
    folder: Uuid,
    uid_validity: i64,
    uid: i64,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    diesel::insert_into(quarantine::table)
        .values((
            quarantine::tenant_id.eq(Id(tenant.0)),
            quarantine::folder_id.eq(Id(folder)),
            quarantine::uid_validity.eq(uid_validity),
            quarantine::uid.eq(uid),
            quarantine::reason.eq(reason.to_owned()),
            quarantine::created_at.eq(At(now)),
            quarantine::tried_at.eq(Some(At(now))),
        ))
        .on_conflict((
            quarantine::tenant_id,
            quarantine::folder_id,
            quarantine::uid_validity,
            quarantine::uid,
        ))
        .do_update()
        .set((
            quarantine::reason.eq(reason.to_owned()),
            quarantine::tried_at.eq(Some(At(now))),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn list(
    conn: &mut Connection,
    tenant: TenantId,
    folders: &[Uuid],
) -> Result<Vec<(Id, i64, i64, Option<At>)>> {
    let folders: Vec<Id> = folders.iter().copied().map(Id).collect();
    let aside = quarantine::table
        .filter(quarantine::tenant_id.eq(Id(tenant.0)))
        .filter(quarantine::folder_id.eq_any(folders))
        .select((
            quarantine::folder_id,
            quarantine::uid_validity,
            quarantine::uid,
            quarantine::tried_at,
        ));
    Ok(Limited::new(aside, MAX_ASIDE).load(conn).await?)
}

pub(crate) async fn touch(
    conn: &mut Connection,
    tenant: TenantId,
    folder: Uuid,
    uid_validity: i64,
    uid: i64,
    now: DateTime<Utc>,
) -> Result<()> {
    diesel::update(quarantine::table.find((Id(tenant.0), Id(folder), uid_validity, uid)))
        .set(quarantine::tried_at.eq(Some(At(now))))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn delete(
    conn: &mut Connection,
    tenant: TenantId,
    folder: Uuid,
    uid_validity: i64,
    uids: &[i64],
) -> Result<()> {
    diesel::delete(
        quarantine::table
            .filter(quarantine::tenant_id.eq(Id(tenant.0)))
            .filter(quarantine::folder_id.eq(Id(folder)))
            .filter(quarantine::uid_validity.eq(uid_validity))
            .filter(quarantine::uid.eq_any(uids.to_vec())),
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn delete_stale(
    conn: &mut Connection,
    tenant: TenantId,
    folder: Uuid,
    uid_validity: i64,
) -> Result<()> {
    diesel::delete(
        quarantine::table
            .filter(quarantine::tenant_id.eq(Id(tenant.0)))
            .filter(quarantine::folder_id.eq(Id(folder)))
            .filter(quarantine::uid_validity.ne(uid_validity)),
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn hasten(conn: &mut Connection, tenant: TenantId, folders: &[Uuid]) -> Result<()> {
    let folders: Vec<Id> = folders.iter().copied().map(Id).collect();
    diesel::update(
        quarantine::table
            .filter(quarantine::tenant_id.eq(Id(tenant.0)))
            .filter(quarantine::folder_id.eq_any(folders)),
    )
    .set(quarantine::tried_at.eq(None::<At>))
    .execute(conn)
    .await?;
    Ok(())
}
