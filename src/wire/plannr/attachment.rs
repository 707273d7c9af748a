//! Attachments of a message.

use poem_openapi::{Enum, Object};
use uuid::Uuid;

use super::{Time, firm::Firm};
use crate::model;

/// How far the file has come; always `uploaded` here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum AttachmentStatus {
    /// It can be downloaded.
    Uploaded,
}

/// An attachment of a message.
#[derive(Debug, Clone, PartialEq, Object)]
pub struct Attachment {
    /// The UUID of the resource.
    pub uuid: Uuid,
    /// The timestamp of when the resource was created.
    pub created_at: Time,
    /// The timestamp of when the resource was updated.
    pub updated_at: Time,
    /// The firm that the message belongs to.
    pub firm: Firm,
    /// The file name.
    #[oai(nullable)]
    pub name: Option<String>,
    /// The part of the name behind its last dot, in lower case.
    #[oai(nullable)]
    pub extension: Option<String>,
    /// The media type.
    #[oai(rename = "type")]
    pub kind: String,
    /// The size of the content, in bytes.
    pub size: i64,
    /// How far the file has come.
    pub status: AttachmentStatus,
    /// An address that answers the content without any other credential, for a limited time.
    pub download_url: String,
}

/// The attachment of a stored message; it never changes.
pub(super) fn attachment(
    attachment: &model::attachment::Attachment,
    firm: &Firm,
    download_url: String,
) -> Attachment {
    let model::attachment::Attachment {
        id,
        mailbox_id: _,
        message_id: _,
        part,
        created_at,
    } = attachment;
    let model::attachment::ParsedAttachment {
        name,
        content_type,
        size,
        inline: _,
        content_id: _,
        sha256: _,
        span: _,
    } = part;
    Attachment {
        uuid: *id,
        created_at: (*created_at).into(),
        updated_at: (*created_at).into(),
        firm: firm.clone(),
        name: name.clone(),
        extension: name.as_deref().and_then(extension),
        kind: content_type.clone(),
        size: *size,
        status: AttachmentStatus::Uploaded,
        download_url,
    }
}

/// What stands behind a name's last dot; a name that only starts with a dot has none.
fn extension(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    (!stem.is_empty() && !extension.is_empty()).then(|| extension.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_is_what_follows_the_last_dot() {
        for (name, expected) in [
            ("example.pdf", Some("pdf")),
            ("archive.tar.GZ", Some("gz")),
            ("README", None),
            (".profile", None),
            ("dot.", None),
        ] {
            assert_eq!(extension(name).as_deref(), expected, "{name}");
        }
    }
}
