//! SQL for mailboxes and their logins.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Backend, Connection, paged};
use crate::{
    model::{
        Result,
        caller::Visibility,
        credentials::Auth,
        id::TenantId,
        mailbox::{MailboxFilter, Service, SyncProgress},
        message::address_key,
        page::PageRequest,
    },
    store::{
        logins::LoginRow,
        mailboxes::{Changes, Found, Relabel, Row},
        members,
        schema::{mailbox_credentials, mailbox_leases, mailboxes, members as members_table},
        statement::Prepared,
        types::{At, Id},
    },
};

pub(crate) async fn create(
    conn: &mut Connection,
    tenant: TenantId,
    row: &Row,
    address_key: &str,
) -> Result<bool> {
    let inserted = diesel::insert_into(mailboxes::table)
        .values((
            row,
            mailboxes::tenant_id.eq(Id(tenant.0)),
            mailboxes::address_key.eq(address_key.to_owned()),
        ))
        .on_conflict_do_nothing()
        .returning((mailboxes::id, mailboxes::created_at))
        .get_result::<(Id, At)>(conn)
        .await
        .optional()?;
    let Some((id, created_at)) = inserted else {
        return Ok(false);
    };
    diesel::insert_into(mailbox_leases::table)
        .values((
            mailbox_leases::tenant_id.eq(Id(tenant.0)),
            mailbox_leases::mailbox_id.eq(id),
            mailbox_leases::epoch.eq(0),
            mailbox_leases::until.eq(created_at),
        ))
        .execute(conn)
        .await?;
    Ok(true)
}

/// Mailboxes of a tenant with the member who created them.
macro_rules! created {
    ($tenant:expr) => {
        mailboxes::table
            .left_join(
                members_table::table.on(members_table::tenant_id
                    .eq(mailboxes::tenant_id)
                    .and(members_table::id.nullable().eq(mailboxes::created_by))),
            )
            .filter(mailboxes::tenant_id.eq(Id($tenant.0)))
            .select((Row::as_select(), Option::<members::Row>::as_select()))
    };
}

/// The same, as the caller sees them.
macro_rules! visible {
    ($tenant:expr, $seen:expr) => {{
        let query = created!($tenant).into_boxed::<Backend>();
        match $seen {
            Visibility::All => query,
            Visibility::CreatedBy(member) => query.filter(mailboxes::created_by.eq(Some(Id(member)))),
        }
    }};
}

pub(crate) async fn get(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    id: Uuid,
) -> Result<Option<Found>> {
    let query = created!(tenant).filter(mailboxes::id.eq(Id(id)));
    let found: Vec<Found> = match seen {
        Visibility::All => load_fixed!(conn, query),
        Visibility::CreatedBy(member) => {
            load_fixed!(conn, query.filter(mailboxes::created_by.eq(Some(Id(member)))))
        }
    };
    Ok(found.into_iter().next())
}

pub(crate) async fn lock(conn: &mut Connection, tenant: TenantId, id: Uuid) -> Result<Option<Row>> {
    let query = mailboxes::table
        .find((Id(tenant.0), Id(id)))
        .select(Row::as_select());
    Ok(locked!(query).get_result(conn).await.optional()?)
}

pub(crate) async fn find(conn: &mut Connection, tenant: TenantId, address_key: &str) -> Result<Option<Id>> {
    Ok(mailboxes::table
        .filter(mailboxes::tenant_id.eq(Id(tenant.0)))
        .filter(mailboxes::address_key.eq(address_key))
        .filter(mailboxes::retired_at.is_null())
        .select(mailboxes::id)
        .get_result(conn)
        .await
        .optional()?)
}

pub(crate) async fn list(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    filter: &MailboxFilter,
    page: PageRequest,
) -> Result<Vec<Found>> {
    let MailboxFilter {
        address,
        provider,
        enabled,
        agent_id,
        team_id,
        include_retired,
    } = filter;
    let mut query = visible!(tenant, seen);
    if let Some(address) = address {
        query = query.filter(mailboxes::address_key.eq(address_key(address)));
    }
    if let Some(provider) = provider {
        query = query.filter(mailboxes::provider.eq(provider.as_str()));
    }
    if let Some(enabled) = enabled {
        query = query.filter(mailboxes::enabled.eq(*enabled));
    }
    if let Some(agent) = agent_id {
        query = query.filter(mailboxes::agent_id.eq(Some(Id(*agent))));
    }
    if let Some(team) = team_id {
        query = query.filter(mailboxes::team_id.eq(Some(Id(*team))));
    }
    if !include_retired {
        query = query.filter(mailboxes::retired_at.is_null());
    }
    Ok(load!(
        conn,
        paged!(query, mailboxes::created_at, mailboxes::id, page)
    ))
}

