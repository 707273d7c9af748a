//! The bytes of one connection: lines and literals in, a buffer out, each wait with its deadline.

use std::{io, time::Duration};

use bytes::{Buf, BytesMut};
use imap_codec::{
    CommandCodec,
    decode::{CommandDecodeError, Decoder},
    imap_types::core::LiteralMode,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// Longest line, and most bytes of the lines of one command: 64 KiB.
const MAX_LINE: usize = 64 * 1024;
/// Most literals of one command.
const MAX_LITERALS: usize = 32;
/// Most bytes of a command's literals, for a client that has logged in: 50 MiB.
const MAX_LITERAL: usize = 50 * 1024 * 1024;
/// The same before the login: 4 KiB.
const MAX_LITERAL_BEFORE_LOGIN: usize = 4 * 1024;
/// How long a client may say nothing (RFC 3501, 5.4 asks for 30 minutes at least).
const IDLE_TIMEOUT: Duration = Duration::from_mins(30);
/// How long a client may say nothing before its login.
const LOGIN_TIMEOUT: Duration = Duration::from_mins(1);
/// How long the client may take to accept bytes.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);
/// Room for one read.
const READ_BYTES: usize = 2 * 1024;
/// The output is sent when it grows over this.
const FLUSH_AT: usize = 64 * 1024;

/// What the client sent.
pub(super) enum Received {
    /// One whole command with its literals; ends in CRLF.
    Command(Vec<u8>),
    /// A command that is refused: what to say, under which tag. The connection goes on.
    Refused(String, &'static str),
    /// Something after which the stream cannot be read any more: what to say in BYE.
    Broken(&'static str),
    /// The client closed the connection.
    Closed,
}

/// A connection's stream with its buffers.
pub(super) struct Wire<S> {
    stream: S,
    input: BytesMut,
    /// Bytes to send with the next [`Wire::flush`].
    pub(super) out: Vec<u8>,
    /// Whether the client has logged in: it may then send large literals and be silent for longer.
    pub(super) trusted: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            out: Vec::new(),
            trusted: false,
        }
    }

    /// Reads one line with its line ending; `None` at the end of the stream. Cancel-safe.
    ///
    /// # Errors
    /// `InvalidData` for a line over 64 KiB, `TimedOut` after the idle time, and what the stream says.
    pub(super) async fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut searched = 0;
        loop {
            let unread = self.input.get(searched..).unwrap_or_default();
            if let Some(at) = unread.iter().position(|b| *b == b'\n') {
                return Ok(Some(self.input.split_to(searched + at + 1).to_vec()));
            }
            searched = self.input.len();
            if searched > MAX_LINE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "Line is too long"));
            }
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads one command, asking for its literals as it goes (RFC 3501, 4.3; RFC 7888).
    pub(super) async fn command(&mut self) -> io::Result<Received> {
        let mut command = Vec::new();
        let mut lines = 0;
        let mut literals = 0;
        let mut room = if self.trusted {
            MAX_LITERAL
        } else {
            MAX_LITERAL_BEFORE_LOGIN
        };
        loop {
            let Some(line) = self.line().await? else {
                return Ok(Received::Closed);
            };
            lines += line.len();
            if lines > MAX_LINE {
                return Ok(Received::Broken("Command is too long"));
            }
            command.extend(line);
            let (length, mode) = match CommandCodec::default().decode(&command) {
                Err(CommandDecodeError::LiteralFound { tag, length, mode }) => {
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    literals += 1;
                    if length > room || literals > MAX_LITERALS {
                        return Ok(match mode {
                            LiteralMode::Sync => {
                                Received::Refused(tag.inner().to_owned(), "[TOOBIG] Literal is too large")
                            }
                            LiteralMode::NonSync => Received::Broken("Literal is too large"),
                        });
                    }
                    room -= length;
                    (length, mode)
                }
                // The codec gave up before a literal that is already on its way: its bytes would be read as commands.
                Err(_) if command.ends_with(b"+}\r\n") => {
                    return Ok(Received::Broken("Literal in a command that is not understood"));
                }
                _ => return Ok(Received::Command(command)),
            };
            if mode == LiteralMode::Sync {
                self.out.extend_from_slice(b"+ Go ahead\r\n");
                self.flush().await?;
            }
            if !self.literal(length, &mut command).await? {
                return Ok(Received::Closed);
            }
        }
    }

    /// Reads `left` bytes into `command`; false when the stream ended before.
    async fn literal(&mut self, mut left: usize, command: &mut Vec<u8>) -> io::Result<bool> {
        while left > 0 {
            if self.input.is_empty() && self.fill().await? == 0 {
                return Ok(false);
            }
            let taken = left.min(self.input.len());
            command.extend_from_slice(self.input.get(..taken).unwrap_or_default());
            self.input.advance(taken);
            left -= taken;
        }
        Ok(true)
    }

    async fn fill(&mut self) -> io::Result<usize> {
        let silence = if self.trusted { IDLE_TIMEOUT } else { LOGIN_TIMEOUT };
        self.input.reserve(READ_BYTES);
        timeout(silence, self.stream.read_buf(&mut self.input)).await?
    }

    /// Sends what is waiting, when it is much.
    pub(super) async fn flush_if_full(&mut self) -> io::Result<()> {
        if self.out.len() < FLUSH_AT {
            Ok(())
        } else {
            self.flush().await
        }
    }

    /// Sends what is waiting.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        let Self { stream, out, .. } = self;
        // In pieces, so that the deadline is one for a stalled client and not for a large message.
        for piece in out.chunks(FLUSH_AT) {
            timeout(WRITE_TIMEOUT, stream.write_all(piece)).await??;
        }
        timeout(WRITE_TIMEOUT, stream.flush()).await??;
        out.clear();
        out.shrink_to(FLUSH_AT);
        Ok(())
    }

    /// Says BYE and closes; a client that does not take it is left.
    pub(super) async fn bye(mut self, text: &str) -> io::Result<()> {
        self.out.extend_from_slice(format!("* BYE {text}\r\n").as_bytes());
        self.close().await
    }

    /// Sends what is waiting and closes.
    pub(super) async fn close(mut self) -> io::Result<()> {
        self.flush().await?;
        timeout(WRITE_TIMEOUT, self.stream.shutdown()).await?
    }
}
