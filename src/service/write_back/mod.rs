//! Writing back: flags, moves and deletions are made on the mail server, confirmed there, and then stored.
//!
//! Over a connection of its own, so that IDLE goes on undisturbed, and within a bounded time. What is to be done with each
//! copy is decided in `steps` alone; `server` does it, `apply` stores what was seen. No SQL and no parsing of responses may
//! live here.

mod apply;
mod home;
mod lines;
mod server;
mod steps;
#[cfg(test)]
mod tests;

use chrono::TimeDelta;
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

pub use self::lines::Writers;
use self::{
    apply::{Target, announce, apply},
    home::{Labelled, Traits},
    lines::{Held, KEEP, Kept, Line},
    server::{Done, Fault, Writer},
    steps::{Change, Copy, Step},
};
use super::{
    App, detach, logins,
    oauth::{self, Unready},
    sync::{Halt, offers_labels},
    verify::{credentials, endpoint},
};
use crate::{
    mail::imap::{self, Client},
    model::{
        Error, Result,
        caller::{Caller, Visibility},
        error::{Conflict, Upstream},
        folder::{Folder, FolderRole},
        mailbox::{Mailbox, Service},
        message::{Message, MessagePatch},
        scope::Scope,
    },
    store::PlacementRow,
};

const RESOURCE: &str = "message";
/// How long the new copy of a message is waited for where the server did not say its UID: folders other than INBOX are
/// looked at every five minutes.
const WAIT: TimeDelta = TimeDelta::minutes(10);

/// Changes a message's flags, or moves it, and answers it as it then is.
pub async fn update(app: &App, caller: &Caller, id: Uuid, patch: MessagePatch) -> Result<Message> {
    caller.require(Scope::MessagesWrite)?;
    let MessagePatch { flags, folder_id } = patch;
    let mut conn = app.store.read().await?;
    let found = conn
        .get_message(caller.tenant_id, caller.visibility(), id)
        .await?;
    let message = found.ok_or(Error::NotFound(RESOURCE))?;
    let folder = match folder_id {
        None => None,
        Some(folder_id) => {
            let folder = conn.get_folder(caller.tenant_id, folder_id).await?;
            let folder = folder.filter(|folder| folder.mailbox_id == message.mailbox_id);
            Some(folder.map(Box::new).ok_or_else(|| {
                Error::field("folder_id", "There is no such folder in the message's mailbox.")
            })?)
        }
    };
    drop(conn);
    if flags.is_empty() && folder.is_none() {
        return Ok(message);
    }
    write(app, caller, message, Change::Update { flags, folder }).await?;
    let mut conn = app.store.read().await?;
    let found = conn
        .get_message(caller.tenant_id, caller.visibility(), id)
        .await?;
    found.ok_or(Error::NotFound(RESOURCE))
}

/// Moves a message to the trash; erases it where it lies there already, where there is no trash, or when it is to be gone
/// for good.
pub async fn delete(app: &App, caller: &Caller, id: Uuid, permanent: bool) -> Result<()> {
    caller.require(Scope::MessagesWrite)?;
    let mut conn = app.store.read().await?;
    let found = conn
        .get_message(caller.tenant_id, caller.visibility(), id)
        .await?;
    let message = found.ok_or(Error::NotFound(RESOURCE))?;
    drop(conn);
    write(app, caller, message, Change::Delete { permanent }).await
}

/// Writes a change in a task of its own: once begun, it is stored also when the request that asked for it has gone.
async fn write(app: &App, caller: &Caller, message: Message, change: Change) -> Result<()> {
    let target = Target {
        tenant: caller.tenant_id,
        mailbox: message.mailbox_id,
        message: message.id,
    };
    let job = Job {
        app: app.clone(),
        target,
        message,
        change,
    };
    detach(job.run()).await.map_err(Error::internal)?
}

/// One change of one message.
struct Job {
    app: App,
    target: Target,
    message: Message,
    change: Change,
}

/// How the work on the server ended.
enum Ended {
    Fault(Fault),
    Late,
    Closed,
    Ours(Error),
}

impl Job {
    async fn run(self) -> Result<()> {
        let deadline = Instant::now() + self.app.config.mail.write_timeout;
        let held = self.app.writers.line(self.target.mailbox);
        let Some(line) = held.line() else {
            return Err(Error::Unavailable("The process is ending."));
        };
        let mut done = Done::default();
        let Ok(mut kept) = timeout_at(deadline, line.kept.lock()).await else {
            return Err(self.late(&done));
        };
        // Looked at while the line is held: a mailbox that is disabled from now on has its line cut.
        let mailbox = self.mailbox().await?;
        let work = self.work(&held, &mut kept, &mailbox, &mut done);
        let ended = tokio::select! {
            biased;
            () = line.switch.cancelled() => Err(Ended::Closed),
            ended = timeout_at(deadline, work) => ended.unwrap_or(Err(Ended::Late)),
        };
        let absent = done.absent > 0 && done.is_empty();
        let sent = done.sent;
        let stored = self.store(done, &ended).await;
        Self::keep(&held, line, &mut kept);
        drop(kept);
        stored?;
        match ended {
            Ok(()) if absent => Err(Error::Conflict(Conflict::MessageElsewhere)),
            Ok(()) => Ok(()),
            Err(ended) => Err(self.error(ended, sent).await),
        }
    }

