//! A node that lost its lease: every write of a sync is refused, and the node that took over goes on alone.

use std::future::Future;

use postroom::{
    mail::mime,
    model::{
        clock::Clock,
        folder::{FlagUpdate, Folder},
        id::TenantId,
        lease::{Fence, Lease},
        mailbox::SyncProgress,
        state::Signal,
    },
    service::{
        App, bootstrap, leases,
        sync::{self, Arrival, Fenced, Found, Halt, Listed, Place, Raw, Report},
    },
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{post::Post, truth};
use crate::{
    dovecot_sync::account::{USER, login},
    failures::Counter,
    fixture::{ask, at},
    support::{
        api::Api,
        dovecot::Dovecot,
        gateway::{Backend, Gateway, config, eventually},
        postgres::Database,
        soak,
    },
};

/// Functions of `service::sync` that write nothing, or only what the stale owner holds, each with the reason.
const NOT_FENCED: &[(&str, &str)] = &[
    ("load", "reads"),
    ("placements", "reads"),
    ("has_stale", "reads"),
    ("match_generation", "reads"),
    ("count", "reads"),
    ("known_messages", "reads"),
    ("known_folders", "reads"),
    ("list_aside", "reads"),
    (
        "release",
        "gives back the lease of its own epoch, which is nobody's any more",
    ),
];

/// Calls every function of `service::sync` that writes, with this fence; answers each one's name and whether it was refused.
#[expect(
    clippy::too_many_lines,
    reason = "one call of each function, one after the other"
)]
async fn write_everything(
    app: &App,
    fence: Fence,
    folder: &Folder,
    message: Uuid,
) -> Vec<(&'static str, bool)> {
    let mut refused = Vec::new();
    let folder = || folder.clone();
    let listed = Listed {
        raw_name: b"Another".to_vec(),
        name: "Another".to_owned(),
        delimiter: None,
        role: None,
        object_id: None,
    };
    let progress = SyncProgress {
        folder: "INBOX".to_owned(),
        done: 1,
        total: 2,
    };
    let flags = FlagUpdate {
        uid: 1,
        flags: vec!["\\Flagged".to_owned()],
        label_folders: None,
    };
    let moved = Folder {
        message_count: 99,
        ..folder()
    };
    let mut note = |name, halted| refused.push((name, halted));
    let new = (
        Found::Since,
        vec![arrival(b"Subject: new\r\n\r\ntext\r\n", 1_000)],
    );
    note(
        "store_arrivals",
        halts(sync::store_arrivals(app, fence, folder(), new, None)).await,
    );
    note(
        "save_folders",
        halts(sync::save_folders(app, fence, vec![listed], true)).await,
    );
    note("save_folder", halts(sync::save_folder(app, fence, moved)).await);
    note(
        "apply_flags",
        halts(sync::apply_flags(app, fence, folder(), vec![flags])).await,
    );
    note(
        "apply_expunges",
        halts(sync::apply_expunges(app, fence, folder(), vec![1, 2])).await,
    );
    let place = vec![Place {
        uid: 1_001,
        message,
        flags: Vec::new(),
        label_folders: None,
    }];
    note(
        "place_matched",
        halts(sync::place_matched(app, fence, folder(), (Found::Since, place))).await,
    );
    let other = Folder {
        cursor: postroom::model::folder::Cursor {
            uid_validity: 99,
            ..folder().cursor
        },
        ..folder()
    };
    note("drop_stale", halts(sync::drop_stale(app, fence, &other)).await);
    note(
        "begin_generation",
        halts(sync::begin_generation(app, fence, folder())).await,
    );
    let adopt = sync::adopt_label_folders(app, fence, folder(), false);
    note("adopt_label_folders", halts(adopt).await);
    let finish = sync::finish_label_folders(app, fence);
    note("finish_label_folders", halts(finish).await);
    note("end_moves", halts(sync::end_moves(app, fence)).await);
    for signal in [
        Signal::Dialled,
        Signal::LoggedIn,
        Signal::CaughtUp,
        Signal::Failed,
        Signal::Refused,
    ] {
        note(
            "report",
            halts(sync::report(app, fence, Report::of(signal))).await,
        );
    }
    note(
        "save_progress",
        halts(sync::save_progress(app, fence, Some(progress))).await,
    );
    note("end_backfill", halts(sync::end_backfill(app, fence)).await);
    note("save_synced", halts(sync::save_synced(app, fence, at(0))).await);
    let aside = sync::set_aside(app, fence, folder(), 1_002, "poison".to_owned());
    note("set_aside", halts(aside).await);
    note(
        "try_aside",
        halts(sync::try_aside(app, fence, folder(), 1_002)).await,
    );
    let released = sync::release_aside(app, fence, folder(), vec![1_002]);
    note("release_aside", halts(released).await);
    refused
}

