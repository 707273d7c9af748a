//! The full-text index, which follows the messages from a queue that is written in their own transaction.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::{
    Conn, on,
    placements::CHUNK,
    schema::search_queue,
    types::{At, Id},
};
use crate::model::{Result, id::TenantId};

/// A row of `search_queue`.
#[derive(Insertable)]
#[diesel(table_name = search_queue)]
pub(crate) struct QueueRow {
    tenant_id: Id,
    message_id: Id,
    queued_at: At,
}

/// A message whose words are to be indexed, or to be taken out of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexJob {
    /// The message's tenant.
    pub tenant: TenantId,
    /// The message.
    pub message: Uuid,
    /// When it was queued: a later change queues it again.
    pub queued_at: DateTime<Utc>,
}

/// The normalised words of a message (see [`crate::model::search`]).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words {
    /// Of the subject.
    pub subject: String,
    /// Of names and addresses.
    pub participants: String,
    /// Of the text.
    pub body: String,
}

impl Conn {
    /// Queues messages for the index.
    pub async fn queue_index(
        &mut self,
        tenant: TenantId,
        messages: &[Uuid],
        now: DateTime<Utc>,
    ) -> Result<()> {
        for chunk in messages.chunks(CHUNK) {
            let row = |message_id: &Uuid| QueueRow {
                tenant_id: Id(tenant.0),
                message_id: Id(*message_id),
                queued_at: At(now),
            };
            let rows: Vec<QueueRow> = chunk.iter().map(row).collect();
            on!(self, search::queue(rows))?;
        }
        Ok(())
    }

    /// The messages that have waited longest for the index, of any tenant.
    pub async fn list_index_jobs(&mut self, limit: i64) -> Result<Vec<IndexJob>> {
        Ok(on!(self, search::list_jobs(limit))?
            .into_iter()
            .map(|(tenant, message, queued_at)| IndexJob {
                tenant: TenantId(tenant.0),
                message: message.0,
                queued_at: queued_at.0,
            })
            .collect())
    }

    /// Puts a message's words into the index in place of those that were there; `None` takes it out. Ends the job.
    pub async fn index_message(&mut self, job: &IndexJob, words: Option<&Words>) -> Result<()> {
        on!(self, search::index(job, words))
    }
}
