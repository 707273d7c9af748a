//! Threads, and the hashed message ids that lead to them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::{
    Conn,
    messages::read_participants,
    on,
    placements::CHUNK,
    schema::threads,
    types::{At, Id},
    unreadable,
};
use crate::model::{
    Result,
    caller::Visibility,
    id::TenantId,
    message::{Message, Participant, Thread},
    page::{Page, PageRequest, Position},
    thread::Node,
};

/// A row of `threads`.
#[derive(Debug, Clone, Queryable, QueryableByName, Selectable, AsChangeset)]
#[diesel(table_name = threads, treat_none_as_null = true)]
pub(crate) struct Row {
    pub(crate) id: Id,
    pub(crate) mailbox_id: Id,
    pub(crate) subject: Option<String>,
    pub(crate) message_count: i64,
    pub(crate) last_message_at: At,
    pub(crate) created_at: At,
}

/// A hashed message id and the thread that it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadRef {
    /// The hash of the id.
    pub hash: Vec<u8>,
    /// The thread.
    pub thread_id: Uuid,
}

/// A row of `thread_refs`.
pub(crate) struct RefRow {
    pub(crate) tenant_id: Id,
    pub(crate) mailbox_id: Id,
    pub(crate) ref_hash: Vec<u8>,
    pub(crate) thread_id: Id,
}

impl RefRow {
    pub(crate) fn write(tenant: TenantId, mailbox: Uuid, one: ThreadRef) -> Self {
        Self {
            tenant_id: Id(tenant.0),
            mailbox_id: Id(mailbox),
            ref_hash: one.hash,
            thread_id: one.thread_id.into(),
        }
    }
}

impl Row {
    pub(crate) fn write(thread: &Thread, created_at: DateTime<Utc>) -> Self {
        Self {
            id: thread.id.into(),
            mailbox_id: thread.mailbox_id.into(),
            subject: thread.subject.clone(),
            message_count: thread.message_count,
            last_message_at: thread.last_message_at.into(),
            created_at: At(created_at),
        }
    }

    fn read(self) -> Thread {
        Thread {
            id: self.id.into(),
            mailbox_id: self.mailbox_id.into(),
            subject: self.subject,
            message_count: self.message_count,
            participants: Vec::new(),
            last_message_at: self.last_message_at.into(),
            messages: Vec::new(),
        }
    }
}

