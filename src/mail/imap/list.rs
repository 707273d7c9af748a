//! The folder list: names, attributes and special uses (RFC 9051, section 7.3.1; RFC 6154).

use super::{
    token::{Cursor, Value},
    utf7,
};
use crate::model::folder::FolderRole;

/// A folder as LIST names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry {
    /// The server's own bytes for the name; use these to talk to the server.
    pub raw_name: Vec<u8>,
    /// The name for people.
    pub name: String,
    /// What separates the levels of the hierarchy; `None` when there are no levels.
    pub delimiter: Option<char>,
    /// The attributes, as written.
    pub attributes: Vec<String>,
    /// The special use by attribute, or INBOX; names are not guessed from.
    pub special_use: Option<FolderRole>,
    /// False for a name that cannot be selected.
    pub selectable: bool,
}

impl ListEntry {
    /// About how many bytes it takes in memory.
    pub(super) fn cost(&self) -> usize {
        256 + self.raw_name.len()
            + self.name.len()
            + self.attributes.iter().map(|name| name.len() + 48).sum::<usize>()
    }
}

/// Reads what follows `* LIST`.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Option<ListEntry> {
    let attributes: Vec<String> = cursor
        .value()?
        .items()
        .iter()
        .filter_map(Value::string)
        .take(64)
        .collect();
    let delimiter = cursor.value()?.string().and_then(|text| text.chars().next());
    let raw_name = match cursor.value()? {
        // A folder may be called NIL, so not through `bytes`.
        Value::Atom(name) => {
            // A name that should have been quoted goes to the end of the line.
            let rest = cursor.rest();
            if rest.starts_with(b" (") {
                name.to_vec()
            } else {
                [name, rest].concat()
            }
        }
        Value::Text(name) => name.into_owned(),
        Value::Streamed(_) | Value::List(_) => return None,
    };
    let has = |wanted: &str| {
        attributes
            .iter()
            .any(|attribute| attribute.eq_ignore_ascii_case(wanted))
    };
    let special_use = if raw_name.eq_ignore_ascii_case(b"INBOX") {
        Some(FolderRole::Inbox)
    } else {
        [
            ("\\All", FolderRole::All),
            ("\\AllMail", FolderRole::All),
            ("\\Archive", FolderRole::Archive),
            ("\\Drafts", FolderRole::Drafts),
            ("\\Flagged", FolderRole::Flagged),
            ("\\Important", FolderRole::Important),
            ("\\Junk", FolderRole::Junk),
            ("\\Spam", FolderRole::Junk),
            ("\\Sent", FolderRole::Sent),
            ("\\Trash", FolderRole::Trash),
        ]
        .into_iter()
        .find_map(|(attribute, role)| has(attribute).then_some(role))
    };
    let selectable = !has("\\Noselect") && !has("\\NonExistent");
    Some(ListEntry {
        name: utf7::decode(&raw_name),
        raw_name,
        delimiter,
        attributes,
        special_use,
        selectable,
    })
}
