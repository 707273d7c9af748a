//! Mailboxes in Feather's shape.

use poem_openapi::{OpenApi, param::Path, payload::Json};
use uuid::Uuid;

use super::{Answer, Body, Call, Failure, Tag};
use crate::{
    api::{answers::Gone, mailbox_list},
    model::Error,
    service::mailboxes,
    wire::feather::account::{
        ListMailboxAccountsResponse, MailboxAccountResponse, UpdateMailboxAccountRequest, account, accounts,
    },
};

/// Handlers of email accounts.
pub(super) struct Accounts;

#[OpenApi(tag = "Tag::Email")]
impl Accounts {
    /// List connected mailboxes
    ///
    /// The Gmail and Microsoft mailboxes that the caller sees, retired ones included, newest first, at most 1,000.
    #[oai(path = "/accounts", method = "get", operation_id = "listEmailMailboxes")]
    async fn list(&self, call: Call) -> Answer<ListMailboxAccountsResponse> {
        Ok(Json(accounts(&mailbox_list::whole(&call, true).await?)))
    }

    /// Update mutable mailbox settings
    ///
    /// The default signature, and the agent or team that the mailbox is bound to. The binding changes only when
    /// `agent_id` or `team_id` is in the body, at most one of them set; null clears that side. The connection goes on.
    #[oai(
        path = "/accounts/:account_id",
        method = "patch",
        operation_id = "updateEmailMailbox"
    )]
    async fn update(
        &self,
        call: Call,
        /// The account's id.
        account_id: Path<Uuid>,
        body: Body<UpdateMailboxAccountRequest>,
    ) -> Answer<MailboxAccountResponse> {
        mailboxes::require_account(&call.app, call.caller()?, account_id.0).await?;
        let patch = body.0.into_model()?;
        let updated = mailboxes::update(&call.app, call.caller()?, account_id.0, patch).await?;
        Ok(Json(account(&updated).ok_or(Error::NotFound("mailbox"))?))
    }

    /// Disconnect a mailbox
    ///
    /// Closes the connection, erases the credentials and retires the account.
    #[oai(
        path = "/accounts/:account_id",
        method = "delete",
        operation_id = "disconnectEmailMailbox"
    )]
    async fn disconnect(
        &self,
        call: Call,
        /// The account's id.
        account_id: Path<Uuid>,
    ) -> Result<Gone, Failure> {
        mailboxes::require_account(&call.app, call.caller()?, account_id.0).await?;
        mailboxes::delete(&call.app, call.caller()?, account_id.0).await?;
        Ok(Gone::Gone)
    }
}
