//! The commands about messages: APPEND, STORE, COPY, MOVE, EXPUNGE, CLOSE, SEARCH.

use std::{collections::BTreeSet, num::NonZeroU32, sync::Arc};

use imap_codec::imap_types::{
    IntoStatic,
    command::{CommandBody, StoreModifier},
    core::Charset,
    datetime::DateTime,
    extensions::binary::LiteralOrLiteral8,
    flag::{Flag, StoreResponse, StoreType},
    mailbox::Mailbox as MailboxName,
    response::{Code, Data},
    search::SearchKey,
    sequence::SequenceSet,
};

use super::{
    Error,
    mailstore::{Message, NewMessage},
    reply::{Reply, put, put_status},
    search::Query,
    selected::flags_update,
    session::{Outcome, Session, folder_name, uid_set},
};

/// What STORE changes.
struct Change {
    kind: StoreType,
    response: StoreResponse,
    flags: Vec<Flag<'static>>,
    modifiers: Vec<StoreModifier>,
}

impl Session {
    /// Runs a command about messages.
    pub(super) fn run_on_messages(&mut self, body: CommandBody<'static>, out: &mut Vec<u8>) -> Outcome {
        match body {
            CommandBody::Append {
                mailbox,
                flags,
                date,
                message,
            } => self.append(&mailbox, &flags, date, message),
            CommandBody::Check => self.selected().map(|_| Reply::ok("CHECK done")),
            CommandBody::Close => self.close(),
            CommandBody::Unselect => {
                self.selected()?;
                self.selected = None;
                Ok(Reply::ok("UNSELECT done"))
            }
            CommandBody::Expunge => self.expunge(None),
            CommandBody::ExpungeUid { sequence_set } => self.expunge(Some(&sequence_set)),
            CommandBody::Search {
                charset,
                criteria,
                uid,
            } => self.search(charset.as_ref(), criteria.as_ref(), uid, out),
            CommandBody::Store {
                sequence_set,
                kind,
                response,
                flags,
                uid,
                modifiers,
            } => {
                let change = Change {
                    kind,
                    response,
                    flags,
                    modifiers,
                };
                self.change_flags(&sequence_set, uid, &change, out)
            }
            CommandBody::Copy {
                sequence_set,
                mailbox,
                uid,
            } => self.copy(&sequence_set, &mailbox, uid),
            CommandBody::Move {
                sequence_set,
                mailbox,
                uid,
            } => self.shift(&sequence_set, &mailbox, uid, out),
            _ => Err(Reply::bad("Command is not known here")),
        }
    }

