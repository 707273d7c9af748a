//! The fields of a header, read by the library and made clean.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use mail_parser::{Addr, HeaderName, HeaderValue, Message, MessageParser, MimeHeaders};

use crate::model::attachment::TransferEncoding;
use crate::model::message::{Address, MAX_PARTICIPANTS, MAX_REFERENCES, Parsed, ParticipantKind};
use crate::model::thread::normalise_id;

use super::structure::{Disposition, PartField};
use super::{MAX_HEADER, scan};

/// A subject and a display name are cut to this many characters.
const MAX_WORDS: usize = 2_000;
/// An address longer than this is dropped (RFC 5321, 4.5.3.1.3, allows 256).
const MAX_ADDRESS: usize = 1_000;
/// A file name is cut to this many characters.
const MAX_NAME: usize = 255;

/// The header of a message; where the library gives up, what a plain scan finds.
pub(super) fn read(header: Vec<u8>) -> Parsed {
    let header = terminated(header);
    with_library(&header, envelope).unwrap_or_else(|| scan::read(&header))
}

/// The header of one part; where the library gives up, plain text.
pub(super) fn part(header: Vec<u8>) -> PartField {
    with_library(&terminated(header), part_field).unwrap_or_default()
}

/// A header that ends as one does: the library ignores an open last line. One that was cut loses its last line.
fn terminated(mut header: Vec<u8>) -> Vec<u8> {
    if header.len() >= MAX_HEADER {
        let last = header.iter().rposition(|&byte| byte == b'\n');
        header.truncate(last.unwrap_or(MAX_HEADER));
    }
    header.extend_from_slice(b"\r\n\r\n");
    header
}

fn with_library<T>(header: &[u8], read: impl FnOnce(&Message<'_>) -> T) -> Option<T> {
    static PARSER: LazyLock<MessageParser> = LazyLock::new(|| {
        MessageParser::new()
            .with_minimal_headers()
            .header_id(HeaderName::MessageId)
            .header_id(HeaderName::InReplyTo)
            .header_id(HeaderName::References)
            .default_header_ignore()
    });
    catch_unwind(AssertUnwindSafe(|| {
        PARSER.parse_headers(header).map(|message| read(&message))
    }))
    .ok()
    .flatten()
}

fn envelope(message: &Message<'_>) -> Parsed {
    let mut references = ids(message.references());
    references.drain(..references.len().saturating_sub(MAX_REFERENCES));
    Parsed {
        message_id: message
            .header(HeaderName::MessageId)
            .and_then(|value| ids(value).into_iter().next()),
        in_reply_to: ids(message.in_reply_to()).into_iter().next(),
        references,
        subject: message.subject().map(words).filter(|subject| !subject.is_empty()),
        participants: participants(message),
        sent_at: message.date().and_then(time),
        ..Parsed::default()
    }
}

/// The ids of a field without angle brackets; where there are none, the words that look like one.
fn ids(value: &HeaderValue<'_>) -> Vec<String> {
    match value {
        HeaderValue::Text(text) => bare_ids(text),
        HeaderValue::TextList(list) => list.iter().filter_map(|id| normalise_id(id)).collect(),
        _ => Vec::new(),
    }
}

/// One id, broken over lines perhaps, or several without brackets.
pub(super) fn bare_ids(text: &str) -> Vec<String> {
    if text.matches('@').count() <= 1 && !text.contains(' ') {
        return normalise_id(text).into_iter().collect();
    }
    text.split_whitespace()
        .filter(|word| word.contains('@'))
        .filter_map(normalise_id)
        .collect()
}

fn participants(message: &Message<'_>) -> Vec<(ParticipantKind, Address)> {
    let of = |kind, name: HeaderName<'static>| {
        message
            .header_values(name)
            .filter_map(HeaderValue::as_address)
            .flat_map(mail_parser::Address::iter)
            .filter_map(address)
            .map(move |address| (kind, address))
            .collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    for kind in ParticipantKind::ALL {
        all.extend(match kind {
            ParticipantKind::From => of(kind, HeaderName::From),
            ParticipantKind::To => of(kind, HeaderName::To),
            ParticipantKind::Cc => of(kind, HeaderName::Cc),
            ParticipantKind::Bcc => of(kind, HeaderName::Bcc),
            ParticipantKind::ReplyTo => of(kind, HeaderName::ReplyTo),
        });
    }
    all.truncate(MAX_PARTICIPANTS);
    all
}

fn address(one: &Addr<'_>) -> Option<Address> {
    new_address(one.name.as_deref(), one.address.as_deref()?)
}

/// A participant, unless what stands for the address cannot be one.
pub(super) fn new_address(name: Option<&str>, address: &str) -> Option<Address> {
    let address = words(address);
    let is_one = !address.is_empty()
        && address.len() <= MAX_ADDRESS
        && (address.contains('@') || !address.contains(char::is_whitespace));
    is_one.then(|| Address {
        name: name.map(words).filter(|name| !name.is_empty()),
        address,
    })
}

fn time(date: &mail_parser::DateTime) -> Option<DateTime<Utc>> {
    let mut date = *date;
    // A leap second is the last second of its minute.
    date.second = date.second.min(if date.second == 60 { 59 } else { u8::MAX });
    date.is_valid()
        .then(|| DateTime::from_timestamp(date.to_timestamp(), 0))
        .flatten()
}

/// Decoded words on one line: without control characters, trimmed and cut.
pub(super) fn words(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|char| {
            if matches!(char, '\t' | '\r' | '\n') {
                ' '
            } else {
                char
            }
        })
        .filter(|char| !char.is_control())
        .take(MAX_WORDS)
        .collect();
    line.trim().to_owned()
}

