//! Rows enough that PostgreSQL, which plans by the size of its tables, chooses as it would in earnest.

use crate::fixture::Fixture;

/// Copies of one row of a table, `i` counting them: the table, how many, and what is another value in each.
const COPIES: &[(&str, u32, &str)] = &[
    ("tenants", 2_000, "'id', md5(i::text)::uuid"),
    ("members", 2_000, "'id', md5(i::text)::uuid, 'email_key', i"),
    ("api_keys", 2_000, "'id', md5(i::text)::uuid, 'lookup', i"),
    ("agents", 2_000, "'id', md5(i::text)::uuid"),
    (
        "agent_revisions",
        2_000,
        "'id', md5(i::text)::uuid, 'number', i + 9",
    ),
    (
        "mailboxes",
        2_000,
        "'id', md5(i::text)::uuid, 'address_key', i, 'created_by', md5(i::text)::uuid, 'agent_id', md5(i::text)::uuid, \
         'agent_revision_id', md5(i::text)::uuid, 'team_id', null, 'team_revision_id', null",
    ),
    (
        "mailbox_leases",
        2_000,
        "'mailbox_id', md5(i::text)::uuid, 'owner', i, 'until', now() + make_interval(secs => i)",
    ),
    ("mailbox_credentials", 2_000, "'mailbox_id', md5(i::text)::uuid"),
    (
        "folders",
        2_000,
        "'id', md5(i::text)::uuid, 'mailbox_id', md5(i::text)::uuid, 'raw_name', '\\x' || md5(i::text)",
    ),
    (
        "threads",
        20_000,
        "'id', md5(i::text)::uuid, 'mailbox_id', md5((1 + i % 2000)::text)::uuid, \
         'last_message_at', now() + make_interval(secs => i), \
         'merged_into', CASE WHEN i % 2 = 0 THEN md5((i - 1)::text)::uuid END",
    ),
    (
        "thread_refs",
        20_000,
        "'ref_hash', '\\x' || md5(i::text), 'thread_id', md5(i::text)::uuid",
    ),
    (
        "messages",
        20_000,
        "'id', md5(i::text)::uuid, 'thread_id', md5(i::text)::uuid, 'dedupe_key', '\\x' || md5(i::text), \
         'mailbox_id', md5((1 + i % 2000)::text)::uuid, 'message_id', i, 'received_at', now() + make_interval(secs => i), \
         'sha256', '\\x' || md5(i::text), 'in_blobs', i % 2 = 0",
    ),
    ("message_bodies", 20_000, "'message_id', md5(i::text)::uuid"),
    ("message_raws", 20_000, "'message_id', md5(i::text)::uuid"),
    (
        "message_addresses",
        20_000,
        "'message_id', md5(i::text)::uuid, 'address_key', i",
    ),
    (
        "attachments",
        20_000,
        "'id', md5(i::text)::uuid, 'message_id', md5(i::text)::uuid",
    ),
    (
        "placements",
        20_000,
        "'uid', i + 100, 'message_id', md5(i::text)::uuid",
    ),
    (
        "moves",
        20_000,
        "'message_id', md5(i::text)::uuid, 'mailbox_id', md5((1 + i % 2000)::text)::uuid, \
         'until', now() + make_interval(secs => i)",
    ),
    ("event_counters", 2_000, "'tenant_id', md5(i::text)::uuid"),
    (
        "events",
        20_000,
        "'position', i + 100, 'id', md5(i::text)::uuid, 'mailbox_id', md5((1 + i % 2000)::text)::uuid, \
         'message_id', md5(i::text)::uuid",
    ),
    (
        "webhook_endpoints",
        2_000,
        "'id', md5(i::text)::uuid, 'due_at', now() + make_interval(secs => i)",
    ),
    (
        "webhook_deliveries",
        20_000,
        "'id', md5(i::text)::uuid, 'position', i + 100, 'endpoint_id', md5((1 + i % 2000)::text)::uuid, \
         'mailbox_id', md5((1 + i % 2000)::text)::uuid, 'due_at', now() + make_interval(secs => i)",
    ),
    (
        "search_queue",
        20_000,
        "'message_id', md5(i::text)::uuid, 'queued_at', now() + make_interval(secs => i)",
    ),
];

/// Fills every table of one tenant, and has the database count.
pub(super) async fn fill(fixture: &Fixture) {
    fixture.fill("volume").await;
    for (table, count, values) in COPIES {
        let copies = format!(
            "INSERT INTO {table} SELECT copy.* FROM (SELECT * FROM {table} LIMIT 1) one, \
             generate_series(1, {count}) i, LATERAL jsonb_populate_record(one::{table}, jsonb_build_object({values})) copy"
        );
        fixture.rows(&copies).await;
    }
    let documents = "INSERT INTO search_documents SELECT tenant_id, id, to_tsvector('simple', message_id) \
                     FROM messages ON CONFLICT DO NOTHING";
    fixture.rows(documents).await;
    let aside = "INSERT INTO quarantine (tenant_id, folder_id, uid_validity, uid, reason, created_at) \
                 SELECT tenant_id, id, 1, 1, 'unreadable', created_at FROM folders ON CONFLICT DO NOTHING";
    fixture.rows(aside).await;
    fixture.rows("ANALYZE").await;
}