async fn halts<T>(write: impl Future<Output = Fenced<T>>) -> bool {
    match write.await {
        Err(Halt::Fenced) => true,
        Err(Halt::Failed(error)) => panic!("{error:?}"),
        Ok(_) => false,
    }
}

/// A message as a sync stores it.
pub(crate) fn arrival(raw: &[u8], uid: i64) -> Arrival {
    let parsed = mime::parse(raw);
    let sha256: [u8; 32] = Sha256::digest(raw).into();
    Arrival {
        uid,
        flags: Vec::new(),
        received_at: parsed.sent_at.unwrap_or_else(|| at(0)),
        size: i64::try_from(raw.len()).unwrap(),
        dedupe_key: [b"h", sha256.as_slice()].concat(),
        sha256,
        raw: Raw::Compressed(zstd::bulk::compress(raw, 3).unwrap()),
        truncated: false,
        parsed,
        label_folders: None,
    }
}

/// Every row of every table but that of the nodes, as one hash a table.
async fn dump(app: &App) -> Vec<Vec<String>> {
    let database = &app.config.storage.database;
    // Nodes say that they live, whatever they hold.
    let tables = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace \
        AND relname <> 'nodes' ORDER BY 1";
    let mut hashes = Vec::new();
    for table in ask(database, tables).await {
        let name = &table[0];
        let rows = format!(
            "SELECT '{name}', count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {name} t"
        );
        hashes.extend(ask(database, &rows).await);
    }
    assert!(hashes.len() > 15, "{hashes:?}");
    hashes
}

