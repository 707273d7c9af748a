//! SQL for the full-text index; what differs between the databases is `write_words` of the file above.

use diesel::{prelude::*, upsert::excluded};
use diesel_async::RunQueryDsl;

use super::{Connection, write_words};
use crate::{
    model::Result,
    store::{
        schema::search_queue,
        search::{IndexJob, QueueRow, Words},
        types::{At, Id},
    },
};

pub(crate) async fn queue(conn: &mut Connection, rows: Vec<QueueRow>) -> Result<()> {
    insert_all!(conn, rows, |row| diesel::insert_into(search_queue::table)
        .values(row)
        .on_conflict((search_queue::tenant_id, search_queue::message_id))
        .do_update()
        .set(search_queue::queued_at.eq(excluded(search_queue::queued_at))));
    Ok(())
}

pub(crate) async fn list_jobs(conn: &mut Connection, limit: i64) -> Result<Vec<(Id, Id, At)>> {
    Ok(search_queue::table
        .order((
            search_queue::queued_at,
            search_queue::tenant_id,
            search_queue::message_id,
        ))
        .limit(limit)
        .select((
            search_queue::tenant_id,
            search_queue::message_id,
            search_queue::queued_at,
        ))
        .load(conn)
        .await?)
}

pub(crate) async fn index(conn: &mut Connection, job: &IndexJob, words: Option<&Words>) -> Result<()> {
    write_words(conn, job, words).await?;
    diesel::delete(
        search_queue::table
            .find((Id(job.tenant.0), Id(job.message)))
            .filter(search_queue::queued_at.eq(At(job.queued_at))),
    )
    .execute(conn)
    .await?;
    Ok(())
}
