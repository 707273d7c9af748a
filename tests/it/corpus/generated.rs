//! Messages that are made up from a seed: in many charsets and encodings, whole ones and broken ones.

use base64::{Engine, engine::general_purpose::STANDARD};
use encoding_rs::Encoding;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// Charsets by their names in mail, each with words that it can write.
const CHARSETS: [(&str, &str); 13] = [
    ("utf-8", "Grüße aus Köln, 你好 и привет 😀"),
    ("iso-8859-1", "Grüße, à bientôt, señor"),
    ("iso-8859-2", "Příliš žluťoučký kůň, zażółć gęślą jaźń"),
    ("iso-8859-15", "Prix : 5 €, cœur, Œuvre"),
    ("windows-1251", "Съешь ещё этих мягких булок"),
    ("windows-1252", "“Quoted” – 5 € … naïve"),
    ("koi8-r", "Съешь ещё этих мягких булок"),
    ("iso-2022-jp", "こんにちは、世界。日本語の文"),
    ("shift_jis", "こんにちは、世界。表示と能力"),
    ("euc-jp", "こんにちは、世界。日本語の文"),
    ("gb18030", "你好，世界。中文的句子€"),
    ("big5", "你好，世界。許功蓋的句子"),
    ("euc-kr", "안녕하세요, 세계. 한국어 문장"),
];

/// A made-up message.
pub(super) struct Generated {
    /// As IMAP carries it.
    pub(super) raw: Vec<u8>,
    /// What its text and its subject have to be, where nothing of it is broken.
    pub(super) text: Option<String>,
}

/// So many messages, each unlike the others.
pub(super) fn messages(count: usize, seed: u64) -> Vec<Generated> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..count).map(|number| message(number, &mut random)).collect()
}

fn message(number: usize, random: &mut StdRng) -> Generated {
    let (charset, words) = CHARSETS[number % CHARSETS.len()];
    let text = format!("{words} {number}");
    let (encoded, _, unwritable) = Encoding::for_label(charset.as_bytes()).unwrap().encode(&text);
    assert!(!unwritable, "{charset} cannot write {text}");
    let (encoding, body) = match random.random_range(0..3) {
        0 => ("base64", folded(&STANDARD.encode(&encoded))),
        1 => ("quoted-printable", quoted(&encoded)),
        _ => ("8bit", encoded.to_vec()),
    };
    let mut raw = format!(
        "From: =?{charset}?B?{name}?= <a{number}@example.net>\r\nTo: b@example.org\r\nSubject: =?{charset}?B?{name}?=\r\n\
         Message-ID: <generated-{number}@example.net>\r\nMIME-Version: 1.0\r\n",
        name = STANDARD.encode(&encoded),
    )
    .into_bytes();
    let field = format!(
        "Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    );
    let part = [field.as_bytes(), &body, b"\r\n"].concat();
    if random.random() {
        raw.extend(part);
    } else {
        let boundary = format!("=_{number}");
        let file = folded(&STANDARD.encode(random.random::<[u8; 32]>().repeat(20)));
        raw.extend(
            format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n").bytes(),
        );
        raw.extend(part);
        raw.extend(
            format!("--{boundary}\r\nContent-Type: image/png; name=\"{number}.png\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
                .bytes(),
        );
        raw.extend(file);
        raw.extend(format!("\r\n--{boundary}--\r\n").bytes());
    }
    if random.random_bool(0.5) {
        return Generated {
            raw,
            text: Some(text),
        };
    }
    damage(&mut raw, random);
    // Unlike every other, whatever is left of it.
    raw.extend(format!("\r\n{number}\r\n").bytes());
    Generated {
        raw: super::carried(&raw),
        text: None,
    }
}

/// Breaks a message in one way or several.
fn damage(raw: &mut Vec<u8>, random: &mut StdRng) {
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..raw.len().max(1)).min(raw.len());
        match random.random_range(0..9) {
            0 => raw.truncate(at),
            1 => without(raw, b"boundary="),
            2 => without(raw, b"--=_"),
            3 => without(raw, b"\r\n\r\n"),
            4 => without(raw, b"base64"),
            5 => raw.splice(at..at, *b"\r").for_each(drop),
            6 => raw.splice(at..at, [0xff, 0xfe, 0x00, 0x80]).for_each(drop),
            7 => {
                let pieces: [&[u8]; 4] = [
                    b"\r\n--=_0\r\nContent-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n----\r\n",
                    b"\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n--x",
                    b"=?utf-8?B?!!!!?= =?none?X?y?= =?",
                    b"\r\nContent-Transfer-Encoding: uuencode\r\nContent-Type: ;;;=\r\n\r\n",
                ];
                let piece = pieces.choose(random).unwrap();
                raw.splice(at..at, piece.iter().copied()).for_each(drop);
            }
            _ => raw
                .iter_mut()
                .skip(at)
                .take(40)
                .for_each(|byte| *byte = random.random()),
        }
    }
}

/// Takes the first such bytes out.
fn without(raw: &mut Vec<u8>, bytes: &[u8]) {
    if let Some(at) = raw.windows(bytes.len()).position(|window| window == bytes) {
        raw.drain(at..at + bytes.len());
    }
}

fn folded(text: &str) -> Vec<u8> {
    let lines: Vec<&[u8]> = text.as_bytes().chunks(76).collect();
    lines.join(&b"\r\n"[..])
}

/// Quoted-printable, with a soft break after every 20 bytes.
fn quoted(bytes: &[u8]) -> Vec<u8> {
    let lines: Vec<String> = bytes
        .chunks(20)
        .map(|line| {
            line.iter()
                .fold(String::new(), |text, byte| text + &format!("={byte:02X}"))
        })
        .collect();
    lines.join("=\r\n").into_bytes()
}
