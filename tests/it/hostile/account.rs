//! One cell's account: what the server truly has, and what is stored of it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use postroom::{
    model::{caller::Visibility, folder::Folder, id::TenantId},
    sandbox::{Account, Sandbox},
    store::{Conn, StoredRaw},
};
use uuid::Uuid;

use crate::{dovecot_sync::account::letter, support::gateway::Gateway};

pub(super) const FOLDERS: [&str; 2] = ["INBOX", "Archive"];

/// A message on the server.
#[derive(Clone, PartialEq, Eq)]
struct Mail {
    number: usize,
    flags: Vec<String>,
    raw: Vec<u8>,
}

/// A user's mail on a sandbox server, all of it made here.
pub(super) struct Truth {
    pub(super) sandbox: Sandbox,
    pub(super) user: String,
    folders: BTreeMap<&'static str, BTreeMap<u32, Mail>>,
    /// What was expunged, and may still be stored.
    past: Vec<(&'static str, u32)>,
    next: usize,
}

/// Of a folder: for each UID the message, its flags and its bytes.
type Stored = BTreeMap<u32, (Uuid, Vec<String>, Vec<u8>)>;

impl Truth {
    /// An account with two folders: six messages in INBOX, three in Archive.
    pub(super) fn new(sandbox: Sandbox, user: String) -> Self {
        sandbox.add_account(Account {
            username: user.clone(),
            password: "secret".to_owned().into(),
        });
        for folder in ["Drafts", "Junk", "Sent", "Trash"] {
            sandbox.delete_folder(&user, folder).unwrap();
        }
        let mut truth = Self {
            sandbox,
            user,
            folders: FOLDERS.map(|name| (name, BTreeMap::new())).into(),
            past: Vec::new(),
            next: 0,
        };
        for _ in 0..6 {
            truth.append("INBOX", 300);
        }
        for _ in 0..3 {
            truth.append("Archive", 300);
        }
        truth
    }

    pub(super) fn append(&mut self, folder: &'static str, bytes: usize) -> u32 {
        let number = self.next;
        self.next += 1;
        let raw = letter(number, "bela@example.net", bytes);
        let at: DateTime<Utc> =
            DateTime::from_timestamp(1_700_000_000 + i64::try_from(number).unwrap(), 0).unwrap();
        let uid = self.sandbox.append(&self.user, folder, &[], at, &raw).unwrap();
        let mail = Mail {
            number,
            flags: Vec::new(),
            raw,
        };
        self.folders.get_mut(folder).unwrap().insert(uid, mail);
        uid
    }

    pub(super) fn flag(&mut self, folder: &'static str, uid: u32, flag: &str) {
        self.sandbox.set_flags(&self.user, folder, uid, &[flag]).unwrap();
        self.folders.get_mut(folder).unwrap().get_mut(&uid).unwrap().flags = vec![flag.to_owned()];
    }

    pub(super) fn expunge(&mut self, folder: &'static str, uid: u32) {
        self.sandbox.expunge(&self.user, folder, uid).unwrap();
        self.folders.get_mut(folder).unwrap().remove(&uid).unwrap();
        self.past.push((folder, uid));
    }

    /// Gives the folder another UIDVALIDITY, and UIDs from 1.
    pub(super) fn renew(&mut self, folder: &'static str) {
        self.sandbox.bump_uid_validity(&self.user, folder).unwrap();
        let mails = std::mem::take(self.folders.get_mut(folder).unwrap());
        let renewed = (1..).zip(mails.into_values()).collect();
        self.folders.insert(folder, renewed);
    }

