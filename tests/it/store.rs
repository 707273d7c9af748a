//! The store's promises to its callers: pages over equal times, and transactions that are whole or nothing.

use std::time::Duration;

use postroom::model::{
    Error,
    caller::Visibility,
    message::MessageFilter,
    page::{PageRequest, Position},
};
use uuid::Uuid;

use crate::{
    fixture::{Fixture, Owner, at, mailbox},
    support::gateway::{Backend, both},
};

mod on {
    use super::both;
    both!(
        pages_over_equal_times_have_every_row_once,
        a_failed_transaction_leaves_nothing,
        a_dropped_transaction_leaves_nothing
    );
}

async fn pages_over_equal_times_have_every_row_once(backend: Backend) {
    let fixture = Fixture::start(backend).await;
    let owner = fixture.owner("acme").await;
    let mut expected: Vec<(i64, Uuid)> = Vec::new();
    for uid in 0..11 {
        // Three at each time, but for the last.
        let second = uid / 3;
        expected.push((
            second,
            fixture.message(owner, uid, at(second), ("Subject", "text")).await,
        ));
    }
    expected.sort_unstable_by(|one, other| other.cmp(one));
    let expected: Vec<Uuid> = expected.into_iter().map(|(_, id)| id).collect();
    for limit in [1, 2, 3, 4, 10, 11, 12] {
        for mailbox_id in [None, Some(owner.mailbox)] {
            let filter = MessageFilter {
                mailbox_id,
                ..MessageFilter::default()
            };
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let mut conn = fixture.store.read().await.unwrap();
                let page = PageRequest { limit, after };
                let page = conn
                    .list_messages(owner.tenant, Visibility::All, &filter, (None, None), page)
                    .await
                    .unwrap();
                assert!(page.data.len() <= usize::from(limit));
                found.extend(page.data.iter().map(|message| message.id));
                // As it comes back from a client.
                after = page
                    .next
                    .map(|next| Position::from_cursor(&next.to_cursor()).unwrap());
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "pages of {limit}");
        }
    }
}

async fn count(fixture: &Fixture, owner: Owner) -> usize {
    let mut conn = fixture.store.read().await.unwrap();
    let filter = postroom::model::mailbox::MailboxFilter::default();
    conn.list_mailboxes(owner.tenant, Visibility::All, &filter, PageRequest::first())
        .await
        .unwrap()
        .data
        .len()
}

async fn a_failed_transaction_leaves_nothing(backend: Backend) {
    let fixture = Fixture::start(backend).await;
    let owner = fixture.owner("acme").await;
    for _ in 0..20 {
        let refused = fixture.store.transaction(|tx| {
            Box::pin(async move {
                tx.create_mailbox(owner.tenant, &mailbox("second@acme.test"))
                    .await?;
                Err::<(), _>(Error::NotFound("mailbox"))
            })
        });
        assert!(matches!(refused.await, Err(Error::NotFound("mailbox"))));
        // A statement that the database refuses.
        let refused = fixture.store.transaction(|tx| {
            Box::pin(async move {
                tx.create_mailbox(owner.tenant, &mailbox("second@acme.test"))
                    .await?;
                tx.save_threads(
                    postroom::model::id::TenantId(Uuid::nil()),
                    &[postroom::model::message::Thread {
                        id: Uuid::nil(),
                        mailbox_id: owner.mailbox,
                        subject: None,
                        message_count: 0,
                        participants: Vec::new(),
                        last_message_at: at(0),
                        messages: Vec::new(),
                    }],
                    at(0),
                )
                .await
            })
        });
        assert!(refused.await.is_err(), "there is no such tenant");
    }
    assert_eq!(count(&fixture, owner).await, 1);
    let written = fixture.mailbox(owner.tenant, "second@acme.test").await;
    assert_eq!(count(&fixture, written).await, 2);
}

/// Dropped at any await, more often than the pool has connections: nothing is written, and the pool is as it was.
async fn a_dropped_transaction_leaves_nothing(backend: Backend) {
    let fixture = Fixture::start(backend).await;
    let owner = fixture.owner("acme").await;
    for _ in 0..12 {
        let (reached, wait) = tokio::sync::oneshot::channel();
        let work = fixture.store.transaction(|tx| {
            Box::pin(async move {
                assert!(
                    tx.create_mailbox(owner.tenant, &mailbox("second@acme.test"))
                        .await?
                );
                reached.send(()).unwrap();
                std::future::pending::<()>().await;
                Ok(())
            })
        });
        tokio::select! {
            _ = work => panic!("the transaction does not end"),
            reached = wait => reached.unwrap(),
        }
    }
    // Polled once, twice, … and then dropped: while it takes a connection, begins, writes or commits.
    let mut committed = 0;
    for polls in 1..40 {
        let address = format!("polled{polls}@acme.test");
        let work = fixture.store.transaction(|tx| {
            Box::pin(async move { tx.create_mailbox(owner.tenant, &mailbox(&address)).await })
        });
        if let Ok(done) = polled(work, polls).await {
            assert!(done.unwrap());
            committed += 1;
        }
    }
    let found = count(&fixture, owner).await;
    assert!(found > committed, "what was answered is stored: {committed}");
    let next = tokio::time::timeout(
        Duration::from_secs(30),
        fixture.mailbox(owner.tenant, "second@acme.test"),
    );
    let written = next.await.expect("the pool has connections");
    assert_eq!(count(&fixture, written).await, found + 1);
}

/// What a future answers when it ends within so many polls.
async fn polled<T>(work: impl Future<Output = T>, polls: usize) -> Result<T, ()> {
    let mut work = std::pin::pin!(work);
    let mut left = polls;
    std::future::poll_fn(move |context| match work.as_mut().poll(context) {
        std::task::Poll::Ready(done) => std::task::Poll::Ready(Ok(done)),
        std::task::Poll::Pending if left == 0 => std::task::Poll::Ready(Err(())),
        std::task::Poll::Pending => {
            left -= 1;
            std::task::Poll::Pending
        }
    })
    .await
}
