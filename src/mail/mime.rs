//! From the raw bytes of a message to what postroom keeps of it (RFC 5322, RFC 2045 to 2049).
//!
//! The parts are found by a walk of our own: one pass, no recursion, capped. The library reads the fields,
//! the charsets and the dates; its walk descends into enclosed messages without a limit and would overflow
//! the stack on a hostile one, and it holds every attachment decoded. Nothing here may do I/O or know where
//! a message is stored; HTML is `mail::html`'s affair.

mod body;
mod header;
mod scan;
mod structure;

#[cfg(test)]
mod tests;

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
    let parts = structure::walk(raw);
    let mut parsed = parts
        .first()
        .map_or_else(Parsed::default, |root| header::read(slice(raw, &root.header)));
    let chosen = body::choose(&parts);
    parsed.body = body::read(raw, &parts, &chosen);
    parsed.snippet = body::snippet(parsed.body.text.as_deref().unwrap_or_default());
    parsed.attachments = parts
        .iter()
        .enumerate()
        .filter(|(index, part)| !part.is_multipart() && !chosen.contains(*index))
        .filter(|(_, part)| parts.len() > 1 || !part.body.is_empty())
        .map(|(_, part)| attachment(raw, &parts, part))
        .collect();
    parsed
}

/// Reads a header alone, for a message of which nothing else was fetched.
pub fn parse_header(raw_header: &[u8]) -> Parsed {
    let end = structure::header_end(raw_header);
    header::read(raw_header.get(..end).unwrap_or_default())
}

fn attachment(raw: &[u8], parts: &[Part], part: &Part) -> ParsedAttachment {
    let (size, sha256) = decode::measure(part.field.encoding, slice(raw, &part.body));
    let related = part
        .parent
        .and_then(|parent| parts.get(parent))
        .is_some_and(Part::is_related);
    ParsedAttachment {
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
            length: i64::try_from(part.body.len()).unwrap_or(i64::MAX),
            encoding: part.field.encoding,
        },
    }
}

fn slice<'a>(raw: &'a [u8], range: &std::ops::Range<usize>) -> &'a [u8] {
    raw.get(range.clone()).unwrap_or_default()
}
