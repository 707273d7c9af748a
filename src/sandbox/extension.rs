//! What the codec has no words for: the attributes of X-GM-EXT-1 and of OBJECTID (RFC 8474), taken out of commands and
//! put into answers as bytes.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    num::NonZeroU32,
};

use imap_codec::imap_types::{core::Tag, sequence::SequenceSet};

use super::{
    Offer,
    fetch::{fields, split},
    mailstore::{Folder, Message},
    reply::Reply,
    session::{Outcome, Session},
};

/// An attribute that a command may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extra {
    GmMsgId,
    GmThrId,
    GmLabels,
    EmailId,
    ThreadId,
    MailboxId,
}

const WORDS: [(&str, Extra); 6] = [
    ("X-GM-MSGID", Extra::GmMsgId),
    ("X-GM-THRID", Extra::GmThrId),
    ("X-GM-LABELS", Extra::GmLabels),
    ("EMAILID", Extra::EmailId),
    ("THREADID", Extra::ThreadId),
    ("MAILBOXID", Extra::MailboxId),
];

fn extra(word: &str, offer: Offer) -> Option<Extra> {
    let (name, extra) = WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word))?;
    let offered = if name.starts_with("X-GM") {
        offer.gmail
    } else {
        offer.object_id
    };
    offered.then_some(*extra)
}

/// Takes the words of [`Extra`] out of a FETCH or a STATUS, so that the codec can read it.
pub(super) fn strip(command: Vec<u8>, offer: Offer) -> (Vec<u8>, Vec<Extra>) {
    let Some(text) = std::str::from_utf8(&command)
        .ok()
        .filter(|_| offer != Offer::default())
    else {
        return (command, Vec::new());
    };
    let mut words = text.trim_ascii_end().split(' ');
    let (_tag, name) = (words.next(), words.next().unwrap_or_default());
    let fetch = name.eq_ignore_ascii_case("FETCH") || name.eq_ignore_ascii_case("UID");
    if !fetch && !name.eq_ignore_ascii_case("STATUS") {
        return (command, Vec::new());
    }
    let least = if fetch { "UID" } else { "MESSAGES" };
    let mut found = Vec::new();
    let mut kept: Vec<String> = Vec::new();
    let mut open = String::new();
    for word in text.trim_ascii_end().split(' ') {
        let core = word.trim_matches(['(', ')']);
        let Some(extra) = extra(core, offer) else {
            kept.push(std::mem::take(&mut open) + word);
            continue;
        };
        found.push(extra);
        open.push_str(&"(".repeat(word.matches('(').count()));
        let close = ")".repeat(word.matches(')').count());
        if !open.is_empty() && !close.is_empty() {
            kept.push(format!("{}{least}{close}", std::mem::take(&mut open)));
        } else if let Some(last) = kept.last_mut() {
            last.push_str(&close);
        }
    }
    if found.is_empty() {
        return (command, Vec::new());
    }
    if kept
        .last()
        .is_some_and(|last| last.parse::<SequenceSet>().is_ok())
    {
        kept.push(least.to_owned());
    }
    (format!("{}\r\n", kept.join(" ")).into_bytes(), found)
}

/// Puts attributes before the parenthesis that ends what was written last.
pub(super) fn amend(out: &mut Vec<u8>, attributes: &str) {
    if !attributes.is_empty() && out.ends_with(b")\r\n") {
        out.truncate(out.len() - 3);
        out.extend_from_slice(attributes.as_bytes());
        out.extend_from_slice(b")\r\n");
    }
}

/// What a row of FETCH says beside what the codec writes.
pub(super) fn of_message(wanted: &[Extra], message: &Message) -> String {
    let one = |extra: &Extra| match extra {
        Extra::GmMsgId => format!(" X-GM-MSGID {}", message.id),
        Extra::GmThrId => format!(" X-GM-THRID {}", thread(message)),
        Extra::GmLabels => format!(" X-GM-LABELS ({})", labels(message)),
        Extra::EmailId => format!(" EMAILID (M{})", message.id),
        Extra::ThreadId => format!(" THREADID (T{})", thread(message)),
        Extra::MailboxId => String::new(),
    };
    wanted.iter().map(one).collect()
}

/// What STATUS says beside what the codec writes.
pub(super) fn of_folder(wanted: &[Extra], folder: &Folder) -> String {
    if wanted.contains(&Extra::MailboxId) {
        format!(" MAILBOXID ({})", folder_id(folder))
    } else {
        String::new()
    }
}