pub(crate) async fn update(
    conn: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    changes: &Changes,
) -> Result<()> {
    Prepared(diesel::update(mailboxes::table.find((Id(tenant.0), Id(id)))).set(changes))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn relabel(conn: &mut Connection, change: Relabel) -> Result<Option<(Row, bool)>> {
    super::relabel(conn, change).await
}

pub(crate) async fn retire(
    conn: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<()> {
    diesel::update(mailboxes::table.find((Id(tenant.0), Id(id))))
        .set((
            mailboxes::retired_at.eq(Some(At(now))),
            mailboxes::enabled.eq(false),
            mailboxes::has_credentials.eq(false),
            mailboxes::message_count.eq(0),
            mailboxes::sync_folder.eq(None::<String>),
            mailboxes::updated_at.eq(At(now)),
        ))
        .execute(conn)
        .await?;
    diesel::delete(
        mailbox_credentials::table
            .filter(mailbox_credentials::tenant_id.eq(Id(tenant.0)))
            .filter(mailbox_credentials::mailbox_id.eq(Id(id))),
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn add_message_count(
    conn: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    delta: i64,
) -> Result<()> {
    let mailbox = mailboxes::table.find((Id(tenant.0), Id(id)));
    Prepared(diesel::update(mailbox).set(mailboxes::message_count.eq(mailboxes::message_count + delta)))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn set_progress(
    conn: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    progress: Option<&SyncProgress>,
) -> Result<()> {
    let progressing = diesel::update(mailboxes::table.find((Id(tenant.0), Id(id)))).set((
        mailboxes::sync_folder.eq(progress.map(|progress| progress.folder.clone())),
        mailboxes::sync_done.eq(progress.map_or(0, |progress| progress.done)),
        mailboxes::sync_total.eq(progress.map_or(0, |progress| progress.total)),
    ));
    Prepared(progressing).execute(conn).await?;
    Ok(())
}

pub(crate) async fn end_backfill(
    conn: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    at: DateTime<Utc>,
) -> Result<()> {
    diesel::update(mailboxes::table.find((Id(tenant.0), Id(id))))
        .set((
            mailboxes::sync_folder.eq(None::<String>),
            mailboxes::sync_done.eq(0),
            mailboxes::sync_total.eq(0),
            mailboxes::backfilled_at.eq(Some(At(at))),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn set_last_synced(
    conn: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    at: DateTime<Utc>,
) -> Result<()> {
    let mailbox = mailboxes::table.find((Id(tenant.0), Id(id)));
    Prepared(diesel::update(mailbox).set(mailboxes::last_synced_at.eq(Some(At(at)))))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn set_login(
    conn: &mut Connection,
    tenant: TenantId,
    mailbox: Uuid,
    service: Service,
    row: &LoginRow,
) -> Result<()> {
    diesel::insert_into(mailbox_credentials::table)
        .values((
            row,
            mailbox_credentials::tenant_id.eq(Id(tenant.0)),
            mailbox_credentials::mailbox_id.eq(Id(mailbox)),
            mailbox_credentials::service.eq(service.as_str()),
        ))
        .on_conflict((
            mailbox_credentials::tenant_id,
            mailbox_credentials::mailbox_id,
            mailbox_credentials::service,
        ))
        .do_update()
        .set(row)
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn get_login(
    conn: &mut Connection,
    tenant: TenantId,
    mailbox: Uuid,
    service: Service,
) -> Result<Option<LoginRow>> {
    Ok(mailbox_credentials::table
        .find((Id(tenant.0), Id(mailbox), service.as_str()))
        .select(LoginRow::as_select())
        .get_result(conn)
        .await
        .optional()?)
}

pub(crate) async fn swap_tokens(
    conn: &mut Connection,
    tenant: TenantId,
    mailbox: Uuid,
    service: Service,
    read: &[u8],
    new: &[u8],
) -> Result<bool> {
    let row = mailbox_credentials::table.find((Id(tenant.0), Id(mailbox), service.as_str()));
    let swapped = diesel::update(
        row.filter(mailbox_credentials::auth.eq(Auth::OAuth2.as_str()))
            .filter(mailbox_credentials::secret.eq(read.to_vec())),
    )
    .set(mailbox_credentials::secret.eq(new.to_vec()))
    .execute(conn)
    .await?;
    Ok(swapped == 1)
}

pub(crate) async fn delete_login(
    conn: &mut Connection,
    tenant: TenantId,
    mailbox: Uuid,
    service: Service,
) -> Result<()> {
    diesel::delete(mailbox_credentials::table.find((Id(tenant.0), Id(mailbox), service.as_str())))
        .execute(conn)
        .await?;
    Ok(())
}
