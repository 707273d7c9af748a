//! What a sync writes: every function is one transaction that first passes the fence.
//!
//! The fence is the lease's epoch together with `enabled`, checked on the mailbox's locked row. A function that finds it
//! lost answers [`Halt::Fenced`] and has written nothing. What is to be written is decided by the worker; no connection
//! to a mail server may be opened here.

mod arrivals;
mod aside;
mod folders;
mod labels;
mod presence;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use self::{
    arrivals::{Arrival, Found, Raw, store_arrivals},
    aside::{list_aside, release_aside, set_aside, try_aside},
    folders::{Listed, begin_generation, count, known_folders, save_folder, save_folders},
    labels::{adopt_label_folders, finish_label_folders},
    presence::{Place, apply_expunges, apply_flags, drop_stale, end_moves, place_matched},
};
pub(super) use self::{
    labels::{apply as apply_labels, offers_labels},
    presence::settle,
};
use super::{App, journal::Journal, logins, metrics::Tried};
use crate::{
    model::{
        Error, Result,
        caller::Visibility,
        event::EventType,
        folder::{Folder, Seen},
        lease::Fence,
        mailbox::{ConnectionError, Mailbox, ServerLogin, Service, SyncProgress},
        state::Signal,
    },
    store::{Conn, Work},
};

/// Why a write of a sync was not made.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// The lease was lost, or the mailbox was disabled or deleted: the sync ends.
    #[error("the lease was lost, or the mailbox was disabled")]
    Fenced,
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// The result of a fenced write.
pub type Fenced<T> = std::result::Result<T, Halt>;

/// Runs a transaction behind the fence.
async fn fenced<T, F>(app: &App, fence: Fence, work: F) -> Fenced<T>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut Conn, Mailbox) -> Work<'c, T> + Send + 'static,
{
    announced(app, fence, move |tx, mailbox, _| work(tx, mailbox)).await
}

/// The same for a transaction that has something to tell.
async fn announced<T, F>(app: &App, fence: Fence, work: F) -> Fenced<T>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut Conn, Mailbox, &'c mut Journal) -> Work<'c, T> + Send + 'static,
{
    app.write_journal(fence.tenant, move |tx, journal| {
        Box::pin(async move {
            match tx.lock_fenced(fence).await? {
                Some(mailbox) => {
                    journal.of(&mailbox);
                    work(tx, mailbox, journal).await.map(Some)
                }
                None => Ok(None),
            }
        })
    })
    .await?
    .ok_or(Halt::Fenced)
}

/// The mailbox with its login, when it is to be synced.
pub async fn load(app: &App, fence: Fence) -> Fenced<(Mailbox, ServerLogin)> {
    let found = app
        .store
        .read()
        .await?
        .get_mailbox(fence.tenant, Visibility::All, fence.mailbox)
        .await?;
    let mailbox = found.filter(|mailbox| mailbox.facts.enabled && !mailbox.facts.retired && !mailbox.halted);
    let mailbox = mailbox.ok_or(Halt::Fenced)?;
    let login = logins::open(app, fence.tenant, fence.mailbox, Service::Imap)
        .await?
        .ok_or(Halt::Fenced)?;
    Ok((mailbox, login))
}

/// What became of a connection.
#[derive(Debug, Clone)]
pub struct Report {
    /// What happened.
    pub signal: Signal,
    /// Why it does not work: a stable word and a sentence.
    pub problem: Option<(String, String)>,
    /// What the server offers, where it is known.
    pub capabilities: Option<Vec<String>>,
}

impl Report {
    /// Something that is no failure.
    pub const fn of(signal: Signal) -> Self {
        Self {
            signal,
            problem: None,
            capabilities: None,
        }
    }
}

/// Moves the state machine on.
///
/// An error's `since` stays while the same error stays; it goes when a connection succeeds. Credentials that were
/// refused stop dialling.
pub async fn report(app: &App, fence: Fence, report: Report) -> Fenced<Mailbox> {
    let now = app.clock.now();
    count_login(app, report.signal);
    announced(app, fence, move |tx, mut mailbox, journal| {
        Box::pin(async move {
            let state = mailbox.state();
            let before = (
                mailbox.facts,
                mailbox.halted,
                mailbox.error.clone(),
                mailbox.capabilities.clone(),
            );
            let Report {
                signal,
                problem,
                capabilities,
            } = report;
            mailbox.facts.phase = mailbox.facts.phase.after(signal);
            match signal {
                Signal::LoggedIn => {
                    mailbox.facts.connected_before = true;
                    mailbox.error = None;
                }
                Signal::Refused => mailbox.halted = true,
                Signal::Dialled | Signal::CaughtUp | Signal::Failed | Signal::Closed => {}
            }
            if let Some((code, message)) = problem {
                let since = mailbox
                    .error
                    .filter(|error| error.code == code)
                    .map_or(now, |error| error.since);
                mailbox.error = Some(ConnectionError { code, message, since });
            }
            mailbox.capabilities = capabilities.unwrap_or(mailbox.capabilities);
            if before
                != (
                    mailbox.facts,
                    mailbox.halted,
                    mailbox.error.clone(),
                    mailbox.capabilities.clone(),
                )
            {
                mailbox.updated_at = now;
                tx.update_mailbox(fence.tenant, &mailbox).await?;
            }
            let (_, _, error, capabilities) = before;
            let shown = (error, capabilities) != (mailbox.error.clone(), mailbox.capabilities.clone());
            // With a change of the state comes why.
            let moved = journal.state(state, &mailbox);
            if moved && matches!(signal, Signal::Refused) {
                journal.reauth();
            } else if !moved && shown {
                journal.mailbox(EventType::MailboxUpdated);
            }
            Ok(mailbox)
        })
    })
    .await
}

