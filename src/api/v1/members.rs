//! Members.

use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use super::{Answer, Body, Call, Failure, Tag, default_limit, page};
use crate::{
    api::answers::{Created, Gone},
    service::members,
    wire::v1::{
        member::{CreateMember, Member, UpdateMember},
        page::MemberList,
    },
};

/// Handlers of members.
pub(super) struct Members;

#[OpenApi(tag = "Tag::Members")]
impl Members {
    /// List members
    ///
    /// The people of the tenant.
    #[oai(path = "/members", method = "get", operation_id = "list_members")]
    async fn list(
        &self,
        call: Call,
        /// Rows on a page, 1 to 200.
        #[oai(
            default = "default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u16>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Answer<MemberList> {
        let page = page(Some(limit.0), cursor.0.as_deref())?;
        Ok(Json(members::list(&call.app, call.caller()?, page).await?.into()))
    }

    /// Add a member
    ///
    /// An email address belongs to one member of a tenant: a second one is 409 `member_exists`. Needs the scope
    /// `members:write` and the role `owner`, or a key that acts as the tenant.
    #[oai(path = "/members", method = "post", operation_id = "create_member")]
    async fn create(&self, call: Call, body: Body<CreateMember>) -> Result<Created<Member>, Failure> {
        let member = members::create(&call.app, call.caller()?, body.0.into_model()?).await?;
        Ok(Created::Created(Json(member.into())))
    }

    /// Get a member
    ///
    /// One person of the tenant.
    #[oai(path = "/members/:member_id", method = "get", operation_id = "get_member")]
    async fn get(
        &self,
        call: Call,
        /// The member's id.
        member_id: Path<Uuid>,
    ) -> Answer<Member> {
        Ok(Json(
            members::get(&call.app, call.caller()?, member_id.0).await?.into(),
        ))
    }

    /// Change a member
    ///
    /// What is left out is unchanged. The last owner of a tenant cannot get a smaller role: 409 `last_owner`. Needs the
    /// scope `members:write` and the role `owner`, or a key that acts as the tenant.
    #[oai(
        path = "/members/:member_id",
        method = "patch",
        operation_id = "update_member"
    )]
    async fn update(
        &self,
        call: Call,
        /// The member's id.
        member_id: Path<Uuid>,
        body: Body<UpdateMember>,
    ) -> Answer<Member> {
        let patch = body.0.into_model()?;
        Ok(Json(
            members::update(&call.app, call.caller()?, member_id.0, patch)
                .await?
                .into(),
        ))
    }

    /// Delete a member
    ///
    /// The keys that act as the member stop at once; the mailboxes that it created stay. The last owner of a tenant
    /// cannot go: 409 `last_owner`. Needs the scope `members:write` and the role `owner`, or a key that acts as the
    /// tenant.
    #[oai(
        path = "/members/:member_id",
        method = "delete",
        operation_id = "delete_member"
    )]
    async fn delete(
        &self,
        call: Call,
        /// The member's id.
        member_id: Path<Uuid>,
    ) -> Result<Gone, Failure> {
        members::delete(&call.app, call.caller()?, member_id.0).await?;
        Ok(Gone::Gone)
    }
}
