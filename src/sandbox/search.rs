//! SEARCH: the keys that need no MIME parsing (RFC 3501, 6.4.4; RFC 7162, 3.1.5).

use imap_codec::imap_types::search::SearchKey;

use super::{
    fetch::{fields, split},
    mailstore::Message,
    reply::Reply,
    selected::{Numbered, Selected},
};

/// A search key with its sets resolved against the selected folder.
pub(super) enum Query {
    All(Vec<Query>),
    Any(Vec<Query>),
    Not(Box<Query>),
    Nothing,
    Uids(Vec<Numbered>),
    Flag(String),
    Before(chrono::NaiveDate),
    Since(chrono::NaiveDate),
    Larger(u32),
    Smaller(u32),
    Header(Vec<u8>, Vec<u8>),
    ModSeq(u64),
}

impl Query {
    /// Reads the keys of a command.
    ///
    /// # Errors
    /// BAD for a key that is not known here, such as TEXT.
    pub(super) fn new(keys: &[SearchKey<'_>], selected: &Selected) -> Result<Self, Reply> {
        Ok(Self::All(
            keys.iter()
                .map(|k| Self::one(k, selected))
                .collect::<Result<_, _>>()?,
        ))
    }

    fn one(key: &SearchKey<'_>, selected: &Selected) -> Result<Self, Reply> {
        let flag = |name: &str| Self::Flag(name.to_owned());
        Ok(match key {
            // No message is ever \Recent here, so that every message is old.
            SearchKey::All | SearchKey::Old => Self::All(Vec::new()),
            SearchKey::New | SearchKey::Recent => Self::Nothing,
            SearchKey::And(keys) => Self::new(keys.as_ref(), selected)?,
            SearchKey::Or(a, b) => Self::Any(vec![Self::one(a, selected)?, Self::one(b, selected)?]),
            SearchKey::Not(key) => Self::not(Self::one(key, selected)?),
            SearchKey::SequenceSet(set) => Self::Uids(selected.resolve(set, false)),
            SearchKey::Uid(set) => Self::Uids(selected.resolve(set, true)),
            SearchKey::Answered => flag("\\Answered"),
            SearchKey::Deleted => flag("\\Deleted"),
            SearchKey::Draft => flag("\\Draft"),
            SearchKey::Flagged => flag("\\Flagged"),
            SearchKey::Seen => flag("\\Seen"),
            SearchKey::Keyword(name) => flag(name.inner()),
            SearchKey::Unanswered => Self::not(flag("\\Answered")),
            SearchKey::Undeleted => Self::not(flag("\\Deleted")),
            SearchKey::Undraft => Self::not(flag("\\Draft")),
            SearchKey::Unflagged => Self::not(flag("\\Flagged")),
            SearchKey::Unseen => Self::not(flag("\\Seen")),
            SearchKey::Unkeyword(name) => Self::not(flag(name.inner())),
            SearchKey::Before(date) => Self::Before(*date.as_ref()),
            SearchKey::Since(date) => Self::Since(*date.as_ref()),
            SearchKey::On(date) => {
                let day = *date.as_ref();
                let next = day.succ_opt().unwrap_or(day);
                Self::All(vec![Self::Since(day), Self::Before(next)])
            }
            SearchKey::Larger(size) => Self::Larger(*size),
            SearchKey::Smaller(size) => Self::Smaller(*size),
            SearchKey::Header(name, value) => {
                Self::Header(name.as_ref().to_vec(), value.as_ref().to_ascii_lowercase())
            }
            SearchKey::ModSequence { modseq, .. } => Self::ModSeq(*modseq),
            _ => return Err(Reply::bad("Search key is not known here")),
        })
    }

    fn not(query: Self) -> Self {
        Self::Not(Box::new(query))
    }

    /// Whether MODSEQ is asked for, whose answer then carries the highest one found.
    pub(super) fn asks_modseq(&self) -> bool {
        match self {
            Self::All(queries) | Self::Any(queries) => queries.iter().any(Self::asks_modseq),
            Self::Not(query) => query.asks_modseq(),
            Self::ModSeq(_) => true,
            _ => false,
        }
    }

    /// Whether a message is one of those looked for. Dates are those of INTERNALDATE, without time and zone.
    pub(super) fn matches(&self, message: &Message) -> bool {
        let size = u32::try_from(message.raw.len()).unwrap_or(u32::MAX);
        match self {
            Self::All(queries) => queries.iter().all(|q| q.matches(message)),
            Self::Any(queries) => queries.iter().any(|q| q.matches(message)),
            Self::Not(query) => !query.matches(message),
            Self::Nothing => false,
            Self::Uids(named) => named.binary_search_by_key(&message.uid, |n| n.uid).is_ok(),
            Self::Flag(name) => message.flags.contains(name),
            Self::Before(date) => message.internal_date.date_naive() < *date,
            Self::Since(date) => message.internal_date.date_naive() >= *date,
            Self::Larger(than) => size > *than,
            Self::Smaller(than) => size < *than,
            Self::Header(name, value) => has_header(&message.raw, name, value),
            Self::ModSeq(modseq) => message.modseq.get() >= *modseq,
        }
    }
}

/// Whether a field of this name contains `value` (lower case); encoded words are compared as they stand.
fn has_header(raw: &[u8], name: &[u8], value: &[u8]) -> bool {
    fields(split(raw).0)
        .filter(|(n, _)| n.eq_ignore_ascii_case(name))
        .any(|(n, field)| {
            let text = field.get(n.len()..).unwrap_or_default().to_ascii_lowercase();
            value.is_empty() || text.windows(value.len()).any(|w| w == value)
        })
}
