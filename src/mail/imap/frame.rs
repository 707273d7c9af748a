//! Framing without I/O: bytes in, responses and streamed body bytes out (RFC 9051, sections 4 and 7).

/// The most bytes of one response that are kept, announcements of literals included; streamed bodies do not count.
pub(super) const MAX_LINE: usize = 1024 * 1024;
/// The largest literal that is kept; bodies and headers are streamed and have limits of their own.
pub(super) const MAX_LITERAL: u64 = 64 * 1024;
/// The longest name of an item with its section that is looked at, in bytes.
const MAX_NAME: usize = 4096;
/// The most literals in one response.
const MAX_LITERALS: usize = 4096;
/// The largest body that is read at all, if only to drop it.
pub(super) const MAX_STREAMED: u64 = 1024 * 1024 * 1024;

/// What a server sent that no client should read on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A response longer than 1 MiB.
    #[error("the server sent a response longer than 1 MiB")]
    LineTooLong,
    /// A literal that is not a body and is larger than 64 KiB.
    #[error("the server announced a literal of {0} bytes where at most 65536 are read")]
    LiteralTooLarge(u64),
    /// A body larger than 1 GiB.
    #[error("the server announced a body of {0} bytes")]
    BodyTooLarge(u64),
    /// More than 4096 literals in one response.
    #[error("the server sent too many literals in one response")]
    TooManyLiterals,
}

/// Which part of a message a streamed literal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// `BODY[]`
    Full,
    /// `BODY[HEADER]`, `BODY[HEADER.FIELDS (…)]`
    Header,
    /// Any other part.
    Other,
}

/// What comes out of the framer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'i> {
    /// A streamed literal begins, of this many bytes.
    StreamBegin(Section, u64),
    /// Some of its bytes.
    StreamChunk(&'i [u8]),
    /// It has ended.
    StreamEnd,
    /// A response is complete; its streamed literals came before it.
    Response(Raw),
}

/// Where a literal lies in a response's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Its first byte.
    pub(super) start: usize,
    /// The byte after its last.
    pub(super) end: usize,
    /// True when its bytes were streamed; the span is empty then.
    pub(super) streamed: bool,
}

/// One response: its text with the literals in place of their announcements, and without the final line end.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) text: Vec<u8>,
    pub(super) literals: Vec<Span>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Line,
    Literal { left: usize },
    Stream { left: u64 },
}

/// Cuts a server's bytes into responses, however they arrive.
#[derive(Debug)]
pub(super) struct Framer {
    raw: Raw,
    state: State,
    /// Where the line that is being read starts in the text.
    line_start: usize,
    /// Bytes of this response that count against [`MAX_LINE`].
    counted: usize,
}

impl Framer {
    pub(super) const fn new() -> Self {
        Self {
            raw: Raw {
                text: Vec::new(),
                literals: Vec::new(),
            },
            state: State::Line,
            line_start: 0,
            counted: 0,
        }
    }

