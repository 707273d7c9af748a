//! Messages that are known already by what the server calls them: they get another place, and no body is fetched.

use super::{live::Connection, stop::Stop};
use crate::{
    mail::imap::FetchRow,
    model::folder::Folder,
    service::sync::{self, Found, Place},
};

impl Connection<'_> {
    /// Places those of these messages that are stored; answers the rows of the others. The cursor stays where it is: what
    /// is left comes before it may move.
    pub(super) async fn place_known(
        &mut self,
        folder: Folder,
        found: Found,
        rows: Vec<FetchRow>,
    ) -> Result<(Folder, Vec<FetchRow>), Stop> {
        let keys: Vec<Vec<u8>> = rows.iter().filter_map(server_key).collect();
        if keys.is_empty() {
            return Ok((folder, rows));
        }
        let known = sync::known_messages(&self.shared.app, self.fence, &keys).await?;
        if known.is_empty() {
            return Ok((folder, rows));
        }
        let (mut places, mut rest) = (Vec::new(), Vec::new());
        for row in rows {
            match server_key(&row).and_then(|key| known.get(&key).copied()) {
                Some(message) => places.push(self.place(&folder, &row, message)),
                None => rest.push(row),
            }
        }
        if let Some(progress) = &mut self.progress {
            progress.done += i64::try_from(places.len()).unwrap_or_default();
        }
        let folder = sync::place_matched(&self.shared.app, self.fence, folder, (found, places)).await?;
        Ok((folder, rest))
    }

    /// Where a message that is stored lies, by its row.
    pub(super) fn place(&mut self, folder: &Folder, row: &FetchRow, message: uuid::Uuid) -> Place {
        Place {
            uid: i64::from(row.uid),
            message,
            flags: row.lasting_flags(),
            label_folders: self.label_folders(folder, row),
        }
    }
}

/// What the server calls a message, whatever folder it lies in: X-GM-MSGID, else EMAILID (RFC 8474).
pub(super) fn server_key(row: &FetchRow) -> Option<Vec<u8>> {
    match (row.gm_msgid, &row.email_id) {
        (Some(id), _) => Some([b"g".as_slice(), &id.to_be_bytes()].concat()),
        (None, Some(id)) => Some([b"e", id.as_bytes()].concat()),
        (None, None) => None,
    }
}
