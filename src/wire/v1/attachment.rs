//! Attachments of messages.

use poem_openapi::{Object, types::Example};
use serde::Serialize;
use uuid::Uuid;

use super::{Time, example};
use crate::model;

/// An attachment of a message; its bytes are at `/v1/attachments/{attachment_id}/content`.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
#[oai(example)]
pub struct Attachment {
    /// The attachment's id.
    pub id: Uuid,
    /// The mailbox of its message.
    pub mailbox_id: Uuid,
    /// The message that carries it.
    pub message_id: Uuid,
    /// The file name, without any path.
    #[oai(nullable)]
    pub name: Option<String>,
    /// The media type that the message gives, in lower case, without parameters.
    pub content_type: String,
    /// The size of the content, in bytes.
    pub size: i64,
    /// True when it is meant to be shown in the body.
    pub inline: bool,
    /// `Content-ID`, without angle brackets: what `cid:` in the HTML names.
    #[oai(nullable)]
    pub content_id: Option<String>,
    /// SHA-256 of the content, in hexadecimal.
    pub sha256: String,
    /// When postroom stored it.
    pub created_at: Time,
}

impl From<model::attachment::Attachment> for Attachment {
    fn from(attachment: model::attachment::Attachment) -> Self {
        let model::attachment::Attachment {
            id,
            mailbox_id,
            message_id,
            part,
            created_at,
        } = attachment;
        let model::attachment::ParsedAttachment {
            name,
            content_type,
            size,
            inline,
            content_id,
            sha256,
            span: _,
        } = part;
        let created_at = created_at.into();
        let sha256 = base16ct::lower::encode_string(&sha256);
        Self {
            id,
            mailbox_id,
            message_id,
            name,
            content_type,
            size,
            inline,
            content_id,
            sha256,
            created_at,
        }
    }
}

impl Example for Attachment {
    fn example() -> Self {
        Self {
            id: example::id(10),
            mailbox_id: example::id(4),
            message_id: example::id(8),
            name: Some("example.pdf".into()),
            content_type: "application/pdf".into(),
            size: 123_456,
            inline: false,
            content_id: None,
            sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
            created_at: example::at().into(),
        }
    }
}