async fn lease_of(app: &App, mailbox: Uuid) -> (String, Lease) {
    let statement =
        format!("SELECT tenant_id, owner, epoch FROM mailbox_leases WHERE mailbox_id = '{mailbox}'");
    let row = ask(&app.config.storage.database, &statement).await.remove(0);
    let lease = Lease {
        tenant: TenantId(row[0].parse().unwrap()),
        mailbox,
        epoch: row[2].parse().unwrap(),
    };
    (row[1].clone(), lease)
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_12_a_stale_lease_owner_writes_nothing_on_dovecot_and_postgres() {
    let server = Dovecot::start();
    server.user(USER);
    let mut post = Post::new(&server, soak::seed("stale owner")).await;
    for _ in 0..30 {
        post.act().await;
    }
    let (counter, port) = Counter::before(server.imap_port()).await;
    let data = tempfile::tempdir().unwrap();
    let database = Database::create().await;
    let extra = [
        format!("--data-dir={}", data.path().display()),
        format!("--database-url={}", database.url()),
    ];
    let a = Gateway::start_as(Backend::Sqlite, &extra, "node a").await;
    let tenant = a.tenant("Acme").await;
    let mailbox = a.connect(&tenant, login(port)).await.id;
    let minute = std::time::Duration::from_secs(60);
    truth::settled(&Api::of(&a, &tenant), &mailbox.to_string(), &post.placed, minute).await;

    let b = bootstrap::open(config(data.path(), Some(&database.url()), &[]), Clock::system()).await;
    let stale = take_over(
        &a.app,
        &b.unwrap_or_else(|error| panic!("{error:?}")).app,
        mailbox,
    )
    .await;
    let (folder, message) = inbox(&a.app, stale).await;
    let before = dump(&a.app).await;
    let refused = write_everything(&a.app, stale, &folder, message).await;
    let passed: Vec<_> = refused.iter().filter(|(_, refused)| !refused).collect();
    assert!(passed.is_empty(), "{passed:?} passed the fence");
    sync::release(&a.app, stale).await.unwrap();
    leases::renew(&a.app, "node a").await.unwrap();
    assert_eq!(dump(&a.app).await, before, "something was written");
    every_function_is_called(&refused);

    // The mail that comes now wakes the first node, which finds that it lost the mailbox and hangs up.
    post.letter("INBOX", 900).await;
    counter.closed().await;
    assert_eq!(dump(&a.app).await, before, "something was written");
    let dials = counter.dials();

    let b = Gateway::start_as(Backend::Sqlite, &extra, "node b").await;
    truth::settled(&Api::of(&b, &tenant), &mailbox.to_string(), &post.placed, minute).await;
    truth::holds(&Api::of(&b, &tenant), &mailbox.to_string(), &post.placed).await;
    let (owner, lease) = lease_of(&b.app, mailbox).await;
    assert_eq!((owner.as_str(), lease.epoch), ("node b", stale.epoch + 2));
    assert_eq!(
        (counter.open(), counter.dials()),
        (1, dials + 1),
        "one node syncs"
    );
    // What the new owner may write, so that the table above is known to write something.
    for (name, refused) in write_everything(&b.app, lease, &folder, message).await {
        assert!(!refused, "{name} is refused to the owner");
    }
    a.stop().await;
    b.stop().await;
}

/// Node b takes the mailbox from node a, in one transaction with the end of the lease, before a can take it again. Answers
/// the lease that a had, when the index rests.
async fn take_over(a: &App, b: &App, mailbox: Uuid) -> Lease {
    let database = &a.config.storage.database;
    let (owner, stale) = lease_of(a, mailbox).await;
    assert_eq!(owner, "node a");
    let taken = b.write(|tx| {
        Box::pin(async move {
            tx.free_leases().await?;
            tx.claim_leases("node b", 10).await
        })
    });
    let next = Lease {
        epoch: stale.epoch + 1,
        ..stale
    };
    assert_eq!(taken.await.unwrap_or_else(|error| panic!("{error:?}")), [next]);
    // For longer than this test takes: nobody renews it yet.
    ask(
        database,
        "UPDATE mailbox_leases SET until = until + interval '1 hour'",
    )
    .await;
    assert!(leases::claim(a, "node a").await.unwrap().is_empty());
    let indexed = eventually(async || {
        let waiting = ask(database, "SELECT count(*) FROM search_queue").await;
        (waiting[0][0] == "0").then_some(())
    });
    assert!(indexed.await.is_some(), "the index does not follow");
    stale
}

async fn inbox(app: &App, fence: Fence) -> (Folder, Uuid) {
    let mut conn = app.store.read().await.unwrap();
    let folders = conn.list_folders(fence.tenant, fence.mailbox).await.unwrap();
    let inbox = folders.into_iter().find(|folder| folder.name == "INBOX").unwrap();
    let seen = conn.placements_in(fence.tenant, inbox.id, inbox.cursor.uid_validity, (1, i64::MAX));
    let message = seen.await.unwrap()[0].message_id;
    (inbox, message)
}

/// A function that is added later is called above, or named among those that write nothing.
fn every_function_is_called(called: &[(&str, bool)]) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/service/sync");
    let mut missing = Vec::new();
    for path in crate::files::rust_files(&folder) {
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let Some(rest) = line.strip_prefix("pub async fn ") else {
                continue;
            };
            let name = rest.split(['(', '<']).next().unwrap();
            let known = called.iter().any(|(other, _)| *other == name)
                || NOT_FENCED.iter().any(|(other, _)| *other == name);
            if !known {
                missing.push(name.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?} are not tried by a stale owner");
}
