//! Tests of the parser: written messages, real ones, broken ones and hostile ones.
#![expect(
    clippy::too_many_lines,
    reason = "a message and what is read of it belong side by side"
)]

mod hostile;
mod real;

use sha2::{Digest, Sha256};

use super::*;
use crate::mail::decode::Decoder;
use crate::model::attachment::TransferEncoding;
use crate::model::message::ParticipantKind;

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/mail/{name}.eml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).expect(&path)
}

/// The decoded content of an attachment, taken from the raw message by its span in small uneven pieces.
pub(super) fn content(raw: &[u8], attachment: &ParsedAttachment) -> Vec<u8> {
    let start = usize::try_from(attachment.span.offset).unwrap();
    let length = usize::try_from(attachment.span.length).unwrap();
    let (mut decoder, mut out) = (Decoder::new(attachment.span.encoding), Vec::new());
    let mut rest = &raw[start..start + length];
    let mut size = 1;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        decoder.push(piece, &mut out);
        (rest, size) = (after, size % 61 + 7);
    }
    decoder.finish(&mut out);
    out
}

/// Checks what must hold of every message, however broken.
pub(super) fn assert_sound(raw: &[u8], parsed: &Parsed) {
    // Of a file only a piece is at hand at a time: as short a one as cuts every line somewhere.
    let mut pieces = io::BufReader::with_capacity(61, Cursor::new(raw));
    assert_eq!(&parse_from(&mut pieces).unwrap(), parsed);
    for attachment in &parsed.attachments {
        let content = content(raw, attachment);
        assert_eq!(i64::try_from(content.len()).unwrap(), attachment.size);
        assert_eq!(<[u8; 32]>::from(Sha256::digest(&content)), attachment.sha256);
        assert_eq!(attachment.content_type, attachment.content_type.to_lowercase());
        assert!(attachment.content_type.contains('/'));
        let name = attachment.name.as_deref().unwrap_or("none");
        assert!(
            !name.is_empty() && !name.contains(['/', '\\', '\0', '\n']),
            "{name:?}"
        );
    }
    assert!(parsed.attachments.len() <= MAX_PARTS);
    assert!(parsed.participants.len() <= crate::model::message::MAX_PARTICIPANTS);
    assert!(parsed.references.len() <= crate::model::message::MAX_REFERENCES);
    assert!(parsed.snippet.chars().count() <= crate::model::message::MAX_SNIPPET_CHARS);
    assert!(
        !strings(parsed).any(|string| string.contains('\0')),
        "a NUL is left"
    );
}

fn strings(parsed: &Parsed) -> impl Iterator<Item = &str> {
    let names = parsed
        .attachments
        .iter()
        .flat_map(|one| [one.name.as_ref(), one.content_id.as_ref()]);
    let people = parsed
        .participants
        .iter()
        .flat_map(|(_, one)| [Some(&one.address), one.name.as_ref()]);
    [
        &parsed.message_id,
        &parsed.in_reply_to,
        &parsed.subject,
        &parsed.body.text,
        &parsed.body.html,
    ]
    .into_iter()
    .map(Option::as_ref)
    .chain(names)
    .chain(people)
    .flatten()
    .chain(&parsed.references)
    .chain([&parsed.snippet])
    .map(String::as_str)
}

fn addresses(parsed: &Parsed, kind: ParticipantKind) -> Vec<(Option<&str>, &str)> {
    let of_kind = parsed.participants.iter().filter(|(one, _)| *one == kind);
    of_kind
        .map(|(_, one)| (one.name.as_deref(), one.address.as_str()))
        .collect()
}

