//! One mailbox's task: dial, log in, catch up, idle; and what to do about each failure.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Shared,
    backoff::{Backoff, HEALTHY},
    live::Connection,
};
use crate::{
    mail::imap::{Client, Error as MailError, FailureClass, Session},
    model::{Error, lease::Lease, state::Signal},
    service::{
        sync::{self, Halt, Report},
        verify::{credentials, endpoint},
    },
};

/// After this many refusals in a row the credentials are taken for wrong.
const REFUSALS: u32 = 2;
/// How long a goodbye may take; with the end of IDLE before it, a connection is closed within a second.
const GOODBYE: Duration = Duration::from_millis(400);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// The mailbox is not this task's any more.
    #[error("the mailbox was disabled, deleted or taken over")]
    Fenced,
    /// The process stops, or the mailbox's connection was closed.
    #[error("the connection was closed on purpose")]
    Cancelled,
    /// Something must be seen again on a new connection before it is believed.
    #[error("a new connection is needed")]
    Again,
    /// The mail server.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// The store.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Fenced => Self::Fenced,
            Halt::Failed(error) => Self::Store(error),
        }
    }
}

/// What is remembered from one connection of a mailbox to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// A folder that lost most of its messages, and must be seen so twice before it is believed.
    pub(super) suspect: Option<Uuid>,
    /// Messages whose fetch or storing failed: `(folder, UID)` and how grave that was.
    pub(super) fragile: HashMap<(Uuid, i64), u32>,
    /// Folders of which QRESYNC has more to tell than is kept: they are asked in windows.
    pub(super) plain: HashSet<Uuid>,
}

/// Syncs a mailbox until its lease is lost or `switch` is pulled.
pub(super) async fn sync(shared: &Shared, lease: Lease, switch: &CancellationToken) {
    let mut backoff = Backoff::default();
    let mut refusals = 0;
    let mut memory = Memory::default();
    loop {
        let begun = Instant::now();
        let Err(stop) = connection(shared, lease, switch, &mut memory).await else {
            break;
        };
        if begun.elapsed() >= HEALTHY {
            backoff.reset();
        }
        let wait = match handle(shared, lease, &stop, &mut refusals, &mut backoff).await {
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
    refusals: &mut u32,
    backoff: &mut Backoff,
) -> Result<Duration, Stop> {
    let random = rand::random::<f64>();
    let error = match stop {
        Stop::Fenced => return Err(Stop::Fenced),
        Stop::Cancelled => return Err(Stop::Cancelled),
        Stop::Again => return Ok(Duration::ZERO),
        Stop::Store(error) => {
            tracing::error!(mailbox = %lease.mailbox, error = error as &dyn std::error::Error, "a sync could not write");
            return Ok(backoff.next(None, random));
        }
        Stop::Mail(error) => error,
    };
    tracing::info!(mailbox = %lease.mailbox, code = error.code(), "the connection of a mailbox failed");
    let problem = Some((error.code().to_owned(), error.to_string()));
    match error.class() {
        FailureClass::Credentials => {
            *refusals += 1;
            if *refusals < REFUSALS {
                return Ok(backoff.next(None, random));
            }
            let report = Report {
                signal: Signal::Refused,
                problem,
                capabilities: None,
            };
            sync::report(&shared.app, lease, report).await?;
            Err(Stop::Cancelled)
        }
        FailureClass::Transient { retry_after } => {
            *refusals = 0;
            let report = Report {
                signal: Signal::Failed,
                problem,
                capabilities: None,
            };
            sync::report(&shared.app, lease, report).await?;
            Ok(backoff.next(retry_after, random))
        }
        FailureClass::Permanent => {
            *refusals = 0;
            let report = Report {
                signal: Signal::Failed,
                problem,
                capabilities: None,
            };
            sync::report(&shared.app, lease, report).await?;
            Ok(backoff.next(None, random))
        }
    }
}

/// One connection, from the dial to its end.
async fn connection(
    shared: &Shared,
    lease: Lease,
    switch: &CancellationToken,
    memory: &mut Memory,
) -> Result<(), Stop> {
    let (mailbox, login) = sync::load(&shared.app, lease).await?;
    sync::report(&shared.app, lease, Report::of(Signal::Dialled)).await?;
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
    let mut connection = Connection::new(shared, lease, switch, memory, session, mailbox.provider);
    let ended = connection.serve().await;
    if let Some(session) = connection.into_session() {
        goodbye(session).await;
    }
    ended
}

/// LOGOUT, as far as there is time; nothing depends on it.
async fn goodbye(session: Session) {
    if let Ok(Err(error)) = tokio::time::timeout(GOODBYE, session.logout()).await {
        tracing::debug!(code = error.code(), "a server did not say goodbye");
    }
}
