//! IDLE (RFC 2177): waiting for the server to tell that something changed.

use std::{fmt, future::Future, time::Duration};

use super::{
    body::Spooler,
    command::Command,
    connection::{Connection, Deadline, Exchange, Step},
    error::{Error, Phase},
    response::Response,
    session::Session,
};

/// A connection that idles.
pub struct Idle {
    connection: Box<Connection>,
    exchange: Exchange,
    /// Something changed and was not yet told.
    changed: bool,
    /// The server ended IDLE by itself.
    ended: bool,
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle")
            .field("changed", &self.changed)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdleEvent {
    /// The server told of a change, or ended IDLE by itself: it is time for a pass.
    Changed,
    /// The time is up: end IDLE and begin it again.
    Timeout,
    /// The caller wants to go.
    Cancelled,
}

/// IDLE did not begin.
#[derive(Debug)]
pub struct IdleRefused {
    /// The session, when it can still be used: the server answered NO or BAD, or does not offer IDLE.
    pub session: Option<Session>,
    /// Why.
    pub error: Error,
}

impl Session {
    /// IDLE: begins to wait. A server that neither agrees nor refuses within 60 s is an error, never a hang.
    pub async fn idle(self) -> Result<Idle, IdleRefused> {
        let Self { mut connection } = self;
        if !(connection.capabilities.has("IDLE") || connection.capabilities.has("IMAP4REV2")) {
            let session = Some(Self::new(connection));
            return Err(IdleRefused {
                session,
                error: Error::Unsupported("IDLE"),
            });
        }
        connection.shrink_buffer();
        let silence = connection.timeouts.silence;
        let deadline = Deadline::new(Phase::Command, silence, silence);
        match begin(&mut connection, deadline).await {
            Ok((exchange, changed, ended)) => Ok(Idle {
                connection,
                exchange,
                changed,
                ended,
            }),
            Err(error) => {
                let usable = matches!(error, Error::No { .. } | Error::Bad { .. });
                Err(IdleRefused {
                    session: usable.then(|| Self::new(connection)),
                    error,
                })
            }
        }
    }
}

async fn begin(connection: &mut Connection, deadline: Deadline) -> Result<(Exchange, bool, bool), Error> {
    let exchange = connection.begin(Command::new("IDLE"), deadline).await?;
    let mut changed = false;
    loop {
        match connection.step(&exchange, &mut Spooler::none()).await? {
            Step::Continue => return Ok((exchange, changed, false)),
            Step::Done(_) => return Ok((exchange, changed, true)),
            Step::Data(response) => changed |= is_change(connection, &response),
        }
    }
}

fn is_change(connection: &mut Connection, response: &Response) -> bool {
    connection.pending.note(response);
    matches!(
        response,
        Response::Exists(_) | Response::Expunge | Response::Vanished { .. } | Response::Fetch(_)
    )
}

impl Idle {
    /// Waits for a change, for at most `max` (a day if it is more), or until `cancel` is done. May be called again.
    ///
    /// # Errors
    /// BYE, the end of the connection, NO or BAD, and what breaks the protocol.
    pub async fn wait(
        &mut self,
        max: Duration,
        cancel: impl Future<Output = ()>,
    ) -> Result<IdleEvent, Error> {
        if std::mem::take(&mut self.changed) || self.ended {
            return Ok(IdleEvent::Changed);
        }
        self.exchange.deadline = Deadline::new(Phase::Command, max, max);
        tokio::select! {
            biased;
            () = cancel => Ok(IdleEvent::Cancelled),
            event = self.listen() => match event {
                Err(Error::Timeout(_)) => Ok(IdleEvent::Timeout),
                event => event,
            },
        }
    }

    /// May be dropped at any time: what was read stays in the connection.
    async fn listen(&mut self) -> Result<IdleEvent, Error> {
        loop {
            match self.connection.step(&self.exchange, &mut Spooler::none()).await? {
                Step::Continue => {}
                Step::Done(_) => {
                    self.ended = true;
                    return Ok(IdleEvent::Changed);
                }
                Step::Data(response) => {
                    if is_change(&mut self.connection, &response) {
                        return Ok(IdleEvent::Changed);
                    }
                }
            }
        }
    }

    /// True when the server has told of new mail.
    pub fn has_news(&self) -> bool {
        self.connection.pending.exists.is_some()
    }

    /// DONE: ends IDLE, and leaves the server's answer to the next command, which fails where none comes within 15 s. One
    /// that fetches whole messages is sent at once: new mail is read one way to the server and back sooner.
    ///
    /// # Errors
    /// The session is gone then.
    pub async fn leave(mut self) -> Result<Session, Error> {
        if !self.ended {
            let wait = self.connection.timeouts.done;
            self.exchange.deadline = Deadline::new(Phase::Done, wait, wait);
            self.connection.end(self.exchange).await?;
        }
        Ok(Session::new(self.connection))
    }

    /// DONE: ends IDLE, within 15 s.
    ///
    /// # Errors
    /// The session is gone then.
    pub async fn done(self) -> Result<Session, Error> {
        let mut session = self.leave().await?;
        session.settle().await?;
        Ok(session)
    }
}
