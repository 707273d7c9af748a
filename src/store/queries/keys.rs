//! SQL for API keys.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Connection, paged};
use crate::{
    model::{Result, id::TenantId, key::KeyHash, page::PageRequest},
    store::{
        keys::{Found, Row},
        members,
        schema::{api_keys, members as members_table, tenants as tenants_table},
        tenants,
        types::{At, Id},
    },
};

pub(crate) async fn create(conn: &mut Connection, tenant: TenantId, row: &Row, hash: &KeyHash) -> Result<()> {
    diesel::insert_into(api_keys::table)
        .values((
            row,
            api_keys::tenant_id.eq(Id(tenant.0)),
            api_keys::hash.eq(hash.to_vec()),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// A key with its tenant and its member, in one query.
macro_rules! with_owner {
    () => {
        api_keys::table
            .inner_join(tenants_table::table.on(tenants_table::id.eq(api_keys::tenant_id)))
            .left_join(
                members_table::table.on(members_table::tenant_id
                    .eq(api_keys::tenant_id)
                    .and(members_table::id.nullable().eq(api_keys::member_id))),
            )
            .select((
                Row::as_select(),
                api_keys::hash,
                tenants::Row::as_select(),
                Option::<members::Row>::as_select(),
            ))
    };
}

pub(crate) async fn find(conn: &mut Connection, lookup: &str) -> Result<Option<Found>> {
    Ok(with_owner!()
        .filter(api_keys::lookup.eq(lookup))
        .get_result(conn)
        .await
        .optional()?)
}

pub(crate) async fn get_credential(
    conn: &mut Connection,
    tenant: TenantId,
    id: Uuid,
) -> Result<Option<Found>> {
    Ok(with_owner!()
        .filter(api_keys::tenant_id.eq(Id(tenant.0)))
        .filter(api_keys::id.eq(Id(id)))
        .get_result(conn)
        .await
        .optional()?)
}

pub(crate) async fn get(conn: &mut Connection, tenant: TenantId, id: Uuid) -> Result<Option<Row>> {
    Ok(api_keys::table
        .find((Id(tenant.0), Id(id)))
        .select(Row::as_select())
        .get_result(conn)
        .await
        .optional()?)
}

pub(crate) async fn list(conn: &mut Connection, tenant: TenantId, page: PageRequest) -> Result<Vec<Row>> {
    let query = api_keys::table
        .filter(api_keys::tenant_id.eq(Id(tenant.0)))
        .select(Row::as_select())
        .into_boxed();
    Ok(paged!(query, api_keys::created_at, api_keys::id, page)
        .load(conn)
        .await?)
}

pub(crate) async fn revoke(
    conn: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<bool> {
    let live = api_keys::table
        .find((Id(tenant.0), Id(id)))
        .filter(api_keys::revoked_at.is_null());
    Ok(diesel::update(live)
        .set(api_keys::revoked_at.eq(Some(At(now))))
        .execute(conn)
        .await?
        > 0)
}

pub(crate) async fn rotate(
    conn: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    lookup: &str,
    hash: &KeyHash,
) -> Result<bool> {
    let live = api_keys::table
        .find((Id(tenant.0), Id(id)))
        .filter(api_keys::revoked_at.is_null());
    Ok(diesel::update(live)
        .set((api_keys::lookup.eq(lookup), api_keys::hash.eq(hash.to_vec())))
        .execute(conn)
        .await?
        > 0)
}
