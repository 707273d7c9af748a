//! Messages: whole, and as lists show them.

use poem_openapi::{Object, types::Example};
use serde::Serialize;
use uuid::Uuid;

use super::{Time, attachment::Attachment, check::Faults, example};
use crate::model::{
    self, Result,
    message::{Body, FlagChange, MessagePatch, Participant, ParticipantKind, flag},
};

/// A name and an address.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct Address {
    /// The display name.
    #[oai(nullable)]
    pub name: Option<String>,
    /// The email address.
    pub address: String,
}

impl From<model::message::Address> for Address {
    fn from(address: model::message::Address) -> Self {
        let model::message::Address { name, address } = address;
        Self { name, address }
    }
}

/// Writes the message and its summary from one list of fields, so that the two cannot differ in anything but text and
/// HTML.
macro_rules! messages {
    ($($(#[$field_doc:meta])* $field:ident: $type:ty,)*) => {
        /// A message without text and HTML, as lists show it.
        #[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
        #[oai(example)]
        pub struct MessageSummary {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        /// A message.
        #[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
        #[oai(example)]
        pub struct Message {
            $($(#[$field_doc])* pub $field: $type,)*
            /// Plain text: the message's own, else its HTML turned into text.
            #[oai(nullable)]
            pub text: Option<String>,
            /// HTML, cleaned of scripts and of whatever else could act.
            #[oai(nullable)]
            pub html: Option<String>,
        }

        impl Message {
            fn new(summary: MessageSummary, body: Body) -> Self {
                let MessageSummary { $($field,)* } = summary;
                let Body { text, html } = body;
                Self { $($field,)* text, html }
            }
        }
    };
}

messages! {
    /// The message's id in postroom.
    id: Uuid,
    /// The mailbox that it was synced from.
    mailbox_id: Uuid,
    /// The thread that it belongs to.
    thread_id: Uuid,
    /// How many messages its thread has, itself included.
    thread_count: i64,
    /// `Message-ID`, without angle brackets.
    #[oai(nullable)]
    message_id: Option<String>,
    /// The first id of `In-Reply-To`, without angle brackets.
    #[oai(nullable)]
    in_reply_to: Option<String>,
    /// `References`, without angle brackets, oldest first, at most 50.
    references: Vec<String>,
    /// `Subject`, decoded.
    #[oai(nullable)]
    subject: Option<String>,
    /// The authors.
    from: Vec<Address>,
    /// The recipients.
    to: Vec<Address>,
    /// The recipients of a copy.
    cc: Vec<Address>,
    /// The hidden recipients, where the message names them.
    bcc: Vec<Address>,
    /// Where answers go.
    reply_to: Vec<Address>,
    /// The `Date` header, else the time at which the server received it.
    sent_at: Time,
    /// When the server received it.
    received_at: Time,
    /// The first words of the text, at most 200 characters.
    snippet: String,
    /// False when the mailbox's own owner wrote it.
    incoming: bool,
    /// True until it is marked as read.
    unread: bool,
    /// The flags that the mail server keeps of it (RFC 9051, section 2.3.2), such as `\Seen`.
    flags: Vec<String>,
    /// The ids of the folders that it lies in.
    folders: Vec<Uuid>,
    /// The size of the raw message, in bytes.
    size: i64,
    /// Its attachments.
    attachments: Vec<Attachment>,
    /// True when only the header was stored, because the message is larger than the configured maximum.
    truncated: bool,
    /// When postroom stored it.
    created_at: Time,
    /// When anything about it last changed.
    updated_at: Time,
}

/// The most flags that one change names.
const MAX_FLAGS: usize = 50;

/// What changes about a message; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
pub struct UpdateMessage {
    /// True marks it as unread, false as read: another name for `\Seen` in `remove_flags` or `add_flags`.
    pub unread: Option<bool>,
    /// Flags to set, at most 50: `\Seen`, `\Answered`, `\Flagged`, `\Draft`, or keywords of at most 100 characters
    /// (RFC 9051, section 2.3.2).
    #[oai(validator(max_items = 50))]
    pub add_flags: Option<Vec<String>>,
    /// Flags to take away, at most 50; no flag is in both lists.
    #[oai(validator(max_items = 50))]
    pub remove_flags: Option<Vec<String>>,
    /// The folder to move it to. Every copy of the message goes there, except one that lies there already. Where folders are
    /// labels, as at Gmail, the message gets this one's label and loses that of INBOX and those that are the owner's; in the
    /// folder whose role is `all` it lies already, so it leaves INBOX and keeps its labels; `flagged` and `important` come
    /// in addition.
    pub folder_id: Option<Uuid>,
}

impl UpdateMessage {
    /// Checks the fields.
    pub fn into_model(self) -> Result<MessagePatch> {
        let Self {
            unread,
            add_flags,
            remove_flags,
            folder_id,
        } = self;
        let mut faults = Faults::default();
        let mut add = read_flags("add_flags", add_flags, &mut faults);
        let mut remove = read_flags("remove_flags", remove_flags, &mut faults);
        match unread {
            Some(true) => remove.push(flag::SEEN.to_owned()),
            Some(false) => add.push(flag::SEEN.to_owned()),
            None => {}
        }
        for flags in [&mut add, &mut remove] {
            flags.sort_unstable_by_key(|flag| flag.to_ascii_lowercase());
            flags.dedup_by(|one, other| one.eq_ignore_ascii_case(other));
        }
        let both = |flag: &String| remove.iter().any(|other| other.eq_ignore_ascii_case(flag));
        if add.iter().any(both) {
            faults.add(
                "remove_flags",
                "A flag is set or taken away, not both; `unread` counts as `\\Seen`.",
            );
        }
        faults.or(MessagePatch {
            flags: FlagChange { add, remove },
            folder_id,
        })
    }
}

fn read_flags(path: &str, flags: Option<Vec<String>>, faults: &mut Faults) -> Vec<String> {
    let flags = flags.unwrap_or_default();
    if flags.len() > MAX_FLAGS {
        faults.add(path, format!("At most {MAX_FLAGS} flags."));
        return Vec::new();
    }
    let mut read = Vec::with_capacity(flags.len() + 1);
    for (at, text) in flags.iter().enumerate() {
        match flag::parse(text) {
            Ok(flag) => read.push(flag),
            Err(detail) => faults.add(&format!("{path}.{at}"), detail),
        }
    }
    read
}

impl Example for UpdateMessage {
    fn example() -> Self {
        Self {
            unread: Some(false),
            add_flags: Some(vec![flag::FLAGGED.to_owned()]),
            ..Self::default()
        }
    }
}

/// The participants by the header field that names them.
#[derive(Default)]
struct Named {
    from: Vec<Address>,
    to: Vec<Address>,
    cc: Vec<Address>,
    bcc: Vec<Address>,
    reply_to: Vec<Address>,
}

impl From<Vec<Participant>> for Named {
    fn from(participants: Vec<Participant>) -> Self {
        let mut named = Self::default();
        for Participant { id: _, kind, address } in participants {
            let list = match kind {
                ParticipantKind::From => &mut named.from,
                ParticipantKind::To => &mut named.to,
                ParticipantKind::Cc => &mut named.cc,
                ParticipantKind::Bcc => &mut named.bcc,
                ParticipantKind::ReplyTo => &mut named.reply_to,
            };
            list.push(address.into());
        }
        named
    }
}

fn split(message: model::message::Message) -> (MessageSummary, Option<Body>) {
    let model::message::Message {
        id,
        mailbox_id,
        thread_id,
        thread_count,
        message_id,
        in_reply_to,
        references,
        subject,
        participants,
        sent_at,
        received_at,
        snippet,
        body,
        incoming,
        unread,
        flags,
        folder_ids,
        size,
        truncated,
        attachments,
        created_at,
        updated_at,
    } = message;
    let Named {
        from,
        to,
        cc,
        bcc,
        reply_to,
    } = participants.into();
    let summary = MessageSummary {
        id,
        mailbox_id,
        thread_id,
        thread_count,
        message_id,
        in_reply_to,
        references,
        subject,
        from,
        to,
        cc,
        bcc,
        reply_to,
        sent_at: sent_at.into(),
        received_at: received_at.into(),
        snippet,
        incoming,
        unread,
        flags,
        folders: folder_ids,
        size,
        attachments: attachments.into_iter().map(Into::into).collect(),
        truncated,
        created_at: created_at.into(),
        updated_at: updated_at.into(),
    };
    (summary, body)
}

impl From<model::message::Message> for MessageSummary {
    fn from(message: model::message::Message) -> Self {
        split(message).0
    }
}

impl From<model::message::Message> for Message {
    fn from(message: model::message::Message) -> Self {
        let (summary, body) = split(message);
        Self::new(summary, body.unwrap_or_default())
    }
}

impl Example for MessageSummary {
    fn example() -> Self {
        let author = Address {
            name: Some("John Doe".into()),
            address: "john.doe@example.com".into(),
        };
        let recipient = Address {
            name: None,
            address: "desk@example.org".into(),
        };
        Self {
            id: example::id(8),
            mailbox_id: example::id(4),
            thread_id: example::id(9),
            thread_count: 1,
            message_id: Some("20250625151040.1@example.com".into()),
            in_reply_to: None,
            references: Vec::new(),
            subject: Some("Hello World".into()),
            from: vec![author],
            to: vec![recipient],
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: Vec::new(),
            sent_at: example::at().into(),
            received_at: example::at().into(),
            snippet: "Message body here".into(),
            incoming: true,
            unread: true,
            flags: Vec::new(),
            folders: vec![example::id(7)],
            size: 2_048,
            attachments: vec![Attachment::example()],
            truncated: false,
            created_at: example::at().into(),
            updated_at: example::at().into(),
        }
    }
}

impl Example for Message {
    fn example() -> Self {
        let body = Body {
            text: Some("Message body here in plain text".into()),
            html: Some("<p>Message body here in HTML</p>".into()),
        };
        Self::new(MessageSummary::example(), body)
    }
}
