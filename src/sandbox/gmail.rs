//! Labels as Gmail has them: every message lies once in All Mail, Spam or Trash, and every other folder is a view of All
//! Mail by label.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    sync::Arc,
};

use chrono::{DateTime, FixedOffset};

use super::{
    Error,
    mailstore::{Folder, Mailbox, Message, NewMessage, Store},
    names,
};

/// The folders that a new account with labels has.
pub(super) const FIRST_FOLDERS: [(&str, Option<&str>); 9] = [
    ("INBOX", None),
    ("[Gmail]", Some("\\Noselect")),
    ("[Gmail]/All Mail", Some("\\All")),
    ("[Gmail]/Drafts", Some("\\Drafts")),
    ("[Gmail]/Important", Some("\\Important")),
    ("[Gmail]/Sent Mail", Some("\\Sent")),
    ("[Gmail]/Spam", Some("\\Junk")),
    ("[Gmail]/Starred", Some("\\Flagged")),
    ("[Gmail]/Trash", Some("\\Trash")),
];

/// The labels that are not the user's, with the special use of their folder; INBOX has none.
const SYSTEM_LABELS: [(&str, &str); 4] = [
    ("\\Draft", "\\Drafts"),
    ("\\Important", "\\Important"),
    ("\\Sent", "\\Sent"),
    ("\\Starred", "\\Flagged"),
];
const INBOX: &str = "\\Inbox";
const STARRED: &str = "\\Starred";

/// Where a message lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    All,
    Spam,
    Trash,
}

/// What a folder shows.
enum Shows {
    Place(Place),
    Label(String),
    Nothing,
}

/// One message, whatever the folders that show it.
struct Labelled {
    place: Place,
    labels: BTreeSet<String>,
    flags: BTreeSet<String>,
    internal_date: DateTime<FixedOffset>,
    raw: Arc<[u8]>,
}

/// The messages of an account with labels, by their ids.
#[derive(Default)]
pub(super) struct Gmail {
    messages: BTreeMap<u64, Labelled>,
}

fn shows(name: &str, folder: &Folder) -> Shows {
    match folder.special_use {
        Some("\\All") => Shows::Place(Place::All),
        Some("\\Junk") => Shows::Place(Place::Spam),
        Some("\\Trash") => Shows::Place(Place::Trash),
        Some(special) => SYSTEM_LABELS
            .iter()
            .find(|(_, of)| *of == special)
            .map_or(Shows::Nothing, |(label, _)| Shows::Label((*label).to_owned())),
        None if name == "INBOX" => Shows::Label(INBOX.to_owned()),
        None => Shows::Label(name.to_owned()),
    }
}

impl Mailbox {
    /// A message enters a folder: it is new, or it is labelled or moved by being copied there.
    pub(super) fn add_labelled(
        &mut self,
        name: &str,
        new: NewMessage,
    ) -> Result<(NonZeroU32, NonZeroU32), Error> {
        let shows = shows(name, self.folder(name)?);
        let id = new.id;
        let message = self.gmail.messages.entry(id).or_insert(Labelled {
            place: Place::All,
            labels: BTreeSet::new(),
            flags: new.flags,
            internal_date: new.internal_date,
            raw: new.raw,
        });
        match shows {
            Shows::Nothing => return Err(Error::NoFolder),
            Shows::Label(label) => {
                message.place = Place::All;
                message.labels.insert(label);
            }
            Shows::Place(place) => {
                message.place = place;
                if place != Place::All {
                    message.labels.remove(INBOX);
                }
            }
        }
        self.show(id)?;
        let folder = self.folder(name)?;
        let copy = folder.messages().iter().find(|m| m.id == id).ok_or(Error::Full)?;
        Ok((folder.uid_validity, copy.uid))
    }

    /// The flags of one copy are those of all.
    pub(super) fn flag_labelled(&mut self, id: u64, flags: BTreeSet<String>) -> Result<(), Error> {
        if let Some(message) = self.gmail.messages.get_mut(&id) {
            message.flags = flags;
            if message.flags.contains("\\Flagged") {
                message.labels.insert(STARRED.to_owned());
            } else {
                message.labels.remove(STARRED);
            }
        }
        self.show(id)
    }

    /// Expunged from a view, a message loses its label; expunged from where it lies, it is deleted.
    pub(super) fn remove_labelled(
        &mut self,
        folder: u64,
        gone: impl Fn(&Message) -> bool,
    ) -> Result<Vec<NonZeroU32>, Error> {
        let (name, folder) = self
            .folders()
            .find(|(_, f)| f.id == folder)
            .ok_or(Error::NoFolder)?;
        let shows = shows(name, folder);
        let copies: Vec<(NonZeroU32, u64)> = folder
            .messages()
            .iter()
            .filter(|m| gone(m))
            .map(|m| (m.uid, m.id))
            .collect();
        for (_, id) in &copies {
            match &shows {
                Shows::Place(_) => {
                    self.gmail.messages.remove(id);
                }
                Shows::Label(label) => self.unlabel(*id, label),
                Shows::Nothing => {}
            }
            self.show(*id)?;
        }
        Ok(copies.into_iter().map(|(uid, _)| uid).collect())
    }

