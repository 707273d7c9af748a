//! Teams, with their revisions.

use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use super::{Answer, Body, Call, Failure, OptionalBody, Tag, default_limit, page};
use crate::{
    api::answers::{Created, Gone},
    model::agent::AgentKind,
    service::agents::{self, AgentPatch},
    wire::v1::{
        agent::{CreateRevision, CreateTeam, Team, TeamRevision, UpdateTeam},
        page::{TeamList, TeamRevisionList},
    },
};

const KIND: AgentKind = AgentKind::Team;

/// Handlers of teams.
pub(super) struct Teams;

#[OpenApi(tag = "Tag::Agents")]
impl Teams {
    /// List teams
    ///
    /// The teams of the tenant. Needs the scope `mailboxes:read`.
    #[oai(path = "/teams", method = "get", operation_id = "list_teams")]
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
    ) -> Answer<TeamList> {
        let page = page(Some(limit.0), cursor.0.as_deref())?;
        Ok(Json(
            agents::list(&call.app, call.caller()?, KIND, page).await?.into(),
        ))
    }

    /// Create a team
    ///
    /// Its first revision is made with it. Needs the scope `mailboxes:write`.
    #[oai(path = "/teams", method = "post", operation_id = "create_team")]
    async fn create(&self, call: Call, body: Body<CreateTeam>) -> Result<Created<Team>, Failure> {
        let team = agents::create(&call.app, call.caller()?, KIND, body.0.into_model()?).await?;
        Ok(Created::Created(Json(team.into())))
    }

    /// Get a team
    ///
    /// Needs the scope `mailboxes:read`.
    #[oai(path = "/teams/:team_id", method = "get", operation_id = "get_team")]
    async fn get(
        &self,
        call: Call,
        /// The team's id.
        team_id: Path<Uuid>,
    ) -> Answer<Team> {
        Ok(Json(
            agents::get(&call.app, call.caller()?, KIND, team_id.0)
                .await?
                .into(),
        ))
    }

    /// Change a team
    ///
    /// What is left out is unchanged. Mailboxes that are bound to it keep the revision that they are pinned to. Needs the
    /// scope `mailboxes:write`.
    #[oai(path = "/teams/:team_id", method = "patch", operation_id = "update_team")]
    async fn update(
        &self,
        call: Call,
        /// The team's id.
        team_id: Path<Uuid>,
        body: Body<UpdateTeam>,
    ) -> Answer<Team> {
        let (name, active_revision_id) = body.0.into_model()?;
        let patch = AgentPatch {
            name,
            active_revision_id,
        };
        Ok(Json(
            agents::update(&call.app, call.caller()?, KIND, team_id.0, patch)
                .await?
                .into(),
        ))
    }

    /// Delete a team
    ///
    /// Not while a mailbox is bound to it: 409 `bound`. Needs the scope `mailboxes:write`.
    #[oai(path = "/teams/:team_id", method = "delete", operation_id = "delete_team")]
    async fn delete(
        &self,
        call: Call,
        /// The team's id.
        team_id: Path<Uuid>,
    ) -> Result<Gone, Failure> {
        agents::delete(&call.app, call.caller()?, KIND, team_id.0).await?;
        Ok(Gone::Gone)
    }

    /// List a team's revisions
    ///
    /// Needs the scope `mailboxes:read`.
    #[oai(
        path = "/teams/:team_id/revisions",
        method = "get",
        operation_id = "list_team_revisions"
    )]
    async fn list_revisions(
        &self,
        call: Call,
        /// The team's id.
        team_id: Path<Uuid>,
        /// Rows on a page, 1 to 200.
        #[oai(
            default = "default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u16>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Answer<TeamRevisionList> {
        let page = page(Some(limit.0), cursor.0.as_deref())?;
        Ok(Json(
            agents::list_revisions(&call.app, call.caller()?, KIND, team_id.0, page)
                .await?
                .into(),
        ))
    }

    /// Create a revision of a team
    ///
    /// From then on it is the active one. Needs the scope `mailboxes:write`.
    #[oai(
        path = "/teams/:team_id/revisions",
        method = "post",
        operation_id = "create_team_revision"
    )]
    async fn create_revision(
        &self,
        call: Call,
        /// The team's id.
        team_id: Path<Uuid>,
        body: OptionalBody<CreateRevision>,
    ) -> Result<Created<TeamRevision>, Failure> {
        let description = body.0.into_model()?;
        let made = agents::create_revision(&call.app, call.caller()?, KIND, team_id.0, description).await?;
        Ok(Created::Created(Json(made.into())))
    }
}
