//! New messages: a batch of them is one transaction, with their threads, their places and the folder's cursor.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    App, Fence, Fenced, announced,
    labels::{self, Labelled},
    presence,
};
use crate::{
    model::{
        Result,
        attachment::Attachment,
        event::EventType,
        folder::Folder,
        id::{self, TenantId},
        mailbox::{Mailbox, SyncProgress},
        message::{Address, Message, Parsed, Participant, ParticipantKind, Presence, Thread},
        thread::{self, RefHash, StoredThread},
    },
    service::{journal::Journal, mailboxes::is_own, sweep},
    store::{Conn, MessageInsert, NewMessages, PlacementRow, ThreadRef},
};

/// A message that was fetched and parsed, ready to be stored.
#[derive(Debug)]
pub struct Arrival {
    /// Its UID in the folder's present generation.
    pub uid: i64,
    /// Its flags there, sorted.
    pub flags: Vec<String>,
    /// INTERNALDATE.
    pub received_at: DateTime<Utc>,
    /// The raw message's size, in bytes.
    pub size: i64,
    /// What tells it from every other message of its mailbox.
    pub dedupe_key: Vec<u8>,
    /// SHA-256 of the bytes that are stored.
    pub sha256: [u8; 32],
    /// Where those bytes are.
    pub raw: Raw,
    /// True when only the header is stored.
    pub truncated: bool,
    /// What the parser read.
    pub parsed: Parsed,
    /// The folders that its labels stand for, sorted; `None` where labels say nothing.
    pub label_folders: Option<Vec<Uuid>>,
}

/// How messages were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// They came since the folder's UIDs are followed.
    Since,
    /// They were there before: by its backfill. That of a mailbox that was just connected is not announced.
    Before,
}

impl Found {
    /// What is found so in a mailbox is no news while this holds.
    pub(super) const fn is_hushed(self, mailbox: &Mailbox) -> bool {
        matches!(self, Self::Before) && mailbox.backfilled_at.is_none()
    }
}

/// Where the bytes of a message are when it is stored.
#[derive(Debug, PartialEq, Eq)]
pub enum Raw {
    /// Here, compressed with zstd.
    Compressed(Vec<u8>),
    /// In the object store, put there before.
    Blob,
}

/// Stores a batch of messages of one folder, its cursor, and the progress of a first sync, in one transaction. A message
/// that is known only gets another place; each new one is announced. Answers the folder with its new count.
pub async fn store_arrivals(
    app: &App,
    fence: Fence,
    folder: Folder,
    (found, arrivals): (Found, Vec<Arrival>),
    progress: Option<SyncProgress>,
) -> Fenced<Folder> {
    let (now, count) = (app.clock.now(), arrivals.len());
    let came: Vec<_> = arrivals.iter().map(|arrival| arrival.received_at).collect();
    let large = arrivals.iter().filter(|arrival| matches!(arrival.raw, Raw::Blob));
    let (large, blobs) = (large.map(|arrival| arrival.sha256).collect(), app.blobs.clone());
    let stored = announced(app, fence, move |tx, mailbox, journal| {
        Box::pin(async move {
            if found.is_hushed(&mailbox) {
                journal.hush();
            }
            sweep::hold(tx, &blobs, fence.tenant, large).await?;
            let mut folder = folder;
            let mut batch = Batch::new((tx, journal), fence, &mailbox, now);
            if arrivals.iter().any(|arrival| arrival.label_folders.is_some()) {
                batch.folders = presence::folders_of(batch.tx, fence.tenant, fence.mailbox).await?;
            }
            let placed = batch.store(&folder, arrivals).await?;
            folder.message_count = tx.update_folder(fence.tenant, &folder, placed).await?;
            if let Some(progress) = progress {
                tx.set_progress(fence.tenant, fence.mailbox, Some(&progress))
                    .await?;
            }
            fail::fail_point!("arrivals_before_commit", |_| std::process::abort());
            Ok(folder)
        })
    })
    .await?;
    fail::fail_point!("arrivals_after_commit", |_| std::process::abort());
    app.signals.taken_in(count);
    app.metrics.stored(count);
    if matches!(found, Found::Since) {
        let stored_at = app.clock.now();
        for came in came {
            app.metrics.arrived(came, stored_at);
        }
    }
    Ok(stored)
}

