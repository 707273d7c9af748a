//! A logged-in connection: catch up with every folder, then idle on INBOX and look at the others from time to time.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Shared,
    compare::AsideMap,
    pace::Pace,
    stop::{Memory, Stop},
};
use crate::{
    mail::imap::{Error, FetchItems, FolderStatus, IdleEvent, ListEntry, Qresync, Selected, Session},
    model::{
        folder::{Folder, FolderRole},
        label::Labels,
        lease::Fence,
        mailbox::SyncProgress,
        provider::Provider,
        state::Signal,
    },
    service::sync::{self, Listed, Report},
};

/// IDLE is begun again after this long (RFC 2177 says 29 minutes at most), and sooner for Gmail, which drops it.
const IDLE: Duration = Duration::from_secs(29 * 60);
const IDLE_GMAIL: Duration = Duration::from_secs(9 * 60);
/// How long the pass after news waits: they are read at once then, and more of them may follow.
const GATHER: Duration = Duration::from_millis(20);
/// How often folders other than INBOX are looked at.
const OTHERS: Duration = Duration::from_secs(5 * 60);
/// How often INBOX is looked at during a backfill, where there can be no IDLE.
const GLANCE: Duration = Duration::from_secs(5);
/// Where the server has no IDLE: the shortest time between two passes, and how much longer it may get by chance.
const POLL: Duration = Duration::from_secs(60);
const POLL_JITTER: Duration = Duration::from_secs(240);
/// How long DONE may take when the connection is to be closed.
const FAREWELL: Duration = Duration::from_millis(400);
/// How many passes in a row a server's hints can ask for before IDLE is begun all the same.
const HINTED: u32 = 3;
/// An account has at most this many folders that are synced.
const MAX_FOLDERS: usize = 2_000;

/// A connection and what it works with.
pub(super) struct Connection<'c> {
    pub(super) shared: &'c Shared,
    pub(super) fence: Fence,
    pub(super) memory: &'c mut Memory,
    pub(super) items: FetchItems,
    pub(super) qresync: bool,
    /// True when the server has mod-sequences.
    pub(super) offers_modseq: bool,
    pub(super) progress: Option<SyncProgress>,
    /// True when a message was read on this connection.
    pub(super) served: bool,
    /// How many new messages it has brought, those behind the cursors.
    pub(super) brought: usize,
    pub(super) folders: Vec<Folder>,
    /// What the labels stand for, where folders are known by them.
    pub(super) labels: Option<Labels>,
    /// Labels that no folder was found for in this pass.
    pub(super) strange: HashSet<String>,
    /// UIDs that are gone from a folder, until it is known whether their messages lie in another one now.
    pub(super) gone: HashMap<Uuid, Vec<i64>>,
    pub(super) aside: AsideMap,
    /// Why INBOX, or the folder that has every message, was not opened when it was tried last.
    pub(super) main_refused: Option<Error>,
    /// The folder that is open, and the generation of its UIDs.
    pub(super) opened: Option<(Uuid, i64)>,
    /// The folder whose new mail was taken in at once, before its pass.
    pub(super) taken: Option<Uuid>,
    switch: &'c CancellationToken,
    session: Option<Session>,
    provider: Provider,
}

impl<'c> Connection<'c> {
    pub(super) fn new(
        shared: &'c Shared,
        fence: Fence,
        switch: &'c CancellationToken,
        memory: &'c mut Memory,
        session: Session,
        provider: Provider,
    ) -> Self {
        Self {
            shared,
            fence,
            memory,
            items: FetchItems::default(),
            qresync: false,
            offers_modseq: false,
            progress: None,
            served: false,
            brought: 0,
            folders: Vec::new(),
            labels: None,
            strange: HashSet::new(),
            gone: HashMap::new(),
            aside: AsideMap::default(),
            main_refused: None,
            opened: None,
            taken: None,
            switch,
            session: Some(session),
            provider,
        }
    }

    /// The session, if it was not lost.
    pub(super) fn into_session(self) -> Option<Session> {
        self.session
    }

    /// The session; lost only when IDLE failed.
    pub(super) fn session(&mut self) -> Result<&mut Session, Stop> {
        self.session.as_mut().ok_or(Stop::Again)
    }

