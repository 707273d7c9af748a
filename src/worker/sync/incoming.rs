//! Fetching messages: batches bounded by count and bytes, parsed and compressed aside, stored one transaction a batch.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{folder::flags, live::Connection, run::Stop};
use crate::{
    mail::{
        imap::{Body, BodyLimits, FetchRow, UidSet},
        mime,
    },
    model::{
        Error,
        folder::{Cursor, Folder},
    },
    service::sync::{self, Arrival, Halt, Raw},
};

/// A batch has at most this many messages and bytes.
const BATCH: usize = 50;
const BATCH_BYTES: u64 = 8 << 20;
/// Larger messages go to the object store.
const SMALL: usize = 64 * 1024;
/// The most bytes of a header that are kept when a message is stored header-only.
const HEADER: usize = 256 * 1024;
/// A message that broke this many fetches is stored header-only, and after this many it is set aside.
const HEADER_ONLY_AFTER: u32 = 2;
const ASIDE_AFTER: u32 = 4;
const COMPRESSION: i32 = 3;

/// A message's row and bytes.
struct Fetched {
    row: FetchRow,
    bytes: Vec<u8>,
    truncated: bool,
}

impl Connection<'_> {
    /// Fetches and stores these messages in the order given; `advance` moves the cursor over each UID that is done.
    pub(super) async fn fetch(
        &mut self,
        mut folder: Folder,
        rows: Vec<FetchRow>,
        advance: impl Fn(&mut Cursor, i64),
    ) -> Result<Folder, Stop> {
        for batch in self.batches(&folder, rows) {
            for row in &batch {
                advance(&mut folder.cursor, i64::from(row.uid));
            }
            folder = self.fetch_batch(folder, batch).await?;
        }
        Ok(folder)
    }

    /// Cuts rows into batches; a message that broke a fetch before is alone in its own.
    fn batches(&self, folder: &Folder, rows: Vec<FetchRow>) -> Vec<Vec<FetchRow>> {
        let mut batches: Vec<Vec<FetchRow>> = Vec::new();
        let mut bytes = 0;
        let mut closed = true;
        for row in rows {
            let size = row.size.unwrap_or_default().min(self.max_message());
            let fragile = self.memory.fragile.contains_key(&(folder.id, i64::from(row.uid)));
            match batches.last_mut() {
                Some(batch) if !closed && !fragile && batch.len() < BATCH && bytes + size <= BATCH_BYTES => {
                    batch.push(row);
                    bytes += size;
                }
                _ => {
                    batches.push(vec![row]);
                    bytes = size;
                }
            }
            closed = fragile;
        }
        batches
    }

    fn max_message(&self) -> u64 {
        self.shared.app.config.mail.max_message
    }

    /// Fetches one batch and stores it with the cursor that stands behind it.
    async fn fetch_batch(&mut self, folder: Folder, rows: Vec<FetchRow>) -> Result<Folder, Stop> {
        let id = folder.id;
        let uids: Vec<i64> = rows.iter().map(|row| i64::from(row.uid)).collect();
        let tries = uids
            .iter()
            .filter_map(|uid| self.memory.fragile.get(&(id, *uid)))
            .copied()
            .max()
            .unwrap_or(0);
        if let ([uid], true) = (uids.as_slice(), tries >= ASIDE_AFTER) {
            let reason = format!("{tries} tries to fetch or store it failed");
            tracing::warn!(mailbox = %self.fence.mailbox, folder = %id, uid, "a message was set aside");
            sync::set_aside(&self.shared.app, self.fence, folder.clone(), *uid, reason).await?;
            return Ok(folder);
        }
        let done = self
            .fetch_and_store(folder, rows, tries >= HEADER_ONLY_AFTER)
            .await;
        match &done {
            Ok(_) => self
                .memory
                .fragile
                .retain(|(of, uid), _| *of != id || !uids.contains(uid)),
            Err(Stop::Mail(_) | Stop::Store(_)) => {
                for uid in uids {
                    *self.memory.fragile.entry((id, uid)).or_default() += 1;
                }
            }
            Err(Stop::Fenced | Stop::Cancelled | Stop::Again) => {}
        }
        done
    }

    async fn fetch_and_store(
        &mut self,
        folder: Folder,
        rows: Vec<FetchRow>,
        header_only: bool,
    ) -> Result<Folder, Stop> {
        let bytes: u64 = rows
            .iter()
            .map(|row| row.size.unwrap_or_default().min(self.max_message()))
            .sum();
        let kib = u32::try_from(bytes / 1024 + 1)
            .unwrap_or(u32::MAX)
            .min(super::BUDGET);
        let budget = self.shared.budget.clone();
        let held = budget.acquire_many_owned(kib).await.map_err(Error::internal)?;
        let fetched = self.bodies(&rows, header_only).await?;
        let tenant = self.fence.tenant;
        let prepare = move || {
            fetched
                .into_iter()
                .map(prepare)
                .collect::<Result<Vec<_>, Error>>()
        };
        let prepared = tokio::task::spawn_blocking(prepare)
            .await
            .map_err(Error::internal)??;
        let mut arrivals = Vec::with_capacity(prepared.len());
        for (arrival, blob) in prepared {
            if let Some(bytes) = blob {
                self.shared.app.blobs.put(tenant, &arrival.sha256, bytes).await?;
            }
            arrivals.push(arrival);
        }
        let progress = self.progress.as_mut().map(|progress| {
            progress.done += i64::try_from(arrivals.len()).unwrap_or_default();
            progress.total = progress.total.max(progress.done);
            progress.clone()
        });
        let stored = sync::store_arrivals(&self.shared.app, self.fence, folder, arrivals, progress).await;
        drop(held);
        stored.map_err(|halt: Halt| halt.into())
    }

    /// Reads the bytes of these messages. One that the server no longer has is left out, which the tagged OK proves; one
    /// that is too large, or that has no bytes, comes with its header alone.
    async fn bodies(&mut self, rows: &[FetchRow], header_only: bool) -> Result<Vec<Fetched>, Stop> {
        let max_bytes = self.max_message();
        let limits = BodyLimits {
            max_bytes,
            memory_bytes: max_bytes,
            spool_dir: None,
        };
        let items = self.items;
        let (mut whole, mut headers) = (UidSet::new(), UidSet::new());
        for row in rows {
            let large = row.size.is_some_and(|size| size > max_bytes);
            if header_only || large {
                headers.insert(row.uid)
            } else {
                whole.insert(row.uid)
            }
        }
        let mut fetched = Vec::with_capacity(rows.len());
        if !whole.is_empty() {
            let mut fetch = self.session()?.fetch_bodies(&whole, items, limits);
            while let Some(message) = fetch.next().await? {
                match message.body {
                    Body::Stored(body) => {
                        let bytes = body.into_bytes().await.map_err(Error::internal)?;
                        fetched.push(Fetched {
                            row: message.row,
                            bytes,
                            truncated: false,
                        });
                    }
                    Body::TooLarge { .. } | Body::Missing => headers.insert(message.row.uid),
                }
            }
        }
        if !headers.is_empty() {
            for mut row in self.session()?.fetch_headers(&headers, items, HEADER).await? {
                let bytes = row.header.take().unwrap_or_default();
                fetched.push(Fetched {
                    row,
                    bytes,
                    truncated: true,
                });
            }
        }
        Ok(fetched)
    }
}

