//! What a response says: statuses, folder lists, counts, search results and message rows.

use super::{
    error::Answer,
    frame::Raw,
    list::{self, ListEntry},
    row::{self, RawRow},
    set::{UidSet, parse_ranges},
    token::{Cursor, Value, parse_number},
};

/// The word of a status response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ok,
    No,
    Bad,
    Bye,
    Preauth,
}

/// A status response (RFC 9051, section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) kind: Kind,
    /// The response code's name, in upper case, and what follows it.
    pub(super) code: Option<(String, Vec<u8>)>,
    pub(super) text: Vec<u8>,
}

impl Status {
    fn parse(word: &[u8], rest: &[u8]) -> Option<Self> {
        let kind = match word {
            b"OK" => Kind::Ok,
            b"NO" => Kind::No,
            b"BAD" => Kind::Bad,
            b"BYE" => Kind::Bye,
            b"PREAUTH" => Kind::Preauth,
            _ => return None,
        };
        let rest = rest.trim_ascii();
        let (code, text) = split_code(rest).map_or((None, rest), |(code, text)| (Some(code), text));
        Some(Self {
            kind,
            code,
            text: text.to_vec(),
        })
    }

    /// What follows the code of this name.
    pub(super) fn code(&self, name: &str) -> Option<&[u8]> {
        self.code
            .as_ref()
            .filter(|(known, _)| known == name)
            .map(|(_, rest)| rest.as_slice())
    }

    /// What to tell of it.
    pub(super) fn answer(&self) -> Answer {
        Answer::new(self.code.as_ref().map(|(name, _)| name.as_str()), &self.text)
    }
}

type Code = (String, Vec<u8>);

fn split_code(text: &[u8]) -> Option<(Code, &[u8])> {
    let inner = text.strip_prefix(b"[")?;
    let end = inner.iter().position(|&byte| byte == b']')?;
    let (code, after) = inner.split_at_checked(end)?;
    let after = after.get(1..).unwrap_or_default().trim_ascii_start();
    let mut parts = code.splitn(2, |&byte| byte == b' ');
    let name = String::from_utf8_lossy(parts.next()?).to_ascii_uppercase();
    Some(((name, parts.next().unwrap_or_default().to_vec()), after))
}

/// The identifier in `(identifier)`, as RFC 8474 writes it.
pub(super) fn object_id(text: &[u8]) -> Option<String> {
    let inner = text.trim_ascii().strip_prefix(b"(")?.strip_suffix(b")")?;
    identifier(inner.trim_ascii())
}

/// An identifier, where it is one of RFC 8474 (section 7): servers are known that send whatever lay in their memory.
pub(super) fn identifier(text: &[u8]) -> Option<String> {
    let of_id = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let valid = (1..=255).contains(&text.len()) && text.iter().all(of_id);
    valid.then(|| String::from_utf8_lossy(text).into_owned())
}

/// The UIDs of a `COPYUID` or the UID of an `APPENDUID` (RFC 4315, section 3), and the UIDVALIDITY before them.
pub(super) fn uid_code(text: &[u8]) -> Option<(u32, Vec<&[u8]>)> {
    let mut words = text.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let uid_validity = parse_number(words.next()?).and_then(|number| u32::try_from(number).ok())?;
    Some((uid_validity, words.take(2).collect()))
}

/// Pairs of old and new UIDs, at most 10,000.
pub(super) fn uid_pairs(from: &[u8], to: &[u8]) -> Option<Vec<(u32, u32)>> {
    let walk = |(first, second): (u32, u32)| {
        let up = first <= second;
        (0..=first.abs_diff(second)).map(move |step| if up { first + step } else { first - step })
    };
    let (from, to) = (parse_ranges(from)?, parse_ranges(to)?);
    Some(
        from.into_iter()
            .flat_map(walk)
            .zip(to.into_iter().flat_map(walk))
            .take(10_000)
            .collect(),
    )
}

/// What STATUS says of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FolderStatus {
    /// `MESSAGES`
    pub messages: Option<u32>,
    /// `UIDNEXT`
    pub uid_next: Option<u32>,
    /// `UIDVALIDITY`
    pub uid_validity: Option<u32>,
    /// `UNSEEN`
    pub unseen: Option<u32>,
    /// `HIGHESTMODSEQ` (RFC 7162); never 0
    pub highest_modseq: Option<u64>,
    /// `MAILBOXID` (RFC 8474)
    pub mailbox_id: Option<String>,
}

/// A SEARCH or ESEARCH answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The tag that an ESEARCH answers; SEARCH has none.
    pub(super) tag: Option<Vec<u8>>,
    pub(super) uids: UidSet,
}

