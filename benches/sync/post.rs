//! The mail that is synced: text of a Zipf vocabulary and attachments, from a fixed seed, laid down as a Maildir.

use std::{fmt::Write as _, fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// Words of the vocabulary; the n-th is n times as rare as the first.
const WORDS: usize = 30_000;
const TEXT_POOL: usize = 8 << 20;
const FILE_POOL: usize = 12 << 20;
const PEOPLE: usize = 400;
/// Every so many messages carry an attachment.
const CARRIER: usize = 4;

/// How large the messages are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// The mean size of a text, in bytes.
    pub(crate) text: f64,
    /// The mean size of an attachment as it is written, in bytes; 0 for none.
    pub(crate) file: f64,
}

impl Sizes {
    /// 25 KB on average, 40 % of it text.
    pub(crate) const MIXED: Self = Self {
        text: 9_800.0,
        file: 58_000.0,
    };
    /// A short text alone.
    pub(crate) const SMALL: Self = Self {
        text: 900.0,
        file: 0.0,
    };
}

/// Writes messages.
pub(crate) struct Writer {
    random: StdRng,
    text: String,
    file: String,
    sizes: Sizes,
    written: usize,
}

impl Writer {
    pub(crate) fn new(seed: u64, sizes: Sizes) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let text = vocabulary_text(&mut random);
        let mut bytes = vec![0; if sizes.file > 0.0 { FILE_POOL } else { 0 }];
        random.fill_bytes(&mut bytes);
        let file = bytes
            .chunks(57)
            .map(|line| STANDARD.encode(line) + "\r\n")
            .collect();
        Self {
            random,
            text,
            file,
            sizes,
            written: 0,
        }
    }

    /// The next message: every other one answers an earlier one.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let number = self.written;
        self.written += 1;
        let from = self.random.random_range(0..PEOPLE);
        let to = self.random.random_range(0..PEOPLE);
        let at = chrono::DateTime::from_timestamp(1_600_000_000 + i64::try_from(number).unwrap() * 61, 0);
        let mut out = format!(
            "Return-Path: <p{from}@example.net>\r\nReceived: from mx.example.net (mx.example.net [192.0.2.7])\r\n\
             \tby mail.example.org with ESMTPS id {number:08x};\r\n\t{date}\r\n\
             From: \"Person {from}\" <p{from}@example.net>\r\nTo: anna@example.org, p{to}@example.net\r\n\
             Date: {date}\r\nMessage-ID: <m{number}@example.net>\r\n",
            date = at.unwrap().to_rfc2822(),
        );
        let start = self.random.random_range(0..TEXT_POOL / 2);
        let subject: Vec<&str> = self.text[start..].split_whitespace().skip(1).take(6).collect();
        write!(out, "Subject: {}\r\n", subject.join(" ")).unwrap();
        if number % 2 == 1 {
            let earlier = number - 1 - self.random.random_range(0..number.min(50));
            write!(
                out,
                "In-Reply-To: <m{earlier}@example.net>\r\nReferences: <m{earlier}@example.net>\r\n"
            )
            .unwrap();
        }
        out.push_str("MIME-Version: 1.0\r\n");
        let size = exponential(&mut self.random, self.sizes.text, 60_000.0);
        let text = lines(&self.text, start, size);
        if self.sizes.file > 0.0 && number.is_multiple_of(CARRIER) {
            let size = exponential(&mut self.random, self.sizes.file, 1_000_000.0);
            let start = self.random.random_range(0..FILE_POOL / 4);
            let file = lines(&self.file, start, size);
            write!(
                out,
                "Content-Type: multipart/mixed; boundary=\"b{number}\"\r\n\r\n--b{number}\r\n\
                 Content-Type: text/plain; charset=utf-8\r\n\r\n{text}--b{number}\r\n\
                 Content-Type: application/pdf; name=\"file{number}.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\
                 Content-Disposition: attachment; filename=\"file{number}.pdf\"\r\n\r\n{file}--b{number}--\r\n"
            )
            .unwrap();
        } else {
            write!(out, "Content-Type: text/plain; charset=utf-8\r\n\r\n{text}").unwrap();
        }
        out.into_bytes()
    }
}

/// Writes so many messages into a new Maildir; answers how many bytes they have. The names carry the sizes, as those of a
/// server's own delivery do.
pub(crate) fn maildir(folder: &Path, count: usize, seed: u64, sizes: Sizes) -> u64 {
    for name in ["cur", "new", "tmp"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    let mut writer = Writer::new(seed, sizes);
    let mut bytes = 0;
    for number in 0..count {
        let message = writer.next();
        let size = message.len();
        bytes += size as u64;
        let second = 1_600_000_000 + number;
        let name = format!("cur/{second}.M{number:07}P1.post,S={size},W={size}:2,");
        fs::write(folder.join(name), message).unwrap();
    }
    bytes
}

/// Whole lines of a pool, from the first that begins at `start` or behind it.
fn lines(pool: &str, start: usize, size: usize) -> &str {
    let start = start + pool[start..].find('\n').unwrap() + 1;
    let end = start + size.max(80).min(pool.len() - start - 80);
    &pool[start..=end + pool[end..].find('\n').unwrap()]
}

fn exponential(random: &mut StdRng, mean: f64, most: f64) -> usize {
    let uniform: f64 = random.random_range(1e-9..1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded, and not negative"
    )]
    let size = (-uniform.ln() * mean).min(most) as usize;
    size
}

fn vocabulary_text(random: &mut StdRng) -> String {
    let words: Vec<String> = (0..WORDS)
        .map(|_| {
            let letters = random.random_range(2..11);
            (0..letters)
                .map(|_| char::from(b'a' + random.random_range(0..26_u8)))
                .collect()
        })
        .collect();
    let mut total = 0.0;
    let mut sums = Vec::with_capacity(WORDS);
    for rank in 1..=WORDS {
        #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
        let weight = 1.0 / rank as f64;
        total += weight;
        sums.push(total);
    }
    let mut text = String::with_capacity(TEXT_POOL + 100);
    let mut line = 0;
    while text.len() < TEXT_POOL {
        let wanted = random.random_range(0.0..total);
        let word = &words[sums.partition_point(|sum| *sum < wanted).min(WORDS - 1)];
        text.push_str(word);
        line += word.len() + 1;
        if line > 70 {
            text.push_str("\r\n");
            line = 0;
        } else {
            text.push(' ');
        }
    }
    text.push_str("\r\n");
    text
}
