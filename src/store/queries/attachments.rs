//! SQL for attachments.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Backend, Connection};
use crate::{
    model::{Result, caller::Visibility, id::TenantId},
    store::{
        attachments::Row,
        schema::{attachments, mailboxes, messages},
        statement::Prepared,
        types::Id,
    },
};

pub(crate) async fn get(
    conn: &mut Connection,
    tenant: TenantId,
    seen: Visibility,
    id: Uuid,
) -> Result<Option<Row>> {
    let mut query = attachments::table
        .inner_join(
            messages::table.on(messages::tenant_id
                .eq(attachments::tenant_id)
                .and(messages::id.eq(attachments::message_id))),
        )
        .filter(attachments::tenant_id.eq(Id(tenant.0)))
        .filter(attachments::id.eq(Id(id)))
        .filter(messages::deleted_at.is_null())
        .select(Row::as_select())
        .into_boxed::<Backend>();
    if let Visibility::CreatedBy(member) = seen {
        let created = mailboxes::table
            .filter(mailboxes::tenant_id.eq(Id(tenant.0)))
            .filter(mailboxes::created_by.eq(Some(Id(member))))
            .select(mailboxes::id);
        query = query.filter(attachments::mailbox_id.eq_any(created));
    }
    Ok(query.get_result(conn).await.optional()?)
}

pub(crate) async fn of_messages(conn: &mut Connection, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<Row>> {
    let query = attachments::table
        .filter(attachments::tenant_id.eq(Id(tenant.0)))
        .filter(attachments::message_id.eq_any(super::ids(ids)))
        .order((attachments::message_id, attachments::position))
        .select(Row::as_select());
    Ok(Prepared(query).load(conn).await?)
}
