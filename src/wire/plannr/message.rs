//! Messages in Plannr's shape, with what comes before and after them in their thread.

use poem_openapi::{Object, types::Example};
use uuid::Uuid;

use super::{
    Time,
    attachment::{Attachment, attachment},
    example,
    firm::Firm,
    mailbox::{Mailbox, with_firm},
    participant::{Participant, participant},
};
use crate::model::{self, message::Body};

/// What an answer is made of.
#[derive(Debug, Clone, Copy)]
pub struct MessageView<'a> {
    /// The message that was asked for.
    pub message: &'a model::message::Message,
    /// Its mailbox.
    pub mailbox: &'a model::mailbox::Mailbox,
    /// Its tenant.
    pub tenant: &'a model::tenant::Tenant,
    /// The page of messages of its thread that come before it, in time order.
    pub ancestors: &'a [model::message::Message],
    /// The page of messages of its thread that come after it, in time order.
    pub descendants: &'a [model::message::Message],
}

/// Writes the message and its neighbour in the thread from one list of fields, so that the two cannot differ in anything
/// but the HTML.
macro_rules! messages {
    ($($(#[$field_doc:meta])* $field:ident: $type:ty,)*) => {
        /// A message of the thread, as an ancestor or a descendant shows it: its own thread is left out.
        #[derive(Debug, Clone, PartialEq, Object)]
        pub struct ThreadMessage {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        /// A message.
        #[derive(Debug, Clone, PartialEq, Object)]
        #[oai(example)]
        pub struct Message {
            $($(#[$field_doc])* pub $field: $type,)*
            /// The HTML content of the message, cleaned. Only available when the message is retrieved directly.
            #[oai(nullable)]
            pub html: Option<String>,
        }

        impl Message {
            fn new(message: ThreadMessage, html: Option<String>) -> Self {
                let ThreadMessage { $($field,)* } = message;
                Self { $($field,)* html }
            }
        }
    };
}

messages! {
    /// The UUID of the resource.
    uuid: Uuid,
    /// The timestamp of when the resource was created.
    created_at: Time,
    /// The timestamp of when the resource was updated.
    updated_at: Time,
    /// The timestamp of when the message was sent.
    message_created_at: Time,
    /// The mailbox the message belongs to.
    mailbox: Mailbox,
    /// The firm the message belongs to.
    firm: Firm,
    /// The thread of messages that come before this message, in time order; empty within a thread.
    ancestors: Vec<ThreadMessage>,
    /// The thread of messages that come after this message, in time order; empty within a thread.
    descendants: Vec<ThreadMessage>,
    /// The number of messages of the thread: those before, this one and those after.
    thread_count: i64,
    /// The participants of the message.
    participants: Vec<Participant>,
    /// The attachments of the message.
    attachments: Vec<Attachment>,
    /// The subject of the message.
    #[oai(nullable)]
    subject: Option<String>,
    /// Whether the message is incoming or outgoing.
    incoming: bool,
    /// The plain text content of the message.
    #[oai(nullable)]
    text: Option<String>,
}

/// The answer to a message that was asked for; `download_url` gives the address of an attachment's content.
pub fn message(
    view: &MessageView<'_>,
    download_url: impl Fn(&model::attachment::Attachment) -> String,
) -> Message {
    let MessageView {
        message,
        mailbox,
        tenant,
        ancestors,
        descendants,
    } = *view;
    let firm = Firm::from(tenant);
    let mailbox = with_firm(mailbox, &firm);
    let one = |message| neighbour(message, &mailbox, &firm, &download_url);
    let mut answer = one(message);
    answer.ancestors = ancestors.iter().map(one).collect();
    answer.descendants = descendants.iter().map(one).collect();
    let html = message.body.as_ref().and_then(|body| body.html.clone());
    Message::new(answer, html)
}

fn neighbour(
    message: &model::message::Message,
    mailbox: &Mailbox,
    firm: &Firm,
    download_url: &impl Fn(&model::attachment::Attachment) -> String,
) -> ThreadMessage {
    let model::message::Message {
        id,
        mailbox_id: _,
        thread_id: _,
        thread_count,
        message_id: _,
        in_reply_to: _,
        references: _,
        subject,
        participants,
        sent_at,
        received_at: _,
        snippet: _,
        body,
        incoming,
        unread: _,
        flags: _,
        folder_ids: _,
        size: _,
        truncated: _,
        attachments,
        created_at,
        updated_at,
    } = message;
    ThreadMessage {
        uuid: *id,
        created_at: (*created_at).into(),
        updated_at: (*updated_at).into(),
        message_created_at: (*sent_at).into(),
        mailbox: mailbox.clone(),
        firm: firm.clone(),
        ancestors: Vec::new(),
        descendants: Vec::new(),
        thread_count: *thread_count,
        participants: participants
            .iter()
            .map(|one| participant(one, firm, *created_at))
            .collect(),
        attachments: attachments
            .iter()
            .map(|one| attachment(one, firm, download_url(one)))
            .collect(),
        subject: subject.clone(),
        incoming: *incoming,
        text: body.as_ref().and_then(|Body { text, html: _ }| text.clone()),
    }
}

impl Example for Message {
    fn example() -> Self {
        let at = example::at();
        let message = ThreadMessage {
            uuid: example::id(8),
            created_at: at.into(),
            updated_at: at.into(),
            message_created_at: at.into(),
            mailbox: Mailbox::example(),
            firm: Firm::example(),
            ancestors: Vec::new(),
            descendants: Vec::new(),
            thread_count: 1,
            participants: Vec::new(),
            attachments: Vec::new(),
            subject: Some("Hello World".into()),
            incoming: true,
            text: Some("Message body here in plain text".into()),
        };
        Self::new(message, Some("<p>Message body here in HTML</p>".into()))
    }
}
