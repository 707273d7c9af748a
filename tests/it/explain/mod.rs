//! Every statement of the store, as Diesel writes it: it uses an index, orders by it, and names its tenant.

use std::collections::BTreeSet;

use crate::{
    fixture::Fixture,
    support::gateway::{Backend, both},
};

mod nodes;
mod record;
mod volume;
mod webhooks;
mod workload;

mod on {
    use super::both;
    both!(every_statement_uses_an_index_and_names_its_tenant);
}

/// Statements that are known to read more than they answer, each with the reason: a part of its text, without quotes.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "UPDATE mailbox_leases SET until = CAST(unixepoch",
        "every lease runs out at the start of the embedded one",
    ),
    (
        "UPDATE mailbox_leases SET until = now()",
        "every lease runs out at the start of the embedded one",
    ),
    (
        "FROM tenants ORDER BY tenants.created_at DESC",
        "the list of all tenants is read from its index's start",
    ),
    ("FROM search_queue ORDER BY", "the queue is read from its start"),
    (
        "DELETE FROM tenants WHERE",
        "all that a tenant has is erased with it",
    ),
    (
        "SELECT webhook_endpoints.due_at FROM webhook_endpoints WHERE (webhook_endpoints.due_at IS NOT NULL) ORDER BY",
        "the next endpoint whose time comes is the first of its index",
    ),
    (
        "WHERE webhook_deliveries.status = 'sending'",
        "what was on its way when the embedded database's one process ended: all of an index of such rows alone",
    ),
    (
        "webhook_endpoints INNER JOIN event_counters",
        "which endpoints are behind their tenant's log is seen by looking at each",
    ),
    ("members.role =", "the owners among the members of one tenant"),
    (
        "GROUP BY mailboxes.enabled,",
        "all are counted, in their index alone",
    ),
    (
        "GROUP BY mailboxes.tenant_id,",
        "all of the tenants of a page are counted",
    ),
    ("FROM (SELECT 1 FROM ", "what waits is counted up to a limit"),
    (
        "(webhook_endpoints.failing_since IS NOT NULL) ORDER BY",
        "those that have failed for longest are the first of their index",
    ),
];

/// Lists whose rows are sorted after they are found, each with the reason.
const SORTED: &[(&str, &str)] = &[
    (
        "messages.thread_id = ",
        "a thread is small, and its index is in the order of its own page",
    ),
    ("attachments.message_id", "the attachments of one page"),
    ("placements.message_id", "the placements of one batch of messages"),
    (
        "message_addresses.address_key",
        "the messages of one correspondent",
    ),
    ("search_documents", "the messages that match"),
    (
        "FOR NO KEY UPDATE",
        "rows are locked in the order of their ids, a batch at a time",
    ),
    (
        "FOR KEY SHARE",
        "rows are locked in the order of their ids, a batch at a time",
    ),
    (
        "FOR UPDATE OF q",
        "rows are locked in the order of their ids, a batch at a time",
    ),
    (
        "ORDER BY messages.id FOR UPDATE SKIP LOCKED",
        "rows are locked in the order of their ids, a batch at a time",
    ),
];

