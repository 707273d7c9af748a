//! Fetching ahead: while one batch of messages is parsed to its end and stored, the next is read.
//!
//! At most one batch is being stored and one is being read. The order of the batches is that of their transactions,
//! and the cursor of each is worked out after the one before is stored.

use std::collections::{HashMap, VecDeque};

use tokio::{sync::OwnedSemaphorePermit, task::JoinHandle, time::Instant};

use uuid::Uuid;

use super::{live::Connection, parsing::Parsing, stop::Stop};
use crate::{
    mail::imap::FetchRow,
    model::{
        Error,
        folder::{Cursor, Folder},
        mailbox::SyncProgress,
    },
    service::sync::{self, Arrival, Found},
};

/// A folder whose messages are being taken in.
pub(super) struct Intake {
    /// As it is with the batches that are stored.
    pub(super) folder: Folder,
    found: Found,
    storing: Option<Storing>,
}

/// A batch whose transaction runs, or follows its parsing. It is not taken back when this is dropped: it commits or meets the fence.
struct Storing {
    rows: Vec<FetchRow>,
    task: JoinHandle<Result<Folder, Stop>>,
}

/// A batch that was read, and is still being parsed perhaps.
pub(super) struct Read {
    pub(super) parsing: Parsing,
    /// Where labels say where a message lies: the folders that they stand for, by UID.
    pub(super) label_folders: HashMap<i64, Vec<Uuid>>,
    /// Its part of the memory that all mailboxes share.
    pub(super) held: OwnedSemaphorePermit,
}

impl Read {
    /// Its messages, parsed.
    async fn arrivals(self) -> Result<(Vec<Arrival>, OwnedSemaphorePermit), Stop> {
        let Self {
            parsing,
            mut label_folders,
            held,
        } = self;
        let mut arrivals = parsing.finish().await?;
        for arrival in &mut arrivals {
            arrival.label_folders = label_folders.remove(&arrival.uid);
        }
        Ok((arrivals, held))
    }
}

impl Intake {
    pub(super) const fn new(folder: Folder, found: Found) -> Self {
        Self {
            folder,
            found,
            storing: None,
        }
    }
}

impl Connection<'_> {
    /// Fetches and stores these messages in the order given; `advance` moves the cursor over each UID that is done.
    pub(super) async fn fetch(
        &mut self,
        folder: Folder,
        rows: Vec<FetchRow>,
        advance: impl Fn(&mut Cursor, i64),
    ) -> Result<Folder, Stop> {
        let mut intake = Intake::new(folder, Found::Since);
        self.take_in(&mut intake, rows, advance).await?;
        self.finish_storing(&mut intake).await?;
        Ok(intake.folder)
    }

    /// The same, but the last batch may still be on its way into the store afterwards: [`Self::finish_storing`] waits for it.
    /// After an error nothing is on its way.
    pub(super) async fn take_in(
        &mut self,
        intake: &mut Intake,
        rows: Vec<FetchRow>,
        advance: impl Fn(&mut Cursor, i64),
    ) -> Result<(), Stop> {
        let mut batches = VecDeque::from(self.batches(&intake.folder, rows));
        while let Some(batch) = batches.pop_front() {
            let begun = Instant::now();
            let fetched = self.fetch_batch(&intake.folder, &batch).await;
            let took = begun.elapsed();
            self.finish_storing(intake).await?;
            tracing::debug!(messages = batch.len(), ?took, waited = ?begun.elapsed().saturating_sub(took), "a batch was fetched");
            let stop = match fetched {
                Ok(read) => {
                    let mut after = intake.folder.clone();
                    for row in &batch {
                        advance(&mut after.cursor, i64::from(row.uid));
                    }
                    self.store(intake, after, batch, read).await?;
                    continue;
                }
                Err(stop) => stop,
            };
            let next = batches.front().and_then(|batch| batch.first()).cloned();
            if !self.is_refusal(&intake.folder, &batch, &stop, next).await? {
                return Err(stop);
            }
            // Now each alone, and the one that was alone with less.
            let alone = batch.into_iter().rev();
            alone.for_each(|row| batches.push_front(vec![row]));
        }
        Ok(())
    }

    /// Begins to store a batch with the folder as it is after it; `None` sets its one message aside instead.
    pub(super) async fn store(
        &mut self,
        intake: &mut Intake,
        after: Folder,
        rows: Vec<FetchRow>,
        read: Option<Read>,
    ) -> Result<(), Stop> {
        let (app, fence) = (self.shared.app.clone(), self.fence);
        if intake.found == Found::Since && after.cursor.last_uid > intake.folder.cursor.last_uid {
            self.brought += rows.len();
        }
        let Some(read) = read else {
            for row in &rows {
                self.set_aside(&after, row).await?;
            }
            intake.folder = after;
            return Ok(());
        };
        let (progress, found) = (self.progress_with(read.parsing.count()), intake.found);
        #[expect(
            clippy::disallowed_methods,
            reason = "a batch that is being stored outlives its connection: it commits, or meets the fence"
        )]
        let task = tokio::spawn(async move {
            let begun = Instant::now();
            let (arrivals, held) = read.arrivals().await?;
            let (parsed, messages) = (begun.elapsed(), arrivals.len());
            let stored = sync::store_arrivals(&app, fence, after, (found, arrivals), progress).await?;
            tracing::debug!(messages, ?parsed, took = ?begun.elapsed().saturating_sub(parsed), "a batch was stored");
            drop(held);
            Ok(stored)
        });
        intake.storing = Some(Storing { rows, task });
        Ok(())
    }

    /// The progress once so many more messages are stored.
    fn progress_with(&mut self, messages: usize) -> Option<SyncProgress> {
        let progress = self.progress.as_mut()?;
        progress.done += i64::try_from(messages).unwrap_or_default();
        progress.total = progress.total.max(progress.done);
        Some(progress.clone())
    }

    /// Fetches and stores messages that the cursor has passed; nobody is blamed for a failure.
    pub(super) async fn fetch_and_store(
        &mut self,
        folder: Folder,
        rows: &[FetchRow],
    ) -> Result<Folder, Stop> {
        let read = self.fetch_held(&folder, rows, false).await?;
        let progress = self.progress_with(read.parsing.count());
        let (arrivals, held) = read.arrivals().await?;
        let found = (Found::Since, arrivals);
        let stored = sync::store_arrivals(&self.shared.app, self.fence, folder, found, progress).await?;
        drop(held);
        Ok(stored)
    }

    /// Waits until nothing is on its way into the store any more.
    pub(super) async fn finish_storing(&mut self, intake: &mut Intake) -> Result<(), Stop> {
        let Some(Storing { rows, task }) = intake.storing.take() else {
            return Ok(());
        };
        let stored = task.await.map_err(Error::internal)?;
        match stored {
            Ok(folder) => {
                intake.folder = folder;
                self.forgive(&intake.folder, &rows);
                Ok(())
            }
            Err(stop) => {
                self.is_refusal(&intake.folder, &rows, &stop, None).await?;
                Err(stop)
            }
        }
    }
}
