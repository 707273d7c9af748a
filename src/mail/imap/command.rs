//! Commands as they are written: atoms, quoted strings and literals (RFC 9051, section 4).

use zeroize::Zeroizing;

use super::error::Error;

/// The longest string that is sent quoted, in bytes.
const MAX_QUOTED: usize = 200;
/// The longest text of a UID set in one command, well below the 8,000 bytes that every server reads (RFC 7162, section 4).
pub(super) const MAX_SET: usize = 6_000;

pub(super) enum Piece<'c> {
    /// Text of the line.
    Text(Zeroizing<Vec<u8>>),
    /// A literal of our own.
    Literal(Zeroizing<Vec<u8>>),
    /// A literal that the caller keeps: a message.
    Message(&'c [u8]),
}

/// One command without its tag. It may hold a password, so it has no `Debug` and is wiped when dropped.
pub(super) struct Command<'c> {
    pub(super) name: &'static str,
    pub(super) pieces: Vec<Piece<'c>>,
    /// It may be sent before the one before it is answered, as nothing that the server says of that changes what it means
    /// (RFC 9051, section 5.5).
    pub(super) follows: bool,
}

impl<'c> Command<'c> {
    /// A command of this name, which is also how errors call it.
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            pieces: vec![Piece::Text(Zeroizing::new(name.as_bytes().to_vec()))],
            follows: false,
        }
    }

    /// The same, sent without waiting for the answer to the one before it.
    pub(super) const fn following(mut self) -> Self {
        self.follows = true;
        self
    }

    /// A space and words of our own making, free of line ends.
    pub(super) fn word(mut self, text: &str) -> Self {
        self.extend(b" ");
        self.extend(text.as_bytes());
        self
    }

    /// A space and a string from outside: quoted when it can be, else a literal.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a string with a NUL, which no server takes.
    pub(super) fn string(mut self, bytes: &[u8]) -> Result<Self, Error> {
        self.extend(b" ");
        self.text(bytes)
    }

    fn text(mut self, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.contains(&0) {
            return Err(Error::Invalid("a NUL cannot be sent to a mail server"));
        }
        if bytes.len() <= MAX_QUOTED && bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            let mut quoted = Zeroizing::new(Vec::with_capacity(bytes.len() * 2 + 2));
            quoted.push(b'"');
            for &byte in bytes {
                if matches!(byte, b'"' | b'\\') {
                    quoted.push(b'\\');
                }
                quoted.push(byte);
            }
            quoted.push(b'"');
            self.extend(&quoted);
        } else {
            self.pieces.push(Piece::Literal(Zeroizing::new(bytes.to_vec())));
        }
        Ok(self)
    }

    /// A space and a message as a literal.
    pub(super) fn message(mut self, bytes: &'c [u8]) -> Self {
        self.extend(b" ");
        self.pieces.push(Piece::Message(bytes));
        self
    }

    /// A space and a list of flags.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a flag that is not an atom, with or without a backslash.
    pub(super) fn flags(self, flags: &[&str]) -> Result<Self, Error> {
        let is_atom = |flag: &&str| {
            let atom = flag.strip_prefix('\\').unwrap_or(flag);
            let allowed = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte);
            !atom.is_empty() && atom.len() <= 255 && atom.bytes().all(allowed)
        };
        if flags.iter().all(is_atom) {
            Ok(self.word(&format!("({})", flags.join(" "))))
        } else {
            Err(Error::Invalid("a flag has characters that cannot be sent"))
        }
    }

    /// A space and a list of labels (`X-GM-LABELS`); those of Gmail's own, such as `\\Inbox`, are written as flags are.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a label with a NUL.
    pub(super) fn labels(mut self, labels: &[&[u8]]) -> Result<Self, Error> {
        let mut before: &[u8] = b" (";
        for label in labels {
            self.extend(before);
            before = b" ";
            let atom = label
                .strip_prefix(b"\\")
                .filter(|atom| atom.iter().all(u8::is_ascii_alphabetic));
            if atom.is_some() {
                self.extend(label);
            } else {
                self = self.text(label)?;
            }
        }
        self.extend(b")");
        Ok(self)
    }

    fn extend(&mut self, bytes: &[u8]) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.extend_from_slice(bytes),
            _ => self.pieces.push(Piece::Text(Zeroizing::new(bytes.to_vec()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(command: &Command<'_>) -> String {
        let pieces = command.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Piece::Literal(bytes) => format!("{{{}}}", bytes.len()),
            Piece::Message(bytes) => format!("<{}>", bytes.len()),
        });
        pieces.collect()
    }

    #[test]
    fn strings_are_quoted_or_literals() {
        let written = |bytes: &[u8]| written(&Command::new("X").string(bytes).unwrap().word("y"));
        assert_eq!(written(b"a b"), "X \"a b\" y");
        assert_eq!(written(b"a\"\\"), "X \"a\\\"\\\\\" y");
        assert_eq!(written(b""), "X \"\" y");
        assert_eq!(written("ü".as_bytes()), "X {2} y");
        assert_eq!(written(b"a\r\nb"), "X {4} y");
        assert_eq!(written(&[b'a'; 201]), "X {201} y");
        assert!(Command::new("X").string(b"a\0").is_err());
    }

    #[test]
    fn labels_are_quoted_but_for_the_servers_own() {
        let labels: [&[u8]; 4] = [b"\\Inbox", b"Muy Importante", b"a\\b", "\u{fc}".as_bytes()];
        let command = Command::new("X").labels(&labels).unwrap();
        assert_eq!(written(&command), "X (\\Inbox \"Muy Importante\" \"a\\\\b\" {2})");
        assert!(Command::new("X").labels(&[b"a\0"]).is_err());
    }

    #[test]
    fn flags_must_be_atoms() {
        let command = Command::new("X")
            .flags(&["\\Seen", "$Junk"])
            .unwrap()
            .message(b"abc");
        assert_eq!(written(&command), "X (\\Seen $Junk) <3>");
        for flag in ["", "\\", "a b", "a\r\n", "(x", "ü", "\\*"] {
            assert!(Command::new("X").flags(&[flag]).is_err(), "{flag}");
        }
    }
}
