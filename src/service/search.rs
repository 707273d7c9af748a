//! The full-text index: what of a message can be found, and the batches in which the index follows the messages.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::App;
use crate::{
    model::{Result, search},
    store::{Indexed, Words},
};

/// How many messages one transaction indexes: the index is merged the less, the more come at once, but the writer of SQLite
/// is taken for as long.
const BATCH: i64 = 200;

/// Since when the message waits for the index that has waited longest; `None` where none waits.
pub async fn oldest_waiting(app: &App) -> Result<Option<DateTime<Utc>>> {
    let jobs = app.store.read().await?.list_index_jobs(1).await?;
    Ok(jobs.first().map(|job| job.queued_at))
}

/// Indexes the messages that have waited longest; answers how many there were.
pub async fn index_batch(app: &App) -> Result<usize> {
    let mut conn = app.store.read().await?;
    let mut jobs = conn.list_index_jobs(BATCH).await?;
    let count = jobs.len();
    if count == 0 {
        return Ok(0);
    }
    // In the order in which everything else queues messages, so that two transactions never wait for each other.
    jobs.sort_by_key(|job| (job.tenant, job.message));
    let mut texts = HashMap::with_capacity(count);
    for of_tenant in jobs.chunk_by(|one, next| one.tenant == next.tenant) {
        let Some(tenant) = of_tenant.first().map(|job| job.tenant) else {
            continue;
        };
        let ids: Vec<Uuid> = of_tenant.iter().map(|job| job.message).collect();
        for indexed in conn.list_indexed(tenant, &ids).await? {
            texts.insert((tenant, indexed.message), indexed);
        }
    }
    drop(conn);
    let normalise = move || {
        jobs.into_iter()
            .map(|job| {
                let indexed = texts.remove(&(job.tenant, job.message));
                (job, indexed.as_ref().map(words))
            })
            .collect::<Vec<_>>()
    };
    let work = tokio::task::spawn_blocking(normalise)
        .await
        .map_err(crate::model::Error::internal)?;
    app.write(move |tx| Box::pin(async move { tx.index_messages(work).await }))
        .await?;
    Ok(count)
}

/// The words by which a message can be found.
fn words(message: &Indexed) -> Words {
    let people: Vec<String> = message
        .participants
        .iter()
        .map(|one| {
            format!(
                "{} {}",
                one.address.name.as_deref().unwrap_or_default(),
                one.address.address
            )
        })
        .collect();
    Words {
        subject: search::words(message.subject.as_deref().unwrap_or_default()),
        participants: search::words(&people.join(" ")),
        body: search::words(message.text.as_deref().unwrap_or_default()),
    }
}
