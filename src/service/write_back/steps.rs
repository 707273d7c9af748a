//! What a change means for each copy of a message: pure, and the one place that decides it.

use crate::model::{
    folder::{Folder, FolderRole},
    label::{is_place, label_of},
    message::FlagChange,
};

/// What a caller wants.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// Other flags, another folder, or both.
    Update {
        /// The flags.
        flags: FlagChange,
        /// Where it shall lie.
        folder: Option<Box<Folder>>,
    },
    /// Away with it.
    Delete {
        /// Not only into the trash.
        permanent: bool,
    },
}

/// A copy of the message, as it is stored.
#[derive(Debug, Clone)]
pub(super) struct Copy {
    /// Where it lies.
    pub(super) folder: Folder,
    /// The generation of the folder's UIDs.
    pub(super) uid_validity: u32,
    /// Its UID there.
    pub(super) uid: u32,
}

/// What is done with one copy: first its flags, then its end.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// The copy.
    pub(super) copy: Copy,
    /// Its flags.
    pub(super) flags: FlagChange,
    /// Where it goes.
    pub(super) end: End,
}

/// Where a copy goes.
#[derive(Debug, Clone)]
pub(super) enum End {
    /// It stays.
    Stay,
    /// Into another folder.
    Move(Box<Folder>),
    /// It stays in the folder with `\All`, and its labels change.
    Relabel {
        /// Folders whose labels it gets.
        add: Vec<Folder>,
        /// Folders whose labels it loses.
        remove: Vec<Folder>,
    },
    /// It is erased.
    Expunge,
    /// Into the trash, and erased there: for servers where an expunge elsewhere only archives.
    Discard(Box<Folder>),
}

impl End {
    /// True when the message lies in no folder for a moment.
    pub(super) const fn is_move(&self) -> bool {
        matches!(self, Self::Move(_))
    }
}

/// What is done with each copy, sorted by folder.
///
/// Flags are set on every copy. A move takes every copy, except those that lie in the target already. A deletion moves
/// every copy that does not lie in the trash there; when all do, or there is no trash, or it is `permanent`, every copy is
/// erased.
///
/// `labelled` is there for a server with labels, as Gmail is one, and has the folders whose labels the message has. It only
/// archives what is expunged outside of the trash, and what is moved out of the folder with `\All` stays there: see [`relabel`].
pub(super) fn plan(
    change: &Change,
    copies: Vec<Copy>,
    trash: Option<&Folder>,
    labelled: Option<&[Folder]>,
) -> Vec<Step> {
    let archives = labelled.is_some();
    let in_trash = |copy: &Copy| copy.folder.role == Some(FolderRole::Trash);
    let only_trash = copies.iter().all(in_trash);
    let step = |copy: Copy| {
        let (flags, end) = match change {
            Change::Update { flags, folder } => {
                let end = match folder {
                    Some(target) if copy.folder.role == Some(FolderRole::All) => relabel(target, labelled),
                    Some(_) | None => None,
                };
                let target = folder.as_ref().filter(|folder| folder.id != copy.folder.id);
                let end = end.unwrap_or_else(|| target.map_or(End::Stay, |folder| End::Move(folder.clone())));
                (flags.clone(), end)
            }
            Change::Delete { permanent } => {
                let end = match trash {
                    Some(trash) if !in_trash(&copy) && !permanent => End::Move(Box::new(trash.clone())),
                    Some(trash) if !in_trash(&copy) && archives => End::Discard(Box::new(trash.clone())),
                    Some(_) if !only_trash && !permanent => End::Stay,
                    Some(_) | None => End::Expunge,
                };
                (FlagChange::default(), end)
            }
        };
        Step { copy, flags, end }
    };
    let steps = copies.into_iter().map(step);
    let mut steps: Vec<Step> = steps
        .filter(|step| !step.flags.is_empty() || !matches!(step.end, End::Stay))
        .collect();
    steps.sort_by_key(|step| (step.copy.folder.id, step.copy.uid));
    steps
}

/// How a message of the folder with `\All` goes to a folder by labels; `None` where it has to be moved.
///
/// In a folder of the user's own, or in INBOX, it then lies in that one of them alone. In the folder with `\All` it lies
/// already: going there is leaving INBOX, as archiving is at Gmail, and its other labels stay. Being starred or important is
/// no place: it is so in addition.
fn relabel(target: &Folder, labelled: Option<&[Folder]>) -> Option<End> {
    let labelled = labelled?;
    let archive = target.role == Some(FolderRole::All);
    if !archive && (!target.cursor.is_by_label() || label_of(target).is_none()) {
        return None;
    }
    let has = |folder: &Folder| labelled.iter().any(|one| one.id == folder.id);
    let leaves = |folder: &Folder| {
        if archive {
            folder.role == Some(FolderRole::Inbox)
        } else {
            is_place(target) && is_place(folder) && folder.id != target.id
        }
    };
    let add: Vec<Folder> = (!archive && !has(target))
        .then(|| target.clone())
        .into_iter()
        .collect();
    let remove: Vec<Folder> = labelled.iter().filter(|folder| leaves(folder)).cloned().collect();
    Some(if add.is_empty() && remove.is_empty() {
        End::Stay
    } else {
        End::Relabel { add, remove }
    })
}
