//! Threads: the same ones whatever comes first, counted right, and read by one query however long they are.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write as _,
    sync::Mutex,
};

use diesel::connection::{InstrumentationEvent, set_default_instrumentation};
use postroom::{
    mail::mime,
    model::{
        caller::Caller,
        id::{self, TenantId},
        lease::Fence,
        message::{Message, Thread},
    },
    service::{
        App,
        sync::{Arrival, Found, Raw, store_arrivals},
        threads::{self, ViewPages},
    },
    store::{MessageInsert, NewMessages},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    fixture::{self, at},
    support::{
        gateway::{Backend, Gateway, both},
        soak,
    },
};

mod on {
    use super::both;
    both!(
        promise_7_threads_do_not_depend_on_the_order_of_arrival,
        promise_7_a_thread_of_10000_messages_is_read_by_one_query,
    );
}

/// How many letters are shuffled, and how many of them name each other.
const LETTERS: usize = 240;
const FAMILY: usize = 8;

/// A mailbox that is synced by the test itself.
struct Synced {
    fence: Fence,
    folder: Uuid,
}

async fn mailbox(app: &App, tenant: TenantId, address: &str) -> Synced {
    let mailbox = fixture::mailbox(address);
    let folder = fixture::folder(mailbox.id);
    let folder_id = folder.id;
    let claimed = app.store.transaction(|tx| {
        Box::pin(async move {
            assert!(tx.create_mailbox(tenant, &mailbox).await?, "the address is free");
            tx.create_folder(tenant, &folder).await?;
            tx.set_login(
                tenant,
                mailbox.id,
                postroom::model::mailbox::Service::Imap,
                &fixture::login(),
            )
            .await?;
            tx.claim_leases("test", 1).await
        })
    });
    Synced {
        fence: claimed.await.unwrap()[0],
        folder: folder_id,
    }
}

/// A letter of the test: what it says of itself is drawn so that lost parents, partial references, repeated ids and
/// forged loops meet. No two have the same time but an answer and what it answers.
fn letters(seed: u64) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut second = 0;
    let mut tied = false;
    let mut letters: Vec<String> = Vec::new();
    for number in 0..LETTERS {
        second += 1;
        let mut fields = format!("Subject: letter {number}\r\n");
        if random.random_bool(0.95) {
            write!(fields, "Message-ID: <{number}@x>\r\n").unwrap();
        }
        if random.random_bool(0.5) {
            let references: Vec<String> = (0..random.random_range(1..4))
                .map(|_| reference(number, &mut random))
                .collect();
            write!(fields, "References: {}\r\n", references.join(" ")).unwrap();
        }
        // Two of one time have an order of their own only where one answers the other, and not the other way round, too.
        let before = letters.last().filter(|before| {
            !tied
                && before.contains(&format!("Message-ID: <{}@x>", number - 1))
                && !before.contains(&format!("<{number}@x>"))
        });
        tied = before.is_some() && random.random_bool(0.3);
        if tied {
            second -= 1;
            write!(fields, "In-Reply-To: <{}@x>\r\n", number - 1).unwrap();
        } else if random.random_bool(0.5) {
            write!(fields, "In-Reply-To: {}\r\n", reference(number, &mut random)).unwrap();
        }
        let date = at(second).to_rfc2822();
        letters.push(format!(
            "From: a@example.test\r\nDate: {date}\r\n{fields}\r\nletter {number}\r\n"
        ));
    }
    letters
}

/// An id that a letter refers to: of the same family, mostly, also a later one, by which loops come about, or a lost one.
fn reference(number: usize, random: &mut StdRng) -> String {
    let family = if random.random_bool(0.03) {
        random.random_range(0..LETTERS / FAMILY)
    } else {
        number / FAMILY
    };
    let ghost = if random.random_bool(0.15) { "ghost" } else { "" };
    format!("<{ghost}{}@x>", family * FAMILY + random.random_range(0..FAMILY))
}

fn arrival(uid: i64, raw: &str) -> Arrival {
    let sha256: [u8; 32] = Sha256::digest(raw).into();
    Arrival {
        uid,
        flags: Vec::new(),
        label_folders: None,
        received_at: at(uid),
        size: i64::try_from(raw.len()).unwrap(),
        dedupe_key: sha256.to_vec(),
        sha256,
        raw: Raw::Compressed(vec![0]),
        truncated: false,
        parsed: mime::parse(raw.as_bytes()),
    }
}