/// What one transaction of new messages works with.
struct Batch<'t> {
    tx: &'t mut Conn,
    journal: &'t mut Journal,
    fence: Fence,
    tenant: TenantId,
    mailbox: &'t Mailbox,
    now: DateTime<Utc>,
    threads: Threads,
    /// The mailbox's folders, where labels may name them.
    folders: HashMap<Uuid, Folder>,
}

/// The threads that a batch touches, as they will be after it.
#[derive(Default)]
struct Threads {
    /// What each hash leads to.
    refs: HashMap<RefHash, Uuid>,
    /// What of that is stored already.
    known: HashMap<RefHash, Uuid>,
    /// The rows that are stored already.
    stored: BTreeMap<Uuid, Thread>,
    /// The rows to be made.
    new: BTreeMap<Uuid, Thread>,
    /// Stored threads that go into another: `(from, into)`, in this order.
    merges: Vec<(Uuid, Uuid)>,
}

impl<'t> Batch<'t> {
    fn new(
        (tx, journal): (&'t mut Conn, &'t mut Journal),
        fence: Fence,
        mailbox: &'t Mailbox,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            tx,
            journal,
            fence,
            tenant: fence.tenant,
            mailbox,
            now,
            threads: Threads::default(),
            folders: HashMap::new(),
        }
    }

    /// Stores the batch; answers how many places are new.
    async fn store(&mut self, folder: &Folder, arrivals: Vec<Arrival>) -> Result<i64> {
        let keys: Vec<Vec<u8>> = arrivals
            .iter()
            .map(|arrival| arrival.dedupe_key.clone())
            .collect();
        let mut known = self.find_known(&keys, &arrivals).await?;
        let mut fresh: HashMap<Uuid, usize> = HashMap::new();
        let mut inserts: Vec<MessageInsert> = Vec::new();
        let mut places = Vec::with_capacity(arrivals.len());
        let mut labelled = Vec::new();
        for arrival in arrivals {
            let place = |message_id| PlacementRow {
                folder_id: folder.id,
                uid_validity: folder.cursor.uid_validity,
                uid: arrival.uid,
                message_id,
                flags: arrival.flags.clone(),
            };
            let stored = known.get(&arrival.dedupe_key).copied();
            let id = stored.unwrap_or_else(id::new);
            places.push(place(id));
            labelled.extend(Labelled::new(arrival.uid, id, arrival.label_folders.clone()));
            if stored.is_some() {
                continue;
            }
            known.insert(arrival.dedupe_key.clone(), id);
            fresh.insert(id, inserts.len());
            let insert = self.insert(id, folder, arrival);
            inserts.push(insert);
        }
        let placed = self.write(places, inserts, &fresh).await?;
        if !labelled.is_empty() {
            self.tx.plan_anew().await?;
        }
        let moved = labels::set_rows(
            self.tx,
            (self.fence.tenant, self.fence.mailbox),
            folder,
            &labelled,
        )
        .await?;
        // Those that are new were stored with the folders of their labels.
        let again = moved.into_iter().filter(|id| !fresh.contains_key(id)).collect();
        presence::settle(
            (self.tx, self.journal),
            self.tenant,
            self.mailbox,
            again,
            self.now,
        )
        .await?;
        Ok(placed)
    }

    /// Reads which of the batch are stored already, and the threads that its ids lead to.
    async fn find_known(&mut self, keys: &[Vec<u8>], arrivals: &[Arrival]) -> Result<HashMap<Vec<u8>, Uuid>> {
        let mut hashes: Vec<Vec<u8>> = arrivals
            .iter()
            .flat_map(|arrival| refs_of(&arrival.parsed))
            .map(|hash| hash.to_vec())
            .collect();
        hashes.sort_unstable();
        hashes.dedup();
        let (known, led) = self
            .tx
            .find_known(self.tenant, self.mailbox.id, (keys, &hashes))
            .await?;
        for found in led {
            if let Ok(hash) = RefHash::try_from(found.hash) {
                self.threads.refs.insert(hash, found.thread_id);
            }
        }
        self.threads.known.clone_from(&self.threads.refs);
        let mut ids: Vec<Uuid> = self.threads.refs.values().copied().collect();
        ids.sort_unstable();
        ids.dedup();
        for thread in self.tx.lock_threads(self.tenant, &ids).await? {
            self.threads.stored.insert(thread.id, thread);
        }
        Ok(known.into_iter().collect())
    }

    /// A new message, its thread decided.
    fn insert(&mut self, id: Uuid, folder: &Folder, arrival: Arrival) -> MessageInsert {
        let Arrival {
            uid: _,
            flags,
            received_at,
            size,
            dedupe_key,
            sha256,
            raw,
            truncated,
            parsed,
            label_folders,
        } = arrival;
        let sent_at = parsed.sent_at.unwrap_or(received_at);
        let thread_id = self.threads.join(&parsed, sent_at, self.mailbox.id);
        let participants = participants(parsed.participants);
        let author = participants.iter().find(|one| one.kind == ParticipantKind::From);
        let own = is_own(self.mailbox, author.map(|one| one.address.address.as_str()));
        let presence = self.presence(own, folder, &flags, &label_folders.unwrap_or_default());
        let attachment = |part| Attachment {
            id: id::new(),
            mailbox_id: self.mailbox.id,
            message_id: id,
            part,
            created_at: self.now,
        };
        let attachments = parsed.attachments.into_iter().map(attachment).collect();
        let message = Message {
            id,
            mailbox_id: self.mailbox.id,
            thread_id,
            thread_count: 0,
            message_id: parsed.message_id,
            in_reply_to: parsed.in_reply_to,
            references: parsed.references,
            subject: parsed.subject,
            participants,
            sent_at,
            received_at,
            snippet: parsed.snippet,
            body: Some(parsed.body),
            incoming: presence.incoming,
            unread: presence.unread,
            flags: presence.flags,
            folder_ids: presence.folder_ids,
            size,
            truncated,
            attachments,
            created_at: self.now,
            updated_at: self.now,
        };
        let raw = match raw {
            Raw::Compressed(data) => Some(data),
            Raw::Blob => None,
        };
        MessageInsert {
            message,
            dedupe_key,
            sha256,
            raw,
        }
    }

    /// What follows from where a new message lies.
    fn presence(&self, own: bool, folder: &Folder, flags: &[String], label_folders: &[Uuid]) -> Presence {
        let labels = label_folders.iter().map(|id| {
            let role = self.folders.get(id).and_then(|folder| folder.role);
            (*id, role, [].as_slice())
        });
        Presence::of(own, labels.chain([(folder.id, folder.role, flags)]))
    }

    /// Notes that each of these came.
    fn announce(&mut self, inserts: &[MessageInsert]) {
        for MessageInsert { message, .. } in inserts {
            let kind = if message.incoming {
                EventType::MessageReceived
            } else {
                EventType::MessageUpdated
            };
            self.journal.message(kind, message.id);
        }
    }

    /// Writes what was decided.
    async fn write(
        &mut self,
        places: Vec<PlacementRow>,
        mut inserts: Vec<MessageInsert>,
        fresh: &HashMap<Uuid, usize>,
    ) -> Result<i64> {
        let threads = std::mem::take(&mut self.threads);
        let (new, stored) = (threads.new.into_values(), threads.stored.into_values());
        let touched: Vec<Thread> = new.chain(stored).collect();
        for insert in &mut inserts {
            // A merge after this message was placed moved its thread.
            for (from, into) in &threads.merges {
                if insert.message.thread_id == *from {
                    insert.message.thread_id = *into;
                }
            }
        }
        let (refs, known) = (threads.refs.into_iter(), threads.known);
        let refs = refs
            .filter(|(hash, thread_id)| known.get(hash) != Some(thread_id))
            .map(|(hash, thread_id)| ThreadRef {
                hash: hash.to_vec(),
                thread_id,
            });
        self.announce(&inserts);
        let new = NewMessages {
            threads: touched,
            refs: refs.collect(),
            inserts,
            places,
        };
        let placed = self
            .tx
            .create_messages(self.tenant, self.mailbox.id, new, self.now)
            .await?;
        for (from, into) in &threads.merges {
            self.tx.merge_thread(self.tenant, *from, *into).await?;
        }
        // What was known before, or came twice in this batch, has another place now.
        let mut seen = std::collections::HashSet::new();
        let is_again = |id: &Uuid| !fresh.contains_key(id) || !seen.insert(*id);
        let again: Vec<Uuid> = placed
            .iter()
            .map(|(_, message)| *message)
            .filter(is_again)
            .collect();
        if !again.is_empty() {
            self.tx.plan_anew().await?;
        }
        presence::settle(
            (self.tx, self.journal),
            self.tenant,
            self.mailbox,
            again,
            self.now,
        )
        .await?;
        Ok(i64::try_from(placed.len()).unwrap_or_default())
    }
}

