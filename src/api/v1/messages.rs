//! Messages, and their raw bytes.

use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use uuid::Uuid;

use super::{Answer, Call, Failure, Tag, default_limit, page};
use crate::{
    api::content::{ContentResponse, Served},
    model::message::MessageFilter,
    service::messages,
    wire::v1::{Time, message::Message, page::MessageList},
};

/// Handlers of messages.
pub(super) struct Messages;

#[OpenApi(tag = "Tag::Messages")]
impl Messages {
    /// List and search messages
    ///
    /// The messages of the mailboxes that the caller sees, without `text` and `html`, newest received first; every filter
    /// that is given must hold, and a filter for something unknown finds nothing. A search may lag behind a first sync.
    /// Needs the scope `messages:read`.
    #[oai(path = "/messages", method = "get", operation_id = "list_messages")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn list(
        &self,
        call: Call,
        /// Messages of this mailbox.
        mailbox_id: Query<Option<Uuid>>,
        /// Messages that lie in this folder.
        folder_id: Query<Option<Uuid>>,
        /// Messages of this thread.
        thread_id: Query<Option<Uuid>>,
        /// Words that subject, text or participants contain, all of them: `word`, `"a phrase"`, `begin*`. At most 1,000
        /// characters.
        q: Query<Option<String>>,
        /// The address of the author.
        from: Query<Option<String>>,
        /// The address of a recipient: To, Cc or Bcc.
        to: Query<Option<String>>,
        /// Words that the subject contains, written as in `q`.
        subject: Query<Option<String>>,
        /// Unread or read ones.
        unread: Query<Option<bool>>,
        /// Incoming or outgoing ones.
        incoming: Query<Option<bool>>,
        /// With or without attachments.
        has_attachments: Query<Option<bool>>,
        /// Received at this time or later.
        received_after: Query<Option<Time>>,
        /// Received before this time.
        received_before: Query<Option<Time>>,
        /// Rows on a page, 1 to 200.
        #[oai(
            default = "default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u16>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Answer<MessageList> {
        let filter = MessageFilter {
            mailbox_id: mailbox_id.0,
            folder_id: folder_id.0,
            thread_id: thread_id.0,
            q: q.0,
            from: from.0,
            to: to.0,
            subject: subject.0,
            unread: unread.0,
            incoming: incoming.0,
            has_attachments: has_attachments.0,
            received_after: received_after.0.map(|time| time.at),
            received_before: received_before.0.map(|time| time.at),
        };
        let page = page(Some(limit.0), cursor.0.as_deref())?;
        Ok(Json(
            messages::list(&call.app, call.caller()?, filter, page)
                .await?
                .into(),
        ))
    }

    /// Get a message
    ///
    /// The message with its text and its cleaned HTML. Needs the scope `messages:read`.
    #[oai(path = "/messages/:message_id", method = "get", operation_id = "get_message")]
    async fn get(
        &self,
        call: Call,
        /// The message's id.
        message_id: Path<Uuid>,
    ) -> Answer<Message> {
        Ok(Json(
            messages::get(&call.app, call.caller()?, message_id.0)
                .await?
                .into(),
        ))
    }

    /// Download a message
    ///
    /// The message as the mail server has it (RFC 5322), byte for byte; of one that is `truncated`, its header. Needs the
    /// scope `messages:read`.
    #[oai(
        path = "/messages/:message_id/raw",
        method = "get",
        operation_id = "get_message_raw"
    )]
    async fn get_raw(
        &self,
        call: Call,
        /// The message's id.
        message_id: Path<Uuid>,
        /// The part to answer: one range of bytes, such as `bytes=0-1023` (RFC 9110, section 14).
        #[oai(name = "Range")]
        range: Header<Option<String>>,
    ) -> Result<ContentResponse, Failure> {
        let content = messages::raw(&call.app, call.caller()?, message_id.0).await?;
        let name = format!("{}.eml", message_id.0);
        // A message never changes: its id is a name for its bytes.
        let served = Served {
            name: Some(&name),
            fallback: "message.eml",
            entity_tag: format!("\"{}\"", message_id.0),
        };
        Ok(ContentResponse::of(content, &served, range.0.as_deref())?)
    }
}
