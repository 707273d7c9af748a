//! Message rows: what FETCH says of a message besides its bytes (RFC 9051, section 7.5.2).

use chrono::{DateTime, Utc};

use super::{
    response::{identifier, modseq},
    token::{Cursor, Value},
    utf7,
};

/// The most flags and the most labels that are kept of one message.
const MAX_WORDS: usize = 256;
/// The longest flag or label that is kept, in bytes.
const MAX_WORD: usize = 1_000;

/// What is known of one message. A field that the server did not send is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FetchRow {
    /// The message's UID.
    pub uid: u32,
    /// Flags and keywords, as written; at most 256.
    pub flags: Option<Vec<String>>,
    /// `INTERNALDATE`
    pub internal_date: Option<DateTime<Utc>>,
    /// `RFC822.SIZE`, in bytes; advisory, servers are known to get it wrong
    pub size: Option<u64>,
    /// `MODSEQ` (RFC 7162); never 0
    pub modseq: Option<u64>,
    /// `X-GM-MSGID`
    pub gm_msgid: Option<u64>,
    /// `X-GM-THRID`
    pub gm_thrid: Option<u64>,
    /// `X-GM-LABELS`, decoded; at most 256
    pub gm_labels: Option<Vec<String>>,
    /// `EMAILID` (RFC 8474)
    pub email_id: Option<String>,
    /// `THREADID` (RFC 8474)
    pub thread_id: Option<String>,
    /// The header or the header fields that were asked for, cut at the limit that the call names.
    pub header: Option<Vec<u8>>,
}

impl FetchRow {
    /// True when `\Seen` is among the flags.
    pub fn is_seen(&self) -> bool {
        self.flags
            .iter()
            .flatten()
            .any(|flag| flag.eq_ignore_ascii_case("\\Seen"))
    }

    /// The flags, sorted, without `\Recent`, which says something of the session and not of the message.
    pub fn lasting_flags(&self) -> Vec<String> {
        let mut flags: Vec<String> = self.flags.iter().flatten().cloned().collect();
        flags.retain(|flag| !flag.eq_ignore_ascii_case("\\Recent"));
        flags.sort_unstable();
        flags.dedup();
        flags
    }

    /// Takes over what a later row of the same message says.
    pub(super) fn merge(&mut self, later: Self) {
        fn take<T>(mine: &mut Option<T>, theirs: Option<T>) {
            if theirs.is_some() {
                *mine = theirs;
            }
        }
        let Self {
            uid,
            flags,
            internal_date,
            size,
            modseq,
            gm_msgid,
            gm_thrid,
            gm_labels,
            email_id,
            thread_id,
            header,
        } = later;
        self.uid = uid;
        take(&mut self.flags, flags);
        take(&mut self.internal_date, internal_date);
        take(&mut self.size, size);
        take(&mut self.modseq, modseq);
        take(&mut self.gm_msgid, gm_msgid);
        take(&mut self.gm_thrid, gm_thrid);
        take(&mut self.gm_labels, gm_labels);
        take(&mut self.email_id, email_id);
        take(&mut self.thread_id, thread_id);
        take(&mut self.header, header);
    }

    /// About how many bytes it takes in memory.
    pub(super) fn cost(&self) -> usize {
        let words = self.flags.iter().flatten().chain(self.gm_labels.iter().flatten());
        let ids = self.email_id.iter().chain(&self.thread_id);
        256 + words.chain(ids).map(|word| word.len() + 48).sum::<usize>()
            + self.header.as_ref().map_or(0, Vec::len)
    }
}

/// A part of the message that was sent inside a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// The streamed literal with this place.
    Streamed(usize),
    /// A quoted string.
    Inline(Vec<u8>),
    /// NIL: the server has nothing to give.
    Nil,
}

/// A row as it was sent: its UID may be missing, and its parts are not yet put in their places.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RawRow {
    /// The sequence number, which holds until the next EXPUNGE or VANISHED.
    pub(super) sequence: u32,
    /// The row; its `uid` is 0 when the server did not send one.
    pub(super) row: FetchRow,
    /// `BODY[]`
    pub(super) body: Option<Part>,
    /// `BODY[HEADER…]`
    pub(super) header: Option<Part>,
    /// It ended where its list ended.
    pub(super) whole: bool,
}

/// Reads what follows `* n FETCH`; `sequence` is the n.
pub(super) fn parse(sequence: u32, cursor: &mut Cursor<'_>) -> Option<RawRow> {
    if !cursor.open() {
        return None;
    }
    let mut raw = RawRow {
        sequence,
        ..RawRow::default()
    };
    while let Some(name) = cursor.word() {
        let value = cursor.value()?;
        item(&mut raw, &name, &value);
    }
    raw.whole = cursor.rest().trim_ascii() == b")";
    Some(raw)
}

fn item(raw: &mut RawRow, name: &[u8], value: &Value<'_>) {
    let row = &mut raw.row;
    let uid = value.number().and_then(|number| u32::try_from(number).ok());
    match name {
        b"UID" => row.uid = uid.unwrap_or_default(),
        b"FLAGS" => row.flags = words(value, |flag| String::from_utf8_lossy(flag).into_owned()),
        b"INTERNALDATE" => row.internal_date = value.string().and_then(|text| internal_date(&text)),
        b"RFC822.SIZE" => row.size = value.number(),
        b"MODSEQ" => row.modseq = value.items().first().and_then(Value::number).and_then(modseq),
        b"X-GM-MSGID" => row.gm_msgid = value.number(),
        b"X-GM-THRID" => row.gm_thrid = value.number(),
        b"X-GM-LABELS" => row.gm_labels = words(value, utf7::decode),
        b"EMAILID" => row.email_id = object_id(value),
        b"THREADID" => row.thread_id = object_id(value),
        b"BODY[]" | b"BODY[]<0>" | b"RFC822" => raw.body = raw.body.take().or_else(|| part(value)),
        b"RFC822.HEADER" => raw.header = raw.header.take().or_else(|| part(value)),
        _ if name.starts_with(b"BODY[HEADER") => raw.header = raw.header.take().or_else(|| part(value)),
        _ => {}
    }
}

fn words(value: &Value<'_>, decode: impl Fn(&[u8]) -> String) -> Option<Vec<String>> {
    let Value::List(items) = value else { return None };
    let kept = items.iter().filter_map(|item| match item {
        // A label may be called NIL, so not through `bytes`.
        Value::Atom(word) => Some(*word),
        Value::Text(word) => Some(word),
        Value::Streamed(_) | Value::List(_) => None,
    });
    Some(
        kept.filter(|word| word.len() <= MAX_WORD)
            .take(MAX_WORDS)
            .map(decode)
            .collect(),
    )
}

fn object_id(value: &Value<'_>) -> Option<String> {
    identifier(value.items().first()?.bytes()?)
}

fn part(value: &Value<'_>) -> Option<Part> {
    match value {
        Value::Streamed(place) => Some(Part::Streamed(*place)),
        Value::Text(text) => Some(Part::Inline(text.to_vec())),
        Value::Atom(atom) if atom.eq_ignore_ascii_case(b"NIL") => Some(Part::Nil),
        Value::Atom(_) | Value::List(_) => None,
    }
}

/// Reads `17-Jul-1996 02:44:25 -0700`, also with a space before a day of one digit.
fn internal_date(text: &str) -> Option<DateTime<Utc>> {
    let date = DateTime::parse_from_str(text.trim(), "%d-%b-%Y %H:%M:%S %z").ok()?;
    Some(date.with_timezone(&Utc))
}
