//! How use cases wake and stop the workers of this process: a nudge to look for work, and a switch for each mailbox
//! that is being synced.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::model::{id::TenantId, lease::Lease};

/// So many messages that are stored at once are not the day's mail: more of them follow.
const MANY: usize = 50;
/// For so long after many messages were stored more are awaited.
const TAKES_IN: Duration = Duration::from_secs(1);

/// So many nudges wait to be told to other processes; further ones are dropped, and seen in the store.
const UNTOLD: usize = 1_000;

/// What one process tells the others that share its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nudge {
    /// A mailbox may wait to be synced.
    Sync,
    /// Events of a tenant were committed.
    Events(Uuid),
    /// A mailbox's connections have to be closed.
    Close(Uuid),
    /// A webhook endpoint has something to do.
    Deliver,
}

/// The signals. They only hasten: the store is the truth, and workers look there in any case.
#[derive(Default)]
pub struct Signals {
    claim: Notify,
    index: Notify,
    taken_in: Mutex<Option<Instant>>,
    running: Mutex<HashMap<Uuid, (i64, CancellationToken)>>,
    events: Mutex<HashMap<TenantId, watch::Sender<()>>>,
    news: Mutex<HashSet<TenantId>>,
    deliver: Notify,
    hastened: AtomicBool,
    others: OnceLock<mpsc::Sender<Nudge>>,
    alone: AtomicBool,
}

impl Signals {
    /// Says that a mailbox may wait to be synced.
    pub fn wake_sync(&self) {
        self.sync_here();
        self.tell(Nudge::Sync);
    }

    /// The same, to this process alone.
    pub(super) fn sync_here(&self) {
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
        self.events_here(tenant);
        self.tell(Nudge::Events(tenant.0));
    }

    /// The same, to this process alone.
    pub(super) fn events_here(&self, tenant: TenantId) {
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
        self.deliver_here();
        self.tell(Nudge::Deliver);
    }

    /// The same, to this process alone.
    pub(super) fn deliver_here(&self) {
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

    /// Registers the task of a lease; `switch` is what [`Self::close`] pulls. The task of an earlier lease of the mailbox ends:
    /// it may write nothing more, and would keep its connection all the same.
    pub fn register(&self, lease: Lease, switch: CancellationToken) {
        let earlier = self.lock().insert(lease.mailbox, (lease.epoch, switch));
        if let Some((_, switch)) = earlier {
            switch.cancel();
        }
    }

    /// Takes the task of a lease from the register, unless that of a later one has taken its place.
    pub fn unregister(&self, lease: Lease) {
        let mut running = self.lock();
        if running
            .get(&lease.mailbox)
            .is_some_and(|(epoch, _)| *epoch == lease.epoch)
        {
            running.remove(&lease.mailbox);
        }
    }

    /// How many mailboxes have a task.
    pub fn running(&self) -> usize {
        self.lock().len()
    }

    /// Whether a lease has a task.
    pub fn runs(&self, lease: Lease) -> bool {
        let running = self.lock();
        running
            .get(&lease.mailbox)
            .is_some_and(|(epoch, _)| *epoch == lease.epoch)
    }

    /// Ends the tasks of leases that are not among those that are held, by mailbox.
    pub fn close_lost(&self, held: &HashMap<Uuid, Lease>) {
        for (mailbox, (epoch, switch)) in self.lock().iter() {
            if held.get(mailbox).is_none_or(|lease| lease.epoch != *epoch) {
                switch.cancel();
            }
        }
    }

    /// Ends so many tasks, whichever they are.
    pub fn close_some(&self, count: usize) {
        for (_, switch) in self.lock().values().take(count) {
            switch.cancel();
        }
    }

    /// What this process has to say to the others from now on.
    pub(super) fn connect(&self) -> mpsc::Receiver<Nudge> {
        let (sender, receiver) = mpsc::channel(UNTOLD);
        drop(self.others.set(sender));
        receiver
    }

    /// Says something to the other processes of the database, if there are any.
    pub(super) fn tell(&self, nudge: Nudge) {
        if let Some(others) = self.others.get()
            && !self.alone.load(Ordering::Relaxed)
        {
            let _ = others.try_send(nudge);
        }
    }

    /// Whether no other process shares the database, as far as is known.
    pub(super) fn set_alone(&self, alone: bool) {
        self.alone.store(alone, Ordering::Relaxed);
    }

    /// Wakes everything: what others said may have been lost.
    pub(super) fn wake_all(&self) {
        self.sync_here();
        self.wake_index();
        self.deliver_here();
        for followers in self.followers().values() {
            followers.send_replace(());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, (i64, CancellationToken)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_has_one_task_that_of_its_latest_lease() {
        let signals = Signals::default();
        let lease = |epoch| Lease {
            tenant: TenantId(Uuid::from_u128(1)),
            mailbox: Uuid::from_u128(2),
            epoch,
        };
        let (first, second) = (CancellationToken::new(), CancellationToken::new());
        signals.register(lease(1), first.clone());
        assert!(!first.is_cancelled());
        signals.register(lease(2), second.clone());
        assert!(first.is_cancelled() && !second.is_cancelled());
        // The end of the first task is not that of the second.
        signals.unregister(lease(1));
        assert!(signals.runs(lease(2)) && signals.running() == 1);
        signals.close(lease(2).mailbox);
        assert!(second.is_cancelled());
    }
}
