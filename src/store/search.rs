//! The full-text index, which follows the messages from a queue that is written in their own transaction.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::{
    Conn,
    messages::read_participants,
    on,
    placements::CHUNK,
    schema::search_queue,
    types::{At, Id},
};
use crate::model::{Result, id::TenantId, message::Participant};

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

/// What of a message can be found by words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexed {
    /// The message.
    pub message: Uuid,
    /// `Subject`.
    pub subject: Option<String>,
    /// Everybody named in the header.
    pub participants: Vec<Participant>,
    /// The plain text.
    pub text: Option<String>,
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

    /// What of these live messages is to be found by words: the id, the subject, who takes part, and the text.
    pub async fn list_indexed(&mut self, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<Indexed>> {
        let mut found = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            for (id, subject, participants, text) in on!(self, search::list_indexed(tenant, chunk))? {
                found.push(Indexed {
                    message: id.0,
                    subject,
                    participants: read_participants(&participants)?,
                    text,
                });
            }
        }
        Ok(found)
    }

    /// Puts messages' words into the index in place of those that were there; `None` takes a message out. Ends the jobs.
    /// Give them by tenant and message, so that two transactions never wait for each other.
    pub async fn index_messages(&mut self, work: Vec<(IndexJob, Option<Words>)>) -> Result<()> {
        on!(self, search::index(work))
    }
}
