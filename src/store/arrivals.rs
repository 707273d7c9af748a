//! New messages: their rows, and those of all that comes with them.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Conn, attachments,
    messages::{AddressRow, BodyRow, MessageInsert, RawRow, Row, StorageRow},
    on,
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
}

/// The rows, by their tables.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) threads: Vec<(threads::Row, Id)>,
    pub(crate) refs: Vec<RefRow>,
    pub(crate) messages: Vec<(Row, StorageRow)>,
    pub(crate) bodies: Vec<BodyRow>,
    pub(crate) raws: Vec<RawRow>,
    pub(crate) addresses: Vec<AddressRow>,
    pub(crate) attachments: Vec<attachments::Row>,
    pub(crate) queue: Vec<QueueRow>,
}

impl Rows {
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
    /// Stores new messages with all that is theirs, and queues them for the index.
    pub async fn create_messages(
        &mut self,
        tenant: TenantId,
        mailbox: Uuid,
        new: NewMessages,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let NewMessages {
            threads,
            refs,
            inserts,
        } = new;
        let mut rows = Rows::default();
        let threads = threads
            .iter()
            .map(|thread| (threads::Row::write(thread, now), Id(tenant.0)));
        rows.threads.extend(threads);
        rows.refs
            .extend(refs.into_iter().map(|one| RefRow::write(tenant, mailbox, one)));
        for insert in inserts {
            rows.queue.push(QueueRow::write(tenant, insert.message.id, now));
            rows.add(tenant, insert)?;
        }
        on!(self, messages::create(rows))
    }
}
