//! The checks that a schema cannot say, collected so that one answer names every fault.

use poem_openapi::types::MaybeUndefined;

use crate::model::{Error, Result, error::FieldError, patch::Patch};

/// The longest name, in characters.
pub(super) const MAX_NAME: usize = 200;
/// The longest address: 64 octets, `@` and 255 octets (RFC 5321, section 4.5.3.1).
const MAX_ADDRESS: usize = 320;
/// The longest host name (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;

/// What was found wrong with a body so far.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<FieldError>);

impl Faults {
    /// Notes a fault of the field with this dotted path.
    pub(super) fn add(&mut self, path: &str, detail: impl Into<String>) {
        self.0.push(FieldError::body(path, detail));
    }

    /// The value, unless something was wrong.
    pub(super) fn or<T>(self, value: T) -> Result<T> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(Error::Invalid(self.0))
        }
    }

    /// Characters are counted, not bytes.
    pub(super) fn at_most(&mut self, path: &str, text: &str, limit: usize) {
        if text.chars().count() > limit {
            self.add(path, format!("At most {limit} characters."));
        }
    }

    /// A name for people: not blank, without control characters, at most [`MAX_NAME`] characters.
    pub(super) fn name(&mut self, path: &str, text: &str) {
        if text.trim().is_empty() {
            self.add(path, "It is empty.");
        } else if text.chars().any(char::is_control) {
            self.add(path, "It contains a control character.");
        }
        self.at_most(path, text, MAX_NAME);
    }

    /// The address of a mailbox or a person: something on both sides of one `@`, and nothing that could end a header.
    pub(super) fn address(&mut self, path: &str, text: &str) {
        let parts = text
            .split_once('@')
            .filter(|(local, domain)| !local.is_empty() && !domain.is_empty());
        if parts.is_none_or(|(_, domain)| domain.contains('@'))
            || text
                .chars()
                .any(|letter| letter.is_whitespace() || letter.is_control() || "<>,;\"".contains(letter))
        {
            self.add(path, "This is not an email address such as name@example.org.");
        }
        self.at_most(path, text, MAX_ADDRESS);
    }

    /// A host name or an IP address, without scheme, port or path.
    pub(super) fn host(&mut self, path: &str, text: &str) {
        let plain = |letter: char| letter.is_alphanumeric() || ".-_:".contains(letter);
        if text.is_empty() || !text.chars().all(plain) {
            self.add(path, "A host name such as imap.example.org, or an IP address.");
        }
        self.at_most(path, text, MAX_HOST);
    }

    /// A TCP port.
    pub(super) fn port(&mut self, path: &str, port: u16) {
        if port == 0 {
            self.add(path, "A port between 1 and 65535.");
        }
    }

    /// A user name or a password; NUL can be sent in neither (RFC 9051, section 9).
    pub(super) fn credential(&mut self, path: &str, text: &str, limit: usize) {
        if text.is_empty() {
            self.add(path, "It is empty.");
        } else if text.contains('\0') {
            self.add(path, "It contains a NUL character.");
        }
        self.at_most(path, text, limit);
    }

    /// A token or a client secret: visible characters and spaces (RFC 6749, appendix A).
    pub(super) fn token(&mut self, path: &str, text: &str, limit: usize) {
        if text.is_empty() {
            self.add(path, "It is empty.");
        } else if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            self.add(path, "It contains a character that no token has.");
        }
        self.at_most(path, text, limit);
    }
}

/// A three-valued field as the domain has it.
pub(super) fn patch<T>(field: MaybeUndefined<T>) -> Patch<T> {
    match field {
        MaybeUndefined::Undefined => Patch::Absent,
        MaybeUndefined::Null => Patch::Null,
        MaybeUndefined::Value(value) => Patch::Value(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(check: impl Fn(&mut Faults)) -> usize {
        let mut faults = Faults::default();
        check(&mut faults);
        faults.0.len()
    }

    #[test]
    fn an_address_has_one_at_sign_and_nothing_that_ends_a_header() {
        for right in ["a@b", "ada.lovelace+x@example.org", "ü@müller.example"] {
            assert_eq!(faults(|faults| faults.address("address", right)), 0, "{right}");
        }
        for wrong in [
            "",
            "a",
            "@",
            "a@",
            "@b",
            "a@b@c",
            "a b@c",
            "a@b\r\nBcc: c@d",
            "a@b,c",
            "<a@b>",
            "a@\u{a0}b",
        ] {
            assert_eq!(faults(|faults| faults.address("address", wrong)), 1, "{wrong}");
        }
        assert_eq!(
            faults(|faults| faults.address("address", &format!("{}@b", "ü".repeat(318)))),
            0
        );
        assert_eq!(
            faults(|faults| faults.address("address", &format!("{}@b", "ü".repeat(319)))),
            1
        );
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_around_it() {
        for right in [
            "localhost",
            "imap.example.org",
            "192.0.2.1",
            "2001:db8::1",
            "müller.example",
        ] {
            assert_eq!(faults(|faults| faults.host("host", right)), 0, "{right}");
        }
        for wrong in ["", "https://example.org", "a b", "a/b", "a\nb", "user@host"] {
            assert_eq!(faults(|faults| faults.host("host", wrong)), 1, "{wrong}");
        }
        assert_eq!(faults(|faults| faults.host("host", &"a".repeat(254))), 1);
    }

    #[test]
    fn a_name_is_not_blank_and_is_counted_in_characters() {
        assert_eq!(faults(|faults| faults.name("name", &"ü".repeat(200))), 0);
        assert_eq!(faults(|faults| faults.name("name", &"ü".repeat(201))), 1);
        assert_eq!(faults(|faults| faults.name("name", " \t")), 1);
        assert_eq!(faults(|faults| faults.name("name", "a\nb")), 1);
        assert_eq!(faults(|faults| faults.credential("password", "a\0", 10)), 1);
        assert_eq!(faults(|faults| faults.port("port", 0)), 1);
    }
}
