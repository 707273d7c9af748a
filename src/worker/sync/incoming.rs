//! Fetching messages: batches bounded by count and bytes, parsed and compressed aside; and whom to blame for a failure.

use std::io::{BufReader, Seek};

use futures_util::{StreamExt, TryStreamExt, stream};
use zstd::bulk::Compressor;

use super::{Shared, intake::Read, known::server_key, live::Connection, parsing::Parsing, stop::Stop};
use crate::{
    mail::{
        imap::{self, Body, BodyLimits, Content, FetchRow, ProtocolError, StoredBody, UidSet},
        mime,
    },
    model::{Error, folder::Folder, id::TenantId},
    service::sync::{self, Arrival, Halt, Raw},
};

/// A batch has at most this many messages and bytes.
const BATCH: usize = 200;
const BATCH_BYTES: u64 = 8 << 20;
/// Larger messages go to the object store.
pub(super) const SMALL: u32 = 64 * 1024;
/// Of a message that waits in a file, so much is held while it is parsed.
const WINDOW: usize = 64 * 1024;
/// So few bytes are parsed at once: another thread would take longer to wake.
const AT_ONCE: u64 = 8 * 1024;
/// So many of a group's messages are put into the object store at once.
const PUTS: usize = 8;
/// The most bytes of a header that are kept when a message is stored header-only.
const HEADER: usize = 256 * 1024;
/// A message whose failures weigh so much is stored header-only, and from this on it is set aside. See [`Fault`].
const HEADER_ONLY_FROM: u32 = 6;
const ASIDE_FROM: u32 = 10;
/// Of texts of 13 KB, level 3 saves nothing and is three times slower: 45 MB/s against 129.
const COMPRESSION: i32 = 1;

/// Codes of refusals that say nothing about a message (RFC 5530).
const PASSING: [&str; 6] = [
    "UNAVAILABLE",
    "LIMIT",
    "INUSE",
    "SERVERBUG",
    "THROTTLED",
    "OVERQUOTA",
];

/// What to do about a failed batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It says nothing about the messages: the server throttles, or the store is not there.
    Elsewhere,
    /// It may be about one of the messages; it is tried again on a new connection.
    Lost,
    /// It is about one of the messages; the connection can still be used.
    Refused,
}

/// A message's row and bytes.
pub(super) struct Fetched {
    row: FetchRow,
    body: StoredBody,
    truncated: bool,
}

impl Fetched {
    /// A message that came with all its bytes.
    pub(super) const fn whole(row: FetchRow, body: StoredBody) -> Self {
        Self {
            row,
            body,
            truncated: false,
        }
    }

    /// How many bytes it has.
    pub(super) const fn len(&self) -> u64 {
        self.body.len()
    }
}