/// Statements that name no tenant, each with the reason.
const NO_TENANT: &[(&str, &str)] = &[
    (
        "api_keys.lookup =",
        "the look-up of a key, which answers the tenant",
    ),
    ("mailbox_leases.owner =", "the leases of a node"),
    (
        "mailbox_leases.until <=",
        "the leases that ran out, of any tenant",
    ),
    (
        "UPDATE mailbox_leases SET until = ",
        "the leases of the embedded database's one node",
    ),
    ("FROM search_queue ORDER BY", "the index queue, of any tenant"),
    (
        "FROM webhook_endpoints WHERE (webhook_endpoints.due_at <=",
        "the endpoints whose time has come, of any tenant",
    ),
    (
        "SELECT webhook_endpoints.due_at FROM webhook_endpoints WHERE (webhook_endpoints.due_at IS NOT NULL) ORDER BY",
        "the next endpoint whose time comes, of any tenant",
    ),
    (
        "webhook_endpoints INNER JOIN event_counters",
        "the tenants whose endpoints have not read the whole log",
    ),
    (
        "WHERE webhook_deliveries.status = 'sending'",
        "what was on its way when the embedded database's one process ended",
    ),
    (
        "UPDATE webhook_endpoints SET due_at = ? WHERE (webhook_endpoints.due_at <=",
        "the start of the embedded database's one process",
    ),
    (
        "UPDATE webhook_endpoints SET due_at = $1 WHERE (webhook_endpoints.due_at <=",
        "the same statement, which PostgreSQL is never asked",
    ),
    ("INSERT INTO nodes (", "a node serves every tenant"),
    (
        "GROUP BY mailboxes.enabled,",
        "the operator counts every tenant's mailboxes",
    ),
    (
        "GROUP BY mailboxes.tenant_id,",
        "the operator counts those of each tenant of a page",
    ),
    ("FROM (SELECT 1 FROM ", "the operator counts what waits"),
    (
        "(webhook_endpoints.failing_since IS NOT NULL) ORDER BY",
        "the operator looks at what fails",
    ),
];

fn excepted(list: &[(&str, &str)], statement: &str) -> bool {
    list.iter().any(|(part, _)| statement.contains(part))
}

async fn every_statement_uses_an_index_and_names_its_tenant(backend: Backend) {
    record::start();
    let fixture = Fixture::start(backend).await;
    workload::run(&fixture).await;
    let statements = record::taken(backend);
    if backend == Backend::Postgres {
        volume::fill(&fixture).await;
    }
    assert!(
        statements.len() > 120,
        "{} statements were recorded",
        statements.len()
    );
    let mut faults = BTreeSet::new();
    for statement in &statements {
        let plain = statement.replace(['`', '"'], "");
        if let Some(fault) = tenant_fault(&plain) {
            faults.insert(format!("{fault}: {plain}"));
        }
        // Columns that come as arrays are read whole.
        let values = !plain.contains("SELECT") || plain.contains("SELECT * FROM unnest(");
        if plain.starts_with("INSERT") && values {
            continue;
        }
        let plan = match backend {
            Backend::Sqlite => sqlite_plan(&fixture, statement).await,
            Backend::Postgres => postgres_plan(&fixture, statement).await,
        };
        let found = match backend {
            Backend::Sqlite => sqlite_faults(&plan, &plain),
            Backend::Postgres => postgres_faults(&plan, &plain),
        };
        for fault in found {
            faults.insert(format!("{fault}: {plain}\n{}", plan.join("\n")));
        }
    }
    let text: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        text.join("\n\n")
    );
}

/// The tables that have a tenant.
const TABLES: [&str; 23] = [
    "agent_revisions",
    "agents",
    "api_keys",
    "attachments",
    "event_counters",
    "events",
    "folders",
    "mailbox_credentials",
    "mailbox_leases",
    "mailboxes",
    "members",
    "message_addresses",
    "message_bodies",
    "message_raws",
    "messages",
    "placements",
    "quarantine",
    "search_documents",
    "search_queue",
    "thread_refs",
    "threads",
    "webhook_deliveries",
    "webhook_endpoints",
];

/// Each table that a statement reads or changes has its own comparison of `tenant_id`, the first in the WHERE.
fn tenant_fault(statement: &str) -> Option<&'static str> {
    let words: Vec<&str> = statement
        .split(['(', ')', ' '])
        .filter(|word| !word.is_empty())
        .collect();
    let named = words
        .windows(2)
        .filter(|pair| matches!(pair[0], "FROM" | "JOIN" | "UPDATE") && TABLES.contains(&pair[1]))
        .count();
    let compared = words
        .windows(2)
        .filter(|pair| pair[0].ends_with("tenant_id") && pair[1] == "=")
        .count();
    if excepted(NO_TENANT, statement) {
        return None;
    }
    if statement.starts_with("INSERT")
        && !statement.contains("tenant_id")
        && !statement.contains("INTO tenants")
    {
        return (!statement.contains("INTO search_words")).then_some("the new row names no tenant");
    }
    let condition = statement
        .split_once(" WHERE ")
        .map_or("", |(_, condition)| condition);
    if named > 0 && !condition.contains("tenant_id") {
        return Some("no tenant in the WHERE");
    }
    (compared < named).then_some("a table without its tenant")
}

