//! Moves: messages on their way from one folder to another, which are no tombstones though no copy is known.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::{
    Conn, on,
    placements::CHUNK,
    schema::moves,
    types::{At, Id},
};
use crate::model::{Result, id::TenantId};

/// A row of `moves`.
#[derive(Insertable)]
#[diesel(table_name = moves)]
pub(crate) struct Row {
    tenant_id: Id,
    message_id: Id,
    mailbox_id: Id,
    until: At,
}

impl Conn {
    /// Says that a message is being moved; `until` is when it is no longer waited for.
    pub async fn begin_move(
        &mut self,
        tenant: TenantId,
        mailbox: Uuid,
        message: Uuid,
        until: DateTime<Utc>,
    ) -> Result<()> {
        let row = Row {
            tenant_id: Id(tenant.0),
            message_id: Id(message),
            mailbox_id: Id(mailbox),
            until: At(until),
        };
        on!(self, moves::begin(row))
    }

    /// Says that a move has ended, however it did.
    pub async fn end_move(&mut self, tenant: TenantId, message: Uuid) -> Result<()> {
        on!(self, moves::end(tenant, message))
    }

    /// Those of these messages that are being moved.
    pub async fn moving(
        &mut self,
        tenant: TenantId,
        messages: &[Uuid],
        now: DateTime<Utc>,
    ) -> Result<Vec<Uuid>> {
        let mut found = Vec::new();
        for chunk in messages.chunks(CHUNK) {
            let moving = on!(self, moves::of_messages(tenant, chunk, now))?;
            found.extend(moving.into_iter().map(Uuid::from));
        }
        Ok(found)
    }

    /// Ends the moves of a mailbox that nobody waits for any more; answers their messages.
    pub async fn end_overdue_moves(
        &mut self,
        tenant: TenantId,
        mailbox: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Vec<Uuid>> {
        let ended = on!(self, moves::end_overdue(tenant, mailbox, now))?;
        Ok(ended.into_iter().map(Uuid::from).collect())
    }
}
