//! The log of events: in pages, and as whoever follows it reads it.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::watch;

use super::App;
use crate::{
    model::{
        Error, Result,
        caller::{Caller, Visibility},
        error::{FieldError, Place},
        event::{Event, EventFilter, EventOrder, EventPage, EventPageRequest, EventPosition},
        id::TenantId,
        scope::Scope,
    },
    store::{Conn, EventSpan},
};

/// A page for which not every event counts looks at so many at most: it may then be short, and is not the last.
const WINDOW: i64 = 5_000;
/// Most events that are read at once for a follower: it holds no more, however slow it is.
const PAGE: u16 = 100;
/// How often a follower looks by itself: events of another node come without a nudge.
const POLL: Duration = Duration::from_secs(2);
/// How many may follow the log of one tenant in this process, and when one beyond should try again, in seconds.
const FOLLOWERS: usize = 100;
const TOO_MANY: u64 = 5;
/// How many events are erased at once.
const ERASED: i64 = 1_000;

/// A page of the log, of what the caller sees.
pub async fn list(
    app: &App,
    caller: &Caller,
    filter: EventFilter,
    page: EventPageRequest,
) -> Result<EventPage> {
    caller.require(Scope::WebhooksRead)?;
    let mut conn = app.store.read().await?;
    let read = Reader {
        tenant: caller.tenant_id,
        seen: caller.visibility(),
        filter: &filter,
    };
    let (data, next, last) = read.page(&mut conn, page).await?;
    let beyond = |after: EventPosition| page.order == EventOrder::Ascending && after > last;
    if page.after.is_some_and(beyond) {
        return Err(strange("cursor", Place::Query));
    }
    Ok(EventPage { data, next })
}

/// The refusal of a place that the log has not come to: it is another log's, or this one was put back.
fn strange(name: &str, place: Place) -> Error {
    Error::Invalid(vec![FieldError {
        path: vec![name.to_owned()],
        place,
        detail: "The log has no such place yet: begin at an earlier one, or without one.".to_owned(),
    }])
}

/// Who reads what.
struct Reader<'f> {
    tenant: TenantId,
    seen: Visibility,
    filter: &'f EventFilter,
}

impl Reader<'_> {
    /// The events of a page, where the next one begins, and the last place of the log as it was before they were read:
    /// everything up to there was committed by then.
    async fn page(
        &self,
        conn: &mut Conn,
        page: EventPageRequest,
    ) -> Result<(Vec<Event>, Option<EventPosition>, EventPosition)> {
        let last = conn.last_event(self.tenant).await?;
        let ascending = page.order == EventOrder::Ascending;
        let mut seen = self.seen;
        if let Some(mailbox) = self.filter.mailbox_id
            && seen != Visibility::All
        {
            // Seen as a whole or not at all.
            if conn.get_mailbox(self.tenant, seen, mailbox).await?.is_none() {
                return Ok((Vec::new(), None, last));
            }
            seen = Visibility::All;
        }
        let mut span = EventSpan {
            order: page.order,
            after: page.after,
            until: ascending.then_some(last),
            limit: i64::from(page.limit) + 1,
        };
        let mut rest = None;
        if seen != Visibility::All || !self.filter.kinds.is_empty() {
            let mailbox = self.filter.mailbox_id;
            rest = conn.event_after(self.tenant, mailbox, span, WINDOW).await?;
            span.until = rest.or(span.until);
        }
        let mut data = conn.list_events(self.tenant, seen, self.filter, span).await?;
        let limit = usize::from(page.limit);
        let next = if data.len() > limit {
            data.truncate(limit);
            data.last().map(|event| event.position)
        } else {
            rest
        };
        Ok((data, next, last))
    }
}

/// Follows the log from a place on: answers what comes after it, in order, nothing twice and nothing left out.
///
/// It keeps its place and at most one page. A nudge of this process wakes it, and it looks by itself every two seconds, so
/// that events of another node come too.
pub struct Follow {
    app: App,
    tenant: TenantId,
    seen: Visibility,
    filter: EventFilter,
    place: EventPosition,
    woken: watch::Receiver<()>,
}

/// Begins to follow the log of the caller's tenant, after a place or from now on. `name` is the header or parameter in which
/// the place came.
///
/// # Errors
/// [`Error::RateLimited`] where too many follow it already; [`Error::Invalid`] for a place that the log has not come to.
pub async fn follow(
    app: &App,
    caller: &Caller,
    filter: EventFilter,
    after: Option<EventPosition>,
    (name, place): (&str, Place),
) -> Result<Follow> {
    caller.require(Scope::WebhooksRead)?;
    let tenant = caller.tenant_id;
    let woken = app.signals.follow_events(tenant, FOLLOWERS);
    let woken = woken.ok_or(Error::RateLimited {
        retry_after: TOO_MANY,
    })?;
    let last = app.store.read().await?.last_event(tenant).await?;
    if after.is_some_and(|after| after > last) {
        return Err(strange(name, place));
    }
    Ok(Follow {
        app: app.clone(),
        tenant,
        seen: caller.visibility(),
        filter,
        place: after.unwrap_or(last),
        woken,
    })
}

impl Follow {
    /// Everything up to here that is to be answered was answered.
    pub const fn place(&self) -> EventPosition {
        self.place
    }

    /// Says what the caller sees and may from now on: its role may change while it follows.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when it may not follow the log any more.
    pub fn see(&mut self, caller: &Caller) -> Result<()> {
        caller.require(Scope::WebhooksRead)?;
        self.seen = caller.visibility();
        Ok(())
    }

    /// The next events, and whether more follow at once: a page of a long log may have none that count, and is not the last.
    pub async fn next(&mut self) -> Result<(Vec<Event>, bool)> {
        // Before the log is read: what is committed after that wakes.
        self.woken.mark_unchanged();
        let page = EventPageRequest {
            limit: PAGE,
            order: EventOrder::Ascending,
            after: Some(self.place),
        };
        let read = Reader {
            tenant: self.tenant,
            seen: self.seen,
            filter: &self.filter,
        };
        let mut conn = self.app.store.read().await?;
        let (events, next, last) = read.page(&mut conn, page).await?;
        drop(conn);
        // What does not count is passed over for good.
        self.place = self.place.max(next.unwrap_or(last));
        Ok((events, next.is_some()))
    }

    /// Waits until it is worth while to look again.
    pub async fn woken(&mut self) {
        // The sender lives as long as a receiver does; were it gone, the log is looked at from time to time.
        let nudged = async {
            if self.woken.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        drop(tokio::time::timeout(POLL, nudged).await);
    }
}

/// Erases a batch of a tenant's events that are older than the log is kept; answers whether more may be left.
pub async fn erase_expired(app: &App, tenant: TenantId) -> Result<(usize, bool)> {
    let kept = TimeDelta::from_std(app.config.storage.event_retention).unwrap_or(TimeDelta::MAX);
    let Some(before) = app.clock.now().checked_sub_signed(kept) else {
        return Ok((0, false));
    };
    let erased = app.write(move |tx| Box::pin(async move { tx.erase_events(tenant, before, ERASED).await }));
    let erased = erased.await?;
    Ok((erased, i64::try_from(erased).is_ok_and(|erased| erased == ERASED)))
}
