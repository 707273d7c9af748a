//! All benches, in one binary: what is promised of speed, each figure beside a floor that was measured in the same run.
//!
//! `cargo bench --bench all -- TOPIC…` runs some topics, none named all of them. Every module is a topic; `support` starts
//! what they measure and holds no measurement. PostgreSQL comes from `tests/with-servers.sh`, which turns fsync off.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench that cannot go on ends, as a test does"
)]

mod memory;
mod read;
mod search;
mod start;
mod support;
mod sync;
mod update;
mod webhooks;

use support::table::Table;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The topics, in the order in which they run.
const TOPICS: &[&str] = &["read", "update", "start", "search", "memory", "sync", "webhooks"];

fn main() {
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    if let Some(unknown) = asked.iter().find(|topic| !TOPICS.contains(&topic.as_str())) {
        panic!("there is no topic {unknown}: write some of {TOPICS:?}");
    }
    memory::serve_if_asked();
    support::log_as_served();
    postroom::mail::tls::install_provider();
    let mut table = Table::open();
    for topic in TOPICS
        .iter()
        .filter(|topic| asked.is_empty() || asked.iter().any(|one| one == *topic))
    {
        // As `postroom serve` builds it; one for each topic, so that none leaves a task to another.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            match *topic {
                "read" => read::run(&mut table).await,
                "memory" => memory::run(&mut table).await,
                "search" => search::run(&mut table).await,
                "start" => start::run(&mut table).await,
                "update" => update::run(&mut table).await,
                "webhooks" => webhooks::run(&mut table).await,
                "sync" => sync::run(&mut table).await,
                other => panic!("{other} is not run"),
            }
        });
    }
}
