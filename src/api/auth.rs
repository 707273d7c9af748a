//! Whose request it is: the credential is found in the header here, and judged by `service::auth`.

use std::net::IpAddr;

use poem::{Request, RequestBody, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, SecurityScheme,
    auth::{ApiKey, Bearer},
    registry::Registry,
};
use secrecy::{ExposeSecret, SecretString};

use super::context::RequestContext;
use crate::{
    model::{
        Error, Result,
        caller::{Caller, Identity},
    },
    service::{
        App,
        auth::{self, Presented},
    },
};

/// The header that names the member to act as.
const ACT_AS: &str = "x-plannr-account-uuid";

/// An API key, sent as it is.
#[derive(SecurityScheme)]
#[oai(ty = "api_key", key_name = "x-api-key", key_in = "header", rename = "ApiKey")]
struct KeyHeader(
    #[expect(dead_code, reason = "only documented; the credential is read in one place")] ApiKey,
);

/// An API key, or a short-lived token that `create_token` made from one.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", bearer_format = "API key or JWT", rename = "Bearer")]
struct BearerHeader(
    #[expect(dead_code, reason = "only documented; the credential is read in one place")] Bearer,
);

/// A request that was authenticated and counted: what a handler needs to call a use case.
pub(super) struct Call {
    /// What the use cases need.
    pub(super) app: App,
    /// Who is asking: a tenant's caller, or the platform's admin.
    pub(super) identity: Identity,
}

impl Call {
    /// The caller within a tenant; the platform admin key is refused.
    pub(super) fn caller(&self) -> Result<&Caller> {
        self.identity.caller()
    }
}

impl<'a> ApiExtractor<'a> for Call {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        KeyHeader::register(registry);
        BearerHeader::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec!["ApiKey", "Bearer"]
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let missing = || Error::internal("the endpoint was built without its app");
        let app = request.data::<App>().ok_or_else(missing)?.clone();
        let context = request.data::<RequestContext>().ok_or_else(missing)?;
        let presented = Presented {
            credential: credential(request),
            act_as: request.header(ACT_AS),
            address: context.address(),
        };
        let (verdict, identity) = auth::authenticate(&app, &presented).await;
        if let Some(verdict) = verdict {
            context.set_verdict(verdict);
        }
        let identity = identity?;
        if let Identity::Tenant(caller) = &identity {
            context.set_tenant(caller.tenant_id);
        }
        Ok(Self { app, identity })
    }
}

/// Who is asking, kept for an answer that goes on: what they may do can change while it does.
pub(super) struct Standing {
    pub(super) app: App,
    credential: SecretString,
    act_as: Option<String>,
    address: Option<IpAddr>,
}

impl Standing {
    /// What the request says of itself.
    pub(super) fn of(request: &Request, app: App) -> Result<Self> {
        let context = request.data::<RequestContext>();
        let context = context.ok_or_else(|| Error::internal("the endpoint was built without its context"))?;
        Ok(Self {
            app,
            credential: credential(request).unwrap_or_default().to_owned().into(),
            act_as: request.header(ACT_AS).map(str::to_owned),
            address: context.address(),
        })
    }

    /// Who that is now.
    pub(super) async fn identify(&self) -> Result<Identity> {
        let presented = Presented {
            credential: Some(self.credential.expose_secret()),
            act_as: self.act_as.as_deref(),
            address: self.address,
        };
        auth::identify(&self.app, &presented).await
    }
}

/// The key of `x-api-key`, else the key or token of `Authorization: Bearer` (RFC 6750, section 2.1).
fn credential(request: &Request) -> Option<&str> {
    request.header("x-api-key").or_else(|| {
        let (scheme, credential) = request
            .header(header::AUTHORIZATION)?
            .trim_start()
            .split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(credential)
    })
}
