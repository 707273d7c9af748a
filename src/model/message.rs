//! A message as it was synced: who wrote what to whom, when, and where it lies on the server.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    attachment::{Attachment, ParsedAttachment},
    folder::FolderRole,
};

/// At most this many `References` are kept for a message, the newest ones.
pub const MAX_REFERENCES: usize = 50;
/// At most this many participants are kept for a message.
pub const MAX_PARTICIPANTS: usize = 500;
/// A snippet has at most this many characters.
pub const MAX_SNIPPET_CHARS: usize = 200;

/// A name and an address, as a header field of RFC 5322 gives them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The display name, decoded.
    pub name: Option<String>,
    /// The addr-spec as written; compare it with [`Address::key`].
    pub address: String,
}

impl Address {
    /// The form in which two spellings of one address are equal: trimmed and in lower case.
    pub fn key(&self) -> String {
        address_key(&self.address)
    }
}

/// The form in which two spellings of one address are equal: trimmed and in lower case.
pub fn address_key(address: &str) -> String {
    address.trim().to_lowercase()
}

/// The header field that names a participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParticipantKind {
    /// `From`
    From,
    /// `To`
    To,
    /// `Cc`
    Cc,
    /// `Bcc`
    Bcc,
    /// `Reply-To`
    ReplyTo,
}

impl ParticipantKind {
    /// Every kind, in the order in which participants are listed.
    pub const ALL: [Self; 5] = [Self::From, Self::To, Self::Cc, Self::Bcc, Self::ReplyTo];

    /// The word on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
            Self::Cc => "cc",
            Self::Bcc => "bcc",
            Self::ReplyTo => "reply_to",
        }
    }

    /// Reads the word that [`Self::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One participant of a stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// The participant's own id.
    pub id: Uuid,
    /// The header field that names them.
    pub kind: ParticipantKind,
    /// Name and address.
    pub address: Address,
}

/// The well-known flags of RFC 9051, section 2.3.2, and any keyword beside them.
pub mod flag {
    /// Read.
    pub const SEEN: &str = "\\Seen";
    /// Answered.
    pub const ANSWERED: &str = "\\Answered";
    /// Marked as urgent or special.
    pub const FLAGGED: &str = "\\Flagged";
    /// Marked for removal by EXPUNGE.
    pub const DELETED: &str = "\\Deleted";
    /// Not finished composing.
    pub const DRAFT: &str = "\\Draft";

    /// The longest keyword that is taken, in bytes.
    const MAX_KEYWORD: usize = 100;

    /// Reads a flag that a caller wants to set or to take away: a system flag in any case, or a keyword, which is an atom
    /// (RFC 9051, section 9).
    ///
    /// # Errors
    /// A sentence for whoever sent it. `\Deleted` and `\Recent` are not taken.
    pub fn parse(text: &str) -> Result<String, &'static str> {
        if text.starts_with('\\') {
            if text.eq_ignore_ascii_case(DELETED) {
                return Err("Not `\\Deleted`: delete the message instead.");
            }
            let known = [SEEN, ANSWERED, FLAGGED, DRAFT];
            let known = known.into_iter().find(|flag| flag.eq_ignore_ascii_case(text));
            return known
                .map(str::to_owned)
                .ok_or("One of `\\Seen`, `\\Answered`, `\\Flagged` and `\\Draft`, or a keyword.");
        }
        let allowed = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte);
        if text.is_empty() || text.len() > MAX_KEYWORD || !text.bytes().all(allowed) {
            return Err("A keyword has 1 to 100 visible ASCII characters, without ( ) { % * \" \\ ].");
        }
        Ok(text.to_owned())
    }
}

/// Flags to set and flags to take away; no flag is in both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlagChange {
    /// Set these.
    pub add: Vec<String>,
    /// Take these away.
    pub remove: Vec<String>,
}

impl FlagChange {
    /// True when nothing is to be changed.
    pub const fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }

    /// True when these flags are as the change wants them. Case does not tell flags apart.
    pub fn holds_in(&self, flags: &[String]) -> bool {
        let has = |wanted: &String| flags.iter().any(|flag| flag.eq_ignore_ascii_case(wanted));
        self.add.iter().all(has) && !self.remove.iter().any(has)
    }
}

/// What a PATCH changes about a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessagePatch {
    /// Its flags.
    pub flags: FlagChange,
    /// The folder that it shall lie in.
    pub folder_id: Option<Uuid>,
}

