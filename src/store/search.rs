//! The full-text index, which follows the messages from a queue that is written in their own transaction.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Conn,
    messages::read_participants,
    on,
    placements::CHUNK,
    types::{At, Id},
};
use crate::model::{
    Result,
    caller::Visibility,
    id::TenantId,
    message::{Message, MessageFilter, Participant},
    page::{Page, PageRequest, Position},
    search::Query,
};

/// A row of `search_queue`.
pub(crate) struct QueueRow {
    pub(crate) tenant_id: Id,
    pub(crate) message_id: Id,
    pub(crate) queued_at: At,
}

impl QueueRow {
    pub(crate) const fn write(tenant: TenantId, message: Uuid, now: DateTime<Utc>) -> Self {
        Self {
            tenant_id: Id(tenant.0),
            message_id: Id(message),
            queued_at: At(now),
        }
    }
}

/// The words that a message, and those that its subject must have.
pub(crate) type Sought<'q> = (Option<&'q Query>, Option<&'q Query>);

/// How much one page of a search may cost.
#[derive(Debug, Clone, Copy)]
pub struct SearchCaps {
    /// When more messages match, they are not all put in order.
    pub hits: i64,
    /// At most so many messages are looked at instead, newest first.
    pub walk: i64,
}

impl Default for SearchCaps {
    fn default() -> Self {
        Self {
            hits: 2_000,
            walk: 5_000,
        }
    }
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
    /// The live messages that the caller sees whose words match, newest first, within these caps. A page may have fewer
    /// rows than its limit, or none, while more follow.
    pub async fn search_messages(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        filter: &MessageFilter,
        words: (Option<&Query>, Option<&Query>),
        (page, caps): (PageRequest, SearchCaps),
    ) -> Result<Page<Message>> {
        let hits = on!(self, search::count(tenant, words, caps.hits.saturating_add(1)))?;
        if hits > caps.hits {
            return self.walk(tenant, seen, filter, words, (page, caps.walk)).await;
        }
        let rows = on!(self, messages::list_hits(tenant, seen, filter, words, page))?;
        self.page_of_messages(tenant, rows, page).await
    }

    /// Looks at messages in their order, ever more at once, until the page is full or so many were looked at.
    async fn walk(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        filter: &MessageFilter,
        words: Sought<'_>,
        (page, mut left): (PageRequest, i64),
    ) -> Result<Page<Message>> {
        let limit = usize::from(page.limit);
        let (mut found, mut last) = (Vec::new(), page.after);
        let mut step = 2 * i64::from(page.limit);
        while left > 0 && found.len() <= limit {
            let count = step.min(left);
            let looked = on!(self, messages::look(tenant, seen, filter, words, (last, count)))?;
            let is_end = i64::try_from(looked.len()).unwrap_or(i64::MAX) < count;
            for (at, id, matches) in looked {
                let place = Position { at: at.0, id: id.0 };
                last = Some(place);
                found.extend(matches.then_some(place));
            }
            if is_end {
                last = None;
                break;
            }
            (left, step) = (left - count, 2 * step);
        }
        let found = Page::cut(found, page.limit, |place| *place);
        let ids: Vec<Uuid> = found.data.iter().map(|place| place.id).collect();
        let mut messages = self.get_messages(tenant, &ids, false).await?;
        messages.sort_unstable_by_key(|message| Reverse((message.received_at, message.id)));
        Ok(Page {
            data: messages,
            next: found.next.or(last),
        })
    }

    /// Queues messages for the index.
    pub async fn queue_index(
        &mut self,
        tenant: TenantId,
        messages: &[Uuid],
        now: DateTime<Utc>,
    ) -> Result<()> {
        for chunk in messages.chunks(CHUNK) {
            let rows = chunk.iter().map(|id| QueueRow::write(tenant, *id, now));
            on!(self, search::queue(rows.collect()))?;
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
