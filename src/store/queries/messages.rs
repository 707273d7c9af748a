//! SQL for messages.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Backend, Connection, find_messages, paged, search::render_all};
use crate::{
    model::{
        Result,
        caller::Visibility,
        id::TenantId,
        message::{MessageFilter, ParticipantKind, address_key},
        page::{PageRequest, Position},
    },
    store::{
        messages::{BodyRow, Found, FoundWhole, PresenceRow, Row},
        schema::{
            folders, mailboxes, message_addresses, message_bodies, message_raws, messages, placements,
            threads,
        },
        search::Sought,
        statement::{Limited, Prepared},
        types::{At, Id},
    },
};

pub(crate) async fn find(
    conn: &mut Connection,
    tenant: TenantId,
    mailbox: Uuid,
    keys: &[Vec<u8>],
) -> Result<Vec<(Vec<u8>, Id)>> {
    find_messages(conn, (Id(tenant.0), Id(mailbox)), keys).await
}

pub(crate) async fn find_earlier_generation(
    conn: &mut Connection,
    tenant: TenantId,
    folder: Uuid,
    current: i64,
    message_ids: &[String],
) -> Result<Vec<(Id, Option<String>, i64, At)>> {
    Ok(placements::table
        .inner_join(
            messages::table.on(messages::tenant_id
                .eq(placements::tenant_id)
                .and(messages::id.eq(placements::message_id))),
        )
        .filter(placements::tenant_id.eq(Id(tenant.0)))
        .filter(placements::folder_id.eq(Id(folder)))
        .filter(placements::uid_validity.ne(current))
        // Named for the index: without it every placement of the folder would be read.
        .filter(messages::tenant_id.eq(Id(tenant.0)))
        .filter(
            messages::mailbox_id.eq_any(
                folders::table
                    .find((Id(tenant.0), Id(folder)))
                    .select(folders::mailbox_id),
            ),
        )
        .filter(messages::message_id.eq_any(message_ids.to_vec()))
        .select((
            messages::id,
            messages::message_id,
            messages::size,
            messages::received_at,
        ))
        .load(conn)
        .await?)
}

pub(crate) async fn lock(
    conn: &mut Connection,
    tenant: TenantId,
    ids: &[Uuid],
) -> Result<Vec<(Row, Option<At>)>> {
    let query = messages::table
        .filter(messages::tenant_id.eq(Id(tenant.0)))
        .filter(messages::id.eq_any(super::ids(ids)))
        .order(messages::id)
        .select((Row::as_select(), messages::deleted_at));
    Ok(Prepared(locked!(query)).load(conn).await?)
}