impl Threads {
    /// The thread of a new message; other threads that it ties together are merged into the oldest.
    fn join(&mut self, parsed: &Parsed, sent_at: DateTime<Utc>, mailbox_id: Uuid) -> Uuid {
        let hashes = refs_of(parsed);
        // Ids of version 7 are in the order of their making, so they alone tell which thread is the oldest.
        let stored: Vec<StoredThread> = hashes
            .iter()
            .filter_map(|hash| self.refs.get(hash))
            .map(|id| StoredThread {
                created_at: DateTime::UNIX_EPOCH,
                id: *id,
            })
            .collect();
        let placement = thread::place(hashes, stored);
        let is_root = parsed.in_reply_to.is_none() && parsed.references.is_empty();
        let id = placement.join.unwrap_or_else(|| {
            let id = id::new();
            let thread = Thread {
                id,
                mailbox_id,
                subject: parsed.subject.clone(),
                message_count: 0,
                participants: Vec::new(),
                last_message_at: sent_at,
                messages: Vec::new(),
            };
            self.new.insert(id, thread);
            id
        });
        for from in placement.merge {
            self.merge(from, id);
        }
        for hash in placement.refs {
            self.refs.insert(hash, id);
        }
        if let Some(thread) = self.new.get_mut(&id).or_else(|| self.stored.get_mut(&id)) {
            thread.message_count += 1;
            thread.last_message_at = thread.last_message_at.max(sent_at);
            if is_root {
                thread.subject.clone_from(&parsed.subject);
            }
        }
        id
    }

    fn merge(&mut self, from: Uuid, into: Uuid) {
        for thread in self.refs.values_mut().filter(|thread| **thread == from) {
            *thread = into;
        }
        let gone = match self.new.get_mut(&from) {
            // A thread of this very batch stays as a row without messages, so that its messages can be moved with it.
            Some(thread) => {
                let gone = thread.clone();
                thread.message_count = 0;
                Some(gone)
            }
            None => self.stored.remove(&from),
        };
        self.merges.push((from, into));
        if let Some((gone, thread)) = gone.zip(self.new.get_mut(&into).or_else(|| self.stored.get_mut(&into)))
        {
            thread.message_count += gone.message_count;
            thread.last_message_at = thread.last_message_at.max(gone.last_message_at);
        }
    }
}

fn refs_of(parsed: &Parsed) -> Vec<RefHash> {
    thread::refs(
        parsed.message_id.as_deref(),
        parsed.in_reply_to.as_deref(),
        &parsed.references,
    )
}

fn participants(named: Vec<(ParticipantKind, Address)>) -> Vec<Participant> {
    let named = named.into_iter();
    named
        .map(|(kind, address)| Participant {
            id: id::new(),
            kind,
            address,
        })
        .collect()
}
