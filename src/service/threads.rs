//! Threads: listed, whole, and what comes before and after one message.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use uuid::Uuid;

use super::App;
use crate::{
    model::{
        Error, Result,
        caller::Caller,
        id::TenantId,
        mailbox::Mailbox,
        message::{Address, Message, MessageFilter, Participant, Thread},
        page::{Page, PageRequest},
        scope::Scope,
        tenant::Tenant,
        thread::{Node, in_order},
    },
    store::Conn,
};

/// A page of a thread is ordered over at most this many messages: those that it shows, and those sent in the same second
/// as its first or its last one.
const MAX_NODES: i64 = 10_000;
/// A thread is answered with at most this many messages, the newest ones.
pub const MAX_MESSAGES: usize = 200;
/// Where threads are listed, participants are gathered from at most this many messages of each, the newest ones.
const MAX_LISTED: u16 = 50;
/// A page of ancestors or descendants has at most this many messages.
pub const MAX_PER_PAGE: usize = 500;

/// Which pages of a message's ancestors and descendants are asked for; pages count from 1, the nearest to the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewPages {
    /// Messages on a page, 1 to [`MAX_PER_PAGE`].
    pub per_page: usize,
    /// The page of ancestors.
    pub ancestors: usize,
    /// The page of descendants.
    pub descendants: usize,
}

/// A message with what is around it in its thread.
#[derive(Debug, Clone)]
pub struct View {
    /// The message; its `thread_count` counts before paging.
    pub message: Message,
    /// Its mailbox.
    pub mailbox: Mailbox,
    /// Its tenant.
    pub tenant: Tenant,
    /// A page of what comes before it, in time order.
    pub ancestors: Vec<Message>,
    /// A page of what comes after it, in time order.
    pub descendants: Vec<Message>,
}

/// The threads that the caller sees, the one with the newest message first; without their messages.
pub async fn list(
    app: &App,
    caller: &Caller,
    mailbox: Option<Uuid>,
    page: PageRequest,
) -> Result<Page<Thread>> {
    caller.require(Scope::MessagesRead)?;
    let (tenant, seen) = (caller.tenant_id, caller.visibility());
    let mut conn = app.store.read().await?;
    let mut threads = conn.list_threads(tenant, seen, mailbox, page).await?;
    // Short threads, which nearly all are, in one query; a long one by a page of its newest messages.
    let is_short = |thread: &Thread| thread.message_count <= i64::from(MAX_LISTED);
    let short: Vec<Uuid> = threads
        .data
        .iter()
        .filter(|thread| is_short(thread))
        .map(|thread| thread.id)
        .collect();
    let mut people = conn.thread_participants(tenant, &short).await?;
    for thread in &mut threads.data {
        if is_short(thread) {
            thread.participants = distinct(people.remove(&thread.id).unwrap_or_default());
            continue;
        }
        let filter = MessageFilter {
            thread_id: Some(thread.id),
            ..MessageFilter::default()
        };
        let newest = PageRequest {
            limit: MAX_LISTED,
            after: None,
        };
        let messages = conn
            .list_messages(tenant, seen, &filter, (None, None), newest)
            .await?;
        thread.participants = participants(messages.data.iter().rev());
    }
    Ok(threads)
}

/// One thread with its messages in time order, at most the newest [`MAX_MESSAGES`].
pub async fn get(app: &App, caller: &Caller, id: Uuid) -> Result<Thread> {
    caller.require(Scope::MessagesRead)?;
    let tenant = caller.tenant_id;
    let mut conn = app.store.read().await?;
    let seen = caller.visibility();
    // One more tells whether any are left out.
    let limit = i64::try_from(MAX_MESSAGES).unwrap_or(i64::MAX).saturating_add(1);
    let found = conn.get_thread_with_newest(tenant, seen, id, limit).await?;
    let mut thread = if let Some(found) = found {
        found
    } else {
        // The id of one that was joined with another.
        let found = conn.get_thread(tenant, seen, id).await?;
        let mut other = found.ok_or(Error::NotFound("thread"))?;
        other.messages = conn.newest_of_thread(tenant, other.id, limit).await?;
        other
    };
    thread.messages = in_their_order(&mut conn, tenant, thread.id, thread.messages).await?;
    thread.participants = participants(&thread.messages);
    Ok(thread)
}

