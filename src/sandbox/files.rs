//! Small valid files for the made-up mail: PDF, PNG, JPEG and iCalendar, written in code.

use chrono::{DateTime, TimeDelta, Utc};

/// A one-page PDF 1.4 with lines of ASCII text.
pub(super) fn pdf(lines: &[&str]) -> Vec<u8> {
    let escape = |line: &str| line.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)");
    let shown: Vec<String> = lines
        .iter()
        .map(|line| format!("({}) Tj T*\n", escape(line)))
        .collect();
    let shown = shown.concat();
    let content = format!("BT /F1 12 Tf 16 TL 72 770 Td\n{shown}ET\n");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R \
         /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{content}endstream", content.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut out = "%PDF-1.4\n".to_owned();
    let mut table = vec!["0000000000 65535 f \n".to_owned()];
    for (at, object) in objects.iter().enumerate() {
        table.push(format!("{:010} 00000 n \n", out.len()));
        out.extend([&(at + 1).to_string(), " 0 obj\n", object, "\nendobj\n"]);
    }
    let (start, size, table) = (out.len(), table.len(), table.concat());
    let trailer = format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n");
    out.extend([format!("xref\n0 {size}\n"), table, trailer]);
    out.into_bytes()
}

/// A PNG of `size` by `size` pixels (at most 100), a colour gradient from `tint`.
pub(super) fn png(size: u8, tint: [u8; 3]) -> Vec<u8> {
    let size = size.clamp(1, 100);
    let mut pixels = Vec::new();
    for y in 0..size {
        pixels.push(0);
        for x in 0..size {
            pixels.extend(tint.map(|c| c.saturating_add(x).saturating_add(y / 2)));
        }
    }
    let width = u32::from(size).to_be_bytes();
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    // 8 bits of red, green and blue.
    chunk(
        &mut out,
        *b"IHDR",
        &[width.as_slice(), width.as_slice(), &[8, 2, 0, 0, 0]].concat(),
    );
    chunk(&mut out, *b"IDAT", &zlib_stored(&pixels));
    chunk(&mut out, *b"IEND", &[]);
    out
}

