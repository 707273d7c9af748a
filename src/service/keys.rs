//! API keys: no credential makes one that may do more than itself.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use super::{App, vault};
use crate::{
    model::{
        Error, Result,
        caller::{Caller, Identity},
        error::{FieldError, Forbidden},
        id::{self, TenantId},
        key::{ApiKey, KeyText, NewApiKey},
        member::Role,
        page::{Page, PageRequest},
        scope::Scope,
    },
    store::Conn,
};

const RESOURCE: &str = "API key";

/// The tenant's keys, newest first, revoked ones included.
pub async fn list(app: &App, caller: &Caller, page: PageRequest) -> Result<Page<ApiKey>> {
    app.store.read().await?.list_keys(caller.tenant_id, page).await
}

/// One key, without its secret.
pub async fn get(app: &App, caller: &Caller, id: Uuid) -> Result<ApiKey> {
    find(&mut app.store.read().await?, caller.tenant_id, id).await
}

/// Makes a key: the only time, with [`rotate`], that its secret is seen.
pub async fn create(app: &App, caller: &Caller, new: NewApiKey) -> Result<(ApiKey, SecretString)> {
    caller.require(Scope::KeysWrite)?;
    refuse_broader(caller, &new)?;
    store_new(app, caller.tenant_id, new).await
}

/// Makes a key for a tenant on behalf of the platform's admin.
pub async fn create_for(
    app: &App,
    identity: &Identity,
    tenant: TenantId,
    new: NewApiKey,
) -> Result<(ApiKey, SecretString)> {
    identity.require_platform()?;
    let found = app.store.read().await?.get_tenant(tenant).await?;
    found.ok_or(Error::NotFound("tenant"))?;
    store_new(app, tenant, new).await
}

/// Gives a key a new secret; its id, name and scopes stay, and the old secret stops at once.
///
/// Whoever rotates a key learns its secret, so the rules of [`create`] hold.
pub async fn rotate(app: &App, caller: &Caller, id: Uuid) -> Result<(ApiKey, SecretString)> {
    caller.require(Scope::KeysWrite)?;
    let tenant = caller.tenant_id;
    let key = find(&mut app.store.read().await?, tenant, id).await?;
    let ApiKey {
        name,
        scopes,
        member_id,
        expires_at,
        ..
    } = key;
    refuse_broader(
        caller,
        &NewApiKey {
            name,
            scopes,
            member_id,
            expires_at,
        },
    )?;
    let text = KeyText::from_random(&vault::random());
    let (lookup, hash) = (text.lookup().to_owned(), text.hash());
    let key = app
        .write_access(tenant, move |tx| {
            Box::pin(async move {
                if !tx.rotate_key(tenant, id, &lookup, &hash).await? {
                    return Err(Error::NotFound(RESOURCE));
                }
                find(tx, tenant, id).await
            })
        })
        .await?;
    Ok((key, text.secret().clone()))
}

/// Revokes a key, which stops at once; revoking it again is an unknown key.
pub async fn revoke(app: &App, caller: &Caller, id: Uuid) -> Result<()> {
    caller.require(Scope::KeysWrite)?;
    let (tenant, now) = (caller.tenant_id, app.clock.now());
    let key = find(&mut app.store.read().await?, tenant, id).await?;
    if caller.role < Role::Owner && key.member_id != caller.member_id() {
        return Err(Error::Forbidden(Forbidden::Role));
    }
    let revoked = app
        .write_access(tenant, move |tx| Box::pin(tx.revoke_key(tenant, id, now)))
        .await?;
    if revoked {
        Ok(())
    } else {
        Err(Error::NotFound(RESOURCE))
    }
}

/// A new key and its text, which is not stored.
pub(super) fn make(new: NewApiKey, now: DateTime<Utc>) -> (ApiKey, KeyText) {
    let text = KeyText::from_random(&vault::random());
    let NewApiKey {
        name,
        scopes,
        member_id,
        expires_at,
    } = new;
    let key = ApiKey {
        id: id::new(),
        name,
        prefix: format!("{}{}", crate::model::key::PREFIX, text.lookup()),
        scopes,
        member_id,
        expires_at: expires_at.map(crate::model::clock::micros),
        revoked_at: None,
        created_at: now,
    };
    (key, text)
}

