//! Messages: the row that lists need, the body apart from it, and the raw bytes apart from both.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Conn, on,
    placements::{CHUNK, read_flags, write_flags},
    schema::{message_bodies, messages},
    search::SearchCaps,
    types::{At, Id},
    unreadable,
};
use crate::model::{
    Error, Result,
    attachment::Attachment,
    caller::Visibility,
    id::TenantId,
    message::{Address, Body, Message, MessageFilter, Participant, ParticipantKind},
    page::{Page, PageRequest, Position},
    search::Query,
};

/// The columns of `messages` that make a [`Message`].
#[derive(Queryable, Selectable)]
#[diesel(table_name = messages)]
pub(crate) struct Row {
    pub(crate) id: Id,
    pub(crate) mailbox_id: Id,
    pub(crate) thread_id: Id,
    pub(crate) message_id: Option<String>,
    pub(crate) in_reply_to: Option<String>,
    pub(crate) refs: String,
    pub(crate) subject: Option<String>,
    pub(crate) participants: String,
    pub(crate) sent_at: At,
    pub(crate) received_at: At,
    pub(crate) snippet: String,
    pub(crate) incoming: bool,
    pub(crate) unread: bool,
    pub(crate) flags: String,
    pub(crate) folder_ids: String,
    pub(crate) size: i64,
    pub(crate) truncated: bool,
    pub(crate) has_attachments: bool,
    pub(crate) created_at: At,
    pub(crate) updated_at: At,
}

/// The columns of `messages` beside those of [`Row`].
pub(crate) struct StorageRow {
    pub(crate) tenant_id: Id,
    pub(crate) dedupe_key: Vec<u8>,
    pub(crate) sha256: Vec<u8>,
    pub(crate) in_blobs: bool,
}

/// A row of `message_bodies`.
#[derive(Queryable, Selectable)]
#[diesel(table_name = message_bodies)]
pub(crate) struct BodyRow {
    pub(crate) tenant_id: Id,
    pub(crate) message_id: Id,
    pub(crate) text: Option<String>,
    pub(crate) html: Option<String>,
}

/// A row of `message_raws`.
pub(crate) struct RawRow {
    pub(crate) tenant_id: Id,
    pub(crate) message_id: Id,
    pub(crate) data: Vec<u8>,
}

/// A row of `message_addresses`.
pub(crate) struct AddressRow {
    pub(crate) tenant_id: Id,
    pub(crate) address_key: String,
    pub(crate) kind: String,
    pub(crate) message_id: Id,
}

/// The columns that follow from a message's placements.
#[derive(AsChangeset)]
#[diesel(table_name = messages, treat_none_as_null = true)]
pub(crate) struct PresenceRow {
    incoming: bool,
    unread: bool,
    flags: String,
    folder_ids: String,
    deleted_at: Option<At>,
    updated_at: At,
}

/// A participant as the row keeps it.
#[derive(Serialize, Deserialize)]
struct StoredParticipant<'a> {
    id: Uuid,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    name: Option<String>,
    address: String,
}

/// Reads the participants of a row.
pub(crate) fn read_participants(text: &str) -> Result<Vec<Participant>> {
    let unreadable = || unreadable("messages.participants");
    let stored: Vec<StoredParticipant<'_>> = serde_json::from_str(text).map_err(|_| unreadable())?;
    let read = |one: StoredParticipant<'_>| {
        let kind = ParticipantKind::parse(&one.kind).ok_or_else(unreadable)?;
        Ok(Participant {
            id: one.id,
            kind,
            address: Address {
                name: one.name,
                address: one.address,
            },
        })
    };
    stored.into_iter().map(read).collect()
}

/// What a new message is stored with.
pub struct MessageInsert {
    /// The message; its body and its attachments go into tables of their own.
    pub message: Message,
    /// What tells it from every other of its mailbox.
    pub dedupe_key: Vec<u8>,
    /// SHA-256 of the raw bytes.
    pub sha256: [u8; 32],
    /// The compressed raw bytes; `None` when they lie in the object store.
    pub raw: Option<Vec<u8>>,
}

/// Where a message's raw bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredRaw {
    /// In the database, compressed with zstd.
    Compressed(Vec<u8>),
    /// In the object store, under this SHA-256.
    Blob([u8; 32]),
}

