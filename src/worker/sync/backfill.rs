//! The backfill of one folder: what was there before the first pass, newest first, in slices that follow without a pause.

use tokio::time::Instant;

use super::{
    compare::WINDOW, folder::METADATA, intake::Intake, known::server_key, live::Connection, stop::Stop,
};
use crate::{
    mail::imap::{FetchItems, UidSet},
    model::folder::{Cursor, Folder},
    service::sync::{self, Found},
};

/// The widest windows of UIDs that are asked for at once, where those before were empty: a server with ESEARCH answers in
/// ranges, another in numbers, of which a line has to hold all.
const MAX_WINDOW: i64 = 1 << 24;
const MAX_WINDOW_PLAIN: i64 = 1 << 16;

impl Connection<'_> {
    /// Backfills until a moment or the folder's end, and one slice at least; the folder's earlier generations go when it
    /// is done. `None`: the server does not open it.
    pub(super) async fn backfill_folder(
        &mut self,
        mut folder: Folder,
        until: Instant,
    ) -> Result<Option<Folder>, Stop> {
        let Some(selected) = self.try_open(&folder, None).await? else {
            return Ok(None);
        };
        if i64::from(selected.uid_validity) != folder.cursor.uid_validity {
            return self.begin_generation(folder, &selected).await.map(Some);
        }
        let stale = sync::has_stale(&self.shared.app, self.fence, &folder).await?;
        let mut intake = Intake::new(folder, Found::Before);
        // All of a small folder at once, however far apart its UIDs lie.
        let small = i64::from(selected.exists) <= WINDOW;
        let window = if small { i64::from(u32::MAX) } else { WINDOW };
        let reached = self.backfill_windows(&mut intake, stale, until, window).await;
        self.finish_storing(&mut intake).await?;
        folder = intake.folder;
        folder.cursor.backfill_low = reached?;
        folder = sync::save_folder(&self.shared.app, self.fence, folder).await?;
        self.end_generations(&folder).await?;
        Ok(Some(folder))
    }

    /// Answers the UID that was reached: everything from it on is taken in.
    async fn backfill_windows(
        &mut self,
        intake: &mut Intake,
        stale: bool,
        until: Instant,
        mut window: i64,
    ) -> Result<i64, Stop> {
        let mut low = intake.folder.cursor.backfill_low;
        let offered = self.session()?.capabilities();
        let max_window = if offered.has("ESEARCH") || offered.has("IMAP4REV2") {
            MAX_WINDOW
        } else {
            MAX_WINDOW_PLAIN
        };
        while low > 1 {
            let from = (low - window).max(1);
            let mut left = self.existing(from, low - 1).await?;
            // Where UIDs are sparse, a round trip should find more of them.
            window = if left.is_empty() {
                max_window.min(window * 4)
            } else {
                WINDOW
            };
            while !left.is_empty() {
                let (slice, older) = left.split_last(METADATA);
                self.backfill_slice(intake, &slice, stale).await?;
                low = slice.first().map_or(low, i64::from);
                left = older;
                if Instant::now() >= until && !left.is_empty() {
                    return Ok(low);
                }
            }
            low = from;
            if Instant::now() >= until {
                break;
            }
        }
        Ok(low.max(1))
    }

    async fn backfill_slice(&mut self, intake: &mut Intake, slice: &UidSet, stale: bool) -> Result<(), Stop> {
        let items = FetchItems {
            header_fields: stale,
            ..self.items
        };
        let rows = self.session()?.fetch_metadata(slice, items).await?;
        let rows = self.complete(rows, slice).await?;
        let (mut rows, updates) = self.unplaced(&intake.folder, rows).await?;
        // What writes the folder waits for the batch that is being stored, whose cursor and count come before.
        if stale || !updates.is_empty() || rows.iter().any(|row| server_key(row).is_some()) {
            self.finish_storing(intake).await?;
        }
        self.follow_placed(&intake.folder, updates).await?;
        (intake.folder, rows) = self
            .place_known(intake.folder.clone(), Found::Before, rows)
            .await?;
        if stale {
            (intake.folder, rows) = self.recognise(intake.folder.clone(), rows).await?;
        }
        rows.reverse();
        let advance = |cursor: &mut Cursor, uid| cursor.backfill_low = cursor.backfill_low.min(uid);
        self.take_in(intake, rows, advance).await
    }
}