async fn store_new(app: &App, tenant: TenantId, new: NewApiKey) -> Result<(ApiKey, SecretString)> {
    let now = app.clock.now();
    if new.expires_at.is_some_and(|end| end <= now) {
        return Err(Error::field("expires_at", "A time that is still to come."));
    }
    let (key, text) = make(new, now);
    let (lookup, hash) = (text.lookup().to_owned(), text.hash());
    let key = app
        .write(move |tx| {
            Box::pin(async move {
                if let Some(member) = key.member_id
                    && tx.get_member(tenant, member).await?.is_none()
                {
                    let fault = FieldError::body("member_id", "There is no such member in this tenant.");
                    return Err(Error::Invalid(vec![fault]));
                }
                tx.create_key(tenant, &key, &lookup, &hash).await?;
                Ok(key)
            })
        })
        .await?;
    Ok((key, text.secret().clone()))
}

/// Refuses a key that may do more than the caller: more scopes, another's role, or a longer life.
fn refuse_broader(caller: &Caller, new: &NewApiKey) -> Result<()> {
    let same_role =
        caller.role == Role::Owner || (caller.member.is_some() && new.member_id == caller.member_id());
    let as_long = match (caller.key.expires_at, new.expires_at) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(own), Some(asked)) => asked <= own,
    };
    if same_role && as_long && caller.scopes.covers(new.scopes) {
        Ok(())
    } else {
        Err(Error::Forbidden(Forbidden::Broader))
    }
}

async fn find(conn: &mut Conn, tenant: TenantId, id: Uuid) -> Result<ApiKey> {
    conn.get_key(tenant, id).await?.ok_or(Error::NotFound(RESOURCE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{member::Member, scope::ScopeSet};

    fn caller(role: Role, member: Option<u128>, scopes: &[Scope], expires_at: Option<i64>) -> Caller {
        let (mut key, _) = make(asked(None, scopes, expires_at), DateTime::UNIX_EPOCH);
        key.member_id = member.map(Uuid::from_u128);
        let member = key.member_id.map(|id| Member {
            id,
            first_name: "A".into(),
            last_name: "B".into(),
            email: "a@b.example".into(),
            role,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        });
        Caller {
            tenant_id: TenantId(Uuid::nil()),
            scopes: key.scopes,
            key,
            member,
            role,
        }
    }

    fn asked(member: Option<u128>, scopes: &[Scope], expires_at: Option<i64>) -> NewApiKey {
        NewApiKey {
            name: "x".into(),
            scopes: scopes.iter().copied().collect::<ScopeSet>(),
            member_id: member.map(Uuid::from_u128),
            expires_at: expires_at.map(|at| DateTime::from_timestamp(at, 0).unwrap()),
        }
    }

    #[test]
    fn no_key_is_broader_than_the_one_that_makes_it() {
        use Scope::{KeysWrite, MessagesRead};
        let both = [KeysWrite, MessagesRead];
        let tenant = caller(Role::Owner, None, &both, None);
        assert!(refuse_broader(&tenant, &asked(None, &both, None)).is_ok());
        assert!(refuse_broader(&tenant, &asked(Some(1), &[MessagesRead], Some(9))).is_ok());
        assert!(refuse_broader(&tenant, &asked(None, &[Scope::MessagesSend], None)).is_err());
        let ending = caller(Role::Owner, None, &both, Some(100));
        assert!(refuse_broader(&ending, &asked(None, &both, None)).is_err());
        assert!(refuse_broader(&ending, &asked(None, &both, Some(101))).is_err());
        assert!(refuse_broader(&ending, &asked(None, &both, Some(100))).is_ok());
        let senior = caller(Role::Senior, Some(1), &both, None);
        assert!(refuse_broader(&senior, &asked(Some(1), &both, None)).is_ok());
        assert!(
            refuse_broader(&senior, &asked(Some(2), &both, None)).is_err(),
            "another member"
        );
        assert!(
            refuse_broader(&senior, &asked(None, &both, None)).is_err(),
            "the tenant itself"
        );
        let owner = caller(Role::Owner, Some(1), &both, None);
        assert!(refuse_broader(&owner, &asked(Some(2), &both, None)).is_ok());
    }
}
