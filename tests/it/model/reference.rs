//! The reference model: folders with letters in them, and what each step makes of them. It knows nothing of IMAP.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, sample::Index};

/// The flags that are set and taken away.
const FLAGS: [&str; 4] = ["\\Seen", "\\Flagged", "\\Answered", "work"];
/// How many folders there are at most.
const MAX_FOLDERS: usize = 6;

/// Something that may happen. What it happens to is chosen among what is there at that moment.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Append {
        folder: Index,
        flags: u8,
        again: Option<Index>,
    },
    Expunge {
        folder: Index,
        place: Index,
    },
    Flag {
        folder: Index,
        place: Index,
        flag: Index,
        set: bool,
    },
    Move {
        from: Index,
        place: Index,
        to: Index,
    },
    Copy {
        from: Index,
        place: Index,
        to: Index,
    },
    Create,
    Rename {
        folder: Index,
    },
    Remove {
        folder: Index,
    },
    Renumber {
        folder: Index,
    },
    Disconnect,
    Restart,
    Look,
}

/// What is to be done to the server, or to the gateway.
#[derive(Debug)]
pub(super) enum Done {
    Append {
        folder: String,
        letter: usize,
        flags: BTreeSet<&'static str>,
    },
    Expunge {
        folder: String,
        place: usize,
    },
    Flag {
        folder: String,
        place: usize,
        flag: &'static str,
        set: bool,
    },
    Move {
        from: String,
        place: usize,
        to: String,
    },
    Copy {
        from: String,
        place: usize,
        to: String,
    },
    Create {
        folder: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        folder: String,
    },
    Renumber {
        folder: String,
        uid_validity: u32,
    },
    Disconnect,
    Restart,
    Look,
}

impl Done {
    /// True when the folder that it happens to is another one afterwards, for whoever has it open.
    pub(super) fn ends_sessions(&self) -> bool {
        matches!(
            self,
            Self::Rename { .. } | Self::Remove { .. } | Self::Renumber { .. }
        )
    }
}

/// A history of this many steps.
pub(super) fn steps(length: usize) -> impl Strategy<Value = Vec<Step>> {
    let index = any::<Index>;
    let step = prop_oneof![
        10 => (index(), any::<u8>(), prop::option::weighted(0.2, index()))
            .prop_map(|(folder, flags, again)| Step::Append { folder, flags, again }),
        4 => (index(), index()).prop_map(|(folder, place)| Step::Expunge { folder, place }),
        5 => (index(), index(), index(), any::<bool>())
            .prop_map(|(folder, place, flag, set)| Step::Flag { folder, place, flag, set }),
        4 => (index(), index(), index()).prop_map(|(from, place, to)| Step::Move { from, place, to }),
        2 => (index(), index(), index()).prop_map(|(from, place, to)| Step::Copy { from, place, to }),
        2 => Just(Step::Create),
        1 => index().prop_map(|folder| Step::Rename { folder }),
        1 => index().prop_map(|folder| Step::Remove { folder }),
        1 => index().prop_map(|folder| Step::Renumber { folder }),
        1 => Just(Step::Disconnect),
        1 => Just(Step::Restart),
        1 => Just(Step::Look),
    ];
    prop::collection::vec(step, length)
}

/// A letter in a folder.
#[derive(Debug, Clone)]
struct Placed {
    letter: usize,
    flags: BTreeSet<&'static str>,
}

/// The folders, each with its letters in the order of their UIDs.
#[derive(Debug)]
pub(super) struct Reference {
    folders: BTreeMap<String, Vec<Placed>>,
    letters: usize,
    names: usize,
    uid_validity: u32,
}

impl Default for Reference {
    fn default() -> Self {
        Self {
            folders: BTreeMap::from([("INBOX".to_owned(), Vec::new())]),
            letters: 0,
            names: 0,
            uid_validity: 4_000_000_000,
        }
    }
}

impl Reference {
    /// Makes a step; `None` where there is nothing that it could happen to.
    pub(super) fn apply(&mut self, step: Step) -> Option<Done> {
        match step {
            Step::Append { folder, flags, again } => Some(self.append(folder, flags, again)),
            Step::Expunge { .. } | Step::Flag { .. } | Step::Move { .. } | Step::Copy { .. } => {
                self.change_letters(step)
            }
            Step::Create | Step::Rename { .. } | Step::Remove { .. } | Step::Renumber { .. } => {
                self.change_folders(step)
            }
            Step::Disconnect => Some(Done::Disconnect),
            Step::Restart => Some(Done::Restart),
            Step::Look => Some(Done::Look),
        }
    }

