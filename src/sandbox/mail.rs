//! Writes MIME messages: headers with encoded words, bodies in old character sets, files, parts within parts.
//!
//! Only for the made-up mail of the sandbox: deterministic, and in as many forms as real mail programs write.

use std::fmt::Write;

use base64::{Engine, prelude::BASE64_STANDARD};
use encoding_rs::{Encoding, UTF_8};

/// Bytes of text in one encoded word, so that the word stays within 75 characters (RFC 2047, 2).
const WORD_BYTES: usize = 39;
/// Characters of a file name in one RFC 2231 section.
const NAME_CHARS: usize = 50;
/// Longest line of an encoded body.
const BODY_LINE: usize = 76;

/// A character set by its MIME name, such as `KOI8-R`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charset(pub(super) &'static str);

impl Charset {
    pub(super) const UTF_8: Self = Self("UTF-8");

    fn encode(self, text: &str) -> Vec<u8> {
        Encoding::for_label(self.0.as_bytes())
            .unwrap_or(UTF_8)
            .encode(text)
            .0
            .into_owned()
    }
}

/// How a text is carried (RFC 2045, 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    /// As it is: for ASCII and for ISO-2022-JP.
    SevenBit,
    /// As it is, with bytes over 127.
    EightBit,
    QuotedPrintable,
    Base64,
}

impl Transfer {
    fn name(self) -> &'static str {
        match self {
            Self::SevenBit => "7bit",
            Self::EightBit => "8bit",
            Self::QuotedPrintable => "quoted-printable",
            Self::Base64 => "base64",
        }
    }

    fn encode(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::SevenBit | Self::EightBit => bytes.to_vec(),
            Self::QuotedPrintable => quoted_printable(bytes),
            Self::Base64 => base64_lines(bytes),
        }
    }
}

/// One MIME part.
#[derive(Clone, Debug)]
pub(super) struct Part {
    headers: Vec<String>,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Bytes(Vec<u8>),
    Parts(Vec<Part>),
}

impl Part {
    /// A text part; `kind` is such as `text/plain` or `text/calendar; method=REQUEST`. Line ends become CRLF.
    pub(super) fn text(kind: &str, text: &str, charset: Charset, transfer: Transfer) -> Self {
        let crlf = text.replace("\r\n", "\n").replace('\n', "\r\n");
        Self {
            headers: vec![
                format!("Content-Type: {kind}; charset={}", charset.0),
                format!("Content-Transfer-Encoding: {}", transfer.name()),
            ],
            body: Body::Bytes(transfer.encode(&charset.encode(&crlf))),
        }
    }

    /// A file to save.
    pub(super) fn attachment(kind: &str, name: &str, bytes: &[u8]) -> Self {
        Self::file(kind, "attachment", name, bytes)
    }

    /// A picture that HTML shows by `cid:`.
    pub(super) fn inline(kind: &str, name: &str, content_id: &str, bytes: &[u8]) -> Self {
        let mut part = Self::file(kind, "inline", name, bytes);
        part.headers.push(format!("Content-ID: <{content_id}>"));
        part
    }

    fn file(kind: &str, disposition: &str, name: &str, bytes: &[u8]) -> Self {
        let mut headers = vec![format!("Content-Type: {kind}")];
        headers.push("Content-Transfer-Encoding: base64".to_owned());
        headers.push(format!(
            "Content-Disposition: {disposition};\r\n {}",
            file_name(name)
        ));
        Self {
            headers,
            body: Body::Bytes(base64_lines(bytes)),
        }
    }

    /// A whole message within a message (RFC 2046, 5.2.1).
    pub(super) fn message(raw: &[u8]) -> Self {
        let headers = vec![
            "Content-Type: message/rfc822".to_owned(),
            "Content-Disposition: inline".to_owned(),
        ];
        Self {
            headers,
            body: Body::Bytes(raw.to_vec()),
        }
    }

    /// Several parts; `kind` is such as `mixed` or `alternative`.
    pub(super) fn multipart(kind: &str, parts: Vec<Self>) -> Self {
        Self {
            headers: vec![format!("Content-Type: multipart/{kind}")],
            body: Body::Parts(parts),
        }
    }

