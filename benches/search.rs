//! Searching 200,000 messages: a rare word, a word that very many of them have, and one that only old ones have.

use std::{fmt::Write as _, time::Duration};

use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection, connection::SimpleConnection as _};
use postroom::{config::DatabaseUrl, model::id::TenantId};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use uuid::Uuid;

use crate::support::{
    gateway::{Backend, Gateway},
    load::Ask,
    rounds::percentile,
    rows::{self, at},
    table::{Table, Wanted},
};

const MESSAGES: usize = 200_000;
/// Words of a message, drawn from so many.
const WORDS: usize = 60;
const VOCABULARY: u32 = 30_000;
/// So many rare words, in ten messages each.
const RARE: usize = 100;
/// A word that the oldest messages have, and no other.
const OLD: usize = 5_000;
const TIME: Duration = Duration::from_secs(3);

/// Copies of the one message that is there, one for each row of `copies`.
const COPY: &str = "INSERT INTO messages SELECT m.tenant_id, c.id, m.mailbox_id, m.thread_id, c.key, NULL, \
    m.in_reply_to, m.refs, m.subject, m.participants, m.sent_at, c.received_at, m.snippet, m.incoming, m.unread, \
    m.flags, m.folder_ids, m.size, m.truncated, m.has_attachments, m.sha256, m.in_blobs, m.deleted_at, \
    m.created_at, m.updated_at FROM messages m, copies c";

pub(crate) async fn run(table: &mut Table) {
    for (backend, name) in [(Backend::Sqlite, "SQLite"), (Backend::Postgres, "PostgreSQL")] {
        let gateway = Gateway::without_workers(backend).await;
        let tenant = gateway.tenant("Search").await;
        let owner = rows::mailbox(&gateway.app, TenantId(tenant.id), "ann@hotel.test").await;
        rows::thread(&gateway.app, owner, at(0), 1).await;
        match &gateway.app.config.storage.database {
            DatabaseUrl::Sqlite(path) => fill_sqlite(path.to_str().unwrap(), tenant.id),
            DatabaseUrl::Postgres(url) => fill_postgres(url, tenant.id).await,
        }
        let rare = (1..RARE).fold(search(&gateway, &tenant.key, "rare0"), |all, number| {
            all.then(&search(&gateway, &tenant.key, &format!("rare{number}")))
        });
        for (what, ask, wanted) in [
            ("a rare word", rare, Wanted::AtMost(50.0)),
            (
                "a word that every message has",
                search(&gateway, &tenant.key, "word0"),
                Wanted::Nothing,
            ),
            (
                "a word of every 20th message",
                search(&gateway, &tenant.key, "often"),
                Wanted::Nothing,
            ),
            (
                "a word of the 5,000 oldest",
                search(&gateway, &tenant.key, "old"),
                Wanted::Nothing,
            ),
        ] {
            ask.body().await;
            let took = ask.asks(1, TIME).await;
            let what = format!("search of 200,000 messages for {what}, p99, {name}");
            table.value(what, " ms", percentile(took, 99), wanted);
        }
        gateway.stop().await;
    }
}

fn search(gateway: &Gateway, key: &str, word: &str) -> Ask {
    Ask::get(&gateway.url, key, &format!("/v1/messages?q={word}"))
}

/// The words of each message from the oldest to the newest: a Zipf vocabulary, and those that are searched for.
fn texts() -> impl Iterator<Item = String> {
    let mut random = StdRng::seed_from_u64(7);
    let mut sum = 0.0;
    let ranks: Vec<f64> = (1..=VOCABULARY)
        .map(|rank| {
            sum += 1.0 / f64::from(rank);
            sum
        })
        .collect();
    (0..MESSAGES).map(move |number| {
        let mut text = String::from("word0");
        for _ in 0..WORDS {
            let drawn = random.random::<f64>() * sum;
            let rank = ranks.partition_point(|sum| *sum < drawn);
            write!(text, " word{rank}").unwrap();
        }
        if number < OLD {
            text.push_str(" old");
        }
        if number % 20 == 0 {
            text.push_str(" often");
        }
        let apart = MESSAGES / (RARE * 10);
        if number % apart == 0 {
            write!(text, " rare{}", number / apart % RARE).unwrap();
        }
        text
    })
}

fn fill_sqlite(path: &str, tenant: Uuid) {
    let mut conn = SqliteConnection::establish(path).unwrap();
    let tenant = tenant.simple().to_string();
    conn.batch_execute(&format!(
        "PRAGMA busy_timeout = 10000; BEGIN;
        CREATE TEMP TABLE copies AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MESSAGES})
            SELECT i, randomblob(16) id, randomblob(16) key, {} + i * 60000000 received_at FROM n;
        {COPY};
        INSERT INTO search_documents SELECT c.i, m.id, c.id FROM copies c, tenants m",
        at(0).timestamp_micros()
    ))
    .unwrap();
    for (number, text) in (1_i64..).zip(texts()) {
        diesel::sql_query(
            "INSERT INTO search_words (rowid, tenant, subject, participants, body) VALUES (?, ?, '', '', ?)",
        )
        .bind::<diesel::sql_types::BigInt, _>(number)
        .bind::<diesel::sql_types::Text, _>(&tenant)
        .bind::<diesel::sql_types::Text, _>(text)
        .execute(&mut conn)
        .unwrap();
    }
    conn.batch_execute("COMMIT").unwrap();
}

async fn fill_postgres(url: &str, tenant: Uuid) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client
        .batch_execute(&format!(
            "CREATE TEMP TABLE copies AS SELECT i, gen_random_uuid() id, int8send(i) key,
                to_timestamp({}) + i * interval '1 minute' received_at FROM generate_series(1, {MESSAGES}) i;
            {COPY}; DROP INDEX search_documents_words",
            at(0).timestamp()
        ))
        .await
        .unwrap();
    let texts: Vec<String> = texts().collect();
    let numbers: Vec<i64> = (1..).take(texts.len()).collect();
    for (numbers, texts) in numbers.chunks(5_000).zip(texts.chunks(5_000)) {
        let insert = "INSERT INTO search_documents SELECT $1::text::uuid, c.id, to_tsvector('simple', t.text) \
            FROM unnest($2::int8[], $3::text[]) t (i, text) JOIN copies c ON c.i = t.i";
        client
            .execute(insert, &[&tenant.to_string(), &numbers, &texts])
            .await
            .unwrap();
    }
    client
        .batch_execute("CREATE INDEX search_documents_words ON search_documents USING gin (words); ANALYZE")
        .await
        .unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}
