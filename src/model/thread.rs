//! Threads: which messages belong together, and who answers whom (RFC 5322, section 3.6.4).
//!
//! Two questions with two answers. Which thread a message is in is stored, as a partition by every id that
//! the messages name; it does not depend on the order of arrival. Who answers whom is worked out on reading.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// An id longer than this is ignored: it is longer than a line may be (RFC 5322, section 2.1.1).
const MAX_ID: usize = 998;

/// The stored form of a message id: the first 16 bytes of the SHA-256 of its normal form.
pub type RefHash = [u8; 16];

/// A message id without angle brackets, white space and control characters; `None` when nothing is left.
/// Letters keep their case: ids are compared as they are (RFC 5322, section 3.6.4).
pub fn normalise_id(id: &str) -> Option<String> {
    let id: String = id
        .chars()
        .filter(|char| !char.is_whitespace() && !char.is_control())
        .collect();
    let id = id.trim_start_matches('<').trim_end_matches('>');
    (!id.is_empty() && id.len() <= MAX_ID).then(|| id.to_owned())
}

/// The stored form of a message id; one that [`normalise_id`] refuses has none.
pub fn ref_hash(id: &str) -> Option<RefHash> {
    let digest: [u8; 32] = Sha256::digest(normalise_id(id)?.as_bytes()).into();
    digest.first_chunk().copied()
}

/// A thread that is stored. Of two, the one that is less is the older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredThread {
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Its id.
    pub id: Uuid,
}

/// Where a new message goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// The oldest thread that it belongs to; `None` asks for a new one.
    pub join: Option<Uuid>,
    /// The other threads that it joins together, oldest first: they become part of the one it is in.
    pub merge: Vec<Uuid>,
    /// The ids that from now on lead to that thread.
    pub refs: Vec<RefHash>,
}

/// The hashes to look up before [`place`]: of the message's own id, of what it answers and of all that it
/// refers to, each once.
pub fn refs(message_id: Option<&str>, in_reply_to: Option<&str>, references: &[String]) -> Vec<RefHash> {
    let mut seen = HashSet::new();
    message_id
        .into_iter()
        .chain(in_reply_to)
        .chain(references.iter().map(String::as_str))
        .filter_map(ref_hash)
        .filter(|hash| seen.insert(*hash))
        .collect()
}

/// Decides where a message goes, given the hashes that [`refs`] named and the threads that are stored for
/// them (in any order, repeated or not).
///
/// A message without ids has no hashes and gets a thread of its own.
pub fn place(refs: Vec<RefHash>, stored: impl IntoIterator<Item = StoredThread>) -> Placement {
    let threads: BTreeSet<StoredThread> = stored.into_iter().collect();
    let mut ids = threads.into_iter().map(|thread| thread.id);
    Placement {
        join: ids.next(),
        merge: ids.collect(),
        refs,
    }
}

/// What the order of a thread needs to know of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The message's id in postroom.
    pub id: Uuid,
    /// `Message-ID`
    pub message_id: Option<String>,
    /// `In-Reply-To`
    pub in_reply_to: Option<String>,
    /// `References`, oldest first.
    pub references: Vec<String>,
    /// The `Date` field, else when the server received it.
    pub sent_at: DateTime<Utc>,
}

/// The messages of a thread, or of a part of it, in order: by time; where times are equal an answer follows what it
/// answers, and then ids decide.
///
/// What is equal in time is ordered by itself alone: a part of a thread is in the order of the whole as long as it holds
/// all messages of each time that it holds one of. There a message answers the nearest of its references, `In-Reply-To`
/// being the nearest; a reference that would close a loop is passed over. The answer depends on the set of messages alone,
/// and takes time in proportion to the number of references.
pub fn in_order(messages: &[Node]) -> Vec<Uuid> {
    let mut nodes: Vec<&Node> = messages.iter().collect();
    nodes.sort_unstable_by_key(|node| (node.sent_at, node.id));
    let mut order = Vec::with_capacity(nodes.len());
    for run in nodes.chunk_by(|left, right| left.sent_at == right.sent_at) {
        if let [alone] = run {
            order.push(alone.id);
            continue;
        }
        let places = answers_last(&parents(run));
        order.extend(
            places
                .into_iter()
                .filter_map(|at| run.get(at))
                .map(|node| node.id),
        );
    }
    order
}

/// For each message the index of the one that it answers; following them always ends.
fn parents(nodes: &[&Node]) -> Vec<Option<usize>> {
    let mut owners: HashMap<RefHash, usize> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        if let Some(hash) = node.message_id.as_deref().and_then(ref_hash) {
            // Of two messages with one id the earlier stands for it.
            owners.entry(hash).or_insert(index);
        }
    }
    let mut roots: Vec<usize> = (0..nodes.len()).collect();
    let mut parents = vec![None; nodes.len()];
    for (index, (node, parent)) in nodes.iter().zip(&mut parents).enumerate() {
        let nearest_first = node.in_reply_to.iter().chain(node.references.iter().rev());
        *parent = nearest_first
            .filter_map(|id| owners.get(&ref_hash(id)?).copied())
            .find(|&candidate| root(&mut roots, candidate) != index);
        if let (Some(parent), Some(slot)) = (*parent, roots.get_mut(index)) {
            *slot = parent;
        }
    }
    parents
}

/// The message at the top of a branch; shortens the way to it.
fn root(roots: &mut [usize], from: usize) -> usize {
    let mut at = from;
    while let Some(&up) = roots.get(at) {
        if up == at {
            break;
        }
        let above = roots.get(up).copied().unwrap_or(up);
        if let Some(slot) = roots.get_mut(at) {
            *slot = above;
        }
        at = above;
    }
    at
}

/// The given order, changed so that what is answered comes first.
fn answers_last(parents: &[Option<usize>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(parents.len());
    let mut written = vec![false; parents.len()];
    let mut waiting = Vec::new();
    for index in 0..parents.len() {
        let mut next = Some(index);
        while let Some(at) = next.filter(|at| written.get(*at) == Some(&false)) {
            waiting.push(at);
            next = parents.get(at).copied().flatten();
        }
        while let Some(at) = waiting.pop() {
            if let Some(slot) = written.get_mut(at) {
                *slot = true;
            }
            order.push(at);
        }
    }
    order
}

#[cfg(test)]
mod tests;