/// A row with its thread's count.
pub(crate) type Found = (Row, i64);
/// A row with its thread's count and its body.
pub(crate) type FoundWhole = (Row, i64, Option<BodyRow>);

impl Row {
    pub(crate) fn write(message: &Message) -> Result<Self> {
        let participants: Vec<StoredParticipant<'_>> = message
            .participants
            .iter()
            .map(|one| StoredParticipant {
                id: one.id,
                kind: Cow::Borrowed(one.kind.as_str()),
                name: one.address.name.clone(),
                address: one.address.address.clone(),
            })
            .collect();
        Ok(Self {
            id: message.id.into(),
            mailbox_id: message.mailbox_id.into(),
            thread_id: message.thread_id.into(),
            message_id: message.message_id.clone(),
            in_reply_to: message.in_reply_to.clone(),
            refs: serde_json::to_string(&message.references).map_err(Error::internal)?,
            subject: message.subject.clone(),
            participants: serde_json::to_string(&participants).map_err(Error::internal)?,
            sent_at: message.sent_at.into(),
            received_at: message.received_at.into(),
            snippet: message.snippet.clone(),
            incoming: message.incoming,
            unread: message.unread,
            flags: write_flags(&message.flags)?,
            folder_ids: serde_json::to_string(&message.folder_ids).map_err(Error::internal)?,
            size: message.size,
            truncated: message.truncated,
            has_attachments: !message.attachments.is_empty(),
            created_at: message.created_at.into(),
            updated_at: message.updated_at.into(),
        })
    }

    fn read(self, thread_count: i64) -> Result<Message> {
        let participants = read_participants(&self.participants)?;
        Ok(Message {
            id: self.id.into(),
            mailbox_id: self.mailbox_id.into(),
            thread_id: self.thread_id.into(),
            thread_count,
            message_id: self.message_id,
            in_reply_to: self.in_reply_to,
            references: serde_json::from_str(&self.refs).map_err(|_| unreadable("messages.refs"))?,
            subject: self.subject,
            participants,
            sent_at: self.sent_at.into(),
            received_at: self.received_at.into(),
            snippet: self.snippet,
            body: None,
            incoming: self.incoming,
            unread: self.unread,
            flags: read_flags(&self.flags)?,
            folder_ids: serde_json::from_str(&self.folder_ids)
                .map_err(|_| unreadable("messages.folder_ids"))?,
            size: self.size,
            truncated: self.truncated,
            attachments: Vec::new(),
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
        })
    }
}

impl Conn {
    /// The messages of a mailbox with these dedupe keys, tombstones included.
    pub async fn find_messages(
        &mut self,
        tenant: TenantId,
        mailbox: Uuid,
        keys: &[Vec<u8>],
    ) -> Result<Vec<(Vec<u8>, Uuid)>> {
        let found = on!(self, messages::find(tenant, mailbox, keys))?;
        Ok(found.into_iter().map(|(key, id)| (key, id.0)).collect())
    }

    /// The messages of a folder's other generations with these `Message-ID`s: id, Message-ID, size and INTERNALDATE.
    pub async fn find_earlier_generation(
        &mut self,
        tenant: TenantId,
        folder: Uuid,
        current: i64,
        message_ids: &[String],
    ) -> Result<Vec<(Uuid, Option<String>, i64, DateTime<Utc>)>> {
        let mut found = Vec::new();
        for chunk in message_ids.chunks(CHUNK) {
            let rows = on!(
                self,
                messages::find_earlier_generation(tenant, folder, current, chunk)
            )?;
            found.extend(
                rows.into_iter()
                    .map(|(id, message_id, size, at)| (id.0, message_id, size, at.0)),
            );
        }
        Ok(found)
    }

