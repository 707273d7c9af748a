//! Authentication: which credential a request carries, whom it stands for, and whether its limits allow the request.

use std::{net::IpAddr, sync::Arc};

use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{App, credentials::LookUp, limits::Verdict};
use crate::{
    model::{
        Error, Result,
        caller::{Caller, Identity},
        error::{Forbidden, Unauthenticated},
        key::KeyText,
        member::Role,
        scope::ScopeSet,
    },
    store::Credential,
};

/// Where the API keys of a deployment and of its admin are counted when no tenant is behind the request.
const PLATFORM: Uuid = Uuid::nil();

/// What a request says of itself.
pub struct Presented<'a> {
    /// The key or token, from `x-api-key` or from `Authorization: Bearer`.
    pub credential: Option<&'a str>,
    /// The member to act as, from `X-PLANNR-ACCOUNT-UUID`.
    pub act_as: Option<&'a str>,
    /// Where the request comes from.
    pub address: Option<IpAddr>,
}

/// Whom a request was authenticated as.
#[derive(Debug, Clone)]
pub struct Authenticated {
    /// Who is asking.
    pub identity: Identity,
    /// What the rate limits say.
    pub verdict: Verdict,
}

/// Authenticates a request and counts it. The limits' verdict is answered also when they refuse.
pub async fn authenticate(app: &App, presented: &Presented<'_>) -> (Option<Verdict>, Result<Identity>) {
    let Some(text) = presented
        .credential
        .map(str::trim)
        .filter(|text| !text.is_empty())
    else {
        return (None, Err(Error::Unauthenticated(Unauthenticated::Missing)));
    };
    let admin = app.admin_key.expose_secret();
    if bool::from(text.as_bytes().ct_eq(admin.as_bytes())) {
        let verdict = app.limits.check(PLATFORM, crate::model::id::TenantId(PLATFORM));
        return (
            Some(verdict),
            refused(verdict).map_or(Ok(Identity::Platform), Err),
        );
    }
    match credential(app, text).await {
        Err(error) => (None, Err(error)),
        Ok((credential, scopes)) => {
            let verdict = app.limits.check(credential.key.id, credential.tenant.id);
            if let Some(error) = refused(verdict) {
                return (Some(verdict), Err(error));
            }
            (Some(verdict), caller(app, &credential, scopes, presented).await)
        }
    }
}

/// Whom a credential stands for now, uncounted: for an answer that outlives its request.
pub async fn identify(app: &App, presented: &Presented<'_>) -> Result<Identity> {
    let text = presented.credential.map(str::trim).unwrap_or_default();
    let (credential, scopes) = credential(app, text).await?;
    caller(app, &credential, scopes, presented).await
}

fn refused(verdict: Verdict) -> Option<Error> {
    verdict
        .retry_after()
        .map(|retry_after| Error::RateLimited { retry_after })
}

/// Finds the key behind a credential, and what the credential may do.
async fn credential(app: &App, text: &str) -> Result<(Arc<Credential>, ScopeSet)> {
    let unknown = || Error::Unauthenticated(Unauthenticated::Unknown);
    let (found, scopes) = if let Some(key) = KeyText::parse(text) {
        let read = async { app.store.read().await?.find_key(key.lookup()).await };
        let found = app
            .credentials
            .get(LookUp::Key(key.lookup().to_owned()), read)
            .await?;
        let found = found
            .filter(|found| key.matches(&found.hash))
            .ok_or_else(unknown)?;
        let scopes = found.key.scopes;
        (found, scopes)
    } else if text.bytes().filter(|byte| *byte == b'.').count() == 2 {
        let claims = app.tokens.check(text, app.clock.now())?;
        let (tenant, key) = (claims.tenant, claims.key);
        let read = async { app.store.read().await?.get_credential(tenant, key).await };
        let found = app.credentials.get(LookUp::Token(tenant, key), read).await?;
        let found = found.ok_or_else(unknown)?;
        let scopes = claims.scopes.intersection(found.key.scopes);
        (found, scopes)
    } else {
        return Err(unknown());
    };
    if found.key.revoked_at.is_some() {
        return Err(unknown());
    }
    if !found.key.is_live(app.clock.now()) {
        return Err(Error::Unauthenticated(Unauthenticated::Expired));
    }
    Ok((found, scopes))
}

/// The caller that a credential stands for, from where it comes and as whom it acts.
async fn caller(
    app: &App,
    found: &Credential,
    scopes: ScopeSet,
    presented: &Presented<'_>,
) -> Result<Identity> {
    let Credential {
        key,
        tenant,
        member,
        hash: _,
    } = found;
    if !tenant.profile.ip_whitelist.is_empty()
        && !presented
            .address
            .is_some_and(|address| tenant.profile.allows(address))
    {
        return Err(Error::Forbidden(Forbidden::Address));
    }
    let role = member.as_ref().map_or(Role::Owner, |member| member.role);
    let caller = Caller {
        tenant_id: tenant.id,
        key: key.clone(),
        scopes,
        member: member.clone(),
        role,
    };
    let Some(act_as) = presented.act_as.map(str::trim).filter(|id| !id.is_empty()) else {
        return Ok(Identity::Tenant(Box::new(caller)));
    };
    let no_member = || Error::NotFound("member");
    let id = Uuid::parse_str(act_as).map_err(|_| no_member())?;
    let other = app
        .store
        .read()
        .await?
        .get_member(caller.tenant_id, id)
        .await?
        .ok_or_else(no_member)?;
    Ok(Identity::Tenant(Box::new(caller.act_as(other)?)))
}
