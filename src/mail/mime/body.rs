//! Which parts are the readable body (RFC 8621, section 4.1.4), and their text.

use std::io::{self, BufRead, Seek};

use mail_parser::decoders::charsets::map::charset_decoder;

use crate::mail::{decode, html};
use crate::model::message::{Body, MAX_SNIPPET_CHARS};

use super::structure::{Disposition, Part};
use super::{MAX_TEXT, piece};

/// The parts that are shown, by index; one part may be in both lists.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    text: Vec<usize>,
    html: Vec<usize>,
}

impl Chosen {
    pub(super) fn contains(&self, index: usize) -> bool {
        self.text.contains(&index) || self.html.contains(&index)
    }
}

/// Which of the two lists the parts of a multipart go to.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    text: bool,
    html: bool,
    in_alternative: bool,
}

/// Chooses the parts of the body as JMAP does.
pub(super) fn choose(parts: &[Part]) -> Chosen {
    let mut chosen = Chosen::default();
    if !parts.is_empty() {
        choose_among(
            parts,
            &[0],
            "multipart/mixed",
            Wanted {
                text: true,
                html: true,
                in_alternative: false,
            },
            &mut chosen,
        );
    }
    chosen
}

/// The depth of the recursion is that of the multiparts, which the walk bounds.
fn choose_among(parts: &[Part], siblings: &[usize], within: &str, wanted: Wanted, chosen: &mut Chosen) {
    let (had_text, had_html) = (chosen.text.len(), chosen.html.len());
    let alternative = within == "multipart/alternative";
    let mut now = wanted;
    for (position, &index) in siblings.iter().enumerate() {
        let Some(part) = parts.get(index) else { continue };
        let kind = part.field.content_type.as_str();
        if part.is_multipart() {
            let in_alternative = now.in_alternative || kind == "multipart/alternative";
            choose_among(
                parts,
                &part.children,
                kind,
                Wanted {
                    in_alternative,
                    ..now
                },
                chosen,
            );
            continue;
        }
        let is_body = part.field.disposition != Disposition::Attachment
            && matches!(kind, "text/plain" | "text/html")
            && (position == 0 || (within != "multipart/related" && part.field.name.is_none()));
        if !is_body {
            continue;
        }
        let is_html = kind == "text/html";
        if !alternative && now.in_alternative {
            now.text &= !is_html;
            now.html &= is_html;
        }
        if now.text && !(alternative && is_html) {
            chosen.text.push(index);
        }
        if now.html && (is_html || !alternative) {
            chosen.html.push(index);
        }
    }
    if alternative && wanted.text && wanted.html {
        let (text, html) = (chosen.text.split_off(had_text), chosen.html.split_off(had_html));
        chosen.text.extend(if text.is_empty() { &html } else { &text });
        chosen.html.extend(if html.is_empty() { &text } else { &html });
    }
}

/// The text and the sanitised HTML of the chosen parts, each at most [`MAX_TEXT`] bytes of source.
pub(super) fn read(raw: &mut (impl BufRead + Seek), parts: &[Part], chosen: &Chosen) -> io::Result<Body> {
    let is_html = |index: &usize| {
        parts
            .get(*index)
            .is_some_and(|part| part.field.content_type == "text/html")
    };
    let mut source = String::new();
    if chosen.html.iter().any(is_html) {
        for index in &chosen.html {
            let text = text_of(raw, parts, *index, MAX_TEXT.saturating_sub(source.len()))?;
            if is_html(index) {
                source.push_str(&text);
            } else {
                push_escaped(&mut source, &text);
            }
        }
    }
    let html = Some(html::sanitise(&source)).filter(|html| !html.trim().is_empty());
    let (mut text, mut left) = (String::new(), MAX_TEXT);
    for index in &chosen.text {
        let next = text_of(raw, parts, *index, left)?;
        left = left.saturating_sub(next.len());
        let next = if is_html(index) {
            html::to_text(&html::sanitise(&next))
        } else {
            unix_lines(&next)
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&next);
    }
    if text.trim().is_empty() {
        text = html.as_deref().map(html::to_text).unwrap_or_default();
    }
    Ok(Body {
        text: Some(text).filter(|text| !text.trim().is_empty()),
        html,
    })
}

