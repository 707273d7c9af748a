//! Where the parts of a message lie: one linear pass over its lines (RFC 2046, section 5.1).

use std::io::{self, BufRead, Seek, SeekFrom};
use std::ops::Range;

use crate::model::attachment::TransferEncoding;

use super::lines::Lines;
use super::{MAX_HEADER, MAX_PARTS, header};

/// Multiparts nested deeper than this are taken as they are, not opened.
const MAX_DEPTH: usize = 100;

/// `Content-Disposition` (RFC 2183).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Disposition {
    #[default]
    Absent,
    Inline,
    Attachment,
}

/// What the header of one part says of its body.
#[derive(Debug, Clone)]
pub(super) struct PartField {
    /// The media type in lower case, without parameters; `text/plain` where there is none.
    pub(super) content_type: String,
    /// False when the media type is only the default one.
    pub(super) typed: bool,
    pub(super) charset: Option<String>,
    pub(super) boundary: Option<Vec<u8>>,
    pub(super) disposition: Disposition,
    pub(super) name: Option<String>,
    pub(super) content_id: Option<String>,
    pub(super) encoding: TransferEncoding,
}

impl Default for PartField {
    fn default() -> Self {
        Self {
            content_type: "text/plain".to_owned(),
            typed: false,
            charset: None,
            boundary: None,
            disposition: Disposition::Absent,
            name: None,
            content_id: None,
            encoding: TransferEncoding::Identity,
        }
    }
}

/// One part: its place in the tree and in the raw message.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) parent: Option<usize>,
    pub(super) header: Range<u64>,
    pub(super) body: Range<u64>,
    pub(super) children: Vec<usize>,
    pub(super) field: PartField,
}

impl Part {
    pub(super) fn is_multipart(&self) -> bool {
        !self.children.is_empty()
    }

    pub(super) fn is_related(&self) -> bool {
        self.field.content_type == "multipart/related"
    }
}

/// The parts of a message, the message itself first, each parent before its children.
pub(super) fn walk(raw: &mut (impl BufRead + Seek)) -> io::Result<Vec<Part>> {
    let mut parts = Walk::run(raw, None)?;
    let broken = parts
        .first()
        .filter(|root| declares_parts(root) && root.children.is_empty());
    if let Some(body) = broken.map(|root| root.body.start)
        && let Some(boundary) = guess_boundary(raw, body)?
    {
        parts = Walk::run(raw, Some(boundary))?;
    }
    for part in &mut parts {
        // A multipart without parts is shown as the text that it is.
        if declares_parts(part) && part.children.is_empty() {
            part.field = PartField {
                name: part.field.name.take(),
                ..PartField::default()
            };
        }
    }
    Ok(parts)
}

fn declares_parts(part: &Part) -> bool {
    part.field.content_type.starts_with("multipart/")
}

/// The header of a message, at most [`MAX_HEADER`] bytes of it.
pub(super) fn header(raw: &mut (impl BufRead + Seek)) -> io::Result<Vec<u8>> {
    let mut lines = Lines::first(raw)?;
    let (header, _) = header_lines(&mut lines, &[])?;
    lines.copy(header, MAX_HEADER as u64)
}

/// A declared boundary that never occurs: the line that looks like one and is followed by a part's header.
fn guess_boundary(raw: &mut (impl BufRead + Seek), body: u64) -> io::Result<Option<Vec<u8>>> {
    let mut lines = Lines::new(raw, body)?;
    let mut word: Option<Vec<u8>> = None;
    while lines.advance()? {
        let begins = lines.text().get(..8);
        if word.is_some() && begins.is_some_and(|begins| begins.eq_ignore_ascii_case(b"content-")) {
            return Ok(word);
        }
        word = dashed(lines.text())
            .filter(|word| !word.is_empty())
            .map(<[u8]>::to_vec);
    }
    Ok(None)
}

/// What follows the dashes of a line that may be a delimiter.
fn dashed(line: &[u8]) -> Option<&[u8]> {
    Some(line.strip_prefix(b"--")?.trim_ascii_end())
}

struct Open {
    part: usize,
    boundary: Vec<u8>,
}

