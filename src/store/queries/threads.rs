//! SQL for threads.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Backend, Connection, lock_threads, paged};
use crate::{
    model::{Result, caller::Visibility, id::TenantId, page::PageRequest},
    store::{
        messages::Row as MessageRow,
        schema::{mailboxes, messages, thread_refs, threads},
        statement::{Limited, Prepared},
        threads::Row,
        types::{At, Id},
    },
};

/// Makes threads, or stores what changed about those that are there, and then inserts what follows, as `insert_all!` does:
/// `save_threads!(conn, rows; …)`.
macro_rules! save_threads {
    ($conn:expr, $rows:expr $(; $($then:tt)*)?) => {
        insert_all!($conn, $rows, |row| threads {
            tenant_id: row.1,
            id: row.0.id,
            mailbox_id: row.0.mailbox_id,
            subject: row.0.subject,
            message_count: row.0.message_count,
            last_message_at: row.0.last_message_at,
            created_at: row.0.created_at,
        } on (tenant_id, id) set (subject, message_count, last_message_at) $(; $($then)*)?)
    };
}
pub(super) use save_threads;

pub(crate) async fn save(conn: &mut Connection, rows: Vec<(Row, Id)>) -> Result<()> {
    save_threads!(conn, rows);
    Ok(())
}

/// Threads in the mailboxes that the caller sees.
macro_rules! visible {
    ($tenant:expr, $seen:expr) => {{
        let query = threads::table
            .filter(threads::tenant_id.eq(Id($tenant.0)))
            .select(Row::as_select())
            .into_boxed::<Backend>();
        match $seen {
            Visibility::All => query,
            Visibility::CreatedBy(member) => query.filter(
                threads::mailbox_id.eq_any(
                    mailboxes::table
                        .filter(mailboxes::tenant_id.eq(Id($tenant.0)))
                        .filter(mailboxes::created_by.eq(Some(Id(member))))
                        .select(mailboxes::id),
                ),
            ),
        }
    }};
}

pub(crate) async fn get(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    id: Uuid,
) -> Result<Option<Row>> {
    let merged = threads::table
        .find((Id(tenant.0), Id(id)))
        .select(threads::merged_into);
    let Some(merged_into) = merged.get_result::<Option<Id>>(conn).await.optional()? else {
        return Ok(None);
    };
    let id = merged_into.map_or(id, Uuid::from);
    let query = visible!(tenant, seen)
        .filter(threads::id.eq(Id(id)))
        .filter(threads::message_count.gt(0));
    Ok(query.get_result(conn).await.optional()?)
}

/// A thread with its newest messages, newest first: a row for each message.
pub(crate) async fn get_with_newest(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    id: Uuid,
    limit: i64,
) -> Result<Vec<(Row, MessageRow)>> {
    let query = messages::table
        .inner_join(
            threads::table.on(threads::tenant_id
                .eq(messages::tenant_id)
                .and(threads::id.eq(messages::thread_id))),
        )
        .filter(messages::tenant_id.eq(Id(tenant.0)))
        .filter(messages::thread_id.eq(Id(id)))
        .filter(messages::deleted_at.is_null())
        .order((messages::sent_at.desc(), messages::id.desc()))
        .select((Row::as_select(), MessageRow::as_select()));
    Ok(match seen {
        Visibility::All => load_fixed!(conn, Limited::new(query, limit)),
        Visibility::CreatedBy(member) => {
            let created = mailboxes::table
                .filter(mailboxes::tenant_id.eq(Id(tenant.0)))
                .filter(mailboxes::created_by.eq(Some(Id(member))))
                .select(mailboxes::id);
            let query = query.filter(messages::mailbox_id.eq_any(created));
            load_fixed!(conn, Limited::new(query, limit))
        }
    })
}

