//! Mailboxes in Plannr's shape.

use poem_openapi::{OpenApi, param::Path, payload::Json};
use uuid::Uuid;

use super::{Answer, Call, RawBody, Tag};
use crate::{
    api::mailbox_list,
    service::{mailboxes, tenants},
    wire::plannr::mailbox::{self, Mailbox, MailboxList, UpdateMailbox},
};

/// Handlers of mailboxes.
pub(super) struct Mailboxes;

#[OpenApi(
    tag = "Tag::Mailboxes",
    request_header(
        name = "X-PLANNR-ACCOUNT-UUID",
        ty = "Option<String>",
        description = "The member to act as."
    )
)]
impl Mailboxes {
    /// List mailboxes
    ///
    /// The mailboxes that the account sees, newest first, at most 1,000.
    #[oai(path = "/v1/mailboxes", method = "get", operation_id = "listMailboxes")]
    async fn list(&self, call: Call) -> Answer<MailboxList> {
        let list = mailbox_list::whole(&call, false).await?;
        let tenant = tenants::get_own(&call.app, call.caller()?).await?;
        Ok(Json(mailbox::mailboxes(&list, &tenant)))
    }

    /// Update the specified mailbox
    ///
    /// If the mailbox is disabled, the IMAP connection is closed, which stops webhooks being received for new messages.
    /// Without a body the mailbox is answered unchanged.
    #[oai(path = "/v1/mailboxes/:uuid", method = "put", operation_id = "updateMailbox")]
    async fn update(
        &self,
        call: Call,
        /// The mailbox's id.
        uuid: Path<Uuid>,
        body: RawBody<UpdateMailbox>,
    ) -> Answer<Mailbox> {
        let caller = call.caller()?;
        let patch = UpdateMailbox::read(&body.bytes)?;
        let updated = mailboxes::update(&call.app, caller, uuid.0, patch).await?;
        let tenant = tenants::get_own(&call.app, caller).await?;
        Ok(Json(mailbox::mailbox(&updated, &tenant)))
    }
}
