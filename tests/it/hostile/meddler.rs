//! A forwarder between a gateway and its server that misbehaves at one command, in one way, while it is told to.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::axes::{Command, Misbehaviour};

/// Between two bytes of a drip.
const DRIP: Duration = Duration::from_millis(5);
const FLOOD: &str = "* 999 RECENT\r\n* OK still here\r\n* NO disk is filling\r\n* XYZZY (a (b \"c\")) 5\r\n";
const FLOOD_BYTES: usize = 1 << 20;
const ROOM: usize = 64 * 1024;
const GARBAGE: &[u8] = b"\x00\xff\xfe)(\"{\r\n* \r\n\r\n* 99999999999999999999 EXISTS\r\n* 1 FETCH ((((\r\n* FETCH 1 (UID)\r\n\
      * LIST\r\n* SEARCH x \"\r\n* STATUS\r\n* ESEARCH (TAG \"A1\") UID ALL *:\r\n* VANISHED 0\r\n\xe4\xf6\xfc\r\n* OK [UIDNEXT -1\r\n";
/// The head of a response with a literal, which no client knows.
const UNKNOWN: &str = "* XLIT";

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A forwarder that can be switched.
#[derive(Clone)]
pub(super) struct Meddler(Arc<State>);

struct State {
    command: Command,
    how: Misbehaviour,
    server: u16,
    tls: TlsAcceptor,
    on: AtomicBool,
    hits: AtomicUsize,
}

impl Meddler {
    /// Forwards to a loopback port; answers the port to connect to.
    pub(super) async fn before(
        server: u16,
        command: Command,
        how: Misbehaviour,
        tls: TlsAcceptor,
    ) -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            command,
            how,
            server,
            tls,
            on: AtomicBool::new(false),
            hits: AtomicUsize::new(0),
        });
        let meddler = Self(Arc::clone(&state));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    let server = TcpStream::connect(("127.0.0.1", state.server)).await.unwrap();
                    server.set_nodelay(true).unwrap();
                    client.set_nodelay(true).unwrap();
                    // Every line ends in one of many errors: that of the misbehaviour, or of a client that had enough.
                    let _ended = Line::new(&state, client, server).run().await;
                });
            }
        });
        (meddler, own)
    }

    pub(super) fn switch(&self, on: bool) {
        self.0.on.store(on, Ordering::SeqCst);
    }

    /// How often it misbehaved.
    pub(super) fn hits(&self) -> usize {
        self.0.hits.load(Ordering::SeqCst)
    }
}

/// One connection.
struct Line<'s> {
    state: &'s State,
    from_client: ReadHalf<Box<dyn Stream>>,
    to_client: WriteHalf<Box<dyn Stream>>,
    server: TcpStream,
    /// What was read from either and not yet used.
    asked: Vec<u8>,
    told: Vec<u8>,
    /// The tag of an IDLE that has not ended.
    idle: String,
}

fn end<T>() -> io::Result<T> {
    Err(io::ErrorKind::ConnectionAborted.into())
}

impl<'s> Line<'s> {
    fn new(state: &'s State, client: TcpStream, server: TcpStream) -> Self {
        let (from_client, to_client) = tokio::io::split(Box::new(client) as Box<dyn Stream>);
        Self {
            state,
            from_client,
            to_client,
            server,
            asked: Vec::new(),
            told: Vec::new(),
            idle: String::new(),
        }
    }

    async fn run(mut self) -> io::Result<()> {
        if self.state.command == Command::Greeting && self.is_on() {
            self.misbehave("*", None).await?;
        }
        loop {
            while let Some(line) = take_line(&mut self.asked) {
                self.command(&line).await?;
            }
            // Room for an answer as a whole, so that what is rewritten is never cut.
            self.told.reserve(ROOM);
            tokio::select! {
                read = self.from_client.read_buf(&mut self.asked) => {
                    if read? == 0 { return Ok(()) }
                }
                read = self.server.read_buf(&mut self.told) => {
                    if read? == 0 { return Ok(()) }
                    let told = std::mem::take(&mut self.told);
                    self.say(&self.rewritten(told)).await?;
                }
            }
        }
    }

    fn is_on(&self) -> bool {
        self.state.on.load(Ordering::SeqCst)
    }

