//! Parsing on blocking threads while the next messages are still read, some at a time; the order is kept.

use tokio::task::JoinSet;

use super::{
    Shared,
    incoming::{Fetched, ready},
    stop::Stop,
};
use crate::{
    model::{Error, id::TenantId},
    service::sync::Arrival,
};

/// So many groups of messages are parsed at once.
const GROUPS: usize = 4;
/// A group has at most this many messages, and not many more bytes than this: a thread's time is worth its start.
const GROUP: usize = 16;
const GROUP_BYTES: u64 = 256 * 1024;

/// The messages of one batch that are being parsed. What is not done when this is dropped is dropped too.
pub(super) struct Parsing {
    shared: Shared,
    tenant: TenantId,
    count: usize,
    waiting: Vec<Fetched>,
    waiting_bytes: u64,
    begun: usize,
    tasks: JoinSet<(usize, Result<Vec<Arrival>, Stop>)>,
    done: Vec<(usize, Vec<Arrival>)>,
}

impl Parsing {
    pub(super) fn new(shared: &Shared, tenant: TenantId) -> Self {
        Self {
            shared: shared.clone(),
            tenant,
            count: 0,
            waiting: Vec::new(),
            waiting_bytes: 0,
            begun: 0,
            tasks: JoinSet::new(),
            done: Vec::new(),
        }
    }

    /// Takes the next message.
    pub(super) async fn push(&mut self, fetched: Fetched) -> Result<(), Stop> {
        self.count += 1;
        self.waiting_bytes += fetched.len();
        self.waiting.push(fetched);
        if self.waiting.len() >= GROUP || self.waiting_bytes >= GROUP_BYTES {
            self.begin().await?;
        }
        Ok(())
    }

    /// How many messages it was given.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// All messages, in the order in which they were given.
    pub(super) async fn finish(mut self) -> Result<Vec<Arrival>, Stop> {
        if self.begun == 0 {
            // A few messages need no task beside the one that waits for them.
            return ready(&self.shared, self.tenant, self.waiting).await;
        }
        self.begin().await?;
        while !self.tasks.is_empty() {
            self.wait().await?;
        }
        self.done.sort_unstable_by_key(|(place, _)| *place);
        Ok(self.done.into_iter().flat_map(|(_, group)| group).collect())
    }

    async fn begin(&mut self) -> Result<(), Stop> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        if self.tasks.len() >= GROUPS {
            self.wait().await?;
        }
        let (shared, tenant, place) = (self.shared.clone(), self.tenant, self.begun);
        let group = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.begun += 1;
        self.tasks
            .spawn(async move { (place, ready(&shared, tenant, group).await) });
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), Stop> {
        if let Some(ended) = self.tasks.join_next().await {
            let (place, group) = ended.map_err(Error::internal)?;
            self.done.push((place, group?));
        }
        Ok(())
    }
}