    fn append(&mut self, folder: Index, flags: u8, again: Option<Index>) -> Done {
        let folder = self.folder(folder);
        let letter = match again {
            Some(one) if self.letters > 0 => one.index(self.letters),
            _ => {
                self.letters += 1;
                self.letters - 1
            }
        };
        let chosen = FLAGS.iter().enumerate().filter(|(at, _)| flags & (1 << at) != 0);
        let flags: BTreeSet<&'static str> = chosen.map(|(_, flag)| *flag).collect();
        self.letters_of(&folder).push(Placed {
            letter,
            flags: flags.clone(),
        });
        Done::Append {
            folder,
            letter,
            flags,
        }
    }

    fn change_letters(&mut self, step: Step) -> Option<Done> {
        Some(match step {
            Step::Expunge { folder, place } => {
                let (folder, place) = self.place(folder, place)?;
                self.letters_of(&folder).remove(place);
                Done::Expunge { folder, place }
            }
            Step::Flag {
                folder,
                place,
                flag,
                set,
            } => {
                let (folder, place) = self.place(folder, place)?;
                let flag = FLAGS[flag.index(FLAGS.len())];
                let flags = &mut self.letters_of(&folder)[place].flags;
                if set {
                    flags.insert(flag);
                } else {
                    flags.remove(flag);
                }
                Done::Flag {
                    folder,
                    place,
                    flag,
                    set,
                }
            }
            Step::Move { from, place, to } => {
                let (from, place) = self.place(from, place)?;
                let to = self.folder(to);
                if from == to {
                    return None;
                }
                let copy = self.letters_of(&from).remove(place);
                self.letters_of(&to).push(copy);
                Done::Move { from, place, to }
            }
            Step::Copy { from, place, to } => {
                let (from, place) = self.place(from, place)?;
                let to = self.folder(to);
                let copy = self.letters_of(&from)[place].clone();
                self.letters_of(&to).push(copy);
                Done::Copy { from, place, to }
            }
            _ => return None,
        })
    }

    fn change_folders(&mut self, step: Step) -> Option<Done> {
        Some(match step {
            Step::Create => {
                if self.folders.len() >= MAX_FOLDERS {
                    return None;
                }
                let folder = self.name();
                self.folders.insert(folder.clone(), Vec::new());
                Done::Create { folder }
            }
            Step::Rename { folder } => {
                let from = self.other_folder(folder)?;
                let to = self.name();
                let letters = self.folders.remove(&from)?;
                self.folders.insert(to.clone(), letters);
                Done::Rename { from, to }
            }
            Step::Remove { folder } => {
                let folder = self.other_folder(folder)?;
                self.folders.remove(&folder)?;
                Done::Remove { folder }
            }
            Step::Renumber { folder } => {
                self.uid_validity += 1;
                let folder = self.folder(folder);
                Done::Renumber {
                    folder,
                    uid_validity: self.uid_validity,
                }
            }
            _ => return None,
        })
    }

    /// Every letter with the folders that it lies in and its flags in any of them.
    pub(super) fn messages(&self) -> BTreeMap<usize, (BTreeSet<String>, BTreeSet<String>)> {
        let mut messages: BTreeMap<usize, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
        for (folder, letters) in &self.folders {
            for copy in letters {
                let (folders, flags) = messages.entry(copy.letter).or_default();
                folders.insert(folder.clone());
                flags.extend(copy.flags.iter().map(ToString::to_string));
            }
        }
        messages
    }

    /// How many messages each folder has.
    pub(super) fn counts(&self) -> BTreeMap<String, usize> {
        let counts = self
            .folders
            .iter()
            .map(|(name, letters)| (name.clone(), letters.len()));
        counts.collect()
    }

    fn folder(&self, which: Index) -> String {
        (*which.get(&self.folders.keys().collect::<Vec<_>>())).clone()
    }

    /// One that is not INBOX, which can be neither renamed nor removed.
    fn other_folder(&self, which: Index) -> Option<String> {
        let others: Vec<&String> = self.folders.keys().filter(|name| *name != "INBOX").collect();
        (!others.is_empty()).then(|| (*which.get(&others)).clone())
    }

    fn letters_of(&mut self, folder: &str) -> &mut Vec<Placed> {
        self.folders.get_mut(folder).expect("a folder of the model")
    }

    fn place(&mut self, folder: Index, place: Index) -> Option<(String, usize)> {
        let folder = self.folder(folder);
        let count = self.letters_of(&folder).len();
        (count > 0).then(|| (folder, place.index(count)))
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("Ordner {} für später", self.names)
    }
}
