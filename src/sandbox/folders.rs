//! The commands about folders: LIST, STATUS, SELECT, CREATE, DELETE, RENAME, SUBSCRIBE.

use imap_codec::imap_types::{
    command::{CommandBody, SelectParameter},
    core::Atom,
    flag::{Flag, FlagNameAttribute, FlagPerm},
    mailbox::{ListMailbox, Mailbox as MailboxName},
    response::{Code, Data},
    status::{StatusDataItem, StatusDataItemName},
};

use super::{
    extension,
    mailstore::{Folder, Mailbox},
    names,
    reply::{Reply, put, put_status},
    selected::Selected,
    session::{Outcome, Session, folder_name},
};

impl Session {
    /// Runs a command about folders, or hands it on.
    pub(super) fn run_on_folders(&mut self, body: CommandBody<'static>, out: &mut Vec<u8>) -> Outcome {
        match body {
            CommandBody::List {
                reference,
                mailbox_wildcard,
            } => self.list(&reference, &mailbox_wildcard, false, out),
            CommandBody::Lsub {
                reference,
                mailbox_wildcard,
            } => self.list(&reference, &mailbox_wildcard, true, out),
            CommandBody::Status { mailbox, item_names } => self.status(mailbox, &item_names, out),
            CommandBody::Select { mailbox, parameters } => self.select(&mailbox, &parameters, false, out),
            CommandBody::Examine { mailbox, parameters } => self.select(&mailbox, &parameters, true, out),
            CommandBody::Create { mailbox } => self.create(&mailbox),
            CommandBody::Delete { mailbox } => self.delete(&mailbox),
            CommandBody::Rename { from, to } => self.rename(&from, &to),
            CommandBody::Subscribe { mailbox } => self.subscribe(&mailbox, true),
            CommandBody::Unsubscribe { mailbox } => self.subscribe(&mailbox, false),
            other => self.run_on_messages(other, out),
        }
    }

    /// LIST and LSUB (RFC 3501, 6.3.8), with the special uses of RFC 6154 and the attributes of RFC 3348.
    fn list(
        &mut self,
        reference: &MailboxName<'_>,
        wildcard: &ListMailbox<'_>,
        subscribed: bool,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let wildcard = match wildcard {
            ListMailbox::Token(token) => token.as_ref(),
            ListMailbox::String(string) => string.as_ref(),
        };
        let wildcard = String::from_utf8_lossy(wildcard);
        let mut respond = |name: &str, items: Vec<FlagNameAttribute<'static>>| {
            let delimiter = names::DELIMITER.try_into().ok();
            if let Ok(mailbox) = MailboxName::try_from(name.to_owned()) {
                put(
                    out,
                    if subscribed {
                        Data::Lsub {
                            items,
                            delimiter,
                            mailbox,
                        }
                    } else {
                        Data::List {
                            items,
                            delimiter,
                            mailbox,
                        }
                    },
                );
            }
        };
        if wildcard.is_empty() {
            // Asks for the delimiter only.
            respond("", vec![FlagNameAttribute::Noselect]);
            return Ok(Reply::ok("LIST done"));
        }
        let pattern = format!("{}{wildcard}", folder_name(reference)?);
        if pattern.len() > names::MAX_NAME {
            return Err(Reply::bad("Pattern is too long"));
        }
        let store = self.store();
        let mailbox = store.mailbox(self.user()?)?;
        for (name, folder) in mailbox.folders() {
            if names::matches(&pattern, name) && !folder.hidden && (folder.subscribed || !subscribed) {
                respond(name, attributes(mailbox, name, folder));
            }
        }
        Ok(Reply::ok("LIST done"))
    }

    /// STATUS (RFC 3501, 6.3.10).
    fn status(
        &mut self,
        mailbox: MailboxName<'static>,
        wanted: &[StatusDataItemName],
        out: &mut Vec<u8>,
    ) -> Outcome {
        let name = folder_name(&mailbox)?;
        let store = self.shared.lock();
        let folder = store.mailbox(self.user()?)?.visible(&name)?;
        let items = wanted
            .iter()
            .map(|w| status_item(w, folder))
            .collect::<Option<Vec<_>>>();
        let items = items.ok_or_else(|| Reply::bad("STATUS item is not known here"))?;
        put(
            out,
            Data::Status {
                mailbox,
                items: items.into(),
            },
        );
        extension::amend(out, &extension::of_folder(&self.extra, folder));
        drop(store);
        self.condstore |= wanted.contains(&StatusDataItemName::HighestModSeq);
        Ok(Reply::ok("STATUS done"))
    }

    /// SELECT and EXAMINE (RFC 3501, 6.3.1; RFC 7162, 3.1.8).
    fn select(
        &mut self,
        mailbox: &MailboxName<'static>,
        parameters: &[SelectParameter],
        read_only: bool,
        out: &mut Vec<u8>,
    ) -> Outcome {
        // A SELECT that fails leaves nothing selected.
        self.selected = None;
        if parameters.iter().any(|p| *p != SelectParameter::CondStore) {
            return Err(Reply::bad("QRESYNC is not known here"));
        }
        let name = folder_name(mailbox)?;
        let store = self.shared.lock();
        let mailbox = store.mailbox(self.user()?)?;
        let folder = mailbox.visible(&name)?;
        describe(folder, out);
        if mailbox.offer.object_id {
            let id = extension::folder_id(folder);
            out.extend_from_slice(format!("* OK [MAILBOXID ({id})] Id of the folder\r\n").as_bytes());
        }
        let selected = Selected::open(folder, read_only);
        drop(store);
        self.selected = Some(selected);
        self.condstore |= !parameters.is_empty();
        Ok(if read_only {
            Reply::ok("EXAMINE done").with(Code::ReadOnly)
        } else {
            Reply::ok("SELECT done").with(Code::ReadWrite)
        })
    }

    fn create(&mut self, mailbox: &MailboxName<'_>) -> Outcome {
        let name = folder_name(mailbox)?;
        // A delimiter at the end says that folders will follow below it (RFC 3501, 6.3.3).
        let name = name.strip_suffix(names::DELIMITER).unwrap_or(&name);
        self.store().create_folder(self.user()?, name)?;
        Ok(Reply::ok("CREATE done"))
    }

    fn delete(&mut self, mailbox: &MailboxName<'_>) -> Outcome {
        self.store().delete_folder(self.user()?, &folder_name(mailbox)?)?;
        Ok(Reply::ok("DELETE done"))
    }

    fn rename(&mut self, from: &MailboxName<'_>, to: &MailboxName<'_>) -> Outcome {
        self.store()
            .rename_folder(self.user()?, &folder_name(from)?, &folder_name(to)?)?;
        Ok(Reply::ok("RENAME done"))
    }

    fn subscribe(&mut self, mailbox: &MailboxName<'_>, subscribed: bool) -> Outcome {
        let name = folder_name(mailbox)?;
        self.store()
            .mailbox_mut(self.user()?)?
            .folder_mut(&name)?
            .subscribed = subscribed;
        Ok(Reply::ok("Subscription done"))
    }
}

