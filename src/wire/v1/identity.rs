//! Who is asking.

use poem_openapi::{Object, types::Example};

use super::{
    api_key::{ApiKey, Scope, scopes},
    member::Member,
    tenant::Tenant,
};
use crate::model::{
    self,
    caller::{Caller, Identity},
    scope::ScopeSet,
};

/// Whoever the request was authenticated as.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(example)]
pub struct Whoami {
    /// The tenant; null for the platform admin key.
    #[oai(nullable)]
    pub tenant: Option<Tenant>,
    /// The member that the credential acts as; null acts as the tenant itself.
    #[oai(nullable)]
    pub member: Option<Member>,
    /// The API key that was sent, or that the token was made from; null for the platform admin key.
    #[oai(nullable)]
    pub api_key: Option<ApiKey>,
    /// What this call may do.
    pub scopes: Vec<Scope>,
}

impl Whoami {
    /// The answer for a caller; `tenant` is the caller's own.
    pub fn new(identity: &Identity, tenant: Option<model::tenant::Tenant>) -> Self {
        match identity {
            Identity::Platform => {
                let all = ScopeSet::from_iter([model::scope::Scope::PlatformAdmin]);
                Self {
                    tenant: None,
                    member: None,
                    api_key: None,
                    scopes: scopes(all),
                }
            }
            Identity::Tenant(caller) => {
                let Caller {
                    tenant_id: _,
                    key,
                    scopes: set,
                    member,
                    role: _,
                } = &**caller;
                Self {
                    tenant: tenant.map(Into::into),
                    member: member.clone().map(Into::into),
                    api_key: Some(key.clone().into()),
                    scopes: scopes(*set),
                }
            }
        }
    }
}

impl Example for Whoami {
    fn example() -> Self {
        let api_key = ApiKey::example();
        let scopes = api_key.scopes.clone();
        Self {
            tenant: Some(Tenant::example()),
            member: Some(Member::example()),
            api_key: Some(api_key),
            scopes,
        }
    }
}
