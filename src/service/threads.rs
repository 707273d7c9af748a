//! Threads: listed, whole, and what comes before and after one message.

use std::collections::{HashMap, HashSet};

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
        thread::{Ordered, ancestors_and_descendants, reply_order},
    },
    store::Conn,
};

/// A thread is ordered over at most this many messages, the oldest ones.
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
    let found = conn.get_thread(tenant, caller.visibility(), id).await?;
    let mut thread = found.ok_or(Error::NotFound("thread"))?;
    let nodes = conn.thread_nodes(tenant, thread.id, MAX_NODES).await?;
    let ordered = reply_order(&nodes);
    let newest = ordered
        .get(ordered.len().saturating_sub(MAX_MESSAGES)..)
        .unwrap_or_default();
    thread.messages = load(&mut conn, tenant, newest, false).await?;
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
    let nodes = conn.thread_nodes(tenant, message.thread_id, MAX_NODES).await?;
    let ordered = reply_order(&nodes);
    let (before, after) = ancestors_and_descendants(&ordered, id).unwrap_or_default();
    let mut ancestors = load(&mut conn, tenant, page_before(before, pages), true).await?;
    let mut descendants = load(&mut conn, tenant, page_after(after, pages), true).await?;
    // Counted from the order that is shown, so that the count is that of the messages before, here and after.
    let count = i64::try_from(before.len() + 1 + after.len()).unwrap_or(i64::MAX);
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

/// The page that ends right before the message, or one further from it.
fn page_before(before: &[Ordered], pages: ViewPages) -> &[Ordered] {
    let end = before
        .len()
        .saturating_sub(pages.per_page.saturating_mul(pages.ancestors.saturating_sub(1)));
    before
        .get(end.saturating_sub(pages.per_page)..end)
        .unwrap_or_default()
}

/// The page that begins right after the message, or one further from it.
fn page_after(after: &[Ordered], pages: ViewPages) -> &[Ordered] {
    let start = pages
        .per_page
        .saturating_mul(pages.descendants.saturating_sub(1))
        .min(after.len());
    let end = start.saturating_add(pages.per_page).min(after.len());
    after.get(start..end).unwrap_or_default()
}

/// The messages of a part of an order, in that order.
async fn load(conn: &mut Conn, tenant: TenantId, part: &[Ordered], bodies: bool) -> Result<Vec<Message>> {
    if part.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = part.iter().map(|(id, _)| *id).collect();
    let places: HashMap<Uuid, usize> = ids.iter().copied().zip(0..).collect();
    let mut messages = conn.get_messages(tenant, &ids, bodies).await?;
    messages.sort_by_key(|message| places.get(&message.id).copied());
    Ok(messages)
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

    fn ids(count: u128) -> Vec<Ordered> {
        (0..count).map(|id| (Uuid::from_u128(id), None)).collect()
    }

    fn numbers(page: &[Ordered]) -> Vec<u128> {
        page.iter().map(|(id, _)| id.as_u128()).collect()
    }

    #[test]
    fn page_one_is_the_nearest_and_every_page_is_in_time_order() {
        let around = ids(5);
        let pages = |page| ViewPages {
            per_page: 2,
            ancestors: page,
            descendants: page,
        };
        let before: Vec<_> = (1..=4)
            .map(|page| numbers(page_before(&around, pages(page))))
            .collect();
        assert_eq!(before, [vec![3, 4], vec![1, 2], vec![0], vec![]]);
        let after: Vec<_> = (1..=4)
            .map(|page| numbers(page_after(&around, pages(page))))
            .collect();
        assert_eq!(after, [vec![0, 1], vec![2, 3], vec![4], vec![]]);
        assert!(page_before(&around, pages(usize::MAX)).is_empty());
        assert!(page_after(&around, pages(usize::MAX)).is_empty());
    }
}
