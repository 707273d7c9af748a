//! Hostile messages: too many, too deep, too long. That each test ends is a part of what it tests.

use std::fmt::Write;

use super::*;
use crate::model::message::{MAX_PARTICIPANTS, MAX_REFERENCES, MAX_SNIPPET_CHARS};

#[test]
fn parts_beyond_the_limit_are_ignored() {
    let part = "--b\nContent-Type: application/octet-stream\n\nx\n";
    let raw = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}--b--",
        part.repeat(50_000)
    );
    let parsed = parse(raw.as_bytes());
    assert_sound(raw.as_bytes(), &parsed);
    assert_eq!(parsed.attachments.len(), MAX_PARTS - 1);
}

#[test]
fn nested_messages_and_multiparts_do_not_overflow_the_stack() {
    let enclosed = "Content-Type: message/rfc822\n\n".repeat(200_000);
    let parsed = parse(enclosed.as_bytes());
    assert_eq!(parsed.attachments.len(), 1);
    let same = "Content-Type: multipart/mixed; boundary=b\n\n--b\n".repeat(100_000);
    assert_sound(same.as_bytes(), &parse(same.as_bytes()));
    let mut deep = String::new();
    for level in 0..50_000 {
        let _ = write!(
            deep,
            "Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n"
        );
    }
    assert_sound(deep.as_bytes(), &parse(deep.as_bytes()));
}

#[test]
fn participants_references_and_header_bytes_are_capped() {
    let mut raw = String::from("To: ");
    for index in 0..600 {
        let _ = write!(raw, "p{index}@example.com,\n ");
    }
    raw.push_str("last@example.com\nReferences:");
    for index in 0..60 {
        let _ = write!(raw, " <r{index}@example.com>");
    }
    raw.push_str("\nMessage-ID: <kept@example.com>\n");
    while raw.len() < 300_000 {
        raw.push_str("X-Filler: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n");
    }
    raw.push_str("Subject: beyond the limit\n\nbody");
    let parsed = parse(raw.as_bytes());
    assert_sound(raw.as_bytes(), &parsed);
    assert_eq!(parsed.participants.len(), MAX_PARTICIPANTS);
    assert_eq!(parsed.references.len(), MAX_REFERENCES);
    assert_eq!(
        parsed.references.last().map(String::as_str),
        Some("r59@example.com")
    );
    assert_eq!(parsed.message_id.as_deref(), Some("kept@example.com"));
    assert_eq!(parsed.subject, None);
    assert_eq!(parsed.body.text.as_deref(), Some("body"));
}

#[test]
fn one_endless_field_of_every_kind_ends() {
    for field in [
        "Subject: ",
        "From: ",
        "To: ",
        "Date: ",
        "References: ",
        "Content-Type: text/plain; ",
        "Content-Disposition: x; ",
    ] {
        for filler in [
            "(",
            "<",
            "\"",
            "a,",
            "=?utf-8?Q?a?= ",
            "=?utf-8?B?",
            "a:;",
            "x*0=y;",
            "x*1*=%20;",
            "\\",
            "\n ",
            "<a@b>",
            "9 ",
        ] {
            let raw = format!("{field}{}\n\nbody", filler.repeat(250_000 / filler.len()));
            assert_sound(raw.as_bytes(), &parse(raw.as_bytes()));
        }
    }
}

#[test]
fn nul_is_removed_everywhere() {
    let raw = b"Subject: a\0b\nFrom: \"n\0n\" <x\0y@example.com>\nMessage-ID: <i\0d@example.com>\n\
        Content-Type: multipart/mixed; boundary=b\n\n--b\n\nte\0xt\n--b\nContent-Type: text/html\n\n<p>h\0tml</p>\n\
        --b\nContent-Type: application/x; name=\"a\0b\"\n\nbytes \0 stay\n--b--";
    let parsed = parse(raw);
    assert_sound(raw, &parsed);
    assert_eq!(parsed.subject.as_deref(), Some("ab"));
    assert_eq!(parsed.message_id.as_deref(), Some("id@example.com"));
    assert_eq!(parsed.attachments[0].name.as_deref(), Some("ab"));
    assert_eq!(content(raw, &parsed.attachments[0]), b"bytes \0 stay");
}

#[test]
fn a_snippet_is_short_folded_and_its_own() {
    let quoted = parse(b"Subject: x\n\n> only\n> quoted\n");
    assert_eq!(quoted.snippet, "> only > quoted");
    let long = parse(format!("Subject: x\n\n{}", "wörd \u{200c}\t\r\n".repeat(500)).as_bytes());
    assert_eq!(
        long.snippet.chars().count(),
        MAX_SNIPPET_CHARS - 1,
        "the blank at the cut is dropped"
    );
    assert!(long.snippet.ends_with("wörd"));
    let word = parse(format!("Subject: x\n\n{}", "é".repeat(5_000)).as_bytes());
    assert_eq!(word.snippet.chars().count(), MAX_SNIPPET_CHARS);
}

#[test]
fn text_is_capped() {
    let unnamed = parse(format!("Subject: x\n\n1{}", "é".repeat(MAX_TEXT)).as_bytes())
        .body
        .text
        .unwrap();
    assert!(
        unnamed.len() <= MAX_TEXT && unnamed.ends_with('é'),
        "cut between characters"
    );
    let raw = format!(
        "Content-Type: text/plain; charset=iso-8859-1\n\n{}",
        "é".repeat(2 * MAX_TEXT)
    );
    assert!(parse(raw.as_bytes()).body.text.unwrap().len() <= MAX_TEXT);
}
