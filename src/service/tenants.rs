//! Tenants: made, changed and erased by the platform's admin, and changed by their own owners.

use secrecy::SecretString;
use serde_json::Value;
use uuid::Uuid;

use super::{App, keys};
use crate::model::{
    Error, Result,
    caller::{Caller, Identity, Visibility},
    id::{self, TenantId},
    key::{ApiKey, NewApiKey},
    mailbox::MailboxFilter,
    member::Role,
    page::{Page, PageRequest},
    scope::{Scope, ScopeSet},
    tenant::{Profile, Tenant},
};

const RESOURCE: &str = "tenant";
/// The name of a tenant's first key.
const FIRST_KEY: &str = "Owner";

/// What changes about a tenant.
#[derive(Debug, Clone, Default)]
pub struct TenantPatch {
    /// Its name; `None` is unchanged.
    pub name: Option<String>,
    /// A JSON merge patch for its profile.
    pub profile: Value,
}

/// Every tenant, newest first.
pub async fn list(app: &App, identity: &Identity, page: PageRequest) -> Result<Page<Tenant>> {
    identity.require_platform()?;
    app.store.read().await?.list_tenants(page).await
}

/// Makes a tenant, with its data key and a first key that acts as the tenant.
pub async fn create(app: &App, identity: &Identity, name: String) -> Result<(Tenant, ApiKey, SecretString)> {
    identity.require_platform()?;
    let now = app.clock.now();
    let tenant = Tenant {
        id: TenantId(id::new()),
        name,
        profile: Profile::default(),
        created_at: now,
        updated_at: now,
    };
    let (_, sealed) = app.vault.new_data_key(tenant.id)?;
    let new = NewApiKey {
        name: FIRST_KEY.to_owned(),
        scopes: ScopeSet::tenant(),
        member_id: None,
        expires_at: None,
    };
    let (key, text) = keys::make(new, now);
    let (lookup, hash, secret) = (text.lookup().to_owned(), text.hash(), text.secret().clone());
    let (tenant, key) = app
        .write(move |tx| {
            Box::pin(async move {
                tx.create_tenant(&tenant, &sealed).await?;
                tx.create_key(tenant.id, &key, &lookup, &hash).await?;
                Ok((tenant, key))
            })
        })
        .await?;
    Ok((tenant, key, secret))
}

/// One tenant.
pub async fn get(app: &App, identity: &Identity, id: Uuid) -> Result<Tenant> {
    identity.require_platform()?;
    find(app, TenantId(id)).await
}

/// Changes a tenant.
pub async fn update(app: &App, identity: &Identity, id: Uuid, patch: TenantPatch) -> Result<Tenant> {
    identity.require_platform()?;
    change(app, TenantId(id), patch).await
}

/// Erases a tenant with everything that it has, and closes its mailboxes' connections.
pub async fn delete(app: &App, identity: &Identity, id: Uuid) -> Result<()> {
    identity.require_platform()?;
    let tenant = TenantId(id);
    let mailboxes = mailboxes_of(app, tenant).await?;
    let found = app
        .write_access(tenant, move |tx| Box::pin(tx.delete_tenant(tenant)))
        .await?;
    for mailbox in mailboxes {
        app.close(mailbox);
    }
    if found {
        Ok(())
    } else {
        Err(Error::NotFound(RESOURCE))
    }
}

/// The caller's own tenant.
pub async fn get_own(app: &App, caller: &Caller) -> Result<Tenant> {
    find(app, caller.tenant_id).await
}

/// Changes the caller's own tenant.
pub async fn update_own(app: &App, caller: &Caller, patch: TenantPatch) -> Result<Tenant> {
    caller.require(Scope::TenantWrite)?;
    caller.require_role(Role::Owner)?;
    change(app, caller.tenant_id, patch).await
}

async fn find(app: &App, tenant: TenantId) -> Result<Tenant> {
    let found = app.store.read().await?.get_tenant(tenant).await?;
    found.ok_or(Error::NotFound(RESOURCE))
}

async fn change(app: &App, id: TenantId, patch: TenantPatch) -> Result<Tenant> {
    let now = app.clock.now();
    app.write_access(id, move |tx| {
        Box::pin(async move {
            let mut tenant = tx.get_tenant(id).await?.ok_or(Error::NotFound(RESOURCE))?;
            let TenantPatch { name, profile } = patch;
            let before = (tenant.name.clone(), tenant.profile.clone());
            tenant.name = name.unwrap_or(tenant.name);
            if profile.is_object() {
                tenant.profile = tenant.profile.merge(profile)?;
            }
            if before != (tenant.name.clone(), tenant.profile.clone()) {
                tenant.updated_at = now;
                tx.update_tenant(&tenant).await?;
            }
            Ok(tenant)
        })
    })
    .await
}

async fn mailboxes_of(app: &App, tenant: TenantId) -> Result<Vec<Uuid>> {
    let (mut ids, mut page) = (Vec::new(), PageRequest::first());
    let mut conn = app.store.read().await?;
    loop {
        let found = conn
            .list_mailboxes(tenant, Visibility::All, &MailboxFilter::default(), page)
            .await?;
        ids.extend(found.data.iter().map(|mailbox| mailbox.id));
        match found.next {
            Some(next) => page.after = Some(next),
            None => return Ok(ids),
        }
    }
}