    /// The mailbox, when it can be written to.
    async fn mailbox(&self) -> Result<Mailbox> {
        let Target { tenant, mailbox, .. } = self.target;
        let mut conn = self.app.store.read().await?;
        let found = conn.get_mailbox(tenant, Visibility::All, mailbox).await?;
        let mailbox = found
            .filter(|mailbox| !mailbox.facts.retired)
            .ok_or(Error::NotFound(RESOURCE))?;
        if !mailbox.facts.enabled {
            return Err(Error::Conflict(Conflict::MailboxDisabled(mailbox.id)));
        }
        if mailbox.halted || !mailbox.facts.has_credentials {
            return Err(Error::Conflict(Conflict::CredentialsRefused(mailbox.id)));
        }
        Ok(mailbox)
    }

    /// What is to be done with each copy, as the store knows them now.
    async fn steps(&self, mailbox: &Mailbox) -> Result<(Vec<Step>, Option<Labelled>)> {
        let Target {
            tenant,
            mailbox: id,
            message,
        } = self.target;
        let mut conn = self.app.store.read().await?;
        let folders = conn.list_folders(tenant, id).await?;
        let placements = conn.placements_of(tenant, &[message]).await?;
        let offered = offers_labels(mailbox);
        let labelled: Vec<Folder> = folders
            .iter()
            .filter(|folder| folder.cursor.is_by_label())
            .filter(|folder| {
                let of = |placement: &PlacementRow| {
                    (placement.folder_id, placement.uid_validity) == (folder.id, folder.cursor.uid_validity)
                };
                placements.iter().any(of)
            })
            .cloned()
            .collect();
        let copies = placements.into_iter().filter_map(|placement| {
            let folder = folders.iter().find(|folder| folder.id == placement.folder_id)?;
            Some(Copy {
                folder: folder.clone(),
                uid_validity: u32::try_from(placement.uid_validity).ok()?,
                uid: u32::try_from(placement.uid).ok()?,
            })
        });
        // While a folder is read anew, its messages have places of both generations: the present one counts. What was not
        // listed cannot be opened.
        let present = |copy: &Copy| {
            copy.folder.missing == 0 && copy.folder.cursor.uid_validity == i64::from(copy.uid_validity)
        };
        let copies: Vec<Copy> = copies.filter(present).collect();
        if copies.is_empty() {
            return Err(Error::Conflict(Conflict::MessageElsewhere));
        }
        let trash = folders
            .iter()
            .find(|folder| folder.role == Some(FolderRole::Trash));
        let labelled = offered.then_some(labelled.as_slice());
        let steps = steps::plan(&self.change, copies, trash, labelled);
        Ok((steps, offered.then(|| Labelled::of(&folders)).flatten()))
    }

    async fn work(
        &self,
        held: &Held,
        kept: &mut Option<Kept>,
        mailbox: &Mailbox,
        done: &mut Done,
    ) -> Result<(), Ended> {
        let (steps, labels) = self.steps(mailbox).await?;
        let labels = labels.as_ref();
        if steps.is_empty() {
            return Ok(());
        }
        if steps.iter().any(|step| step.end.is_move()) {
            announce(&self.app, self.target, self.app.clock.now() + WAIT).await?;
            done.announced = true;
        }
        let traits = || Traits {
            message_id: self.message.message_id.as_deref(),
            size: self.message.size,
        };
        // Taken while it is worked with: given up in the middle, it is closed.
        if let Some(mut open) = kept.take() {
            let mut writer = Writer::new(&mut open.session, traits(), labels);
            let ended = writer.run(&steps, done).await;
            let broken = matches!(&ended, Err(Fault::Mail(_))) && !open.session.is_usable();
            if open.session.is_usable() {
                *kept = Some(open);
            }
            // A server may have closed a connection that was kept: that is no reason while nothing was sent.
            if !broken || done.sent {
                return Ok(ended?);
            }
        }
        let mut open = self.dial(held).await?;
        let mut writer = Writer::new(&mut open.session, traits(), labels);
        let ended = writer.run(&steps, done).await;
        if open.session.is_usable() {
            *kept = Some(open);
        }
        Ok(ended?)
    }

