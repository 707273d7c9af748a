//! Keyset pages: a bounded number of rows, and where the next page starts.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::error::{Error, FieldError};

/// How many rows a page has when the caller does not say.
pub const DEFAULT_LIMIT: u16 = 50;
/// How many rows a page has at most.
pub const MAX_LIMIT: u16 = 200;

/// A row's place in a list that is ordered by time and id, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The row's time.
    pub at: DateTime<Utc>,
    /// The row's id, which decides where times tie.
    pub id: Uuid,
}

impl Position {
    /// The opaque text of it.
    pub fn to_cursor(self) -> String {
        let mut bytes = [0; 24];
        let (time, id) = bytes.split_at_mut(8);
        time.copy_from_slice(&self.at.timestamp_micros().to_be_bytes());
        id.copy_from_slice(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the text that [`Self::to_cursor`] writes.
    pub fn from_cursor(cursor: &str) -> Option<Self> {
        let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?;
        let (time, id) = bytes.split_at(8);
        Some(Self {
            at: DateTime::from_timestamp_micros(i64::from_be_bytes(time.try_into().ok()?))?,
            id: Uuid::from_slice(id).ok()?,
        })
    }
}

/// Which page of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// How many rows at most.
    pub limit: u16,
    /// The last row of the page before; `None` for the first page.
    pub after: Option<Position>,
}

impl PageRequest {
    /// Checks what a caller sent.
    pub fn parse(limit: Option<u16>, cursor: Option<&str>) -> Result<Self, Error> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            let detail = format!("The limit is between 1 and {MAX_LIMIT}.");
            return Err(Error::Invalid(vec![FieldError::query("limit", detail)]));
        }
        let after = cursor
            .map(|cursor| {
                Position::from_cursor(cursor).ok_or_else(|| {
                    let detail = "This is not a cursor of this list: send `next_cursor` as it was answered.";
                    Error::Invalid(vec![FieldError::query("cursor", detail)])
                })
            })
            .transpose()?;
        Ok(Self { limit, after })
    }

    /// The first page, as large as a page can be.
    pub const fn first() -> Self {
        Self {
            limit: MAX_LIMIT,
            after: None,
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Where the next page starts; `None` on the last page.
    pub next: Option<Position>,
}

impl<T> Page<T> {
    /// Makes a page of rows that were read one beyond the limit, which tells whether more follow.
    pub fn cut(mut rows: Vec<T>, limit: u16, position: impl Fn(&T) -> Position) -> Self {
        let more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        let next = if more { rows.last().map(position) } else { None };
        Self { data: rows, next }
    }

    /// The same page of other rows.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page {
            data: self.data.into_iter().map(f).collect(),
            next: self.next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        let position = Position {
            at: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
            id: Uuid::from_u128(7),
        };
        assert_eq!(Position::from_cursor(&position.to_cursor()), Some(position));
        for wrong in ["", "x", "AAAA", "!!!!", &"A".repeat(400)] {
            assert_eq!(Position::from_cursor(wrong), None, "{wrong}");
        }
        assert!(PageRequest::parse(Some(0), None).is_err());
        assert!(PageRequest::parse(Some(201), None).is_err());
        assert!(PageRequest::parse(None, Some("no")).is_err());
        assert_eq!(PageRequest::parse(None, None).unwrap().limit, DEFAULT_LIMIT);
    }

    #[test]
    fn a_page_says_whether_more_follow() {
        let position = |id: &u128| Position {
            at: DateTime::UNIX_EPOCH,
            id: Uuid::from_u128(*id),
        };
        assert_eq!(Page::cut(vec![3, 2], 2, position).next, None);
        let page = Page::cut(vec![3, 2, 1], 2, position);
        assert_eq!(
            (page.data, page.next.map(|next| next.id.as_u128())),
            (vec![3, 2], Some(2))
        );
    }
}