/// Which open multipart a line delimits, innermost first, and whether it closes it.
fn delimiter(line: &[u8], open: &[Open]) -> Option<(usize, bool)> {
    let line = dashed(line)?;
    open.iter()
        .enumerate()
        .rev()
        .find_map(|(level, open)| match line.strip_prefix(&*open.boundary)? {
            b"" => Some((level, false)),
            b"--" => Some((level, true)),
            _ => None,
        })
}

/// The header that starts at the next line, and where the body after it starts.
fn header_lines(lines: &mut Lines<'_, impl BufRead + Seek>, open: &[Open]) -> io::Result<(Range<u64>, u64)> {
    let start = lines.range().end;
    while lines.advance()? {
        let line = lines.range();
        if lines.is_empty() {
            return Ok((start..line.start, line.end));
        }
        if delimiter(lines.text(), open).is_some() {
            lines.hold();
            return Ok((start..line.start, line.start));
        }
    }
    let end = lines.range().end;
    Ok((start..end, end))
}

struct Walk<'r, R> {
    lines: Lines<'r, R>,
    parts: Vec<Part>,
    /// The multiparts around the current line, outermost first.
    open: Vec<Open>,
    /// The part without parts of its own that the current line belongs to.
    leaf: Option<usize>,
    /// The boundary of the whole message where the declared one is wrong.
    boundary: Option<Vec<u8>>,
}

impl<'r, R: BufRead + Seek> Walk<'r, R> {
    fn run(raw: &'r mut R, boundary: Option<Vec<u8>>) -> io::Result<Vec<Part>> {
        let end = raw.seek(SeekFrom::End(0))?;
        let mut walk = Self {
            lines: Lines::first(raw)?,
            parts: Vec::new(),
            open: Vec::new(),
            leaf: None,
            boundary,
        };
        walk.start(None)?;
        while !walk.open.is_empty() && walk.lines.advance()? {
            let Some((level, closes)) = delimiter(walk.lines.text(), &walk.open) else {
                continue;
            };
            let before = walk.lines.end_before();
            walk.close(level + 1, before);
            if closes {
                walk.close(level, before);
            } else if walk.parts.len() < MAX_PARTS {
                let parent = walk.open.last().map(|open| open.part);
                walk.start(parent)?;
            } else {
                walk.close(0, before);
            }
        }
        walk.close(0, end);
        Ok(walk.parts)
    }

    /// Ends the current leaf, and every multipart from `level` inwards. The line break before a delimiter belongs to
    /// the delimiter (RFC 2046, 5.1.1), so that `end` may lie before the start of an empty body.
    fn close(&mut self, level: usize, end: u64) {
        let closed = self
            .open
            .drain(level.min(self.open.len())..)
            .map(|open| open.part);
        for index in closed.chain(self.leaf.take()) {
            if let Some(part) = self.parts.get_mut(index) {
                part.body.end = end.max(part.body.start);
            }
        }
    }

    /// Reads the part whose header starts at the next line, up to its body.
    fn start(&mut self, parent: Option<usize>) -> io::Result<()> {
        let (header, body) = header_lines(&mut self.lines, &self.open)?;
        let mut field = header::part(self.lines.copy(header.clone(), MAX_HEADER as u64)?);
        if parent.is_none() && self.boundary.is_some() {
            field.boundary = self.boundary.take();
        }
        let index = self.parts.len();
        if let Some(parent) = parent.and_then(|parent| self.parts.get_mut(parent)) {
            parent.children.push(index);
            // RFC 2046, section 5.1.5: the parts of a digest are messages.
            if parent.field.content_type == "multipart/digest" && !field.typed {
                "message/rfc822".clone_into(&mut field.content_type);
            }
        }
        let boundary = field
            .boundary
            .clone()
            .filter(|_| field.content_type.starts_with("multipart/"));
        self.parts.push(Part {
            parent,
            header,
            body: body..body,
            children: Vec::new(),
            field,
        });
        match boundary {
            Some(boundary) if self.open.len() < MAX_DEPTH => self.open.push(Open {
                part: index,
                boundary,
            }),
            _ => self.leaf = Some(index),
        }
        Ok(())
    }
}
