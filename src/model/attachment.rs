//! An attachment: a MIME part that is not the readable body, and where it lies in the raw message.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// How a part's bytes are written in the raw message (RFC 2045, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferEncoding {
    /// `7bit`, `8bit` or `binary`: the bytes as they are.
    Identity,
    /// `base64`
    Base64,
    /// `quoted-printable`
    QuotedPrintable,
}

impl TransferEncoding {
    /// Every encoding.
    pub const ALL: [Self; 3] = [Self::Identity, Self::Base64, Self::QuotedPrintable];

    /// The word in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Base64 => "base64",
            Self::QuotedPrintable => "quoted-printable",
        }
    }

    /// Reads the word that [`Self::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.as_str() == word)
    }
}

/// Where a part's encoded bytes lie in the raw message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartSpan {
    /// The first byte of the part's body.
    pub offset: i64,
    /// The length of the encoded body, in bytes.
    pub length: i64,
    /// How the body is encoded.
    pub encoding: TransferEncoding,
}

/// What the parser says of an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedAttachment {
    /// The file name, decoded and without any path.
    pub name: Option<String>,
    /// The media type, in lower case, without parameters.
    pub content_type: String,
    /// The size of the decoded content, in bytes.
    pub size: i64,
    /// True when the part is meant to be shown in the body.
    pub inline: bool,
    /// `Content-ID`, without angle brackets.
    pub content_id: Option<String>,
    /// SHA-256 of the decoded content.
    pub sha256: [u8; 32],
    /// Where its bytes lie.
    pub span: PartSpan,
}

/// An attachment of a stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The attachment's id.
    pub id: Uuid,
    /// The mailbox of its message.
    pub mailbox_id: Uuid,
    /// The message that carries it.
    pub message_id: Uuid,
    /// What the parser said of it.
    pub part: ParsedAttachment,
    /// When postroom stored it.
    pub created_at: DateTime<Utc>,
}