/// One response.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Response {
    Continuation(Vec<u8>),
    Tagged(Vec<u8>, Option<Status>),
    Status(Status),
    Capability(Vec<u8>),
    Enabled(Vec<String>),
    List(ListEntry),
    FolderStatus(Vec<u8>, FolderStatus),
    Found(Found),
    Exists(u32),
    Expunge,
    Fetch(Box<RawRow>),
    Vanished { earlier: bool, uids: UidSet },
    Unknown,
}

impl Response {
    /// Reads a response. What is unknown or broken is [`Response::Unknown`].
    pub(super) fn parse(raw: &Raw) -> Self {
        Self::read(raw).unwrap_or(Self::Unknown)
    }

    fn read(raw: &Raw) -> Option<Self> {
        if let Some(rest) = raw.text.strip_prefix(b"+") {
            return Some(Self::Continuation(rest.trim_ascii().to_vec()));
        }
        let mut cursor = Cursor::new(raw);
        // Tags are compared by case, so not through `word`.
        let tag = cursor.value()?.bytes()?.to_vec();
        if tag != b"*" {
            let word = cursor.word().unwrap_or_default();
            return Some(Self::Tagged(tag, Status::parse(&word, cursor.rest())));
        }
        let word = cursor.word()?;
        if let Some(number) = parse_number(&word) {
            return Self::numbered(u32::try_from(number).ok()?, cursor);
        }
        match word.as_slice() {
            b"CAPABILITY" => Some(Self::Capability(cursor.rest().trim_ascii().to_vec())),
            b"ENABLED" => {
                let names = std::iter::from_fn(|| cursor.value()).filter_map(|value| value.string());
                Some(Self::Enabled(
                    names.map(|name| name.to_ascii_uppercase()).take(64).collect(),
                ))
            }
            b"LIST" => list::parse(&mut cursor).map(Self::List),
            b"STATUS" => Self::folder_status(&mut cursor),
            b"SEARCH" => {
                let numbers = std::iter::from_fn(|| cursor.value()).filter_map(|value| value.number());
                let uids = numbers.filter_map(|number| u32::try_from(number).ok()).collect();
                Some(Self::Found(Found { tag: None, uids }))
            }
            b"ESEARCH" => Self::extended_search(&mut cursor),
            b"VANISHED" => {
                let first = cursor.value()?;
                let earlier = matches!(first, Value::List(_));
                let set = if earlier { cursor.value()? } else { first };
                Some(Self::Vanished {
                    earlier,
                    uids: UidSet::parse(set.bytes()?)?,
                })
            }
            _ => Status::parse(&word, cursor.rest()).map(Self::Status),
        }
    }

    fn numbered(number: u32, mut cursor: Cursor<'_>) -> Option<Self> {
        match cursor.word()?.as_slice() {
            b"EXISTS" => Some(Self::Exists(number)),
            b"EXPUNGE" => Some(Self::Expunge),
            b"FETCH" => row::parse(number, &mut cursor).map(|row| Self::Fetch(Box::new(row))),
            _ => None,
        }
    }

    fn folder_status(cursor: &mut Cursor<'_>) -> Option<Self> {
        let name = cursor.value()?.bytes()?.to_vec();
        let mut status = FolderStatus::default();
        if !cursor.open() {
            return None;
        }
        while let Some(item) = cursor.word() {
            let value = cursor.value()?;
            let number = || value.number();
            let small = || number().and_then(|number| u32::try_from(number).ok());
            match item.as_slice() {
                b"MESSAGES" => status.messages = small(),
                b"UIDNEXT" => status.uid_next = small(),
                b"UIDVALIDITY" => status.uid_validity = small(),
                b"UNSEEN" => status.unseen = small(),
                b"HIGHESTMODSEQ" => status.highest_modseq = number().and_then(modseq),
                b"MAILBOXID" => {
                    status.mailbox_id = value.items().first().and_then(Value::bytes).and_then(identifier);
                }
                _ => {}
            }
        }
        Some(Self::FolderStatus(name, status))
    }

    fn extended_search(cursor: &mut Cursor<'_>) -> Option<Self> {
        let mut found = Found {
            tag: None,
            uids: UidSet::new(),
        };
        let mut of_uids = false;
        while let Some(value) = cursor.value() {
            match &value {
                Value::List(items) => found.tag = items.get(1).and_then(Value::bytes).map(<[u8]>::to_vec),
                Value::Atom(word) if word.eq_ignore_ascii_case(b"UID") => of_uids = true,
                Value::Atom(word) if word.eq_ignore_ascii_case(b"ALL") => {
                    found.uids = UidSet::parse(cursor.value()?.bytes()?)?;
                }
                _ => {}
            }
        }
        // Sequence numbers must not be taken for UIDs; an empty answer may leave the word out.
        (of_uids || found.uids.is_empty()).then_some(Self::Found(found))
    }
}

/// A mod-sequence, which is positive and has 63 bits (RFC 7162, section 3.1); 0 means that there is none.
pub(super) fn modseq(number: u64) -> Option<u64> {
    (1..=i64::MAX.cast_unsigned()).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests;
