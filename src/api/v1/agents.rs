//! Agents, with their revisions.

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
        agent::{Agent, AgentRevision, CreateAgent, CreateRevision, UpdateAgent},
        page::{AgentList, AgentRevisionList},
    },
};

const KIND: AgentKind = AgentKind::Agent;

/// Handlers of agents.
pub(super) struct Agents;

#[OpenApi(tag = "Tag::Agents")]
impl Agents {
    /// List agents
    ///
    /// The agents of the tenant. Needs the scope `mailboxes:read`.
    #[oai(path = "/agents", method = "get", operation_id = "list_agents")]
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
    ) -> Answer<AgentList> {
        let page = page(Some(limit.0), cursor.0.as_deref())?;
        Ok(Json(
            agents::list(&call.app, call.caller()?, KIND, page).await?.into(),
        ))
    }

    /// Create an agent
    ///
    /// Its first revision is made with it. Needs the scope `mailboxes:write`.
    #[oai(path = "/agents", method = "post", operation_id = "create_agent")]
    async fn create(&self, call: Call, body: Body<CreateAgent>) -> Result<Created<Agent>, Failure> {
        let agent = agents::create(&call.app, call.caller()?, KIND, body.0.into_model()?).await?;
        Ok(Created::Created(Json(agent.into())))
    }

    /// Get an agent
    ///
    /// Needs the scope `mailboxes:read`.
    #[oai(path = "/agents/:agent_id", method = "get", operation_id = "get_agent")]
    async fn get(
        &self,
        call: Call,
        /// The agent's id.
        agent_id: Path<Uuid>,
    ) -> Answer<Agent> {
        Ok(Json(
            agents::get(&call.app, call.caller()?, KIND, agent_id.0)
                .await?
                .into(),
        ))
    }

    /// Change an agent
    ///
    /// What is left out is unchanged. Mailboxes that are bound to it keep the revision that they are pinned to. Needs the
    /// scope `mailboxes:write`.
    #[oai(path = "/agents/:agent_id", method = "patch", operation_id = "update_agent")]
    async fn update(
        &self,
        call: Call,
        /// The agent's id.
        agent_id: Path<Uuid>,
        body: Body<UpdateAgent>,
    ) -> Answer<Agent> {
        let (name, active_revision_id) = body.0.into_model()?;
        let patch = AgentPatch {
            name,
            active_revision_id,
        };
        Ok(Json(
            agents::update(&call.app, call.caller()?, KIND, agent_id.0, patch)
                .await?
                .into(),
        ))
    }

    /// Delete an agent
    ///
    /// Not while a mailbox is bound to it: 409 `bound`. Needs the scope `mailboxes:write`.
    #[oai(path = "/agents/:agent_id", method = "delete", operation_id = "delete_agent")]
    async fn delete(
        &self,
        call: Call,
        /// The agent's id.
        agent_id: Path<Uuid>,
    ) -> Result<Gone, Failure> {
        agents::delete(&call.app, call.caller()?, KIND, agent_id.0).await?;
        Ok(Gone::Gone)
    }

    /// List an agent's revisions
    ///
    /// Needs the scope `mailboxes:read`.
    #[oai(
        path = "/agents/:agent_id/revisions",
        method = "get",
        operation_id = "list_agent_revisions"
    )]
    async fn list_revisions(
        &self,
        call: Call,
        /// The agent's id.
        agent_id: Path<Uuid>,
        /// Rows on a page, 1 to 200.
        #[oai(
            default = "default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u16>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Answer<AgentRevisionList> {
        let page = page(Some(limit.0), cursor.0.as_deref())?;
        Ok(Json(
            agents::list_revisions(&call.app, call.caller()?, KIND, agent_id.0, page)
                .await?
                .into(),
        ))
    }

    /// Create a revision of an agent
    ///
    /// From then on it is the active one. Needs the scope `mailboxes:write`.
    #[oai(
        path = "/agents/:agent_id/revisions",
        method = "post",
        operation_id = "create_agent_revision"
    )]
    async fn create_revision(
        &self,
        call: Call,
        /// The agent's id.
        agent_id: Path<Uuid>,
        body: OptionalBody<CreateRevision>,
    ) -> Result<Created<AgentRevision>, Failure> {
        let description = body.0.into_model()?;
        let made = agents::create_revision(&call.app, call.caller()?, KIND, agent_id.0, description).await?;
        Ok(Created::Created(Json(made.into())))
    }
}