fn chunk(out: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    let typed = [kind.as_slice(), data].concat();
    out.extend(u32::try_from(data.len()).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(&typed);
    out.extend(crc32fast::hash(&typed).to_be_bytes());
}

/// The bytes in the zlib format, not compressed (RFC 1950, RFC 1951 3.2.4).
fn zlib_stored(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = bytes.chunks(usize::from(u16::MAX)).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(0);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    out.extend(((b << 16) | a).to_be_bytes());
    out
}

/// A grey baseline JPEG of `blocks` by `blocks` squares of 8 pixels (at most 32), each brighter than the one before.
pub(super) fn jpeg(blocks: u8) -> Vec<u8> {
    let blocks = blocks.clamp(1, 32);
    let side = u16::from(blocks) * 8;
    let mut out = vec![0xFF, 0xD8];
    out.extend_from_slice(b"\xFF\xE0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00");
    // Quantisation by 8 everywhere: one step of the mean value is one grey level.
    out.extend_from_slice(&[0xFF, 0xDB, 0, 67, 0]);
    out.extend([8; 64]);
    out.extend_from_slice(&[0xFF, 0xC0, 0, 11, 8]);
    out.extend(side.to_be_bytes());
    out.extend(side.to_be_bytes());
    out.extend_from_slice(&[1, 1, 0x11, 0]);
    // Mean values: code 0 is "as before", 10 is a difference of 1 bit, 110 one of 8 bits. The rest: 0 ends a block.
    out.extend_from_slice(&[
        0xFF, 0xC4, 0, 22, 0x00, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 8,
    ]);
    out.extend_from_slice(&[
        0xFF, 0xC4, 0, 20, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
    out.extend_from_slice(&[0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0]);
    let mut bits = Bits::default();
    for at in 0..u32::from(blocks) * u32::from(blocks) {
        // Each block is one level brighter; every 200 blocks the brightness falls back by as much.
        if at > 0 && at % 200 == 0 {
            bits.push(0b110, 3);
            bits.push(255 - 199, 8);
        } else if at > 0 {
            bits.push(0b10, 2);
            bits.push(1, 1);
        } else {
            // From the middle down to black.
            bits.push(0b110, 3);
            bits.push(255 - 128, 8);
        }
        bits.push(0, 1);
    }
    out.extend(bits.finish());
    out.extend_from_slice(&[0xFF, 0xD9]);
    out
}

/// Packs bits for JPEG: the highest first, 0xFF followed by 0.
#[derive(Default)]
struct Bits {
    out: Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits {
    /// Adds the lowest `count` bits, 16 at most.
    fn push(&mut self, bits: u32, count: u32) {
        self.held = (self.held << count) | bits;
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = u8::try_from((self.held >> self.count) & 0xFF).unwrap_or(0);
            self.out.push(byte);
            if byte == 0xFF {
                self.out.push(0);
            }
            self.held &= (1 << self.count) - 1;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        // Ones fill the last byte.
        self.push(0x7F, 7);
        self.out
    }
}

/// An iCalendar meeting of one hour (RFC 5545); `method` is such as `REQUEST` (RFC 5546).
pub(super) fn ics(
    method: &str,
    uid: &str,
    title: &str,
    at: DateTime<Utc>,
    organizer: &str,
    guest: &str,
) -> String {
    let stamp = |t: DateTime<Utc>| t.format("%Y%m%dT%H%M%SZ").to_string();
    let answer = if method == "REPLY" {
        "ACCEPTED"
    } else {
        "NEEDS-ACTION"
    };
    [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//sandbox.example//Calendar//EN",
        &format!("METHOD:{method}"),
        "BEGIN:VEVENT",
        &format!("UID:{uid}"),
        &format!("DTSTAMP:{}", stamp(at - TimeDelta::days(3))),
        &format!("DTSTART:{}", stamp(at)),
        &format!("DTEND:{}", stamp(at + TimeDelta::hours(1))),
        &format!("SUMMARY:{title}"),
        &format!("ORGANIZER:mailto:{organizer}"),
        &format!("ATTENDEE;PARTSTAT={answer};RSVP=TRUE:mailto:{guest}"),
        "STATUS:CONFIRMED",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    .join("\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pdf_points_at_its_objects() {
        let text = String::from_utf8(pdf(&["Invoice (1)"])).unwrap_or_default();
        assert!(text.contains("(Invoice \\(1\\)) Tj"));
        let start = text.find("xref\n").unwrap_or_default();
        assert!(text.ends_with(&format!("startxref\n{start}\n%%EOF\n")));
        for (at, line) in text
            .split("f \n")
            .nth(1)
            .unwrap_or_default()
            .lines()
            .take(5)
            .enumerate()
        {
            let offset: usize = line
                .split(' ')
                .next()
                .and_then(|n| n.parse().ok())
                .unwrap_or_default();
            assert!(
                text.get(offset..)
                    .is_some_and(|t| t.starts_with(&format!("{} 0 obj", at + 1))),
                "{line}"
            );
        }
    }

    #[test]
    fn a_stored_stream_has_its_check_sum() {
        // The Adler-32 of "Wikipedia" is well known.
        assert!(zlib_stored(b"Wikipedia").ends_with(&0x11E6_0398_u32.to_be_bytes()));
        assert_eq!(
            zlib_stored(&vec![0; 70_000]).len(),
            2 + 5 + 65_535 + 5 + (70_000 - 65_535) + 4
        );
    }

    #[test]
    fn pictures_begin_and_end_as_they_must() {
        let (png, jpeg) = (png(16, [10, 20, 30]), jpeg(24));
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n") && png.ends_with(b"IEND\xae\x42\x60\x82"));
        assert!(jpeg.starts_with(b"\xFF\xD8\xFF\xE0") && jpeg.ends_with(b"\xFF\xD9"));
    }
}
