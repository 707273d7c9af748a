//! Migrations: both databases get the same schema, once, however many start at once, and it can be taken back.

use std::collections::BTreeSet;

use postroom::store::Store;

use crate::{
    fixture::Fixture,
    support::gateway::{Backend, both},
};

mod on {
    use super::both;
    both!(
        migrations_run_once,
        down_undoes_up,
        every_foreign_key_has_an_index
    );
}

/// What only one of the databases has: the full-text index, and the migrations' own notes.
const OWN: [&str; 3] = ["search_words", "search_documents", "__diesel_schema_migrations"];

/// The tables of SQLite with their columns, as `table.column TYPE null`; `pk` and `unique` as `kind table (columns)`.
const SQLITE_COLUMNS: &str = "SELECT m.name, m.name || '.' || c.name || ' ' || c.type || \
    CASE c.\"notnull\" WHEN 0 THEN ' null' ELSE '' END \
    FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'";
const SQLITE_KEYS: &str = "SELECT m.name, CASE i.origin WHEN 'pk' THEN 'pk ' ELSE 'unique ' END || m.name || ' (' || \
    (SELECT group_concat(x.name, ', ') FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno) x) || ')' \
    FROM sqlite_master m, pragma_index_list(m.name) i WHERE m.type = 'table' AND i.origin <> 'c'";
const SQLITE_FOREIGN: &str = "SELECT m, 'fk ' || m || ' (' || group_concat(f, ', ') || ') -> ' || t || ' (' || \
    group_concat(o, ', ') || ') ' || d FROM (SELECT m.name m, f.id id, f.\"from\" f, f.\"table\" t, f.\"to\" o, \
    f.on_delete d FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' \
    ORDER BY m.name, f.id, f.seq) GROUP BY m, id";
const SQLITE_INDEXES: &str =
    "SELECT tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL";

/// The same of PostgreSQL, its types written as SQLite's.
const PG_COLUMNS: &str = "SELECT table_name, table_name || '.' || column_name || ' ' || CASE \
    WHEN data_type IN ('uuid', 'bytea') THEN 'BLOB' WHEN data_type = 'text' THEN 'TEXT' \
    WHEN data_type IN ('bigint', 'integer', 'boolean', 'timestamp with time zone') THEN 'INTEGER' \
    ELSE data_type END || CASE is_nullable WHEN 'YES' THEN ' null' ELSE '' END \
    FROM information_schema.columns WHERE table_schema = 'public'";
const PG_KEYS: &str = "SELECT c.conrelid::regclass, CASE c.contype WHEN 'p' THEN 'pk ' ELSE 'unique ' END || \
    c.conrelid::regclass || ' (' || (SELECT string_agg(a.attname, ', ' ORDER BY k.place) \
    FROM unnest(c.conkey) WITH ORDINALITY k(number, place) \
    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number) || ')' \
    FROM pg_constraint c WHERE c.contype IN ('p', 'u') AND c.connamespace = 'public'::regnamespace";
const PG_FOREIGN: &str = "SELECT c.conrelid::regclass, 'fk ' || c.conrelid::regclass || ' (' || \
    (SELECT string_agg(a.attname, ', ' ORDER BY k.place) FROM unnest(c.conkey) WITH ORDINALITY k(number, place) \
    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number) || ') -> ' || c.confrelid::regclass || \
    ' (' || (SELECT string_agg(a.attname, ', ' ORDER BY k.place) FROM unnest(c.confkey) \
    WITH ORDINALITY k(number, place) JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.number) || ') ' \
    || CASE c.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'a' THEN 'NO ACTION' ELSE 'another' END \
    FROM pg_constraint c WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace";
const PG_INDEXES: &str = "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' AND NOT EXISTS \
    (SELECT FROM pg_constraint c WHERE c.conname = indexname)";

