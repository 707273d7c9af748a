//! Accounts, folders and messages in memory: the state that every connection shares.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    num::{NonZeroU32, NonZeroU64},
};

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

pub(super) use super::folder::{Folder, Message, NewMessage};
use super::{Error, Offer, folder::MAX_FLAGS, gmail::Gmail, names};

/// Most folders of an account.
const MAX_FOLDERS: usize = 1_000;
/// Most bytes of mail in the whole sandbox: 1 GiB.
const MAX_BYTES: usize = 1 << 30;

/// The folders that a new account has, with their special use (RFC 6154).
const FIRST_FOLDERS: [(&str, Option<&str>); 6] = [
    ("INBOX", None),
    ("Archive", Some("\\Archive")),
    ("Drafts", Some("\\Drafts")),
    ("Junk", Some("\\Junk")),
    ("Sent", Some("\\Sent")),
    ("Trash", Some("\\Trash")),
];

/// One account: its password, its folders, and the counter that wakes its connections.
pub(super) struct Mailbox {
    password: SecretString,
    pub(super) folders: BTreeMap<String, Folder>,
    pub(super) offer: Offer,
    /// The messages of an account with labels.
    pub(super) gmail: Gmail,
    next_message: u64,
    changed: watch::Sender<u64>,
}

impl Mailbox {
    /// The folders by their names as sent, in order.
    pub(super) fn folders(&self) -> impl Iterator<Item = (&str, &Folder)> {
        self.folders.iter().map(|(name, folder)| (name.as_str(), folder))
    }

    pub(super) fn folder(&self, name: &str) -> Result<&Folder, Error> {
        self.folders.get(name).ok_or(Error::NoFolder)
    }

    /// A folder that clients see.
    pub(super) fn visible(&self, name: &str) -> Result<&Folder, Error> {
        self.folder(name)
            .ok()
            .filter(|f| !f.hidden && f.special_use != Some("\\Noselect"))
            .ok_or(Error::NoFolder)
    }

    pub(super) fn folder_mut(&mut self, name: &str) -> Result<&mut Folder, Error> {
        self.folders.get_mut(name).ok_or(Error::NoFolder)
    }

    pub(super) fn folder_by_id(&self, id: u64) -> Option<&Folder> {
        self.folders.values().find(|f| f.id == id)
    }

    pub(super) fn folder_by_id_mut(&mut self, id: u64) -> Option<&mut Folder> {
        self.folders.values_mut().find(|f| f.id == id)
    }

    /// Adds a message, or another copy of one, to a folder; answers the folder's UIDVALIDITY and the UID.
    pub(super) fn add(&mut self, name: &str, mut new: NewMessage) -> Result<(NonZeroU32, NonZeroU32), Error> {
        self.folder(name)?.check_room(1)?;
        if new.flags.len() > MAX_FLAGS {
            return Err(Error::Full);
        }
        if new.id == 0 {
            self.next_message += 1;
            new.id = self.next_message;
        }
        if self.offer.gmail {
            return self.add_labelled(name, new);
        }
        let folder = self.folder_mut(name)?;
        Ok((folder.uid_validity, folder.append(new)?))
    }

    /// Replaces a message's flags.
    pub(super) fn set_flags(
        &mut self,
        folder: u64,
        uid: NonZeroU32,
        flags: BTreeSet<String>,
    ) -> Result<(), Error> {
        let folder = self.folder_by_id_mut(folder).ok_or(Error::NoFolder)?;
        let id = folder.message(uid).map(|m| m.id).ok_or(Error::NoMessage)?;
        folder.set_flags(uid, flags.clone())?;
        if self.offer.gmail {
            self.flag_labelled(id, flags)?;
        }
        Ok(())
    }

    /// Takes messages out of a folder, and answers their UIDs.
    pub(super) fn remove(
        &mut self,
        folder: u64,
        gone: impl Fn(&Message) -> bool,
    ) -> Result<Vec<NonZeroU32>, Error> {
        if self.offer.gmail {
            return self.remove_labelled(folder, gone);
        }
        Ok(self.folder_by_id_mut(folder).ok_or(Error::NoFolder)?.remove(gone))
    }

