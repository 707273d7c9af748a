//! The table: each command against each misbehaviour, every cell run on a mailbox of its own.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use postroom::{
    mail::imap::Timeouts,
    model::{
        caller::Caller,
        clock::Clock,
        id::TenantId,
        mailbox::{Mailbox, Security},
        state::State,
    },
    sandbox::Sandbox,
    service::mailboxes,
};
use tokio::{net::TcpListener, time::Instant};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    account::{Shelf, Truth},
    axes::{Command, Misbehaviour, Outcome, expected},
    meddler::Meddler,
};
use crate::support::{
    certificates::Certificates,
    gateway::{Backend, Gateway, Login, Tenant, both},
};

mod on {
    use super::both;
    both!(promise_2_whatever_a_server_does_at_any_command_nothing_is_deleted_skipped_or_advanced);
}

/// How many cells run at once.
const AT_ONCE: usize = 96;
/// The longest that a cell may wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// What all cells share.
struct Field {
    gateway: Gateway,
    tenant: Tenant,
    caller: Caller,
    tls: TlsAcceptor,
}

/// One cell that is being run.
struct Cell<'f> {
    field: &'f Field,
    command: Command,
    how: Misbehaviour,
    meddler: Meddler,
    truth: Truth,
    mailbox: Mailbox,
}