    /// Opens a folder for reading.
    pub(super) async fn open(&mut self, raw_name: &[u8], known: Option<Qresync>) -> Result<Selected, Stop> {
        self.opened = None;
        let session = self.session()?;
        let selected = session.examine(raw_name, known).await?;
        // The folder's own mod-sequence is the cursor's; a message's own is never asked for.
        let items = FetchItems {
            modseq: false,
            ..FetchItems::offered(session.capabilities())
        };
        self.items = items;
        Ok(selected)
    }

    /// Catches up, then idles until the connection ends.
    pub(super) async fn serve(&mut self) -> Result<(), Stop> {
        let switch = self.switch;
        switch
            // A pass is large: it is let go before the long wait.
            .run_until_cancelled(Box::pin(self.catch_up()))
            .await
            .ok_or(Stop::Cancelled)??;
        let mut others = Instant::now() + OTHERS;
        let mut hinted = 0;
        let mut pace = Pace::new(Instant::now());
        loop {
            // What was told during the pass is not told again by IDLE.
            let told = self.session()?.take_pending().has_changes();
            hinted = if told { hinted + 1 } else { 0 };
            if hinted == 0 || hinted > HINTED {
                hinted = 0;
                if self.wait(others).await? == IdleEvent::Cancelled {
                    return Err(Stop::Cancelled);
                }
            }
            let pause = pace.next(Instant::now());
            // A sleep of no time takes up to a millisecond.
            if !pause.is_zero() {
                switch
                    .run_until_cancelled(tokio::time::sleep(pause))
                    .await
                    .ok_or(Stop::Cancelled)?;
            }
            let look = Instant::now() >= others;
            let before = self.brought;
            let pass = async {
                self.take_told().await?;
                self.session()?.settle().await?;
                if self.taken.is_some() {
                    tokio::time::sleep(GATHER).await;
                }
                self.look(look).await
            };
            switch
                .run_until_cancelled(Box::pin(pass))
                .await
                .ok_or(Stop::Cancelled)??;
            if self.brought > before {
                pace.forgive();
            }
            if look {
                others = Instant::now() + OTHERS;
            }
        }
    }

    /// The passes after a connect: every folder's changes first, then what the backfill has not reached.
    async fn catch_up(&mut self) -> Result<(), Stop> {
        let enabled = match self.session()?.enable(&["QRESYNC", "CONDSTORE"]).await {
            // It goes without, too.
            Err(Error::No { .. } | Error::Bad { .. }) => Vec::new(),
            enabled => enabled?,
        };
        self.qresync = enabled.iter().any(|name| name == "QRESYNC");
        self.offers_modseq = self.session()?.capabilities().has_condstore();
        self.list(true).await?;
        self.load_aside().await?;
        let mut total = 0;
        for at in 0..self.folders.len() {
            total += i64::from(self.pass(at).await?);
        }
        self.backfill(total).await?;
        self.settle().await?;
        self.finish_labels().await?;
        for folder in &self.folders {
            // A process that ended just before it had dropped an earlier generation left it behind.
            if self.is_known_whole(folder) {
                self.end_generations(folder).await?;
            }
        }
        sync::end_moves(&self.shared.app, self.fence).await?;
        self.end_backfill().await?;
        self.pass_inbox().await?;
        self.synced().await?;
        sync::report(&self.shared.app, self.fence, Report::of(Signal::CaughtUp)).await?;
        Ok(())
    }

    /// A pass that a wake or a poll asked for: INBOX always, the others when it is their time.
    async fn look(&mut self, others: bool) -> Result<(), Stop> {
        if others {
            self.list(false).await?;
            for at in 0..self.folders.len() {
                if Some(at) != self.main() && self.differs(at).await? {
                    self.pass(at).await?;
                }
            }
            sync::end_moves(&self.shared.app, self.fence).await?;
        }
        if self.backfill(0).await? {
            self.end_backfill().await?;
        }
        self.pass_inbox().await?;
        self.synced().await
    }

    /// Stores that the backfill is done, if that of every folder is which the server opens.
    async fn end_backfill(&self) -> Result<(), Stop> {
        let waits = |folder: &Folder| folder.cursor.uid_validity > 0 && !folder.cursor.is_backfilled();
        let waiting = self
            .folders
            .iter()
            .any(|folder| self.is_followed(folder) && waits(folder));
        if waiting || self.main_refused.is_some() {
            sync::save_progress(&self.shared.app, self.fence, None).await?;
        } else {
            sync::end_backfill(&self.shared.app, self.fence).await?;
        }
        Ok(())
    }

