//! Moving the write-ahead log into the database beside the writer, which would wait for the disk twice otherwise.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::mpsc::{SyncSender, sync_channel},
    time::Duration,
};

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};

use super::PRAGMAS;
use crate::model::{Error, Result};

/// From so many bytes on the log is moved into the database.
const LOG: u64 = 4 << 20;
/// So long it is left alone then: each time costs the disk two syncs, and the next commit a third.
const PAUSE: Duration = Duration::from_millis(200);

/// The thread that does it; it ends with the last of the pools that ask it.
#[derive(Clone)]
pub(super) struct Checkpoints {
    asked: SyncSender<()>,
}

impl Checkpoints {
    pub(super) fn start(path: String) -> Result<Self> {
        // One that waits is enough: it sees all that was written before it begins.
        let (asked, asks) = sync_channel(1);
        let log = format!("{path}-wal");
        let run = move || {
            let mut conn = None;
            for () in asks {
                if !is_long(Path::new(&log)).unwrap_or(false) {
                    continue;
                }
                if let Err(error) = checkpoint(&mut conn, &path) {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "SQLite's log was left as it is"
                    );
                    conn = None;
                }
                std::thread::sleep(PAUSE);
            }
        };
        std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(run)
            .map_err(Error::internal)?;
        Ok(Self { asked })
    }

    /// Says that something was written.
    pub(super) fn ask(&self) {
        // One that waits already will do.
        let _waits = self.asked.try_send(());
    }
}

/// True when the log has so many bytes that are in use. Its file stays as long as it ever was: once all of it is in the
/// database it is written again from its start, and only frames with the salts of its header are of that use
/// (<https://sqlite.org/fileformat2.html#the_write_ahead_log>).
fn is_long(log: &Path) -> io::Result<bool> {
    const HEADER: u64 = 32;
    const FRAME_HEADER: u64 = 24;
    let log = File::open(log)?;
    let (mut page, mut salts, mut of_frame) = ([0; 4], [0; 8], [0; 8]);
    log.read_exact_at(&mut page, 8)?;
    log.read_exact_at(&mut salts, 16)?;
    let frame = FRAME_HEADER + u64::from(u32::from_be_bytes(page));
    log.read_exact_at(&mut of_frame, HEADER + LOG / frame * frame + 8)?;
    Ok(of_frame == salts)
}

fn checkpoint(conn: &mut Option<SqliteConnection>, path: &str) -> Result<()> {
    let conn = match conn {
        Some(conn) => conn,
        none => {
            let mut opened = SqliteConnection::establish(path).map_err(Error::internal)?;
            opened.batch_execute(PRAGMAS)?;
            none.insert(opened)
        }
    };
    Ok(conn.batch_execute("PRAGMA wal_checkpoint(PASSIVE)")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_long_by_what_is_in_use_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let log = folder.path().join("test.db-wal");
        let path = path.to_str().unwrap();
        let mut writer = SqliteConnection::establish(path).unwrap();
        writer.batch_execute(PRAGMAS).unwrap();
        let mut write = |bytes: u64| {
            let insert = format!("PRAGMA wal_autocheckpoint = 0; INSERT INTO t VALUES (zeroblob({bytes}))");
            writer.batch_execute(&insert).unwrap();
            is_long(&log).unwrap_or(false)
        };
        assert!(!is_long(&log).unwrap_or(false), "there is none");
        let mut other = None;
        let mut conn = SqliteConnection::establish(path).unwrap();
        conn.batch_execute("CREATE TABLE t (data BLOB)").unwrap();
        assert!(!write(1));
        assert!(!write(LOG / 2));
        assert!(write(LOG));
        let length = std::fs::metadata(&log).unwrap().len();
        checkpoint(&mut other, path).unwrap();
        assert!(!write(1), "it is written from its start again");
        assert_eq!(
            std::fs::metadata(&log).unwrap().len(),
            length,
            "its file is as long"
        );
        assert!(write(LOG));
    }
}