/// MAILBOXID
pub(super) fn folder_id(folder: &Folder) -> String {
    format!("F{}", folder.id)
}

fn labels(message: &Message) -> String {
    let quoted = |label: &String| format!("\"{}\"", label.replace('\\', "\\\\").replace('"', "\\\""));
    let quoted: Vec<String> = message.labels.iter().map(quoted).collect();
    quoted.join(" ")
}

/// A number for the thread: that of the first message that is referred to.
fn thread(message: &Message) -> u64 {
    let header = split(&message.raw).0;
    let field = |wanted: &str| {
        let (_, field) = fields(header).find(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()))?;
        let text = String::from_utf8_lossy(field).into_owned();
        let (_, id) = text.split_once('<')?;
        id.split_once('>').map(|(id, _)| id.to_owned())
    };
    let root = ["References", "In-Reply-To", "Message-ID"]
        .iter()
        .find_map(|name| field(name));
    let mut hasher = DefaultHasher::new();
    root.hash(&mut hasher);
    hasher.finish() >> 1
}

/// `UID STORE … +X-GM-LABELS (…)`.
pub(super) struct LabelChange {
    tag: Tag<'static>,
    set: SequenceSet,
    add: bool,
    silent: bool,
    labels: Vec<String>,
}

impl LabelChange {
    /// Reads such a command; `None` for every other one. Labels are atoms or quoted strings.
    pub(super) fn read(command: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(command).ok()?.trim_ascii_end();
        let mut words = text.splitn(6, ' ');
        let tag = Tag::try_from(words.next()?.to_owned()).ok()?;
        let named = words.next()?.eq_ignore_ascii_case("UID") && words.next()?.eq_ignore_ascii_case("STORE");
        let set = words.next().filter(|_| named)?.parse().ok()?;
        let item = words.next()?.to_ascii_uppercase();
        let (sign, item) = item.split_at_checked(1)?;
        let item = item.strip_prefix("X-GM-LABELS")?;
        let list = words.next()?;
        let list = list.strip_prefix('(')?.strip_suffix(')')?;
        Some(Self {
            tag,
            set,
            add: match sign {
                "+" => true,
                "-" => false,
                _ => return None,
            },
            silent: item == ".SILENT",
            labels: label_list(list),
        })
    }
}

/// Reads atoms and quoted strings.
fn label_list(text: &str) -> Vec<String> {
    let mut labels = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(first) = characters.next() {
        let mut label = String::new();
        match first {
            ' ' => continue,
            '"' => {
                while let Some(next) = characters.next().filter(|c| *c != '"') {
                    label.push(if next == '\\' {
                        characters.next().unwrap_or(next)
                    } else {
                        next
                    });
                }
            }
            _ => {
                label.push(first);
                while let Some(next) = characters.next_if(|c| *c != ' ') {
                    label.push(next);
                }
            }
        }
        labels.push(label);
    }
    labels
}

impl Session {
    /// UID STORE of labels. The untagged answers name the labels; the mod-sequences come from the refresh.
    pub(super) fn change_labels(
        &mut self,
        change: &LabelChange,
        out: &mut Vec<u8>,
    ) -> (Tag<'static>, Outcome) {
        let tag = change.tag.clone();
        (tag, self.store_labels(change, out))
    }

    fn store_labels(&mut self, change: &LabelChange, out: &mut Vec<u8>) -> Outcome {
        if !self.offer().gmail {
            return Err(Reply::bad("X-GM-LABELS is not known here"));
        }
        let selected = self.writable()?;
        let (folder, named) = (selected.folder_id, selected.resolve(&change.set, true));
        let user = self.user()?.to_owned();
        let mut store = self.store();
        let none = Vec::new();
        let (add, remove) = if change.add {
            (&change.labels, &none)
        } else {
            (&none, &change.labels)
        };
        store.create_labels(&user, add)?;
        let mailbox = store.mailbox_mut(&user)?;
        for numbered in named {
            mailbox.change_labels(folder, numbered.uid, add, remove)?;
            let message = mailbox.folder_by_id(folder).and_then(|f| f.message(numbered.uid));
            if let Some(message) = message.filter(|_| !change.silent) {
                let (seq, uid): (NonZeroU32, NonZeroU32) = (numbered.seq, numbered.uid);
                let line = format!("* {seq} FETCH (UID {uid} X-GM-LABELS ({}))\r\n", labels(message));
                out.extend_from_slice(line.as_bytes());
            }
        }
        mailbox.notify();
        Ok(Reply::ok("STORE done"))
    }
}