#[test]
fn alternatives_pictures_and_a_footer() {
    let raw = fixture("alternative");
    let parsed = parse(&raw);
    assert_sound(&raw, &parsed);
    assert_eq!(parsed.subject.as_deref(), Some("Grüße aus Köln"));
    assert_eq!(
        parsed.message_id.as_deref(),
        Some("three.alternatives@example.org")
    );
    assert_eq!(parsed.in_reply_to.as_deref(), Some("two@example.com"));
    assert_eq!(parsed.references, ["one@example.com", "two@example.com"]);
    assert_eq!(parsed.sent_at.unwrap().to_rfc3339(), "2025-06-25T14:10:40+00:00");
    assert_eq!(
        addresses(&parsed, ParticipantKind::From),
        [(Some("Jürgen Müller"), "juergen@example.org")]
    );
    assert_eq!(
        addresses(&parsed, ParticipantKind::To),
        [
            (Some("Ada, Countess"), "ada@example.com"),
            (None, "bob@example.com"),
            (Some("Carol"), "carol@example.com")
        ]
    );
    assert_eq!(addresses(&parsed, ParticipantKind::Cc), []);
    assert_eq!(
        addresses(&parsed, ParticipantKind::ReplyTo),
        [(None, "answers@example.org")]
    );
    let text = parsed.body.text.unwrap();
    assert_eq!(
        text,
        "> You wrote this.\nHello Ada,\n\nthe price is € 5.\nThe footer of a list."
    );
    assert_eq!(
        parsed.snippet,
        "Hello Ada, the price is € 5. The footer of a list."
    );
    let html = parsed.body.html.unwrap();
    assert!(
        html.contains("<b>Ada</b>") && html.contains("cid:logo@example.org"),
        "{html}"
    );
    assert!(html.contains("The footer of a list."), "{html}");
    assert!(
        !html.contains("evil") && !html.contains("Hidden") && !html.contains("color"),
        "{html}"
    );
    let kinds: Vec<_> = parsed
        .attachments
        .iter()
        .map(|one| (one.content_type.as_str(), one.inline))
        .collect();
    assert_eq!(kinds, [("image/png", true), ("text/calendar", false)]);
    assert_eq!(
        parsed.attachments[0].content_id.as_deref(),
        Some("logo@example.org")
    );
    assert_eq!(content(&raw, &parsed.attachments[0]), b"\x89PNG\r\n\x1a\n");
    assert_eq!(
        content(&raw, &parsed.attachments[1]),
        b"BEGIN:VCALENDAR\r\nEND:VCALENDAR"
    );
}

#[test]
fn many_charsets_become_unicode() {
    let raw = fixture("charsets");
    let parsed = parse(&raw);
    assert_sound(&raw, &parsed);
    assert_eq!(parsed.subject.as_deref(), Some("你好日本привет"));
    assert_eq!(
        parsed.body.text.unwrap(),
        "café\nПривет\n你好\n日本\n안녕\nunnamed, é is UTF-8\nunnamed, é is not\n\u{fffd}"
    );
    assert_eq!(parsed.attachments, []);
}

#[test]
fn names_are_decoded_and_harmless() {
    let raw = fixture("names");
    let parsed = parse(&raw);
    assert_sound(&raw, &parsed);
    let got: Vec<_> = parsed
        .attachments
        .iter()
        .map(|one| (one.name.as_deref(), one.content_type.as_str(), one.size))
        .collect();
    assert_eq!(
        got,
        [
            (Some("résumé of Ada.pdf"), "application/pdf", 4),
            (Some("épée.zip"), "application/zip", 2),
            (Some("passwd"), "text/plain", 4),
            (Some("evil.gif"), "image/gif", 3),
            (None, "application/octet-stream", 4),
        ]
    );
    assert_eq!(parsed.attachments[3].span.encoding, TransferEncoding::Identity);
    assert!(parsed.attachments[3].inline);
    assert_eq!((parsed.body.text, parsed.body.html), (None, None));
}

#[test]
fn enclosed_messages_stay_closed() {
    let raw = fixture("enclosed");
    let parsed = parse(&raw);
    assert_sound(&raw, &parsed);
    assert_eq!(parsed.message_id.as_deref(), Some("outer@example.org"));
    assert_eq!(parsed.body.text.as_deref(), Some("See below."));
    let kinds: Vec<_> = parsed
        .attachments
        .iter()
        .map(|one| one.content_type.as_str())
        .collect();
    assert_eq!(kinds, ["message/rfc822"; 3]);
    assert_eq!(parsed.attachments[0].name.as_deref(), Some("news.eml"));
    let enclosed = content(&raw, &parsed.attachments[0]);
    let inner = parse(&enclosed);
    assert_eq!(inner.subject.as_deref(), Some("news"));
    assert_eq!(inner.body.text.as_deref(), Some("The news."));
    assert_eq!(inner.attachments.len(), 1);
    assert_eq!(
        parse(&content(&raw, &parsed.attachments[2])).subject.as_deref(),
        Some("second of the digest")
    );
}

