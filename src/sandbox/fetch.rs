//! FETCH: one message's data items, by the codec (RFC 3501, 6.4.5).

use std::num::NonZeroU32;

use imap_codec::imap_types::{
    core::{AString, Literal, NString, Vec1},
    datetime::DateTime,
    fetch::{Macro, MacroOrMessageDataItemNames, MessageDataItem, MessageDataItemName, Section},
    response::Data,
};

use super::{
    extension::{self, Extra},
    mailstore::Message,
    reply::{Reply, put},
    selected::flag_list,
};

/// What a FETCH asks for, checked: the server has no ENVELOPE, no BODYSTRUCTURE and no parts.
pub(super) struct Wanted {
    names: Vec<MessageDataItemName<'static>>,
    extra: Vec<Extra>,
}

impl Wanted {
    /// Reads the items of a command; `uid` for UID FETCH, which always answers the UID (RFC 3501, 6.4.8).
    pub(super) fn new(
        items: MacroOrMessageDataItemNames<'static>,
        uid: bool,
        extra: Vec<Extra>,
    ) -> Result<Self, Reply> {
        let mut names = match items {
            MacroOrMessageDataItemNames::Macro(Macro::Fast) => vec![
                MessageDataItemName::Flags,
                MessageDataItemName::InternalDate,
                MessageDataItemName::Rfc822Size,
            ],
            MacroOrMessageDataItemNames::Macro(_) => return Err(Reply::bad("No ENVELOPE here")),
            MacroOrMessageDataItemNames::MessageDataItemNames(names) => names,
        };
        if !names.iter().all(is_known) {
            return Err(Reply::bad("FETCH item is not known here"));
        }
        if uid {
            names.insert(0, MessageDataItemName::Uid);
        }
        let mut seen = Vec::new();
        names.retain(|n| {
            let new = !seen.contains(n);
            if new {
                seen.push(n.clone());
            }
            new
        });
        Ok(Self { names, extra })
    }

    /// Whether the answer sets `\Seen`.
    pub(super) fn reads_body(&self) -> bool {
        self.names.iter().any(|n| {
            matches!(
                n,
                MessageDataItemName::Rfc822
                    | MessageDataItemName::Rfc822Text
                    | MessageDataItemName::BodyExt { peek: false, .. }
            )
        })
    }

    /// Whether the answer has the whole message.
    pub(super) fn reads_whole(&self) -> bool {
        self.names.iter().any(|n| {
            matches!(
                n,
                MessageDataItemName::Rfc822 | MessageDataItemName::BodyExt { section: None, .. }
            )
        })
    }

    /// Whether MODSEQ is asked for, which turns CONDSTORE on (RFC 7162, 3.1).
    pub(super) fn asks_modseq(&self) -> bool {
        self.names.contains(&MessageDataItemName::ModSeq)
    }

    /// Adds MODSEQ, as CHANGEDSINCE does (RFC 7162, 3.1.4.1).
    pub(super) fn add_modseq(&mut self) {
        self.add(MessageDataItemName::ModSeq);
    }

    /// Adds FLAGS, for a body that is read for the first time.
    pub(super) fn add_flags(&mut self) {
        self.add(MessageDataItemName::Flags);
    }

    fn add(&mut self, name: MessageDataItemName<'static>) {
        if !self.names.contains(&name) {
            self.names.push(name);
        }
    }

    /// Writes the `* n FETCH (…)` of one message.
    pub(super) fn answer(&self, seq: NonZeroU32, message: &Message, out: &mut Vec<u8>) {
        let items: Vec<_> = self.names.iter().filter_map(|name| item(name, message)).collect();
        if let Ok(items) = Vec1::try_from(items) {
            put(out, Data::Fetch { seq, items });
            extension::amend(out, &extension::of_message(&self.extra, message));
        }
    }
}

