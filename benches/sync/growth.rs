//! The cost of a message while a mailbox grows: it must not depend on how many there are.

use std::time::Instant;

use super::{LOOK, Sizes, connect, lay_down, real, setting};
use crate::support::{
    dovecot::Dovecot,
    gateway::{Backend, Gateway},
    table::{Table, Wanted},
};

/// The cost is that of so many messages.
const SPAN: usize = 2_000;

pub(crate) async fn run(table: &mut Table, server: &Dovecot, backend: Backend) {
    let count = setting("POSTROOM_BENCH_GROWTH", 20_000);
    if backend == Backend::Sqlite {
        lay_down(server, "gerda", count, 4, Sizes::SMALL);
    }
    let ca = format!("--ca-file={}", server.ca_pem().display());
    let gateway = Gateway::start_with(backend, &[ca]).await;
    let tenant = gateway.tenant("Acme").await;
    let caller = gateway.caller(&tenant.key).await;
    let mailbox = connect(&gateway, &tenant, server, "gerda").await.id;
    let mut seen: Vec<(f64, Instant)> = Vec::new();
    loop {
        let now = postroom::service::mailboxes::get(&gateway.app, &caller, mailbox)
            .await
            .unwrap();
        let stored = real(usize::try_from(now.message_count).unwrap());
        if stored > 0.0 && seen.last().is_none_or(|(last, _)| *last < stored) {
            seen.push((stored, Instant::now()));
        }
        if stored >= real(count) {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    gateway.stop().await;
    // Microseconds a message, over the span before so many were stored.
    let cost = |end: usize| {
        let after = seen.iter().find(|(stored, _)| *stored >= real(end)).unwrap();
        let before = seen
            .iter()
            .rfind(|(stored, _)| *stored <= real(end - SPAN))
            .unwrap_or(&seen[0]);
        (after.1 - before.1).as_secs_f64() / (after.0 - before.0) * 1e6
    };
    let first = cost(2 * SPAN);
    for end in [20_000, 200_000].into_iter().filter(|end| *end <= count) {
        table.ratio(
            format!(
                "cost of a small message when {end} are stored, against {}, {backend:?}",
                2 * SPAN
            ),
            " µs",
            cost(end),
            first,
            Wanted::AtMost(1.25),
        );
    }
}