fn attributes(mailbox: &Mailbox, name: &str, folder: &Folder) -> Vec<FlagNameAttribute<'static>> {
    let children = if mailbox.has_children(name) {
        "HasChildren"
    } else {
        "HasNoChildren"
    };
    [
        Some(children),
        folder.special_use.and_then(|s| s.strip_prefix('\\')),
    ]
    .into_iter()
    .flatten()
    .filter_map(|word| Atom::try_from(word).ok())
    .map(FlagNameAttribute::from)
    .collect()
}

fn count(folder: &Folder, flag: &str) -> u32 {
    let with = folder
        .messages()
        .iter()
        .filter(|m| m.flags.contains(flag))
        .count();
    u32::try_from(with).unwrap_or(u32::MAX)
}

fn total(folder: &Folder) -> u32 {
    u32::try_from(folder.messages().len()).unwrap_or(u32::MAX)
}

fn status_item(wanted: &StatusDataItemName, folder: &Folder) -> Option<StatusDataItem> {
    Some(match wanted {
        StatusDataItemName::Messages => StatusDataItem::Messages(total(folder)),
        StatusDataItemName::Recent => StatusDataItem::Recent(0),
        StatusDataItemName::UidNext => StatusDataItem::UidNext(folder.uid_next),
        StatusDataItemName::UidValidity => StatusDataItem::UidValidity(folder.uid_validity),
        StatusDataItemName::Unseen => {
            StatusDataItem::Unseen(total(folder).saturating_sub(count(folder, "\\Seen")))
        }
        StatusDataItemName::Deleted => StatusDataItem::Deleted(count(folder, "\\Deleted")),
        StatusDataItemName::HighestModSeq => StatusDataItem::HighestModSeq(folder.highest_modseq.get()),
        StatusDataItemName::DeletedStorage => return None,
    })
}

/// The untagged answers to SELECT.
fn describe(folder: &Folder, out: &mut Vec<u8>) {
    let system = [
        Flag::Answered,
        Flag::Flagged,
        Flag::Deleted,
        Flag::Seen,
        Flag::Draft,
    ];
    put(out, Data::Flags(system.to_vec()));
    put(out, Data::Exists(total(folder)));
    put(out, Data::Recent(0));
    let permanent = system
        .into_iter()
        .map(FlagPerm::Flag)
        .chain([FlagPerm::Asterisk])
        .collect();
    let unseen = folder.messages().iter().position(|m| !m.flags.contains("\\Seen"));
    let unseen = unseen
        .and_then(|at| u32::try_from(at + 1).ok())
        .and_then(|n| Code::unseen(n).ok());
    let codes = [
        Some((Code::PermanentFlags(permanent), "Flags permitted")),
        unseen.map(|code| (code, "First unseen")),
        Some((Code::UidValidity(folder.uid_validity), "UIDs valid")),
        Some((Code::UidNext(folder.uid_next), "Predicted next UID")),
        Some((Code::HighestModSeq(folder.highest_modseq), "Highest")),
    ];
    for (code, text) in codes.into_iter().flatten() {
        put_status(out, None, Reply::ok(text).with(code));
    }
}
