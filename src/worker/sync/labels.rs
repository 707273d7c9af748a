//! Gmail's way: the folder with `\All` has every message but those of Spam and Trash, and the other folders are what the
//! labels say. `X-GM-THRID` is not used: threads follow References, as with every server.
//!
//! A message is taken away only after the folders into which it may have been moved were looked at: it must not seem
//! deleted because it lies in Trash now.

use std::collections::HashMap;

use uuid::Uuid;

use super::{live::Connection, stop::Stop};
use crate::{
    mail::imap::{Error, FetchRow},
    model::{
        folder::{Folder, FolderRole},
        label::{Labels, MAX_STRANGE},
    },
    service::sync,
};

/// How often in a row INBOX and the folder with `\All` are looked at until both say the same.
const LOOKS: u32 = 3;

impl Connection<'_> {
    /// Decides by a listing whether labels say what lies in a folder: where the server has X-GM-EXT-1 and lists a folder with
    /// `\All`. Where that one is hidden, every folder is passed over by itself, and X-GM-MSGID tells what is known.
    pub(super) fn choose_way(&mut self) -> Result<(), Stop> {
        let offered = self.session()?.capabilities().has("X-GM-EXT-1");
        self.labels = offered.then(|| Labels::of(&self.folders)).flatten();
        Ok(())
    }

    /// Where the folder with `\All` is, if labels say what lies in the others.
    pub(super) fn all(&self) -> Option<usize> {
        let all = self.labels.as_ref()?.all();
        self.folders.iter().position(|folder| folder.id == all)
    }

    /// True for the folder with `\All`, if labels say what lies in the others.
    pub(super) fn is_all(&self, folder: &Folder) -> bool {
        self.labels
            .as_ref()
            .is_some_and(|labels| labels.all() == folder.id)
    }

    /// True for a folder that is passed over by itself.
    pub(super) fn is_followed(&self, folder: &Folder) -> bool {
        self.labels.is_none() || !folder.is_label()
    }

    /// True when everything in the folder is known, so that what is left of earlier generations is not there any more.
    pub(super) fn is_known_whole(&self, folder: &Folder) -> bool {
        self.is_followed(folder) || folder.cursor.is_by_label()
    }

    /// The folders that a message's labels stand for; `None` where labels say nothing.
    pub(super) fn label_folders(&mut self, folder: &Folder, row: &FetchRow) -> Option<Vec<Uuid>> {
        let labels = self.labels.as_ref().filter(|labels| labels.all() == folder.id)?;
        let words = row.gm_labels.as_ref()?;
        Some(labels.folders(words, &mut self.strange))
    }

    /// The folders of the labels of messages that are to be stored, by UID.
    pub(super) fn all_label_folders(
        &mut self,
        folder: &Folder,
        rows: &[FetchRow],
    ) -> HashMap<i64, Vec<Uuid>> {
        if !self.is_all(folder) {
            return HashMap::new();
        }
        let of_row = |row: &FetchRow| Some((i64::from(row.uid), self.label_folders(folder, row)?));
        rows.iter().filter_map(of_row).collect()
    }

    /// Once the folder with `\All` is open: the others count in its generation. What is new among them makes every label be
    /// read again, unless that generation has just `begun`.
    pub(super) async fn adopt(&mut self, folder: &mut Folder, begun: bool) -> Result<(), Stop> {
        let generation = folder.label_generation();
        let strange = |folder: &Folder| folder.is_label() && folder.cursor.uid_validity != generation;
        if !self.is_all(folder) || !self.folders.iter().any(strange) {
            return Ok(());
        }
        let stored = sync::adopt_label_folders(&self.shared.app, self.fence, folder.clone(), begun).await?;
        self.take_over(stored);
        if !begun {
            folder.cursor.highest_modseq = 0;
            self.memory.relabel = true;
        }
        Ok(())
    }

    /// Notes that all labels are known, when that is so and was not before; answers whether it was noted.
    pub(super) async fn finish_labels(&mut self) -> Result<bool, Stop> {
        let Some(all) = self.all().and_then(|at| self.folders.get(at)) else {
            return Ok(false);
        };
        let waits = |folder: &Folder| folder.cursor.is_by_label() && !folder.cursor.is_backfilled();
        let told = all.cursor.highest_modseq > 0 || !self.offers_modseq;
        if all.cursor.is_backfilled() && told && !self.memory.relabel && self.folders.iter().any(waits) {
            let stored = sync::finish_label_folders(&self.shared.app, self.fence).await?;
            self.take_over(stored);
            return Ok(true);
        }
        Ok(false)
    }

    /// Takes what is stored of the folders that stand for labels.
    fn take_over(&mut self, stored: Vec<Folder>) {
        let mut stored: HashMap<Uuid, Folder> =
            stored.into_iter().map(|folder| (folder.id, folder)).collect();
        for folder in self.folders.iter_mut().filter(|folder| folder.is_label()) {
            if let Some(stored) = stored.remove(&folder.id) {
                *folder = stored;
            }
        }
    }

    /// Takes away what is gone from a folder; where messages may have moved to another one that is not looked at yet, later.
    pub(super) async fn take_away(&mut self, folder: Folder, gone: Vec<i64>) -> Result<Folder, Stop> {
        if gone.is_empty() {
            return Ok(folder);
        }
        if self.labels.is_some() {
            self.gone.insert(folder.id, gone);
            return Ok(folder);
        }
        Ok(sync::apply_expunges(&self.shared.app, self.fence, folder, gone).await?)
    }

    /// Takes away what is gone, now that every folder was looked at into which it may have moved: Spam and Trash for what is
    /// gone from `\All`, and that one for what is gone from them.
    pub(super) async fn settle(&mut self) -> Result<(), Stop> {
        let Some(all) = self.all() else { return Ok(()) };
        for at in 0..self.folders.len() {
            if at != all && self.differs(at).await? {
                self.pass(at).await?;
            }
        }
        let mut gone = std::mem::take(&mut self.gone);
        let id = self.folders.get(all).map(|folder| folder.id).unwrap_or_default();
        if let Some(uids) = gone.remove(&id) {
            self.expunge(id, uids).await?;
        }
        if !gone.is_empty() {
            self.pass(all).await?;
            // What is gone from it now may have moved only now: the next look finds it again.
            self.gone.clear();
            for (id, uids) in gone {
                self.expunge(id, uids).await?;
            }
        }
        Ok(())
    }

    async fn expunge(&mut self, id: Uuid, uids: Vec<i64>) -> Result<(), Stop> {
        if let Some(folder) = self.folders.iter_mut().find(|folder| folder.id == id) {
            *folder = sync::apply_expunges(&self.shared.app, self.fence, folder.clone(), uids).await?;
        }
        Ok(())
    }

    /// Before IDLE, which is on INBOX: the folder with `\All` must have nothing more to tell once INBOX is open, because
    /// changes are told from then on.
    pub(super) async fn listen(&mut self) -> Result<(), Stop> {
        let inbox = self
            .folders
            .iter()
            .find(|folder| folder.role == Some(FolderRole::Inbox));
        let inbox = inbox.map(|folder| folder.raw_name.clone());
        let (Some(inbox), Some(_)) = (inbox, self.all()) else {
            return Ok(());
        };
        let mut finished = false;
        for _ in 0..LOOKS {
            self.look_for_labels().await?;
            self.settle().await?;
            finished |= self.finish_labels().await?;
            match self.open(&inbox, None).await {
                Ok(_) | Err(Stop::Mail(Error::No { .. })) => {}
                Err(stop) => return Err(stop),
            }
            let Some(all) = self.all() else { break };
            if !self.differs(all).await? {
                break;
            }
            self.pass(all).await?;
        }
        for folder in self.folders.iter().filter(|_| finished) {
            if folder.cursor.is_by_label() {
                self.end_generations(folder).await?;
            }
        }
        Ok(())
    }

    /// Lists the folders again for labels that no folder stood for; those that have none even then are not looked for again.
    async fn look_for_labels(&mut self) -> Result<(), Stop> {
        let strange = std::mem::take(&mut self.strange);
        let before = self.memory.strange.len();
        if before < MAX_STRANGE {
            self.memory.strange.extend(strange);
        }
        if self.memory.strange.len() > before {
            self.list(false).await?;
            if let Some(all) = self.all() {
                self.pass(all).await?;
            }
        }
        Ok(())
    }
}
