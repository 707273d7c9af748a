//! SQL for the operator's figures. What waits is counted up to a limit, whatever there is.

use diesel::{
    dsl::{count_star, sql},
    prelude::*,
    sql_types::BigInt,
};
use diesel_async::RunQueryDsl;

use super::Connection;
use crate::{
    model::{Result, id::TenantId},
    store::{
        figures::{FactsRow, FailingRow},
        schema::{mailboxes, webhook_endpoints},
        statement::Limited,
        types::Id,
    },
};

pub(crate) async fn mailboxes(conn: &mut Connection) -> Result<Vec<FactsRow>> {
    let facts = (
        mailboxes::enabled,
        mailboxes::has_credentials,
        mailboxes::connected_before,
        mailboxes::phase,
    );
    Ok(mailboxes::table
        .filter(mailboxes::retired_at.is_null())
        .group_by(facts)
        .select((
            mailboxes::enabled,
            mailboxes::has_credentials,
            mailboxes::connected_before,
            mailboxes::phase,
            count_star(),
        ))
        .load(conn)
        .await?)
}

pub(crate) async fn mailboxes_of(conn: &mut Connection, tenants: &[TenantId]) -> Result<Vec<(Id, FactsRow)>> {
    let tenants: Vec<Id> = tenants.iter().map(|tenant| Id(tenant.0)).collect();
    Ok(mailboxes::table
        .filter(mailboxes::tenant_id.eq_any(tenants))
        .filter(mailboxes::retired_at.is_null())
        .group_by((
            mailboxes::tenant_id,
            mailboxes::enabled,
            mailboxes::has_credentials,
            mailboxes::connected_before,
            mailboxes::phase,
        ))
        .select((
            mailboxes::tenant_id,
            (
                mailboxes::enabled,
                mailboxes::has_credentials,
                mailboxes::connected_before,
                mailboxes::phase,
                count_star(),
            ),
        ))
        .load(conn)
        .await?)
}

/// The rows that this finds, counted up to a limit.
macro_rules! counted {
    ($conn:expr, $found:literal, $most:expr) => {{
        let count = sql::<BigInt>(concat!(
            "(SELECT count(*) FROM (SELECT 1 FROM ",
            $found,
            " LIMIT "
        ))
        .bind::<BigInt, _>($most)
        .sql(") AS found)");
        Ok(diesel::select(count).get_result($conn).await?)
    }};
}

pub(crate) async fn unindexed(conn: &mut Connection, most: i64) -> Result<i64> {
    counted!(conn, "search_queue", most)
}

pub(crate) async fn undelivered(conn: &mut Connection, most: i64) -> Result<i64> {
    counted!(conn, "webhook_deliveries WHERE due_at IS NOT NULL", most)
}

pub(crate) async fn count_failing(conn: &mut Connection, most: i64) -> Result<i64> {
    counted!(
        conn,
        "webhook_endpoints WHERE failing_since IS NOT NULL AND enabled",
        most
    )
}

pub(crate) async fn list_failing(conn: &mut Connection, limit: i64) -> Result<Vec<FailingRow>> {
    let failing = webhook_endpoints::table
        .filter(webhook_endpoints::failing_since.is_not_null())
        .order(webhook_endpoints::failing_since)
        .select((
            webhook_endpoints::tenant_id,
            webhook_endpoints::id,
            webhook_endpoints::url,
            webhook_endpoints::enabled,
            webhook_endpoints::failures,
            webhook_endpoints::failing_since,
        ));
    Ok(Limited::new(failing, limit).load(conn).await?)
}
