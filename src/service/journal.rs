//! What a transaction has to tell: events are noted while it works, and written as its last statement.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{App, detach};
use crate::{
    model::{
        Error, Result,
        agent::AgentKind,
        event::{Draft, EventEndpoint, EventType, Transition},
        id::{self, TenantId},
        mailbox::{Binding, Mailbox},
        state::State,
    },
    store::{Conn, Work},
};

/// The events of one transaction: of one mailbox, whose row the transaction has locked.
pub(super) struct Journal {
    mailbox: Option<(Uuid, Option<Uuid>)>,
    drafts: Vec<Draft>,
    hushed: bool,
}

impl Journal {
    /// Nothing to tell yet.
    pub(super) const fn new() -> Self {
        Self {
            mailbox: None,
            drafts: Vec::new(),
            hushed: false,
        }
    }

    /// Says whose events they are, and whom the mailbox is bound to.
    pub(super) fn of(&mut self, mailbox: &Mailbox) {
        self.mailbox = Some((mailbox.id, bound_to(mailbox.binding)));
    }

    /// Says that what becomes of messages is no news: they are found by a first backfill.
    pub(super) const fn hush(&mut self) {
        self.hushed = true;
    }

    /// Notes what happened to a message.
    pub(super) fn message(&mut self, kind: EventType, message: Uuid) {
        if !self.hushed {
            self.drafts.push(Draft {
                message: Some(message),
                ..draft(kind)
            });
        }
    }

    /// Notes that a message changed, went, or is back. The last is news in any case: it was told that it is gone.
    pub(super) fn presence(&mut self, message: Uuid, was_gone: bool, gone: bool) {
        let hushed = self.hushed;
        self.hushed &= !was_gone;
        let kind = if gone {
            EventType::MessageDeleted
        } else {
            EventType::MessageUpdated
        };
        self.message(kind, message);
        self.hushed = hushed;
    }

    /// Notes what happened to a webhook endpoint; answers the event's id.
    pub(super) fn endpoint(&mut self, kind: EventType, endpoint: EventEndpoint) -> Uuid {
        let draft = Draft {
            endpoint: Some(endpoint),
            ..draft(kind)
        };
        let id = draft.id;
        self.drafts.push(draft);
        id
    }

    /// Notes what happened to the mailbox.
    pub(super) fn mailbox(&mut self, kind: EventType) {
        self.drafts.push(draft(kind));
    }

    /// Notes that the mailbox's state is another than before, if it is; answers whether it is.
    pub(super) fn state(&mut self, before: State, mailbox: &Mailbox) -> bool {
        let after = mailbox.state();
        if before == after {
            return false;
        }
        let transition = Transition {
            from: before,
            to: after,
            error: mailbox.error.clone(),
        };
        self.drafts.push(Draft {
            transition: Some(transition),
            ..draft(EventType::MailboxStateChanged)
        });
        true
    }

    /// Notes that the mailbox waits for other credentials, after the change of its state that this follows from.
    pub(super) fn reauth(&mut self) {
        let transition = self.drafts.last().and_then(|last| last.transition.clone());
        self.drafts.push(Draft {
            transition,
            ..draft(EventType::MailboxReauthRequired)
        });
    }

    /// Writes what was noted; answers the types of that.
    async fn write(&self, tx: &mut Conn, tenant: TenantId, now: DateTime<Utc>) -> Result<Vec<EventType>> {
        if self.drafts.is_empty() {
            return Ok(Vec::new());
        }
        let whose = self.mailbox.map_or((None, None), |(id, agent)| (Some(id), agent));
        tx.append_events(tenant, whose, &self.drafts, now).await?;
        Ok(self.drafts.iter().map(|draft| draft.kind).collect())
    }
}

/// An event of the mailbox itself.
pub(super) fn draft(kind: EventType) -> Draft {
    Draft {
        id: id::new(),
        kind,
        message: None,
        transition: None,
        endpoint: None,
    }
}

/// The agent or team that a mailbox is bound to.
fn bound_to(binding: Binding) -> Option<Uuid> {
    binding.id(AgentKind::Agent).or(binding.id(AgentKind::Team))
}

impl App {
    /// The same as [`App::write`], with the events that `work` notes written by the same transaction; whoever follows the
    /// tenant's log is woken after its commit.
    pub(super) async fn write_journal<T, F>(&self, tenant: TenantId, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn, &'c mut Journal) -> Work<'c, T> + Send + 'static,
    {
        let (app, now) = (self.clone(), self.clock.now());
        let written = detach(async move {
            let transaction = app.store.transaction(move |tx| {
                Box::pin(async move {
                    let mut journal = Journal::new();
                    let answer = work(tx, &mut journal).await?;
                    let told = journal.write(tx, tenant, now).await?;
                    Ok((answer, told))
                })
            });
            let (answer, told) = transaction.await?;
            if !told.is_empty() {
                app.signals.wake_events(tenant);
            }
            for kind in told {
                app.metrics.event(kind);
            }
            Ok(answer)
        });
        written.await.map_err(Error::internal)?
    }
}
