//! Promise 3: another UIDVALIDITY, and one that comes back, lose nothing, announce nothing again and keep memory flat.

use std::{collections::BTreeMap, fs, num::NonZeroU32};

use chrono::DateTime;
use postroom::sandbox::Offer;
use serde_json::Value;

use crate::{
    gmail::site::{Site, USER, letter},
    support::gateway::{Backend, both},
};

mod on {
    use super::both;
    both!(promise_3_a_uidvalidity_change_loses_nothing_announces_nothing_again_and_keeps_memory_flat);
}

const BELA: &str = "Béla <bela@example.net>";
/// How many messages lie in INBOX, and how many bytes each has: 24 MB together.
const MESSAGES: usize = 400;
const BYTES: usize = 60_000;
/// How much more memory a change may take, in KiB: far less than the messages.
const FLAT: u64 = 12 * 1024;

/// What is known of each message: its id, when it was stored, its flags and its folders.
async fn known(site: &Site) -> BTreeMap<String, [Value; 4]> {
    let facts = |message: &Value| {
        let subject = message["subject"].as_str().unwrap().to_owned();
        let facts = ["id", "created_at", "flags", "folders"].map(|field| message[field].clone());
        (subject, facts)
    };
    let messages = site.messages().await;
    let known: BTreeMap<_, _> = messages.iter().map(facts).collect();
    assert_eq!(known.len(), messages.len(), "a message is there twice");
    known
}

/// A field of `/proc/self/status`, in KiB.
fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

fn deliver(site: &Site, folder: &str, number: usize, flags: &[&str]) {
    let at = DateTime::from_timestamp(1_700_000_000 + i64::try_from(number).unwrap() * 60, 0).unwrap();
    // Nothing to index: the words of so many bytes would take most of the test's time.
    let kind = "Content-Type: application/octet-stream\r\nSubject:";
    let mut raw = String::from_utf8(letter(number, BELA))
        .unwrap()
        .replacen("Subject:", kind, 1)
        .into_bytes();
    while raw.len() < BYTES {
        raw.extend_from_slice(format!("Line {} of letter {number}.\r\n", raw.len()).as_bytes());
    }
    site.sandbox.append(USER, folder, flags, at, &raw).unwrap();
}

async fn promise_3_a_uidvalidity_change_loses_nothing_announces_nothing_again_and_keeps_memory_flat(
    backend: Backend,
) {
    let mut site = Site::start(backend, Offer::default()).await;
    for number in 0..MESSAGES {
        let flags: &[&str] = [["\\Seen"].as_slice(), &[], &["\\Flagged"]][number % 3];
        deliver(&site, "INBOX", number, flags);
    }
    for number in 0..20 {
        deliver(&site, "Archive", 1_000 + number, &["\\Answered"]);
    }
    site.connect().await;
    let fetched = site.sandbox.bodies_sent();
    assert_eq!(fetched, 420);
    let mut before = known(&site).await;
    let first = site.folders().await["INBOX"]["uid_validity"].as_u64().unwrap();

    // Resets the high-water mark.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let resident = memory("VmRSS");
    site.sandbox.bump_uid_validity(USER, "INBOX").unwrap();
    site.sandbox.bump_uid_validity(USER, "Archive").unwrap();
    site.reconnect().await;
    assert_eq!(known(&site).await, before);
    site.counts_agree().await;
    let grown = memory("VmHWM").saturating_sub(resident);
    eprintln!("{grown} KiB more");
    assert!(
        grown < FLAT,
        "{grown} KiB more for messages of {} KiB",
        MESSAGES * BYTES / 1024
    );

    // The first value comes back, and each UID under it means another message than it did.
    site.sandbox.expunge(USER, "INBOX", 1).unwrap();
    before.remove("Letter 0").unwrap();
    let again = NonZeroU32::new(u32::try_from(first).unwrap()).unwrap();
    site.sandbox.set_uid_validity(USER, "INBOX", again).unwrap();
    site.reconnect().await;
    assert_eq!(site.folders().await["INBOX"]["uid_validity"], first);
    assert_eq!(known(&site).await, before);
    site.counts_agree().await;
    assert_eq!(site.sandbox.bodies_sent(), fetched, "no body is fetched again");
    site.end().await;
}

mod loops {
    use super::*;
    use crate::support::soak::{record, rounds, seed};

    mod on {
        use super::both;
        both!(uidvalidity_values_that_come_and_go_agree_with_the_server);
    }

    /// Steps of a generator that is good enough to choose by (Knuth's MMIX constants).
    struct Choice(u64);

    impl Choice {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap() % end
        }
    }

    async fn uidvalidity_values_that_come_and_go_agree_with_the_server(backend: Backend) {
        let (name, count) = ("generations that come back", rounds(6, 100));
        let seed = seed(name);
        let mut choice = Choice(seed);
        let mut site = Site::start(backend, Offer::default()).await;
        let (mut delivered, mut turn) = (0, 0);
        for _ in 0..30 {
            site.deliver("INBOX", delivered, BELA);
            delivered += 1;
        }
        site.connect().await;
        let mut ids: BTreeMap<String, Value> = BTreeMap::new();
        for round in 0..count {
            for _ in 0..3 {
                let uids = site.sandbox.uids(USER, "INBOX").unwrap();
                let uid = uids[choice.below(uids.len())];
                match choice.below(3) {
                    0 => drop(site.deliver("INBOX", delivered, BELA)),
                    1 if uids.len() > 20 => site.sandbox.expunge(USER, "INBOX", uid).unwrap(),
                    _ => site
                        .sandbox
                        .set_flags(
                            USER,
                            "INBOX",
                            uid,
                            [["\\Seen"].as_slice(), &["Word"]][choice.below(2)],
                        )
                        .unwrap(),
                }
                delivered += 1;
            }
            // Another one of three values, so that they come back in any order.
            turn = (turn + 1 + choice.below(2)) % 3;
            let value = u32::try_from(1_000 + turn).unwrap();
            site.sandbox
                .set_uid_validity(USER, "INBOX", NonZeroU32::new(value).unwrap())
                .unwrap();
            site.reconnect().await;
            site.counts_agree().await;
            let theirs = site.sandbox.uids(USER, "INBOX").unwrap().len();
            let known = known(&site).await;
            assert_eq!(known.len(), theirs, "round {round}");
            for (subject, [id, ..]) in known {
                let first = ids.entry(subject.clone()).or_insert_with(|| id.clone());
                assert_eq!(*first, id, "{subject} became another message in round {round}");
            }
        }
        assert!(site.sandbox.bodies_sent() <= u64::try_from(delivered).unwrap());
        record(
            name,
            count,
            seed,
            format!("{} bodies for {} messages", site.sandbox.bodies_sent(), ids.len()),
        );
        site.end().await;
    }
}
