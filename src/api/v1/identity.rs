//! Who is asking.

use poem_openapi::{OpenApi, payload::Json};

use super::{Answer, Call, Tag};
use crate::{service::tenants, wire::v1::identity::Whoami};

/// Handlers about the caller itself.
pub(super) struct Identity;

#[OpenApi]
impl Identity {
    /// Who am I
    ///
    /// The tenant, the member and the key that the credential stands for, and what it may do.
    #[oai(
        path = "/whoami",
        method = "get",
        operation_id = "whoami",
        tag = "Tag::ApiKeys"
    )]
    async fn whoami(&self, call: Call) -> Answer<Whoami> {
        let tenant = match call.caller() {
            Ok(caller) => Some(tenants::get_own(&call.app, caller).await?),
            Err(_) => None,
        };
        Ok(Json(Whoami::new(&call.identity, tenant)))
    }
}