    /// Writes the part; `boundary` must not occur in any text, and grows a number for each level.
    fn write(&self, out: &mut Vec<u8>, boundary: &str) {
        for header in &self.headers {
            out.extend_from_slice(header.as_bytes());
            if matches!(self.body, Body::Parts(_)) && header.starts_with("Content-Type:") {
                out.extend_from_slice(format!(";\r\n boundary=\"{boundary}\"").as_bytes());
            }
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        match &self.body {
            Body::Bytes(bytes) => out.extend_from_slice(bytes),
            Body::Parts(parts) => {
                for (at, part) in parts.iter().enumerate() {
                    out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
                    part.write(out, &format!("{boundary}.{at}"));
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
            }
        }
    }
}

/// Writes a message: the headers as given (a name and an encoded value), then the part's own.
pub(super) fn write(headers: &[(&str, String)], body: &Part, boundary: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in headers {
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    out.extend_from_slice(b"MIME-Version: 1.0\r\n");
    body.write(&mut out, &format!("=_{boundary}"));
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// A header text, with encoded words where it is not ASCII (RFC 2047): Q for mostly Latin text, else B.
pub(super) fn words(text: &str, charset: Charset) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let foreign = text.chars().filter(|c| !c.is_ascii()).count();
    let quoted = foreign * 4 < text.chars().count();
    let mut lines: Vec<String> = Vec::new();
    let mut chunk = String::new();
    for c in text.chars() {
        let longer = charset.encode(&format!("{chunk}{c}"));
        let size = if quoted {
            q_word(&longer).len() * 3 / 4
        } else {
            longer.len()
        };
        if size > WORD_BYTES {
            lines.push(word(&chunk, charset, quoted));
            chunk.clear();
        }
        chunk.push(c);
    }
    lines.push(word(&chunk, charset, quoted));
    lines.join("\r\n ")
}

fn word(text: &str, charset: Charset, quoted: bool) -> String {
    let bytes = charset.encode(text);
    if quoted {
        format!("=?{}?Q?{}?=", charset.0, q_word(&bytes))
    } else {
        format!("=?{}?B?{}?=", charset.0, BASE64_STANDARD.encode(bytes))
    }
}

fn q_word(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        match b {
            b' ' => out.push('_'),
            b if b.is_ascii_alphanumeric() => out.push(char::from(*b)),
            b => push_hex(&mut out, '=', *b),
        }
        out
    })
}

fn push_hex(out: &mut String, mark: char, byte: u8) {
    // Writing to a String cannot fail.
    let _infallible = write!(out, "{mark}{byte:02X}");
}

/// `Name <address>`, the name encoded or quoted where it must be.
pub(super) fn mailbox(name: &str, address: &str, charset: Charset) -> String {
    if name.is_empty() {
        address.to_owned()
    } else if name.is_ascii() && name.contains([',', '.', '(', '"', '@']) {
        format!("\"{}\" <{address}>", name.replace('"', "\\\""))
    } else {
        format!("{} <{address}>", words(name, charset))
    }
}

/// The `filename` parameter, by RFC 2231 where it is not ASCII, in sections where it is long.
fn file_name(name: &str) -> String {
    if name.is_ascii() {
        return format!("filename=\"{name}\"");
    }
    let mut sections = vec![String::new()];
    for c in name.chars() {
        let mut encoded = String::new();
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
            encoded.push(c);
        } else {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                push_hex(&mut encoded, '%', byte);
            }
        }
        match sections.last_mut() {
            Some(last) if last.len() + encoded.len() <= NAME_CHARS => last.push_str(&encoded),
            _ => sections.push(encoded),
        }
    }
    if let [only] = sections.as_slice() {
        return format!("filename*=UTF-8''{only}");
    }
    let numbered = sections.iter().enumerate().map(|(at, section)| {
        let charset = if at == 0 { "UTF-8''" } else { "" };
        format!("filename*{at}*={charset}{section}")
    });
    numbered.collect::<Vec<_>>().join(";\r\n ")
}

fn base64_lines(bytes: &[u8]) -> Vec<u8> {
    // 57 bytes are 76 characters.
    bytes
        .chunks(57)
        .flat_map(|line| {
            BASE64_STANDARD
                .encode(line)
                .into_bytes()
                .into_iter()
                .chain(*b"\r\n")
        })
        .collect()
}

