//! Labels as Gmail has them, and the folders that they stand for.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::folder::{Folder, FolderRole};

/// At most this many labels without a folder are remembered, so that they are not looked for again.
pub const MAX_STRANGE: usize = 1_000;

/// The folders that labels stand for.
#[derive(Debug, Default)]
pub struct Labels {
    /// The folder with `\All`.
    all: Uuid,
    by_role: HashMap<FolderRole, Uuid>,
    by_name: HashMap<String, Uuid>,
}

impl Labels {
    /// The labels of these folders; `None` without a folder with `\All`.
    pub fn of(folders: &[Folder]) -> Option<Self> {
        let all = folders
            .iter()
            .find(|folder| folder.role == Some(FolderRole::All))?
            .id;
        let mut labels = Self {
            all,
            ..Self::default()
        };
        for folder in folders.iter().filter(|folder| folder.is_label()) {
            match folder.role {
                Some(role) => labels.by_role.insert(role, folder.id),
                None => labels.by_name.insert(folder.name.clone(), folder.id),
            };
        }
        Some(labels)
    }

    /// The folder with `\All`.
    pub const fn all(&self) -> Uuid {
        self.all
    }

    fn folder(&self, label: &str) -> Option<Uuid> {
        let role = match label.strip_prefix('\\')?.to_ascii_lowercase().as_str() {
            "inbox" => FolderRole::Inbox,
            "sent" => FolderRole::Sent,
            "draft" | "drafts" => FolderRole::Drafts,
            "starred" | "flagged" => FolderRole::Flagged,
            "important" => FolderRole::Important,
            _ => return None,
        };
        self.by_role.get(&role).copied()
    }

    /// The folders of these labels, sorted; a label of the user's own without a folder is put into `strange`.
    pub fn folders(&self, labels: &[String], strange: &mut HashSet<String>) -> Vec<Uuid> {
        let mut folders = Vec::with_capacity(labels.len());
        for label in labels {
            let found = if label.starts_with('\\') {
                self.folder(label)
            } else {
                self.by_name.get(label).copied()
            };
            match found {
                Some(folder) => folders.push(folder),
                None if !label.starts_with('\\') && strange.len() < MAX_STRANGE => {
                    strange.insert(label.clone());
                }
                None => {}
            }
        }
        folders.sort_unstable();
        folders.dedup();
        folders
    }
}

/// The label of a folder, in the server's own bytes; `None` for a folder whose label the server alone gives.
pub fn label_of(folder: &Folder) -> Option<&[u8]> {
    match folder.role {
        None => Some(&folder.raw_name),
        Some(FolderRole::Inbox) => Some(b"\\Inbox"),
        Some(FolderRole::Flagged) => Some(b"\\Starred"),
        Some(FolderRole::Important) => Some(b"\\Important"),
        Some(
            FolderRole::All
            | FolderRole::Archive
            | FolderRole::Drafts
            | FolderRole::Junk
            | FolderRole::Sent
            | FolderRole::Trash,
        ) => None,
    }
}

/// True for a label that says where a message lies, and not what it is: INBOX and those of the user's own.
pub const fn is_place(folder: &Folder) -> bool {
    matches!(folder.role, None | Some(FolderRole::Inbox))
}
