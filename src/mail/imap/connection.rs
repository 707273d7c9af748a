//! One connection: commands out, responses in, each wait with a deadline. It knows no state of IMAP besides that.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout_at},
};
use zeroize::Zeroizing;

use super::{
    body::Spooler,
    capability::Capabilities,
    command::{Command, Piece},
    dial::{Timeouts, Transport},
    error::{Answer, Error, Phase, ProtocolError},
    frame::{Event, Framer, Raw},
    response::{Kind, Response, Status},
};

/// The read buffer of a connection that idles, in bytes.
const IDLE_BUFFER: usize = 2 * 1024;
/// The read buffer of a connection that fetches, in bytes.
const FETCH_BUFFER: usize = 32 * 1024;
/// How much is written between two deadlines, in bytes.
const WRITE_CHUNK: usize = 16 * 1024;
/// The most alerts that are kept until somebody takes them.
const MAX_ALERTS: usize = 8;

/// What the server told without being asked since it was last looked at: hints that a pass is due, never the truth itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pending {
    /// The last EXISTS: how many messages the selected folder has.
    pub exists: Option<u32>,
    /// EXPUNGE or VANISHED came.
    pub expunged: bool,
    /// FETCH came for messages that were not asked for: flags have changed.
    pub flags: bool,
    /// Texts that the server wants shown to people (`[ALERT]`), at most 8.
    pub alerts: Vec<String>,
}

impl Pending {
    /// True when the selected folder may have changed.
    pub const fn has_changes(&self) -> bool {
        self.exists.is_some() || self.expunged || self.flags
    }
}

/// This moment and so much more, at most a day: a clock that is asked for too much would panic.
pub(super) fn after(wait: Duration) -> Instant {
    Instant::now() + wait.min(Duration::from_secs(24 * 60 * 60))
}

/// Until when to wait, and what to say when it was too long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub(super) phase: Phase,
    pub(super) silence: Duration,
    pub(super) until: Instant,
}

impl Deadline {
    pub(super) fn new(phase: Phase, silence: Duration, whole: Duration) -> Self {
        Self {
            phase,
            silence,
            until: after(whole),
        }
    }

    fn next(&self) -> Instant {
        self.until.min(after(self.silence))
    }
}

/// A command that was sent and has no tagged answer yet.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) tag: String,
    pub(super) command: &'static str,
    pub(super) deadline: Deadline,
}

/// What comes next in an exchange.
#[derive(Debug)]
pub(super) enum Step {
    /// An untagged response.
    Data(Response),
    /// The server waits for more.
    Continue,
    /// The tagged OK.
    Done(Status),
}

pub(super) struct Connection {
    transport: Transport,
    framer: Framer,
    buffer: Vec<u8>,
    /// The part of the buffer that was read and not yet looked at.
    start: usize,
    end: usize,
    tags: u32,
    /// True from the first byte of a command to its tagged answer. A command that was given up leaves it set.
    busy: bool,
    /// IDLE, which DONE has ended and the server has not answered yet.
    ending: Option<Exchange>,
    pub(super) capabilities: Capabilities,
    pub(super) pending: Pending,
    pub(super) timeouts: Timeouts,
    /// The folder that is open has mod-sequences; one that has none refuses to be asked for them.
    pub(super) modseq: bool,
    /// `ENABLE QRESYNC` was answered with it.
    pub(super) qresync: bool,
}

impl Connection {
    pub(super) fn new(transport: Transport, timeouts: Timeouts) -> Self {
        Self {
            transport,
            framer: Framer::new(),
            buffer: vec![0; IDLE_BUFFER],
            start: 0,
            end: 0,
            tags: 0,
            busy: false,
            ending: None,
            capabilities: Capabilities::default(),
            pending: Pending::default(),
            timeouts,
            modseq: false,
            qresync: false,
        }
    }

    /// Takes the transport away to start TLS on it, and forgets everything that was heard without TLS.
    pub(super) fn take_transport(&mut self) -> Transport {
        self.framer = Framer::new();
        (self.start, self.end) = (0, 0);
        self.capabilities = Capabilities::default();
        self.pending = Pending::default();
        std::mem::replace(&mut self.transport, Transport::Gone)
    }

    pub(super) fn set_transport(&mut self, transport: Transport) {
        self.transport = transport;
    }

    /// True where the next command can be sent.
    pub(super) const fn is_idle(&self) -> bool {
        !self.busy || self.ending.is_some()
    }

    /// Ends IDLE, and leaves its answer to the next command.
    pub(super) async fn end(&mut self, idle: Exchange) -> Result<(), Error> {
        self.send(b"DONE\r\n", idle.deadline).await?;
        self.ending = Some(idle);
        Ok(())
    }

