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
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
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
    soak,
};

mod loops {
    use super::both;
    both!(promise_2_whatever_a_server_does_at_any_command_nothing_is_deleted_skipped_or_advanced);
}

/// How many cells run in the suite, chosen anew each time; all of them are soaked.
const CHOSEN: usize = 64;
/// How many cells run at once.
const AT_ONCE: usize = 32;
/// The longest that a cell may wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How often a cell reconnects at most to see a goodbye.
const PARTINGS: u32 = 20;
/// A server takes 256 connections, and a cell may leave a few behind.
const CELLS_OF_A_SERVER: usize = 32;

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

/// A cell of the table that there is.
type Place = (Command, Misbehaviour, Outcome);

async fn promise_2_whatever_a_server_does_at_any_command_nothing_is_deleted_skipped_or_advanced(
    backend: Backend,
) {
    let name = format!("hostile server, {backend:?}");
    let (places, without) = table();
    assert_eq!(
        places.len() + without.len(),
        Command::ALL.len() * Misbehaviour::ALL.len()
    );
    let count = soak::rounds(CHOSEN, places.len());
    let seed = soak::seed(&name);
    let chosen = choose(places, count, seed);
    let field = Field::start(backend).await;
    let stop = CancellationToken::new();
    let mut servers = Vec::new();
    for _ in 0..chosen.len().div_ceil(CELLS_OF_A_SERVER) {
        let sandbox = Sandbox::new(Clock::system());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(sandbox.clone().serve(listener, None, stop.clone()));
        servers.push((sandbox, port));
    }
    let cells = chosen.into_iter().enumerate();
    let failed: Vec<String> = stream::iter(cells)
        .map(|(at, (command, how, outcome))| {
            let field = &field;
            let (sandbox, port) = servers[at / CELLS_OF_A_SERVER].clone();
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
        "{} of {count} cells failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
    let seen = format!(
        "nothing deleted, skipped or advanced; {} cells cannot be",
        without.len()
    );
    soak::record(&name, count, seed, seen);
    stop.cancel();
    field.gateway.stop().await;
}

/// The whole table: each command against each misbehaviour, and why there is no cell of the others.
fn table() -> (Vec<Place>, Vec<String>) {
    let (mut places, mut without) = (Vec::new(), Vec::new());
    for command in Command::ALL {
        for how in Misbehaviour::ALL {
            match expected(command, how) {
                Ok(outcome) => places.push((command, how, outcome)),
                Err(why) => without.push(format!("{command:?} × {how:?}: {why}")),
            }
        }
    }
    (places, without)
}

/// So many of the cells by chance; each command and each misbehaviour at least once, as far as it has one.
fn choose(mut places: Vec<Place>, count: usize, seed: u64) -> Vec<Place> {
    places.shuffle(&mut StdRng::seed_from_u64(seed));
    let (mut needed, mut rest): (Vec<Place>, Vec<Place>) = (Vec::new(), Vec::new());
    for place in places {
        let is_new = |axis: fn(&Place, &Place) -> bool| !needed.iter().any(|other| axis(other, &place));
        if is_new(|one, other| one.0 == other.0) || is_new(|one, other| one.1 == other.1) {
            needed.push(place);
        } else {
            rest.push(place);
        }
    }
    rest.truncate(count.saturating_sub(needed.len()));
    needed.extend(rest);
    needed
}

#[test]
fn what_is_chosen_has_every_command_and_every_misbehaviour() {
    for seed in 0..200 {
        let (places, without) = table();
        let all = places.len();
        let chosen = choose(places.clone(), CHOSEN, seed);
        assert_eq!(chosen.len(), CHOSEN);
        for (command, how, _) in &places {
            assert!(chosen.iter().any(|place| place.0 == *command), "{command:?}");
            assert!(chosen.iter().any(|place| place.1 == *how), "{how:?}");
        }
        assert_eq!(choose(places, all, seed).len(), all);
        assert!(without.len() < 40, "{}", without.join("\n"));
    }
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
    if command == Command::FetchTold {
        // It is only asked for while the mailbox idles.
        let is_asked = |_: &Mailbox, _: Option<&Shelf>| match cell.meddler.hits() {
            0 => Err("it was never asked for".to_owned()),
            _ => Ok(()),
        };
        cell.until("told of new mail", is_asked).await?;
    }
    cell.reconnect().await;
    if command == Command::Logout {
        cell.part().await?;
    }
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

    /// Reconnects until it was said goodbye: where ending IDLE takes too long, there is none.
    async fn part(&self) -> Result<(), String> {
        for _ in 0..PARTINGS {
            self.until("in step between", |mailbox, shelf| settled(self, mailbox, shelf))
                .await?;
            if self.meddler.hits() > 0 {
                break;
            }
            self.reconnect().await;
        }
        Ok(())
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
