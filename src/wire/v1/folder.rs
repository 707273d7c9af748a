//! Folders of a mailbox.

use poem_openapi::{Enum, Object, types::Example};
use uuid::Uuid;

use super::{Time, example};
use crate::model;

/// The special use of a folder (RFC 6154), and `inbox`. More values may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", remote = "model::folder::FolderRole")]
pub enum FolderRole {
    /// INBOX
    Inbox,
    /// `\All`
    All,
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Flagged`
    Flagged,
    /// `\Important`
    Important,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

/// A folder of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Folder {
    /// The folder's id.
    pub id: Uuid,
    /// The mailbox that it belongs to.
    pub mailbox_id: Uuid,
    /// The full name, decoded, with the names of the folders above it.
    pub name: String,
    /// Its special use; null for an ordinary folder.
    #[oai(nullable)]
    pub role: Option<FolderRole>,
    /// What separates the names of the folders above it; null on a server without a hierarchy.
    #[oai(nullable)]
    pub delimiter: Option<String>,
    /// How many messages lie in it.
    pub message_count: i64,
    /// UIDVALIDITY (RFC 9051, section 2.3.1.1); null before the first pass, and for a folder that is a label.
    #[oai(nullable)]
    pub uid_validity: Option<i64>,
    /// True when every older message was read too.
    pub backfilled: bool,
    /// When postroom first saw it.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

impl From<model::folder::Folder> for Folder {
    fn from(folder: model::folder::Folder) -> Self {
        let model::folder::Folder {
            id,
            mailbox_id,
            raw_name: _,
            name,
            delimiter,
            role,
            object_id: _,
            cursor,
            message_count,
            missing: _,
            created_at,
            updated_at,
        } = folder;
        Self {
            id,
            mailbox_id,
            name,
            role: role.map(Into::into),
            delimiter,
            message_count,
            uid_validity: (cursor.uid_validity > 0).then_some(cursor.uid_validity),
            backfilled: cursor.is_backfilled(),
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}

impl Example for Folder {
    fn example() -> Self {
        Self {
            id: example::id(7),
            mailbox_id: example::id(4),
            name: "INBOX".into(),
            role: Some(FolderRole::Inbox),
            delimiter: Some("/".into()),
            message_count: 812,
            uid_validity: Some(1_718_000_000),
            backfilled: true,
            created_at: example::at().into(),
            updated_at: example::at().into(),
        }
    }
}