impl Connection<'_> {
    /// Cuts rows into batches; a message that broke a fetch before is alone in its own.
    pub(super) fn batches(&self, folder: &Folder, rows: Vec<FetchRow>) -> Vec<Vec<FetchRow>> {
        let mut batches: Vec<Vec<FetchRow>> = Vec::new();
        let mut bytes = 0;
        let mut closed = true;
        for row in rows {
            let size = row.size.unwrap_or_default().min(self.max_message());
            let fragile = self.is_fragile(folder, &row);
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

    /// True for a message that failed before.
    pub(super) fn is_fragile(&self, folder: &Folder, row: &FetchRow) -> bool {
        self.memory.fragile.contains_key(&(folder.id, i64::from(row.uid)))
    }

    pub(super) fn max_message(&self) -> u64 {
        self.shared.app.config.mail.max_message
    }

    /// Fetches one batch. A message that failed before comes alone: as it is, then header-only, and then it is to be set
    /// aside (`None`), so that it does not block its folder.
    pub(super) async fn fetch_batch(
        &mut self,
        folder: &Folder,
        rows: &[FetchRow],
    ) -> Result<Option<Read>, Stop> {
        let weight_of = |row: &FetchRow| self.memory.fragile.get(&(folder.id, i64::from(row.uid)));
        let weight = rows.iter().filter_map(weight_of).copied().max().unwrap_or(0);
        if rows.len() == 1 && weight >= ASIDE_FROM {
            return Ok(None);
        }
        self.fetch_held(folder, rows, weight >= HEADER_ONLY_FROM)
            .await
            .map(Some)
    }

    /// Reads messages once there is room for them.
    pub(super) async fn fetch_held(
        &mut self,
        folder: &Folder,
        rows: &[FetchRow],
        header_only: bool,
    ) -> Result<Read, Stop> {
        let bytes: u64 = rows
            .iter()
            .map(|row| row.size.unwrap_or_default().min(self.max_message()))
            .sum();
        let kib = u32::try_from(bytes / 1024 + 1)
            .unwrap_or(u32::MAX)
            .min(super::BUDGET);
        let budget = self.shared.budget.clone();
        let held = budget.acquire_many_owned(kib).await.map_err(Error::internal)?;
        let parsing = self.read(rows, header_only).await?;
        self.served |= !header_only && parsing.count() > 0;
        Ok(Read {
            parsing,
            label_folders: self.all_label_folders(folder, rows),
            held,
        })
    }

    /// Sets a message aside, with the cursor that stands behind it.
    pub(super) async fn set_aside(&mut self, folder: &Folder, row: &FetchRow) -> Result<(), Stop> {
        tracing::warn!(mailbox = %self.fence.mailbox, folder = %folder.id, uid = row.uid, "a message was set aside");
        let reason = "neither it nor its header could be fetched and stored".to_owned();
        let uid = i64::from(row.uid);
        sync::set_aside(&self.shared.app, self.fence, folder.clone(), uid, reason).await?;
        self.aside.insert(folder, uid, self.shared.app.clock.now());
        self.forgive(folder, std::slice::from_ref(row));
        Ok(())
    }

    /// Forgets that messages failed before: they are done.
    pub(super) fn forgive(&mut self, folder: &Folder, rows: &[FetchRow]) {
        for row in rows {
            self.memory.fragile.remove(&(folder.id, i64::from(row.uid)));
        }
    }

    /// Blames the messages of a batch for its failure; true when the connection can be used to try each alone.
    pub(super) async fn is_refusal(
        &mut self,
        folder: &Folder,
        batch: &[FetchRow],
        stop: &Stop,
        next: Option<FetchRow>,
    ) -> Result<bool, Stop> {
        let fault = self.blame(folder, batch, stop, next).await?;
        Ok(fault == Fault::Refused && self.session()?.is_usable())
    }

    /// Finds out whether a failure says something about the messages of the batch, and remembers it for each. `next` is a
    /// message that waits behind them.
    async fn blame(
        &mut self,
        folder: &Folder,
        batch: &[FetchRow],
        stop: &Stop,
        next: Option<FetchRow>,
    ) -> Result<Fault, Stop> {
        let (fault, weight) = match stop {
            Stop::Mail(imap::Error::No { answer, .. } | imap::Error::Bad { answer, .. }) => {
                if answer.code.as_deref().is_some_and(|code| PASSING.contains(&code)) {
                    (Fault::Elsewhere, 0)
                } else if batch.len() > 1 {
                    (Fault::Refused, 0)
                } else if self.serves(next).await? {
                    (Fault::Refused, 3)
                } else {
                    (Fault::Lost, 1)
                }
            }
            // There is no room on the disk, or it fails.
            Stop::Mail(imap::Error::Spool(_))
            | Stop::Store(Error::Unavailable(_))
            | Stop::Token(_)
            | Stop::Fenced
            | Stop::Cancelled
            | Stop::Again => (Fault::Elsewhere, 0),
            Stop::Mail(imap::Error::Protocol(_)) => (Fault::Lost, 3),
            Stop::Mail(_) => (Fault::Lost, 1),
            // A store that takes another write refuses this one for what it holds.
            Stop::Store(_) => match sync::save_folder(&self.shared.app, self.fence, folder.clone()).await {
                Ok(_) => (Fault::Lost, 3),
                Err(Halt::Fenced) => return Err(Stop::Fenced),
                Err(Halt::Failed(_)) => (Fault::Elsewhere, 0),
            },
        };
        if weight > 0 {
            for row in batch {
                let key = (folder.id, i64::from(row.uid));
                *self.memory.fragile.entry(key).or_default() += weight;
            }
        }
        Ok(fault)
    }

    /// True when the server gives out other messages on this connection, so that a refusal is about one alone.
    async fn serves(&mut self, other: Option<FetchRow>) -> Result<bool, Stop> {
        if !self.served
            && let Some(other) = other
        {
            self.served = match self.read(&[other], false).await {
                Ok(parsing) => !parsing.finish().await?.is_empty(),
                Err(Stop::Mail(imap::Error::No { .. } | imap::Error::Bad { .. })) => false,
                Err(stop) => return Err(stop),
            };
        }
        Ok(self.served)
    }

    /// Reads these messages, which are parsed while the next ones are on their way, and afterwards. One that the server no
    /// longer has is left out, which the tagged OK proves and a SEARCH confirms; one that is too large, or that has no
    /// bytes, comes with its header alone.
    async fn read(&mut self, rows: &[FetchRow], header_only: bool) -> Result<Parsing, Stop> {
        let (shared, tenant) = (self.shared, self.fence.tenant);
        let max_bytes = self.max_message();
        let limits = BodyLimits {
            max_bytes,
            // Beside the database, as the system's folder for temporary files may itself lie in memory.
            spool_dir: Some(shared.app.config.storage.data_dir.clone()),
            ..BodyLimits::default()
        };
        let items = self.items;
        let (mut whole, mut headers) = (UidSet::new(), UidSet::new());
        for row in rows {
            let large = row.size.is_some_and(|size| size > max_bytes);
            if header_only || large {
                headers.insert(row.uid);
            } else {
                whole.insert(row.uid);
            }
        }
        let (mut parsing, mut given) = (Parsing::new(shared, tenant), UidSet::new());
        if !whole.is_empty() {
            let mut fetch = self.session()?.fetch_bodies(&whole, items, limits);
            while let Some(message) = fetch.next().await? {
                match message.body {
                    Body::Stored(body) => {
                        given.insert(message.row.uid);
                        parsing.push(Fetched::whole(message.row, body)).await?;
                    }
                    Body::TooLarge { .. } | Body::Missing => headers.insert(message.row.uid),
                }
            }
        }
        if !headers.is_empty() {
            for mut row in self.session()?.fetch_headers(&headers, items, HEADER).await? {
                given.insert(row.uid);
                let fetched = Fetched {
                    body: StoredBody::of(row.header.take().unwrap_or_default()),
                    row,
                    truncated: true,
                };
                parsing.push(fetched).await?;
            }
        }
        let asked: UidSet = rows.iter().map(|row| row.uid).collect();
        if !self.still_there(asked.difference(&given)).await?.is_empty() {
            return Err(imap::Error::from(ProtocolError::MissingData("UID FETCH")).into());
        }
        Ok(parsing)
    }

    /// Those of these UIDs that the server has, asked once more: it left them out of an answer.
    async fn still_there(&mut self, missing: UidSet) -> Result<UidSet, Stop> {
        let Some((first, last)) = missing.first().zip(missing.last()) else {
            return Ok(missing);
        };
        let existing = self.session()?.search_uids(first, last).await?;
        Ok(existing.intersection(&missing))
    }

    /// Adds an empty row for each UID that the server left out though it has it: the message's own row comes with its
    /// bytes, or it is blamed for what it lacks.
    pub(super) async fn complete(
        &mut self,
        mut rows: Vec<FetchRow>,
        asked: &UidSet,
    ) -> Result<Vec<FetchRow>, Stop> {
        let given: UidSet = rows.iter().map(|row| row.uid).collect();
        for uid in self.still_there(asked.difference(&given)).await?.iter() {
            rows.push(FetchRow {
                uid,
                ..FetchRow::default()
            });
        }
        rows.sort_unstable_by_key(|row| row.uid);
        Ok(rows)
    }
}

/// Parses messages, aside where that takes long, and puts the bytes of large ones into the object store, before there is a
/// row that names them.
pub(super) async fn ready(
    shared: &Shared,
    tenant: TenantId,
    group: Vec<Fetched>,
) -> Result<Vec<Arrival>, Stop> {
    let bytes: u64 = group.iter().map(Fetched::len).sum();
    let prepared = move || {
        // Made once for the group: it takes more memory than most messages.
        let mut compressor = Compressor::new(COMPRESSION).map_err(Error::internal)?;
        let prepared = group.into_iter().map(|fetched| prepare(fetched, &mut compressor));
        prepared.collect::<Result<Vec<_>, Stop>>()
    };
    let prepared = if bytes <= AT_ONCE {
        prepared()?
    } else {
        tokio::task::spawn_blocking(prepared)
            .await
            .map_err(Error::internal)??
    };
    let (mut arrivals, mut blobs) = (Vec::with_capacity(prepared.len()), Vec::new());
    for (arrival, blob) in prepared {
        blobs.extend(blob.map(|(content, length)| (arrival.sha256, content, length)));
        arrivals.push(arrival);
    }
    // Together, as each waits for the disk: it writes down what comes at the same time as one.
    stream::iter(blobs)
        .map(|(sha256, content, length)| put(shared, tenant, sha256, content, length))
        .buffer_unordered(PUTS)
        .try_collect::<()>()
        .await?;
    Ok(arrivals)
}

async fn put(
    shared: &Shared,
    tenant: TenantId,
    sha256: [u8; 32],
    content: Content,
    length: u64,
) -> Result<(), Stop> {
    let blobs = &shared.app.blobs;
    let put = match content {
        Content::Memory(bytes) => blobs.put_bytes(tenant, &sha256, bytes.into()).await,
        Content::File(file) => {
            let file = tokio::fs::File::from_std(file);
            blobs.put(tenant, &sha256, length, file).await
        }
    };
    put.map_err(|error| {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "a message could not be put into the object store"
        );
        Stop::Store(Error::Unavailable("The object store did not take a message."))
    })?;
    fail::fail_point!("arrivals_after_blob", |_| std::process::abort());
    Ok(())
}