    /// Takes bytes from the front of `input` until something is complete; `None` when it needs more.
    pub(super) fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Event<'i>>, FrameError> {
        loop {
            match self.state {
                State::Stream { left: 0 } => {
                    self.state = State::Line;
                    return Ok(Some(Event::StreamEnd));
                }
                State::Literal { left: 0 } => {
                    if let Some(span) = self.raw.literals.last_mut() {
                        span.end = self.raw.text.len();
                    }
                    self.line_start = self.raw.text.len();
                    self.state = State::Line;
                }
                _ if input.is_empty() => return Ok(None),
                State::Stream { left } => {
                    let chunk = take(input, usize::try_from(left).unwrap_or(usize::MAX));
                    self.state = State::Stream {
                        left: left - chunk.len() as u64,
                    };
                    return Ok(Some(Event::StreamChunk(chunk)));
                }
                State::Literal { left } => {
                    let chunk = take(input, left);
                    self.raw.text.extend_from_slice(chunk);
                    self.state = State::Literal {
                        left: left - chunk.len(),
                    };
                }
                State::Line => {
                    if let Some(event) = self.line(input)? {
                        return Ok(Some(event));
                    }
                }
            }
        }
    }

    fn line<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Event<'i>>, FrameError> {
        let end = input.iter().position(|&byte| byte == b'\n');
        let chunk = take(input, end.map_or(usize::MAX, |end| end + 1));
        self.count(chunk.len())?;
        self.raw.text.extend_from_slice(chunk);
        if end.is_none() {
            return Ok(None);
        }
        self.raw.text.pop();
        self.raw.text.pop_if(|byte| *byte == b'\r');
        match self.announcement() {
            None => Ok(Some(Event::Response(self.complete()))),
            Some((cut, size)) => self.begin(cut, size),
        }
    }

    /// Counts bytes before they are kept, so that nothing is ever held beyond the limit.
    fn count(&mut self, bytes: usize) -> Result<(), FrameError> {
        self.counted = self.counted.saturating_add(bytes);
        if self.counted > MAX_LINE {
            Err(FrameError::LineTooLong)
        } else {
            Ok(())
        }
    }

    fn complete(&mut self) -> Raw {
        self.line_start = 0;
        self.counted = 0;
        // The memory goes along: a connection that waits keeps none.
        std::mem::take(&mut self.raw)
    }

    fn begin<'i>(&mut self, cut: usize, size: u64) -> Result<Option<Event<'i>>, FrameError> {
        self.raw.text.truncate(cut);
        if self.raw.literals.len() >= MAX_LITERALS {
            return Err(FrameError::TooManyLiterals);
        }
        let section = streamed_section(&self.raw.text);
        self.raw.literals.push(Span {
            start: cut,
            end: cut,
            streamed: section.is_some(),
        });
        if let Some(section) = section {
            if size > MAX_STREAMED {
                return Err(FrameError::BodyTooLarge(size));
            }
            self.line_start = cut;
            self.state = State::Stream { left: size };
            return Ok(Some(Event::StreamBegin(section, size)));
        }
        match usize::try_from(size) {
            Ok(left) if size <= MAX_LITERAL => {
                self.count(left)?;
                self.state = State::Literal { left };
                Ok(None)
            }
            _ => Err(FrameError::LiteralTooLarge(size)),
        }
    }

    /// Where the announcement of a literal at the end of the line begins, and the size that it announces.
    fn announcement(&self) -> Option<(usize, u64)> {
        if is_status(&self.raw.text) {
            return None; // free text may end in anything
        }
        let line = self.raw.text.get(self.line_start..)?;
        let inner = line.strip_suffix(b"}")?;
        let open = inner.iter().rposition(|&byte| byte == b'{')?;
        let digits = inner.get(open + 1..)?;
        let digits = digits.strip_suffix(b"+").unwrap_or(digits);
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let before = line.get(..open)?;
        let before = before.strip_suffix(b"~").unwrap_or(before);
        if !matches!(before.last(), Some(b' ' | b'(' | b']' | b'>')) {
            return None;
        }
        // A number that does not fit is larger than any limit.
        let size = std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX);
        Some((self.line_start + before.len(), size))
    }
}

fn take<'i>(input: &mut &'i [u8], most: usize) -> &'i [u8] {
    let (taken, rest) = input.split_at_checked(most).unwrap_or((*input, &[]));
    *input = rest;
    taken
}

/// True for a response whose end is free text: `+ …`, `* OK …` and tagged ones.
fn is_status(text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(b"* ") else {
        return true;
    };
    let word = rest.split(|&byte| byte == b' ').next().unwrap_or_default();
    [&b"OK"[..], b"NO", b"BAD", b"BYE", b"PREAUTH"]
        .iter()
        .any(|status| word.eq_ignore_ascii_case(status))
}

/// Which part of a message the literal after this text is, when it is one that is streamed.
fn streamed_section(text: &[u8]) -> Option<Section> {
    let mut words = text.splitn(4, |&byte| byte == b' ');
    if !words.nth(2)?.eq_ignore_ascii_case(b"FETCH") {
        return None;
    }
    // The name is at the end: a long line must not be searched again for each of its literals.
    let name = text.get(text.len().saturating_sub(MAX_NAME)..)?.trim_ascii_end();
    // BODY[]<0> {n}: an origin after the section.
    let name = match name.strip_suffix(b">") {
        Some(inner) => inner.get(..inner.iter().rposition(|&byte| byte == b'<')?)?,
        None => name,
    };
    let Some(inner) = name.strip_suffix(b"]") else {
        let word = name.rsplit(|byte| matches!(byte, b' ' | b'(')).next()?;
        return match word.to_ascii_uppercase().as_slice() {
            b"RFC822" => Some(Section::Full),
            b"RFC822.HEADER" => Some(Section::Header),
            b"RFC822.TEXT" => Some(Section::Other),
            _ => None,
        };
    };
    let section = inner.get(inner.iter().rposition(|&byte| byte == b'[')? + 1..)?;
    let header = section
        .get(..6)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"HEADER"));
    Some(match section {
        b"" => Section::Full,
        _ if header => Section::Header,
        _ => Section::Other,
    })
}

#[cfg(test)]
mod tests;
