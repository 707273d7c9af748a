//! New messages: their rows, and those of all that comes with them.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Conn, attachments,
    messages::{AddressRow, BodyRow, MessageInsert, RawRow, Row, StorageRow},
    on,
    placements::{self, PlacementRow},
    search::QueueRow,
    threads::{self, RefRow, ThreadRef},
    types::Id,
};
use crate::model::{
    Result,
    id::TenantId,
    message::{Body, Thread, address_key},
};

/// Messages of one mailbox that are stored together.
#[derive(Default)]
pub struct NewMessages {
    /// Their threads: new ones, and those that are there with their new subject, count and time. Each may come once.
    pub threads: Vec<Thread>,
    /// Hashes that lead to threads; those that are there already are pointed to the thread given.
    pub refs: Vec<ThreadRef>,
    /// The messages.
    pub inserts: Vec<MessageInsert>,
    /// Where they lie, and where others that are stored do; a placement that is there already stays.
    pub places: Vec<PlacementRow>,
}

/// The rows, by their tables.
pub(crate) struct Rows {
    /// Their tenant and mailbox, which counts so many more messages.
    pub(crate) mailbox: (Id, Id),
    pub(crate) added: i64,
    pub(crate) threads: Vec<(threads::Row, Id)>,
    pub(crate) refs: Vec<RefRow>,
    pub(crate) messages: Vec<(Row, StorageRow)>,
    pub(crate) bodies: Vec<BodyRow>,
    pub(crate) raws: Vec<RawRow>,
    pub(crate) addresses: Vec<AddressRow>,
    pub(crate) attachments: Vec<attachments::Row>,
    pub(crate) queue: Vec<QueueRow>,
    pub(crate) places: Vec<placements::Row>,
}

impl Rows {
    fn new(tenant: TenantId, mailbox: Uuid, added: usize) -> Self {
        Self {
            mailbox: (Id(tenant.0), Id(mailbox)),
            added: i64::try_from(added).unwrap_or(i64::MAX),
            threads: Vec::new(),
            refs: Vec::new(),
            messages: Vec::with_capacity(added),
            bodies: Vec::with_capacity(added),
            raws: Vec::with_capacity(added),
            addresses: Vec::new(),
            attachments: Vec::new(),
            queue: Vec::with_capacity(added),
            places: Vec::new(),
        }
    }

    fn add(&mut self, tenant: TenantId, insert: MessageInsert) -> Result<()> {
        let MessageInsert {
            message,
            dedupe_key,
            sha256,
            raw,
        } = insert;
        let storage = StorageRow {
            tenant_id: Id(tenant.0),
            dedupe_key,
            sha256: sha256.to_vec(),
            in_blobs: raw.is_none(),
        };
        self.messages.push((Row::write(&message)?, storage));
        self.raws.extend(raw.map(|data| RawRow {
            tenant_id: Id(tenant.0),
            message_id: Id(message.id),
            data,
        }));
        let mut seen = std::collections::HashSet::new();
        for one in &message.participants {
            let key = address_key(&one.address.address);
            if seen.insert((key.clone(), one.kind)) {
                let kind = one.kind.as_str().to_owned();
                self.addresses.push(AddressRow {
                    tenant_id: Id(tenant.0),
                    address_key: key,
                    kind,
                    message_id: Id(message.id),
                });
            }
        }
        let positions = (0..).zip(&message.attachments);
        self.attachments
            .extend(positions.map(|(position, one)| attachments::Row::write(tenant, position, one)));
        let Body { text, html } = message.body.unwrap_or_default();
        self.bodies.push(BodyRow {
            tenant_id: Id(tenant.0),
            message_id: Id(message.id),
            text,
            html,
        });
        Ok(())
    }
}

impl Conn {
    /// The messages of a mailbox with these dedupe keys, tombstones included, and the threads that these hashes of message ids
    /// lead to. What follows in the transaction is to find its rows by whole keys, until [`Self::plan_anew`].
    pub async fn find_known(
        &mut self,
        tenant: TenantId,
        mailbox: Uuid,
        (keys, hashes): (&[Vec<u8>], &[Vec<u8>]),
    ) -> Result<(Vec<(Vec<u8>, Uuid)>, Vec<ThreadRef>)> {
        let (found, led) = on!(self, arrivals::find_known(tenant, mailbox, keys, hashes))?;
        let led = led.into_iter().map(|(hash, thread_id)| ThreadRef {
            hash,
            thread_id: thread_id.0,
        });
        Ok((
            found.into_iter().map(|(key, id)| (key, id.0)).collect(),
            led.collect(),
        ))
    }

    /// Lets PostgreSQL plan what follows in the transaction by its values again.
    pub async fn plan_anew(&mut self) -> Result<()> {
        on!(self, arrivals::plan_anew())
    }

    /// Stores new messages with all that is theirs, counts them, and queues them for the index. Answers the folder and the
    /// message of each placement that is new.
    pub async fn create_messages(
        &mut self,
        tenant: TenantId,
        mailbox: Uuid,
        new: NewMessages,
        now: DateTime<Utc>,
    ) -> Result<Vec<(Uuid, Uuid)>> {
        let NewMessages {
            threads,
            refs,
            inserts,
            places,
        } = new;
        let mut rows = Rows::new(tenant, mailbox, inserts.len());
        let threads = threads
            .iter()
            .map(|thread| (threads::Row::write(thread, now), Id(tenant.0)));
        rows.threads.extend(threads);
        rows.refs
            .extend(refs.into_iter().map(|one| RefRow::write(tenant, mailbox, one)));
        for place in &places {
            rows.places.push(placements::Row::write(tenant, mailbox, place)?);
        }
        for insert in inserts {
            rows.queue.push(QueueRow::write(tenant, insert.message.id, now));
            rows.add(tenant, insert)?;
        }
        let placed = on!(self, arrivals::create(rows))?;
        Ok(placed
            .into_iter()
            .map(|(folder, message)| (folder.0, message.0))
            .collect())
    }
}