pub(crate) async fn update_presence(
    conn: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    row: &PresenceRow,
) -> Result<()> {
    diesel::update(messages::table.find((Id(tenant.0), Id(id))))
        .set(row)
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn live_of_mailbox(
    conn: &mut Connection,
    tenant: TenantId,
    mailbox: Uuid,
) -> Result<Vec<Id>> {
    Ok(messages::table
        .filter(messages::tenant_id.eq(Id(tenant.0)))
        .filter(messages::mailbox_id.eq(Id(mailbox)))
        .filter(messages::deleted_at.is_null())
        .select(messages::id)
        .load(conn)
        .await?)
}

pub(crate) async fn delete_of_mailbox(
    conn: &mut Connection,
    tenant: TenantId,
    mailbox: Uuid,
    now: DateTime<Utc>,
) -> Result<()> {
    let live = messages::table
        .filter(messages::tenant_id.eq(Id(tenant.0)))
        .filter(messages::mailbox_id.eq(Id(mailbox)))
        .filter(messages::deleted_at.is_null());
    diesel::update(live)
        .set((
            messages::deleted_at.eq(Some(At(now))),
            messages::updated_at.eq(At(now)),
        ))
        .execute(conn)
        .await?;
    diesel::update(
        threads::table
            .filter(threads::tenant_id.eq(Id(tenant.0)))
            .filter(threads::mailbox_id.eq(Id(mailbox))),
    )
    .set(threads::message_count.eq(0))
    .execute(conn)
    .await?;
    Ok(())
}

/// Messages with their thread's count.
macro_rules! counted {
    () => {
        messages::table.inner_join(
            threads::table.on(threads::tenant_id
                .eq(messages::tenant_id)
                .and(threads::id.eq(messages::thread_id))),
        )
    };
}

/// The messages in mailboxes that a member created.
macro_rules! created_by {
    ($tenant:expr, $member:expr) => {
        messages::mailbox_id.eq_any(
            mailboxes::table
                .filter(mailboxes::tenant_id.eq(Id($tenant.0)))
                .filter(mailboxes::created_by.eq(Some(Id($member))))
                .select(mailboxes::id),
        )
    };
}

/// Narrows a boxed query to the mailboxes that the caller sees.
macro_rules! visible {
    ($query:expr, $tenant:expr, $seen:expr) => {
        match $seen {
            Visibility::All => $query,
            Visibility::CreatedBy(member) => $query.filter(created_by!($tenant, member)),
        }
    };
}

pub(crate) async fn get(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    id: Uuid,
) -> Result<Option<FoundWhole>> {
    let query = counted!()
        .left_join(
            message_bodies::table.on(message_bodies::tenant_id
                .eq(messages::tenant_id)
                .and(message_bodies::message_id.eq(messages::id))),
        )
        .filter(messages::tenant_id.eq(Id(tenant.0)))
        .filter(messages::id.eq(Id(id)))
        .filter(messages::deleted_at.is_null())
        .select((
            Row::as_select(),
            threads::message_count,
            Option::<BodyRow>::as_select(),
        ));
    let found: Vec<FoundWhole> = match seen {
        Visibility::All => load_fixed!(conn, query),
        Visibility::CreatedBy(member) => {
            load_fixed!(conn, query.filter(created_by!(tenant, member)))
        }
    };
    Ok(found.into_iter().next())
}

pub(crate) async fn get_many(conn: &mut Connection, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<Found>> {
    let query = counted!()
        .filter(messages::tenant_id.eq(Id(tenant.0)))
        .filter(messages::id.eq_any(super::ids(ids)))
        .filter(messages::deleted_at.is_null())
        .select((Row::as_select(), threads::message_count));
    Ok(Prepared(query).load(conn).await?)
}

pub(crate) async fn bodies(conn: &mut Connection, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<BodyRow>> {
    let query = message_bodies::table
        .filter(message_bodies::tenant_id.eq(Id(tenant.0)))
        .filter(message_bodies::message_id.eq_any(super::ids(ids)))
        .select(BodyRow::as_select());
    Ok(Prepared(query).load(conn).await?)
}

/// The messages that name this address in one of these header fields.
macro_rules! naming {
    ($tenant:expr, $address:expr, $kinds:expr) => {
        messages::id.eq_any(
            message_addresses::table
                .filter(message_addresses::tenant_id.eq(Id($tenant.0)))
                .filter(message_addresses::address_key.eq(address_key($address)))
                .filter(message_addresses::kind.eq_any($kinds.map(ParticipantKind::as_str)))
                .select(message_addresses::message_id),
        )
    };
}

/// Narrows a boxed query to what a filter names beside words.
macro_rules! narrowed {
    ($query:expr, $tenant:expr, $filter:expr) => {{
        let (mut query, tenant, filter) = ($query, $tenant, $filter);
        if let Some(mailbox) = filter.mailbox_id {
            query = query.filter(messages::mailbox_id.eq(Id(mailbox)));
        }
        if let Some(thread) = filter.thread_id {
            query = query.filter(messages::thread_id.eq(Id(thread)));
        }
        if let Some(folder) = filter.folder_id {
            let placed = placements::table
                .filter(placements::tenant_id.eq(Id(tenant.0)))
                .filter(placements::folder_id.eq(Id(folder)))
                .select(placements::message_id);
            query = query.filter(messages::id.eq_any(placed));
        }
        if let Some(from) = &filter.from {
            query = query.filter(naming!(tenant, from, [ParticipantKind::From]));
        }
        if let Some(to) = &filter.to {
            let kinds = [ParticipantKind::To, ParticipantKind::Cc, ParticipantKind::Bcc];
            query = query.filter(naming!(tenant, to, kinds));
        }
        if let Some(unread) = filter.unread {
            query = query.filter(messages::unread.eq(unread));
        }
        if let Some(incoming) = filter.incoming {
            query = query.filter(messages::incoming.eq(incoming));
        }
        if let Some(has) = filter.has_attachments {
            query = query.filter(messages::has_attachments.eq(has));
        }
        if let Some(after) = filter.received_after {
            query = query.filter(messages::received_at.ge(At(after)));
        }
        if let Some(before) = filter.received_before {
            query = query.filter(messages::received_at.lt(At(before)));
        }
        query
    }};
}

/// The live messages of a tenant.
macro_rules! live {
    ($from:expr, $tenant:expr) => {
        $from
            .filter(messages::tenant_id.eq(Id($tenant.0)))
            .filter(messages::deleted_at.is_null())
    };
}

pub(crate) async fn list(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    filter: &MessageFilter,
    page: PageRequest,
) -> Result<Vec<Found>> {
    let query = live!(counted!(), tenant).select((Row::as_select(), threads::message_count));
    let is_plain = seen == Visibility::All && filter.is_empty();
    if is_plain && page.after.is_none() {
        let newest = query.order((messages::received_at.desc(), messages::id.desc()));
        let rows = i64::from(page.limit) + 1;
        return Ok(load_fixed!(conn, Limited::new(newest, rows)));
    }
    let query = visible!(query.into_boxed::<Backend>(), tenant, seen);
    let query = narrowed!(query, tenant, filter);
    Ok(load!(
        conn,
        paged!(query, messages::received_at, messages::id, page)
    ))
}

/// Messages whose words match, of which there are few: all are found first, and then put in order.
pub(crate) async fn list_hits(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    filter: &MessageFilter,
    sought: Sought<'_>,
    page: PageRequest,
) -> Result<Vec<Found>> {
    let query = counted!()
        .filter(messages::tenant_id.eq(Id(tenant.0)))
        .filter(live_hit!())
        .filter(words_match!(tenant.0, render_all(sought)))
        .select((Row::as_select(), threads::message_count))
        .into_boxed::<Backend>();
    let query = narrowed!(visible!(query, tenant, seen), tenant, filter);
    Ok(load!(
        conn,
        paged!(query, messages::received_at, messages::id, page)
    ))
}

/// The places of the next messages in the list, so many at most, each with whether its words match.
pub(crate) async fn look(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    filter: &MessageFilter,
    sought: Sought<'_>,
    (after, count): (Option<Position>, i64),
) -> Result<Vec<(At, Id, bool)>> {
    let query = live!(messages::table, tenant)
        .order((messages::received_at.desc(), messages::id.desc()))
        .into_boxed::<Backend>();
    let mut query = narrowed!(visible!(query, tenant, seen), tenant, filter);
    if let Some(after) = after {
        query = query.filter(
            messages::received_at.le(At(after.at)).and(
                messages::received_at
                    .lt(At(after.at))
                    .or(messages::id.lt(Id(after.id))),
            ),
        );
    }
    Ok(looked!(conn, query, count, tenant.0, render_all(sought)))
}

pub(crate) async fn newest_of_thread(
    conn: &mut Connection,
    tenant: TenantId,
    thread: Uuid,
    limit: i64,
) -> Result<Vec<Found>> {
    let newest = counted!()
        .filter(messages::tenant_id.eq(Id(tenant.0)))
        .filter(messages::thread_id.eq(Id(thread)))
        .filter(messages::deleted_at.is_null())
        .order((messages::sent_at.desc(), messages::id.desc()))
        .select((Row::as_select(), threads::message_count));
    Ok(Limited::new(newest, limit).load(conn).await?)
}

pub(crate) async fn get_raw(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    id: Uuid,
) -> Result<Option<(i64, Vec<u8>, Option<Vec<u8>>)>> {
    let query = messages::table
        .left_join(
            message_raws::table.on(message_raws::tenant_id
                .eq(messages::tenant_id)
                .and(message_raws::message_id.eq(messages::id))),
        )
        .filter(messages::tenant_id.eq(Id(tenant.0)))
        .filter(messages::id.eq(Id(id)))
        .filter(messages::deleted_at.is_null())
        .select((messages::size, messages::sha256, message_raws::data.nullable()))
        .into_boxed::<Backend>();
    Ok(visible!(query, tenant, seen).get_result(conn).await.optional()?)
}