    fn unlabel(&mut self, id: u64, label: &str) {
        if let Some(message) = self.gmail.messages.get_mut(&id) {
            message.labels.remove(label);
            if label == STARRED {
                message.flags.remove("\\Flagged");
            }
        }
    }

    /// Gives a message labels and takes others away.
    pub(super) fn change_labels(
        &mut self,
        folder: u64,
        uid: NonZeroU32,
        add: &[String],
        remove: &[String],
    ) -> Result<(), Error> {
        let folder = self.folder_by_id(folder).ok_or(Error::NoFolder)?;
        let id = folder.message(uid).ok_or(Error::NoMessage)?.id;
        if !self.offer.gmail {
            return Err(Error::FolderInUse);
        }
        for label in remove {
            self.unlabel(id, label);
        }
        let message = self.gmail.messages.get_mut(&id).ok_or(Error::NoMessage)?;
        message.labels.extend(add.iter().cloned());
        if message.labels.contains(STARRED) {
            message.flags.insert("\\Flagged".to_owned());
        }
        self.show(id)
    }

    /// Moves a message from one folder to another.
    pub(super) fn shift(&mut self, from: &str, uid: NonZeroU32, to: &str) -> Result<NonZeroU32, Error> {
        let source = self.folder(from)?;
        let source_id = source.id;
        let copy = source.message(uid).ok_or(Error::NoMessage)?.clone();
        let new = NewMessage {
            flags: copy.flags,
            internal_date: copy.internal_date,
            raw: copy.raw,
            id: copy.id,
        };
        let (_, moved) = self.add(to, new)?;
        let stays = self.offer.gmail && matches!(shows(from, self.folder(from)?), Shows::Place(_));
        if !stays {
            self.remove(source_id, |m| m.uid == uid)?;
        }
        Ok(moved)
    }

    /// Takes the label of a folder that was deleted away from every message.
    pub(super) fn forget_label(&mut self, label: &str) -> Result<(), Error> {
        for id in self.labelled(label) {
            self.unlabel(id, label);
            self.show(id)?;
        }
        Ok(())
    }

    /// A folder was renamed, and its label with it.
    pub(super) fn rename_label(&mut self, from: &str, to: &str) -> Result<(), Error> {
        for id in self.labelled(from) {
            if let Some(message) = self.gmail.messages.get_mut(&id) {
                message.labels.remove(from);
                message.labels.insert(to.to_owned());
            }
            self.show(id)?;
        }
        Ok(())
    }

    fn labelled(&self, label: &str) -> Vec<u64> {
        let with = self
            .gmail
            .messages
            .iter()
            .filter(|(_, m)| m.labels.contains(label));
        with.map(|(id, _)| *id).collect()
    }

    /// Brings every folder in line with what is known of a message. The label of a folder is not among the labels that
    /// it shows, as at Gmail.
    fn show(&mut self, id: u64) -> Result<(), Error> {
        let message = self.gmail.messages.get(&id);
        for (name, folder) in &mut self.folders {
            let shows = shows(name, folder);
            let here = message.filter(|m| match &shows {
                Shows::Place(place) => m.place == *place,
                Shows::Label(label) => m.place == Place::All && m.labels.contains(label),
                Shows::Nothing => false,
            });
            let uid = folder.messages().iter().find(|m| m.id == id).map(|m| m.uid);
            let uid = match (here, uid) {
                (None, None) => continue,
                (None, Some(_)) => {
                    folder.remove(|m| m.id == id);
                    continue;
                }
                (Some(_), Some(uid)) => uid,
                (Some(m), None) => folder.append(NewMessage {
                    flags: m.flags.clone(),
                    internal_date: m.internal_date,
                    raw: Arc::clone(&m.raw),
                    id,
                })?,
            };
            if let Some(m) = here {
                let own = if let Shows::Label(label) = &shows {
                    label
                } else {
                    ""
                };
                let labels = m.labels.iter().filter(|label| *label != own).cloned().collect();
                folder.set_flags(uid, m.flags.clone())?;
                folder.set_labels(uid, labels);
            }
        }
        Ok(())
    }
}

/// Labels as they are sent.
pub(super) fn wire_labels(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|label| names::encode(label)).collect()
}

impl Store {
    /// Creates the folders of labels that are new; those that begin with a backslash are not the user's.
    pub(super) fn create_labels(&mut self, username: &str, labels: &[String]) -> Result<(), Error> {
        for label in labels.iter().filter(|label| !label.starts_with('\\')) {
            match self.create_folder(username, label) {
                Ok(()) | Err(Error::FolderExists) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
