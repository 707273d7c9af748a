//! The requests to one endpoint that this process has taken: a few on the wire, the next ones behind them, and what came of
//! those that have ended.

use std::{collections::VecDeque, time::Duration};

use uuid::Uuid;

use crate::{
    model::{id::TenantId, webhook::IN_FLIGHT},
    service::deliveries::{AHEAD, Done, Job, Sent, Turn},
};

/// An endpoint that answers sooner than this has more taken for it than is on the wire.
const QUICK: Duration = Duration::from_millis(50);

#[derive(Default)]
pub(super) struct Lane {
    waiting: VecDeque<Job>,
    on_wire: usize,
    done: Done,
}

impl Lane {
    /// True where there is nothing to remember.
    pub(super) fn is_empty(&self) -> bool {
        self.on_wire == 0 && self.waiting.is_empty() && self.done.is_empty()
    }

    /// The turn that the endpoint is to have: `share` is how many more requests to it there is room for on the wire.
    pub(super) fn turn(&self, endpoint: Uuid, done: Done, share: usize) -> Turn {
        let held = self.waiting.len() + self.on_wire;
        let is_quick = !done.sent.is_empty() && done.sent.iter().all(is_quick);
        let most = if share > 0 && is_quick && done.returned.is_empty() {
            AHEAD
        } else {
            IN_FLIGHT.min(held + share)
        };
        Turn {
            endpoint,
            done,
            held,
            room: most.saturating_sub(held),
        }
    }

    /// Puts a request behind the others.
    pub(super) fn push(&mut self, job: Job) {
        self.waiting.push_back(job);
    }

    /// The next request that goes on the wire, where fewer than so many are.
    pub(super) fn next(&mut self, most: usize) -> Option<Job> {
        let next = (self.on_wire < most).then(|| self.waiting.pop_front())??;
        self.on_wire += 1;
        Some(next)
    }

    /// A request has ended. Answers what has become of all where the endpoint is to have a turn: once nothing waits any more,
    /// as nothing does behind a failure or a slow answer.
    pub(super) fn ended(&mut self, sent: Option<Sent>) -> Option<Done> {
        self.on_wire = self.on_wire.saturating_sub(1);
        let goes_on = sent.as_ref().is_some_and(is_quick);
        self.done.sent.extend(sent);
        if goes_on && !self.waiting.is_empty() {
            return None;
        }
        Some(self.give_up())
    }

    /// Lets go of what waits: what has become of all.
    pub(super) fn give_up(&mut self) -> Done {
        let waiting = std::mem::take(&mut self.waiting);
        self.done
            .returned
            .extend(waiting.into_iter().map(|job| job.taken));
        std::mem::take(&mut self.done)
    }

    /// Whose requests wait.
    pub(super) fn tenant(&self) -> Option<TenantId> {
        self.waiting.front().map(|job| job.tenant)
    }

    pub(super) const fn on_wire(&self) -> usize {
        self.on_wire
    }
}

fn is_quick(sent: &Sent) -> bool {
    sent.attempt.succeeded() && sent.attempt.duration < QUICK
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::{
        model::{event::EventPosition, webhook::Attempt},
        store::DueDelivery,
    };

    fn sent(status: u16, ms: u64) -> Sent {
        Sent {
            taken: DueDelivery {
                id: Uuid::nil(),
                position: EventPosition(1),
                mailbox: None,
                attempts: 0,
                claim: 1,
            },
            attempt: Attempt {
                at: DateTime::UNIX_EPOCH,
                duration: Duration::from_millis(ms),
                status: Some(status),
                body: None,
                error: None,
            },
            retry_after: None,
        }
    }

    #[test]
    fn only_for_an_endpoint_that_answers_quickly_more_is_taken_than_goes_on_the_wire() {
        let done = |sent| Done {
            sent,
            returned: Vec::new(),
        };
        let room = |sent, share| Lane::default().turn(Uuid::nil(), done(sent), share).room;
        assert_eq!(room(Vec::new(), 32), IN_FLIGHT, "nothing is known of it");
        assert_eq!(room(vec![sent(200, 1), sent(204, 49)], 32), AHEAD);
        assert_eq!(room(vec![sent(200, 1), sent(200, 50)], 32), IN_FLIGHT);
        assert_eq!(room(vec![sent(200, 1), sent(500, 1)], 32), IN_FLIGHT);
        assert_eq!(room(vec![sent(200, 1)], 0), 0, "its tenant has no room");
        let busy = Lane {
            on_wire: 3,
            ..Lane::default()
        };
        let turn = busy.turn(Uuid::nil(), Done::default(), 32);
        assert_eq!((turn.held, turn.room), (3, IN_FLIGHT - 3));
        let turn = busy.turn(Uuid::nil(), done(vec![sent(200, 1)]), 1);
        assert_eq!((turn.held, turn.room), (3, AHEAD - 3));
    }
}
