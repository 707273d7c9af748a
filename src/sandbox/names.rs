//! Folder names: the modified UTF-7 that IMAP puts on the wire (RFC 3501, 5.1.3), and the patterns of LIST.

use base64::{
    Engine,
    alphabet::Alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};

/// The character between the levels of a folder name.
pub(super) const DELIMITER: char = '/';

/// Longest folder name, in bytes as sent.
pub(super) const MAX_NAME: usize = 255;

const MODIFIED_BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Encodes a folder name in modified UTF-7. Printable ASCII stays as it is, `&` becomes `&-`.
pub(super) fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut run: Vec<u8> = Vec::new();
    for c in name.chars() {
        if (' '..='~').contains(&c) {
            flush(&mut run, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0u16; 2];
            run.extend(
                c.encode_utf16(&mut units)
                    .iter()
                    .flat_map(|unit| unit.to_be_bytes()),
            );
        }
    }
    flush(&mut run, &mut out);
    out
}

fn flush(run: &mut Vec<u8>, out: &mut String) {
    if run.is_empty() {
        return;
    }
    out.push('&');
    if let Ok(alphabet) = Alphabet::new(MODIFIED_BASE64) {
        let config = GeneralPurposeConfig::new().with_encode_padding(false);
        GeneralPurpose::new(&alphabet, config).encode_string(&*run, out);
    }
    out.push('-');
    run.clear();
}

/// The one spelling of a folder name as sent: INBOX is the same in any case (RFC 3501, 5.1).
pub(super) fn canonical(name: &str) -> String {
    if name.eq_ignore_ascii_case("INBOX") {
        "INBOX".to_owned()
    } else {
        name.to_owned()
    }
}

/// Whether a new folder may be called this: printable ASCII, no wildcard, no empty level, at most [`MAX_NAME`].
pub(super) fn is_valid(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name
            .chars()
            .all(|c| (' '..='~').contains(&c) && !matches!(c, '*' | '%' | '"' | '\\'))
        && name.split(DELIMITER).all(|level| !level.is_empty())
}

/// The names above `name`, the nearest last: `a/b/c` gives `a` and `a/b`.
pub(super) fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(DELIMITER).filter_map(|(at, _)| name.get(..at))
}

/// Whether `name` matches a LIST pattern: `*` stands for anything, `%` for anything within one level.
///
/// Runs in `name.len() * pattern.len()` steps at most.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    // `reached` holds, for the pattern read so far, which prefixes of the name it can match.
    let name = canonical(name);
    let name = name.as_bytes();
    let pattern = canonical(pattern);
    let mut reached = vec![false; name.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for p in pattern.bytes() {
        let mut next = vec![false; name.len() + 1];
        let mut carried = false;
        for (at, slot) in next.iter_mut().enumerate() {
            let here = reached.get(at).copied().unwrap_or(false);
            let before = at.checked_sub(1);
            let byte = before.and_then(|i| name.get(i)).copied();
            *slot = match p {
                b'*' => here || carried,
                b'%' => here || (carried && byte != u8::try_from(DELIMITER).ok()),
                _ => byte == Some(p) && before.and_then(|i| reached.get(i)).copied().unwrap_or(false),
            };
            carried = *slot;
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modified_utf7_follows_the_examples_of_rfc_3501() {
        assert_eq!(encode("Projekte/Übersicht"), "Projekte/&ANw-bersicht");
        assert_eq!(
            encode("~peter/mail/台北/日本語"),
            "~peter/mail/&U,BTFw-/&ZeVnLIqe-"
        );
        assert_eq!(encode("A&B"), "A&-B");
        assert_eq!(encode("😀"), "&2D3eAA-");
    }

    #[test]
    fn patterns_stop_at_the_delimiter_only_for_percent() {
        assert!(matches("*", "a/b/c") && matches("a/%", "a/b") && matches("%", "inbox"));
        assert!(matches("inbox", "INBOX") && matches("a*c", "a/b/c") && matches("*b*", "abc"));
        assert!(!matches("%", "a/b") && !matches("a/%", "a/b/c") && !matches("a", "ab") && !matches("", "a"));
    }

    #[test]
    fn names_are_checked() {
        assert!(is_valid("a/b") && is_valid("&ANw-bersicht"));
        assert!(!is_valid("") && !is_valid("/a") && !is_valid("a//b") && !is_valid("a*") && !is_valid("ü"));
        assert!(!is_valid(&"x".repeat(MAX_NAME + 1)));
        assert_eq!(parents("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
    }
}