    /// The last pass before IDLE, which listens to the folder that is open.
    async fn pass_inbox(&mut self) -> Result<(), Stop> {
        if let Some(main) = self.main() {
            self.pass(main).await?;
        }
        // A generation that has just begun.
        if self.backfill(0).await?
            && let Some(main) = self.main()
        {
            self.pass(main).await?;
        }
        // The other folders are in step by now; without this one a mailbox is not.
        if let Some(error) = self.main_refused.take() {
            return Err(error.into());
        }
        self.listen().await
    }

    async fn synced(&mut self) -> Result<(), Stop> {
        Ok(sync::save_synced(&self.shared.app, self.fence, self.shared.app.clock.now()).await?)
    }

    /// Reads the folder list and stores what changed about it.
    pub(super) async fn list(&mut self, first: bool) -> Result<(), Stop> {
        let listed = self.session()?.list().await?;
        let mut entries = Vec::with_capacity(listed.len());
        for entry in listed
            .into_iter()
            .filter(|entry| entry.selectable)
            .take(MAX_FOLDERS)
        {
            let known = self
                .folders
                .iter()
                .find(|folder| folder.raw_name == entry.raw_name);
            let mut object_id = known.and_then(|folder| folder.object_id.clone());
            if known.is_none() {
                object_id = match self.session()?.mailbox_id(&entry.raw_name).await {
                    Ok(id) => id,
                    // Without it a rename is not followed, and nothing else is lost.
                    Err(Error::No { .. } | Error::Bad { .. }) => None,
                    Err(error) => return Err(error.into()),
                };
            }
            entries.push(named(entry, object_id));
        }
        if first {
            self.add_unlisted(&mut entries).await?;
        }
        self.folders = sync::save_folders(&self.shared.app, self.fence, entries, first).await?;
        self.choose_way()
    }

