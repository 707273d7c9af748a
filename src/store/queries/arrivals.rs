//! SQL for new messages.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection, find_messages, find_refs, place, plan_anew as plan_by_values, plan_once,
    threads::save_threads,
};
use crate::{
    model::{Result, id::TenantId},
    store::{
        arrivals::Rows,
        schema::{
            attachments, mailboxes, message_addresses, message_bodies, message_raws, messages, search_queue,
            thread_refs, threads,
        },
        statement::Prepared,
        types::Id,
    },
};

/// What dedupe keys, and hashes of message ids, lead to; what follows in the transaction is planned once.
pub(crate) async fn find_known(
    conn: &mut Connection,
    tenant: TenantId,
    mailbox: Uuid,
    keys: &[Vec<u8>],
    hashes: &[Vec<u8>],
) -> Result<(Vec<(Vec<u8>, Id)>, Vec<(Vec<u8>, Id)>)> {
    let within = (Id(tenant.0), Id(mailbox));
    let ((), messages, refs) = together!(
        conn,
        plan_once(conn).await,
        find_messages(conn, within, keys).await,
        find_refs(conn, within, hashes).await,
    )?;
    Ok((messages, refs))
}

pub(crate) async fn plan_anew(conn: &mut Connection) -> Result<()> {
    plan_by_values(conn).await
}

/// Stores new messages with all that comes with them, in an order in which no row names one that is not there yet; answers
/// the folder and the message of each place that is new.
#[expect(
    clippy::too_many_lines,
    reason = "one column after the other of every table that a message has rows in"
)]
pub(crate) async fn create(conn: &mut Connection, rows: Rows) -> Result<Vec<(Id, Id)>> {
    let (mailbox, added) = (mailboxes::table.find(rows.mailbox), rows.added);
    let count = diesel::update(mailbox).set(mailboxes::message_count.eq(mailboxes::message_count + added));
    let ((), placed, _) = together!(
        conn,
        {
            save_threads!(conn, rows.threads;
                rows.refs, |row| thread_refs {
                    tenant_id: row.tenant_id,
                    mailbox_id: row.mailbox_id,
                    ref_hash: row.ref_hash,
                    thread_id: row.thread_id,
                } on (tenant_id, mailbox_id, ref_hash) set (thread_id);
                rows.messages, |row| messages {
                    tenant_id: row.1.tenant_id,
                    id: row.0.id,
                    mailbox_id: row.0.mailbox_id,
                    thread_id: row.0.thread_id,
                    message_id: row.0.message_id,
                    in_reply_to: row.0.in_reply_to,
                    refs: row.0.refs,
                    subject: row.0.subject,
                    participants: row.0.participants,
                    sent_at: row.0.sent_at,
                    received_at: row.0.received_at,
                    snippet: row.0.snippet,
                    incoming: row.0.incoming,
                    unread: row.0.unread,
                    flags: row.0.flags,
                    folder_ids: row.0.folder_ids,
                    size: row.0.size,
                    truncated: row.0.truncated,
                    has_attachments: row.0.has_attachments,
                    created_at: row.0.created_at,
                    updated_at: row.0.updated_at,
                    dedupe_key: row.1.dedupe_key,
                    sha256: row.1.sha256,
                    in_blobs: row.1.in_blobs,
                };
                rows.bodies, |row| message_bodies {
                    tenant_id: row.tenant_id,
                    message_id: row.message_id,
                    text: row.text,
                    html: row.html,
                };
                rows.raws, |row| message_raws {
                    tenant_id: row.tenant_id,
                    message_id: row.message_id,
                    data: row.data,
                };
                rows.addresses, |row| message_addresses {
                    tenant_id: row.tenant_id,
                    address_key: row.address_key,
                    kind: row.kind,
                    message_id: row.message_id,
                };
                rows.attachments, |row| attachments {
                    tenant_id: row.tenant_id,
                    id: row.id,
                    mailbox_id: row.mailbox_id,
                    message_id: row.message_id,
                    position: row.position,
                    name: row.name,
                    content_type: row.content_type,
                    size: row.size,
                    inline: row.inline,
                    content_id: row.content_id,
                    sha256: row.sha256,
                    span_offset: row.span_offset,
                    span_length: row.span_length,
                    encoding: row.encoding,
                    created_at: row.created_at,
                };
                rows.queue, |row| search_queue {
                    tenant_id: row.tenant_id,
                    message_id: row.message_id,
                    queued_at: row.queued_at,
                } on (tenant_id, message_id) set (queued_at);
            );
            Ok(())
        },
        place(conn, rows.places).await,
        if added == 0 {
            Ok(0)
        } else {
            Ok(Prepared(count).execute(conn).await?)
        },
    )?;
    Ok(placed)
}
