//! Doing it on the mail server: each step is confirmed by what the server says afterwards.

use uuid::Uuid;

use super::{
    home::{Labelled, Traits},
    steps::{Copy, End, Step},
};
use crate::{
    mail::imap::{self, Copied, Labelling, Session, StoreFlags, UidSet},
    model::{
        folder::Folder,
        label::label_of,
        message::{FlagChange, flag},
    },
};

/// What the server is known to have done so far.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// True when the store was told that the message is being moved.
    pub(super) announced: bool,
    /// True when a command was sent that changes something.
    pub(super) sent: bool,
    /// The flags of a copy, as the server told them.
    pub(super) flags: Vec<(Copy, Vec<String>)>,
    /// The folders of a copy's labels, as the server told them.
    pub(super) labels: Vec<(Copy, Vec<Uuid>)>,
    /// Copies that the server no longer has.
    pub(super) gone: Vec<Copy>,
    /// Copies that it has now.
    pub(super) placed: Vec<Placed>,
    /// How many of the copies were not where the store says.
    pub(super) absent: usize,
}

impl Done {
    /// True when nothing is known to have changed about a copy that was there.
    pub(super) const fn is_empty(&self) -> bool {
        self.flags.is_empty() && self.labels.is_empty() && self.gone.is_empty()
    }
}

/// A new copy.
#[derive(Debug)]
pub(super) struct Placed {
    /// The folder.
    pub(super) folder: Uuid,
    /// The generation of its UIDs.
    pub(super) uid_validity: u32,
    /// The UID.
    pub(super) uid: u32,
    /// The flags.
    pub(super) flags: Vec<String>,
}

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The mail server or the way to it.
    #[error(transparent)]
    Mail(#[from] imap::Error),
    /// The folder's UIDs have begun anew.
    #[error("the folder is being synced anew")]
    Anew,
    /// The server said OK and did something else, or cannot do it.
    #[error("{0}")]
    Refused(String),
}

/// A session, and the folder that is open in it.
pub(super) struct Writer<'s> {
    pub(super) session: &'s mut Session,
    pub(super) open: Option<Uuid>,
    pub(super) traits: Traits<'s>,
    labels: Option<&'s Labelled>,
}

/// A copy as the server has it.
struct Seen {
    flags: Vec<String>,
    /// The folders of its labels, where it is asked for them.
    labels: Option<Vec<Uuid>>,
}

impl<'s> Writer<'s> {
    /// `labels`: what they stand for, on a server with labels.
    pub(super) const fn new(
        session: &'s mut Session,
        traits: Traits<'s>,
        labels: Option<&'s Labelled>,
    ) -> Self {
        Self {
            session,
            open: None,
            traits,
            labels,
        }
    }

    /// Takes the steps one after another; `done` says how far that went, also when it fails or is given up.
    pub(super) async fn run(&mut self, steps: &[Step], done: &mut Done) -> Result<(), Fault> {
        for step in steps {
            self.can(&step.end)?;
        }
        for step in steps {
            self.step(step, done).await?;
        }
        Ok(())
    }

    fn offers(&self, name: &str) -> bool {
        let offered = self.session.capabilities();
        offered.has(name) || offered.has("IMAP4REV2")
    }

    /// Looks before anything is sent, so that what cannot be done is not begun.
    fn can(&self, end: &End) -> Result<(), Fault> {
        let (moves, erases) = (self.offers("MOVE"), self.offers("UIDPLUS"));
        let possible = match end {
            End::Stay | End::Relabel { .. } => true,
            End::Move(_) => moves || erases,
            End::Expunge | End::Discard(_) => erases,
        };
        if possible {
            return Ok(());
        }
        Err(Fault::Refused(
            "The server does not offer UIDPLUS, without which an EXPUNGE would erase other messages too."
                .to_owned(),
        ))
    }