async fn sqlite_plan(fixture: &Fixture, statement: &str) -> Vec<String> {
    let rows = fixture.rows(&format!("EXPLAIN QUERY PLAN {statement}")).await;
    rows.into_iter().map(|row| row[3].clone()).collect()
}

fn sqlite_faults(plan: &[String], statement: &str) -> Vec<&'static str> {
    let mut faults = Vec::new();
    for line in plan {
        // What a subquery answers is read whole, and its own lines tell how it finds that.
        let no_table = ["VIRTUAL TABLE", "CONSTANT ROW", "SCAN (subquery"];
        let scan = line.starts_with("SCAN ") && !no_table.iter().any(|part| line.contains(part));
        if scan && !excepted(EXCEPTIONS, statement) {
            faults.push("reads a whole table");
        }
        if line.contains("USE TEMP B-TREE FOR") && line.contains("ORDER BY") && !excepted(SORTED, statement) {
            faults.push("sorts what it found");
        }
        let whole = line.contains("(tenant_id=?)") && !statement.contains(" LIMIT ");
        if whole && !excepted(EXCEPTIONS, statement) {
            faults.push("reads all rows of the tenant");
        }
    }
    faults
}

/// The plan for any values, with the ways that avoid an index forbidden.
async fn postgres_plan(fixture: &Fixture, statement: &str) -> Vec<String> {
    let highest = (1..40)
        .rev()
        .find(|number| statement.contains(&format!("${number}")))
        .unwrap_or_default();
    let values = if highest == 0 {
        String::new()
    } else {
        format!("({})", vec!["NULL"; highest].join(", "))
    };
    // An order that is wanted from an index is not wanted where it is known that there is none.
    let sort = if excepted(SORTED, &statement.replace('"', "")) {
        "on"
    } else {
        "off"
    };
    let all = format!(
        "SET enable_seqscan = off; SET enable_sort = {sort}; SET plan_cache_mode = force_generic_plan; \
         PREPARE one AS {statement}; EXPLAIN (COSTS OFF) EXECUTE one{values}"
    );
    fixture
        .rows(&all)
        .await
        .into_iter()
        .map(|row| row[0].clone())
        .collect()
}

fn postgres_faults(plan: &[String], statement: &str) -> Vec<&'static str> {
    let mut faults = Vec::new();
    for (place, line) in plan.iter().enumerate() {
        if line.contains("Seq Scan on") && !excepted(EXCEPTIONS, statement) {
            faults.push("reads a whole table");
        }
        let sort = line.trim_start_matches([' ', '-', '>']);
        if (sort.starts_with("Sort") && !sort.starts_with("Sort Key")) && !excepted(SORTED, statement) {
            faults.push("sorts what it found");
        }
        if line.contains("Index Scan") || line.contains("Index Only Scan") {
            let details = plan
                .iter()
                .skip(place + 1)
                .take_while(|line| !line.contains("->"));
            let condition = details
                .clone()
                .find_map(|line| line.trim().strip_prefix("Index Cond: "));
            match condition {
                None if !excepted(EXCEPTIONS, statement) => faults.push("reads a whole index"),
                Some(condition)
                    if !condition.contains(" AND ")
                        && condition.contains("tenant_id = ")
                        && !line.contains("tenants_pkey")
                        && !statement.contains(" LIMIT ")
                        && !excepted(EXCEPTIONS, statement) =>
                {
                    faults.push("reads all rows of the tenant");
                }
                _ => {}
            }
        }
    }
    faults
}
