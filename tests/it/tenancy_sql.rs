//! The wall in the schema itself: no row can point into another tenant, whatever a query says.

use std::collections::{BTreeMap, BTreeSet};

use postroom::model::{
    event::{Draft, EventType},
    id::{self, TenantId},
};

use crate::{
    fixture::{Fixture, at},
    support::gateway::{Backend, both},
};

mod on {
    use super::both;
    both!(no_row_points_into_another_tenant, every_id_is_a_foreign_key);
}

/// A foreign key: the table, its columns, and the table and columns that they name.
struct Foreign {
    table: String,
    from: Vec<String>,
    parent: String,
    to: Vec<String>,
}

const SQLITE: &str = "SELECT m.name, f.id, f.\"from\", f.\"table\", f.\"to\" \
    FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq";
const POSTGRES: &str = "SELECT c.conrelid::regclass, c.oid, a.attname, c.confrelid::regclass, b.attname \
    FROM pg_constraint c, unnest(c.conkey, c.confkey) WITH ORDINALITY k(child, parent, place), pg_attribute a, \
    pg_attribute b WHERE c.contype = 'f' AND a.attrelid = c.conrelid AND a.attnum = k.child \
    AND b.attrelid = c.confrelid AND b.attnum = k.parent ORDER BY 1, 2, k.place";

async fn foreign_keys(fixture: &Fixture, backend: Backend) -> Vec<Foreign> {
    let statement = if backend == Backend::Sqlite {
        SQLITE
    } else {
        POSTGRES
    };
    let mut found = BTreeMap::<(String, String), Foreign>::new();
    for row in fixture.rows(statement).await {
        let foreign = found
            .entry((row[0].clone(), row[1].clone()))
            .or_insert_with(|| Foreign {
                table: row[0].clone(),
                from: Vec::new(),
                parent: row[3].clone(),
                to: Vec::new(),
            });
        foreign.from.push(row[2].clone());
        foreign.to.push(row[4].clone());
    }
    found.into_values().collect()
}

/// What tells a row of a table from the others: some of SQLite's have no rowid.
async fn name_of_a_row(fixture: &Fixture, backend: Backend, table: &str) -> String {
    if backend == Backend::Postgres {
        return "ctid".to_owned();
    }
    let key = format!("SELECT group_concat(name) FROM pragma_table_info('{table}') WHERE pk > 0");
    fixture.rows(&key).await[0][0].clone()
}

/// Places of a log are numbers: this one's log gets one that others have not.
async fn lengthen_log(fixture: &Fixture, tenant: TenantId) {
    let more = fixture.store.transaction(move |tx| {
        Box::pin(async move {
            let one = Draft {
                id: id::new(),
                kind: EventType::Ping,
                message: None,
                transition: None,
                endpoint: None,
            };
            tx.append_events(tenant, (None, None), &[one], at(4)).await
        })
    });
    more.await.unwrap_or_else(|error| panic!("{error:?}"));
}

/// The statement of a value of the other tenant's that the first one has not.
async fn anothers(fixture: &Fixture, parent: &str, target: &str, (acme, other): (&str, &str)) -> String {
    let its_own = format!("SELECT {target} FROM {parent} WHERE tenant_id = {acme}");
    let others = format!("FROM {parent} WHERE tenant_id = {other} AND {target} NOT IN ({its_own})");
    let count = fixture.rows(&format!("SELECT count(*) {others}")).await;
    assert_ne!(count[0][0], "0", "the other has a row of {parent}");
    format!("(SELECT {target} {others} LIMIT 1)")
}

async fn no_row_points_into_another_tenant(backend: Backend) {
    let fixture = Fixture::start(backend).await;
    let acme = fixture.fill("acme").await.owner.tenant.0;
    let other = fixture.fill("other").await.owner.tenant;
    lengthen_log(&fixture, other).await;
    let other = other.0;
    let literal = |id: uuid::Uuid| match backend {
        Backend::Sqlite => format!("x'{}'", id.simple()),
        Backend::Postgres => format!("'{id}'"),
    };
    let (acme, other) = (literal(acme), literal(other));
    let keys = foreign_keys(&fixture, backend).await;
    assert!(keys.len() > 25, "{} foreign keys", keys.len());
    for Foreign {
        table,
        from,
        parent,
        to,
    } in &keys
    {
        if from.len() == 1 && parent != "tenants" {
            // A row of the tenant itself: there is nothing else in it that could be another's.
            continue;
        }
        let (column, target) = (from.last().unwrap(), to.last().unwrap());
        let foreign = if parent == "tenants" {
            literal(uuid::Uuid::from_u128(1))
        } else {
            assert_eq!(
                (from[0].as_str(), to[0].as_str()),
                ("tenant_id", "tenant_id"),
                "{table} ({from:?})"
            );
            anothers(&fixture, parent, target, (&acme, &other)).await
        };
        let row = name_of_a_row(&fixture, backend, table).await;
        let one = format!(
            "({row}) IN (SELECT {row} FROM {table} WHERE tenant_id = {acme} AND {column} IS NOT NULL LIMIT 1)"
        );
        let count = format!("SELECT count(*) FROM {table} WHERE {one}");
        let rows = fixture.rows(&count).await;
        assert_eq!(rows[0][0], "1", "the fixture has a row of {table} with {column}");
        // The same row with its own value is fine, so what is refused is the other tenant's.
        fixture
            .rows(&format!("UPDATE {table} SET {column} = {column} WHERE {one}"))
            .await;
        let refused = fixture
            .try_rows(&format!("UPDATE {table} SET {column} = {foreign} WHERE {one}"))
            .await;
        let error = refused
            .err()
            .unwrap_or_else(|| panic!("{table}.{column} points into another tenant"));
        assert!(
            error.to_lowercase().contains("foreign key"),
            "{table}.{column}: {error}"
        );
    }
}

/// Columns that end in `_id` and name no row of ours.
const NO_ROW: [&str; 6] = [
    "messages.message_id",
    "folders.object_id",
    "mailboxes.external_account_id",
    "attachments.content_id",
    // An event outlives these.
    "events.message_id",
    "events.agent_id",
];

async fn every_id_is_a_foreign_key(backend: Backend) {
    let fixture = Fixture::start(backend).await;
    let columns = match backend {
        Backend::Sqlite => {
            "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c \
             WHERE m.type = 'table' AND c.name LIKE '%\\_id' ESCAPE '\\'"
        }
        Backend::Postgres => {
            "SELECT table_name, column_name FROM information_schema.columns \
             WHERE table_schema = 'public' AND column_name LIKE '%\\_id'"
        }
    };
    let keys = foreign_keys(&fixture, backend).await;
    let covered: BTreeSet<String> = keys
        .iter()
        .flat_map(|key| key.from.iter().map(|column| format!("{}.{column}", key.table)))
        .collect();
    let mut loose: Vec<String> = fixture
        .rows(columns)
        .await
        .iter()
        .map(|row| format!("{}.{}", row[0], row[1]))
        .collect();
    assert!(loose.len() > 30, "{} columns", loose.len());
    loose.retain(|column| !covered.contains(column) && !NO_ROW.contains(&column.as_str()));
    assert!(loose.is_empty(), "no foreign key holds {loose:#?}");
}
