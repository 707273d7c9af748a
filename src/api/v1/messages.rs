//! Messages: lists, one whole, its changes, and its raw bytes.

use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
};
use uuid::Uuid;

use super::{Body, Call, Failure, Tag, WrittenAnswer, default_limit, page};
use crate::{
    api::{
        answers::{Gone, Written},
        content::{ContentResponse, Served},
    },
    model::message::MessageFilter,
    service::{messages, write_back},
    wire::v1::{
        Time,
        message::{Message, UpdateMessage},
        page::MessageList,
    },
};

/// Handlers of messages.
pub(super) struct Messages;

#[OpenApi(tag = "Tag::Messages")]
impl Messages {
    /// List and search messages
    ///
    /// The messages of the mailboxes that the caller sees, without `text` and `html`, newest received first; every filter
    /// that is given must hold, and a filter for something unknown finds nothing. A search may lag behind a first sync.
    /// Of words that more than 2,000 messages contain, a page looks at 5,000 messages: it may then have fewer rows than
    /// `limit`, or none, and `next_cursor` goes on until it is null. Needs the scope `messages:read`.
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
    ) -> WrittenAnswer<MessageList> {
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
        Ok(Written(
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
    ) -> WrittenAnswer<Message> {
        Ok(Written(
            messages::get(&call.app, call.caller()?, message_id.0)
                .await?
                .into(),
        ))
    }

    /// Change a message
    ///
    /// Sets flags and moves, on the mail server first: the answer is the message as the server and postroom then have it.
    /// What is left out stays. Flags are set on every copy of the message, and then it is moved. The mail server is waited
    /// for 20 s, the connection included. 504 `upstream_timeout`: it did not answer, and `detail` says whether the change
    /// may have been made; the sync finds out. 502 `upstream_refused`: it will not do it, and `detail` quotes it. 502
    /// `upstream_unavailable`: it cannot be reached. 409 `mailbox_disabled`, `credentials_refused`: the mailbox must be
    /// mended first. 409 `message_elsewhere`: another client moved it, and the sync is about to follow. Needs the scope
    /// `messages:write`.
    #[oai(
        path = "/messages/:message_id",
        method = "patch",
        operation_id = "update_message"
    )]
    async fn update(
        &self,
        call: Call,
        /// The message's id.
        message_id: Path<Uuid>,
        body: Body<UpdateMessage>,
    ) -> WrittenAnswer<Message> {
        let patch = body.0.into_model()?;
        Ok(Written(
            write_back::update(&call.app, call.caller()?, message_id.0, patch)
                .await?
                .into(),
        ))
    }

    /// Delete a message
    ///
    /// Moves it, on the mail server first, to the folder whose role is `trash`. It is erased there for good when it lies in
    /// the trash already, when there is no such folder, or with `permanent`. A copy in the trash is kept while there are
    /// copies elsewhere to move. A server without UIDPLUS erases nothing (502 `upstream_refused`), because its EXPUNGE would
    /// take other messages too. Waits and fails as `update_message` does. Needs the scope `messages:write`.
    #[oai(
        path = "/messages/:message_id",
        method = "delete",
        operation_id = "delete_message"
    )]
    async fn delete(
        &self,
        call: Call,
        /// The message's id.
        message_id: Path<Uuid>,
        /// True erases it at once, without the trash.
        #[oai(default)]
        permanent: Query<bool>,
    ) -> Result<Gone, Failure> {
        write_back::delete(&call.app, call.caller()?, message_id.0, permanent.0).await?;
        Ok(Gone::Gone)
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