fn part_field(message: &Message<'_>) -> PartField {
    let declared = message.content_type();
    let disposition = message.content_disposition();
    let name = disposition
        .and_then(|field| field.attribute("filename"))
        .or_else(|| declared.and_then(|field| field.attribute("name")));
    PartField {
        content_type: declared.map_or_else(|| "text/plain".to_owned(), media_type),
        typed: declared.is_some(),
        charset: declared
            .and_then(|field| field.attribute("charset"))
            .map(ToOwned::to_owned),
        boundary: declared
            .and_then(|field| field.attribute("boundary"))
            .map(|boundary| boundary.as_bytes().trim_ascii_end().to_vec())
            .filter(|boundary| !boundary.is_empty()),
        disposition: match disposition {
            None => Disposition::Absent,
            Some(field) if field.is_inline() => Disposition::Inline,
            // RFC 2183, section 2.8: an unknown disposition is an attachment.
            Some(_) => Disposition::Attachment,
        },
        name: name.and_then(file_name),
        content_id: message.content_id().and_then(normalise_id),
        encoding: match message
            .content_transfer_encoding()
            .map(|word| word.trim().to_ascii_lowercase())
            .as_deref()
        {
            Some("base64") => TransferEncoding::Base64,
            Some("quoted-printable") => TransferEncoding::QuotedPrintable,
            _ => TransferEncoding::Identity,
        },
    }
}

/// `type/subtype` in lower case; what is not one is plain text (RFC 2045, section 5.2).
fn media_type(field: &mail_parser::ContentType<'_>) -> String {
    let word = |text: &str| {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
        (!text.is_empty() && text.len() <= 127 && text.bytes().all(is_token))
            .then(|| text.to_ascii_lowercase())
    };
    match (word(&field.c_type), field.c_subtype.as_deref().and_then(word)) {
        (Some(kind), Some(subtype)) => format!("{kind}/{subtype}"),
        (Some(kind), None) if kind == "multipart" => "multipart/mixed".to_owned(),
        (Some(kind), None) if kind != "text" => "application/octet-stream".to_owned(),
        _ => "text/plain".to_owned(),
    }
}

/// A file name without its path, control characters and marks that turn the direction of writing.
fn file_name(name: &str) -> Option<String> {
    let turns =
        |char| matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let name: String = name
        .chars()
        .filter(|&char| !char.is_control() && !turns(char))
        .collect();
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let name: String = name.chars().take(MAX_NAME).collect();
    (!name.chars().all(|char| char == '.')).then_some(name)
}
