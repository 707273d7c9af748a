//! Attachments: where their bytes lie in the raw message.

use diesel::prelude::*;
use uuid::Uuid;

use super::{
    Conn, on,
    placements::CHUNK,
    schema::attachments,
    types::{At, Id},
    unreadable,
};
use crate::model::{
    Result,
    attachment::{Attachment, ParsedAttachment, PartSpan, TransferEncoding},
    caller::Visibility,
    id::TenantId,
};

/// A row of `attachments`.
#[derive(Queryable, Selectable)]
#[diesel(table_name = attachments)]
pub(crate) struct Row {
    pub(crate) tenant_id: Id,
    pub(crate) id: Id,
    pub(crate) mailbox_id: Id,
    pub(crate) message_id: Id,
    pub(crate) position: i32,
    pub(crate) name: Option<String>,
    pub(crate) content_type: String,
    pub(crate) size: i64,
    pub(crate) inline: bool,
    pub(crate) content_id: Option<String>,
    pub(crate) sha256: Vec<u8>,
    pub(crate) span_offset: i64,
    pub(crate) span_length: i64,
    pub(crate) encoding: String,
    pub(crate) created_at: At,
}

impl Row {
    pub(crate) fn write(tenant: TenantId, position: i32, attachment: &Attachment) -> Self {
        let part = attachment.part.clone();
        Self {
            tenant_id: Id(tenant.0),
            id: attachment.id.into(),
            mailbox_id: attachment.mailbox_id.into(),
            message_id: attachment.message_id.into(),
            position,
            name: part.name,
            content_type: part.content_type,
            size: part.size,
            inline: part.inline,
            content_id: part.content_id,
            sha256: part.sha256.to_vec(),
            span_offset: part.span.offset,
            span_length: part.span.length,
            encoding: part.span.encoding.as_str().to_owned(),
            created_at: attachment.created_at.into(),
        }
    }

    pub(crate) fn read(self) -> Result<Attachment> {
        let encoding =
            TransferEncoding::parse(&self.encoding).ok_or_else(|| unreadable("attachments.encoding"))?;
        Ok(Attachment {
            id: self.id.into(),
            mailbox_id: self.mailbox_id.into(),
            message_id: self.message_id.into(),
            part: ParsedAttachment {
                name: self.name,
                content_type: self.content_type,
                size: self.size,
                inline: self.inline,
                content_id: self.content_id,
                sha256: self
                    .sha256
                    .try_into()
                    .map_err(|_| unreadable("attachments.sha256"))?,
                span: PartSpan {
                    offset: self.span_offset,
                    length: self.span_length,
                    encoding,
                },
            },
            created_at: self.created_at.into(),
        })
    }
}

impl Conn {
    /// One attachment of a live message that the caller sees.
    pub async fn get_attachment(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        id: Uuid,
    ) -> Result<Option<Attachment>> {
        on!(self, attachments::get(tenant, seen, id))?
            .map(Row::read)
            .transpose()
    }

    /// The attachments of these messages, in the order of their parts.
    pub async fn attachments_of(&mut self, tenant: TenantId, messages: &[Uuid]) -> Result<Vec<Attachment>> {
        let mut found = Vec::new();
        for chunk in messages.chunks(CHUNK) {
            for row in on!(self, attachments::of_messages(tenant, chunk))? {
                found.push(row.read()?);
            }
        }
        Ok(found)
    }
}