/// The threads of a mailbox: the subjects of each in order, and what is stored of it.
async fn read(app: &App, caller: &Caller, mailbox: Uuid) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    let mut page = postroom::model::page::PageRequest {
        limit: 200,
        after: None,
    };
    loop {
        let listed = threads::list(app, caller, Some(mailbox), page).await.unwrap();
        for thread in listed.data {
            let whole = threads::get(app, caller, thread.id).await.unwrap();
            assert_eq!(
                whole.message_count,
                i64::try_from(whole.messages.len()).unwrap(),
                "counted right"
            );
            let last = whole.messages.iter().map(|message| message.sent_at).max();
            assert_eq!(Some(whole.last_message_at), last);
            let subjects = whole.messages.into_iter().map(|message| message.subject.unwrap());
            found.insert(subjects.collect());
        }
        page.after = listed.next;
        if page.after.is_none() {
            return found;
        }
    }
}

/// Whoever shares an id with another is in one thread with it: found by comparing all with all.
fn partition(letters: &[String]) -> BTreeSet<BTreeSet<String>> {
    let parsed: Vec<_> = letters
        .iter()
        .map(|letter| mime::parse(letter.as_bytes()))
        .collect();
    let ids: Vec<BTreeSet<&String>> = parsed
        .iter()
        .map(|one| {
            one.message_id
                .iter()
                .chain(&one.in_reply_to)
                .chain(&one.references)
                .collect()
        })
        .collect();
    let mut label: Vec<usize> = (0..letters.len()).collect();
    loop {
        let before = label.clone();
        for left in 0..letters.len() {
            for right in 0..letters.len() {
                if !ids[left].is_disjoint(&ids[right]) {
                    let least = label[left].min(label[right]);
                    (label[left], label[right]) = (least, least);
                }
            }
        }
        if label == before {
            break;
        }
    }
    let mut threads: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for (label, one) in label.into_iter().zip(parsed) {
        threads.entry(label).or_default().insert(one.subject.unwrap());
    }
    threads.into_values().collect()
}

async fn promise_7_threads_do_not_depend_on_the_order_of_arrival(backend: Backend) {
    let gateway = Gateway::without_workers(backend).await;
    let app = &gateway.app;
    let caller = gateway.caller(&gateway.tenant("Acme").await.key).await;
    let seed = soak::seed("threads");
    let letters = letters(seed);
    let mut random = StdRng::seed_from_u64(seed);
    let mut first = None;
    for round in 0..3 {
        let synced = mailbox(app, caller.tenant_id, &format!("{round}@example.test")).await;
        let mut order: Vec<usize> = (0..letters.len()).collect();
        order.shuffle(&mut random);
        let mut early = HashMap::new();
        let mut uid = 0;
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(random.random_range(1..=40).min(rest.len()));
            rest = later;
            let arrivals = batch.iter().map(|number| {
                uid += 1;
                arrival(uid, &letters[*number])
            });
            let folder = folder(app, caller.tenant_id, &synced).await;
            let arrivals = arrivals.collect();
            store_arrivals(app, synced.fence, folder, (Found::Before, arrivals), None)
                .await
                .unwrap();
            for thread in some_threads(app, &caller, synced.fence.mailbox).await {
                early.insert(thread.id, thread.mailbox_id);
            }
        }
        let found = read(app, &caller, synced.fence.mailbox).await;
        let sets: BTreeSet<BTreeSet<String>> =
            found.iter().map(|one| one.iter().cloned().collect()).collect();
        assert_eq!(sets, partition(&letters), "seed {seed}, round {round}");
        assert_eq!(
            first.get_or_insert_with(|| found.clone()),
            &found,
            "seed {seed}: the order within threads"
        );
        for id in early.into_keys() {
            // The id of a thread that was joined with another leads to it.
            threads::get(app, &caller, id).await.unwrap();
        }
    }
}

async fn some_threads(app: &App, caller: &Caller, mailbox: Uuid) -> Vec<Thread> {
    let page = postroom::model::page::PageRequest {
        limit: 20,
        after: None,
    };
    threads::list(app, caller, Some(mailbox), page)
        .await
        .unwrap()
        .data
}

async fn folder(app: &App, tenant: TenantId, synced: &Synced) -> postroom::model::folder::Folder {
    let mut conn = app.store.read().await.unwrap();
    let folders = conn.list_folders(tenant, synced.fence.mailbox).await.unwrap();
    folders
        .into_iter()
        .find(|folder| folder.id == synced.folder)
        .unwrap()
}

