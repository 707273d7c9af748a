//! A small real IMAP server over TCP, in memory, with made-up mail: for the demo, for trying a client, for tests.
//!
//! It speaks `IMAP4rev1` with IDLE, UIDPLUS, MOVE, CONDSTORE, SPECIAL-USE, SASL-IR and LITERAL+. It has no ENVELOPE, no
//! BODYSTRUCTURE, no STARTTLS and no QRESYNC. An account may offer X-GM-EXT-1 or OBJECTID too ([`Offer`]). Nothing is kept when it ends; each start has new UIDVALIDITY values.
//!
//! What must not live here: anything that the gateway itself uses. Only `cli` and tests import this module, and it
//! imports nothing but the clock. It is one of the homes of `tokio::spawn` (by a `TaskTracker`): a task a connection.

mod connection;
mod extension;
mod fetch;
mod files;
mod folder;
mod folders;
mod gmail;
mod mail;
mod mailstore;
mod messages;
mod names;
mod reply;
mod search;
mod selected;
mod session;
pub mod story;
pub mod tls;
mod wire;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    io,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, FixedOffset, SubsecRound, Utc};
use secrecy::SecretString;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::model::clock::Clock;
use mailstore::{NewMessage, Store};

const CAPABILITIES: &str = "IMAP4rev1 SASL-IR AUTH=PLAIN LITERAL+ ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE CHILDREN \
                            SPECIAL-USE CONDSTORE";
/// Most connections at once, where nothing else is asked for; one more is told BYE.
const MAX_CONNECTIONS: usize = 256;
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long connections may take to end after the stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the sandbox refused something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("No such account")]
    NoAccount,
    #[error("No such folder")]
    NoFolder,
    #[error("No such message")]
    NoMessage,
    #[error("The folder exists already")]
    FolderExists,
    #[error("The folder name is not allowed")]
    FolderName,
    #[error("The folder cannot be changed so")]
    FolderInUse,
    #[error("Not a flag")]
    Flag,
    #[error("A message has no NUL bytes")]
    NulByte,
    #[error("The sandbox is full")]
    Full,
}

/// A mail account: what a client logs in with.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user name, by custom the address.
    pub username: String,
    /// The password.
    pub password: SecretString,
}

/// What an account offers beyond what every account does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// X-GM-EXT-1, and folders that are views of `[Gmail]/All Mail` by label, as at Gmail: expunging a message from a
    /// folder takes its label away, and expunging it from All Mail, Spam or Trash deletes it.
    pub gmail: bool,
    /// OBJECTID (RFC 8474): EMAILID, THREADID and MAILBOXID.
    pub object_id: bool,
}

/// What every connection shares.
struct Shared {
    store: Mutex<Store>,
    clock: Clock,
    /// How many whole messages were sent.
    bodies: AtomicU64,
    connections: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> DateTime<FixedOffset> {
        self.clock.now().trunc_subsecs(0).fixed_offset()
    }
}

/// The mail server: a cheap handle on the mail that its connections serve.
///
/// Folder names in these methods are Unicode with `/` between the levels; `INBOX` is the same in any case. Each change
/// is told at once to the clients that idle.
#[derive(Clone)]
pub struct Sandbox(Arc<Shared>);

impl Sandbox {
    /// An empty server. The clock dates messages that come without a date, and its second at this call becomes the first
    /// UIDVALIDITY, so that a client does not take a new sandbox for the old one.
    pub fn new(clock: Clock) -> Self {
        Self::with_connections(clock, MAX_CONNECTIONS)
    }

    /// The same, for so many connections at once.
    pub fn with_connections(clock: Clock, connections: usize) -> Self {
        let seconds = u32::try_from(clock.now().timestamp())
            .ok()
            .and_then(NonZeroU32::new);
        let store = Mutex::new(Store::new(seconds.unwrap_or(NonZeroU32::MIN)));
        Self(Arc::new(Shared {
            store,
            clock,
            bodies: AtomicU64::new(0),
            connections,
        }))
    }

    /// Adds an account with INBOX, Archive, Drafts, Junk, Sent and Trash. For one that exists, sets its password.
    pub fn add_account(&self, account: Account) {
        self.add_account_offering(account, Offer::default());
    }

    /// The same with more capabilities; with [`Offer::gmail`] its folders are INBOX and those below `[Gmail]`.
    pub fn add_account_offering(&self, account: Account, offer: Offer) {
        self.0
            .lock()
            .add_account(&account.username, account.password, offer);
    }

    /// How many whole messages (`BODY[]`) were sent until now, to every account.
    pub fn bodies_sent(&self) -> u64 {
        self.0.bodies.load(Ordering::Relaxed)
    }

