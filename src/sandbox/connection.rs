//! One connection: the greeting, the command loop, and the commands that wait or stream.

use std::{
    io,
    num::NonZeroU32,
    sync::{Arc, atomic::Ordering},
};

use imap_codec::{
    AuthenticateDataCodec, CommandCodec,
    decode::Decoder,
    imap_types::{
        auth::{AuthMechanism, AuthenticateData},
        command::{Command, CommandBody, FetchModifier},
        core::Tag,
        fetch::MacroOrMessageDataItemNames,
        sequence::SequenceSet,
    },
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{
    CAPABILITIES, Error, Shared, extension,
    fetch::Wanted,
    reply::Reply,
    session::{Outcome, Session, keeps_expunged},
    wire::{Received, Wire},
};

/// How many refused logins and unreadable commands in a row end a connection.
const MAX_MISTAKES: u32 = 10;

/// Serves one client until it leaves or `stop` is cancelled.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> io::Result<()> {
    let wire = Wire::new(stream);
    let mut connection = Connection {
        wire,
        session: Session::new(shared),
        mistakes: 0,
        stop,
    };
    let greeting = format!("* OK [CAPABILITY {CAPABILITIES}] postroom sandbox ready\r\n");
    connection.wire.out.extend_from_slice(greeting.as_bytes());
    let end = connection.converse().await;
    match end {
        Ok(End::Closed) => Ok(()),
        Ok(End::Logout) => connection.wire.close().await,
        Ok(End::Bye(text)) => connection.wire.bye(text).await,
        Err(e) if e.kind() == io::ErrorKind::TimedOut => connection.wire.bye("Silent for too long").await,
        Err(e) if e.kind() == io::ErrorKind::InvalidData => connection.wire.bye("Line is too long").await,
        Err(e) => Err(e),
    }
}

/// Why a connection ends.
enum End {
    Closed,
    Logout,
    Bye(&'static str),
}

const STOPPING: &str = "Server is stopping";

struct Connection<S> {
    wire: Wire<S>,
    session: Session,
    mistakes: u32,
    stop: CancellationToken,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn converse(&mut self) -> io::Result<End> {
        loop {
            self.wire.flush().await?;
            let stop = self.stop.clone();
            let received = tokio::select! {
                received = self.wire.command() => received?,
                () = stop.cancelled() => return Ok(End::Bye(STOPPING)),
            };
            let bytes = match received {
                Received::Command(bytes) => bytes,
                Received::Refused(tag, text) => {
                    self.wire
                        .out
                        .extend_from_slice(format!("{tag} NO {text}\r\n").as_bytes());
                    continue;
                }
                Received::Broken(text) => return Ok(End::Bye(text)),
                Received::Closed => return Ok(End::Closed),
            };
            if let Some(change) = extension::LabelChange::read(&bytes) {
                let (tag, outcome) = self.session.change_labels(&change, &mut self.wire.out);
                if let Err(text) = self.session.refresh(false, &mut self.wire.out) {
                    return Ok(End::Bye(text));
                }
                finish(outcome, &mut self.wire.out, tag);
                continue;
            }
            let (bytes, extra) = extension::strip(bytes, self.session.offer());
            self.session.extra = extra;
            let Ok((_, command)) = CommandCodec::default().decode_static(&bytes) else {
                refuse_unreadable(&bytes, &mut self.wire.out);
                if self.mistake() {
                    return Ok(End::Bye("Too many mistakes"));
                }
                continue;
            };
            if let Some(end) = self.command(command).await? {
                return Ok(end);
            }
        }
    }

    /// Counts a mistake; true when it was one too many.
    fn mistake(&mut self) -> bool {
        self.mistakes += 1;
        self.mistakes >= MAX_MISTAKES
    }

