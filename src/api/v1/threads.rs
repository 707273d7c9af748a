//! Threads.

use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};
use uuid::Uuid;

use super::{Call, Tag, WrittenAnswer, default_limit, page};
use crate::{
    api::answers::Written,
    service::threads,
    wire::v1::{page::ThreadList, thread::Thread},
};

/// Handlers of threads.
pub(super) struct Threads;

#[OpenApi(tag = "Tag::Threads")]
impl Threads {
    /// List threads
    ///
    /// The threads of the mailboxes that the caller sees, without their messages, the one with the newest message first.
    /// `participants` are those of its newest 50 messages. Needs the scope `messages:read`.
    #[oai(path = "/threads", method = "get", operation_id = "list_threads")]
    async fn list(
        &self,
        call: Call,
        /// Threads of this mailbox.
        mailbox_id: Query<Option<Uuid>>,
        /// Rows on a page, 1 to 200.
        #[oai(
            default = "default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u16>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> WrittenAnswer<ThreadList> {
        let page = page(Some(limit.0), cursor.0.as_deref())?;
        Ok(Written(
            threads::list(&call.app, call.caller()?, mailbox_id.0, page)
                .await?
                .into(),
        ))
    }

    /// Get a thread
    ///
    /// The thread with its messages in time order, an answer after what it answers where times are equal; at most the
    /// newest 200 (`list_messages` with `thread_id` pages through all). The id of a thread that was joined with another
    /// still leads to it. Needs the scope `messages:read`.
    #[oai(path = "/threads/:thread_id", method = "get", operation_id = "get_thread")]
    async fn get(
        &self,
        call: Call,
        /// The thread's id.
        thread_id: Path<Uuid>,
    ) -> WrittenAnswer<Thread> {
        Ok(Written(
            threads::get(&call.app, call.caller()?, thread_id.0).await?.into(),
        ))
    }
}