/// A message that is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The message's id in postroom.
    pub id: Uuid,
    /// The mailbox that it was synced from.
    pub mailbox_id: Uuid,
    /// The thread that it belongs to.
    pub thread_id: Uuid,
    /// How many live messages its thread has, itself included.
    pub thread_count: i64,
    /// `Message-ID`, without angle brackets.
    pub message_id: Option<String>,
    /// The first id of `In-Reply-To`, without angle brackets.
    pub in_reply_to: Option<String>,
    /// `References`, without angle brackets, oldest first.
    pub references: Vec<String>,
    /// `Subject`, decoded.
    pub subject: Option<String>,
    /// Everybody named in the header.
    pub participants: Vec<Participant>,
    /// The `Date` header, else INTERNALDATE.
    pub sent_at: DateTime<Utc>,
    /// INTERNALDATE: when the server received it.
    pub received_at: DateTime<Utc>,
    /// The first words of the text.
    pub snippet: String,
    /// Text and HTML; left out where messages are listed.
    pub body: Option<Body>,
    /// False when it was written by the mailbox's own owner.
    pub incoming: bool,
    /// True until one of its copies is `\Seen`.
    pub unread: bool,
    /// The union of the flags of its copies, sorted.
    pub flags: Vec<String>,
    /// The folders that it lies in.
    pub folder_ids: Vec<Uuid>,
    /// The raw message's size, in bytes.
    pub size: i64,
    /// True when only the header was stored, because the message is larger than the configured maximum.
    pub truncated: bool,
    /// Its attachments, in the order of the parts.
    pub attachments: Vec<Attachment>,
    /// When postroom stored it.
    pub created_at: DateTime<Utc>,
    /// When anything about it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Message {
    /// The participants of one kind, in the header's order.
    pub fn participants(&self, kind: ParticipantKind) -> impl Iterator<Item = &Address> {
        self.participants
            .iter()
            .filter(move |one| one.kind == kind)
            .map(|one| &one.address)
    }
}

/// The readable content of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body {
    /// Plain text: the text parts, else the HTML turned into text.
    pub text: Option<String>,
    /// Sanitised HTML.
    pub html: Option<String>,
}

/// What the parser read from the raw bytes of a message (RFC 5322 and MIME).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parsed {
    /// `Message-ID`, without angle brackets.
    pub message_id: Option<String>,
    /// The first id of `In-Reply-To`.
    pub in_reply_to: Option<String>,
    /// `References`, oldest first, at most [`MAX_REFERENCES`] of the newest.
    pub references: Vec<String>,
    /// `Subject`, decoded.
    pub subject: Option<String>,
    /// Everybody named in the header, at most [`MAX_PARTICIPANTS`].
    pub participants: Vec<(ParticipantKind, Address)>,
    /// `Date`.
    pub sent_at: Option<DateTime<Utc>>,
    /// The first words of the text, white space folded, at most [`MAX_SNIPPET_CHARS`] characters.
    pub snippet: String,
    /// Text and sanitised HTML.
    pub body: Body,
    /// The attachments, in the order of the parts.
    pub attachments: Vec<ParsedAttachment>,
}

/// What follows from where the copies of a message lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The folders, each once, in the order of their ids.
    pub folder_ids: Vec<Uuid>,
    /// The union of the copies' flags, sorted.
    pub flags: Vec<String>,
    /// True until one copy is `\Seen`.
    pub unread: bool,
    /// False for the owner's own message, and for one that lies only in `\Sent` or `\Drafts`, and in views of them.
    pub incoming: bool,
}

impl Presence {
    /// Joins the copies, each given by its folder, that folder's role, and its flags.
    pub fn of<'c>(
        own: bool,
        copies: impl IntoIterator<Item = (Uuid, Option<FolderRole>, &'c [String])>,
    ) -> Self {
        let mut folders = std::collections::BTreeSet::new();
        let mut flags = std::collections::BTreeSet::new();
        let (mut sent, mut elsewhere) = (false, false);
        for (folder, role, copy_flags) in copies {
            folders.insert(folder);
            flags.extend(copy_flags.iter().cloned());
            sent |= role.is_some_and(FolderRole::is_outgoing);
            elsewhere |= !role.is_some_and(|role| role.is_outgoing() || role.is_view());
        }
        let unread = !flags
            .iter()
            .any(|one: &String| one.eq_ignore_ascii_case(flag::SEEN));
        let incoming = !own && (elsewhere || !sent);
        Self {
            folder_ids: folders.into_iter().collect(),
            flags: flags.into_iter().collect(),
            unread,
            incoming,
        }
    }
}

/// A thread: the messages that answer one another, within one mailbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Thread {
    /// The thread's id.
    pub id: Uuid,
    /// The mailbox that it lies in.
    pub mailbox_id: Uuid,
    /// The subject of its first message.
    pub subject: Option<String>,
    /// How many live messages it has.
    pub message_count: i64,
    /// Everybody named in its messages, each address once, in the order of their first message.
    pub participants: Vec<Address>,
    /// When its newest message was sent.
    pub last_message_at: DateTime<Utc>,
    /// Its messages in time order; empty where threads are listed.
    pub messages: Vec<Message>,
}

/// What a list of messages is narrowed to; every part that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Messages of this mailbox.
    pub mailbox_id: Option<Uuid>,
    /// Messages that lie in this folder.
    pub folder_id: Option<Uuid>,
    /// Messages of this thread.
    pub thread_id: Option<Uuid>,
    /// Words that subject, text or participants contain.
    pub q: Option<String>,
    /// The address of the author.
    pub from: Option<String>,
    /// The address of a recipient (`To`, `Cc` or `Bcc`).
    pub to: Option<String>,
    /// Words that the subject contains.
    pub subject: Option<String>,
    /// Unread or read ones.
    pub unread: Option<bool>,
    /// Incoming or outgoing ones.
    pub incoming: Option<bool>,
    /// With or without attachments.
    pub has_attachments: Option<bool>,
    /// Received at this time or later.
    pub received_after: Option<DateTime<Utc>>,
    /// Received before this time.
    pub received_before: Option<DateTime<Utc>>,
}

impl MessageFilter {
    /// True when nothing is narrowed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