    async fn step(&mut self, step: &Step, done: &mut Done) -> Result<(), Fault> {
        let Step { copy, flags, end } = step;
        self.open(&copy.folder, copy.uid_validity).await?;
        let Some(before) = self.seen(copy).await? else {
            done.absent += 1;
            return Ok(());
        };
        let now = self.store(copy, before.flags, flags, done).await?;
        match end {
            End::Stay => Ok(()),
            End::Move(target) => self.relocate(copy, target, now, done).await.map(drop),
            End::Relabel { add, remove } => self.relabel(copy, add, remove, done).await,
            End::Expunge => self.expunge(copy, done).await,
            End::Discard(trash) => {
                let Some(copied) = self.relocate(copy, trash, now, done).await? else {
                    return Ok(());
                };
                let discarded = Copy {
                    folder: (**trash).clone(),
                    uid_validity: copied.0,
                    uid: copied.1,
                };
                self.open(trash, copied.0).await?;
                self.expunge(&discarded, done).await
            }
        }
    }

    /// Opens a folder for changing, if another one is open.
    async fn open(&mut self, folder: &Folder, uid_validity: u32) -> Result<(), Fault> {
        if self.open == Some(folder.id) {
            return Ok(());
        }
        self.open = None;
        let selected = self.session.select(&folder.raw_name, None).await?;
        if selected.uid_validity != uid_validity {
            return Err(Fault::Anew);
        }
        if selected.read_only {
            return Err(Fault::Refused(
                "The server opens the folder for reading only.".to_owned(),
            ));
        }
        self.open = Some(folder.id);
        Ok(())
    }

    /// A copy, as it is now; `None` when the server does not have it.
    async fn seen(&mut self, copy: &Copy) -> Result<Option<Seen>, Fault> {
        let labels = self.labels.filter(|labels| labels.all.id == copy.folder.id);
        let uid = one(copy.uid);
        let rows = self.session.fetch_flags(&uid, None, labels.is_some()).await?;
        let row = rows.iter().find(|row| row.uid == copy.uid && row.flags.is_some());
        Ok(row.map(|row| Seen {
            flags: row.lasting_flags(),
            labels: labels
                .zip(row.gm_labels.as_ref())
                .map(|(labels, words)| labels.folders(words)),
        }))
    }

    /// Gives a copy labels and takes others away.
    async fn relabel(
        &mut self,
        copy: &Copy,
        add: &[Folder],
        remove: &[Folder],
        done: &mut Done,
    ) -> Result<(), Fault> {
        done.sent = true;
        // First it gets what it is to have, so that it is never without.
        for (how, folders) in [(Labelling::Add, add), (Labelling::Remove, remove)] {
            let labels: Vec<&[u8]> = folders.iter().filter_map(label_of).collect();
            if !labels.is_empty() {
                self.session
                    .uid_store_labels(&one(copy.uid), how, &labels)
                    .await?;
            }
        }
        let seen = self.seen(copy).await?;
        let Some(labels) = seen.and_then(|seen| seen.labels) else {
            done.absent += 1;
            return Err(Fault::Anew);
        };
        let has = |folder: &Folder| labels.contains(&folder.id);
        let holds = add.iter().all(has) && !remove.iter().any(has);
        done.labels.push((copy.clone(), labels));
        if holds {
            Ok(())
        } else {
            Err(Fault::Refused(
                "The server said OK and keeps other labels than were asked for.".to_owned(),
            ))
        }
    }

    async fn store(
        &mut self,
        copy: &Copy,
        before: Vec<String>,
        change: &FlagChange,
        done: &mut Done,
    ) -> Result<Vec<String>, Fault> {
        if change.is_empty() {
            return Ok(before);
        }
        let mut now = before;
        if !change.holds_in(&now) {
            done.sent = true;
            for (how, flags) in [
                (StoreFlags::Add, &change.add),
                (StoreFlags::Remove, &change.remove),
            ] {
                let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
                if !flags.is_empty() {
                    self.session.uid_store(&one(copy.uid), how, &flags).await?;
                }
            }
            let Some(after) = self.seen(copy).await? else {
                done.absent += 1;
                return Err(Fault::Anew);
            };
            now = after.flags;
            // `\Flagged` is a label too.
            done.labels
                .extend(after.labels.map(|labels| (copy.clone(), labels)));
        }
        done.flags.push((copy.clone(), now.clone()));
        if change.holds_in(&now) {
            Ok(now)
        } else {
            Err(Fault::Refused(
                "The server said OK and keeps other flags than were asked for.".to_owned(),
            ))
        }
    }