fn is_known(name: &MessageDataItemName<'_>) -> bool {
    match name {
        MessageDataItemName::BodyExt { section, .. } => matches!(
            section,
            None | Some(
                Section::Header(None)
                    | Section::HeaderFields(None, _)
                    | Section::HeaderFieldsNot(None, _)
                    | Section::Text(None)
            )
        ),
        MessageDataItemName::Flags
        | MessageDataItemName::InternalDate
        | MessageDataItemName::ModSeq
        | MessageDataItemName::Rfc822
        | MessageDataItemName::Rfc822Header
        | MessageDataItemName::Rfc822Size
        | MessageDataItemName::Rfc822Text
        | MessageDataItemName::Uid => true,
        MessageDataItemName::Binary { .. }
        | MessageDataItemName::BinarySize { .. }
        | MessageDataItemName::Body
        | MessageDataItemName::BodyStructure
        | MessageDataItemName::Envelope => false,
    }
}

fn item(name: &MessageDataItemName<'static>, message: &Message) -> Option<MessageDataItem<'static>> {
    let raw = &message.raw;
    Some(match name {
        MessageDataItemName::Uid => MessageDataItem::Uid(message.uid),
        MessageDataItemName::Flags => MessageDataItem::Flags(flag_list(message)),
        MessageDataItemName::ModSeq => MessageDataItem::ModSeq(message.modseq),
        MessageDataItemName::InternalDate => {
            MessageDataItem::InternalDate(DateTime::try_from(message.internal_date).ok()?)
        }
        MessageDataItemName::Rfc822Size => {
            MessageDataItem::Rfc822Size(u32::try_from(raw.len()).unwrap_or(u32::MAX))
        }
        MessageDataItemName::Rfc822 => MessageDataItem::Rfc822(literal(raw)?),
        MessageDataItemName::Rfc822Header => MessageDataItem::Rfc822Header(literal(split(raw).0)?),
        MessageDataItemName::Rfc822Text => MessageDataItem::Rfc822Text(literal(split(raw).1)?),
        MessageDataItemName::BodyExt { section, partial, .. } => {
            let bytes = section_bytes(section.as_ref(), raw)?;
            MessageDataItem::BodyExt {
                section: section.clone(),
                origin: partial.map(|(origin, _)| origin),
                data: literal(cut(&bytes, *partial))?,
            }
        }
        _ => return None,
    })
}

fn literal(bytes: &[u8]) -> Option<NString<'static>> {
    Some(NString::from(Literal::try_from(bytes.to_vec()).ok()?))
}

fn cut(bytes: &[u8], partial: Option<(u32, NonZeroU32)>) -> &[u8] {
    let Some((origin, count)) = partial else {
        return bytes;
    };
    let place = |n: u32| usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
    bytes
        .get(place(origin)..place(origin.saturating_add(count.get())))
        .unwrap_or_default()
}

/// The header with the empty line that ends it, and the text after it.
pub(super) fn split(raw: &[u8]) -> (&[u8], &[u8]) {
    let end = raw
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .map_or(raw.len(), |at| at + 4);
    raw.split_at_checked(end).unwrap_or((raw, &[]))
}

fn section_bytes(section: Option<&Section<'_>>, raw: &[u8]) -> Option<Vec<u8>> {
    let (header, text) = split(raw);
    Some(match section {
        None => raw.to_vec(),
        Some(Section::Header(None)) => header.to_vec(),
        Some(Section::Text(None)) => text.to_vec(),
        Some(Section::HeaderFields(None, names)) => some_fields(header, names, true),
        Some(Section::HeaderFieldsNot(None, names)) => some_fields(header, names, false),
        Some(_) => return None,
    })
}

fn some_fields(header: &[u8], names: &Vec1<AString<'_>>, wanted: bool) -> Vec<u8> {
    let mut bytes: Vec<u8> = fields(header)
        .filter(|(name, _)| {
            names
                .as_ref()
                .iter()
                .any(|n| n.as_ref().eq_ignore_ascii_case(name))
                == wanted
        })
        .flat_map(|(_, field)| field.iter().copied())
        .collect();
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// The fields of a header: the name, and the whole field with its folded lines.
pub(super) fn fields(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = header;
    std::iter::from_fn(move || {
        let mut end = 0;
        loop {
            let line = rest.get(end..)?;
            end += line
                .iter()
                .position(|b| *b == b'\n')
                .map_or(line.len(), |at| at + 1);
            if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (field, after) = rest.split_at_checked(end)?;
        rest = after;
        let name = field.split(|b| *b == b':').next()?;
        (field.contains(&b':')).then_some((name.trim_ascii_end(), field))
    })
}