/// Columns, keys, foreign keys and indexes of every table that both databases have.
async fn schema(fixture: &Fixture, backend: Backend) -> BTreeSet<String> {
    let statements = match backend {
        Backend::Sqlite => [SQLITE_COLUMNS, SQLITE_KEYS, SQLITE_FOREIGN, SQLITE_INDEXES],
        Backend::Postgres => [PG_COLUMNS, PG_KEYS, PG_FOREIGN, PG_INDEXES],
    };
    let mut found = BTreeSet::new();
    for statement in statements {
        for row in fixture.rows(statement).await {
            if !OWN.iter().any(|own| row[0].starts_with(own)) && !row[0].starts_with("sqlite_") {
                found.insert(
                    row[1]
                        .replace(" public.", " ")
                        .replace(" USING btree", "")
                        .replace("::text", "")
                        .replace(['(', ')', '"'], " "),
                );
            }
        }
    }
    found
        .into_iter()
        .map(|line| {
            line.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .replace(" ,", ",")
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_databases_have_the_same_schema() {
    let sqlite = schema(&Fixture::start(Backend::Sqlite).await, Backend::Sqlite).await;
    let postgres = schema(&Fixture::start(Backend::Postgres).await, Backend::Postgres).await;
    assert!(sqlite.len() > 200, "{} lines are a schema", sqlite.len());
    let only = |one: &BTreeSet<String>, other| one.difference(other).cloned().collect::<Vec<_>>();
    let (left, right) = (only(&sqlite, &postgres), only(&postgres, &sqlite));
    assert!(
        left.is_empty() && right.is_empty(),
        "only SQLite: {left:#?}\nonly PostgreSQL: {right:#?}"
    );
}

async fn migrations_run_once(backend: Backend) {
    let fixture = Fixture::unmigrated(backend).await;
    // The embedded database has one process, which holds the lock of its folder; PostgreSQL has many.
    let count = if backend == Backend::Sqlite { 1 } else { 4 };
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..count {
        let store = Store::open(&fixture.database).unwrap();
        starts.spawn(async move { store.migrate().await });
    }
    for one in starts.join_all().await {
        one.unwrap_or_else(|error| panic!("{error:?}"));
    }
    let before = schema(&fixture, backend).await;
    let versions = fixture
        .rows("SELECT version FROM __diesel_schema_migrations")
        .await;
    assert_eq!(versions.len(), migrations(backend).len());
    fixture.fill("acme").await;
    fixture.store.migrate().await.unwrap();
    assert_eq!(schema(&fixture, backend).await, before);
    assert_eq!(
        fixture.rows("SELECT count(*) FROM tenants").await[0][0],
        "1",
        "rows stay"
    );
}

/// The folders of a database's migrations, in order.
fn migrations(backend: Backend) -> Vec<std::path::PathBuf> {
    let name = if backend == Backend::Sqlite {
        "sqlite"
    } else {
        "postgres"
    };
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(name);
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found
}

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |backend| {
        let names = migrations(backend)
            .into_iter()
            .map(|path| path.file_name().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(Backend::Sqlite), names(Backend::Postgres));
}

async fn down_undoes_up(backend: Backend) {
    let fixture = Fixture::start(backend).await;
    let before = schema(&fixture, backend).await;
    fixture.fill("acme").await;
    for migration in migrations(backend).iter().rev() {
        fixture
            .batch(&std::fs::read_to_string(migration.join("down.sql")).unwrap())
            .await;
    }
    assert!(schema(&fixture, backend).await.is_empty(), "nothing stays");
    for migration in &migrations(backend) {
        fixture
            .batch(&std::fs::read_to_string(migration.join("up.sql")).unwrap())
            .await;
    }
    assert_eq!(schema(&fixture, backend).await, before);
    fixture.fill("acme").await;
}

/// Without one, deleting a parent reads every child of the tenant.
async fn every_foreign_key_has_an_index(backend: Backend) {
    let fixture = Fixture::start(backend).await;
    let schema = schema(&fixture, backend).await;
    let columns = |text: &str| {
        text.split(", ")
            .map(|word| word.replace(" DESC", ""))
            .collect::<Vec<_>>()
    };
    let mut indexes = Vec::new();
    for line in &schema {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        match words[..] {
            ["pk" | "unique", table, names] => indexes.push((table, columns(names))),
            ["CREATE", _, rest] => {
                let rest = rest.split_once(" ON ").map_or(rest, |(_, rest)| rest);
                let rest = rest.strip_prefix("ON ").unwrap_or(rest);
                let (table, names) = rest.split_once(' ').unwrap();
                // A part of the rows is enough where it is those that have the key.
                let (names, part) = names.split_once(" WHERE ").unwrap_or((names, ""));
                let names = columns(names);
                if part.is_empty() || names.iter().any(|name| part == format!("{name} IS NOT NULL")) {
                    indexes.push((table, names));
                }
            }
            _ => {}
        }
    }
    let mut missing = Vec::new();
    let mut count = 0;
    for line in schema.iter().filter_map(|line| line.strip_prefix("fk ")) {
        count += 1;
        let (table, rest) = line.split_once(' ').unwrap();
        let key = columns(rest.split_once(" -> ").unwrap().0);
        // The tenant and the last column are enough: what is between them follows from the last.
        let needed = [key.first().unwrap(), key.last().unwrap()];
        let served = |index: &[String]| {
            needed
                .iter()
                .all(|name| index.iter().take(2).any(|column| column == *name))
        };
        if !indexes.iter().any(|(of, index)| *of == table && served(index)) {
            missing.push(line);
        }
    }
    assert!(count > 25, "{count} foreign keys");
    assert!(
        missing.is_empty(),
        "no index begins with the columns of {missing:#?}"
    );
}
