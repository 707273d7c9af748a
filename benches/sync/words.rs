//! The index: messages that wait for it, against a bare insert of the same texts into the same index.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use diesel::sql_types::{Array, BigInt, Text};
use postroom::{mail::mime, model::search, store::Conn};

use super::{LOOK, connect, lay_down, plain::Plain, post, real, setting, wait};
use crate::support::{
    dovecot::Dovecot,
    gateway::{Backend, Gateway},
    table::{Table, Wanted},
};

const SEED: u64 = 5;
/// So many texts are inserted at once.
const BATCH: usize = 200;

pub(crate) async fn run(table: &mut Table, server: &Dovecot, backend: Backend) {
    let count = setting("POSTROOM_BENCH_MESSAGES", 20_000) / 4;
    if backend == Backend::Sqlite {
        lay_down(server, "wanda", count, SEED, post::Sizes::MIXED);
        Plain::log_in(server, "wanda").await.read_all().await;
    }
    let ca = format!("--ca-file={}", server.ca_pem().display());
    let gateway = Gateway::start_with(backend, &[ca]).await;
    let tenant = gateway.tenant("Acme").await;
    let mailbox = connect(&gateway, &tenant, server, "wanda").await.id;
    wait(&gateway, &tenant, mailbox, count).await;
    let (begun, left) = (Instant::now(), queued(&gateway).await);
    while queued(&gateway).await > 0 {
        tokio::time::sleep(LOOK).await;
    }
    let rate = real(left) / begun.elapsed().as_secs_f64();
    gateway.stop().await;
    let gateway = Gateway::start(backend).await;
    let floor = real(left) / bare(&gateway, texts(left)).await.as_secs_f64();
    gateway.stop().await;
    table.ratio(
        format!("messages made searchable, against a bare insert of their texts, {backend:?}"),
        "/s",
        rate,
        floor,
        Wanted::Nothing,
    );
}

async fn queued(gateway: &Gateway) -> usize {
    let mut conn = gateway.app.store.read().await.unwrap();
    conn.list_index_jobs(1_000_000).await.unwrap().len()
}

/// The normalised texts of the last messages.
fn texts(count: usize) -> Vec<String> {
    let mut writer = post::Writer::new(SEED, post::Sizes::MIXED);
    let text = |_| {
        let text = mime::parse(&writer.next()).body.text;
        search::words(text.as_deref().unwrap_or_default())
    };
    (0..count).map(text).collect()
}

async fn bare(gateway: &Gateway, texts: Vec<String>) -> Duration {
    let mut batches: Vec<Vec<(i64, String)>> = Vec::new();
    for (at, text) in (1..).zip(texts) {
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH => batch.push((at, text)),
            _ => batches.push(vec![(at, text)]),
        }
    }
    if gateway.app.store.is_embedded() {
        bare_embedded(gateway, batches).await
    } else {
        bare_postgres(gateway, batches).await
    }
}

async fn bare_embedded(gateway: &Gateway, batches: Vec<Vec<(i64, String)>>) -> Duration {
    let begun = Instant::now();
    for batch in batches {
        let insert = gateway.app.store.transaction(|tx| {
            Box::pin(async move {
                let Conn::Sqlite(conn) = tx else { panic!() };
                let done = conn.spawn_blocking(move |conn| {
                    use diesel::RunQueryDsl;
                    for (at, text) in batch {
                        diesel::sql_query(
                            "INSERT INTO search_words (rowid, tenant, body) VALUES (?, 'a', ?)",
                        )
                        .bind::<BigInt, _>(at)
                        .bind::<Text, _>(text)
                        .execute(conn)?;
                    }
                    Ok(())
                });
                Ok(done.await?)
            })
        });
        insert.await.unwrap();
    }
    begun.elapsed()
}

async fn bare_postgres(gateway: &Gateway, batches: Vec<Vec<(i64, String)>>) -> Duration {
    let execute = async |statement: &'static str, texts: Vec<String>| {
        let done = gateway.app.store.transaction(|tx| {
            Box::pin(async move {
                use diesel_async::RunQueryDsl;
                let Conn::Pg(conn) = tx else { panic!() };
                diesel::sql_query(statement)
                    .bind::<Array<Text>, _>(texts)
                    .execute(conn)
                    .await?;
                Ok(())
            })
        });
        done.await.unwrap();
    };
    let table = gateway.app.store.transaction(|tx| {
        Box::pin(async move {
            use diesel_async::SimpleAsyncConnection;
            let Conn::Pg(conn) = tx else { panic!() };
            conn.batch_execute("CREATE TABLE bare (words tsvector); CREATE INDEX ON bare USING gin (words)")
                .await?;
            Ok(())
        })
    });
    table.await.unwrap();
    let vectors: Vec<Vec<String>> = batches
        .iter()
        .map(|batch| batch.iter().map(|(_, text)| vector(text)).collect())
        .collect();
    let begun = Instant::now();
    for batch in vectors {
        execute(
            "INSERT INTO bare SELECT CAST(x AS tsvector) FROM unnest($1) AS x",
            batch,
        )
        .await;
    }
    begun.elapsed()
}

fn vector(text: &str) -> String {
    let mut out = String::new();
    for (at, word) in (1..16_000).zip(text.split(' ').filter(|word| !word.is_empty())) {
        write!(out, "'{word}':{at}C ").unwrap();
    }
    out
}
