//! Tenants, for the platform's admin.

use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use super::{Answer, Body, Call, Failure, Tag, default_limit, page};
use crate::{
    api::answers::{Created, Gone},
    service::tenants::{self, TenantPatch},
    wire::v1::{
        page::TenantList,
        tenant::{CreateTenant, CreatedTenant, Tenant, UpdateTenant},
    },
};

/// Handlers of tenants.
pub(super) struct Tenants;

#[OpenApi(tag = "Tag::Tenants")]
impl Tenants {
    /// List tenants
    ///
    /// Every tenant of this deployment. Takes the platform admin key.
    #[oai(path = "/tenants", method = "get", operation_id = "list_tenants")]
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
    ) -> Answer<TenantList> {
        let page = page(Some(limit.0), cursor.0.as_deref())?;
        Ok(Json(tenants::list(&call.app, &call.identity, page).await?.into()))
    }

    /// Create a tenant
    ///
    /// Answers the tenant and its first API key, which acts as the tenant and is shown only here. Takes the platform
    /// admin key.
    #[oai(path = "/tenants", method = "post", operation_id = "create_tenant")]
    async fn create(&self, call: Call, body: Body<CreateTenant>) -> Result<Created<CreatedTenant>, Failure> {
        let (tenant, key, text) = tenants::create(&call.app, &call.identity, body.0.into_model()?).await?;
        Ok(Created::Created(Json(CreatedTenant::new(tenant, key, &text))))
    }

    /// Get a tenant
    ///
    /// Takes the platform admin key.
    #[oai(path = "/tenants/:tenant_id", method = "get", operation_id = "get_tenant")]
    async fn get(
        &self,
        call: Call,
        /// The tenant's id.
        tenant_id: Path<Uuid>,
    ) -> Answer<Tenant> {
        Ok(Json(
            tenants::get(&call.app, &call.identity, tenant_id.0).await?.into(),
        ))
    }

    /// Change a tenant
    ///
    /// A field that is left out is unchanged, null clears it. Takes the platform admin key.
    #[oai(
        path = "/tenants/:tenant_id",
        method = "patch",
        operation_id = "update_tenant"
    )]
    async fn update(
        &self,
        call: Call,
        /// The tenant's id.
        tenant_id: Path<Uuid>,
        body: Body<UpdateTenant>,
    ) -> Answer<Tenant> {
        let (name, profile) = body.0.into_model()?;
        let patch = TenantPatch { name, profile };
        Ok(Json(
            tenants::update(&call.app, &call.identity, tenant_id.0, patch)
                .await?
                .into(),
        ))
    }

    /// Delete a tenant
    ///
    /// Erases the tenant with everything that it has, at once and for good. Takes the platform admin key.
    #[oai(
        path = "/tenants/:tenant_id",
        method = "delete",
        operation_id = "delete_tenant"
    )]
    async fn delete(
        &self,
        call: Call,
        /// The tenant's id.
        tenant_id: Path<Uuid>,
    ) -> Result<Gone, Failure> {
        tenants::delete(&call.app, &call.identity, tenant_id.0).await?;
        Ok(Gone::Gone)
    }
}
