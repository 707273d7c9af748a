//! Mailboxes and their folders.

use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use super::{Answer, Body, Call, Failure, Tag, WrittenAnswer, default_limit, page};
use crate::{
    api::answers::{Created, Gone, Written},
    model::{mailbox::MailboxFilter, page::Page},
    service::{
        mailboxes,
        verify::{self, Checked, ConnectionProblem},
    },
    wire::v1::{
        mailbox::{CreateMailbox, Mailbox, Provider, UpdateMailbox},
        page::{FolderList, MailboxList},
        server::{ServerCheck, VerifyMailbox, VerifyResult},
    },
};

/// Handlers of mailboxes.
pub(super) struct Mailboxes;

#[OpenApi(tag = "Tag::Mailboxes")]
impl Mailboxes {
    /// List mailboxes
    ///
    /// The mailboxes that the caller sees; every filter that is given must hold. Needs the scope `mailboxes:read`.
    #[oai(path = "/mailboxes", method = "get", operation_id = "list_mailboxes")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn list(
        &self,
        call: Call,
        /// This address.
        address: Query<Option<String>>,
        /// This provider.
        provider: Query<Option<Provider>>,
        /// Enabled or disabled ones.
        enabled: Query<Option<bool>>,
        /// Bound to this agent.
        agent_id: Query<Option<Uuid>>,
        /// Bound to this team.
        team_id: Query<Option<Uuid>>,
        /// Deleted ones too.
        #[oai(default)]
        include_retired: Query<bool>,
        /// Rows on a page, 1 to 200.
        #[oai(
            default = "default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u16>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> WrittenAnswer<MailboxList> {
        let filter = MailboxFilter {
            address: address.0,
            provider: provider.0.map(Into::into),
            enabled: enabled.0,
            agent_id: agent_id.0,
            team_id: team_id.0,
            include_retired: include_retired.0,
        };
        let page = page(Some(limit.0), cursor.0.as_deref())?;
        Ok(Written(
            mailboxes::list(&call.app, call.caller()?, filter, page)
                .await?
                .into(),
        ))
    }

    /// Connect a mailbox
    ///
    /// Answers at once, without dialling: `state` tells how the connection fares. To try the servers first, use
    /// `verify_mailbox`. An address is connected once in a tenant: a second one is 409 `mailbox_exists` and names the id.
    /// `provider` is recognised from the host when it is left out. Needs the scope `mailboxes:write`.
    #[oai(path = "/mailboxes", method = "post", operation_id = "create_mailbox")]
    async fn create(&self, call: Call, body: Body<CreateMailbox>) -> Result<Created<Mailbox>, Failure> {
        let mailbox = mailboxes::create(&call.app, call.caller()?, body.0.into_model()?).await?;
        Ok(Created::Created(Json(mailbox.into())))
    }

    /// Get a mailbox
    ///
    /// One mailbox that the caller sees, a deleted one too. Needs the scope `mailboxes:read`.
    #[oai(path = "/mailboxes/:mailbox_id", method = "get", operation_id = "get_mailbox")]
    async fn get(
        &self,
        call: Call,
        /// The mailbox's id.
        mailbox_id: Path<Uuid>,
    ) -> WrittenAnswer<Mailbox> {
        Ok(Written(
            mailboxes::get(&call.app, call.caller()?, mailbox_id.0)
                .await?
                .into(),
        ))
    }

    /// Change a mailbox
    ///
    /// A field that is left out is unchanged, null clears it. `enabled: false` closes the connection at once; enabling it
    /// again catches up on what arrived meanwhile. New credentials are tried at once. Needs the scope `mailboxes:write`.
    #[oai(
        path = "/mailboxes/:mailbox_id",
        method = "patch",
        operation_id = "update_mailbox"
    )]
    async fn update(
        &self,
        call: Call,
        /// The mailbox's id.
        mailbox_id: Path<Uuid>,
        body: Body<UpdateMailbox>,
    ) -> WrittenAnswer<Mailbox> {
        let patch = body.0.into_model()?;
        Ok(Written(
            mailboxes::update(&call.app, call.caller()?, mailbox_id.0, patch)
                .await?
                .into(),
        ))
    }

    /// Delete a mailbox
    ///
    /// Retires it: the connection is closed and the credentials are erased at once, its messages after the tenant's
    /// `keep_deleted_files_for`. Needs the scope `mailboxes:write`.
    #[oai(
        path = "/mailboxes/:mailbox_id",
        method = "delete",
        operation_id = "delete_mailbox"
    )]
    async fn delete(
        &self,
        call: Call,
        /// The mailbox's id.
        mailbox_id: Path<Uuid>,
    ) -> Result<Gone, Failure> {
        mailboxes::delete(&call.app, call.caller()?, mailbox_id.0).await?;
        Ok(Gone::Gone)
    }

    /// Reconnect a mailbox
    ///
    /// Dials at once, also where dialling had stopped because the server refused the credentials. Needs the scope
    /// `mailboxes:write`.
    #[oai(
        path = "/mailboxes/:mailbox_id/reconnect",
        method = "post",
        operation_id = "reconnect_mailbox"
    )]
    async fn reconnect(
        &self,
        call: Call,
        /// The mailbox's id.
        mailbox_id: Path<Uuid>,
    ) -> WrittenAnswer<Mailbox> {
        Ok(Written(
            mailboxes::reconnect(&call.app, call.caller()?, mailbox_id.0)
                .await?
                .into(),
        ))
    }

    /// Try mail servers
    ///
    /// Dials the servers and logs in, without storing anything; what goes wrong there is part of a 200. Needs the scope
    /// `mailboxes:write`.
    #[oai(path = "/mailboxes/verify", method = "post", operation_id = "verify_mailbox")]
    async fn verify(&self, call: Call, body: Body<VerifyMailbox>) -> Answer<VerifyResult> {
        let (imap, smtp) = body.0.into_model()?;
        let found = verify::verify(&call.app, call.caller()?, imap, smtp).await?;
        Ok(Json(VerifyResult::new(check(found.imap), found.smtp.map(check))))
    }

    /// List a mailbox's folders
    ///
    /// By name, all on one page: `next_cursor` is always null. Needs the scope `mailboxes:read`.
    #[oai(
        path = "/mailboxes/:mailbox_id/folders",
        method = "get",
        operation_id = "list_folders"
    )]
    async fn list_folders(
        &self,
        call: Call,
        /// The mailbox's id.
        mailbox_id: Path<Uuid>,
    ) -> Answer<FolderList> {
        let data = mailboxes::folders(&call.app, call.caller()?, mailbox_id.0).await?;
        Ok(Json(Page { data, next: None }.into()))
    }
}

fn check(checked: Checked) -> ServerCheck {
    match checked {
        Ok(capabilities) => ServerCheck::passed(capabilities),
        Err(ConnectionProblem { code, message }) => ServerCheck::failed(code, message),
    }
}