/// Parses and compresses a message; a large one's bytes are handed back for the object store.
fn prepare(
    fetched: Fetched,
    compressor: &mut Compressor<'_>,
) -> Result<(Arrival, Option<(Content, u64)>), Stop> {
    let Fetched { row, body, truncated } = fetched;
    let (length, sha256) = (body.len(), *body.sha256());
    let (parsed, raw, blob) = match body.into_content() {
        Content::Memory(bytes) if bytes.len() <= SMALL as usize => {
            let compressed = compressor.compress(&bytes).map_err(Error::internal)?;
            (mime::parse(&bytes), Raw::Compressed(compressed), None)
        }
        Content::Memory(bytes) => (mime::parse(&bytes), Raw::Blob, Some(Content::Memory(bytes))),
        Content::File(mut file) => {
            let parsed = mime::parse_from(&mut BufReader::with_capacity(WINDOW, &mut file))
                .and_then(|parsed| file.rewind().map(|()| parsed))
                .map_err(imap::Error::Spool)?;
            (parsed, Raw::Blob, Some(Content::File(file)))
        }
    };
    let stated = row.size.filter(|_| truncated);
    let arrival = Arrival {
        uid: i64::from(row.uid),
        flags: row.lasting_flags(),
        received_at: crate::model::clock::micros(row.internal_date.or(parsed.sent_at).unwrap_or_default()),
        size: i64::try_from(stated.unwrap_or(length)).unwrap_or(i64::MAX),
        dedupe_key: dedupe_key(&row, &sha256),
        sha256,
        raw,
        truncated,
        parsed,
        label_folders: None,
    };
    Ok((arrival, blob.map(|content| (content, length))))
}

/// What tells a message from every other of its mailbox: X-GM-MSGID, else EMAILID, else the hash of its bytes.
fn dedupe_key(row: &FetchRow, sha256: &[u8; 32]) -> Vec<u8> {
    server_key(row).unwrap_or_else(|| [b"h", sha256.as_slice()].concat())
}
