//! A folder of a mailbox, and how far its sync has come.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::id;

/// A special use of a folder (RFC 6154), and INBOX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// `\Important` (RFC 8457)
    Important,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

impl FolderRole {
    /// Every role.
    pub const ALL: [Self; 9] = [
        Self::Inbox,
        Self::All,
        Self::Archive,
        Self::Drafts,
        Self::Flagged,
        Self::Important,
        Self::Junk,
        Self::Sent,
        Self::Trash,
    ];

    /// The word on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::All => "all",
            Self::Archive => "archive",
            Self::Drafts => "drafts",
            Self::Flagged => "flagged",
            Self::Important => "important",
            Self::Junk => "junk",
            Self::Sent => "sent",
            Self::Trash => "trash",
        }
    }

    /// Reads the word that [`Self::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// True for a folder that holds only what the owner wrote.
    pub const fn is_outgoing(self) -> bool {
        matches!(self, Self::Sent | Self::Drafts)
    }

    /// True for a folder that shows messages whatever they are: that one lies there says nothing about who wrote it.
    pub const fn is_view(self) -> bool {
        matches!(self, Self::All | Self::Flagged | Self::Important)
    }

    /// True for one of the three folders that hold messages where all others are labels: `\All`, and the two whose
    /// messages are not in it.
    pub const fn holds_labelled(self) -> bool {
        matches!(self, Self::All | Self::Junk | Self::Trash)
    }
}

/// How far a folder's sync has come. Every number is the server's own (RFC 9051, section 2.3.1), but for a folder whose
/// messages are known by labels: it counts in a generation of its own, which is never on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// UIDVALIDITY of the generation that the cursor counts in; 0 before the first pass, and below 0 for a folder that is
    /// not opened itself: see [`Folder::label_generation`].
    pub uid_validity: i64,
    /// Every message up to this UID was handled, except those below `backfill_low` that wait for the backfill.
    pub last_uid: i64,
    /// The backfill has everything from this UID upwards; 1 or less when it is done.
    pub backfill_low: i64,
    /// The mod-sequence up to which flags are known; 0 where the server has none.
    pub highest_modseq: i64,
}

impl Cursor {
    /// True when the backfill has reached the oldest message.
    pub const fn is_backfilled(self) -> bool {
        self.uid_validity != 0 && self.backfill_low <= 1
    }

    /// True when the folder's messages are known by the labels of another one, and it is not opened itself.
    pub const fn is_by_label(self) -> bool {
        self.uid_validity < 0
    }
}

/// A folder of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// The folder's id.
    pub id: Uuid,
    /// The mailbox that it belongs to.
    pub mailbox_id: Uuid,
    /// The server's own bytes for its name.
    pub raw_name: Vec<u8>,
    /// The name, decoded.
    pub name: String,
    /// The hierarchy delimiter.
    pub delimiter: Option<String>,
    /// Its special use.
    pub role: Option<FolderRole>,
    /// MAILBOXID (RFC 8474), where the server has it.
    pub object_id: Option<String>,
    /// How far its sync has come.
    pub cursor: Cursor,
    /// How many messages lie in it.
    pub message_count: i64,
    /// How many listings in a row did not name it.
    pub missing: i32,
    /// When postroom first saw it.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Folder {
    /// A folder that was never opened; its names are set by what lists it.
    pub fn unseen(mailbox: Uuid, now: DateTime<Utc>) -> Self {
        Self {
            id: id::new(),
            mailbox_id: mailbox,
            raw_name: Vec::new(),
            name: String::new(),
            delimiter: None,
            role: None,
            object_id: None,
            cursor: Cursor::default(),
            message_count: 0,
            missing: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// True when the folder stands for a label, on a server where labels say what lies in a folder.
    pub fn is_label(&self) -> bool {
        !self.role.is_some_and(FolderRole::holds_labelled)
    }

    /// Of a folder with `\All`: the generation in which placements in other folders follow from labels. Such a placement
    /// has the UID of the message in this folder, and no flags. Servers' UIDVALIDITY values are above 0, so it is theirs by
    /// no chance, and no UID of it may be sent to a server.
    pub const fn label_generation(&self) -> i64 {
        -self.cursor.uid_validity
    }
}

/// A placement as a pass over a folder compares it with the server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The UID.
    pub uid: i64,
    /// The message.
    pub message_id: Uuid,
    /// Its flags, sorted.
    pub flags: Vec<String>,
}

/// Flags that changed on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagUpdate {
    /// The UID.
    pub uid: i64,
    /// Its flags now, sorted.
    pub flags: Vec<String>,
    /// The folders that its labels stand for, sorted; `None` where labels say nothing.
    pub label_folders: Option<Vec<Uuid>>,
}

/// A message that could not be stored and was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aside {
    /// Its folder.
    pub folder_id: Uuid,
    /// The generation of the folder's UIDs.
    pub uid_validity: i64,
    /// Its UID.
    pub uid: i64,
    /// When it was last tried; `None` makes it due at once.
    pub tried_at: Option<DateTime<Utc>>,
}