/// A message with a page of what comes before it and of what comes after it.
pub async fn around(app: &App, caller: &Caller, id: Uuid, pages: ViewPages) -> Result<View> {
    caller.require(Scope::MessagesRead)?;
    let (tenant, seen) = (caller.tenant_id, caller.visibility());
    let no_message = || Error::NotFound("message");
    let mut conn = app.store.read().await?;
    let mut message = conn.get_message(tenant, seen, id).await?.ok_or_else(no_message)?;
    let mailbox = conn
        .get_mailbox(tenant, seen, message.mailbox_id)
        .await?
        .ok_or_else(no_message)?;
    let (place, count) = place(&mut conn, tenant, &message).await?;
    let before = pages.before(place);
    let mut ancestors = part(&mut conn, tenant, message.thread_id, before, true).await?;
    let after = pages.after(place, count);
    let mut descendants = part(&mut conn, tenant, message.thread_id, after, true).await?;
    // Counted together with the place, so that the count is that of the messages before, here and after.
    for one in ancestors.iter_mut().chain(&mut descendants).chain([&mut message]) {
        one.thread_count = count;
    }
    let tenant = conn.get_tenant(tenant).await?.ok_or_else(no_message)?;
    Ok(View {
        message,
        mailbox,
        tenant,
        ancestors,
        descendants,
    })
}

impl ViewPages {
    /// The places of the page that ends right before a message, or of one further from it.
    fn before(self, place: i64) -> Range<i64> {
        let end = place.saturating_sub(self.skipped(self.ancestors)).max(0);
        end.saturating_sub(self.per_page()).max(0)..end
    }

    /// The places of the page that begins right after a message, or of one further from it.
    fn after(self, place: i64, count: i64) -> Range<i64> {
        let start = place
            .saturating_add(1)
            .saturating_add(self.skipped(self.descendants))
            .min(count);
        start..start.saturating_add(self.per_page()).min(count)
    }

    fn skipped(self, page: usize) -> i64 {
        i64::try_from(page.saturating_sub(1))
            .unwrap_or(i64::MAX)
            .saturating_mul(self.per_page())
    }

    fn per_page(self) -> i64 {
        i64::try_from(self.per_page).unwrap_or(i64::MAX)
    }
}

/// The newest messages of a thread, which come newest first, in their order; without a query unless the first of them
/// shares its time with one that is left out.
async fn in_their_order(
    conn: &mut Conn,
    tenant: TenantId,
    thread: Uuid,
    mut messages: Vec<Message>,
) -> Result<Vec<Message>> {
    if let [.., shown, left_out] = messages.as_slice()
        && messages.len() > MAX_MESSAGES
        && shown.sent_at == left_out.sent_at
    {
        // Only the order of all of that time tells which of them are the newest.
        let older = conn.count_sent_before(tenant, thread, shown.sent_at).await?;
        let since = conn.count_sent_after(tenant, thread, shown.sent_at).await?;
        let same = conn
            .thread_nodes(tenant, thread, (shown.sent_at, shown.sent_at), MAX_NODES)
            .await?;
        let limit = i64::try_from(MAX_MESSAGES).unwrap_or(i64::MAX);
        let count = older + i64::try_from(same.len()).unwrap_or_default() + since;
        return part(conn, tenant, thread, (count - limit).max(0)..count, false).await;
    }
    messages.truncate(MAX_MESSAGES);
    messages.reverse();
    // They come in the order of time: what answers what tells only where times are equal.
    let tied = messages
        .windows(2)
        .any(|two| matches!(two, [one, next] if one.sent_at == next.sent_at));
    if tied {
        let nodes: Vec<Node> = messages.iter().map(node).collect();
        sort(&mut messages, &in_order(&nodes));
    }
    Ok(messages)
}