    async fn command(&mut self, command: Command<'static>) -> io::Result<Option<End>> {
        let Command { tag, body } = command;
        let keep_expunged = keeps_expunged(&body);
        let is_login = matches!(body, CommandBody::Login { .. } | CommandBody::Authenticate { .. });
        let outcome = match body {
            CommandBody::Logout => {
                self.wire.out.extend_from_slice(b"* BYE Goodbye\r\n");
                Reply::ok("LOGOUT done").put(&mut self.wire.out, tag);
                return Ok(Some(End::Logout));
            }
            CommandBody::Authenticate {
                mechanism,
                initial_response,
            } => {
                let response = initial_response.map(|r| r.declassify().to_vec());
                self.authenticate(&mechanism, response).await?
            }
            CommandBody::Idle => match self.idle().await? {
                Ok(outcome) => outcome,
                Err(end) => return Ok(Some(end)),
            },
            CommandBody::Fetch {
                sequence_set,
                macro_or_item_names,
                uid,
                modifiers,
            } => {
                self.fetch(&sequence_set, macro_or_item_names, uid, &modifiers)
                    .await?
            }
            other => self.session.run(other, &mut self.wire.out),
        };
        if is_login && outcome.is_err() && self.mistake() {
            return Ok(Some(End::Bye("Too many refused logins")));
        }
        self.wire.trusted = self.session.is_logged_in();
        if self.wire.trusted && outcome.is_ok() {
            // A client that means well may stay for days, and try now and then what is not known here.
            self.mistakes = 0;
        }
        if let Err(text) = self.session.refresh(keep_expunged, &mut self.wire.out) {
            return Ok(Some(End::Bye(text)));
        }
        finish(outcome, &mut self.wire.out, tag);
        Ok(None)
    }

    /// AUTHENTICATE PLAIN (RFC 4616), with or without an initial response (RFC 4959).
    async fn authenticate(
        &mut self,
        mechanism: &AuthMechanism<'_>,
        initial: Option<Vec<u8>>,
    ) -> io::Result<Outcome> {
        if *mechanism != AuthMechanism::Plain {
            return Ok(Err(Reply::no("Only PLAIN is known here").with_word("CANNOT")));
        }
        let response = if let Some(response) = initial {
            response
        } else {
            self.wire.out.extend_from_slice(b"+ \r\n");
            self.wire.flush().await?;
            let Some(line) = self.wire.line().await? else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            match AuthenticateDataCodec::default().decode(&line) {
                Ok((_, AuthenticateData::Continue(data))) => data.declassify().to_vec(),
                _ => return Ok(Err(Reply::bad("Authentication was cancelled"))),
            }
        };
        let mut parts = response.splitn(3, |b| *b == 0);
        let (Some(authorize), Some(username), Some(password)) = (parts.next(), parts.next(), parts.next())
        else {
            return Ok(Err(Reply::bad("Not a PLAIN response")));
        };
        if !authorize.is_empty() && authorize != username {
            return Ok(Err(
                Reply::no("One cannot act for another").with_word("AUTHORIZATIONFAILED")
            ));
        }
        Ok(self.session.login(username, password))
    }

    /// IDLE (RFC 2177): tells of changes until DONE.
    async fn idle(&mut self) -> io::Result<Result<Outcome, End>> {
        let mut changed = match self.session.watch() {
            Ok(changed) => changed,
            Err(reply) => return Ok(Ok(Err(reply))),
        };
        self.wire.out.extend_from_slice(b"+ idling\r\n");
        let stop = self.stop.clone();
        let line = loop {
            // Seen before looking: a change after this wakes again.
            changed.mark_unchanged();
            if let Err(text) = self.session.refresh(false, &mut self.wire.out) {
                return Ok(Err(End::Bye(text)));
            }
            self.wire.flush().await?;
            tokio::select! {
                line = self.wire.line() => break line?,
                _ = changed.changed() => {}
                () = stop.cancelled() => return Ok(Err(End::Bye(STOPPING))),
            }
        };
        Ok(match line {
            None => Err(End::Closed),
            Some(line) if line.trim_ascii_end().eq_ignore_ascii_case(b"DONE") => {
                Ok(Ok(Reply::ok("IDLE done")))
            }
            Some(_) => Ok(Err(Reply::bad("IDLE ends with DONE"))),
        })
    }

