//! How use cases wake and stop the workers of this process: a nudge to look for work, and a switch for each mailbox
//! that is being synced.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::model::id::TenantId;

/// So many messages that are stored at once are not the day's mail: more of them follow.
const MANY: usize = 50;
/// For so long after many messages were stored more are awaited.
const TAKES_IN: Duration = Duration::from_secs(1);

/// The signals. They only hasten: the store is the truth, and workers look there in any case.
#[derive(Default)]
pub struct Signals {
    claim: Notify,
    index: Notify,
    taken_in: Mutex<Option<Instant>>,
    running: Mutex<HashMap<Uuid, (u64, CancellationToken)>>,
    events: Mutex<HashMap<TenantId, watch::Sender<()>>>,
    news: Mutex<HashSet<TenantId>>,
    deliver: Notify,
    hastened: AtomicBool,
}

impl Signals {
    /// Says that a mailbox may wait to be synced.
    pub fn wake_sync(&self) {
        self.claim.notify_one();
    }

    /// Waits until [`Self::wake_sync`] is called.
    pub async fn sync_woken(&self) {
        self.claim.notified().await;
    }

    /// Says that messages wait for the index.
    pub fn wake_index(&self) {
        self.index.notify_one();
    }

    /// Says that so many messages were stored at once, and wait for the index.
    pub fn taken_in(&self, count: usize) {
        if count >= MANY {
            *self.taken_in.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        self.wake_index();
    }

    /// True while many messages are being stored: the last ones came within a second.
    pub fn takes_in(&self) -> bool {
        let last = *self.taken_in.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < TAKES_IN)
    }

    /// Waits until [`Self::wake_index`] is called.
    pub async fn index_woken(&self) {
        self.index.notified().await;
    }

    /// Says that events of a tenant were committed.
    pub fn wake_events(&self, tenant: TenantId) {
        if let Some(followers) = self.followers().get(&tenant) {
            followers.send_replace(());
        }
        self.news
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(tenant);
        self.deliver.notify_one();
    }

    /// Says that a webhook endpoint has something to do that its worker does not know of.
    pub fn wake_deliver(&self) {
        self.hastened.store(true, Ordering::SeqCst);
        self.deliver.notify_one();
    }

    /// Whether [`Self::wake_deliver`] was called since this was asked last.
    pub fn take_hastened(&self) -> bool {
        self.hastened.swap(false, Ordering::SeqCst)
    }

    /// Waits until [`Self::wake_events`] or [`Self::wake_deliver`] is called.
    pub async fn deliver_woken(&self) {
        self.deliver.notified().await;
    }

    /// The tenants of which events were committed since this was asked last.
    pub fn take_news(&self) -> HashSet<TenantId> {
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What changes when [`Self::wake_events`] is called; `None` where so many follow the tenant's log already.
    pub fn follow_events(&self, tenant: TenantId, most: usize) -> Option<watch::Receiver<()>> {
        let mut followers = self.followers();
        // Those whose last follower has gone.
        followers.retain(|_, followers| followers.receiver_count() > 0);
        let of_tenant = followers.entry(tenant).or_default();
        (of_tenant.receiver_count() < most).then(|| of_tenant.subscribe())
    }

    fn followers(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, watch::Sender<()>>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes a mailbox's connection, if this process has one.
    pub fn close(&self, mailbox: Uuid) {
        if let Some((_, switch)) = self.lock().get(&mailbox) {
            switch.cancel();
        }
    }

    /// Registers a mailbox's connection; `switch` is what [`Self::close`] pulls. `run` tells this one from an earlier.
    pub fn register(&self, mailbox: Uuid, run: u64, switch: CancellationToken) {
        self.lock().insert(mailbox, (run, switch));
    }

    /// Takes a mailbox's connection from the register, unless a later run has taken its place.
    pub fn unregister(&self, mailbox: Uuid, run: u64) {
        let mut running = self.lock();
        if running.get(&mailbox).is_some_and(|(known, _)| *known == run) {
            running.remove(&mailbox);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, (u64, CancellationToken)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
