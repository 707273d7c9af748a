//! A client beside the gateway that puts mail into a mailbox, takes some out again, and remembers what is there.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta};
use postroom::mail::imap::{Session, StoreFlags, UidSet};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    dovecot_sync::account::{ADDRESS, USER, log_in},
    support::{dovecot::Dovecot, gateway::eventually},
};

/// Messages that are larger lie in the object store.
pub(crate) const LARGE: usize = 64 * 1024;
/// How many of the latest messages are remembered, to send them again.
const REMEMBERED: usize = 20;

/// Where a message lies, and the SHA-256 of its bytes.
pub(crate) type Placed = BTreeMap<(String, u32), [u8; 32]>;

/// The client.
pub(crate) struct Post {
    session: Session,
    random: StdRng,
    number: usize,
    latest: Vec<Vec<u8>>,
    /// What is on the server.
    pub(crate) placed: Placed,
    /// Which of the bytes are large.
    pub(crate) large: std::collections::BTreeSet<[u8; 32]>,
}

impl Post {
    pub(crate) async fn new(server: &Dovecot, seed: u64) -> Self {
        Self {
            session: log_in(server, USER).await,
            random: StdRng::seed_from_u64(seed),
            number: 0,
            latest: Vec::new(),
            placed: Placed::new(),
            large: std::collections::BTreeSet::new(),
        }
    }

    /// A number by chance.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.random.random_range(0..end)
    }

    /// Does one thing: a new message mostly; sometimes a large one, the same bytes again, or an expunge.
    pub(crate) async fn act(&mut self) {
        match self.below(20) {
            0 if !self.placed.is_empty() => self.expunge().await,
            1 | 2 if !self.latest.is_empty() => {
                let at = self.random.random_range(0..self.latest.len());
                let raw = self.latest[at].clone();
                self.append(if at % 2 == 0 { "Archive" } else { "INBOX" }, raw)
                    .await;
            }
            3 | 4 => {
                let bytes = self.random.random_range(LARGE + 1..4 * LARGE);
                self.letter("INBOX", bytes).await;
            }
            5 => self.letter("Sent", 1_000).await,
            _ => {
                let bytes = self.random.random_range(300..8_000);
                self.letter("INBOX", bytes).await;
            }
        }
    }

    /// Writes a message of so many bytes, sometimes in reply to others, and puts it into a folder.
    pub(crate) async fn letter(&mut self, folder: &str, bytes: usize) {
        self.number += 1;
        let number = self.number;
        let seconds = 1_600_000_000 + i64::try_from(number).unwrap() * 61;
        let date = (DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)).to_rfc2822();
        let mut text = format!(
            "From: bela@example.net\r\nTo: {ADDRESS}\r\nDate: {date}\r\nMessage-ID: <p{number}@example.net>\r\n\
             Subject: Post {number}\r\n"
        );
        if self.below(3) == 0 {
            let parent = 1 + self.below(number as u64);
            write!(text, "References: <p{parent}@example.net>\r\n").unwrap();
        }
        text.push_str("\r\n");
        while text.len() < bytes {
            write!(
                text,
                "{:016x} and words of letter {number}\r\n",
                self.random.random::<u64>()
            )
            .unwrap();
        }
        let raw = text.into_bytes();
        if self.latest.len() == REMEMBERED {
            self.latest.remove(number % REMEMBERED);
        }
        self.latest.push(raw.clone());
        self.append(folder, raw).await;
    }

    async fn append(&mut self, folder: &str, raw: Vec<u8>) {
        let at = DateTime::from_timestamp(1_700_000_000 + i64::try_from(self.number).unwrap(), 0);
        let appended = self.session.append(folder.as_bytes(), &[], at, &raw).await;
        let uid = appended.unwrap().unwrap().uid;
        let sha256: [u8; 32] = Sha256::digest(&raw).into();
        if raw.len() > LARGE {
            self.large.insert(sha256);
        }
        self.placed.insert((folder.to_owned(), uid), sha256);
    }

    async fn expunge(&mut self) {
        let at = self.random.random_range(0..self.placed.len());
        let (folder, uid) = self.placed.keys().nth(at).unwrap().clone();
        let one = UidSet::range(uid, uid);
        self.session.select(folder.as_bytes(), None).await.unwrap();
        let mark = self.session.uid_store(&one, StoreFlags::Add, &["\\Deleted"]);
        mark.await.unwrap();
        self.session.uid_expunge(&one).await.unwrap();
        self.placed.remove(&(folder, uid));
    }

    /// Goes on until it is stopped, with a pause of so many milliseconds between two acts.
    pub(crate) fn flow(mut self, pause: Range<u64>) -> Flow {
        let (stop, acts) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted) = (stop.clone(), acts.clone());
        let task = tokio::spawn(async move {
            while !stopped.is_cancelled() {
                self.act().await;
                counted.fetch_add(1, Ordering::SeqCst);
                let pause = self.random.random_range(pause.clone());
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            self
        });
        Flow { stop, acts, task }
    }
}

/// Mail that flows meanwhile.
pub(crate) struct Flow {
    stop: CancellationToken,
    acts: Arc<AtomicUsize>,
    task: JoinHandle<Post>,
}

impl Flow {
    /// Waits until so many more things have happened.
    pub(crate) async fn more(&self, count: usize) {
        let from = self.acts.load(Ordering::SeqCst);
        let done = eventually(async || (self.acts.load(Ordering::SeqCst) >= from + count).then_some(()));
        assert!(done.await.is_some(), "the mail stopped");
    }

    /// Stops it, and answers the client with what is on the server.
    pub(crate) async fn stop(self) -> Post {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}
