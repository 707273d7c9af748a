//! Changing: PATCH of one mailbox, against one bare transaction with the same writes: of the mailbox, and of the event.

use std::time::Duration;

use diesel_async::AsyncConnectionCore;
use postroom::{model::id::TenantId, store::Conn};

use crate::support::{
    floor::{Bare, Floor},
    gateway::{Backend, Gateway},
    load::Ask,
    rows,
    table::Table,
};

const CONNECTIONS: [usize; 2] = [1, 16];
/// So many names by turns, from another one on each connection: every request has something to write.
const NAMES: usize = 251;
const ROUND: Duration = Duration::from_millis(500);

/// Another value at each run, as the requests below give one.
const UPDATE: &str = "UPDATE mailboxes SET name = CASE name WHEN 'one' THEN 'two' ELSE 'one' END, provider = provider, \
    enabled = enabled, has_credentials = has_credentials, phase = phase, connected_before = connected_before, \
    halted = halted, agent_id = agent_id, agent_revision_id = agent_revision_id, team_id = team_id, \
    team_revision_id = team_revision_id, default_signature_html = default_signature_html, \
    capabilities = capabilities, external_account_id = external_account_id, error_code = error_code, \
    error_message = error_message, error_since = error_since, updated_at = last_synced_at, \
    event_sequence = COALESCE(event_sequence, 0) + 1 WHERE tenant_id = ? AND id = ?";
const COUNT: &str = "INSERT INTO event_counters (tenant_id, position) VALUES (?, 1) \
    ON CONFLICT (tenant_id) DO UPDATE SET position = event_counters.position + 1";
const EVENT: &str = "INSERT INTO events \
    (tenant_id, position, id, type, mailbox_id, sequence, message_id, agent_id, detail, created_at) \
    SELECT m.tenant_id, c.position, m.id, 'mailbox.updated', m.id, m.event_sequence, NULL, NULL, NULL, m.updated_at \
    FROM mailboxes m JOIN event_counters c ON c.tenant_id = m.tenant_id WHERE m.tenant_id = ? AND m.id = ?";

pub(crate) async fn run(table: &mut Table) {
    for (backend, name) in [(Backend::Sqlite, "SQLite"), (Backend::Postgres, "PostgreSQL")] {
        let gateway = Gateway::start(backend).await;
        let tenant = gateway.tenant("Update").await;
        let owner = rows::mailbox(&gateway.app, TenantId(tenant.id), "ann@hotel.test").await;
        let path = format!("/v1/mailboxes/{}", owner.mailbox);
        let patch = |number: usize| {
            let body = format!(r#"{{"name":"Reservations {number}"}}"#);
            Ask::new(&gateway.url, "PATCH", &tenant.key, &path, &body)
        };
        let ours = (1..NAMES).fold(patch(0), |all, number| all.then(&patch(number)));
        let one = vec![tenant.id, owner.mailbox];
        let statements = [(UPDATE, one.clone()), (COUNT, vec![tenant.id]), (EVENT, one)];
        let bare = statements.map(|(sql, ids)| Bare { sql, ids });
        let app = gateway.app.clone();
        let floor = Floor::serve(ours.answer().await, move || {
            let (app, bare) = (app.clone(), bare.clone());
            async move { write(&app.store, bare).await }
        })
        .await;
        let floors = Ask::get(&floor.url, &tenant.key, "/");
        ours.against(&floors, table, ("PATCH mailbox", name), &CONNECTIONS, ROUND)
            .await;
        gateway.stop().await;
    }
}

/// One transaction with these statements, on a connection of the pool that writes are made with.
async fn write(store: &postroom::store::Store, bare: [Bare; 3]) {
    let written = store.transaction(|tx| {
        Box::pin(async move {
            for one in bare {
                let count = match tx {
                    Conn::Pg(conn) => conn.execute_returning_count(one).await,
                    Conn::Sqlite(conn) => conn.execute_returning_count(one).await,
                };
                assert_eq!(count.unwrap(), 1);
            }
            Ok(())
        })
    });
    written.await.unwrap();
}