pub(crate) async fn lock(conn: &mut Connection, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<Row>> {
    lock_threads(conn, Id(tenant.0), super::ids(ids)).await
}

pub(crate) async fn list(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    mailbox: Option<Uuid>,
    page: PageRequest,
) -> Result<Vec<Row>> {
    // Written out, not bound: the condition of a partial index is met by the same words only.
    let mut query = visible!(tenant, seen).filter(diesel::dsl::sql::<diesel::sql_types::Bool>(
        "threads.message_count > 0",
    ));
    if let Some(mailbox) = mailbox {
        query = query.filter(threads::mailbox_id.eq(Id(mailbox)));
    }
    Ok(
        Prepared(paged!(query, threads::last_message_at, threads::id, page))
            .load(conn)
            .await?,
    )
}

/// A message's thread, time and id, and its participants as they are stored.
pub(crate) type ParticipantsRow = (Id, At, Id, String);

pub(crate) async fn participants(
    conn: &mut Connection,
    tenant: TenantId,
    ids: &[Uuid],
) -> Result<Vec<ParticipantsRow>> {
    Ok(messages::table
        .filter(messages::tenant_id.eq(Id(tenant.0)))
        .filter(messages::thread_id.eq_any(super::ids(ids)))
        .filter(messages::deleted_at.is_null())
        .select((
            messages::thread_id,
            messages::sent_at,
            messages::id,
            messages::participants,
        ))
        .load(conn)
        .await?)
}

pub(crate) async fn last_sent(conn: &mut Connection, tenant: TenantId, id: Uuid) -> Result<Option<At>> {
    let last = messages::table
        .filter(messages::tenant_id.eq(Id(tenant.0)))
        .filter(messages::thread_id.eq(Id(id)))
        .filter(messages::deleted_at.is_null())
        .order((messages::sent_at.desc(), messages::id.desc()))
        .select(messages::sent_at);
    Ok(Limited::new(last, 1).get_result(conn).await.optional()?)
}

pub(crate) async fn merge(conn: &mut Connection, tenant: TenantId, from: Uuid, into: Uuid) -> Result<()> {
    let (tenant, from, into) = (Id(tenant.0), Id(from), Id(into));
    let messages = messages::table
        .filter(messages::tenant_id.eq(tenant))
        .filter(messages::thread_id.eq(from));
    let refs = thread_refs::table
        .filter(thread_refs::tenant_id.eq(tenant))
        .filter(thread_refs::thread_id.eq(from));
    let merged = threads::table
        .filter(threads::tenant_id.eq(tenant))
        .filter(threads::merged_into.eq(Some(from)));
    let messages = diesel::update(messages).set(messages::thread_id.eq(into));
    let refs = diesel::update(refs).set(thread_refs::thread_id.eq(into));
    let merged = diesel::update(merged).set(threads::merged_into.eq(Some(into)));
    let empty = diesel::update(threads::table.find((tenant, from)))
        .set((threads::merged_into.eq(Some(into)), threads::message_count.eq(0)));
    together!(
        conn,
        Ok(Prepared(messages).execute(conn).await?),
        Ok(Prepared(refs).execute(conn).await?),
        Ok(Prepared(merged).execute(conn).await?),
        Ok(Prepared(empty).execute(conn).await?),
    )?;
    Ok(())
}

/// The columns of a [`crate::model::thread::Node`].
pub(crate) type NodeRow = (Id, Option<String>, Option<String>, String, At);

/// The live messages of a thread.
macro_rules! in_thread {
    ($tenant:expr, $thread:expr) => {
        messages::table
            .filter(messages::tenant_id.eq(Id($tenant.0)))
            .filter(messages::thread_id.eq(Id($thread)))
            .filter(messages::deleted_at.is_null())
    };
}

pub(crate) async fn nodes(
    conn: &mut Connection,
    tenant: TenantId,
    thread: Uuid,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    limit: i64,
) -> Result<Vec<NodeRow>> {
    let nodes = in_thread!(tenant, thread)
        .filter(messages::sent_at.ge(At(from)))
        .filter(messages::sent_at.le(At(to)))
        .order((messages::sent_at, messages::id))
        .select((
            messages::id,
            messages::message_id,
            messages::in_reply_to,
            messages::refs,
            messages::sent_at,
        ));
    Ok(Limited::new(nodes, limit).load(conn).await?)
}

pub(crate) async fn sent_at_place(
    conn: &mut Connection,
    tenant: TenantId,
    thread: Uuid,
    place: i64,
) -> Result<Option<At>> {
    Ok(in_thread!(tenant, thread)
        .order((messages::sent_at, messages::id))
        .offset(place)
        .limit(1)
        .select(messages::sent_at)
        .get_result(conn)
        .await
        .optional()?)
}

pub(crate) async fn count_before(
    conn: &mut Connection,
    tenant: TenantId,
    thread: Uuid,
    at: DateTime<Utc>,
) -> Result<i64> {
    let before = in_thread!(tenant, thread).filter(messages::sent_at.lt(At(at)));
    Ok(before.count().get_result(conn).await?)
}

pub(crate) async fn count_after(
    conn: &mut Connection,
    tenant: TenantId,
    thread: Uuid,
    at: DateTime<Utc>,
) -> Result<i64> {
    let after = in_thread!(tenant, thread).filter(messages::sent_at.gt(At(at)));
    Ok(after.count().get_result(conn).await?)
}