    /// Waits for the answer to an IDLE that was left to the next command.
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        match self.ending.take() {
            Some(idle) => self.answered(&idle).await,
            None => Ok(()),
        }
    }

    /// Waits for the answer to IDLE. One that is no OK leaves the connection of no use, as a command may be on its way
    /// already; so does one to that command.
    async fn answered(&mut self, idle: &Exchange) -> Result<(), Error> {
        let next = format!("A{}", self.tags);
        loop {
            match self.step(idle, &mut Spooler::none()).await {
                Ok(Step::Done(_)) => return Ok(()),
                Ok(Step::Data(Response::Tagged(tag, _))) if tag == next.as_bytes() => {
                    return Err(ProtocolError::Status.into());
                }
                Ok(Step::Continue) => {}
                Ok(Step::Data(response)) => self.pending.note(&response),
                Err(error) => {
                    self.busy = true;
                    return Err(error);
                }
            }
        }
    }

    /// The deadline of what is done before the login.
    pub(super) fn greeting_deadline(&self) -> Deadline {
        Deadline::new(Phase::Greeting, self.timeouts.greeting, self.timeouts.greeting)
    }

    /// The usual deadline of a command.
    pub(super) fn command_deadline(&self) -> Deadline {
        Deadline::new(Phase::Command, self.timeouts.silence, self.timeouts.command)
    }

    /// The deadline of a command that moves messages.
    pub(super) fn transfer_deadline(&self) -> Deadline {
        Deadline::new(Phase::Command, self.timeouts.silence, self.timeouts.transfer)
    }

    /// A larger read buffer, for many bytes.
    pub(super) fn grow_buffer(&mut self) {
        if self.buffer.len() < FETCH_BUFFER {
            self.buffer.resize(FETCH_BUFFER, 0);
        }
    }

    /// A small read buffer, for a long wait.
    pub(super) fn shrink_buffer(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.buffer.len() > IDLE_BUFFER && self.end <= IDLE_BUFFER {
            self.buffer.truncate(IDLE_BUFFER);
            self.buffer.shrink_to_fit();
        }
    }

    /// Runs a command to its tagged OK and gives every untagged response to `on`.
    ///
    /// # Errors
    /// NO and BAD leave the connection usable; after every other error it is poisoned.
    pub(super) async fn run(
        &mut self,
        command: Command<'_>,
        deadline: Deadline,
        mut on: impl FnMut(Response) -> Result<(), Error>,
    ) -> Result<Status, Error> {
        let exchange = self.begin(command, deadline).await?;
        let mut spooler = Spooler::none();
        loop {
            match self.step(&exchange, &mut spooler).await? {
                Step::Data(response) => {
                    self.pending.note(&response);
                    on(response)?;
                }
                Step::Continue => return Err(ProtocolError::Continuation.into()),
                Step::Done(status) => return Ok(status),
            }
        }
    }

    /// Sends a command, waiting before each literal that needs it, and for the answer to an IDLE that was left to it.
    pub(super) async fn begin(
        &mut self,
        command: Command<'_>,
        deadline: Deadline,
    ) -> Result<Exchange, Error> {
        if !command.follows {
            self.settle().await?;
        }
        let ending = self.ending.take();
        if self.busy && ending.is_none() {
            return Err(Error::Poisoned);
        }
        self.busy = true;
        self.tags = self.tags.wrapping_add(1);
        let exchange = Exchange {
            tag: format!("A{}", self.tags),
            command: command.name,
            deadline,
        };
        let mut line = Zeroizing::new(format!("{} ", exchange.tag).into_bytes());
        for piece in &command.pieces {
            let (literal, free) = match piece {
                Piece::Text(text) => {
                    line.extend_from_slice(text);
                    continue;
                }
                Piece::Literal(bytes) => (bytes.as_slice(), self.capabilities.free_literal()),
                // A server that refuses a message should do so before it is sent.
                Piece::Message(bytes) => (*bytes, self.capabilities.free_literal().min(4096)),
            };
            let plus = if free > 0 && literal.len() <= free {
                "+"
            } else {
                ""
            };
            line.extend_from_slice(format!("{{{}{plus}}}\r\n", literal.len()).as_bytes());
            if plus.is_empty() {
                self.send(&line, deadline).await?;
                line.clear();
                self.await_continuation(&exchange).await?;
                self.send(literal, deadline).await?;
            } else {
                line.extend_from_slice(literal);
            }
        }
        line.extend_from_slice(b"\r\n");
        self.send(&line, deadline).await?;
        if let Some(idle) = ending {
            self.answered(&idle).await?;
            self.busy = true;
        }
        Ok(exchange)
    }

    async fn await_continuation(&mut self, exchange: &Exchange) -> Result<(), Error> {
        loop {
            match self.step(exchange, &mut Spooler::none()).await? {
                Step::Continue => return Ok(()),
                Step::Data(response) => self.pending.note(&response),
                Step::Done(_) => {
                    self.busy = true; // half a command is on the wire
                    return Err(ProtocolError::Status.into());
                }
            }
        }
    }

    /// Waits for the next thing that the server says within an exchange.
    ///
    /// # Errors
    /// NO, BAD, BYE, the end of the connection, a deadline, and what breaks the protocol.
    pub(super) async fn step(&mut self, exchange: &Exchange, spooler: &mut Spooler) -> Result<Step, Error> {
        let (command, logs_out) = (exchange.command, exchange.command == "LOGOUT");
        match self.response(exchange.deadline, spooler).await? {
            Response::Tagged(tag, status) if tag == exchange.tag.as_bytes() => match status {
                Some(status) if status.kind == Kind::Ok => {
                    self.busy = false;
                    Ok(Step::Done(status))
                }
                Some(status) if status.kind == Kind::No => {
                    self.busy = false;
                    Err(Error::No {
                        command,
                        answer: status.answer(),
                    })
                }
                Some(status) if status.kind == Kind::Bad => {
                    self.busy = false;
                    Err(Error::Bad {
                        command,
                        answer: status.answer(),
                    })
                }
                Some(_) | None => Err(ProtocolError::Status.into()),
            },
            Response::Status(status) if status.kind == Kind::Bye && !logs_out => {
                Err(Error::bye(status.answer()))
            }
            Response::Continuation(_) => Ok(Step::Continue),
            response => Ok(Step::Data(response)),
        }
    }

    /// Reads one response, and takes note of what every response can bring. May be dropped and called again.
    pub(super) async fn response(
        &mut self,
        deadline: Deadline,
        spooler: &mut Spooler,
    ) -> Result<Response, Error> {
        spooler.clear();
        let raw = self.raw(deadline, spooler).await?;
        let response = Response::parse(&raw);
        let status = match &response {
            Response::Capability(list) => {
                self.capabilities = Capabilities::parse(list);
                None
            }
            Response::Status(status) | Response::Tagged(_, Some(status)) => Some(status),
            _ => None,
        };
        if let Some(list) = status.and_then(|status| status.code("CAPABILITY")) {
            self.capabilities = Capabilities::parse(list);
        }
        if let Some(status) = status.filter(|status| status.code("ALERT").is_some())
            && self.pending.alerts.len() < MAX_ALERTS
        {
            self.pending.alerts.push(Answer::new(None, &status.text).text);
        }
        if !matches!(response, Response::Fetch(_)) {
            self.pending.note(&response);
        }
        Ok(response)
    }

    async fn raw(&mut self, deadline: Deadline, spooler: &mut Spooler) -> Result<Raw, Error> {
        loop {
            let mut input = self.buffer.get(self.start..self.end).unwrap_or_default();
            let event = self.framer.next(&mut input).map_err(ProtocolError::from)?;
            self.start = self.end - input.len();
            match event {
                Some(Event::Response(raw)) => return Ok(raw),
                Some(Event::StreamBegin(section, size)) => spooler.begin(section, size)?,
                Some(Event::StreamChunk(bytes)) => spooler.chunk(bytes)?,
                Some(Event::StreamEnd) => spooler.end()?,
                None => self.fill(deadline).await?,
            }
        }
    }

    /// Reads what is there; only called when everything before was looked at.
    async fn fill(&mut self, deadline: Deadline) -> Result<(), Error> {
        (self.start, self.end) = (0, 0);
        match timeout_at(deadline.next(), self.transport.read(&mut self.buffer)).await {
            Err(_) => Err(Error::Timeout(deadline.phase)),
            Ok(Ok(0)) => Err(Error::Closed),
            Ok(Ok(read)) => {
                self.end = read;
                Ok(())
            }
            Ok(Err(failed)) if failed.kind() == std::io::ErrorKind::UnexpectedEof => Err(Error::Closed),
            Ok(Err(failed)) => Err(Error::Io(failed)),
        }
    }

    /// Writes bytes as they are.
    pub(super) async fn send(&mut self, bytes: &[u8], deadline: Deadline) -> Result<(), Error> {
        for chunk in bytes.chunks(WRITE_CHUNK) {
            timeout_at(deadline.next(), self.transport.write_all(chunk))
                .await
                .map_err(|_| Error::Timeout(deadline.phase))?
                .map_err(Error::Io)?;
        }
        timeout_at(deadline.next(), self.transport.flush())
            .await
            .map_err(|_| Error::Timeout(deadline.phase))?
            .map_err(Error::Io)
    }

    /// Tells the other side that nothing more comes, as far as that can still be told.
    pub(super) async fn close(&mut self) {
        let deadline = after(self.timeouts.done);
        // It is over either way; a connection that cannot be closed in order is dropped.
        drop(timeout_at(deadline, self.transport.shutdown()).await);
    }
}

impl Pending {
    /// Notes a response that changes the selected folder.
    pub(super) fn note(&mut self, response: &Response) {
        match response {
            Response::Exists(count) => self.exists = Some(*count),
            Response::Expunge | Response::Vanished { earlier: false, .. } => self.expunged = true,
            Response::Fetch(_) => self.flags = true,
            _ => {}
        }
    }
}
