//! Deliveries: made from the log for the endpoints that take an event, taken to be sent, and marked with what came of it.
//!
//! An endpoint has its turn in one transaction, in which its row is locked: what came of its deliveries is marked, and the
//! next ones are taken. A delivery that is taken belongs to whoever took it until its lease ends, and its number rises each
//! time; one whose taker has died is taken again with its attempts as they were.

mod turns;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

pub use self::turns::{AHEAD, Done, Job, LEASE, Sent, Taken, Turn, turns};
use super::App;
use crate::{
    model::{
        Error, Result,
        caller::Caller,
        event::EventType,
        id::TenantId,
        page::{Page, PageRequest},
        scope::Scope,
        webhook::{Delivery, DeliveryFilter, DeliveryStatus},
    },
    store::NewDelivery,
};

const RESOURCE: &str = "webhook delivery";
/// How long a request may take.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// For how long an endpoint is left to whoever has picked it for a turn.
const PICKED: TimeDelta = TimeDelta::seconds(20);
/// How many endpoints are picked at once, and how many of a tenant look at the log together.
const PICKS: i64 = 200;
const READERS: i64 = 200;
/// How many events they look at: fewer when they are many, so that a transaction makes at most this many deliveries.
const EVENTS: i64 = 500;
const MADE: i64 = 5_000;

/// The deliveries that the caller sees, newest first.
pub async fn list(
    app: &App,
    caller: &Caller,
    filter: DeliveryFilter,
    page: PageRequest,
) -> Result<Page<Delivery>> {
    caller.require(Scope::WebhooksRead)?;
    let mut conn = app.store.read().await?;
    conn.list_deliveries(caller.tenant_id, caller.visibility(), filter, page)
        .await
}

/// Tries a delivery again at once, whatever has become of it, with its whole schedule before it. One that is on its way is
/// left alone.
pub async fn retry(app: &App, caller: &Caller, id: Uuid) -> Result<Delivery> {
    caller.require(Scope::WebhooksWrite)?;
    let (tenant, seen, now) = (caller.tenant_id, caller.visibility(), app.clock.shared());
    let retried = app.write(move |tx| {
        Box::pin(async move {
            let missing = || Error::NotFound(RESOURCE);
            let found = tx.get_delivery(tenant, seen, id).await?.ok_or_else(missing)?;
            // Its turns wait until this is written.
            tx.lock_endpoint(tenant, found.endpoint)
                .await?
                .ok_or_else(missing)?;
            let found = tx.get_delivery(tenant, seen, id).await?.ok_or_else(missing)?;
            if found.status == DeliveryStatus::Sending {
                return Ok(found);
            }
            tx.retry_delivery(tenant, id, now).await?;
            tx.hasten_endpoints(tenant, &[found.endpoint], now).await?;
            tx.get_delivery(tenant, seen, id).await?.ok_or_else(missing)
        })
    });
    let retried = retried.await?;
    app.signals.wake_deliver();
    Ok(retried)
}

/// What was found in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    /// The endpoints that may have something to send.
    pub endpoints: Vec<Uuid>,
    /// True where there may be more to look at.
    pub more: bool,
}

/// Hears the database's clock, by which nodes agree when a lease ends, and when a delivery is due.
pub async fn agree(app: &App) -> Result<()> {
    if app.store.is_embedded() {
        return Ok(());
    }
    let mut conn = app.store.read().await?;
    let asked = app.clock.now();
    let said = conn.time().await?;
    app.clock.hear(said, (asked, app.clock.now()));
    Ok(())
}

/// Makes the deliveries of a batch of events that a tenant's endpoints have not looked at.
pub async fn spread(app: &App, tenant: TenantId) -> Result<Spread> {
    // Most events are of tenants without endpoints: the writer is left alone for them.
    if !app.store.read().await?.is_unread(tenant).await? {
        return Ok(Spread::default());
    }
    let now = app.clock.shared();
    app.write(move |tx| {
        Box::pin(async move {
            let last = tx.last_event(tenant).await?;
            let readers = tx.lock_readers(tenant, last, READERS).await?;
            let Some(first) = readers.iter().map(|reader| reader.position).min() else {
                return Ok(Spread::default());
            };
            let count = i64::try_from(readers.len()).unwrap_or(READERS);
            let limit = (MADE / count).clamp(1, EVENTS);
            let news = tx.list_news(tenant, first, last, limit).await?;
            let whole = i64::try_from(news.len()).is_ok_and(|found| found < limit);
            let upto = news.last().filter(|_| !whole).map_or(last, |news| news.position);
            // A mailbox may have been enabled or deleted, for which deliveries waited.
            let switched = news
                .iter()
                .any(|news| matches!(news.kind, EventType::MailboxUpdated | EventType::MailboxDeleted));
            let (mut new, mut endpoints, mut moved) = (Vec::new(), Vec::new(), Vec::new());
            for reader in readers.iter().filter(|reader| reader.position < upto) {
                let takes = |news: &&crate::store::News| {
                    news.position > reader.position
                        && reader.member.is_none_or(|member| news.member == Some(member))
                        && reader.form.takes(news.kind)
                        && reader.filter.takes(news.kind, news.mailbox, news.bound)
                };
                let before = new.len();
                new.extend(news.iter().filter(takes).map(|news| NewDelivery {
                    endpoint: reader.endpoint,
                    position: news.position,
                    mailbox: news.mailbox.filter(|_| news.kind.is_of_message()),
                }));
                if switched || new.len() > before {
                    endpoints.push(reader.endpoint);
                }
                moved.push(reader.endpoint);
            }
            tx.create_deliveries(tenant, &new, now).await?;
            tx.set_reader_positions(tenant, &moved, upto).await?;
            if !endpoints.is_empty() {
                tx.hasten_endpoints(tenant, &endpoints, now).await?;
            }
            Ok(Spread {
                endpoints,
                more: !whole || count == READERS,
            })
        })
    })
    .await
}

/// The tenants whose endpoints have not looked at the whole log, after this one.
pub async fn unread(app: &App, after: Option<TenantId>) -> Result<Vec<TenantId>> {
    app.store.read().await?.list_unread(after, PICKS).await
}

/// Picks endpoints that have something to do by now, of any tenant, and says when the next one has.
pub async fn pick(app: &App) -> Result<(Vec<(TenantId, Uuid)>, Option<DateTime<Utc>>)> {
    let now = app.clock.shared();
    let next = app.store.read().await?.next_due_endpoint().await?;
    if next.is_none_or(|next| next > now) {
        return Ok((Vec::new(), next));
    }
    app.write(move |tx| {
        Box::pin(async move {
            let picked = tx.take_due_endpoints(now, now + PICKED, PICKS).await?;
            let next = tx.next_due_endpoint().await?;
            Ok((picked, next))
        })
    })
    .await
}

/// The start of the embedded database's one process: what its last run was sending is sent again at once.
pub async fn free(app: &App) -> Result<()> {
    let now = app.clock.shared();
    if app.store.is_embedded() {
        let until = now + LEASE.max(PICKED);
        app.write(move |tx| Box::pin(async move { tx.free_deliveries(now, until).await }))
            .await?;
    }
    Ok(())
}
