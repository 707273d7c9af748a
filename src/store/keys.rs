//! API keys: the one look-up that cannot name its tenant is the one that finds it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::{
    Conn, members, on,
    schema::api_keys,
    tenants,
    types::{At, Id},
};
use crate::model::{
    Result,
    id::TenantId,
    key::{ApiKey, KeyHash},
    member::Member,
    page::{Page, PageRequest, Position},
    scope::ScopeSet,
    tenant::Tenant,
};

/// How many letters of a key are listed, to recognise it by: the prefix and its look-up part.
const SHOWN: &str = crate::model::key::PREFIX;

/// A row of `api_keys`, without its hash.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = api_keys, treat_none_as_default_value = false)]
pub(crate) struct Row {
    id: Id,
    lookup: String,
    name: String,
    scopes: String,
    member_id: Option<Id>,
    expires_at: Option<At>,
    revoked_at: Option<At>,
    created_at: At,
}

impl Row {
    fn write(key: &ApiKey, lookup: &str) -> Self {
        Self {
            id: key.id.into(),
            lookup: lookup.to_owned(),
            name: key.name.clone(),
            scopes: key.scopes.to_words(),
            member_id: key.member_id.map(Id),
            expires_at: key.expires_at.map(At),
            revoked_at: key.revoked_at.map(At),
            created_at: key.created_at.into(),
        }
    }

    fn read(self) -> ApiKey {
        ApiKey {
            id: self.id.into(),
            name: self.name,
            prefix: format!("{SHOWN}{}", self.lookup),
            scopes: ScopeSet::from_words(&self.scopes),
            member_id: self.member_id.map(Uuid::from),
            expires_at: self.expires_at.map(DateTime::from),
            revoked_at: self.revoked_at.map(DateTime::from),
            created_at: self.created_at.into(),
        }
    }
}

/// Everything that a request's key says of it.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The key.
    pub key: ApiKey,
    /// What the key's secret is checked against.
    pub hash: Vec<u8>,
    /// The tenant that the key belongs to.
    pub tenant: Tenant,
    /// The member that the key acts as.
    pub member: Option<Member>,
}

/// What the look-up of a key answers.
pub(crate) type Found = (Row, Vec<u8>, tenants::Row, Option<members::Row>);

fn credential((key, hash, tenant, member): Found) -> Result<Credential> {
    Ok(Credential {
        key: key.read(),
        hash,
        tenant: tenant.read()?,
        member: member.map(members::Row::read).transpose()?,
    })
}

impl Conn {
    /// Stores a new key's hash.
    pub async fn create_key(
        &mut self,
        tenant: TenantId,
        key: &ApiKey,
        lookup: &str,
        hash: &KeyHash,
    ) -> Result<()> {
        let row = Row::write(key, lookup);
        on!(self, keys::create(tenant, &row, hash))
    }

    /// Finds a key by the part of it that is no secret; the tenant comes from the answer.
    pub async fn find_key(&mut self, lookup: &str) -> Result<Option<Credential>> {
        on!(self, keys::find(lookup))?.map(credential).transpose()
    }

    /// A key with its tenant and member, for a token that was made from it.
    pub async fn get_credential(&mut self, tenant: TenantId, id: Uuid) -> Result<Option<Credential>> {
        on!(self, keys::get_credential(tenant, id))?
            .map(credential)
            .transpose()
    }

    /// One key.
    pub async fn get_key(&mut self, tenant: TenantId, id: Uuid) -> Result<Option<ApiKey>> {
        Ok(on!(self, keys::get(tenant, id))?.map(Row::read))
    }

    /// The tenant's keys, newest first, revoked ones included.
    pub async fn list_keys(&mut self, tenant: TenantId, page: PageRequest) -> Result<Page<ApiKey>> {
        let rows = on!(self, keys::list(tenant, page))?
            .into_iter()
            .map(Row::read)
            .collect();
        Ok(Page::cut(rows, page.limit, |key: &ApiKey| Position {
            at: key.created_at,
            id: key.id,
        }))
    }

    /// Revokes a key; false when it is unknown or was revoked before.
    pub async fn revoke_key(&mut self, tenant: TenantId, id: Uuid, now: DateTime<Utc>) -> Result<bool> {
        on!(self, keys::revoke(tenant, id, now))
    }

    /// Gives a live key another secret; false when it is unknown or revoked.
    pub async fn rotate_key(
        &mut self,
        tenant: TenantId,
        id: Uuid,
        lookup: &str,
        hash: &KeyHash,
    ) -> Result<bool> {
        on!(self, keys::rotate(tenant, id, lookup, hash))
    }
}
