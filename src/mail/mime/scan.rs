//! The plain reading of a header that the library could not read: field names at the start of lines.

use crate::model::message::{MAX_PARTICIPANTS, MAX_REFERENCES, Parsed, ParticipantKind};

use super::header::{bare_ids, new_address, words};

/// Finds the fields that identify a message, its subject and its addresses; nothing is decoded.
pub(super) fn read(header: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    for (name, value) in fields(&String::from_utf8_lossy(header)) {
        let kind = match name.as_str() {
            "message-id" => {
                parsed.message_id = ids(&value).into_iter().next();
                continue;
            }
            "in-reply-to" => {
                parsed.in_reply_to = ids(&value).into_iter().next();
                continue;
            }
            "references" => {
                parsed.references = ids(&value);
                let surplus = parsed.references.len().saturating_sub(MAX_REFERENCES);
                parsed.references.drain(..surplus);
                continue;
            }
            "subject" => {
                parsed.subject = Some(words(&value)).filter(|subject| !subject.is_empty());
                continue;
            }
            "from" => ParticipantKind::From,
            "to" => ParticipantKind::To,
            "cc" => ParticipantKind::Cc,
            "bcc" => ParticipantKind::Bcc,
            "reply-to" => ParticipantKind::ReplyTo,
            _ => continue,
        };
        let addresses = value
            .split(|char: char| char.is_whitespace() || ",;<>()\"".contains(char))
            .filter(|word| word.contains('@'))
            .filter_map(|word| new_address(None, word))
            .map(|address| (kind, address));
        parsed.participants.extend(addresses);
    }
    parsed
        .participants
        .sort_by_key(|(kind, _)| ParticipantKind::ALL.iter().position(|one| one == kind));
    parsed.participants.truncate(MAX_PARTICIPANTS);
    parsed
}

/// Name in lower case and unfolded value of each field.
fn fields(header: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in header.lines() {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_ascii_lowercase(), value.to_owned()));
        }
    }
    fields
}

fn ids(value: &str) -> Vec<String> {
    if !value.contains('<') {
        return bare_ids(value.trim());
    }
    let ids = value.split('<').skip(1).filter_map(|rest| rest.split_once('>'));
    ids.flat_map(|(id, _)| bare_ids(id)).collect()
}
