//! Calls every method of the store that is about webhooks.

use postroom::{
    model::{
        caller::Visibility,
        event::EventPosition,
        page::{PageRequest, Position},
        webhook::{Attempt, DeliveryFilter, DeliveryStatus},
    },
    store::{Conn, Gate, Mark, NewDelivery},
};

use super::workload::Done;
use crate::fixture::{Filled, at};

/// Calls every method about webhook endpoints and their deliveries.
pub(super) async fn run(tx: &mut Conn, filled: Filled) -> Done {
    let (tenant, endpoint) = (filled.owner.tenant, filled.endpoint);
    lists(tx, filled).await?;
    assert!(tx.has_endpoints(tenant, 1).await?);
    let locked = tx.lock_endpoint(tenant, endpoint).await?.unwrap();
    tx.update_endpoint(tenant, &locked.endpoint).await?;
    tx.set_endpoint_health(tenant, endpoint, locked.health).await?;
    tx.set_endpoint_due(tenant, endpoint, Some(at(5))).await?;
    tx.end_turn(tenant, endpoint, Some(at(4)), Some(at(5))).await?;
    tx.rotate_endpoint(tenant, endpoint, &[4], (&[1, 2, 3], at(9)), at(5))
        .await?;
    assert!(tx.list_unread(None, 10).await?.contains(&tenant));
    tx.list_unread(Some(tenant), 10).await?;
    assert!(tx.is_unread(tenant).await?);
    let last = tx.last_event(tenant).await?;
    assert_eq!(tx.lock_readers(tenant, last, 10).await?.len(), 1);
    tx.set_reader_positions(tenant, &[endpoint], last).await?;
    tx.rewind_endpoint(tenant, endpoint, EventPosition(1)).await?;
    tx.hasten_endpoints(tenant, &[endpoint], at(5)).await?;
    assert_eq!(tx.next_due_endpoint().await?, Some(at(5)));
    assert_eq!(
        tx.take_due_endpoints(at(5), at(9), 10).await?,
        [(tenant, endpoint)]
    );
    deliveries(tx, filled).await?;
    assert!(tx.delete_endpoint(tenant, endpoint).await?);
    Ok(())
}

async fn lists(tx: &mut Conn, filled: Filled) -> Done {
    let (tenant, endpoint) = (filled.owner.tenant, filled.endpoint);
    let first = PageRequest {
        limit: 10,
        after: None,
    };
    let after = Some(Position {
        at: at(9),
        id: endpoint,
    });
    for seen in [Visibility::All, Visibility::CreatedBy(filled.member)] {
        assert!(tx.get_endpoint(tenant, seen, endpoint).await?.is_some());
        assert!(tx.get_sealed_endpoint(tenant, seen, endpoint).await?.is_some());
        assert!(tx.list_subscriptions(tenant, seen, 10).await?.is_empty());
        for page in [first, PageRequest { limit: 10, after }] {
            tx.list_endpoints(tenant, seen, page).await?;
            for filter in [
                DeliveryFilter::default(),
                DeliveryFilter {
                    endpoint: Some(endpoint),
                    status: None,
                },
                DeliveryFilter {
                    endpoint: Some(endpoint),
                    status: Some(DeliveryStatus::Pending),
                },
                DeliveryFilter {
                    endpoint: None,
                    status: Some(DeliveryStatus::Failed),
                },
                DeliveryFilter {
                    endpoint: Some(endpoint),
                    status: Some(DeliveryStatus::Succeeded),
                },
            ] {
                tx.list_deliveries(tenant, seen, filter, page).await?;
            }
        }
        tx.get_delivery(tenant, seen, endpoint).await?;
    }
    Ok(())
}

async fn deliveries(tx: &mut Conn, filled: Filled) -> Done {
    let (tenant, mailbox, endpoint) = (filled.owner.tenant, filled.owner.mailbox, filled.endpoint);
    let last = tx.last_event(tenant).await?;
    let news = tx.list_news(tenant, EventPosition::START, last, 10).await?;
    tx.events_at(tenant, &[news[0].position]).await?;
    tx.event_from(tenant, last).await?;
    tx.event_since(tenant, EventPosition(1), at(1)).await?;
    let new = NewDelivery {
        endpoint,
        position: last,
        mailbox: Some(mailbox),
    };
    tx.create_deliveries(tenant, &[new], at(5)).await?;
    let due = tx.due_deliveries(tenant, endpoint, at(5), 10).await?;
    let one = due.iter().find(|one| one.position == last).unwrap();
    assert_eq!(tx.share_gates(tenant, &[mailbox]).await?, [(mailbox, Gate::Open)]);
    tx.bar_mailbox(tenant, mailbox).await?;
    tx.claim_deliveries(tenant, &[one.id], at(9)).await?;
    assert_eq!(tx.count_sending(tenant, endpoint, at(5)).await?, 1);
    assert!(tx.is_sending_of(tenant, mailbox).await?);
    let taken = (one.id, one.claim + 1);
    assert!(tx.renew_delivery(tenant, taken, at(9)).await?);
    assert!(
        !tx.renew_delivery(tenant, (one.id, one.claim), at(9)).await?,
        "it was taken again"
    );
    tx.free_deliveries(at(5), at(9)).await?;
    let mark = Mark {
        id: one.id,
        claim: one.claim + 1,
        status: DeliveryStatus::Succeeded,
        attempts: 1,
        next_at: None,
        attempt: Attempt {
            at: at(5),
            duration: std::time::Duration::from_millis(7),
            status: Some(200),
            body: None,
            error: None,
        },
    };
    let marked = tx.mark_deliveries(tenant, vec![mark.clone(), mark]).await?;
    assert_eq!(marked, [true, false], "it is marked once");
    assert!(!tx.return_delivery(tenant, taken, at(5)).await?, "it is marked");
    tx.retry_delivery(tenant, one.id, at(5)).await?;
    tx.hold_deliveries(tenant, &[one.id]).await?;
    assert_eq!(tx.release_deliveries(tenant, mailbox, at(5)).await?, 1);
    tx.drop_deliveries(tenant, &[one.id]).await?;
    tx.next_due_delivery(tenant, endpoint).await?;
    assert!(tx.find_delivery(tenant, endpoint, last).await?.is_some());
    Ok(())
}
