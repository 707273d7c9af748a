//! What benches measure with: gateways, servers, load, rounds and the table. No measurement may live here.

pub(crate) mod floor;
pub(crate) mod load;
pub(crate) mod rounds;
pub(crate) mod rows;
pub(crate) mod table;

// The tests' own servers and gateways; each bench uses a part of them.
#[path = "../../tests/it/support/certificates.rs"]
pub(crate) mod certificates;
#[expect(dead_code, unused_imports, unused_macros, reason = "the tests use more of it")]
#[path = "../../tests/it/support/gateway.rs"]
pub(crate) mod gateway;
#[path = "../../tests/it/support/postgres.rs"]
pub(crate) mod postgres;

/// Writes the log as `postroom serve` does, to nowhere: its cost is part of what is measured.
pub(crate) fn log_as_served() {
    let nowhere = std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(
            postroom::config::LogConfig::default().filter,
        ))
        .with_ansi(false)
        .with_writer(nowhere)
        .init();
}
