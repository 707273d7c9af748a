//! What benches measure with: gateways, servers, load, rounds and the table. No measurement may live here.

pub(crate) mod floor;
pub(crate) mod load;
pub(crate) mod rounds;
pub(crate) mod rows;
pub(crate) mod table;

// The tests' own servers and gateways; each bench uses a part of them.
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/support/api.rs"]
pub(crate) mod api;
#[path = "../../tests/it/support/certificates.rs"]
pub(crate) mod certificates;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/support/dovecot.rs"]
pub(crate) mod dovecot;
#[expect(dead_code, unused_imports, unused_macros, reason = "the tests use more of it")]
#[path = "../../tests/it/support/gateway.rs"]
pub(crate) mod gateway;
#[path = "../../tests/it/fixture/models.rs"]
pub(crate) mod models;
#[path = "../../tests/it/support/postgres.rs"]
pub(crate) mod postgres;

/// Writes the log as `postroom serve` does, to nowhere: its cost is part of what is measured. `POSTROOM_BENCH_LOG` names a
/// file instead, for all that the gateway says, such as how long each batch took.
pub(crate) fn log_as_served() {
    let named = std::env::var("POSTROOM_BENCH_LOG").ok();
    let path = named.as_deref().unwrap_or("/dev/null");
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    let filter = if named.is_some() {
        "postroom=debug".to_owned()
    } else {
        postroom::config::LogConfig::default().filter
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_ansi(false)
        .with_writer(file)
        .init();
}
