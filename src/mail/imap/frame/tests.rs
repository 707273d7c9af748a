//! Frames from whole, cut and hostile input.

use proptest::prelude::*;

use super::*;

/// What comes out, with the chunks of one stream joined.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Out {
    Stream(Section, u64, Vec<u8>),
    Response(Raw),
    Error(FrameError),
}

fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Out> {
    let mut framer = Framer::new();
    let mut out = Vec::new();
    for mut piece in pieces {
        loop {
            match framer.next(&mut piece) {
                Err(error) => {
                    out.push(Out::Error(error));
                    return out;
                }
                Ok(None) => break,
                Ok(Some(Event::StreamEnd)) => {}
                Ok(Some(Event::StreamBegin(section, size))) => {
                    out.push(Out::Stream(section, size, Vec::new()));
                }
                Ok(Some(Event::Response(raw))) => out.push(Out::Response(raw)),
                Ok(Some(Event::StreamChunk(chunk))) => match out.last_mut() {
                    Some(Out::Stream(_, _, bytes)) => bytes.extend_from_slice(chunk),
                    _ => panic!("a chunk without a stream"),
                },
            }
        }
    }
    out
}

fn text(out: &Out) -> &[u8] {
    match out {
        Out::Response(raw) => &raw.text,
        _ => b"",
    }
}

#[test]
fn lines_literals_and_bodies() {
    let out = frames([&b"* OK hi {5}\r\n* LIST () \"/\" {3}\r\na\r\n\r\n* 1 FETCH (UID 7 BODY[] {6}\r\nab\r\ncd X 1)\nA1 OK\r\n"[..]]);
    assert_eq!(text(&out[0]), b"* OK hi {5}");
    assert_eq!(text(&out[1]), b"* LIST () \"/\" a\r\n");
    assert_eq!(out[2], Out::Stream(Section::Full, 6, b"ab\r\ncd".to_vec()));
    assert_eq!(text(&out[3]), b"* 1 FETCH (UID 7 BODY[]  X 1)");
    assert_eq!(text(&out[4]), b"A1 OK");
    assert_eq!(out.len(), 5);
}

#[test]
fn announcements_of_every_form() {
    for (line, section) in [
        ("* 1 FETCH (BODY[] {2}\r\n", Section::Full),
        ("* 1 FETCH (body[]{2}\r\n", Section::Full),
        ("* 1 FETCH (BODY[] {2+}\r\n", Section::Full),
        ("* 1 FETCH (BODY[] ~{2}\r\n", Section::Full),
        ("* 1 FETCH (BODY[]<0> {2}\r\n", Section::Full),
        ("* 1 fetch (RFC822 {2}\r\n", Section::Full),
        ("* 1 FETCH (BODY[HEADER] {2}\r\n", Section::Header),
        (
            "* 1 FETCH (UID 1 BODY[HEADER.FIELDS (DATE TO)] {2}\r\n",
            Section::Header,
        ),
        ("* 1 FETCH (BODY[1.TEXT] {2}\r\n", Section::Other),
        ("* 1 FETCH (BINARY[1] ~{2}\r\n", Section::Other),
    ] {
        let whole = format!("{line}xy)\r\n");
        assert_eq!(
            frames([whole.as_bytes()])[0],
            Out::Stream(section, 2, b"xy".to_vec()),
            "{line}"
        );
    }
    for line in [
        "* LIST () NIL a{2}\r\n",
        "* X \"{2}\"\r\n",
        "A1 NO text {2}\r\n",
        "+ {2}\r\n",
        "* X {}\r\n",
        "* X {-1}\r\n",
    ] {
        let out = frames([line.as_bytes()]);
        assert_eq!(
            out,
            [Out::Response(Raw {
                text: line.trim_end().into(),
                literals: vec![]
            })],
            "{line}"
        );
    }
}

#[test]
fn limits_are_met_before_anything_is_kept() {
    assert_eq!(
        frames([&b"* X {500000000}\r\n"[..]]),
        [Out::Error(FrameError::LiteralTooLarge(500_000_000))]
    );
    let huge = b"* X {99999999999999999999999}\r\n";
    assert_eq!(
        frames([&huge[..]]),
        [Out::Error(FrameError::LiteralTooLarge(u64::MAX))]
    );
    let body = b"* 1 FETCH (BODY[] {99999999999}\r\n";
    assert_eq!(
        frames([&body[..]]),
        [Out::Error(FrameError::BodyTooLarge(99_999_999_999))]
    );
    let chunk = [b'a'; 4096];
    assert_eq!(
        frames(std::iter::repeat_n(&chunk[..], 300)),
        [Out::Error(FrameError::LineTooLong)]
    );
    let literals = [b"* X".as_slice(), &b" {0}\r\n".repeat(MAX_LITERALS + 1)].concat();
    assert_eq!(frames([&literals[..]]), [Out::Error(FrameError::TooManyLiterals)]);
    let literal = [b" {65536}\r\n".as_slice(), &b"x".repeat(65_536)].concat();
    let many = [b"* X".as_slice(), &literal.repeat(17)].concat();
    assert_eq!(frames([&many[..]]), [Out::Error(FrameError::LineTooLong)]);
}

#[test]
fn an_announced_size_is_not_allocated() {
    let mut framer = Framer::new();
    let mut input = &b"* X {65536}\r\nabc"[..];
    assert_eq!(framer.next(&mut input), Ok(None));
    assert!(framer.raw.text.capacity() < 1024);
}

fn pieces(whole: &[u8], cuts: Vec<usize>) -> Vec<Vec<u8>> {
    let mut cuts: Vec<usize> = cuts
        .into_iter()
        .map(|cut| cut % (whole.len() + 1))
        .chain([0, whole.len()])
        .collect();
    cuts.sort_unstable();
    cuts.windows(2)
        .map(|pair| whole[pair[0]..pair[1]].to_vec())
        .collect()
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(&b"* 1 FETCH (UID 1 BODY[] {5}\r\n"[..]),
        Just(&b"* 2 FETCH (BODY[HEADER] {3}\r\n"[..]),
        Just(&b"* LIST () \"/\" {4}\r\n"[..]),
        Just(&b" {0}\r\n"[..]),
        Just(&b"hello"[..]),
        Just(&b")\r\n"[..]),
        Just(&b"* OK [X] y {3}\r\n"[..]),
        Just(&b"A1 NO\n"[..]),
        Just(&b"\r"[..]),
        Just(&b"\xff\x00"[..]),
    ];
    proptest::collection::vec(part, 0..20).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_frames(whole in input(), cuts in proptest::collection::vec(any::<usize>(), 0..20)) {
        let pieces = pieces(&whole, cuts);
        prop_assert_eq!(frames(pieces.iter().map(Vec::as_slice)), frames([&whole[..]]));
        prop_assert_eq!(frames(whole.chunks(1)), frames([&whole[..]]));
    }

    #[test]
    fn any_bytes_can_be_framed(bytes in any::<Vec<u8>>()) {
        frames([&bytes[..]]);
    }
}
