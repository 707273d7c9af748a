//! Blobs: those that nothing needs go, whoever left them, and one that a sync is about to name is never lost.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::StreamExt;
use postroom::{
    model::{Error, caller::Identity},
    service::{sweep, sync::Halt, tenants},
    worker::sweep::Swept,
};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::world::World;
use crate::support::{
    gateway::{Backend, both},
    soak,
};

mod on {
    use super::both;
    both!(
        only_blobs_that_nothing_needs_are_deleted,
        a_blob_that_was_swept_before_its_row_is_put_again,
    );
}

/// What stands before the number of a blob's bytes.
fn bytes(number: usize) -> Vec<u8> {
    format!("Subject: {number}\r\n\r\nmuch text\r\n").into_bytes()
}

async fn only_blobs_that_nothing_needs_are_deleted(backend: Backend) {
    let world = World::start(backend).await;
    let mut acme = world.owner("acme").await;
    let mut gone = world.owner("gone").await;
    let mut second = world.owner("second").await;
    // One that two mailboxes of a tenant share, one that only a tombstone names, one of a tenant that is deleted.
    acme.store_large(&world, 1, &bytes(1)).await;
    let (fence, folder) = world.mailbox(&acme.caller, "shared@example.org").await;
    let mut shared = super::world::Owner {
        fence,
        folder,
        caller: acme.caller.clone(),
        tenant: acme.tenant,
    };
    shared.store_large(&world, 1, &bytes(1)).await;
    acme.store_large(&world, 2, &bytes(2)).await;
    gone.store_large(&world, 1, &bytes(1)).await;
    second.store_large(&world, 1, &bytes(1)).await;
    // One without a row, as a process leaves it that ends between the two; and one that was never ended.
    let orphan = world.put(acme.tenant, &bytes(3)).await;
    let own = world.blobs().join(acme.tenant.0.simple().to_string());
    let whole = crate::crash::loops::files(&own).remove(0);
    let part = whole.with_file_name(format!("{}#1", whole.file_name().unwrap().to_str().unwrap()));
    std::fs::write(&part, b"half").unwrap();
    let foreign = world.blobs().join("README");
    std::fs::write(&foreign, b"not ours").unwrap();
    assert_eq!(world.files().len(), 7);
    acme.expunge(&world, &[1, 2]).await;
    tenants::delete(&world.app, &Identity::Platform, gone.tenant.0)
        .await
        .unwrap();

    assert_eq!(world.sweep().await, Swept::default(), "all of it is young");
    world.wait(TimeDelta::hours(2));
    let swept = world.sweep().await;
    let expected = Swept {
        blobs: 2,
        unfinished: 1,
        ..Swept::default()
    };
    assert_eq!(swept, expected, "the orphan and the deleted tenant's");
    assert!(!world.app.blobs.has(acme.tenant, &orphan).await.unwrap());
    assert!(
        !world.blobs().join(gone.tenant.0.simple().to_string()).exists(),
        "no empty folder stays"
    );

    world.wait(TimeDelta::days(31));
    let swept = world.sweep().await;
    assert_eq!((swept.messages, swept.blobs), (2, 1), "the shared one stays");
    shared.expunge(&world, &[1]).await;
    world.wait(TimeDelta::days(31));
    let swept = world.sweep().await;
    assert_eq!((swept.messages, swept.blobs), (1, 1));
    assert_eq!(
        world.files().len(),
        2,
        "another tenant's of the same bytes, and what is not ours"
    );
    assert!(foreign.exists());
}

/// The sweep finds an old orphan while a sync has just put the same bytes: the row is not written, and then it is.
async fn a_blob_that_was_swept_before_its_row_is_put_again(backend: Backend) {
    let world = World::start(backend).await;
    let mut acme = world.owner("acme").await;
    world.put(acme.tenant, &bytes(1)).await;
    world.wait(TimeDelta::hours(2));
    assert_eq!(world.sweep().await.blobs, 1);
    let refused = acme.try_store(&world, 1, &bytes(1), true).await.unwrap_err();
    assert!(
        matches!(refused, Halt::Failed(Error::Unavailable(_))),
        "{refused:?}"
    );
    assert_eq!(
        (world.count("messages").await, world.count("placements").await),
        (0, 0)
    );
    acme.store_large(&world, 1, &bytes(1)).await;
    assert_eq!(world.sweep().await.blobs, 0);
    assert_eq!(world.files().len(), 1);
}

mod loops {
    //! The race of a sync and a sweep over the same bytes, again and again.

    use super::*;

    mod on {
        use super::both;
        both!(no_blob_with_a_row_is_ever_swept);
    }

    /// A sweep that takes every blob for old and never pauses, beside a sync that stores messages of the same bytes.
    async fn no_blob_with_a_row_is_ever_swept(backend: Backend) {
        let world = World::start(backend).await;
        let mut acme = world.owner("acme").await;
        world.wait(TimeDelta::hours(2));
        let name = format!("a blob put while the sweep runs, {backend:?}");
        let rounds = soak::rounds(60, 3_000);
        let stop = CancellationToken::new();
        let (app, stopped) = (world.app.clone(), stop.clone());
        let sweeping = tokio::spawn(async move {
            let mut deleted = 0;
            while !stopped.is_cancelled() {
                let mut pages = sweep::blobs(&app);
                while let Some(page) = pages.next().await {
                    deleted += sweep::delete_blobs(&app, page.unwrap())
                        .await
                        .unwrap()
                        .unwrap()
                        .count;
                }
            }
            deleted
        });
        let mut again = 0;
        for round in 0..rounds {
            let uid = i64::try_from(round).unwrap() + 1;
            let raw = bytes(round);
            let sha256: [u8; 32] = Sha256::digest(&raw).into();
            loop {
                // The library fails where its folder was emptied and removed before the end; a sync then tries again, too.
                let put = world
                    .app
                    .blobs
                    .put(acme.tenant, &sha256, raw.len() as u64, raw.as_slice());
                if put.await.is_err() {
                    again += 1;
                    continue;
                }
                match acme.try_store(&world, uid, &raw, true).await {
                    Ok(()) => break,
                    Err(Halt::Failed(Error::Unavailable(_))) => again += 1,
                    Err(other) => panic!("{other:?}"),
                }
                tokio::time::sleep(Duration::from_millis(rand::random::<u64>() % 10)).await;
            }
            assert!(
                world.app.blobs.has(acme.tenant, &sha256).await.unwrap(),
                "round {round}"
            );
        }
        stop.cancel();
        let deleted = sweeping.await.unwrap();
        assert_eq!(world.files().len(), rounds);
        let seen =
            format!("{deleted} blobs swept before their rows, {again} put again, none with a row was lost");
        soak::record(&name, rounds, 0, seen);
    }
}