    /// Adds the folders that are known and were not listed, and that the server has all the same: a listing can leave some
    /// out, and a folder is not to go for it.
    async fn add_unlisted(&mut self, entries: &mut Vec<Listed>) -> Result<(), Stop> {
        // There such a folder has two names, of which one is listed.
        let by_role = self.session()?.capabilities().has("X-GM-EXT-1");
        for folder in sync::known_folders(&self.shared.app, self.fence).await? {
            let is_it = |entry: &Listed| {
                entry.raw_name == folder.raw_name
                    || (entry.object_id.is_some() && entry.object_id == folder.object_id)
                    || (by_role && entry.role.is_some() && entry.role == folder.role)
            };
            if entries.iter().any(is_it) {
                continue;
            }
            match self.session()?.status(&folder.raw_name).await {
                Ok(_) => entries.push(Listed {
                    raw_name: folder.raw_name,
                    name: folder.name,
                    delimiter: folder.delimiter,
                    role: folder.role,
                    object_id: folder.object_id,
                }),
                Err(Error::No { .. } | Error::Bad { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The folder that a pass never leaves out: the one that has every message, else INBOX, which every account has, else
    /// the first.
    fn main(&self) -> Option<usize> {
        if let Some(all) = self.all() {
            return Some(all);
        }
        let inbox = self
            .folders
            .iter()
            .position(|folder| folder.role == Some(FolderRole::Inbox));
        inbox.or_else(|| (!self.folders.is_empty()).then_some(0))
    }

    /// Passes over one folder; answers how many messages the server has in it. A folder that cannot be opened is passed
    /// over: the others must not wait for it.
    pub(super) async fn pass(&mut self, at: usize) -> Result<u32, Stop> {
        let Some(folder) = self.folders.get(at).cloned() else {
            return Ok(0);
        };
        let Some((folder, exists)) = self.pass_over(folder).await? else {
            return Ok(0);
        };
        if let Some(place) = self.folders.get_mut(at) {
            *place = folder;
        }
        Ok(exists)
    }

    /// True when STATUS tells of a change in a folder that is not selected.
    pub(super) async fn differs(&mut self, at: usize) -> Result<bool, Stop> {
        let folder = self.folders.get(at).cloned();
        let Some(folder) = folder.filter(|folder| self.is_followed(folder)) else {
            return Ok(false);
        };
        let status = match self.session()?.status(&folder.raw_name).await {
            Ok(status) => status,
            Err(Error::No { .. } | Error::Bad { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        Ok(changed(&folder, &status))
    }

    /// Reads what the backfill has not reached, newest first, one slice of a folder at a time; INBOX's new mail goes before.
    /// Answers whether there was anything to do.
    async fn backfill(&mut self, total: i64) -> Result<bool, Stop> {
        let waits = |folder: &Folder| folder.cursor.uid_validity > 0 && !folder.cursor.is_backfilled();
        let followed = self.folders.iter().filter(|folder| self.is_followed(folder));
        if !followed.clone().any(waits) {
            return Ok(false);
        }
        let done = followed.map(|folder| folder.message_count).sum();
        self.progress = Some(SyncProgress {
            folder: String::new(),
            done,
            total: total.max(done),
        });
        let mut glanced = Instant::now();
        for at in 0..self.folders.len() {
            while let Some(folder) = self.folders.get(at).cloned().filter(waits) {
                if !self.is_followed(&folder) {
                    break;
                }
                if let Some(progress) = &mut self.progress {
                    progress.folder.clone_from(&folder.name);
                }
                let Some(folder) = self.backfill_folder(folder, glanced + GLANCE).await? else {
                    break;
                };
                if let Some(place) = self.folders.get_mut(at) {
                    *place = folder;
                }
                if glanced.elapsed() >= GLANCE
                    && let Some(main) = self.main()
                {
                    if self.differs(main).await? {
                        self.pass(main).await?;
                    }
                    glanced = Instant::now();
                }
            }
        }
        self.progress = None;
        sync::save_progress(&self.shared.app, self.fence, None).await?;
        Ok(true)
    }

    /// Waits until INBOX changes, until it is time for the other folders, or until the connection is to be closed.
    async fn wait(&mut self, others: Instant) -> Result<IdleEvent, Stop> {
        let renewal = if self.provider == Provider::Gmail {
            IDLE_GMAIL
        } else {
            IDLE
        };
        let max = renewal.min(others.saturating_duration_since(Instant::now()));
        let session = self.session.take().ok_or(Stop::Again)?;
        let mut idle = match session.idle().await {
            Ok(idle) => idle,
            Err(refused) => {
                self.session = refused.session;
                if self.session.is_none() {
                    return Err(refused.error.into());
                }
                let pause = (POLL + POLL_JITTER.mul_f64(rand::random())).min(max.max(POLL));
                let slept = self.switch.run_until_cancelled(tokio::time::sleep(pause)).await;
                return Ok(if slept.is_some() {
                    IdleEvent::Timeout
                } else {
                    IdleEvent::Cancelled
                });
            }
        };
        let event = idle.wait(max, self.switch.cancelled()).await?;
        if event == IdleEvent::Changed && idle.has_news() && !self.memory.apart {
            self.session = Some(idle.leave().await?);
            return Ok(event);
        }
        let deadline = if event == IdleEvent::Cancelled {
            FAREWELL
        } else {
            IDLE
        };
        if let Ok(done) = tokio::time::timeout(deadline, idle.done()).await {
            self.session = Some(done?);
        }
        Ok(event)
    }
}

fn named(entry: ListEntry, object_id: Option<String>) -> Listed {
    Listed {
        raw_name: entry.raw_name,
        name: entry.name,
        delimiter: entry.delimiter.map(String::from),
        role: entry.special_use,
        object_id,
    }
}

/// True when a folder's STATUS does not say what its cursor says. Servers without mod-sequences do not tell of flags.
fn changed(folder: &Folder, status: &FolderStatus) -> bool {
    let cursor = folder.cursor;
    let same = |theirs: Option<u32>, ours: i64| theirs.is_some_and(|theirs| i64::from(theirs) == ours);
    let modseq = status
        .highest_modseq
        .and_then(|modseq| i64::try_from(modseq).ok());
    !(same(status.uid_validity, cursor.uid_validity)
        && same(status.uid_next, cursor.last_uid + 1)
        && same(status.messages, folder.message_count)
        && modseq.is_some_and(|modseq| modseq == cursor.highest_modseq))
}
