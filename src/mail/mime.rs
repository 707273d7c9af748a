//! From the raw bytes of a message to what postroom keeps of it (RFC 5322, RFC 2045 to 2049).
//!
//! The parts are found by a walk of our own: one pass, no recursion, capped. The library reads the fields,
//! the charsets and the dates; its walk descends into enclosed messages without a limit and would overflow
//! the stack on a hostile one, and it holds every attachment decoded. Nothing here may do I/O or know where
//! a message is stored; HTML is `mail::html`'s affair.

mod body;
mod header;
mod lines;
mod scan;
mod structure;

#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;

use crate::model::attachment::{ParsedAttachment, PartSpan};
use crate::model::message::Parsed;

use super::decode;
use structure::Part;

/// At most this many parts of a message are looked at; what follows them is ignored.
pub const MAX_PARTS: usize = 1_000;
/// At most this many bytes of a header are read.
pub const MAX_HEADER: usize = 256 * 1024;
/// At most this many bytes of readable text, and as many of HTML, are kept of a message.
pub const MAX_TEXT: usize = 1024 * 1024;

/// Reads a message. It never fails and never panics: what cannot be read is left out.
///
/// It takes time (up to seconds for hostile HTML) and belongs on a blocking thread.
pub fn parse(raw: &[u8]) -> Parsed {
    // Bytes that are at hand can always be read.
    parse_from(&mut Cursor::new(raw)).unwrap_or_default()
}

/// Reads a message, as [`parse`] does, that may lie in a file: of its raw bytes no more is held than of a header and a text,
/// however large it is.
///
/// # Errors
/// The file cannot be read.
pub fn parse_from(raw: &mut (impl BufRead + Seek)) -> io::Result<Parsed> {
    let parts = structure::walk(raw)?;
    let mut header = Vec::new();
    if let Some(root) = parts.first() {
        piece(raw, &root.header)?
            .take(MAX_HEADER as u64)
            .read_to_end(&mut header)?;
    }
    let mut parsed = header::read(header);
    let chosen = body::choose(&parts);
    parsed.body = body::read(raw, &parts, &chosen)?;
    parsed.snippet = body::snippet(parsed.body.text.as_deref().unwrap_or_default());
    parsed.attachments = parts
        .iter()
        .enumerate()
        .filter(|(index, part)| !part.is_multipart() && !chosen.contains(*index))
        .filter(|(_, part)| parts.len() > 1 || !part.body.is_empty())
        .map(|(_, part)| attachment(raw, &parts, part))
        .collect::<io::Result<_>>()?;
    Ok(parsed)
}

/// Reads a header alone, for a message of which nothing else was fetched.
pub fn parse_header(raw_header: &[u8]) -> Parsed {
    structure::header(&mut Cursor::new(raw_header)).map_or_else(|_| Parsed::default(), header::read)
}

fn attachment(raw: &mut (impl BufRead + Seek), parts: &[Part], part: &Part) -> io::Result<ParsedAttachment> {
    let (size, sha256) = decode::measure(part.field.encoding, piece(raw, &part.body)?)?;
    let related = part
        .parent
        .and_then(|parent| parts.get(parent))
        .is_some_and(Part::is_related);
    Ok(ParsedAttachment {
        name: part.field.name.clone(),
        content_type: part.field.content_type.clone(),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        inline: match part.field.disposition {
            structure::Disposition::Inline => true,
            structure::Disposition::Attachment => false,
            structure::Disposition::Absent => related && part.field.content_id.is_some(),
        },
        content_id: part.field.content_id.clone(),
        sha256,
        span: PartSpan {
            offset: i64::try_from(part.body.start).unwrap_or(i64::MAX),
            length: i64::try_from(part.body.end - part.body.start).unwrap_or(i64::MAX),
            encoding: part.field.encoding,
        },
    })
}

/// The bytes of a range, from its first on.
fn piece<'r>(raw: &'r mut (impl BufRead + Seek), range: &Range<u64>) -> io::Result<impl BufRead + 'r> {
    raw.seek(SeekFrom::Start(range.start))?;
    Ok(raw.take(range.end - range.start))
}
