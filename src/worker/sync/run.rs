//! One mailbox's task: dial, log in, catch up, idle; and what to do about each failure.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    backoff::{Backoff, HEALTHY},
    live::Connection,
    stop::{Memory, Stop},
};
use crate::{
    mail::imap::{Client, FailureClass, Session},
    model::{Error, lease::Lease, mailbox::ServerLogin, provider::Provider, state::Signal},
    service::{
        oauth,
        sync::{self, Report},
        verify::{credentials, endpoint},
    },
};

/// After this many refusals in a row the credentials are taken for wrong.
const REFUSALS: u32 = 2;
/// How often a new connection may be asked for at once, until one was healthy.
const AGAIN: u32 = 5;
/// How long a goodbye may take; with the end of IDLE before it, a connection is closed within a second.
const GOODBYE: Duration = Duration::from_millis(400);

/// Syncs a mailbox until its lease is lost or `switch` is pulled.
pub(super) async fn sync(shared: &Shared, lease: Lease, switch: &CancellationToken) {
    let mut backoff = Backoff::default();
    let mut memory = Memory::default();
    loop {
        let begun = Instant::now();
        let Err(stop) = connection(shared, lease, switch, &mut memory).await else {
            break;
        };
        if begun.elapsed() >= HEALTHY {
            backoff.reset();
            memory.again = 0;
        }
        let handled = Box::pin(handle(shared, lease, &stop, &mut memory, &mut backoff));
        let wait = match handled.await {
            Ok(wait) => wait,
            Err(end) => {
                tracing::debug!(mailbox = %lease.mailbox, reason = %end, "the sync of a mailbox ends");
                break;
            }
        };
        if switch
            .run_until_cancelled(tokio::time::sleep(wait))
            .await
            .is_none()
        {
            break;
        }
    }
}

/// Reports a failure; answers how long to wait before the next try, or why there is none.
async fn handle(
    shared: &Shared,
    lease: Lease,
    stop: &Stop,
    memory: &mut Memory,
    backoff: &mut Backoff,
) -> Result<Duration, Stop> {
    let random = rand::random::<f64>();
    let (class, code) = match stop {
        Stop::Fenced => return Err(Stop::Fenced),
        Stop::Cancelled => return Err(Stop::Cancelled),
        // Each has a reason that the next connection removes; should it not, it is a failure like any other.
        Stop::Again if memory.again < AGAIN => {
            memory.again += 1;
            return Ok(Duration::ZERO);
        }
        Stop::Again => return Ok(backoff.next(None, random)),
        Stop::Store(error) => {
            tracing::error!(mailbox = %lease.mailbox, error = error as &dyn std::error::Error, "a sync could not write");
            return Ok(backoff.next(None, random));
        }
        Stop::Mail(error) => (error.class(), error.code()),
        Stop::Token(error) => (error.class(), error.code()),
    };
    tracing::info!(mailbox = %lease.mailbox, code, "the connection of a mailbox failed");
    let refused = matches!(class, FailureClass::Credentials);
    if refused {
        memory.refusals += 1;
        if memory.refusals < REFUSALS {
            return Ok(backoff.next(None, random));
        }
    } else if matches!(stop, Stop::Mail(_)) {
        // A token endpoint that fails says nothing of the refusal that it was asked for.
        memory.refusals = 0;
    }
    let report = Report {
        signal: if refused { Signal::Refused } else { Signal::Failed },
        problem: Some((code.to_owned(), stop.to_string())),
        capabilities: None,
    };
    sync::report(&shared.app, lease, report).await?;
    match class {
        FailureClass::Credentials => Err(Stop::Cancelled),
        FailureClass::Transient { retry_after } => Ok(backoff.next(retry_after, random)),
        FailureClass::Permanent => Ok(backoff.next(None, random)),
    }
}

/// One connection, from the dial to its end.
async fn connection(
    shared: &Shared,
    lease: Lease,
    switch: &CancellationToken,
    memory: &mut Memory,
) -> Result<(), Stop> {
    // In a box: a mailbox that idles does not keep the room that its dial needs.
    let refused = memory.refusals > 0;
    let (session, provider) = Box::pin(dial(shared, lease, switch, refused)).await?;
    memory.refusals = 0;
    let mut connection = Connection::new(shared, lease, switch, memory, session, provider);
    let ended = connection.serve().await;
    if let Some(session) = connection.into_session() {
        Box::pin(goodbye(session)).await;
    }
    ended
}

/// Dials and logs in; `refused` says that the last try's credentials were, so that new tokens are fetched.
async fn dial(
    shared: &Shared,
    lease: Lease,
    switch: &CancellationToken,
    refused: bool,
) -> Result<(Session, Provider), Stop> {
    let (mailbox, login) = sync::load(&shared.app, lease).await?;
    sync::report(&shared.app, lease, Report::of(Signal::Dialled)).await?;
    let login = ready(shared, lease, switch, login, refused).await?;
    let dial = async {
        let client = Client::connect(&shared.app.dialer, &endpoint(&login)).await?;
        client.login(&credentials(&login)).await
    };
    let session = switch.run_until_cancelled(dial).await.ok_or(Stop::Cancelled)??;
    let capabilities = session.capabilities().iter().map(str::to_owned).collect();
    let report = Report {
        signal: Signal::LoggedIn,
        problem: None,
        capabilities: Some(capabilities),
    };
    sync::report(&shared.app, lease, report).await?;
    Ok((session, mailbox.provider))
}

/// The login with tokens that can be used. The process waits for a refresh before it ends, a closed mailbox does not.
async fn ready(
    shared: &Shared,
    lease: Lease,
    switch: &CancellationToken,
    login: ServerLogin,
    refused: bool,
) -> Result<ServerLogin, Stop> {
    if !oauth::is_due(&shared.app, &login, refused) {
        return Ok(login);
    }
    let app = shared.app.clone();
    let ready = async move { oauth::ready(&app, lease.tenant, lease.mailbox, login, refused).await };
    let ready = shared.tasks.spawn(ready);
    let ended = switch.run_until_cancelled(ready).await.ok_or(Stop::Cancelled)?;
    Ok(ended.map_err(Error::internal)??)
}

/// LOGOUT, as far as there is time; nothing depends on it.
async fn goodbye(session: Session) {
    if let Ok(Err(error)) = tokio::time::timeout(GOODBYE, session.logout()).await {
        tracing::debug!(code = error.code(), "a server did not say goodbye");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<F: Future>(
        _: impl Fn(&'static Shared, Lease, &'static CancellationToken) -> F,
    ) -> usize {
        size_of::<F>()
    }

    /// Each mailbox that idles keeps it.
    #[test]
    fn the_task_of_a_mailbox_is_small() {
        let size = size_of_future(sync);
        assert!(size <= 4 * 1024, "{size} bytes");
    }
}