    /// FETCH, a message at a time, so that no more than one large message waits to be sent.
    async fn fetch(
        &mut self,
        set: &SequenceSet,
        items: MacroOrMessageDataItemNames<'static>,
        uid: bool,
        modifiers: &[FetchModifier],
    ) -> io::Result<Outcome> {
        let mut plan = match self.plan_fetch(set, items, uid, modifiers) {
            Ok(plan) => plan,
            Err(reply) => return Ok(Err(reply)),
        };
        for numbered in std::mem::take(&mut plan.named) {
            if let Err(reply) = self.fetch_one(numbered.seq, numbered.uid, &mut plan) {
                return Ok(Err(reply));
            }
            self.wire.flush_if_full().await?;
        }
        Ok(Ok(Reply::ok("FETCH done")))
    }

    fn plan_fetch(
        &mut self,
        set: &SequenceSet,
        items: MacroOrMessageDataItemNames<'static>,
        uid: bool,
        modifiers: &[FetchModifier],
    ) -> Result<Plan, Reply> {
        self.session.user()?;
        let named = self.session.selected()?.resolve(set, uid);
        let mut wanted = Wanted::new(items, uid, std::mem::take(&mut self.session.extra))?;
        let mut changed_since = None;
        for modifier in modifiers {
            match modifier {
                FetchModifier::ChangedSince(since) => changed_since = Some(since.get()),
                FetchModifier::Vanished => return Err(Reply::bad("QRESYNC is not known here")),
            }
        }
        if changed_since.is_some() {
            wanted.add_modseq();
        }
        self.session.condstore |= wanted.asks_modseq();
        let marks_seen = wanted.reads_body() && !self.session.selected()?.read_only;
        Ok(Plan {
            named,
            wanted,
            changed_since,
            marks_seen,
        })
    }

    fn fetch_one(&mut self, seq: NonZeroU32, uid: NonZeroU32, plan: &mut Plan) -> Result<(), Reply> {
        let shared = Arc::clone(&self.session.shared);
        let mut store = shared.lock();
        let mailbox = store.mailbox_mut(self.session.user()?)?;
        let selected = self.session.selected.as_mut().ok_or(Error::NoFolder)?;
        let folder = mailbox.folder_by_id(selected.folder_id);
        // With another UIDVALIDITY the UID would name another message.
        let folder = folder
            .filter(|folder| folder.uid_validity == selected.uid_validity)
            .ok_or(Error::NoFolder)?;
        // A message that another client expunged keeps its number until it is told of, and has no data.
        let Some(message) = folder.message(uid) else {
            return Ok(());
        };
        if plan
            .changed_since
            .is_some_and(|since| message.modseq.get() <= since)
        {
            return Ok(());
        }
        let mut message = message.clone();
        let newly_seen = plan.marks_seen && !message.flags.contains("\\Seen");
        if newly_seen {
            plan.wanted.add_flags();
            message.flags.insert("\\Seen".to_owned());
            let folder_id = selected.folder_id;
            mailbox.set_flags(folder_id, uid, message.flags.clone())?;
            if let Some(changed) = mailbox.folder_by_id(folder_id).and_then(|f| f.message(uid)) {
                message = changed.clone();
                selected.told(changed);
            }
            mailbox.notify();
        }
        drop(store);
        if plan.wanted.reads_whole() {
            shared.bodies.fetch_add(1, Ordering::Relaxed);
        }
        plan.wanted.answer(seq, &message, &mut self.wire.out);
        Ok(())
    }
}

/// A FETCH that has been understood.
struct Plan {
    named: Vec<super::selected::Numbered>,
    wanted: Wanted,
    changed_since: Option<u64>,
    marks_seen: bool,
}

fn finish(outcome: Outcome, out: &mut Vec<u8>, tag: Tag<'_>) {
    outcome.unwrap_or_else(|refused| refused).put(out, tag);
}

/// BAD, under the tag where there is one.
fn refuse_unreadable(bytes: &[u8], out: &mut Vec<u8>) {
    let word = bytes.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    match Tag::try_from(word) {
        Ok(tag) => Reply::bad("Command is not understood").put(out, tag),
        Err(_) => out.extend_from_slice(b"* BAD Command is not understood\r\n"),
    }
}
