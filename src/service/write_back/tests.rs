//! What is decided for each copy.

use chrono::DateTime;
use uuid::Uuid;

use super::steps::{Change, Copy, End, plan};
use crate::model::{
    folder::{Cursor, Folder, FolderRole},
    message::FlagChange,
};

fn folder(id: u128, role: Option<FolderRole>) -> Folder {
    Folder {
        id: Uuid::from_u128(id),
        mailbox_id: Uuid::nil(),
        raw_name: Vec::new(),
        name: String::new(),
        delimiter: None,
        role,
        object_id: None,
        cursor: Cursor::default(),
        message_count: 0,
        missing: 0,
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
    }
}

const INBOX: u128 = 1;
const WORK: u128 = 2;
const TRASH: u128 = 3;

fn copies(folders: &[u128]) -> Vec<Copy> {
    let copy = |id: &u128| Copy {
        folder: folder(*id, (*id == TRASH).then_some(FolderRole::Trash)),
        uid_validity: 1,
        uid: 1,
    };
    folders.iter().map(copy).collect()
}

/// Where a copy goes.
fn said(end: End) -> String {
    match end {
        End::Stay => "stays".to_owned(),
        End::Move(to) => format!("to {}", to.id.as_u128()),
        End::Relabel { add, remove } => {
            let ids = |sign: char, folders: &[Folder]| -> Vec<String> {
                let ids = folders.iter().map(|folder| folder.id.as_u128());
                ids.map(|id| format!("{sign}{id}")).collect()
            };
            [ids('+', &add), ids('-', &remove)].concat().join(" ")
        }
        End::Expunge => "erased".to_owned(),
        End::Discard(through) => format!("erased in {}", through.id.as_u128()),
    }
}

/// What is done with the copies in these folders: `FOLDER WHAT`.
fn planned(change: &Change, folders: &[u128], has_trash: bool, archives: bool) -> Vec<String> {
    let trash = folder(TRASH, Some(FolderRole::Trash));
    plan(
        change,
        copies(folders),
        has_trash.then_some(&trash),
        archives.then_some(&[]),
    )
    .into_iter()
    .map(|step| {
        let end = said(step.end);
        format!("{} {end}", step.copy.folder.id.as_u128())
    })
    .collect()
}

#[test]
fn a_deletion_goes_through_the_trash() {
    let delete = |permanent| Change::Delete { permanent };
    for (folders, has_trash, permanent, archives, expected) in [
        (&[INBOX][..], true, false, false, &["1 to 3"][..]),
        (&[INBOX, WORK], true, false, false, &["1 to 3", "2 to 3"]),
        // A copy in the trash stays until it is the last.
        (&[INBOX, TRASH], true, false, false, &["1 to 3"]),
        (&[TRASH], true, false, false, &["3 erased"]),
        (&[INBOX, TRASH], true, true, false, &["1 erased", "3 erased"]),
        (&[INBOX], false, false, false, &["1 erased"]),
        (&[INBOX], false, true, false, &["1 erased"]),
        // Gmail keeps in its archive what is expunged elsewhere.
        (&[INBOX, TRASH], true, true, true, &["1 erased in 3", "3 erased"]),
        (&[INBOX], true, false, true, &["1 to 3"]),
    ] {
        assert_eq!(
            planned(&delete(permanent), folders, has_trash, archives),
            expected,
            "{folders:?} {has_trash} {permanent} {archives}"
        );
    }
}

#[test]
fn an_update_reaches_every_copy_and_moves_those_that_lie_elsewhere() {
    let flags = FlagChange {
        add: vec!["\\Seen".to_owned()],
        remove: Vec::new(),
    };
    let update = |flags: &FlagChange, folder: Option<Folder>| Change::Update {
        flags: flags.clone(),
        folder: folder.map(Box::new),
    };
    let work = folder(WORK, None);
    assert_eq!(
        planned(&update(&flags, None), &[WORK, INBOX], true, false),
        ["1 stays", "2 stays"]
    );
    assert_eq!(
        planned(&update(&flags, Some(work.clone())), &[WORK, INBOX], true, false),
        ["1 to 2", "2 stays"]
    );
    // Nothing is done with a copy that is as it should be.
    let moved = update(&FlagChange::default(), Some(work));
    assert_eq!(planned(&moved, &[WORK, INBOX], true, false), ["1 to 2"]);
}

#[test]
fn on_a_server_with_labels_a_message_goes_to_a_folder_by_its_labels() {
    const ALL: u128 = 4;
    const STARRED: u128 = 5;
    const SENT: u128 = 6;
    const HOME: u128 = 7;
    let known = |id: u128| {
        let role = match id {
            INBOX => Some(FolderRole::Inbox),
            TRASH => Some(FolderRole::Trash),
            ALL => Some(FolderRole::All),
            STARRED => Some(FolderRole::Flagged),
            SENT => Some(FolderRole::Sent),
            _ => None,
        };
        let mut folder = folder(id, role);
        folder.cursor.uid_validity = if folder.is_label() { -1 } else { 1 };
        folder
    };
    let copy = |id| Copy {
        folder: known(id),
        uid_validity: 1,
        uid: 1,
    };
    for (lies_in, labelled, target, expected) in [
        (ALL, &[INBOX, WORK, STARRED, SENT][..], HOME, "+7 -1 -2"),
        (ALL, &[INBOX, WORK], WORK, "-1"),
        (ALL, &[WORK, STARRED], WORK, "nothing"),
        (ALL, &[WORK], INBOX, "+1 -2"),
        // Archived.
        (ALL, &[INBOX, WORK, STARRED], ALL, "-1"),
        (ALL, &[WORK], ALL, "nothing"),
        // No place.
        (ALL, &[INBOX, WORK], STARRED, "+5"),
        // What labels cannot say.
        (ALL, &[INBOX, WORK], TRASH, "to 3"),
        (ALL, &[INBOX], SENT, "to 6"),
        (TRASH, &[], INBOX, "to 1"),
    ] {
        let change = Change::Update {
            flags: FlagChange::default(),
            folder: Some(Box::new(known(target))),
        };
        let labelled: Vec<Folder> = labelled.iter().map(|id| known(*id)).collect();
        let steps = plan(&change, vec![copy(lies_in)], None, Some(&labelled));
        let planned = steps.into_iter().map(|step| said(step.end)).collect::<String>();
        let planned = if planned.is_empty() { "nothing" } else { &planned };
        assert_eq!(planned, expected, "{lies_in} {labelled:?} to {target}");
    }
}