/// Statements that read a thread's messages, in this process.
static READS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn count_reads() {
    set_default_instrumentation(|| Some(Box::new(|event: InstrumentationEvent<'_>| count(&event)))).unwrap();
}

fn count(event: &InstrumentationEvent<'_>) {
    if let InstrumentationEvent::StartQuery { query, .. } = event {
        let text = query.to_string();
        let statement = text.split(" -- binds").next().unwrap_or_default();
        if statement.starts_with("SELECT") && statement.contains("sent_at") {
            READS.lock().unwrap().push(statement.to_owned());
        }
    }
}

async fn promise_7_a_thread_of_10000_messages_is_read_by_one_query(backend: Backend) {
    count_reads();
    let gateway = Gateway::without_workers(backend).await;
    let app = &gateway.app;
    let caller = gateway.caller(&gateway.tenant("Acme").await.key).await;
    let synced = mailbox(app, caller.tenant_id, "long@example.test").await;
    let (short, _) = thread(app, &caller, &synced, (30, 2)).await;
    let (long, order) = thread(app, &caller, &synced, (10_000, 2)).await;
    for (id, count) in [(short, 30), (long, 10_000)] {
        READS.lock().unwrap().clear();
        let whole = threads::get(app, &caller, id).await.unwrap();
        let reads = READS.lock().unwrap().clone();
        assert_eq!(reads.len(), 1, "{count} messages: one query, not {reads:#?}");
        assert_eq!(whole.message_count, count);
    }
    is_shown_from_its_end(app, &caller, long, &order).await;
    // Its oldest message that is shown has the time of the newest that is not.
    let (cut, cut_order) = thread(app, &caller, &synced, (500, 3)).await;
    is_shown_from_its_end(app, &caller, cut, &cut_order).await;
    for place in [0, 1, 4_321, 9_998, 9_999] {
        pages_make_the_whole(app, &caller, &order, place).await;
    }
}

async fn is_shown_from_its_end(app: &App, caller: &Caller, thread: Uuid, order: &[Uuid]) {
    let whole = threads::get(app, caller, thread).await.unwrap();
    let newest: Vec<Uuid> = whole.messages.iter().map(|message| message.id).collect();
    assert_eq!(newest, order[order.len() - threads::MAX_MESSAGES..]);
}

/// A thread of so many messages, so many of each second, each an answer to the one before; answers them in order.
async fn thread(
    app: &App,
    caller: &Caller,
    synced: &Synced,
    (count, per_second): (i64, i64),
) -> (Uuid, Vec<Uuid>) {
    let (tenant, mailbox) = (caller.tenant_id, synced.fence.mailbox);
    let thread = Thread {
        id: id::new(),
        mailbox_id: mailbox,
        subject: None,
        message_count: count,
        participants: Vec::new(),
        last_message_at: at(count),
        messages: Vec::new(),
    };
    let (thread_id, row) = (thread.id, thread.clone());
    let create = app
        .store
        .transaction(|tx| Box::pin(async move { tx.save_threads(tenant, &[row], at(0)).await }));
    create.await.unwrap();
    // Ids that run against the answers, so that only the references can order a second.
    let mut ids: Vec<Uuid> = (0..count).map(|_| id::new()).collect();
    ids.reverse();
    let messages: Vec<Message> = (0..count)
        .zip(&ids)
        .map(|(place, id)| Message {
            id: *id,
            thread_id,
            message_id: Some(format!("{count}.{place}@x")),
            in_reply_to: Some(format!("{count}.{}@x", place - 1)),
            sent_at: at(place / per_second),
            ..fixture::message(mailbox, thread_id, place, at(place), ("long", "text"))
        })
        .collect();
    for batch in messages.chunks(500) {
        let inserts = batch.iter().map(|message| MessageInsert {
            message: message.clone(),
            dedupe_key: message.id.as_bytes().to_vec(),
            sha256: [7; 32],
            raw: Some(vec![1]),
        });
        let new = NewMessages {
            inserts: inserts.collect(),
            ..NewMessages::default()
        };
        let write = app
            .store
            .transaction(|tx| Box::pin(async move { tx.create_messages(tenant, mailbox, new, at(0)).await }));
        write.await.unwrap();
    }
    (thread_id, ids)
}

/// All pages of ancestors and of descendants of the message at a place make the thread.
async fn pages_make_the_whole(app: &App, caller: &Caller, order: &[Uuid], place: usize) {
    let mut before = Vec::new();
    let mut after = Vec::new();
    for page in 1..=order.len().div_ceil(threads::MAX_PER_PAGE) {
        let pages = ViewPages {
            per_page: threads::MAX_PER_PAGE,
            ancestors: page,
            descendants: page,
        };
        let view = threads::around(app, caller, order[place], pages).await.unwrap();
        assert_eq!(view.message.thread_count, i64::try_from(order.len()).unwrap());
        let ids = |messages: Vec<Message>| messages.into_iter().map(|one| one.id).collect::<Vec<_>>();
        before.splice(0..0, ids(view.ancestors));
        after.extend(ids(view.descendants));
    }
    assert_eq!(
        (before.as_slice(), after.as_slice()),
        (&order[..place], &order[place + 1..])
    );
}
