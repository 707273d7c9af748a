//! The caller's own tenant.

use poem_openapi::{OpenApi, payload::Json};

use super::{Answer, Body, Call, Tag};
use crate::{
    service::tenants::{self, TenantPatch},
    wire::v1::tenant::{Tenant, UpdateTenant},
};

/// Handlers of the caller's own tenant.
pub(super) struct OwnTenant;

#[OpenApi(tag = "Tag::Tenants")]
impl OwnTenant {
    /// Get the own tenant
    ///
    /// The profile and the settings of the credential's tenant.
    #[oai(path = "/tenant", method = "get", operation_id = "get_own_tenant")]
    async fn get(&self, call: Call) -> Answer<Tenant> {
        Ok(Json(tenants::get_own(&call.app, call.caller()?).await?.into()))
    }

    /// Change the own tenant
    ///
    /// A field that is left out is unchanged, null clears it. Needs the scope `tenant:write` and the role `owner`, or a
    /// key that acts as the tenant. An `ip_whitelist` without the caller's own address locks the caller out.
    #[oai(path = "/tenant", method = "patch", operation_id = "update_own_tenant")]
    async fn update(&self, call: Call, body: Body<UpdateTenant>) -> Answer<Tenant> {
        let (name, profile) = body.0.into_model()?;
        let patch = TenantPatch { name, profile };
        Ok(Json(
            tenants::update_own(&call.app, call.caller()?, patch)
                .await?
                .into(),
        ))
    }
}