/// Parses and compresses a message; a large one's bytes are handed back for the object store.
fn prepare(fetched: Fetched) -> Result<(Arrival, Option<Bytes>), Error> {
    let Fetched {
        row,
        bytes,
        truncated,
    } = fetched;
    let parsed = mime::parse(&bytes);
    let sha256: [u8; 32] = Sha256::digest(&bytes).into();
    let size = if truncated {
        row.size.and_then(|size| i64::try_from(size).ok())
    } else {
        None
    };
    let size = size.unwrap_or_else(|| i64::try_from(bytes.len()).unwrap_or(i64::MAX));
    let (raw, blob) = if bytes.len() <= SMALL {
        (
            Raw::Compressed(zstd::bulk::compress(&bytes, COMPRESSION).map_err(Error::internal)?),
            None,
        )
    } else {
        (Raw::Blob, Some(Bytes::from(bytes)))
    };
    let arrival = Arrival {
        uid: i64::from(row.uid),
        flags: flags(&row),
        received_at: crate::model::clock::micros(row.internal_date.or(parsed.sent_at).unwrap_or_default()),
        size,
        dedupe_key: dedupe_key(&row, &sha256),
        sha256,
        raw,
        truncated,
        parsed,
    };
    Ok((arrival, blob))
}

/// What tells a message from every other of its mailbox: X-GM-MSGID, else EMAILID, else the hash of its bytes.
fn dedupe_key(row: &FetchRow, sha256: &[u8; 32]) -> Vec<u8> {
    match (row.gm_msgid, &row.email_id) {
        (Some(id), _) => [b"g".as_slice(), &id.to_be_bytes()].concat(),
        (None, Some(id)) => [b"e", id.as_bytes()].concat(),
        (None, None) => [b"h", sha256.as_slice()].concat(),
    }
}