    async fn command(&mut self, line: &str) -> io::Result<()> {
        let tag = match line.split_once(' ') {
            Some((tag, _)) => tag.to_owned(),
            None => self.idle.clone(),
        };
        if self.is_on() && self.state.command.is(line) {
            return self.misbehave(&tag, Some(line)).await;
        }
        if self.state.command == Command::StartTls && Command::StartTls.is(line) {
            self.say(format!("{tag} OK begin TLS\r\n").as_bytes()).await?;
            return self.start_tls().await;
        }
        self.ask(line).await?;
        if Command::Idle.is(line) {
            self.idle = tag;
            if self.is_on() && matches!(self.state.command, Command::Idling | Command::Done) {
                let begun = self.answer("+").await?;
                self.say(&begun).await?;
                if self.state.command == Command::Idling {
                    let tag = self.idle.clone();
                    return self.misbehave(&tag, None).await;
                }
                // Something that ends the wait.
                self.say(b"* 1 FETCH (FLAGS (\\Recent))\r\n").await?;
            }
        }
        Ok(())
    }

    async fn misbehave(&mut self, tag: &str, line: Option<&str>) -> io::Result<()> {
        self.state.hits.fetch_add(1, Ordering::SeqCst);
        let say = |word: &str| format!("{tag} {word}\r\n").into_bytes();
        match self.state.how {
            Misbehaviour::No => self.say(&say("NO not for you")).await,
            Misbehaviour::NotNow => self.say(&say("NO [UNAVAILABLE] not now")).await,
            Misbehaviour::Bad => self.say(&say("BAD what?")).await,
            Misbehaviour::Perhaps => self.say(&say("PERHAPS")).await,
            Misbehaviour::BareOk => self.say(&say("OK done")).await,
            Misbehaviour::Plus => self.say(b"+ go on\r\n").await,
            Misbehaviour::Bye => {
                self.say(b"* BYE enough\r\n").await?;
                end()
            }
            Misbehaviour::Eof => end(),
            Misbehaviour::Stall => self.hang().await,
            Misbehaviour::Drip => loop {
                for byte in b"* XYZZY still here\r\n" {
                    self.say(&[*byte]).await?;
                    tokio::time::sleep(DRIP).await;
                }
            },
            Misbehaviour::EndlessLine => {
                self.say(b"* XYZZY ").await?;
                for _ in 0..32 {
                    self.say(&vec![b'a'; 64 * 1024]).await?;
                }
                self.hang().await
            }
            Misbehaviour::LiteralHuge => {
                self.say(b"* 1 FETCH (UID 1 BODY[] {4294967296}\r\n").await?;
                self.hang().await
            }
            Misbehaviour::HalfAnswer
            | Misbehaviour::Garbage
            | Misbehaviour::Flood
            | Misbehaviour::WrongTag
            | Misbehaviour::LiteralTooLong
            | Misbehaviour::LiteralTooShort => self.misquote(tag, line).await,
        }
    }

    /// What is to be said in truth.
    async fn true_answer(&mut self, tag: &str, line: Option<&str>) -> io::Result<Vec<u8>> {
        match (line, self.state.command) {
            (Some(_), Command::StartTls) => Ok(format!("{tag} OK begin TLS\r\n").into_bytes()),
            (Some(line), Command::Idle) => {
                self.ask(line).await?;
                tag.clone_into(&mut self.idle);
                self.answer("+").await
            }
            (Some(line), _) => {
                self.ask(line).await?;
                self.answer(tag).await
            }
            (None, Command::Greeting) => self.answer("*").await,
            (None, _) => Ok(Vec::new()),
        }
    }

    /// Gives the true answer, but not as it is.
    async fn misquote(&mut self, tag: &str, line: Option<&str>) -> io::Result<()> {
        let answer = self.true_answer(tag, line).await?;
        let with_bytes = self.state.command.has_bytes();
        match self.state.how {
            Misbehaviour::HalfAnswer => {
                let half = answer.get(..answer.len() / 2).unwrap();
                self.say(half).await?;
                return end();
            }
            Misbehaviour::Garbage => self.say(GARBAGE).await?,
            Misbehaviour::Flood => {
                let some = FLOOD.repeat(64);
                for _ in 0..FLOOD_BYTES / some.len() {
                    self.say(some.as_bytes()).await?;
                }
            }
            Misbehaviour::WrongTag => {
                let at = answer.len() - last_line(&answer).len();
                let (data, status) = answer.split_at(at);
                self.say(&[data, b"X", status].concat()).await?;
                return self.hang().await;
            }
            Misbehaviour::LiteralTooLong if with_bytes => {
                self.say(&relabelled(&answer, 7)).await?;
                return self.hang().await;
            }
            Misbehaviour::LiteralTooLong => {
                self.say(format!("{UNKNOWN} {{60000}}\r\n").as_bytes()).await?;
                self.say(&answer).await?;
                return self.hang().await;
            }
            Misbehaviour::LiteralTooShort if with_bytes => {
                return self.say(&relabelled(&answer, -7)).await;
            }
            _ => {
                self.say(format!("{UNKNOWN} {{1}}\r\nabcdef\r\n").as_bytes())
                    .await?;
            }
        }
        self.say(&answer).await?;
        if self.state.command == Command::StartTls {
            self.start_tls().await?;
        }
        Ok(())
    }

