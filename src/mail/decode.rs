//! Streaming decoding of a part's transfer encoding (RFC 2045, sections 6.7 and 6.8).

use std::io::{self, BufRead};

use sha2::{Digest, Sha256};

use crate::model::attachment::TransferEncoding;

/// White space at a line's end is held back up to this many bytes; a longer run is kept as written.
const MAX_HELD: usize = 1024;
/// How many encoded bytes are decoded at a time.
const STEP: usize = 32 * 1024;

/// Decodes a part piece by piece; what comes out does not depend on how the input is cut.
///
/// It never fails: in base64 whatever is not of its alphabet is skipped, in quoted-printable an `=` that
/// introduces nothing is kept as written. It holds at most about 1 KiB between two pieces.
#[derive(Debug, Clone)]
pub struct Decoder {
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Identity,
    Base64 { bits: u32, digits: u8 },
    QuotedPrintable { at: Qp, held: Vec<u8> },
}

/// Where in a quoted-printable line the decoder stands.
#[derive(Debug, Clone, Copy)]
enum Qp {
    Text,
    /// After `=`.
    Equals,
    /// After `=` and one hexadecimal digit, as written and as a number.
    Digit(u8, u8),
    /// After `=` and white space.
    Padding,
    /// After `=` and CR.
    SoftBreak,
}

impl Decoder {
    /// A decoder at the start of a part's body.
    pub const fn new(encoding: TransferEncoding) -> Self {
        let state = match encoding {
            TransferEncoding::Identity => State::Identity,
            TransferEncoding::Base64 => State::Base64 { bits: 0, digits: 0 },
            TransferEncoding::QuotedPrintable => State::QuotedPrintable {
                at: Qp::Text,
                held: Vec::new(),
            },
        };
        Self { state }
    }

    /// Decodes the next piece and appends what it yields to `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity => out.extend_from_slice(piece),
            State::Base64 { bits, digits } => {
                let mut rest = piece;
                while let Some((&byte, after)) = rest.split_first() {
                    // Whole groups are nearly all that there is.
                    if *digits == 0
                        && let Some((group, after)) = rest.split_first_chunk()
                        && let Some(bytes) = decode_group(*group)
                    {
                        out.extend_from_slice(&bytes);
                        rest = after;
                    } else {
                        push_base64(byte, bits, digits, out);
                        rest = after;
                    }
                }
            }
            State::QuotedPrintable { at, held } => {
                for &byte in piece {
                    *at = push_quoted(byte, *at, held, out);
                }
            }
        }
    }

    /// Appends what is left at the end of the part, and is then at the start of a new one.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity => {}
            State::Base64 { bits, digits } => flush_base64(bits, digits, out),
            State::QuotedPrintable { at, held } => {
                // White space and a soft break at the very end are those of a line's end.
                if let Qp::Digit(written, _) = at {
                    out.extend_from_slice(&[b'=', *written]);
                }
                held.clear();
                *at = Qp::Text;
            }
        }
    }
}

/// What stands in [`SEXTETS`] for a byte that is no digit of base64.
const NO_DIGIT: u8 = 0x80;

/// The value of each byte as a digit of base64 (RFC 4648, section 4).
#[expect(clippy::indexing_slicing, reason = "the compiler runs it")]
const SEXTETS: [u8; 256] = {
    let alphabet = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut sextets = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 64 {
        sextets[alphabet[value as usize] as usize] = value;
        value += 1;
    }
    sextets
};

fn sextet(byte: u8) -> u8 {
    SEXTETS.get(usize::from(byte)).copied().unwrap_or(NO_DIGIT)
}

/// The three bytes of four digits that follow each other.
fn decode_group(group: [u8; 4]) -> Option<[u8; 3]> {
    let [a, b, c, d] = group.map(sextet);
    let bits = (u32::from(a) << 18) | (u32::from(b) << 12) | (u32::from(c) << 6) | u32::from(d);
    let [_, first, second, third] = bits.to_be_bytes();
    ((a | b | c | d) & NO_DIGIT == 0).then_some([first, second, third])
}

fn push_base64(byte: u8, bits: &mut u32, digits: &mut u8, out: &mut Vec<u8>) {
    let value = match sextet(byte) {
        NO_DIGIT if byte == b'=' => return flush_base64(bits, digits, out),
        NO_DIGIT => return,
        value => value,
    };
    *bits = (*bits << 6) | u32::from(value);
    *digits += 1;
    if *digits == 4 {
        let [_, first, second, third] = bits.to_be_bytes();
        out.extend_from_slice(&[first, second, third]);
        (*bits, *digits) = (0, 0);
    }
}