async fn promise_2_whatever_a_server_does_at_any_command_nothing_is_deleted_skipped_or_advanced(
    backend: Backend,
) {
    let field = Field::start(backend).await;
    let stop = CancellationToken::new();
    let mut cells = Vec::new();
    let mut without = Vec::new();
    for command in Command::ALL {
        // Each has a server of its own: one takes 256 connections.
        let sandbox = Sandbox::new(Clock::system());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(sandbox.clone().serve(listener, None, stop.clone()));
        for how in Misbehaviour::ALL {
            match expected(command, how) {
                Ok(outcome) => cells.push((command, how, outcome, sandbox.clone(), port)),
                Err(why) => without.push(format!("{command:?} × {how:?}: {why}")),
            }
        }
    }
    let all = cells.len();
    assert_eq!(all + without.len(), Command::ALL.len() * Misbehaviour::ALL.len());
    let failed: Vec<String> = stream::iter(cells)
        .map(|(command, how, outcome, sandbox, port)| {
            let field = &field;
            async move {
                let seen = run(field, command, how, outcome, sandbox, port).await;
                let failed = seen.err().map(|what| format!("{command:?} × {how:?}: {what}"));
                // At once, for a run that is ended before all are done.
                failed.inspect(|failed| eprintln!("{failed}"))
            }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(async |seen| seen)
        .collect()
        .await;
    assert!(
        failed.is_empty(),
        "{} of {all} cells failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
    stop.cancel();
    field.gateway.stop().await;
}

impl Field {
    async fn start(backend: Backend) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::write(folder.path(), &["localhost", "127.0.0.1"]);
        let extra = [
            format!("--ca-file={}", certificates.ca.display()),
            "--max-message=64KiB".to_owned(),
        ];
        let timeouts = Timeouts {
            greeting: Duration::from_millis(1_500),
            login: Duration::from_millis(1_500),
            silence: Duration::from_secs(1),
            command: Duration::from_millis(1_500),
            transfer: Duration::from_secs(2),
            done: Duration::from_secs(1),
            ..Timeouts::default()
        };
        let gateway = Gateway::start_impatient(backend, &extra, timeouts).await;
        let tenant = gateway.tenant("Acme").await;
        let caller = gateway.caller(&tenant.key).await;
        Self {
            gateway,
            tenant,
            caller,
            tls: TlsAcceptor::from(Arc::new(certificates.server_config())),
        }
    }
}

/// Runs one cell; the error says what was not as it should be.
async fn run(
    field: &Field,
    command: Command,
    how: Misbehaviour,
    outcome: Outcome,
    sandbox: Sandbox,
    port: u16,
) -> Result<(), String> {
    let mut cell = Cell::connect(field, command, how, sandbox, port).await;
    cell.until("in step at first", |mailbox, shelf| {
        settled(&cell, mailbox, shelf)
    })
    .await?;
    let before = cell.shelf().await;
    let gone = before.at("INBOX", 3);

    cell.meddler.switch(true);
    cell.change();
    let cell = cell;
    cell.reconnect().await;
    let is_seen = |mailbox: &Mailbox, shelf: Option<&Shelf>| match cell.meddler.hits() {
        0 => Err("it was never asked for".to_owned()),
        _ => seen(&cell, outcome, mailbox, shelf),
    };
    cell.until(&format!("{outcome:?}"), is_seen).await?;
    let kept: Vec<Uuid> = before.ids().into_iter().filter(|id| Some(*id) != gone).collect();
    cell.unharmed(&kept).await?;

    cell.meddler.switch(false);
    cell.reconnect().await;
    cell.until("in step again", |mailbox, shelf| settled(&cell, mailbox, shelf))
        .await?;
    let after = cell.shelf().await.ids();
    match kept.iter().find(|id| !after.contains(id)) {
        None => Ok(()),
        Some(lost) => Err(format!("{lost} became another message")),
    }
}

/// Connected, and all as the server has it.
fn settled(cell: &Cell<'_>, mailbox: &Mailbox, shelf: Option<&Shelf>) -> Result<(), String> {
    if mailbox.state() != State::Connected {
        return Err(format!("{:?}, {:?}", mailbox.state(), mailbox.error));
    }
    let Some(shelf) = shelf else { return Ok(()) };
    let mut wrong = shelf.differences(&cell.truth);
    if shelf.aside > 0 {
        wrong.push(format!("{} set aside", shelf.aside));
    }
    if mailbox.message_count != i64::try_from(cell.truth.count()).unwrap() {
        wrong.push(format!("the mailbox counts {}", mailbox.message_count));
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("; "))
    }
}

/// What is to be seen while it lasts.
fn seen(cell: &Cell<'_>, outcome: Outcome, mailbox: &Mailbox, shelf: Option<&Shelf>) -> Result<(), String> {
    let aside = shelf.map(|shelf| shelf.aside);
    let code = mailbox.error.as_ref().map(|error| error.code.as_str());
    let state = (mailbox.state(), code);
    let ok = match outcome {
        Outcome::Holds => return settled(cell, mailbox, shelf),
        Outcome::Fails(codes) => {
            state.0 == State::ConnectError && code.is_some_and(|code| codes.contains(&code))
        }
        Outcome::Refused => {
            state == (State::AuthenticationError, Some("credentials_refused")) && cell.meddler.hits() == 2
        }
        Outcome::Lags => state == (State::Connected, None) && aside.is_none_or(|aside| aside == 0),
        Outcome::SetsAside => state == (State::Connected, None) && aside.is_none_or(|aside| aside == 1),
    };
    if ok {
        Ok(())
    } else {
        Err(format!(
            "{state:?}, {aside:?} set aside, {} hits",
            cell.meddler.hits()
        ))
    }
}

impl<'f> Cell<'f> {
    async fn connect(
        field: &'f Field,
        command: Command,
        how: Misbehaviour,
        sandbox: Sandbox,
        port: u16,
    ) -> Self {
        let user = format!("{command:?}-{how:?}@example.org").to_lowercase();
        let truth = Truth::new(sandbox, user.clone());
        let (meddler, port) = Meddler::before(port, command, how, field.tls.clone()).await;
        let login = Login {
            address: &user,
            host: "127.0.0.1",
            port,
            security: match command {
                Command::StartTls => Security::Starttls,
                _ => Security::None,
            },
            username: &user,
            password: "secret",
        };
        let mailbox = field.gateway.connect(&field.tenant, login).await;
        Self {
            field,
            command,
            how,
            meddler,
            truth,
            mailbox,
        }
    }

    /// Changes the mail, so that every command has something to tell.
    fn change(&mut self) {
        let truth = &mut self.truth;
        truth.append("INBOX", 300);
        truth.append("INBOX", 300);
        if self.command == Command::FetchHeader {
            truth.append("INBOX", 70 * 1024);
        }
        truth.append("Archive", 300);
        truth.flag("INBOX", 2, "\\Flagged");
        if self.command == Command::FetchFields {
            truth.renew("Archive");
        }
        truth.expunge("INBOX", 3);
    }

    /// What was stored is live, nothing is stored that the server never had, and no cursor is ahead of what is stored.
    async fn unharmed(&self, kept: &[Uuid]) -> Result<(), String> {
        let shelf = self.shelf().await;
        let mut conn = self.field.gateway.app.store.read().await.unwrap();
        let tenant = TenantId(self.field.tenant.id);
        let live = conn.get_messages(tenant, kept, false).await.unwrap().len();
        let mut wrong = shelf.inventions(&self.truth);
        if live != kept.len() {
            wrong.push(format!("{live} of {} messages are left", kept.len()));
        }
        let skipped = shelf.skipped(&self.truth);
        if skipped.len() > shelf.aside {
            wrong.push(format!("skipped {}", skipped.join(", ")));
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(format!("while it lasted: {}", wrong.join("; ")))
        }
    }

    async fn reconnect(&self) {
        mailboxes::reconnect(&self.field.gateway.app, &self.field.caller, self.mailbox.id)
            .await
            .unwrap();
    }

    async fn shelf(&self) -> Shelf {
        Shelf::read(
            &self.field.gateway,
            TenantId(self.field.tenant.id),
            self.mailbox.id,
        )
        .await
    }

    /// Asks until `done` is content; the error says what was missing last.
    async fn until(
        &self,
        what: &str,
        done: impl Fn(&Mailbox, Option<&Shelf>) -> Result<(), String>,
    ) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mailbox = mailboxes::get(&self.field.gateway.app, &self.field.caller, self.mailbox.id)
                .await
                .unwrap();
            if mailbox.state() == State::AuthenticationError && !self.may_be_refused() {
                return Err(format!("authentication_error: {:?}", mailbox.error));
            }
            // What is stored is read only when the state is right: it is much.
            let seen = match done(&mailbox, None) {
                Ok(()) => done(&mailbox, Some(&self.shelf().await)),
                missing => missing,
            };
            let Err(missing) = seen else { return Ok(()) };
            if Instant::now() > deadline {
                return Err(format!("not {what}: {missing}"));
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    fn may_be_refused(&self) -> bool {
        expected(self.command, self.how) == Ok(Outcome::Refused)
    }
}