    async fn start_tls(&mut self) -> io::Result<()> {
        let (reader, writer) = {
            let (one, _other) = tokio::io::duplex(1);
            tokio::io::split(Box::new(one) as Box<dyn Stream>)
        };
        let from = std::mem::replace(&mut self.from_client, reader);
        let to = std::mem::replace(&mut self.to_client, writer);
        let secured = self.state.tls.accept(from.unsplit(to)).await?;
        (self.from_client, self.to_client) = tokio::io::split(Box::new(secured) as Box<dyn Stream>);
        Ok(())
    }

    /// Says nothing more until the client goes.
    async fn hang(&mut self) -> io::Result<()> {
        let mut rest = [0; 1024];
        while self.from_client.read(&mut rest).await? > 0 {}
        end()
    }

    async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to_client.write_all(bytes).await?;
        self.to_client.flush().await
    }

    /// Gives the server a line of the client's, without what the server does not know.
    async fn ask(&mut self, line: &str) -> io::Result<()> {
        let known = line
            .replace("(MAILBOXID)", "(MESSAGES)")
            .replace(" EMAILID THREADID", "");
        self.server.write_all(format!("{known}\r\n").as_bytes()).await
    }

    /// What the server says, up to the line that begins so.
    async fn answer(&mut self, begin: &str) -> io::Result<Vec<u8>> {
        let begin = format!("{begin} ");
        loop {
            if self.told.ends_with(b"\r\n") && last_line(&self.told).starts_with(begin.as_bytes()) {
                let told = std::mem::take(&mut self.told);
                return Ok(self.rewritten(told));
            }
            self.told.reserve(ROOM);
            if self.server.read_buf(&mut self.told).await? == 0 {
                return end();
            }
        }
    }

    /// What the server says with the capabilities that the command needs to be given.
    fn rewritten(&self, told: Vec<u8>) -> Vec<u8> {
        let (from, to) = match self.state.command {
            Command::Capability => ("* OK [CAPABILITY", "* OK [XAPABILITY"),
            Command::Login => (" SASL-IR AUTH=PLAIN", ""),
            Command::StartTls => ("[CAPABILITY IMAP4rev1", "[CAPABILITY IMAP4rev1 STARTTLS"),
            Command::Status => (" CONDSTORE", " CONDSTORE OBJECTID"),
            _ => return told,
        };
        match told.windows(from.len()).position(|part| part == from.as_bytes()) {
            Some(at) => [&told[..at], to.as_bytes(), &told[at + from.len()..]].concat(),
            None => told,
        }
    }
}

fn take_line(bytes: &mut Vec<u8>) -> Option<String> {
    let at = bytes.windows(2).position(|two| two == b"\r\n")?;
    let line = bytes.drain(..at + 2).collect::<Vec<u8>>();
    Some(String::from_utf8_lossy(&line[..at]).into_owned())
}

/// The last line, with its end.
fn last_line(bytes: &[u8]) -> &[u8] {
    let inner = bytes.strip_suffix(b"\r\n").unwrap_or(bytes);
    let start = inner
        .windows(2)
        .rposition(|two| two == b"\r\n")
        .map_or(0, |at| at + 2);
    &bytes[start..]
}

/// The answer with the sizes of its literals told wrongly by so much.
fn relabelled(answer: &[u8], by: i64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = answer;
    while let Some(open) = rest.iter().position(|byte| *byte == b'{') {
        let close = open + rest[open..].iter().position(|byte| *byte == b'}').unwrap();
        let size: i64 = std::str::from_utf8(&rest[open + 1..close])
            .unwrap()
            .parse()
            .unwrap();
        out.extend_from_slice(&rest[..open]);
        out.extend_from_slice(format!("{{{}}}", size + by).as_bytes());
        let after = close + 3 + usize::try_from(size).unwrap();
        out.extend_from_slice(&rest[close + 1..after]);
        rest = &rest[after..];
    }
    out.extend_from_slice(rest);
    out
}
