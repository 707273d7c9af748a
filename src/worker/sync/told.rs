//! New mail that the server told of: taken in at once, before the pass that looks at everything.

use std::collections::HashMap;

use tokio::sync::OwnedSemaphorePermit;

use super::{
    folder::range,
    incoming::{Fetched, SMALL},
    intake::{Intake, Read},
    live::Connection,
    parsing::Parsing,
    stop::Stop,
};
use crate::{
    mail::imap::{Error, FetchRow, MessageIds, StoredBody, UidSet},
    model::{
        Error as Fault,
        folder::{Cursor, Folder},
    },
    service::sync::{self, Found},
};

/// How many UIDs behind the cursor are asked for.
const TOLD: i64 = 100;
/// So few messages are asked for with their bytes at once, if they are small; of more, rows first.
const FEW: u32 = 4;

/// What was told of: the rows, and the bytes of small messages by UID, with their part of the memory that all mailboxes share.
struct Told {
    rows: Vec<FetchRow>,
    bodies: HashMap<u32, StoredBody>,
    held: OwnedSemaphorePermit,
}

impl Connection<'_> {
    /// Takes in at once what IDLE told of, before the pass that looks at everything. Where labels say what lies where, that
    /// pass alone knows what a new copy means.
    pub(super) async fn take_told(&mut self) -> Result<(), Stop> {
        let exists = self.session()?.pending().exists;
        let Some(exists) = exists.filter(|_| self.all().is_none()) else {
            return Ok(());
        };
        let is_open = |folder: &Folder| self.opened == Some((folder.id, folder.cursor.uid_validity));
        let open = self.folders.iter().position(is_open);
        let Some((at, folder)) = open.and_then(|at| Some((at, self.folders.get(at).cloned()?))) else {
            return Ok(());
        };
        let before = folder.cursor.last_uid;
        let few = i64::from(exists) <= folder.message_count + i64::from(FEW);
        let folder = self.take_next(folder, few).await?;
        self.taken = (folder.cursor.last_uid > before).then_some(folder.id);
        if let Some(place) = self.folders.get_mut(at) {
            *place = folder;
        }
        Ok(())
    }

    /// The messages that follow the cursor in the folder that is open, some at most: the cursor moves to the last that was
    /// answered, and one before it that was left out is asked for once more. The pass that follows looks for the rest.
    async fn take_next(&mut self, folder: Folder, few: bool) -> Result<Folder, Stop> {
        let next = folder.cursor.last_uid + 1;
        let uids = (next, next + TOLD - 1);
        let (app, fence) = (self.shared.app.clone(), self.fence);
        // What is stored is looked up while the server answers.
        let seen = sync::placements(&app, fence, &folder, uids);
        let asked = range(uids.0, uids.1);
        let (seen, told) = tokio::join!(seen, self.ask_next(&folder, &asked, few));
        let Told { rows, bodies, held } = told?;
        let last = rows.iter().map(|row| row.uid).max().unwrap_or_default();
        let rows = self.complete(rows, &range(next, i64::from(last))).await?;
        let (rows, updates) = self.without(&folder, rows, seen?);
        self.follow_placed(&folder, updates).await?;
        let (folder, mut rows) = self.place_known(folder, Found::Since, rows).await?;
        let is_whole = |row: &FetchRow| bodies.contains_key(&row.uid);
        let rest = rows.split_off(rows.iter().take_while(|row| is_whole(row)).count());
        let folder = self.store_told(folder, Told { rows, bodies, held }).await?;
        self.fetch(folder, rest, advance).await
    }

    /// Asks for rows, and for the bytes of a few small messages once there is room for them.
    async fn ask_next(&mut self, folder: &Folder, window: &UidSet, few: bool) -> Result<Told, Stop> {
        let budget = self.shared.budget.clone();
        let mut room = budget
            .acquire_many_owned(FEW * SMALL / 1024)
            .await
            .map_err(Fault::internal)?;
        let given = self.ask_small(window, few).await;
        self.memory.apart |= matches!(given, Err(Stop::Mail(Error::Timeout(_))));
        let given = given?;
        let (mut rows, mut bodies) = (Vec::with_capacity(given.len()), HashMap::new());
        for (row, body) in given {
            // One that broke a fetch before is asked for alone.
            let body = body.filter(|_| !self.is_fragile(folder, &row));
            bodies.extend(body.map(|body| (row.uid, body)));
            rows.push(row);
        }
        let bytes: u64 = bodies.values().map(StoredBody::len).sum();
        let needed = usize::try_from(bytes.div_ceil(1024)).unwrap_or(usize::MAX);
        let held = room.split(needed).ok_or(Stop::Again)?;
        Ok(Told { rows, bodies, held })
    }

    /// Rows and small messages in one command, which saves a way to the server and back. Where the server names its messages,
    /// rows alone: what is known by its name needs no bytes.
    async fn ask_small(
        &mut self,
        window: &UidSet,
        few: bool,
    ) -> Result<Vec<(FetchRow, Option<StoredBody>)>, Stop> {
        let items = self.items;
        if few && items.ids == MessageIds::None {
            let small = u32::try_from(self.max_message()).map_or(SMALL, |max| max.clamp(1, SMALL));
            let limits = (small, u64::from(FEW * small));
            match self.session()?.fetch_small(window, items, limits).await {
                // It does not give out one of them, or no part of any: each is asked for as always.
                Err(Error::No { .. } | Error::Bad { .. }) if self.session()?.is_usable() => {}
                given => return Ok(given?),
            }
        }
        let rows = self.session()?.fetch_metadata(window, items).await?;
        Ok(rows.into_iter().map(|row| (row, None)).collect())
    }

    /// Stores messages whose bytes are here.
    async fn store_told(&mut self, folder: Folder, told: Told) -> Result<Folder, Stop> {
        let Told {
            rows,
            mut bodies,
            held,
        } = told;
        if rows.is_empty() {
            return Ok(folder);
        }
        let mut parsing = Parsing::new(self.shared, self.fence.tenant);
        let mut after = folder.clone();
        for row in &rows {
            if let Some(body) = bodies.remove(&row.uid) {
                parsing.push(Fetched::whole(row.clone(), body)).await?;
            }
            advance(&mut after.cursor, i64::from(row.uid));
        }
        self.served = true;
        let read = Read {
            parsing,
            label_folders: self.all_label_folders(&folder, &rows),
            held,
        };
        let mut intake = Intake::new(folder, Found::Since);
        self.store(&mut intake, after, rows, Some(read)).await?;
        self.finish_storing(&mut intake).await?;
        Ok(intake.folder)
    }
}

fn advance(cursor: &mut Cursor, uid: i64) {
    cursor.last_uid = cursor.last_uid.max(uid);
}