/// The place of a message in its thread, counted from 0, and how many messages the thread has.
async fn place(conn: &mut Conn, tenant: TenantId, message: &Message) -> Result<(i64, i64)> {
    let (thread, at) = (message.thread_id, message.sent_at);
    let before = conn.count_sent_before(tenant, thread, at).await?;
    let after = conn.count_sent_after(tenant, thread, at).await?;
    let same = in_order(&conn.thread_nodes(tenant, thread, (at, at), MAX_NODES).await?);
    let within = same.iter().position(|id| *id == message.id).unwrap_or_default();
    let (within, same) = (i64::try_from(within).unwrap_or_default(), same.len().max(1));
    Ok((
        before + within,
        before + i64::try_from(same).unwrap_or(i64::MAX) + after,
    ))
}

/// The messages at these places of a thread in order, with their bodies where they are asked for.
async fn part(
    conn: &mut Conn,
    tenant: TenantId,
    thread: Uuid,
    places: Range<i64>,
    bodies: bool,
) -> Result<Vec<Message>> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let first = conn.thread_time_at(tenant, thread, places.start).await?;
    let last = conn.thread_time_at(tenant, thread, places.end - 1).await?;
    let (Some(first), Some(last)) = (first, last) else {
        return Ok(Vec::new());
    };
    let start = conn.count_sent_before(tenant, thread, first).await?;
    let nodes = conn
        .thread_nodes(tenant, thread, (first, last), MAX_NODES)
        .await?;
    let from = usize::try_from(places.start - start).unwrap_or_default();
    let length = usize::try_from(places.end - places.start).unwrap_or_default();
    let ids: Vec<Uuid> = in_order(&nodes).into_iter().skip(from).take(length).collect();
    let mut messages = conn.get_messages(tenant, &ids, bodies).await?;
    sort(&mut messages, &ids);
    Ok(messages)
}

/// Puts messages into the order of these ids.
fn sort(messages: &mut [Message], ids: &[Uuid]) {
    let places: HashMap<Uuid, usize> = ids.iter().copied().zip(0..).collect();
    messages.sort_by_key(|message| places.get(&message.id).copied());
}

/// What the order of a thread needs to know of a message.
fn node(message: &Message) -> Node {
    Node {
        id: message.id,
        message_id: message.message_id.clone(),
        in_reply_to: message.in_reply_to.clone(),
        references: message.references.clone(),
        sent_at: message.sent_at,
    }
}

/// Everybody named in the messages, each address once, in the order of their first message.
fn participants<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Vec<Address> {
    distinct(
        messages
            .into_iter()
            .flat_map(|message| message.participants.iter().cloned()),
    )
}

/// Each address once, where it is first named.
fn distinct(participants: impl IntoIterator<Item = Participant>) -> Vec<Address> {
    let mut seen = HashSet::new();
    let first = participants
        .into_iter()
        .filter(|one| seen.insert(one.address.key()));
    first.map(|one| one.address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_one_is_the_nearest_and_every_page_is_in_time_order() {
        let pages = |page| ViewPages {
            per_page: 2,
            ancestors: page,
            descendants: page,
        };
        let before: Vec<_> = (1..=4).map(|page| pages(page).before(5)).collect();
        assert_eq!(before, [3..5, 1..3, 0..1, 0..0]);
        let after: Vec<_> = (1..=4).map(|page| pages(page).after(5, 11)).collect();
        assert_eq!(after, [6..8, 8..10, 10..11, 11..11]);
        assert!(pages(usize::MAX).before(5).is_empty());
        assert!(pages(usize::MAX).after(5, 11).is_empty());
    }
}
