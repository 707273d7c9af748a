//! The full-text index: what of a message can be found, and the batches in which the index follows the messages.

use super::App;
use crate::{
    model::{Result, caller::Visibility, message::Message, search},
    store::Words,
};

/// How many messages one transaction indexes.
const BATCH: i64 = 50;

/// Indexes the messages that have waited longest; answers how many there were.
pub async fn index_batch(app: &App) -> Result<usize> {
    let mut jobs = app.store.read().await?.list_index_jobs(BATCH).await?;
    // In the order in which everything else queues messages, so that two transactions never wait for each other.
    jobs.sort_by_key(|job| (job.tenant, job.message));
    let count = jobs.len();
    if count == 0 {
        return Ok(0);
    }
    let mut conn = app.store.read().await?;
    let mut work = Vec::with_capacity(count);
    for job in jobs {
        let message = conn.get_message(job.tenant, Visibility::All, job.message).await?;
        work.push((job, message));
    }
    drop(conn);
    let normalise = move || {
        work.into_iter()
            .map(|(job, message)| (job, message.map(words)))
            .collect::<Vec<_>>()
    };
    let work = tokio::task::spawn_blocking(normalise)
        .await
        .map_err(crate::model::Error::internal)?;
    app.write(move |tx| {
        Box::pin(async move {
            for (job, words) in &work {
                tx.index_message(job, words.as_ref()).await?;
            }
            Ok(())
        })
    })
    .await?;
    Ok(count)
}

/// The words by which a message can be found.
fn words(message: Message) -> Words {
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
        body: search::words(
            message
                .body
                .and_then(|body| body.text)
                .as_deref()
                .unwrap_or_default(),
        ),
    }
}