/// Writes the one or two bytes of a last group; a single digit is not a byte and is dropped.
fn flush_base64(bits: &mut u32, digits: &mut u8, out: &mut Vec<u8>) {
    let [_, first, second, _] = (*bits << (6 * (4 - u32::from(*digits)))).to_be_bytes();
    match *digits {
        2 => out.push(first),
        3 => out.extend_from_slice(&[first, second]),
        _ => {}
    }
    (*bits, *digits) = (0, 0);
}

fn push_quoted(byte: u8, at: Qp, held: &mut Vec<u8>, out: &mut Vec<u8>) -> Qp {
    match (at, byte) {
        (Qp::SoftBreak, b'\n') => Qp::Text,
        (Qp::Text | Qp::SoftBreak, _) => push_text(byte, held, out),
        (Qp::Equals | Qp::Padding, b'\r') => {
            held.clear();
            Qp::SoftBreak
        }
        (Qp::Equals | Qp::Padding, b'\n') => {
            held.clear();
            Qp::Text
        }
        (Qp::Equals | Qp::Padding, b' ' | b'\t') => {
            if held.is_empty() {
                held.push(b'=');
            }
            held.push(byte);
            if held.len() < MAX_HELD {
                return Qp::Padding;
            }
            out.append(held);
            Qp::Text
        }
        (Qp::Padding, _) => {
            out.append(held);
            push_text(byte, held, out)
        }
        (Qp::Equals, _) => {
            if let Some(value) = hex(byte) {
                return Qp::Digit(byte, value);
            }
            out.push(b'=');
            push_text(byte, held, out)
        }
        (Qp::Digit(written, high), _) => {
            if let Some(low) = hex(byte) {
                out.push((high << 4) | low);
                return Qp::Text;
            }
            out.extend_from_slice(&[b'=', written]);
            push_text(byte, held, out)
        }
    }
}

/// One byte outside an escape; white space waits in `held` until it is known not to end the line.
fn push_text(byte: u8, held: &mut Vec<u8>, out: &mut Vec<u8>) -> Qp {
    match byte {
        b' ' | b'\t' => {
            held.push(byte);
            if held.len() >= MAX_HELD {
                out.append(held);
            }
        }
        b'\r' | b'\n' => {
            held.clear();
            out.push(byte);
        }
        b'=' => {
            out.append(held);
            return Qp::Equals;
        }
        _ => {
            out.append(held);
            out.push(byte);
        }
    }
    Qp::Text
}

const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// Decodes a part, at most `limit` bytes of it.
///
/// # Errors
/// The part cannot be read.
pub fn decode(encoding: TransferEncoding, encoded: impl BufRead, limit: usize) -> io::Result<Vec<u8>> {
    let mut whole = Vec::new();
    stream(encoding, encoded, |decoded| {
        whole.append(decoded);
        whole.len() < limit
    })?;
    whole.truncate(limit);
    Ok(whole)
}

/// The decoded size in bytes and the SHA-256 of a part, without holding it decoded.
///
/// # Errors
/// The part cannot be read.
pub fn measure(encoding: TransferEncoding, encoded: impl BufRead) -> io::Result<(u64, [u8; 32])> {
    let (mut hash, mut size) = (Sha256::new(), 0);
    stream(encoding, encoded, |decoded| {
        hash.update(&decoded);
        size += decoded.len() as u64;
        decoded.clear();
        true
    })?;
    Ok((size, hash.finalize().into()))
}

/// Gives what a part decodes to, piece by piece, to `on`, as long as that wants more.
fn stream(
    encoding: TransferEncoding,
    mut encoded: impl BufRead,
    mut on: impl FnMut(&mut Vec<u8>) -> bool,
) -> io::Result<()> {
    let (mut decoder, mut decoded) = (Decoder::new(encoding), Vec::new());
    loop {
        let piece = encoded.fill_buf()?;
        let piece = piece.get(..STEP).unwrap_or(piece);
        let length = piece.len();
        decoder.push(piece, &mut decoded);
        encoded.consume(length);
        if length == 0 {
            decoder.finish(&mut decoded);
        }
        if !on(&mut decoded) || length == 0 {
            return Ok(());
        }
    }
}