#[test]
fn a_wrong_boundary_and_wrong_fields_are_survived() {
    let raw = fixture("broken_boundary");
    let parsed = parse(&raw);
    assert_sound(&raw, &parsed);
    assert_eq!(parsed.body.text.as_deref(), Some("Readable all the same."));
    assert_eq!(parsed.attachments.len(), 1);
    assert_eq!(content(&raw, &parsed.attachments[0]), [0, 1, 2, 3, 4, 5]);
    assert_eq!(parsed.message_id.as_deref(), Some("no-brackets@example.org"));
    assert_eq!(parsed.in_reply_to.as_deref(), Some("asked@example.com"));
    assert_eq!(parsed.sent_at, None);
    assert_eq!(
        addresses(&parsed, ParticipantKind::To),
        [(None, "ok@example.com")]
    );
}

#[test]
fn a_header_alone_is_read_as_in_the_whole_message() {
    let raw = fixture("alternative");
    let (mut whole, header) = (parse(&raw), parse_header(&raw));
    whole.body = crate::model::message::Body::default();
    whole.snippet.clear();
    whole.attachments.clear();
    assert_eq!(whole, header);
    assert_eq!(
        parse_header(b"Subject: no line end").subject.as_deref(),
        Some("no line end")
    );
    assert_eq!(parse_header(b""), Parsed::default());
}

#[test]
fn the_scan_finds_what_the_library_would() {
    let scanned = scan::read(
        b"Message-ID: <one@example.com>\nReferences: <a@b>\n <c@d>\nIn-Reply-To: x <c@d>\nsubject: Hi\n there\n\
          From: \"A\" <a@example.com>\nTo: b@example.com, C <c@example.com>\n",
    );
    assert_eq!(scanned.message_id.as_deref(), Some("one@example.com"));
    assert_eq!(scanned.references, ["a@b", "c@d"]);
    assert_eq!(scanned.in_reply_to.as_deref(), Some("c@d"));
    assert_eq!(scanned.subject.as_deref(), Some("Hi there"));
    let addresses: Vec<_> = scanned
        .participants
        .iter()
        .map(|(_, one)| one.address.as_str())
        .collect();
    assert_eq!(addresses, ["a@example.com", "b@example.com", "c@example.com"]);
}

#[test]
fn a_line_without_end_is_passed_over_and_what_follows_it_is_read() {
    let long = "x".repeat(100_000);
    for end in ["\n", "\r\n"] {
        let raw = [
            &format!("Content-Type: multipart/mixed; boundary=b\nX-Long: {long}"),
            "",
            "--b",
            "Content-Type: application/octet-stream",
            "",
            &format!("--b{long}"),
            &"-".repeat(8 * 1024),
            "--b--",
            "",
        ]
        .join(end);
        let parsed = parse(raw.as_bytes());
        assert_sound(raw.as_bytes(), &parsed);
        let sizes: Vec<_> = parsed.attachments.iter().map(|one| one.size).collect();
        let expected = 3 + long.len() + end.len() + 8 * 1024;
        assert_eq!(sizes, [i64::try_from(expected).unwrap()]);
    }
}

#[test]
fn html_alone_gives_text_and_a_single_attachment_is_one() {
    let html = parse(b"Content-Type: text/html\n\n<meta charset=\"windows-1252\"><p>caf\xe9</p><p>two");
    assert_eq!(html.body.text.as_deref(), Some("café\n\ntwo"));
    assert_eq!(html.snippet, "café two");
    let file = parse(b"Content-Type: application/pdf; name=a.pdf\n\n%PDF");
    assert_eq!(file.attachments.len(), 1);
    assert_eq!((file.body.text, file.attachments[0].size), (None, 4));
    let blank = "Content-Type: multipart/alternative; boundary=b\n\n--b\n\n \n--b\nContent-Type: text/html\n\n<p>x</p>\n--b--";
    assert_eq!(parse(blank.as_bytes()).body.text.as_deref(), Some("x"));
}
