//! What a server offers (RFC 9051, section 6.1.1).

/// The longest list of capabilities that is kept, in bytes.
const MAX_LIST: usize = 8 * 1024;

/// The capabilities that a server listed last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Upper-cased and separated by single spaces: one allocation for a connection that may idle for days.
    list: Box<str>,
}

impl Capabilities {
    pub(super) fn parse(list: &[u8]) -> Self {
        let list = String::from_utf8_lossy(list.get(..MAX_LIST).unwrap_or(list)).to_ascii_uppercase();
        Self {
            list: list.split_ascii_whitespace().collect::<Vec<_>>().join(" ").into(),
        }
    }

    /// True when nothing was listed yet.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// True when this capability is offered; by any case, `AUTH=PLAIN` included.
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// True when this SASL mechanism is offered.
    pub fn has_mechanism(&self, name: &str) -> bool {
        self.iter()
            .filter_map(|known| known.strip_prefix("AUTH="))
            .any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Every capability, in upper case.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.list.split(' ').filter(|name| !name.is_empty())
    }

    /// MODSEQ can be asked for (RFC 7162).
    pub fn has_condstore(&self) -> bool {
        self.has("CONDSTORE") || self.has("QRESYNC")
    }

    /// How long a literal may be sent without waiting for the server (RFC 7888), in bytes.
    pub(super) fn free_literal(&self) -> usize {
        if self.has("LITERAL+") {
            usize::MAX
        } else if self.has("LITERAL-") || self.has("IMAP4REV2") {
            4096
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_looked_up_by_whole_words() {
        let offered = Capabilities::parse(b"IMAP4rev1  Idle AUTH=PLAIN LITERAL-");
        assert!(offered.has("IDLE") && offered.has("imap4REV1") && offered.has_mechanism("plain"));
        assert!(!offered.has("AUTH") && !offered.has("IDL") && !offered.has(""));
        assert_eq!(offered.free_literal(), 4096);
        assert!(Capabilities::parse(b" ").is_empty());
    }
}
