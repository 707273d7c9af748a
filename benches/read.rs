//! Reading: the API with its authentication, tenant, limits and JSON, against one bare statement and the same bytes.

use std::time::Duration;

use postroom::service::App;
use uuid::Uuid;

use crate::support::{
    floor::{Bare, Floor},
    gateway::{Backend, Gateway, Tenant},
    load::Ask,
    rows::{self, Owner, at},
    table::Table,
};

const CONNECTIONS: [usize; 3] = [1, 16, 64];
const ROUND: Duration = Duration::from_millis(400);

/// The columns of the table that an answer is made of.
macro_rules! mailbox {
    () => {
        "id, address, name, provider, enabled, has_credentials, phase, connected_before, halted, message_count, created_by, \
         agent_id, agent_revision_id, team_id, team_revision_id, default_signature_html, capabilities, \
         external_account_id, error_code, error_message, error_since, last_synced_at, sync_folder, sync_done, sync_total, \
         retired_at, created_at, updated_at, backfilled_at"
    };
}
macro_rules! message {
    () => {
        "m.id, m.mailbox_id, m.thread_id, m.message_id, m.in_reply_to, m.refs, m.subject, m.participants, m.sent_at, \
         m.received_at, m.snippet, m.incoming, m.unread, m.flags, m.folder_ids, m.size, m.truncated, m.has_attachments, \
         m.created_at, m.updated_at, t.message_count"
    };
}
macro_rules! of_thread {
    () => {
        " FROM messages m JOIN threads t ON t.tenant_id = m.tenant_id AND t.id = m.thread_id "
    };
}

const MAILBOX: &str = concat!(
    "SELECT ",
    mailbox!(),
    " FROM mailboxes WHERE tenant_id = ? AND id = ?"
);
const PAGE: &str = concat!(
    "SELECT ",
    message!(),
    of_thread!(),
    "WHERE m.tenant_id = ? AND m.deleted_at IS NULL ORDER BY m.received_at DESC, m.id DESC LIMIT 50"
);
const MESSAGE: &str = concat!(
    "SELECT ",
    message!(),
    ", b.text, b.html",
    of_thread!(),
    "JOIN message_bodies b ON b.tenant_id = m.tenant_id AND b.message_id = m.id ",
    "WHERE m.tenant_id = ? AND m.id = ? AND m.deleted_at IS NULL"
);
const THREAD: &str = concat!(
    "SELECT ",
    message!(),
    of_thread!(),
    "WHERE m.tenant_id = ? AND m.thread_id = ? AND m.deleted_at IS NULL ORDER BY m.sent_at, m.id"
);

pub(crate) async fn run(table: &mut Table) {
    for (backend, name) in [(Backend::Sqlite, "SQLite"), (Backend::Postgres, "PostgreSQL")] {
        let gateway = Gateway::start(backend).await;
        let tenant = gateway.tenant("Read").await;
        let (owner, thread, message) = fill(&gateway.app, &tenant).await;
        let id = tenant.id;
        let asks = [
            (
                "mailbox",
                format!("/v1/mailboxes/{}", owner.mailbox),
                MAILBOX,
                vec![id, owner.mailbox],
                1,
            ),
            (
                "50 messages",
                "/v1/messages?limit=50".to_owned(),
                PAGE,
                vec![id],
                50,
            ),
            (
                "message",
                format!("/v1/messages/{message}"),
                MESSAGE,
                vec![id, message],
                1,
            ),
            (
                "thread of 8",
                format!("/v1/threads/{thread}"),
                THREAD,
                vec![id, thread],
                8,
            ),
        ];
        for (what, path, sql, ids, rows) in asks {
            let ours = Ask::get(&gateway.url, &tenant.key, &path);
            let bare = Bare { sql, ids };
            let floor = Floor::reading(&gateway.app, bare, rows, ours.answer().await).await;
            let floors = Ask::get(&floor.url, &tenant.key, "/");
            let what = format!("GET {what}");
            ours.against(&floors, table, (&what, name), &CONNECTIONS, ROUND)
                .await;
        }
        gateway.stop().await;
    }
}

/// 1,000 messages in threads of eight; a thread and a message of the middle.
async fn fill(app: &App, tenant: &Tenant) -> (Owner, Uuid, Uuid) {
    let tenant = postroom::model::id::TenantId(tenant.id);
    let owner = rows::mailbox(app, tenant, "ann@hotel.test").await;
    let mut threads = Vec::new();
    for count in 0..125 {
        threads.push(rows::thread(app, owner, at(count * 3600), 8).await);
    }
    let (thread, messages) = &threads[60];
    (owner, *thread, messages[3])
}