/// Quoted-printable of a text with CRLF line ends (RFC 2045, 6.7).
fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let mut out = String::new();
    for line in bytes.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut width = 0;
        for (at, byte) in line.iter().enumerate() {
            let at_end = at + 1 == line.len();
            let plain =
                matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (matches!(byte, b' ' | b'\t') && !at_end);
            let size = if plain { 1 } else { 3 };
            if width + size >= BODY_LINE {
                out.push_str("=\r\n");
                width = 0;
            }
            if plain {
                out.push(char::from(*byte));
            } else {
                push_hex(&mut out, '=', *byte);
            }
            width += size;
        }
        out.push_str("\r\n");
    }
    // The split gives one line more than there are line ends.
    out.truncate(out.len().saturating_sub(2));
    out.into_bytes()
}

#[cfg(test)]
mod tests {

    use mail_parser::{MessageParser, MimeHeaders};

    use super::*;

    fn parse(raw: &[u8]) -> mail_parser::Message<'_> {
        MessageParser::default().parse(raw).unwrap()
    }

    #[test]
    fn texts_come_back_in_every_charset_and_transfer() {
        let german = "Grüße aus Köln = schön, und eine sehr lange Zeile, die umgebrochen werden muß, weil sie so lang ist. \n.\n";
        let russian = "Добрый день, Мария!\nДоговор во вложении.";
        for (charset, transfer, text) in [
            ("UTF-8", Transfer::QuotedPrintable, german),
            ("ISO-8859-1", Transfer::QuotedPrintable, german),
            ("ISO-8859-1", Transfer::EightBit, german),
            ("KOI8-R", Transfer::Base64, russian),
            ("windows-1251", Transfer::QuotedPrintable, russian),
            (
                "ISO-2022-JP",
                Transfer::SevenBit,
                "お世話になっております。\n会議の件です。",
            ),
            ("GB18030", Transfer::Base64, "您好,合同已经寄出。"),
            ("Big5", Transfer::Base64, "您好,合約已經寄出。"),
            ("EUC-KR", Transfer::Base64, "안녕하세요"),
        ] {
            let part = Part::text("text/plain", text, Charset(charset), transfer);
            let raw = write(
                &[(
                    "Subject",
                    words(text.trim_end_matches(['\n', '.', ' ']), Charset(charset)),
                )],
                &part,
                "b",
            );
            assert!(raw.split(|b| *b == b'\n').all(|l| l.len() < 200), "{charset}");
            let message = parse(&raw);
            let body = message.body_text(0).unwrap();
            assert_eq!(
                body.trim_end(),
                text.replace('\n', "\r\n").trim_end(),
                "{charset} {transfer:?}"
            );
        }
    }

    #[test]
    fn header_words_come_back_and_stay_short() {
        let subject =
            "Ein ziemlich langer Betreff über die Änderungen am Vertrag für die Größenordnung der Lieferung";
        for charset in ["UTF-8", "ISO-8859-1"] {
            let header = words(subject, Charset(charset));
            assert!(header.split("\r\n ").all(|w| w.len() <= 75), "{header}");
            assert!(header.contains("?Q?"));
            let raw = format!("Subject: {header}\r\n\r\n");
            assert_eq!(parse(raw.as_bytes()).subject(), Some(subject));
        }
        let japanese = "【重要】来週の打ち合わせの日程についてのご相談とお願いでございます";
        let header = words(japanese, Charset("ISO-2022-JP"));
        assert!(
            header.split("\r\n ").all(|w| w.len() <= 75) && header.contains("?B?"),
            "{header}"
        );
        assert_eq!(
            parse(format!("Subject: {header}\r\n\r\n").as_bytes()).subject(),
            Some(japanese)
        );
        assert_eq!(
            mailbox("Stone, Avery", "a@b.example", Charset::UTF_8),
            "\"Stone, Avery\" <a@b.example>"
        );
    }

    #[test]
    fn file_names_come_back() {
        for name in [
            "plan.pdf",
            "Übersicht.pdf",
            "見積書と請求書と納品書の一覧表・最終版・確認済み.pdf",
            "a b ü.txt",
        ] {
            let part = Part::multipart(
                "mixed",
                vec![Part::attachment("application/pdf", name, &[0, 255, 7])],
            );
            let raw = write(&[], &part, "b");
            let message = parse(&raw);
            let file = message.attachment(0).unwrap();
            assert_eq!(file.attachment_name(), Some(name));
            assert_eq!(file.contents(), [0, 255, 7]);
        }
    }
}