    /// APPEND with APPENDUID (RFC 3501, 6.3.11; RFC 4315, 3).
    fn append(
        &mut self,
        mailbox: &MailboxName<'_>,
        flags: &[Flag<'_>],
        date: Option<DateTime>,
        message: LiteralOrLiteral8<'_>,
    ) -> Outcome {
        let LiteralOrLiteral8::Literal(message) = message else {
            return Err(Reply::no("BINARY is not known here").with(Code::UnknownCte));
        };
        let internal_date = date.map_or_else(|| self.shared.now(), |d| *d.as_ref());
        let new = NewMessage {
            flags: flag_set(flags),
            internal_date,
            raw: Arc::from(message.as_ref()),
            id: 0,
        };
        let name = folder_name(mailbox)?;
        let (uid_validity, uid) = self
            .store()
            .append(self.user()?, &name, new)
            .map_err(refuse_with_trycreate)?;
        Ok(Reply::ok("APPEND done").with(Code::AppendUid { uid_validity, uid }))
    }

    /// STORE (RFC 3501, 6.4.6), with UNCHANGEDSINCE (RFC 7162, 3.1.3).
    fn change_flags(&mut self, set: &SequenceSet, uid: bool, change: &Change, out: &mut Vec<u8>) -> Outcome {
        let named = self.writable()?.resolve(set, uid);
        let unchanged_since = change
            .modifiers
            .iter()
            .map(|StoreModifier::UnchangedSince(n)| *n)
            .next();
        self.condstore |= unchanged_since.is_some();
        let given = flag_set(&change.flags);
        let shared = Arc::clone(&self.shared);
        let mut store = shared.lock();
        let mailbox = store.mailbox_mut(self.user()?)?;
        let folder_id = self.selected()?.folder_id;
        let mut modified: Vec<NonZeroU32> = Vec::new();
        for numbered in named {
            let folder = mailbox.folder_by_id(folder_id).ok_or(Error::NoFolder)?;
            let Some(message) = folder.message(numbered.uid) else {
                continue;
            };
            if unchanged_since.is_some_and(|since| message.modseq.get() > since) {
                modified.push(if uid { numbered.uid } else { numbered.seq });
                continue;
            }
            let flags = match change.kind {
                StoreType::Replace => given.clone(),
                StoreType::Add => message.flags.union(&given).cloned().collect(),
                StoreType::Remove => message.flags.difference(&given).cloned().collect(),
            };
            mailbox.set_flags(folder_id, numbered.uid, flags)?;
            let folder = mailbox.folder_by_id(folder_id).ok_or(Error::NoFolder)?;
            let answer = change.response == StoreResponse::Answer;
            if let (Some(message), Some(selected)) = (folder.message(numbered.uid), &mut self.selected) {
                selected.told(message);
                // The client needs the new MODSEQ even when it asked for silence (RFC 7162, 3.1.3).
                if answer || self.condstore {
                    put(out, flags_update(numbered.seq, message, answer, self.condstore));
                }
            }
        }
        mailbox.notify();
        match SequenceSet::try_from(modified) {
            Ok(set) => Ok(Reply::ok("Some were changed by another client").with(Code::Modified(set))),
            Err(_) => Ok(Reply::ok("STORE done")),
        }
    }

    /// COPY with COPYUID (RFC 3501, 6.4.7; RFC 4315, 3): all of the messages, or none.
    fn copy(&mut self, set: &SequenceSet, mailbox: &MailboxName<'_>, uid: bool) -> Outcome {
        let (_, code) = self.copy_messages(set, mailbox, uid)?;
        let reply = Reply::ok("COPY done");
        Ok(match code {
            Some(code) => reply.with(code),
            None => reply,
        })
    }

    /// MOVE (RFC 6851): a copy, then the originals go.
    fn shift(
        &mut self,
        set: &SequenceSet,
        mailbox: &MailboxName<'_>,
        uid: bool,
        out: &mut Vec<u8>,
    ) -> Outcome {
        self.writable()?;
        let (copied, code) = self.copy_messages(set, mailbox, uid)?;
        if let Some(code) = code {
            // Before the EXPUNGEs, so that the client knows where the messages went (RFC 6851, 4.3).
            put_status(out, None, Reply::ok("Moved").with(code));
        }
        self.remove(&copied)?;
        Ok(Reply::ok("MOVE done"))
    }

    fn copy_messages(
        &mut self,
        set: &SequenceSet,
        mailbox: &MailboxName<'_>,
        uid: bool,
    ) -> Result<(Vec<NonZeroU32>, Option<Code<'static>>), Reply> {
        let selected = self.selected()?;
        let named = selected.resolve(set, uid);
        let name = folder_name(mailbox)?;
        let mut store = self.store();
        let account = store.mailbox(self.user()?)?;
        let source = account.folder_by_id(selected.folder_id).ok_or(Error::NoFolder)?;
        let messages: Vec<_> = named
            .iter()
            .filter_map(|n| source.message(n.uid))
            .cloned()
            .collect();
        account
            .folder(&name)
            .and_then(|folder| folder.check_room(messages.len()))
            .map_err(refuse_with_trycreate)?;
        store.check_room(messages.iter().map(|m| m.raw.len()).sum())?;
        let account = store.mailbox_mut(self.user()?)?;
        let uid_validity = account.folder(&name)?.uid_validity;
        let mut from = Vec::new();
        let mut to = Vec::new();
        for m in messages {
            from.push(m.uid);
            let new = NewMessage {
                flags: m.flags,
                internal_date: m.internal_date,
                raw: m.raw,
                id: m.id,
            };
            to.push(account.add(&name, new)?.1);
        }
        account.notify();
        let code = uid_set(&from)
            .zip(uid_set(&to))
            .map(|(source, destination)| Code::CopyUid {
                uid_validity,
                source,
                destination,
            });
        Ok((from, code))
    }

    fn remove(&mut self, uids: &[NonZeroU32]) -> Result<(), Reply> {
        self.remove_selected(|m| uids.binary_search(&m.uid).is_ok())
    }

    /// EXPUNGE, or UID EXPUNGE of a set (RFC 4315, 2.1). The untagged answers come from the refresh.
    fn expunge(&mut self, set: Option<&SequenceSet>) -> Outcome {
        let selected = self.writable()?;
        let only: Option<Vec<NonZeroU32>> =
            set.map(|set| selected.resolve(set, true).into_iter().map(|n| n.uid).collect());
        self.remove_selected(|m| {
            m.flags.contains("\\Deleted")
                && only
                    .as_ref()
                    .is_none_or(|uids| uids.binary_search(&m.uid).is_ok())
        })?;
        Ok(Reply::ok("EXPUNGE done"))
    }

    /// CLOSE: expunges without telling (RFC 3501, 6.4.2).
    fn close(&mut self) -> Outcome {
        if !self.selected()?.read_only {
            self.remove_selected(|m| m.flags.contains("\\Deleted"))?;
        }
        self.selected = None;
        Ok(Reply::ok("CLOSE done"))
    }

    /// SEARCH (RFC 3501, 6.4.4).
    fn search(
        &mut self,
        charset: Option<&Charset<'_>>,
        keys: &[SearchKey<'_>],
        uid: bool,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let known = |c: &Charset<'_>| {
            ["UTF-8", "US-ASCII"]
                .iter()
                .any(|k| c.as_ref().eq_ignore_ascii_case(k))
        };
        if charset.is_some_and(|c| !known(c)) {
            let code = Code::badcharset(vec![]).into_static();
            return Err(Reply::no("Character set is not known here").with(code));
        }
        let selected = self.selected()?;
        let query = Query::new(keys, selected)?;
        let store = self.shared.lock();
        let mailbox = store.mailbox(self.user()?)?;
        let folder = mailbox.folder_by_id(selected.folder_id).ok_or(Error::NoFolder)?;
        let found: Vec<_> = selected
            .all()
            .filter_map(|n| Some((n, folder.message(n.uid)?)))
            .filter(|(_, message)| query.matches(message))
            .collect();
        let highest = found
            .iter()
            .map(|(_, m)| m.modseq)
            .max()
            .filter(|_| query.asks_modseq());
        let numbers = found
            .iter()
            .map(|(n, _)| if uid { n.uid } else { n.seq })
            .collect();
        put(out, Data::Search(numbers, highest));
        drop(store);
        self.condstore |= query.asks_modseq();
        Ok(Reply::ok("SEARCH done"))
    }

    /// Takes messages out of the selected folder and wakes the account's connections.
    fn remove_selected(&self, gone: impl Fn(&Message) -> bool) -> Result<(), Reply> {
        let mut store = self.store();
        let mailbox = store.mailbox_mut(self.user()?)?;
        mailbox.remove(self.selected()?.folder_id, gone)?;
        mailbox.notify();
        Ok(())
    }
}

/// The flags that can be kept: `\Recent` and other backslashed words that are no system flags fall away.
fn flag_set(flags: &[Flag<'_>]) -> BTreeSet<String> {
    flags
        .iter()
        .filter(|f| !matches!(f, Flag::Extension(_)))
        .map(ToString::to_string)
        .collect()
}

/// A missing target says that the client may create it (RFC 3501, 7.1).
fn refuse_with_trycreate(error: Error) -> Reply {
    let reply = Reply::from(error);
    if error == Error::NoFolder {
        reply.with(Code::TryCreate)
    } else {
        reply
    }
}
