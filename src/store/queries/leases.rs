//! SQL for leases. The database's clock decides, not the node's.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use crate::{
    model::{Result, id::TenantId, lease::Lease},
    store::{
        leases::{LEASE_SECONDS, Row},
        mailboxes::Row as MailboxRow,
        schema::{mailbox_leases, mailboxes},
        statement::Limited,
        types::{At, Id},
    },
};

/// The leases of mailboxes that can be connected, the one that ran out first before the others.
macro_rules! claimable {
    ($which:expr) => {
        mailbox_leases::table
            .filter($which)
            .filter(diesel::dsl::exists(
                mailboxes::table
                    .filter(mailboxes::tenant_id.eq(mailbox_leases::tenant_id))
                    .filter(mailboxes::id.eq(mailbox_leases::mailbox_id))
                    .filter(mailboxes::enabled.eq(true))
                    .filter(mailboxes::has_credentials.eq(true))
                    .filter(mailboxes::halted.eq(false))
                    .filter(mailboxes::retired_at.is_null()),
            ))
            .select((mailbox_leases::tenant_id, mailbox_leases::mailbox_id))
            .order(mailbox_leases::until)
    };
}

pub(crate) async fn claim(conn: &mut Connection, owner: &str, limit: i64) -> Result<Vec<Row>> {
    let free = claimable!(mailbox_leases::until.le(db_now!()));
    let free = skip_locked!(limited!(free, limit)).load(conn).await?;
    take_all(conn, owner, free).await
}

pub(crate) async fn retake(conn: &mut Connection, owner: &str, limit: i64) -> Result<Vec<Row>> {
    let held = claimable!(mailbox_leases::owner.eq(Some(owner)));
    let held = skip_locked!(limited!(held, limit)).load(conn).await?;
    take_all(conn, owner, held).await
}

async fn take_all(conn: &mut Connection, owner: &str, keys: Vec<(Id, Id)>) -> Result<Vec<Row>> {
    let mut taken = Vec::with_capacity(keys.len());
    for key in keys {
        taken.push(take(conn, owner, key).await?);
    }
    Ok(taken)
}

pub(crate) async fn list(conn: &mut Connection, owner: &str, limit: i64) -> Result<Vec<Row>> {
    let held = mailbox_leases::table
        .filter(mailbox_leases::owner.eq(Some(owner)))
        .filter(mailbox_leases::until.gt(db_now!()))
        .select((
            mailbox_leases::tenant_id,
            mailbox_leases::mailbox_id,
            mailbox_leases::epoch,
        ));
    Ok(Limited::new(held, limit).load(conn).await?)
}

async fn take(conn: &mut Connection, owner: &str, key: (Id, Id)) -> Result<Row> {
    Ok(diesel::update(mailbox_leases::table.find(key))
        .set((
            mailbox_leases::owner.eq(Some(owner.to_owned())),
            mailbox_leases::epoch.eq(mailbox_leases::epoch + 1),
            mailbox_leases::until.eq(db_later!(LEASE_SECONDS)),
        ))
        .returning((
            mailbox_leases::tenant_id,
            mailbox_leases::mailbox_id,
            mailbox_leases::epoch,
        ))
        .get_result::<Row>(conn)
        .await?)
}

pub(crate) async fn free(conn: &mut Connection) -> Result<()> {
    diesel::update(mailbox_leases::table)
        .set(mailbox_leases::until.eq(db_now!()))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn time(conn: &mut Connection) -> Result<At> {
    Ok(diesel::select(db_now!()).get_result(conn).await?)
}

pub(crate) async fn renew(conn: &mut Connection, owner: &str) -> Result<usize> {
    let held = mailbox_leases::table
        .filter(mailbox_leases::owner.eq(Some(owner)))
        .filter(mailbox_leases::until.gt(db_now!()));
    Ok(diesel::update(held)
        .set(mailbox_leases::until.eq(db_later!(LEASE_SECONDS)))
        .execute(conn)
        .await?)
}

pub(crate) async fn release(conn: &mut Connection, lease: Lease) -> Result<()> {
    let held = mailbox_leases::table
        .find((Id(lease.tenant.0), Id(lease.mailbox)))
        .filter(mailbox_leases::epoch.eq(lease.epoch));
    diesel::update(held)
        .set((
            mailbox_leases::owner.eq(None::<String>),
            mailbox_leases::until.eq(db_now!()),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn revoke(conn: &mut Connection, tenant: TenantId, mailbox: Uuid) -> Result<()> {
    diesel::update(mailbox_leases::table.find((Id(tenant.0), Id(mailbox))))
        .set((
            mailbox_leases::owner.eq(None::<String>),
            mailbox_leases::epoch.eq(mailbox_leases::epoch + 1),
            mailbox_leases::until.eq(db_now!()),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// The mailbox's row, which is locked before the epoch of its lease is read.
pub(crate) async fn lock_mailbox(
    conn: &mut Connection,
    tenant: TenantId,
    mailbox: Uuid,
) -> Result<(Option<MailboxRow>, Option<i64>)> {
    let key = (Id(tenant.0), Id(mailbox));
    let epoch = mailbox_leases::table.find(key).select(mailbox_leases::epoch);
    let mailbox = mailboxes::table.find(key).select(MailboxRow::as_select());
    together!(
        conn,
        Ok(locked!(mailbox).get_result(conn).await.optional()?),
        Ok(epoch.get_result(conn).await.optional()?),
    )
}