    pub(super) fn has_children(&self, name: &str) -> bool {
        let prefix = format!("{name}{}", names::DELIMITER);
        self.folders.keys().any(|other| other.starts_with(&prefix))
    }

    /// Wakes every connection of the account.
    pub(super) fn notify(&self) {
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }
}

/// Everything the server holds.
pub(super) struct Store {
    accounts: HashMap<String, Mailbox>,
    next_folder_id: u64,
    next_uid_validity: NonZeroU32,
}

impl Store {
    /// An empty store whose first folder gets `first_uid_validity`; each later one gets the next number.
    pub(super) fn new(first_uid_validity: NonZeroU32) -> Self {
        Self {
            accounts: HashMap::new(),
            next_folder_id: 1,
            next_uid_validity: first_uid_validity,
        }
    }

    /// Adds an account with its first folders; for one that exists, sets its password.
    pub(super) fn add_account(&mut self, username: &str, password: SecretString, offer: Offer) {
        if let Some(mailbox) = self.accounts.get_mut(username) {
            mailbox.password = password;
            return;
        }
        let mut folders = BTreeMap::new();
        let first = if offer.gmail {
            super::gmail::FIRST_FOLDERS.as_slice()
        } else {
            FIRST_FOLDERS.as_slice()
        };
        for (name, special_use) in first.iter().copied() {
            folders.insert(name.to_owned(), self.new_folder(special_use));
        }
        let mailbox = Mailbox {
            password,
            folders,
            offer,
            gmail: Gmail::default(),
            next_message: 0,
            changed: watch::Sender::new(0),
        };
        self.accounts.insert(username.to_owned(), mailbox);
    }

    /// Whether the password is right; an unknown account is a wrong password.
    pub(super) fn authenticate(&self, username: &str, password: &[u8]) -> bool {
        self.accounts
            .get(username)
            .is_some_and(|a| a.password.expose_secret().as_bytes().ct_eq(password).into())
    }

    pub(super) fn mailbox(&self, username: &str) -> Result<&Mailbox, Error> {
        self.accounts.get(username).ok_or(Error::NoAccount)
    }

    pub(super) fn mailbox_mut(&mut self, username: &str) -> Result<&mut Mailbox, Error> {
        self.accounts.get_mut(username).ok_or(Error::NoAccount)
    }

    pub(super) fn watch(&self, username: &str) -> Result<watch::Receiver<u64>, Error> {
        Ok(self.mailbox(username)?.changed.subscribe())
    }

    /// Adds a message to a folder. The whole sandbox holds at most [`MAX_BYTES`].
    pub(super) fn append(
        &mut self,
        username: &str,
        folder: &str,
        new: NewMessage,
    ) -> Result<(NonZeroU32, NonZeroU32), Error> {
        if new.raw.contains(&0) {
            return Err(Error::NulByte);
        }
        self.check_room(new.raw.len())?;
        let mailbox = self.mailbox_mut(username)?;
        let added = mailbox.add(folder, new)?;
        mailbox.notify();
        Ok(added)
    }

    /// Refuses with [`Error::Full`] when `more` bytes do not fit.
    pub(super) fn check_room(&self, more: usize) -> Result<(), Error> {
        let held: usize = self
            .accounts
            .values()
            .flat_map(|m| m.folders.values())
            .map(|f| f.bytes)
            .sum();
        if held.saturating_add(more) > MAX_BYTES {
            Err(Error::Full)
        } else {
            Ok(())
        }
    }

    /// Creates a folder, and the folders above it that are missing (RFC 3501, 6.3.3).
    pub(super) fn create_folder(&mut self, username: &str, name: &str) -> Result<(), Error> {
        if !names::is_valid(name) {
            return Err(Error::FolderName);
        }
        let mailbox = self.mailbox(username)?;
        if mailbox.folders.contains_key(name) {
            return Err(Error::FolderExists);
        }
        self.create_missing(username, names::parents(name).chain([name]))?;
        self.mailbox(username)?.notify();
        Ok(())
    }

