//! The lines of a message, read one after the other from memory or from a file, of which only a piece is held.

use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::ops::Range;

/// What a longer line says is not looked at, in bytes: no delimiter is so long (RFC 2046, 5.1.1: 74).
const MAX_LINE: u64 = 8 * 1024;

/// A place among the lines of a message.
pub(super) struct Lines<'r, R> {
    raw: &'r mut R,
    /// The line with its break; nothing where it is too long.
    text: Vec<u8>,
    range: Range<u64>,
    /// How many bytes the break of this line has, and that of the line before.
    broken: u64,
    broken_before: u64,
    /// The line is to be given once more.
    held: bool,
}

impl<'r, R: BufRead + Seek> Lines<'r, R> {
    /// Before the line that begins at this byte.
    pub(super) fn new(raw: &'r mut R, start: u64) -> io::Result<Self> {
        raw.seek(SeekFrom::Start(start))?;
        Ok(Self {
            raw,
            text: Vec::new(),
            range: start..start,
            broken: 0,
            broken_before: 0,
            held: false,
        })
    }

    /// Before the first line that is not empty.
    pub(super) fn first(raw: &'r mut R) -> io::Result<Self> {
        raw.rewind()?;
        let mut start = 0;
        loop {
            let piece = raw.fill_buf()?;
            let filled = piece.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
            let (empty, ended) = (filled.unwrap_or(piece.len()), piece.is_empty());
            raw.consume(empty);
            start += empty as u64;
            if ended || filled.is_some() {
                return Self::new(raw, start);
            }
        }
    }

    /// Goes on to the next line. False after the last one: the line is then empty, at the end.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        if std::mem::take(&mut self.held) {
            return Ok(true);
        }
        let (mut length, mut last) = (0, [0; 2]);
        loop {
            self.text.clear();
            let read = self
                .raw
                .by_ref()
                .take(MAX_LINE)
                .read_until(b'\n', &mut self.text)? as u64;
            last = match *self.text.as_slice() {
                [.., first, second] => [first, second],
                [only] => [last[1], only],
                [] => last,
            };
            length += read;
            if read < MAX_LINE || last[1] == b'\n' {
                break;
            }
        }
        if length > MAX_LINE {
            self.text.clear();
        }
        self.broken_before = self.broken;
        self.broken = match last {
            [b'\r', b'\n'] => 2,
            [_, b'\n'] => 1,
            _ => 0,
        };
        self.range = self.range.end..self.range.end + length;
        Ok(length > 0)
    }

    /// Makes the next [`Lines::advance`] give this line again.
    pub(super) fn hold(&mut self) {
        self.held = true;
    }

    /// The line with its break; nothing where it is longer than 8 KiB.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Where the line lies, its break included.
    pub(super) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Where what is before the line ends, without the break between them.
    pub(super) fn end_before(&self) -> u64 {
        self.range.start - self.broken_before
    }

    /// True for a line that is nothing but a break.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.text(), b"\n" | b"\r\n")
    }

    /// What lies in a range that was passed, at most so many bytes of it.
    pub(super) fn copy(&mut self, range: Range<u64>, limit: u64) -> io::Result<Vec<u8>> {
        let mut copy = Vec::new();
        let length = range.end.saturating_sub(range.start).min(limit);
        self.raw.seek_relative(-distance(range.start, self.range.end)?)?;
        self.raw.by_ref().take(length).read_to_end(&mut copy)?;
        let passed = range.start + copy.len() as u64;
        self.raw.seek_relative(distance(passed, self.range.end)?)?;
        Ok(copy)
    }
}

fn distance(from: u64, to: u64) -> io::Result<i64> {
    i64::try_from(to.saturating_sub(from)).map_err(io::Error::other)
}
