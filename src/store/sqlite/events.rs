//! SQLite: writes events in one hop to the blocking pool, and a change of a mailbox's labels together with its event.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl, SelectableHelper,
    SqliteConnection,
    dsl::sql,
    sql_types::{BigInt, Nullable},
};

use super::Connection;
use crate::{
    model::Result,
    store::{
        events::{NewRow, NewRows},
        mailboxes::{Relabel, Row},
        schema::{event_counters, events, mailboxes},
        statement::Prepared,
        types::{At, Id},
    },
};

/// A row of `events`.
#[derive(Insertable)]
#[diesel(table_name = events, treat_none_as_default_value = false)]
struct Written {
    tenant_id: Id,
    position: i64,
    id: Id,
    kind: &'static str,
    mailbox_id: Option<Id>,
    sequence: Option<i64>,
    message_id: Option<Id>,
    agent_id: Option<Id>,
    detail: Option<String>,
    created_at: At,
}

/// Writes events with the next numbers of the mailbox and of the tenant.
pub(crate) async fn append_events(conn: &mut Connection, new: NewRows) -> Result<()> {
    conn.spawn_blocking(move |conn| append(conn, new)).await?;
    Ok(())
}

fn append(conn: &mut SqliteConnection, new: NewRows) -> QueryResult<()> {
    let NewRows {
        tenant,
        mailbox,
        agent,
        at,
        rows,
    } = new;
    let count = i64::try_from(rows.len()).unwrap_or_default();
    let mut sequence: Option<i64> = None;
    if let Some(mailbox) = mailbox {
        let counted = sql::<Nullable<BigInt>>("COALESCE(event_sequence, 0) + ").bind::<BigInt, _>(count);
        let numbering = diesel::update(mailboxes::table.find((tenant, mailbox)))
            .set(mailboxes::event_sequence.eq(counted))
            .returning(mailboxes::event_sequence);
        let last: Option<i64> = Prepared(numbering).get_result(conn)?;
        sequence = last.map(|last| last - count);
    }
    let placing = diesel::insert_into(event_counters::table)
        .values((
            event_counters::tenant_id.eq(tenant),
            event_counters::position.eq(count),
        ))
        .on_conflict(event_counters::tenant_id)
        .do_update()
        .set(event_counters::position.eq(event_counters::position + count))
        .returning(event_counters::position);
    let last: i64 = Prepared(placing).get_result(conn)?;
    let before = last - count;
    for (number, row) in (1..).zip(rows) {
        let NewRow {
            id,
            kind,
            message,
            detail,
        } = row;
        let row = Written {
            tenant_id: tenant,
            position: before + number,
            id,
            kind,
            mailbox_id: mailbox,
            sequence: sequence.map(|before| before + number),
            message_id: message,
            agent_id: agent,
            detail,
            created_at: at,
        };
        diesel::insert_into(events::table).values(row).execute(conn)?;
    }
    Ok(())
}

/// Stores a mailbox's labels, with the event of it where that changes something; answers its row, and whether it did.
pub(crate) async fn relabel(conn: &mut Connection, relabel: Relabel) -> Result<Option<(Row, bool)>> {
    let found = conn.spawn_blocking(move |conn| conn.immediate_transaction(|conn| change(conn, relabel)));
    Ok(found.await?)
}

fn change(conn: &mut SqliteConnection, relabel: Relabel) -> QueryResult<Option<(Row, bool)>> {
    let Relabel {
        tenant,
        seen,
        mailbox,
        labels,
        at,
        event,
        kind,
    } = relabel;
    let target = mailboxes::table.find((tenant, mailbox));
    let found = target.select(Row::as_select()).get_result(conn).optional()?;
    let visible = |row: &Row| !row.is_retired() && seen.is_none_or(|seen| row.created_by() == Some(seen));
    let Some(mut row) = found.filter(visible) else {
        return Ok(None);
    };
    if !row.relabel(labels) {
        return Ok(Some((row, false)));
    }
    let (name, signature) = row.labels();
    let renaming = diesel::update(target)
        .set((
            mailboxes::name.eq(name),
            mailboxes::default_signature_html.eq(signature),
            mailboxes::updated_at.eq(at),
        ))
        .returning(Row::as_returning());
    let row: Row = Prepared(renaming).get_result(conn)?;
    append(
        conn,
        NewRows {
            tenant,
            mailbox: Some(mailbox),
            agent: row.bound_to(),
            at,
            rows: vec![NewRow {
                id: event,
                kind,
                message: None,
                detail: None,
            }],
        },
    )?;
    Ok(Some((row, true)))
}