    fn create_missing<'n>(
        &mut self,
        username: &str,
        names: impl Iterator<Item = &'n str>,
    ) -> Result<(), Error> {
        for name in names {
            let mailbox = self.mailbox(username)?;
            if mailbox.folders.contains_key(name) {
                continue;
            }
            if mailbox.folders.len() >= MAX_FOLDERS {
                return Err(Error::Full);
            }
            let folder = self.new_folder(None);
            self.mailbox_mut(username)?
                .folders
                .insert(name.to_owned(), folder);
        }
        Ok(())
    }

    /// Deletes a folder without children. INBOX stays.
    pub(super) fn delete_folder(&mut self, username: &str, name: &str) -> Result<(), Error> {
        let mailbox = self.mailbox_mut(username)?;
        if name == "INBOX" || mailbox.has_children(name) {
            return Err(Error::FolderInUse);
        }
        mailbox.folders.remove(name).ok_or(Error::NoFolder)?;
        mailbox.forget_label(name)?;
        mailbox.notify();
        Ok(())
    }

    /// Renames a folder with those below it. Renaming INBOX is refused.
    pub(super) fn rename_folder(&mut self, username: &str, from: &str, to: &str) -> Result<(), Error> {
        if !names::is_valid(to) {
            return Err(Error::FolderName);
        }
        let prefix = format!("{from}{}", names::DELIMITER);
        if from == "INBOX" || to.starts_with(&prefix) {
            return Err(Error::FolderInUse);
        }
        let mailbox = self.mailbox_mut(username)?;
        mailbox.folder(from)?;
        let moves: Vec<(String, String)> = mailbox
            .folders
            .keys()
            .filter(|n| *n == from || n.starts_with(&prefix))
            .map(|n| {
                (
                    n.clone(),
                    format!("{to}{}", n.get(from.len()..).unwrap_or_default()),
                )
            })
            .collect();
        if moves.iter().any(|(_, new)| mailbox.folders.contains_key(new)) {
            return Err(Error::FolderExists);
        }
        if moves.iter().any(|(_, new)| !names::is_valid(new)) {
            return Err(Error::FolderName);
        }
        for (old, new) in moves {
            if let Some(folder) = mailbox.folders.remove(&old) {
                let renames_label = folder.special_use.is_none();
                mailbox.folders.insert(new.clone(), folder);
                if renames_label {
                    mailbox.rename_label(&old, &new)?;
                }
            }
        }
        self.create_missing(username, names::parents(to))?;
        let mailbox = self.mailbox(username)?;
        mailbox.notify();
        Ok(())
    }

    /// Gives a folder another UIDVALIDITY, and its messages new UIDs from 1, as a server does that lost its index.
    pub(super) fn bump_uid_validity(&mut self, username: &str, name: &str) -> Result<u32, Error> {
        let uid_validity = self.take_uid_validity();
        self.set_uid_validity(username, name, uid_validity)?;
        Ok(uid_validity.get())
    }

    /// The same with a value that is given.
    pub(super) fn set_uid_validity(
        &mut self,
        username: &str,
        name: &str,
        uid_validity: NonZeroU32,
    ) -> Result<(), Error> {
        let mailbox = self.mailbox_mut(username)?;
        let folder = mailbox.folder_mut(name)?;
        folder.uid_validity = uid_validity;
        folder.uid_next = NonZeroU32::MIN;
        for message in &mut folder.messages {
            message.uid = folder.uid_next;
            folder.uid_next = folder.uid_next.saturating_add(1);
        }
        mailbox.notify();
        Ok(())
    }

    fn new_folder(&mut self, special_use: Option<&'static str>) -> Folder {
        let id = self.next_folder_id;
        self.next_folder_id += 1;
        Folder {
            id,
            uid_validity: self.take_uid_validity(),
            uid_next: NonZeroU32::MIN,
            highest_modseq: NonZeroU64::MIN,
            special_use,
            subscribed: true,
            hidden: false,
            messages: Vec::new(),
            bytes: 0,
        }
    }

    fn take_uid_validity(&mut self) -> NonZeroU32 {
        let taken = self.next_uid_validity;
        self.next_uid_validity = taken.checked_add(1).unwrap_or(NonZeroU32::MIN);
        taken
    }
}