/// Cuts the bytes of one HTTP range out of decoded content that streams by.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    skip: u64,
    take: u64,
}

impl Window {
    /// The `length` bytes from the byte at `start` (0 is the first).
    pub const fn new(start: u64, length: u64) -> Self {
        Self {
            skip: start,
            take: length,
        }
    }

    /// Keeps of the next decoded bytes those that lie in the range.
    pub fn keep(&mut self, decoded: &mut Vec<u8>) {
        let skipped = usize::try_from(self.skip)
            .unwrap_or(usize::MAX)
            .min(decoded.len());
        decoded.drain(..skipped);
        self.skip -= skipped as u64;
        decoded.truncate(usize::try_from(self.take).unwrap_or(usize::MAX));
        self.take -= decoded.len() as u64;
    }

    /// True when nothing that follows lies in the range.
    pub const fn is_done(&self) -> bool {
        self.take == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(encoding: TransferEncoding, text: &str) -> String {
        String::from_utf8_lossy(&decode(encoding, text.as_bytes(), usize::MAX).unwrap()).into_owned()
    }

    #[test]
    fn base64_with_and_without_padding_and_with_noise() {
        for (encoded, decoded) in [
            ("VGVzdA==", "Test"),
            ("VGVzdA", "Test"),
            ("VGVz\r\ndA==\r\n", "Test"),
            ("V*G-V_z dA=", "Test"),
            ("VGVzdA==VGVzdA==", "TestTest"),
            ("VGVzd", "Tes"),
            ("====", ""),
            ("", ""),
        ] {
            assert_eq!(all(TransferEncoding::Base64, encoded), decoded, "{encoded}");
        }
    }

    #[test]
    fn quoted_printable_breaks_padding_and_noise() {
        for (encoded, decoded) in [
            ("caf=C3=A9", "café"),
            ("caf=c3=a9", "café"),
            ("a=\r\nb=\nc= \t\r\nd", "abcd"),
            ("a  \r\nb\t\nc ", "a\r\nb\nc"),
            ("a  =20\r\nb", "a   \r\nb"),
            ("1=2=G, = x, =4", "1=2=G, = x, =4"),
            ("a==41", "a=A"),
            ("a= ", "a"),
            ("a=", "a"),
        ] {
            assert_eq!(
                all(TransferEncoding::QuotedPrintable, encoded),
                decoded,
                "{encoded}"
            );
        }
    }

    #[test]
    fn a_long_run_of_spaces_is_not_held() {
        let spaces = " ".repeat(100_000);
        let mut decoder = Decoder::new(TransferEncoding::QuotedPrintable);
        let mut out = Vec::new();
        decoder.push(spaces.as_bytes(), &mut out);
        assert!(out.len() > 98_000, "{}", out.len());
    }

    #[test]
    fn a_window_keeps_its_range() {
        let mut window = Window::new(3, 4);
        let mut got = Vec::new();
        for piece in ["01", "2345", "6789"] {
            let mut decoded = piece.as_bytes().to_vec();
            window.keep(&mut decoded);
            got.extend(decoded);
        }
        assert_eq!(got, b"3456");
        assert!(window.is_done());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_cut_does_not_matter(
            bytes in proptest::collection::vec(prop_oneof![Just(b'='), Just(b' '), Just(b'\r'), Just(b'\n'), Just(b'4'), any::<u8>()], 0..300),
            cuts in proptest::collection::vec(1..20_usize, 1..40),
        ) {
            for encoding in TransferEncoding::ALL {
                let whole = decode(encoding, bytes.as_slice(), usize::MAX).unwrap();
                let (mut decoder, mut out) = (Decoder::new(encoding), Vec::new());
                let (mut rest, mut cut) = (bytes.as_slice(), cuts.iter().cycle());
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at((*cut.next().unwrap_or(&1)).min(rest.len()));
                    decoder.push(piece, &mut out);
                    rest = after;
                }
                decoder.finish(&mut out);
                prop_assert_eq!(&out, &whole);
                let (size, hash) = measure(encoding, bytes.as_slice()).unwrap();
                prop_assert_eq!(size, out.len() as u64);
                prop_assert_eq!(hash, <[u8; 32]>::from(Sha256::digest(&out)));
            }
        }
    }
}
