//! Where a message lies that was moved: how it is found there, and which folder holds what labels show.

use std::collections::HashSet;

use uuid::Uuid;

use super::server::{Fault, Writer, one};
use crate::{
    mail::{
        imap::{FetchItems, FetchRow, MessageIds},
        mime,
    },
    model::{folder::Folder, label::Labels},
};

/// How many of the newest messages of a folder are looked at for one that was just moved there.
const RECENT: u64 = 50;

/// What tells a message from the others of a folder when the server does not say its UID.
pub(super) struct Traits<'m> {
    /// `Message-ID`
    pub(super) message_id: Option<&'m str>,
    /// RFC822.SIZE
    pub(super) size: i64,
}

impl Traits<'_> {
    fn fit(&self, row: &FetchRow) -> bool {
        let header = row.header.as_deref().map(mime::parse_header);
        let id = header.and_then(|header| header.message_id);
        let size = row.size.and_then(|size| i64::try_from(size).ok());
        id.as_deref() == self.message_id && size == Some(self.size)
    }
}

/// What labels stand for, on a server with labels: see [`Labels`].
pub(super) struct Labelled {
    /// The folders of the labels.
    labels: Labels,
    /// The folder with `\All`.
    pub(super) all: Folder,
}

impl Labelled {
    /// `None` where no folder with `\All` is listed.
    pub(super) fn of(folders: &[Folder]) -> Option<Self> {
        let labels = Labels::of(folders)?;
        let listed = |folder: &&Folder| folder.id == labels.all() && folder.missing == 0;
        let all = folders.iter().find(listed)?.clone();
        Some(Self { labels, all })
    }

    /// True when a message that is moved from one folder to the other lies in the one with `\All` then, wherever it lay.
    pub(super) fn holds(&self, from: &Folder, to: &Folder) -> bool {
        from.id != self.all.id && (to.id == self.all.id || to.is_label())
    }

    /// The folders of these labels. One without a folder is one that the sync finds.
    pub(super) fn folders(&self, labels: &[String]) -> Vec<Uuid> {
        self.labels.folders(labels, &mut HashSet::new())
    }
}

impl Writer<'_> {
    /// X-GM-MSGID of a message of the folder that is open.
    pub(super) async fn gm_msgid(&mut self, uid: u32) -> Result<Option<u64>, Fault> {
        let items = FetchItems {
            ids: MessageIds::Gmail,
            ..FetchItems::default()
        };
        let rows = self.session.fetch_metadata(&one(uid), items).await?;
        Ok(rows
            .into_iter()
            .find(|row| row.uid == uid)
            .and_then(|row| row.gm_msgid))
    }

    /// Finds a message that was moved into a folder, whose UIDNEXT was `next`: by its X-GM-MSGID where that is known, else by
    /// its traits; and only if that fits one of the new ones alone. Answers the UIDVALIDITY and its row.
    pub(super) async fn look(
        &mut self,
        folder: &Folder,
        next: u32,
        id: Option<u64>,
    ) -> Result<Option<(u32, FetchRow)>, Fault> {
        self.open = None;
        let selected = self.session.select(&folder.raw_name, None).await?;
        let new = self.session.search_uids(next, u32::MAX).await?;
        let (recent, _) = new.split_last(RECENT);
        let items = FetchItems {
            header_fields: id.is_none(),
            ids: if id.is_some() {
                MessageIds::Gmail
            } else {
                MessageIds::None
            },
            ..FetchItems::default()
        };
        let rows = self.session.fetch_metadata(&recent, items).await?;
        let fits = |row: &FetchRow| match id {
            Some(_) => row.gm_msgid == id,
            None => self.traits.fit(row),
        };
        let mut fitting = rows.into_iter().filter(fits);
        let found = fitting.next().filter(|_| fitting.next().is_none());
        Ok(found.map(|row| (selected.uid_validity, row)))
    }
}