    /// Messages by id, tombstones included, locked until the transaction ends: each with whether it is a tombstone.
    pub async fn lock_messages(&mut self, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<(Message, bool)>> {
        let mut found = Vec::new();
        for chunk in ids.chunks(CHUNK) {
            for (row, deleted_at) in on!(self, messages::lock(tenant, chunk))? {
                found.push((row.read(0)?, deleted_at.is_some()));
            }
        }
        Ok(found)
    }

    /// Stores what follows from a message's placements; `deleted` makes it a tombstone.
    pub async fn update_presence(
        &mut self,
        tenant: TenantId,
        message: &Message,
        deleted: bool,
    ) -> Result<()> {
        let row = PresenceRow {
            incoming: message.incoming,
            unread: message.unread,
            flags: write_flags(&message.flags)?,
            folder_ids: serde_json::to_string(&message.folder_ids).map_err(Error::internal)?,
            deleted_at: deleted.then_some(At(message.updated_at)),
            updated_at: message.updated_at.into(),
        };
        on!(self, messages::update_presence(tenant, message.id, &row))
    }

    /// One live message that the caller sees, whole.
    pub async fn get_message(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        id: Uuid,
    ) -> Result<Option<Message>> {
        let Some((row, count, body)) = on!(self, messages::get(tenant, seen, id))? else {
            return Ok(None);
        };
        let has_attachments = row.has_attachments;
        let mut message = row.read(count)?;
        message.body = Some(
            body.map(|body| Body {
                text: body.text,
                html: body.html,
            })
            .unwrap_or_default(),
        );
        if has_attachments {
            message.attachments = self.attachments_of(tenant, &[id]).await?;
        }
        Ok(Some(message))
    }

    /// The live messages that the caller sees, newest first.
    pub async fn list_messages(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        filter: &MessageFilter,
        words: (Option<&Query>, Option<&Query>),
        page: PageRequest,
    ) -> Result<Page<Message>> {
        if words == (None, None) {
            let rows = on!(self, messages::list(tenant, seen, filter, page))?;
            return self.page_of_messages(tenant, rows, page).await;
        }
        let within = (page, SearchCaps::default());
        self.search_messages(tenant, seen, filter, words, within).await
    }

    /// A page of rows that were read one beyond its limit.
    pub(super) async fn page_of_messages(
        &mut self,
        tenant: TenantId,
        rows: Vec<Found>,
        page: PageRequest,
    ) -> Result<Page<Message>> {
        let messages = self.with_attachments(tenant, rows).await?;
        Ok(Page::cut(messages, page.limit, |message| Position {
            at: message.received_at,
            id: message.id,
        }))
    }

    /// Live messages by id, without their bodies unless asked for, in no order.
    pub async fn get_messages(
        &mut self,
        tenant: TenantId,
        ids: &[Uuid],
        bodies: bool,
    ) -> Result<Vec<Message>> {
        let mut rows = Vec::new();
        for chunk in ids.chunks(CHUNK) {
            rows.extend(on!(self, messages::get_many(tenant, chunk))?);
        }
        let mut messages = self.with_attachments(tenant, rows).await?;
        if bodies {
            for chunk in ids.chunks(CHUNK) {
                for body in on!(self, messages::bodies(tenant, chunk))? {
                    if let Some(message) = messages
                        .iter_mut()
                        .find(|message| message.id == body.message_id.0)
                    {
                        message.body = Some(Body {
                            text: body.text,
                            html: body.html,
                        });
                    }
                }
            }
        }
        Ok(messages)
    }

    pub(super) async fn with_attachments(
        &mut self,
        tenant: TenantId,
        rows: Vec<Found>,
    ) -> Result<Vec<Message>> {
        let carriers: Vec<Uuid> = rows
            .iter()
            .filter(|(row, _)| row.has_attachments)
            .map(|(row, _)| row.id.0)
            .collect();
        let mut messages = rows
            .into_iter()
            .map(|(row, count)| row.read(count))
            .collect::<Result<Vec<Message>>>()?;
        if !carriers.is_empty() {
            let mut by_message = std::collections::HashMap::<Uuid, Vec<Attachment>>::new();
            for attachment in self.attachments_of(tenant, &carriers).await? {
                by_message
                    .entry(attachment.message_id)
                    .or_default()
                    .push(attachment);
            }
            for message in &mut messages {
                message.attachments = by_message.remove(&message.id).unwrap_or_default();
            }
        }
        Ok(messages)
    }

    /// Where the raw bytes of a live message are that the caller sees, with their size.
    pub async fn get_raw(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        id: Uuid,
    ) -> Result<Option<(StoredRaw, i64)>> {
        let Some((size, sha256, data)) = on!(self, messages::get_raw(tenant, seen, id))? else {
            return Ok(None);
        };
        let raw = match data {
            Some(data) => StoredRaw::Compressed(data),
            None => StoredRaw::Blob(sha256.try_into().map_err(|_| unreadable("messages.sha256"))?),
        };
        Ok(Some((raw, size)))
    }
}
