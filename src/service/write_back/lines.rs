//! The connections that changes are written over: one for each mailbox, kept for a few seconds after its last use.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::mail::imap::Session;

/// How long a connection is kept open for the next change. It is short because another node, where the mailbox is
/// disabled, cannot close it.
pub(super) const KEEP: Duration = Duration::from_secs(5);
/// The most connections that are open at once, of all mailboxes.
const MAX_OPEN: usize = 256;

/// The lines of all mailboxes that are being written to.
#[derive(Clone)]
pub struct Writers(Arc<Shared>);

struct Shared {
    lines: Mutex<HashMap<Uuid, Arc<Line>>>,
    open: Arc<Semaphore>,
}

/// A mailbox's line: its changes go one after another, so that the store sees them in the server's order.
pub(super) struct Line {
    /// Pulled when the mailbox's connections are to be closed.
    pub(super) switch: CancellationToken,
    /// The connection, while it is kept.
    pub(super) kept: tokio::sync::Mutex<Option<Kept>>,
}

/// An open connection.
pub(super) struct Kept {
    pub(super) session: Session,
    /// One of the places among all connections.
    #[expect(dead_code, reason = "held: dropping it gives the place back")]
    pub(super) place: OwnedSemaphorePermit,
    /// True when a task waits for the end of its keeping.
    pub(super) watched: bool,
    /// When the keeping ends unless it is used again.
    pub(super) until: tokio::time::Instant,
}

/// A mailbox's line while somebody needs it.
#[derive(Clone)]
pub(super) struct Held {
    shared: Arc<Shared>,
    mailbox: Uuid,
    line: Option<Arc<Line>>,
}

impl Default for Writers {
    fn default() -> Self {
        Self(Arc::new(Shared {
            lines: Mutex::default(),
            open: Arc::new(Semaphore::new(MAX_OPEN)),
        }))
    }
}

impl Writers {
    /// Closes a mailbox's connection at once; a change that is under way on it ends.
    pub(in crate::service) fn close(&self, mailbox: Uuid) {
        if let Some(line) = self.0.lock().remove(&mailbox) {
            line.switch.cancel();
            // The task that keeps the connection drops it in a moment; where nobody uses it, it is dropped now.
            if let Ok(mut kept) = line.kept.try_lock() {
                kept.take();
            }
        }
    }

    /// The mailbox's line.
    pub(super) fn line(&self, mailbox: Uuid) -> Held {
        let mut lines = self.0.lock();
        let line = lines.entry(mailbox).or_insert_with(|| {
            Arc::new(Line {
                switch: CancellationToken::new(),
                kept: tokio::sync::Mutex::default(),
            })
        });
        Held {
            shared: Arc::clone(&self.0),
            mailbox,
            line: Some(Arc::clone(line)),
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Arc<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// The line.
    pub(super) fn line(&self) -> Option<&Line> {
        self.line.as_deref()
    }

    /// Waits for one of the places among all connections.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.shared.open).acquire_owned().await.ok()
    }

    /// Waits until the connection was not used for [`KEEP`], or is to be closed, and says goodbye.
    pub(super) async fn expire(self) {
        let Some(line) = self.line() else { return };
        let mut until = tokio::time::Instant::now() + KEEP;
        loop {
            let waited = line
                .switch
                .run_until_cancelled(tokio::time::sleep_until(until))
                .await;
            let mut kept = line.kept.lock().await;
            match kept.as_ref() {
                Some(open) if waited.is_some() && open.until > tokio::time::Instant::now() => {
                    until = open.until;
                }
                Some(_) => {
                    let open = kept.take();
                    drop(kept);
                    if let Some(open) = open.filter(|_| waited.is_some()) {
                        // Nothing depends on it.
                        drop(open.session.logout().await);
                    }
                    return;
                }
                None => return,
            }
        }
    }
}

impl Drop for Held {
    /// The last who needed a line takes it from the map.
    fn drop(&mut self) {
        let mut lines = self.shared.lock();
        let Some(line) = self.line.take() else { return };
        let empty = line.kept.try_lock().is_ok_and(|kept| kept.is_none());
        // The map's own handle and this one.
        let last = Arc::strong_count(&line) == 2;
        if empty
            && last
            && lines
                .get(&self.mailbox)
                .is_some_and(|known| Arc::ptr_eq(known, &line))
        {
            lines.remove(&self.mailbox);
        }
    }
}
