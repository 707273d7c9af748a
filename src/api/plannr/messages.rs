//! Messages in Plannr's shape.

use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use super::{Answer, Call, Tag};
use crate::{
    service::{
        attachments,
        threads::{self, ViewPages},
    },
    wire::plannr::message::{self, Message, MessageView},
};

/// Handlers of messages.
pub(super) struct Messages;

const fn default_per_page() -> u16 {
    25
}

const fn first_page() -> u32 {
    1
}

#[OpenApi(
    tag = "Tag::Mailboxes",
    request_header(
        name = "X-PLANNR-ACCOUNT-UUID",
        ty = "Option<String>",
        description = "The member to act as."
    )
)]
impl Messages {
    /// Retrieve the specified message
    ///
    /// The message with a page of the messages of its thread that come before it and of those that come after it, both
    /// in time order. Page 1 is the nearest to the message. `thread_count` counts before paging.
    #[oai(
        path = "/v1/mailboxes/message/:uuid",
        method = "get",
        operation_id = "getMailboxMessage"
    )]
    async fn get(
        &self,
        call: Call,
        /// The message's id.
        uuid: Path<Uuid>,
        /// Messages on a page of ancestors or descendants, 1 to 500.
        #[oai(
            default = "default_per_page",
            validator(minimum(value = "1"), maximum(value = "500"))
        )]
        per_page: Query<u16>,
        /// The page of ancestors.
        #[oai(
            name = "page[ancestors]",
            default = "first_page",
            validator(minimum(value = "1"))
        )]
        ancestors: Query<u32>,
        /// The page of descendants.
        #[oai(
            name = "page[descendants]",
            default = "first_page",
            validator(minimum(value = "1"))
        )]
        descendants: Query<u32>,
    ) -> Answer<Message> {
        let page = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let (ancestors, descendants) = (page(ancestors.0), page(descendants.0));
        let pages = ViewPages {
            per_page: usize::from(per_page.0),
            ancestors,
            descendants,
        };
        let view = threads::around(&call.app, call.caller()?, uuid.0, pages).await?;
        let shown = MessageView {
            message: &view.message,
            mailbox: &view.mailbox,
            tenant: &view.tenant,
            ancestors: &view.ancestors,
            descendants: &view.descendants,
        };
        Ok(Json(message::message(&shown, |one| {
            attachments::link(&call.app, view.tenant.id, one)
        })))
    }
}