    /// Delivers a message and answers its UID. `date` is the INTERNALDATE; flags are such as `\Seen` or `$Forwarded`.
    ///
    /// # Errors
    /// [`Error::NoAccount`], [`Error::NoFolder`], [`Error::Flag`], [`Error::NulByte`], or [`Error::Full`].
    pub fn append(
        &self,
        username: &str,
        folder: &str,
        flags: &[&str],
        date: DateTime<Utc>,
        raw: &[u8],
    ) -> Result<u32, Error> {
        let flags = flag_set(flags)?;
        let internal_date = date.trunc_subsecs(0).fixed_offset();
        let new = NewMessage {
            flags,
            internal_date,
            raw: Arc::from(raw),
            id: 0,
        };
        let (_, uid) = self.0.lock().append(username, &wire_name(folder), new)?;
        Ok(uid.get())
    }

    /// Replaces a message's flags.
    ///
    /// # Errors
    /// [`Error::NoAccount`], [`Error::NoFolder`], [`Error::NoMessage`], [`Error::Flag`], or [`Error::Full`].
    pub fn set_flags(&self, username: &str, folder: &str, uid: u32, flags: &[&str]) -> Result<(), Error> {
        let flags = flag_set(flags)?;
        let uid = NonZeroU32::new(uid).ok_or(Error::NoMessage)?;
        let mut store = self.0.lock();
        let mailbox = store.mailbox_mut(username)?;
        let folder = mailbox.folder(&wire_name(folder))?.id;
        mailbox.set_flags(folder, uid, flags)?;
        mailbox.notify();
        Ok(())
    }

    /// Takes a message out of its folder, whatever its flags; see [`Offer::gmail`] for what that means there.
    ///
    /// # Errors
    /// [`Error::NoAccount`], [`Error::NoFolder`], or [`Error::NoMessage`].
    pub fn expunge(&self, username: &str, folder: &str, uid: u32) -> Result<(), Error> {
        let mut store = self.0.lock();
        let mailbox = store.mailbox_mut(username)?;
        let folder = mailbox.folder(&wire_name(folder))?.id;
        let removed = mailbox.remove(folder, |m| m.uid.get() == uid)?;
        mailbox.notify();
        if removed.is_empty() {
            Err(Error::NoMessage)
        } else {
            Ok(())
        }
    }

    /// The UIDs of a folder, ascending.
    ///
    /// # Errors
    /// [`Error::NoAccount`] or [`Error::NoFolder`].
    pub fn uids(&self, username: &str, folder: &str) -> Result<Vec<u32>, Error> {
        let store = self.0.lock();
        let folder = store.mailbox(username)?.folder(&wire_name(folder))?;
        Ok(folder.messages().iter().map(|m| m.uid.get()).collect())
    }

    /// Creates a folder and the missing ones above it.
    ///
    /// # Errors
    /// [`Error::NoAccount`], [`Error::FolderExists`], [`Error::FolderName`], or [`Error::Full`].
    pub fn create_folder(&self, username: &str, folder: &str) -> Result<(), Error> {
        self.0.lock().create_folder(username, &wire_name(folder))
    }

    /// Deletes a folder with its messages.
    ///
    /// # Errors
    /// [`Error::NoAccount`], [`Error::NoFolder`], or [`Error::FolderInUse`] for INBOX and for one with folders below.
    pub fn delete_folder(&self, username: &str, folder: &str) -> Result<(), Error> {
        self.0.lock().delete_folder(username, &wire_name(folder))
    }

    /// Renames a folder with those below it; UIDs and UIDVALIDITY stay.
    ///
    /// # Errors
    /// [`Error::NoAccount`], [`Error::NoFolder`], [`Error::FolderExists`], [`Error::FolderName`], or
    /// [`Error::FolderInUse`] for INBOX and for a move below itself.
    pub fn rename_folder(&self, username: &str, from: &str, to: &str) -> Result<(), Error> {
        self.0
            .lock()
            .rename_folder(username, &wire_name(from), &wire_name(to))
    }

    /// Gives a folder another UIDVALIDITY and its messages new UIDs from 1; answers the new value. Connections that have
    /// the folder selected are told BYE.
    ///
    /// # Errors
    /// [`Error::NoAccount`] or [`Error::NoFolder`].
    pub fn bump_uid_validity(&self, username: &str, folder: &str) -> Result<u32, Error> {
        self.0.lock().bump_uid_validity(username, &wire_name(folder))
    }

    /// The same with a value that is given, such as one that the folder had before.
    ///
    /// # Errors
    /// [`Error::NoAccount`] or [`Error::NoFolder`].
    pub fn set_uid_validity(
        &self,
        username: &str,
        folder: &str,
        uid_validity: NonZeroU32,
    ) -> Result<(), Error> {
        let folder = wire_name(folder);
        self.0.lock().set_uid_validity(username, &folder, uid_validity)
    }