fn count_login(app: &App, signal: Signal) {
    match signal {
        Signal::LoggedIn => app.metrics.login(Tried::Succeeded),
        Signal::Refused => app.metrics.login(Tried::Refused),
        Signal::Failed => app.metrics.login(Tried::Failed),
        Signal::Dialled | Signal::CaughtUp | Signal::Closed => {}
    }
}

/// Stores how far the first sync has come; `None` when it is done.
pub async fn save_progress(app: &App, fence: Fence, progress: Option<SyncProgress>) -> Fenced<()> {
    fenced(app, fence, move |tx, _| {
        Box::pin(async move {
            tx.set_progress(fence.tenant, fence.mailbox, progress.as_ref())
                .await
        })
    })
    .await
}

/// Stores that the backfill is done; that of the mailbox's first one is told.
pub async fn end_backfill(app: &App, fence: Fence) -> Fenced<()> {
    let now = app.clock.now();
    announced(app, fence, move |tx, mailbox, journal| {
        Box::pin(async move {
            if mailbox.backfilled_at.is_some() {
                return tx.set_progress(fence.tenant, fence.mailbox, None).await;
            }
            journal.mailbox(EventType::MailboxBackfillCompleted);
            tx.end_backfill(fence.tenant, fence.mailbox, now).await
        })
    })
    .await
}

/// Stores that a pass over the folders has ended.
pub async fn save_synced(app: &App, fence: Fence, at: DateTime<Utc>) -> Fenced<()> {
    fenced(app, fence, move |tx, _| {
        Box::pin(async move { tx.set_last_synced(fence.tenant, fence.mailbox, at).await })
    })
    .await
}

/// Gives the lease back.
pub async fn release(app: &App, fence: Fence) -> Result<()> {
    app.write(move |tx| Box::pin(async move { tx.release_lease(fence).await }))
        .await
}

/// What is stored of a folder's present generation, by UID.
pub async fn placements(app: &App, fence: Fence, folder: &Folder, uids: (i64, i64)) -> Fenced<Vec<Seen>> {
    let mut conn = app.store.read().await?;
    Ok(conn
        .placements_in(fence.tenant, folder.id, folder.cursor.uid_validity, uids)
        .await?)
}

/// The stored messages among those that the server calls so, tombstones included: dedupe keys with their messages.
pub async fn known_messages(app: &App, fence: Fence, keys: &[Vec<u8>]) -> Fenced<HashMap<Vec<u8>, Uuid>> {
    let mut conn = app.store.read().await?;
    let found = conn.find_messages(fence.tenant, fence.mailbox, keys).await?;
    Ok(found.into_iter().collect())
}

/// True when the folder still has placements of an earlier generation.
pub async fn has_stale(app: &App, fence: Fence, folder: &Folder) -> Fenced<bool> {
    let mut conn = app.store.read().await?;
    Ok(conn
        .has_stale_placements(fence.tenant, folder.id, folder.cursor.uid_validity)
        .await?)
}

/// Finds messages of the folder's earlier generation by what a server tells of them, where that is unique on both sides:
/// `(Message-ID, RFC822.SIZE, INTERNALDATE)`. Answers the message for each index of `wanted` that has one.
pub async fn match_generation(
    app: &App,
    fence: Fence,
    folder: &Folder,
    wanted: &[Traits],
) -> Fenced<Vec<(usize, Uuid)>> {
    let mut conn = app.store.read().await?;
    let ids: Vec<String> = wanted.iter().map(|traits| traits.0.clone()).collect();
    let generation = folder.cursor.uid_validity;
    let mut stored: HashMap<Traits, Option<Uuid>> = HashMap::new();
    for (id, message_id, size, at) in conn
        .find_earlier_generation(fence.tenant, folder.id, generation, &ids)
        .await?
    {
        let Some(message_id) = message_id else { continue };
        let unique = stored.entry((message_id, size, at)).or_insert(Some(id));
        if *unique != Some(id) {
            *unique = None;
        }
    }
    let mut counts: HashMap<&Traits, usize> = HashMap::new();
    for traits in wanted {
        *counts.entry(traits).or_default() += 1;
    }
    let unique = wanted
        .iter()
        .enumerate()
        .filter(|(_, traits)| counts.get(traits) == Some(&1));
    let mut matched: Vec<(usize, Uuid)> = unique
        .filter_map(|(at, traits)| Some((at, stored.get(traits).copied().flatten()?)))
        .collect();
    // One that was found already in this generation is not what another UID holds: its bytes have to tell.
    let ids: Vec<Uuid> = matched.iter().map(|(_, id)| *id).collect();
    let placed = conn.placements_of(fence.tenant, &ids).await?;
    let here = placed
        .iter()
        .filter(|place| place.folder_id == folder.id && place.uid_validity == generation);
    let taken: HashSet<Uuid> = here.map(|place| place.message_id).collect();
    matched.retain(|(_, id)| !taken.contains(id));
    Ok(matched)
}

/// What a server tells of a message without sending it: Message-ID, RFC822.SIZE and INTERNALDATE.
pub type Traits = (String, i64, DateTime<Utc>);
