//! PostgreSQL: writes events in one statement, and a change of a mailbox's labels together with its event in one.

use diesel::{
    QueryableByName,
    sql_types::{Array, BigInt, Bool, Nullable, Text},
};
use diesel_async::RunQueryDsl;

use super::Connection;
use crate::{
    model::Result,
    store::{
        events::NewRows,
        mailboxes::{Relabel, Row},
        statement::Prepared,
        types::{Guid, Instant},
    },
};

/// The mailbox's row is locked by the transaction before; the tenant's counter is locked here, and then until its end.
const APPEND: &str = "WITH numbered AS (UPDATE mailboxes \
        SET event_sequence = COALESCE(event_sequence, 0) + $3 WHERE tenant_id = $1 AND id = $2 \
        RETURNING event_sequence - $3 AS base), \
    placed AS (INSERT INTO event_counters (tenant_id, position) VALUES ($1, $3) \
        ON CONFLICT (tenant_id) DO UPDATE SET position = event_counters.position + excluded.position \
        RETURNING position - $3 AS base) \
    INSERT INTO events (tenant_id, position, id, type, mailbox_id, sequence, message_id, agent_id, detail, created_at) \
    SELECT $1, placed.base + e.n, e.id, e.type, $2, numbered.base + e.n, e.message_id, $4, e.detail, $5 \
    FROM unnest(CAST($6 AS uuid[]), CAST($7 AS text[]), CAST($8 AS uuid[]), CAST($9 AS text[])) \
        WITH ORDINALITY AS e (id, type, message_id, detail, n) \
    CROSS JOIN placed LEFT JOIN numbered ON TRUE";

/// Writes events with the next numbers of the mailbox and of the tenant.
pub(crate) async fn append_events(conn: &mut Connection, new: NewRows) -> Result<()> {
    let NewRows {
        tenant,
        mailbox,
        agent,
        at,
        rows,
    } = new;
    let count = i64::try_from(rows.len()).unwrap_or_default();
    let (mut ids, mut kinds) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    let (mut messages, mut details) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in rows {
        ids.push(row.id);
        kinds.push(row.kind);
        messages.push(row.message);
        details.push(row.detail);
    }
    let query = diesel::sql_query(APPEND)
        .bind::<Guid, _>(tenant)
        .bind::<Nullable<Guid>, _>(mailbox)
        .bind::<BigInt, _>(count)
        .bind::<Nullable<Guid>, _>(agent)
        .bind::<Instant, _>(at)
        .bind::<Array<Guid>, _>(ids)
        .bind::<Array<Text>, _>(kinds)
        .bind::<Array<Nullable<Guid>>, _>(messages)
        .bind::<Array<Nullable<Text>>, _>(details);
    Prepared(query).execute(conn).await?;
    Ok(())
}

/// The row before is locked first; where it would stay as it is, nothing is counted and no event is written.
const RELABEL: &str = "WITH old AS (SELECT id, ($3 AND name IS DISTINCT FROM $4) \
            OR ($5 AND default_signature_html IS DISTINCT FROM $6) AS differs \
        FROM mailboxes WHERE tenant_id = $1 AND id = $2 AND retired_at IS NULL \
            AND ($7 IS NULL OR created_by = $7) FOR NO KEY UPDATE), \
    changed AS (UPDATE mailboxes m SET name = CASE WHEN $3 THEN $4 ELSE m.name END, \
            default_signature_html = CASE WHEN $5 THEN $6 ELSE m.default_signature_html END, \
            updated_at = CASE WHEN old.differs THEN $8 ELSE m.updated_at END, \
            event_sequence = CASE WHEN old.differs THEN COALESCE(m.event_sequence, 0) + 1 ELSE m.event_sequence END \
        FROM old WHERE m.tenant_id = $1 AND m.id = old.id RETURNING m.*, old.differs), \
    placed AS (INSERT INTO event_counters (tenant_id, position) SELECT $1, 1 FROM changed WHERE differs \
        ON CONFLICT (tenant_id) DO UPDATE SET position = event_counters.position + 1 RETURNING position), \
    written AS (INSERT INTO events \
            (tenant_id, position, id, type, mailbox_id, sequence, message_id, agent_id, detail, created_at) \
        SELECT $1, placed.position, $9, $10, changed.id, changed.event_sequence, NULL, \
            COALESCE(changed.agent_id, changed.team_id), NULL, $8 FROM changed, placed) \
    SELECT * FROM changed";

/// Stores a mailbox's labels, with the event of it where that changes something; answers its row, and whether it did.
pub(crate) async fn relabel(conn: &mut Connection, relabel: Relabel) -> Result<Option<(Row, bool)>> {
    let Relabel {
        tenant,
        seen,
        mailbox,
        labels,
        at,
        event,
        kind,
    } = relabel;
    let query = diesel::sql_query(RELABEL)
        .bind::<Guid, _>(tenant)
        .bind::<Guid, _>(mailbox)
        .bind::<Bool, _>(labels.name.is_present())
        .bind::<Nullable<Text>, _>(labels.name.apply(None))
        .bind::<Bool, _>(labels.default_signature_html.is_present())
        .bind::<Nullable<Text>, _>(labels.default_signature_html.apply(None))
        .bind::<Nullable<Guid>, _>(seen)
        .bind::<Instant, _>(at)
        .bind::<Guid, _>(event)
        .bind::<Text, _>(kind);
    let rows: Vec<Relabelled> = Prepared(query).load(conn).await?;
    Ok(rows
        .into_iter()
        .next()
        .map(|found| (found.mailbox, found.differs)))
}

/// A row, and whether it was changed.
#[derive(QueryableByName)]
struct Relabelled {
    #[diesel(embed)]
    mailbox: Row,
    #[diesel(sql_type = Bool)]
    differs: bool,
}
