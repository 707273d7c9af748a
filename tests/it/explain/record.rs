//! Records the statements that Diesel runs in this process.

use std::{
    collections::BTreeSet,
    sync::{Mutex, Once},
};

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};

use crate::support::gateway::Backend;

static RECORDED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Records what connections run that are opened from now on.
pub(super) fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_default_instrumentation(|| {
            Some(Box::new(|event: InstrumentationEvent<'_>| record(&event)) as Box<dyn Instrumentation>)
        })
        .unwrap();
    });
}

fn record(event: &InstrumentationEvent<'_>) {
    let InstrumentationEvent::StartQuery { query, .. } = event else {
        return;
    };
    let text = query.to_string();
    let statement = text
        .split(" -- binds")
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    let data = ["SELECT", "INSERT", "UPDATE", "DELETE"]
        .iter()
        .any(|word| statement.starts_with(word));
    // What a migration and a test do is theirs.
    if data
        && !["__diesel", "sqlite_master", "pragma_", "pg_"]
            .iter()
            .any(|part| statement.contains(part))
    {
        RECORDED.lock().unwrap().insert(statement);
    }
}

/// What was recorded, of one database: their signs for values and quotes are not the same.
pub(super) fn taken(backend: Backend) -> Vec<String> {
    let all = RECORDED.lock().unwrap().clone();
    all.into_iter()
        .filter(|statement| match backend {
            Backend::Sqlite => statement.contains(['`', '?']),
            Backend::Postgres => statement.contains(['"', '$']),
        })
        .collect()
}