    /// Moves a copy; answers its new UIDVALIDITY and UID, where they are known.
    async fn relocate(
        &mut self,
        copy: &Copy,
        target: &Folder,
        flags: Vec<String>,
        done: &mut Done,
    ) -> Result<Option<(u32, u32)>, Fault> {
        let labels = self.labels.filter(|labels| labels.holds(&copy.folder, target));
        let home = labels.map_or(target, |labels| &labels.all);
        let id = match labels {
            Some(_) => self.gm_msgid(copy.uid).await?,
            None => None,
        };
        // What COPYUID says of the folder of a label is the place of no copy.
        let told = labels.is_none() && self.offers("UIDPLUS");
        let next = if told {
            None
        } else {
            self.session.status(&home.raw_name).await?.uid_next
        };
        done.sent = true;
        let moves = self.offers("MOVE");
        let copied = if moves {
            self.session.uid_move(&one(copy.uid), &target.raw_name).await?
        } else {
            self.session.uid_copy(&one(copy.uid), &target.raw_name).await?
        };
        let copied = copied.filter(|_| labels.is_none());
        let place = note(copied.as_ref(), copy.uid, target.id, &flags, done);
        if !moves {
            self.erase(copy.uid).await?;
        }
        if self.session.search_uids(copy.uid, copy.uid).await?.is_empty() {
            done.gone.push(copy.clone());
        } else if place.is_none() {
            return Err(Fault::Refused("The server said OK and moved nothing.".to_owned()));
        }
        let (None, Some(next)) = (place, next) else {
            return Ok(place);
        };
        let Some((uid_validity, row)) = self.look(home, next, id).await? else {
            return Ok(None);
        };
        place_once(done, home.id, uid_validity, row.uid, flags);
        if let Some((labels, words)) = labels.zip(row.gm_labels) {
            let copy = Copy {
                folder: home.clone(),
                uid_validity,
                uid: row.uid,
            };
            done.labels.push((copy, labels.folders(&words)));
        }
        Ok(Some((uid_validity, row.uid)))
    }

    /// Erases a copy.
    async fn expunge(&mut self, copy: &Copy, done: &mut Done) -> Result<(), Fault> {
        done.sent = true;
        self.erase(copy.uid).await?;
        if !self.session.search_uids(copy.uid, copy.uid).await?.is_empty() {
            return Err(Fault::Refused(
                "The server said OK and kept the message.".to_owned(),
            ));
        }
        let is_copy = |placed: &Placed| {
            (placed.folder, placed.uid_validity, placed.uid) == (copy.folder.id, copy.uid_validity, copy.uid)
        };
        done.placed.retain(|placed| !is_copy(placed));
        done.gone.push(copy.clone());
        Ok(())
    }

    /// `\Deleted` and UID EXPUNGE; the mark is taken back where the server refuses the latter.
    async fn erase(&mut self, uid: u32) -> Result<(), Fault> {
        let mark = [flag::DELETED];
        self.session.uid_store(&one(uid), StoreFlags::Add, &mark).await?;
        let erased = self.session.uid_expunge(&one(uid)).await;
        if erased.is_err() && self.session.is_usable() {
            self.session
                .uid_store(&one(uid), StoreFlags::Remove, &mark)
                .await?;
        }
        Ok(erased?)
    }
}

pub(super) fn one(uid: u32) -> UidSet {
    UidSet::range(uid, uid)
}

/// Notes where a copy lies now, if the server said it.
fn note(
    copied: Option<&Copied>,
    uid: u32,
    folder: Uuid,
    flags: &[String],
    done: &mut Done,
) -> Option<(u32, u32)> {
    let copied = copied?;
    let (_, new) = copied.uids.iter().find(|(old, _)| *old == uid)?;
    place_once(done, folder, copied.uid_validity, *new, flags.to_vec());
    Some((copied.uid_validity, *new))
}

fn place_once(done: &mut Done, folder: Uuid, uid_validity: u32, uid: u32, flags: Vec<String>) {
    let known = done
        .placed
        .iter()
        .any(|placed| (placed.folder, placed.uid_validity, placed.uid) == (folder, uid_validity, uid));
    if !known {
        done.placed.push(Placed {
            folder,
            uid_validity,
            uid,
            flags,
        });
    }
}