impl Conn {
    /// Stores threads: new ones with `now` as the time of their making, and the subject, count and time of those that are
    /// there. Each may come once.
    pub async fn save_threads(
        &mut self,
        tenant: TenantId,
        threads: &[Thread],
        now: DateTime<Utc>,
    ) -> Result<()> {
        let rows: Vec<_> = threads
            .iter()
            .map(|thread| (Row::write(thread, now), Id(tenant.0)))
            .collect();
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let chunk = rows.by_ref().take(CHUNK).collect();
            on!(self, threads::save(chunk))?;
        }
        Ok(())
    }

    /// One thread that the caller sees, found also by the id of a thread that was merged into it.
    pub async fn get_thread(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        id: Uuid,
    ) -> Result<Option<Thread>> {
        Ok(on!(self, threads::get(tenant, seen, id))?.map(Row::read))
    }

    /// The same with its newest messages, newest first and without their bodies, in one query; `None` also when it was
    /// merged into another.
    pub async fn get_thread_with_newest(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        id: Uuid,
        limit: i64,
    ) -> Result<Option<Thread>> {
        let rows = on!(self, threads::get_with_newest(tenant, seen, id, limit))?;
        let mut thread = None;
        let mut messages = Vec::with_capacity(rows.len());
        for (row, message) in rows {
            let count = row.message_count;
            thread.get_or_insert_with(|| row.read());
            messages.push((message, count));
        }
        let Some(mut thread) = thread else { return Ok(None) };
        thread.messages = self.with_attachments(tenant, messages).await?;
        Ok(Some(thread))
    }

    /// Threads by their ids, locked until the transaction ends.
    pub async fn lock_threads(&mut self, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<Thread>> {
        let mut found = Vec::new();
        for chunk in ids.chunks(CHUNK) {
            found.extend(
                on!(self, threads::lock(tenant, chunk))?
                    .into_iter()
                    .map(Row::read),
            );
        }
        Ok(found)
    }

    /// The threads that the caller sees, the one with the newest message first.
    pub async fn list_threads(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        mailbox: Option<Uuid>,
        page: PageRequest,
    ) -> Result<Page<Thread>> {
        let rows = on!(self, threads::list(tenant, seen, mailbox, page))?
            .into_iter()
            .map(Row::read)
            .collect();
        Ok(Page::cut(rows, page.limit, |thread: &Thread| Position {
            at: thread.last_message_at,
            id: thread.id,
        }))
    }

    /// The participants of every live message of these threads, each thread's in the order of its messages. Not for
    /// threads of many messages: nothing is left out.
    pub async fn thread_participants(
        &mut self,
        tenant: TenantId,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<Participant>>> {
        let mut rows = Vec::new();
        for chunk in ids.chunks(CHUNK) {
            rows.extend(on!(self, threads::participants(tenant, chunk))?);
        }
        rows.sort_by_key(|(_, sent_at, id, _)| (sent_at.0, id.0));
        let mut found: HashMap<Uuid, Vec<Participant>> = HashMap::new();
        for (thread, _, _, participants) in rows {
            found
                .entry(thread.0)
                .or_default()
                .extend(read_participants(&participants)?);
        }
        Ok(found)
    }

    /// What orders the messages of a thread that were sent within these times, ends included: a light row for each, by
    /// `(sent_at, id)`, at most `limit`.
    pub async fn thread_nodes(
        &mut self,
        tenant: TenantId,
        thread: Uuid,
        sent: (DateTime<Utc>, DateTime<Utc>),
        limit: i64,
    ) -> Result<Vec<Node>> {
        on!(self, threads::nodes(tenant, thread, sent, limit))?
            .into_iter()
            .map(|(id, message_id, in_reply_to, refs, sent_at)| {
                Ok(Node {
                    id: id.0,
                    message_id,
                    in_reply_to,
                    references: serde_json::from_str(&refs).map_err(|_| unreadable("messages.refs"))?,
                    sent_at: sent_at.0,
                })
            })
            .collect()
    }

    /// When the message at this place of a thread was sent; places count from 0, the oldest.
    pub async fn thread_time_at(
        &mut self,
        tenant: TenantId,
        thread: Uuid,
        place: i64,
    ) -> Result<Option<DateTime<Utc>>> {
        Ok(on!(self, threads::sent_at_place(tenant, thread, place))?.map(DateTime::from))
    }

    /// How many messages of a thread were sent before this time.
    pub async fn count_sent_before(
        &mut self,
        tenant: TenantId,
        thread: Uuid,
        at: DateTime<Utc>,
    ) -> Result<i64> {
        on!(self, threads::count_before(tenant, thread, at))
    }

    /// How many messages of a thread were sent after this time.
    pub async fn count_sent_after(
        &mut self,
        tenant: TenantId,
        thread: Uuid,
        at: DateTime<Utc>,
    ) -> Result<i64> {
        on!(self, threads::count_after(tenant, thread, at))
    }

    /// The newest messages of a thread without their bodies, the newest first.
    pub async fn newest_of_thread(
        &mut self,
        tenant: TenantId,
        thread: Uuid,
        limit: i64,
    ) -> Result<Vec<Message>> {
        let rows = on!(self, messages::newest_of_thread(tenant, thread, limit))?;
        self.with_attachments(tenant, rows).await
    }

    /// When the newest live message of a thread was sent.
    pub async fn last_sent_in_thread(&mut self, tenant: TenantId, id: Uuid) -> Result<Option<DateTime<Utc>>> {
        Ok(on!(self, threads::last_sent(tenant, id))?.map(DateTime::from))
    }

    /// Moves everything of one thread into another; the old id resolves from then on.
    pub async fn merge_thread(&mut self, tenant: TenantId, from: Uuid, into: Uuid) -> Result<()> {
        on!(self, threads::merge(tenant, from, into))
    }
}