    async fn dial(&self, held: &Held) -> Result<Kept, Ended> {
        let Target { tenant, mailbox, .. } = self.target;
        let login = logins::open(&self.app, tenant, mailbox, Service::Imap)
            .await?
            .ok_or(Error::Conflict(Conflict::CredentialsRefused(mailbox)))?;
        let login = match oauth::ready(&self.app, tenant, mailbox, login, false).await {
            Ok(login) => login,
            Err(Unready::Token(error)) => return Err(Fault::Refused(error.to_string()).into()),
            Err(Unready::Halt(Halt::Failed(error))) => return Err(error.into()),
            Err(Unready::Halt(Halt::Fenced)) => {
                return Err(Error::Conflict(Conflict::CredentialsRefused(mailbox)).into());
            }
        };
        let place = held
            .place()
            .await
            .ok_or(Error::Unavailable("The process is ending."))?;
        let client = Client::connect(&self.app.dialer, &endpoint(&login)).await;
        let session = client
            .map_err(Fault::Mail)?
            .login(&credentials(&login))
            .await
            .map_err(Fault::Mail)?;
        Ok(Kept {
            session,
            place,
            watched: false,
            until: Instant::now() + KEEP,
        })
    }

    /// Stores what the server was seen to do, also when not everything was done.
    async fn store(&self, done: Done, ended: &Result<(), Ended>) -> Result<()> {
        let unknown = match ended {
            Ok(()) | Err(Ended::Ours(_)) => false,
            Err(Ended::Late | Ended::Closed) => done.sent,
            Err(Ended::Fault(fault)) => done.sent && is_unknown(fault),
        };
        let nowhere = !done.gone.is_empty() && done.placed.is_empty();
        if done.is_empty() && done.placed.is_empty() && !done.announced {
            return Ok(());
        }
        let waits = done.announced && (unknown || nowhere);
        apply(&self.app, self.target, done, waits).await
    }

    /// Keeps the connection for the next change, for a while.
    fn keep(held: &Held, line: &Line, kept: &mut Option<Kept>) {
        if line.switch.is_cancelled() {
            kept.take();
        }
        if let Some(open) = kept {
            open.until = Instant::now() + KEEP;
            if !std::mem::replace(&mut open.watched, true) {
                drop(detach(held.clone().expire()));
            }
        }
    }

    fn late(&self, done: &Done) -> Error {
        Error::Upstream(Upstream::Timeout {
            after: self.app.config.mail.write_timeout,
            sent: done.sent,
        })
    }

    async fn error(&self, ended: Ended, sent: bool) -> Error {
        match ended {
            Ended::Ours(error) => error,
            Ended::Late | Ended::Fault(Fault::Mail(imap::Error::Timeout(_))) => {
                Error::Upstream(Upstream::Timeout {
                    after: self.app.config.mail.write_timeout,
                    sent,
                })
            }
            Ended::Closed => match self.mailbox().await {
                Err(error) => error,
                Ok(_) => Error::Upstream(Upstream::Lost {
                    reason: "The mailbox's connections were closed meanwhile.".to_owned(),
                    sent,
                }),
            },
            Ended::Fault(Fault::Anew) => Error::Conflict(Conflict::MessageElsewhere),
            Ended::Fault(Fault::Refused(reason)) => Error::Upstream(Upstream::Refused(reason)),
            Ended::Fault(Fault::Mail(imap::Error::Credentials(_))) => {
                Error::Conflict(Conflict::CredentialsRefused(self.target.mailbox))
            }
            Ended::Fault(Fault::Mail(error)) => {
                let reason = self.clean(&error.to_string()).await;
                if is_answer(&error) {
                    Error::Upstream(Upstream::Refused(reason))
                } else {
                    Error::Upstream(Upstream::Lost { reason, sent })
                }
            }
        }
    }

    /// What a server says, as a sentence, without the password or token, should it repeat it.
    async fn clean(&self, reason: &str) -> String {
        let Target { tenant, mailbox, .. } = self.target;
        let login = logins::open(&self.app, tenant, mailbox, Service::Imap).await;
        let mut reason = match login {
            Ok(Some(login)) => match login.secret.presented() {
                Some(secret) => reason.replace(secret.expose_secret(), "***"),
                None => reason.to_owned(),
            },
            Ok(None) | Err(_) => "The mail server cannot be used.".to_owned(),
        };
        if let Some(first) = reason.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        if !reason.ends_with('.') {
            reason.push('.');
        }
        reason
    }
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

/// True for an answer of the server, after which it is known what was done.
const fn is_answer(error: &imap::Error) -> bool {
    matches!(
        error,
        imap::Error::No { .. }
            | imap::Error::Bad { .. }
            | imap::Error::Login(_)
            | imap::Error::Unsupported(_)
            | imap::Error::Invalid(_)
    )
}

/// True when a command may have been carried out though no answer tells.
const fn is_unknown(fault: &Fault) -> bool {
    match fault {
        Fault::Mail(error) => !is_answer(error),
        Fault::Anew | Fault::Refused(_) => false,
    }
}