    pub(super) fn count(&self) -> usize {
        self.folders.values().map(BTreeMap::len).sum()
    }
}

/// What is stored of a mailbox.
pub(super) struct Shelf {
    pub(super) folders: Vec<(Folder, Stored)>,
    pub(super) aside: usize,
}

impl Shelf {
    /// Reads it, at one instant.
    pub(super) async fn read(gateway: &Gateway, tenant: TenantId, mailbox: Uuid) -> Self {
        let mut conn: Conn = gateway.app.store.read().await.unwrap();
        let mut folders = Vec::new();
        let mut aside = 0;
        for folder in conn.list_folders(tenant, mailbox).await.unwrap() {
            let generation = folder.cursor.uid_validity;
            let seen = conn
                .placements_in(tenant, folder.id, generation, (1, i64::from(u32::MAX)))
                .await
                .unwrap();
            let mut stored = Stored::new();
            for seen in seen {
                let raw = conn
                    .get_raw(tenant, Visibility::All, seen.message_id)
                    .await
                    .unwrap();
                // Nothing here is large; one that is expunged at this instant is left out.
                let Some((StoredRaw::Compressed(raw), _)) = raw else {
                    continue;
                };
                let raw = zstd::bulk::decompress(&raw, 1 << 20).unwrap();
                stored.insert(
                    u32::try_from(seen.uid).unwrap(),
                    (seen.message_id, seen.flags, raw),
                );
            }
            aside += conn.list_aside(tenant, &[folder.id]).await.unwrap().len();
            folders.push((folder, stored));
        }
        Self { folders, aside }
    }

    /// The ids of its messages.
    pub(super) fn ids(&self) -> Vec<Uuid> {
        let stored = self.folders.iter().flat_map(|(_, stored)| stored.values());
        let mut ids: Vec<Uuid> = stored.map(|(id, ..)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// What is stored otherwise than the server has it; nothing, when all is well.
    pub(super) fn differences(&self, truth: &Truth) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, mails) in &truth.folders {
            let Some((folder, stored)) = self.named(name) else {
                wrong.push(format!("{name} is missing"));
                continue;
            };
            if folder.message_count != i64::try_from(mails.len()).unwrap() {
                wrong.push(format!(
                    "{name} counts {}, not {}",
                    folder.message_count,
                    mails.len()
                ));
            }
            wrong.extend(
                stored
                    .keys()
                    .filter(|uid| !mails.contains_key(uid))
                    .map(|uid| format!("{name} {uid} is too much")),
            );
            for (uid, mail) in mails {
                match stored.get(uid) {
                    None => wrong.push(format!("{name} {uid} is missing")),
                    Some((_, flags, _)) if *flags != mail.flags => {
                        wrong.push(format!("{name} {uid} has {flags:?}, not {:?}", mail.flags));
                    }
                    Some(_) => {}
                }
            }
        }
        wrong.extend(self.inventions(truth));
        wrong
    }

    /// What is stored and is not what the server has, or has had.
    pub(super) fn inventions(&self, truth: &Truth) -> Vec<String> {
        let mut wrong = Vec::new();
        for (folder, stored) in &self.folders {
            let Some(mails) = truth.folders.get(folder.name.as_str()) else {
                wrong.push(format!("the folder {}", folder.name));
                continue;
            };
            for (uid, (_, _, raw)) in stored {
                let Some(mail) = mails.get(uid) else {
                    let past = |(name, gone): &(&str, u32)| *name == folder.name && gone == uid;
                    if !truth.past.iter().any(past) {
                        wrong.push(format!("{} {uid} is invented", folder.name));
                    }
                    continue;
                };
                // A large one is stored by its header alone.
                let head = mail.raw.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
                if *raw != mail.raw && *raw != mail.raw[..head] {
                    let number = mail.number;
                    wrong.push(format!(
                        "other bytes in {} {uid}, which is letter {number}",
                        folder.name
                    ));
                }
            }
        }
        wrong
    }

    /// What the cursors say is stored, and is not.
    pub(super) fn skipped(&self, truth: &Truth) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, mails) in &truth.folders {
            let Some((folder, stored)) = self.named(name) else {
                wrong.push(format!("{name} is missing"));
                continue;
            };
            let passed = folder.cursor.backfill_low..=folder.cursor.last_uid;
            let skipped = mails
                .keys()
                .filter(|uid| passed.contains(&i64::from(**uid)) && !stored.contains_key(uid));
            wrong.extend(skipped.map(|uid| format!("{name} {uid}")));
        }
        wrong
    }

    /// The message at a place.
    pub(super) fn at(&self, folder: &str, uid: u32) -> Option<Uuid> {
        self.named(folder)
            .and_then(|(_, stored)| stored.get(&uid))
            .map(|(id, ..)| *id)
    }

    fn named(&self, name: &str) -> Option<&(Folder, Stored)> {
        self.folders.iter().find(|(folder, _)| folder.name == name)
    }
}
