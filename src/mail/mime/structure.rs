//! Where the parts of a message lie: one linear pass over its lines (RFC 2046, section 5.1).

use std::ops::Range;

use crate::model::attachment::TransferEncoding;

use super::{MAX_PARTS, header};

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
    pub(super) header: Range<usize>,
    pub(super) body: Range<usize>,
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
pub(super) fn walk(raw: &[u8]) -> Vec<Part> {
    let mut parts = Walk::run(raw, None);
    let broken = parts
        .first()
        .is_some_and(|root| declares_parts(root) && root.children.is_empty());
    if broken && let Some(boundary) = parts.first().and_then(|root| guess_boundary(raw, &root.body)) {
        parts = Walk::run(raw, Some(boundary));
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
    parts
}

fn declares_parts(part: &Part) -> bool {
    part.field.content_type.starts_with("multipart/")
}

/// Where a header ends that starts at the first byte: after its empty line, or at the end.
pub(super) fn header_end(raw: &[u8]) -> usize {
    let mut at = skip_empty_lines(raw);
    while at < raw.len() {
        let end = line_end(raw, at);
        if is_empty_line(raw, at, end) {
            return end;
        }
        at = end;
    }
    raw.len()
}

/// A declared boundary that never occurs: the line that looks like one and is followed by a part's header.
fn guess_boundary(raw: &[u8], body: &Range<usize>) -> Option<Vec<u8>> {
    let mut at = body.start;
    while at < body.end {
        let end = line_end(raw, at);
        let word = raw.get(at..end)?.trim_ascii_end().strip_prefix(b"--");
        let next = raw.get(end..(end + 8).min(body.end))?;
        if let Some(word) = word
            && !word.is_empty()
            && next.eq_ignore_ascii_case(b"content-")
        {
            return Some(word.to_vec());
        }
        at = end;
    }
    None
}

struct Open {
    part: usize,
    boundary: Vec<u8>,
}

struct Walk<'a> {
    raw: &'a [u8],
    parts: Vec<Part>,
    /// The multiparts around the current line, outermost first.
    open: Vec<Open>,
    /// The part without parts of its own that the current line belongs to.
    leaf: Option<usize>,
    /// The boundary of the whole message where the declared one is wrong.
    boundary: Option<Vec<u8>>,
}

impl<'a> Walk<'a> {
    fn run(raw: &'a [u8], boundary: Option<Vec<u8>>) -> Vec<Part> {
        let mut walk = Self {
            raw,
            parts: Vec::new(),
            open: Vec::new(),
            leaf: None,
            boundary,
        };
        let mut at = walk.start(None, skip_empty_lines(raw));
        while at < raw.len() && !walk.open.is_empty() {
            let end = line_end(raw, at);
            let Some((level, closes)) = walk.delimiter(at, end) else {
                at = end;
                continue;
            };
            walk.close(level + 1, at);
            if closes {
                walk.close(level, at);
            } else if walk.parts.len() < MAX_PARTS {
                let parent = walk.open.last().map(|open| open.part);
                at = walk.start(parent, end);
                continue;
            } else {
                walk.close(0, at);
            }
            at = end;
        }
        walk.close(0, raw.len());
        walk.parts
    }

    /// Which open multipart the line delimits, innermost first, and whether it closes it.
    fn delimiter(&self, at: usize, end: usize) -> Option<(usize, bool)> {
        let line = self.raw.get(at..end)?.strip_prefix(b"--")?.trim_ascii_end();
        self.open.iter().enumerate().rev().find_map(|(level, open)| {
            match line.strip_prefix(&*open.boundary)? {
                b"" => Some((level, false)),
                b"--" => Some((level, true)),
                _ => None,
            }
        })
    }

    /// Ends the current leaf, and every multipart from `level` inwards, before the line at `at`.
    fn close(&mut self, level: usize, at: usize) {
        let closed = self
            .open
            .drain(level.min(self.open.len())..)
            .map(|open| open.part);
        for index in closed.chain(self.leaf.take()) {
            if let Some(part) = self.parts.get_mut(index) {
                part.body.end = if at < self.raw.len() {
                    before_line(self.raw, part.body.start, at)
                } else {
                    at
                };
            }
        }
    }

    /// Reads the part whose header starts at `at`, and answers where its body starts.
    fn start(&mut self, parent: Option<usize>, at: usize) -> usize {
        let (header, body) = self.header(at);
        let mut field = header::part(super::slice(self.raw, &header));
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
        body
    }

    /// The header that starts at `at`, and where the body after it starts.
    fn header(&self, start: usize) -> (Range<usize>, usize) {
        let mut at = start;
        while at < self.raw.len() {
            let end = line_end(self.raw, at);
            if is_empty_line(self.raw, at, end) {
                return (start..at, end);
            }
            if self.delimiter(at, end).is_some() {
                return (start..at, at);
            }
            at = end;
        }
        (start..at, at)
    }
}

/// The index after the line feed that ends the line at `at`.
fn line_end(raw: &[u8], at: usize) -> usize {
    let rest = raw.get(at..).unwrap_or_default();
    rest.iter()
        .position(|&byte| byte == b'\n')
        .map_or(raw.len(), |length| at + length + 1)
}

fn is_empty_line(raw: &[u8], at: usize, end: usize) -> bool {
    matches!(raw.get(at..end), Some(b"\n" | b"\r\n"))
}

fn skip_empty_lines(raw: &[u8]) -> usize {
    raw.iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))
        .unwrap_or(raw.len())
}

/// The end of what precedes the line at `at`: its line break belongs to the delimiter (RFC 2046, 5.1.1).
fn before_line(raw: &[u8], start: usize, at: usize) -> usize {
    let body = raw.get(start..at).unwrap_or_default();
    let body = body
        .strip_suffix(b"\n")
        .map_or(body, |body| body.strip_suffix(b"\r").unwrap_or(body));
    start + body.len()
}