    /// Serves connections, by TLS from the first byte when `tls` is given, until `stop` is cancelled; then says BYE to
    /// the clients and ends within 5 seconds.
    ///
    /// # Errors
    /// None today: a failing accept is tried again.
    pub async fn serve(
        self,
        listener: TcpListener,
        tls: Option<rustls::ServerConfig>,
        stop: CancellationToken,
    ) -> io::Result<()> {
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let room = Arc::new(Semaphore::new(self.0.connections));
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => break,
            };
            let Ok((stream, _)) = accepted else {
                // Out of file handles, most likely: wait for connections to end.
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
                let shared = Arc::clone(&self.0);
                connections.spawn(welcome(stream, acceptor.clone(), shared, stop.clone(), permit));
            } else if acceptor.is_none() {
                turn_away(&stream);
            }
        }
        connections.close();
        let _ended_in_time = timeout(STOP_TIMEOUT, connections.wait()).await;
        Ok(())
    }

    /// Moves a message to another folder, as MOVE does; answers its UID there.
    ///
    /// # Errors
    /// [`Error::NoAccount`], [`Error::NoFolder`], [`Error::NoMessage`], or [`Error::Full`].
    pub fn move_message(&self, username: &str, from: &str, uid: u32, to: &str) -> Result<u32, Error> {
        let uid = NonZeroU32::new(uid).ok_or(Error::NoMessage)?;
        let mut store = self.0.lock();
        let mailbox = store.mailbox_mut(username)?;
        let moved = mailbox.shift(&wire_name(from), uid, &wire_name(to))?;
        mailbox.notify();
        Ok(moved.get())
    }

    /// The UID that a message of one folder has in another; `None` when it does not lie there.
    ///
    /// # Errors
    /// [`Error::NoAccount`], [`Error::NoFolder`], or [`Error::NoMessage`].
    pub fn uid_in(&self, username: &str, folder: &str, uid: u32, other: &str) -> Result<Option<u32>, Error> {
        let store = self.0.lock();
        let mailbox = store.mailbox(username)?;
        let uid = NonZeroU32::new(uid).ok_or(Error::NoMessage)?;
        let folder = mailbox.folder(&wire_name(folder))?;
        let id = folder.message(uid).ok_or(Error::NoMessage)?.id;
        let other = mailbox.folder(&wire_name(other))?;
        Ok(other.messages().iter().find(|m| m.id == id).map(|m| m.uid.get()))
    }

    /// Gives a message labels and takes others away: such as `Work`, or `\Inbox`. A label that is new becomes a folder.
    ///
    /// # Errors
    /// [`Error::NoAccount`], [`Error::NoFolder`], [`Error::NoMessage`], [`Error::FolderName`], or [`Error::FolderInUse`]
    /// for an account without labels.
    pub fn label(
        &self,
        username: &str,
        folder: &str,
        uid: u32,
        add: &[&str],
        remove: &[&str],
    ) -> Result<(), Error> {
        let uid = NonZeroU32::new(uid).ok_or(Error::NoMessage)?;
        let (add, remove) = (gmail::wire_labels(add), gmail::wire_labels(remove));
        let mut store = self.0.lock();
        store.create_labels(username, &add)?;
        let mailbox = store.mailbox_mut(username)?;
        let folder = mailbox.folder(&wire_name(folder))?.id;
        mailbox.change_labels(folder, uid, &add, &remove)?;
        mailbox.notify();
        Ok(())
    }

    /// Hides a folder from clients, or shows it again: Gmail's "Show in IMAP". Its UIDs and UIDVALIDITY stay.
    ///
    /// # Errors
    /// [`Error::NoAccount`] or [`Error::NoFolder`].
    pub fn hide_folder(&self, username: &str, folder: &str, hidden: bool) -> Result<(), Error> {
        let mut store = self.0.lock();
        let mailbox = store.mailbox_mut(username)?;
        mailbox.folder_mut(&wire_name(folder))?.hidden = hidden;
        mailbox.notify();
        Ok(())
    }
}

/// The capabilities of an account.
fn capabilities(offer: Offer) -> String {
    let gmail = if offer.gmail { " X-GM-EXT-1" } else { "" };
    let object_id = if offer.object_id { " OBJECTID" } else { "" };
    format!("{CAPABILITIES}{gmail}{object_id}")
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sandbox")
    }
}

async fn welcome(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
) {
    // Without it an answer of several writes can wait for the client's acknowledgement.
    let _best_effort = stream.set_nodelay(true);
    let served = match acceptor {
        None => connection::serve(stream, shared, stop).await,
        Some(acceptor) => match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => connection::serve(stream, shared, stop).await,
            Ok(Err(e)) => Err(e),
            Err(elapsed) => Err(elapsed.into()),
        },
    };
    if let Err(error) = served {
        tracing::debug!(kind = %error.kind(), "sandbox connection ended");
    }
}

/// Says BYE without waiting: the line fits in an empty send buffer.
fn turn_away(stream: &TcpStream) {
    let _best_effort = stream.try_write(b"* BYE [UNAVAILABLE] Too many connections\r\n");
}

fn wire_name(folder: &str) -> String {
    names::encode(&names::canonical(folder))
}

fn flag_set(flags: &[&str]) -> Result<BTreeSet<String>, Error> {
    flags
        .iter()
        .map(|name| selected::flag(name).map(|f| f.to_string()).ok_or(Error::Flag))
        .collect()
}
