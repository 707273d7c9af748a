//! Credentials that were just read, so that a key in use costs no query: exact in this process, at most a second old when
//! another process changes them.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::{
    model::{Result, id::TenantId},
    store::Credential,
};

/// At most this many credentials are kept, about 1 KiB each; when so many are in use, further ones are read each time.
const MAX: usize = 10_000;
/// A credential is read again after this time: how long a change may go unnoticed that another process of the same
/// deployment commits.
const FRESH: Duration = Duration::from_secs(1);
/// Tenants share this many counters of changes; sharing one costs a query and changes no answer.
const COUNTERS: usize = 256;

/// How a credential is found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum LookUp {
    /// By the part of a key that is no secret. The secret is not kept: what was sent is compared with the stored hash at
    /// each request.
    Key(String),
    /// By the tenant and the key that a checked token names.
    Token(TenantId, Uuid),
}

struct Kept {
    credential: Arc<Credential>,
    read_at: Instant,
    changes: u64,
}

/// Credentials by their look-ups.
///
/// A use case that changes a key, a member or a tenant calls [`Self::changed`] after its commit and before it answers, so
/// the next request reads anew. A read that a change overtakes is answered to the request that asked for it, which came
/// before the change was answered, and is not kept.
pub struct Credentials {
    kept: RwLock<HashMap<LookUp, Kept>>,
    /// Changes of all tenants.
    all: AtomicU64,
    /// Changes by tenant.
    of_tenants: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            kept: RwLock::default(),
            all: AtomicU64::new(0),
            of_tenants: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Credentials {
    /// A credential that is kept, else what `read` answers.
    pub(super) async fn get<F>(&self, look_up: LookUp, read: F) -> Result<Option<Arc<Credential>>>
    where
        F: Future<Output = Result<Option<Credential>>>,
    {
        if let Some(credential) = self.find(&look_up) {
            return Ok(Some(credential));
        }
        let before = self.all.load(Ordering::SeqCst);
        let read_at = Instant::now();
        let Some(credential) = read.await?.map(Arc::new) else {
            return Ok(None);
        };
        let changes = self.of(credential.tenant.id);
        // `changed` counts for all first: whoever sees a tenant's new count here sees that something changed meanwhile.
        if self.all.load(Ordering::SeqCst) == before {
            let kept = Kept {
                credential: credential.clone(),
                read_at,
                changes,
            };
            self.keep(look_up, kept);
        }
        Ok(Some(credential))
    }

    fn find(&self, look_up: &LookUp) -> Option<Arc<Credential>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.get(look_up).filter(|kept| self.is_good(kept))?;
        Some(kept.credential.clone())
    }

    fn keep(&self, look_up: LookUp, new: Kept) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX {
            kept.retain(|_, kept| self.is_good(kept));
        }
        if kept.len() < MAX {
            kept.insert(look_up, new);
        }
    }

    fn is_good(&self, kept: &Kept) -> bool {
        kept.read_at.elapsed() < FRESH && kept.changes == self.of(kept.credential.tenant.id)
    }

    /// Something about a tenant's keys, members or profile was committed.
    pub(super) fn changed(&self, tenant: TenantId) {
        self.all.fetch_add(1, Ordering::SeqCst);
        if let Some(counter) = self.counter(tenant) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn of(&self, tenant: TenantId) -> u64 {
        self.counter(tenant)
            .map_or(0, |counter| counter.load(Ordering::SeqCst))
    }

    fn counter(&self, tenant: TenantId) -> Option<&AtomicU64> {
        let place = self.hasher.hash_one(tenant.0) % (COUNTERS as u64);
        self.of_tenants.get(usize::try_from(place).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::model::{key::ApiKey, scope::ScopeSet, tenant::Tenant};

    fn credential(name: &str) -> Credential {
        Credential {
            key: ApiKey {
                id: Uuid::nil(),
                name: name.to_owned(),
                prefix: String::new(),
                scopes: ScopeSet::tenant(),
                member_id: None,
                expires_at: None,
                revoked_at: None,
                created_at: DateTime::UNIX_EPOCH,
            },
            hash: Vec::new(),
            tenant: Tenant {
                id: TenantId(Uuid::nil()),
                name: String::new(),
                profile: crate::model::tenant::Profile::default(),
                created_at: DateTime::UNIX_EPOCH,
                updated_at: DateTime::UNIX_EPOCH,
            },
            member: None,
        }
    }

    fn look_up() -> LookUp {
        LookUp::Key("0123456789ab".to_owned())
    }

    async fn name(credentials: &Credentials, stored: Option<&str>) -> Option<String> {
        let stored = stored.map(credential);
        let found = credentials.get(look_up(), async { Ok(stored) }).await;
        found.unwrap().map(|found| found.key.name.clone())
    }

    #[tokio::test]
    async fn a_credential_is_kept_until_its_tenant_changes() {
        let credentials = Credentials::default();
        assert_eq!(name(&credentials, Some("one")).await.unwrap(), "one");
        assert_eq!(name(&credentials, Some("two")).await.unwrap(), "one");
        credentials.changed(TenantId(Uuid::nil()));
        assert_eq!(name(&credentials, Some("two")).await.unwrap(), "two");
        credentials.changed(TenantId(Uuid::nil()));
        assert_eq!(name(&credentials, None).await, None, "it is gone");
        assert_eq!(name(&credentials, Some("three")).await.unwrap(), "three");
    }

    #[tokio::test]
    async fn what_a_change_overtakes_is_not_kept() {
        let credentials = Credentials::default();
        let overtaken = credentials.get(look_up(), async {
            let old = credential("old");
            // Of another tenant: the read cannot know yet whose key it is.
            credentials.changed(TenantId(Uuid::from_u128(1)));
            Ok(Some(old))
        });
        assert_eq!(overtaken.await.unwrap().unwrap().key.name, "old");
        assert_eq!(name(&credentials, Some("new")).await.unwrap(), "new");
    }

    #[tokio::test]
    async fn a_credential_is_read_again_when_it_is_old() {
        let credentials = Credentials::default();
        assert_eq!(name(&credentials, Some("one")).await.unwrap(), "one");
        for kept in credentials.kept.write().unwrap().values_mut() {
            kept.read_at = kept.read_at.checked_sub(FRESH).unwrap();
        }
        assert_eq!(name(&credentials, Some("two")).await.unwrap(), "two");
    }
}