/// The decoded characters of a text part, without NUL.
fn text_of(
    raw: &mut (impl BufRead + Seek),
    parts: &[Part],
    index: usize,
    limit: usize,
) -> io::Result<String> {
    let Some(part) = parts.get(index) else {
        return Ok(String::new());
    };
    let bytes = decode::decode(part.field.encoding, piece(raw, &part.body)?, limit)?;
    let charset = part.field.charset.clone().or_else(|| {
        let head = String::from_utf8_lossy(bytes.get(..1024).unwrap_or(&bytes)).to_ascii_lowercase();
        (part.field.content_type == "text/html")
            .then(|| charset_of_html(&head))
            .flatten()
    });
    let mut text = decode_charset(&bytes, charset.as_deref());
    if text.contains('\0') {
        text.retain(|char| char != '\0');
    }
    text.truncate(text.floor_char_boundary(limit));
    Ok(text)
}

/// The name after the first `charset=`, as in `<meta charset="…">`.
fn charset_of_html(head: &str) -> Option<String> {
    let rest = head
        .split_once("charset=")?
        .1
        .trim_start_matches(['"', '\'', ' ']);
    let end = rest
        .find(|char: char| !(char.is_ascii_alphanumeric() || "-_:.".contains(char)))
        .unwrap_or(rest.len());
    rest.get(..end)
        .map(ToOwned::to_owned)
        .filter(|name| !name.is_empty())
}

/// Unicode from bytes of a named charset. UTF-8 is believed wherever it is valid and no other Unicode or
/// multi-byte charset is named: senders that name none, or ASCII, mean it.
fn decode_charset(bytes: &[u8], charset: Option<&str>) -> String {
    let named = charset.map(|name| name.trim().to_ascii_lowercase());
    let is_vague = matches!(
        named.as_deref(),
        None | Some("" | "us-ascii" | "ascii" | "utf-8" | "utf8" | "unknown-8bit")
    );
    // Bytes that were cut within a character are valid up to there.
    let valid = match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.get(..error.valid_up_to()).unwrap_or_default(),
        _ => bytes,
    };
    if is_vague && let Ok(text) = std::str::from_utf8(valid) {
        return text.trim_start_matches('\u{feff}').to_owned();
    }
    let decoder = match named.as_deref() {
        Some("utf-8" | "utf8") => None,
        Some(name) if !is_vague => charset_decoder(name.as_bytes()),
        _ => charset_decoder(b"windows-1252"),
    };
    decoder.map_or_else(
        || String::from_utf8_lossy(bytes).into_owned(),
        |decode| decode(bytes),
    )
}

/// Plain text within an HTML body, such as the footer of a mailing list.
fn push_escaped(html: &mut String, text: &str) {
    html.push_str("<div>");
    for line in text.lines() {
        for char in line.chars() {
            match char {
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                '&' => html.push_str("&amp;"),
                _ => html.push(char),
            }
        }
        html.push_str("<br>");
    }
    html.push_str("</div>");
}

fn unix_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut lines = text.split('\r');
    out.push_str(lines.next().unwrap_or_default());
    for line in lines {
        if !line.starts_with('\n') {
            out.push('\n');
        }
        out.push_str(line);
    }
    out
}

/// The first words of a text: not those that it quotes, unless it has no other.
pub(super) fn snippet(text: &str) -> String {
    let own = fold(text.lines().filter(|line| !line.trim_start().starts_with('>')));
    if own.is_empty() { fold(text.lines()) } else { own }
}

fn fold<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut snippet = String::new();
    let mut count = 0;
    for word in lines.flat_map(str::split_whitespace) {
        let word = word.chars().filter(|char| !is_filler(*char));
        let before = snippet.len();
        for (position, char) in word.enumerate() {
            if position == 0 && before > 0 {
                snippet.push(' ');
                count += 1;
            }
            if count >= MAX_SNIPPET_CHARS {
                snippet.truncate(snippet.trim_end().len());
                return snippet;
            }
            snippet.push(char);
            count += 1;
        }
    }
    snippet
}

/// Characters without width, with which newsletters push the rest out of a preview.
fn is_filler(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}
