//! Real messages: those that come with the source of the parsing library.

#![expect(
    clippy::disallowed_methods,
    reason = "a test finds the registry by the variables of its runner"
)]

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

/// The messages beside the library's source, wherever cargo keeps it.
fn corpus() -> Vec<(PathBuf, Vec<u8>)> {
    let home = std::env::var_os("CARGO_HOME").map_or_else(|| home().join(".cargo"), PathBuf::from);
    let registries = std::fs::read_dir(home.join("registry/src")).expect("cargo keeps no sources");
    let source = registries
        .flat_map(|registry| std::fs::read_dir(registry.unwrap().path()).unwrap())
        .map(|package| package.unwrap().path())
        .find(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("mail-parser-0.11.")
        })
        .expect("the library's source is not there");
    let mut files = Vec::new();
    collect(&source.join("resources/eml"), &mut files);
    files.sort();
    files
}

fn home() -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").expect("HOME is not set"))
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "eml") {
            let raw = std::fs::read(&path).unwrap();
            files.push((path, raw));
        }
    }
}

fn with_crlf(raw: &[u8]) -> Vec<u8> {
    let lines = raw
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.collect::<Vec<_>>().join(&b"\r\n"[..])
}

#[test]
fn every_attachment_is_found_again_by_its_span() {
    let corpus = corpus();
    assert_eq!(corpus.len(), 107);
    let mut attachments = 0;
    for (_, raw) in &corpus {
        for raw in [raw.clone(), with_crlf(raw)] {
            let parsed = parse(&raw);
            assert_sound(&raw, &parsed);
            attachments += parsed.attachments.len();
        }
    }
    assert!(attachments > 200, "{attachments}");
}

#[test]
fn well_formed_messages_are_read_as_the_library_reads_them() {
    let (mut compared, mut contents) = (0, 0);
    for (path, raw) in corpus() {
        let path = path.to_string_lossy();
        // Not well formed: a mark in mid-line, a charset that is not the one it names, a part without an end,
        // and (015) a digest in which the library sees one message.
        if [
            "malformed",
            "legacy/052",
            "thirdparty/002",
            "thirdparty/005",
            "thirdparty/015",
        ]
        .iter()
        .any(|one| path.contains(one))
        {
            continue;
        }
        let theirs = mail_parser::MessageParser::default().parse(&raw).unwrap();
        let ours = parse(&raw);
        assert_eq!(ours.message_id.as_deref(), theirs.message_id(), "{path}");
        assert_eq!(ours.attachments.len(), theirs.attachment_count(), "{path}");
        for (own, their) in ours.attachments.iter().zip(theirs.attachments()) {
            if let mail_parser::PartType::Binary(bytes) | mail_parser::PartType::InlineBinary(bytes) =
                &their.body
            {
                assert!(content(&raw, own) == bytes.as_ref(), "{path}");
                contents += 1;
            }
        }
        compared += 1;
    }
    assert!(compared >= 80 && contents >= 50, "{compared} {contents}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_changed_real_message_never_panics(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![Just(b'\n'), Just(b'-'), Just(b'='), any::<u8>()], 0..3_u8), 1..30),
    ) {
        static CORPUS: std::sync::LazyLock<Vec<(PathBuf, Vec<u8>)>> = std::sync::LazyLock::new(corpus);
        let mut raw = which.get(&CORPUS).1.clone();
        for (at, byte, change) in changes {
            if raw.is_empty() {
                break;
            }
            let at = at.index(raw.len());
            match change {
                0 => raw[at] = byte,
                1 => raw.insert(at, byte),
                _ => raw.truncate(at.max(raw.len() / 2)),
            }
        }
        assert_sound(&raw, &parse(&raw));
    }

    #[test]
    fn arbitrary_bytes_never_panic(raw in prop::collection::vec(any::<u8>(), 0..2_000)) {
        assert_sound(&raw, &parse(&raw));
        parse_header(&raw);
    }

    #[test]
    fn pieces_of_mail_in_any_order_never_panic(pieces in prop::collection::vec(prop::sample::select(vec![
        "\n", "\r\n", "\r\n\r\n", "--", "--b", "--b--", "Content-Type: ", "multipart/mixed", "; boundary=b", "text/html",
        "multipart/alternative", "message/rfc822", "Content-Transfer-Encoding: base64", "Subject: ", "=?utf-8?Q?=", "?=",
        "From: ", "<", ">", "@", ",", ";", ":", "\"", "(", ")", " ", "a", "=", "\0", "filename*0*=", "'", "%", "Content-Disposition: ",
        "Date: ", "Thu, 1 Jan 1970 00:00:60 +9999", "References: ", "quoted-printable", "é", "charset=utf-16",
    ]), 0..60)) {
        let raw = pieces.concat();
        assert_sound(raw.as_bytes(), &parse(raw.as_bytes()));
    }
}
