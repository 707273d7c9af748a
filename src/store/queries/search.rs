//! SQL for the full-text index; what differs between the databases is `write_words` of the file above.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use uuid::Uuid;

use super::{BOTH, Connection, render, write_words};
use crate::{
    model::{Result, id::TenantId},
    store::{
        schema::{message_bodies, messages, search_queue},
        search::{IndexJob, QueueRow, Sought, Words},
        statement::{Limited, Prepared},
        types::{At, Id},
    },
};

/// How the words that are sought are written for this database.
pub(crate) fn render_all((words, subject): Sought<'_>) -> String {
    let words = words.map(|query| render(query, false));
    let subject = subject.map(|query| render(query, true));
    words.into_iter().chain(subject).collect::<Vec<_>>().join(BOTH)
}

pub(crate) async fn count(
    conn: &mut Connection,
    tenant: TenantId,
    sought: Sought<'_>,
    limit: i64,
) -> Result<i64> {
    let counted = diesel::select(count_hits!(tenant.0, render_all(sought), limit));
    Ok(counted.get_result(conn).await?)
}

pub(crate) async fn queue(conn: &mut Connection, rows: Vec<QueueRow>) -> Result<()> {
    insert_all!(conn, rows, |row| search_queue {
        tenant_id: row.tenant_id,
        message_id: row.message_id,
        queued_at: row.queued_at,
    } on (tenant_id, message_id) set (queued_at));
    Ok(())
}

pub(crate) async fn list_jobs(conn: &mut Connection, limit: i64) -> Result<Vec<(Id, Id, At)>> {
    let jobs = search_queue::table
        .order((
            search_queue::queued_at,
            search_queue::tenant_id,
            search_queue::message_id,
        ))
        .select((
            search_queue::tenant_id,
            search_queue::message_id,
            search_queue::queued_at,
        ));
    Ok(Limited::new(jobs, limit).load(conn).await?)
}

/// The columns of an [`crate::store::Indexed`].
pub(crate) type IndexedRow = (Id, Option<String>, String, Option<String>);

pub(crate) async fn list_indexed(
    conn: &mut Connection,
    tenant: TenantId,
    messages: &[Uuid],
) -> Result<Vec<IndexedRow>> {
    let indexed = messages::table
        .left_join(
            message_bodies::table.on(message_bodies::tenant_id
                .eq(messages::tenant_id)
                .and(message_bodies::message_id.eq(messages::id))),
        )
        .filter(messages::tenant_id.eq(Id(tenant.0)))
        .filter(messages::id.eq_any(super::ids(messages)))
        .filter(messages::deleted_at.is_null())
        .select((
            messages::id,
            messages::subject,
            messages::participants,
            message_bodies::text.nullable(),
        ));
    Ok(Prepared(indexed).load(conn).await?)
}

pub(crate) async fn index(conn: &mut Connection, work: Vec<(IndexJob, Option<Words>)>) -> Result<()> {
    write_words(conn, work).await
}
