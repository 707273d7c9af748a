//! How long a loop runs: bounded in the suite, in full by `make soak`; always from a seed that is printed.
//!
//! `POSTROOM_SOAK` names the file to which each full loop adds its row; `POSTROOM_SEED` repeats a run.

use std::{env, fmt::Display, fs::OpenOptions, io::Write};

/// How many rounds a loop runs: `bounded` in the suite, `full` when it is soaked.
pub(crate) fn rounds(bounded: usize, full: usize) -> usize {
    if env::var_os("POSTROOM_SOAK").is_some() {
        full
    } else {
        bounded
    }
}

/// The seed of a loop's random choices: a new one each run, or the one of `POSTROOM_SEED`.
pub(crate) fn seed(name: &str) -> u64 {
    let given = env::var("POSTROOM_SEED").ok();
    let seed = given.map_or_else(rand::random, |text| {
        text.parse().expect("POSTROOM_SEED is a number")
    });
    eprintln!("{name}: POSTROOM_SEED={seed}");
    seed
}

/// Adds a row to the table that `make soak` writes: what was looped, how often, from which seed, and what was seen.
pub(crate) fn record(name: &str, rounds: usize, seed: u64, seen: impl Display) {
    let Some(path) = env::var_os("POSTROOM_SOAK") else {
        return;
    };
    let mut table = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .expect("the soak table can be written");
    writeln!(table, "| {name} | {rounds} | {seed} | {seen} |").expect("the soak table can be written");
}

#[test]
fn a_loop_is_bounded_unless_it_is_soaked() {
    let full = env::var_os("POSTROOM_SOAK").is_some();
    let rounds = rounds(10, 100);
    assert_eq!(rounds, if full { 100 } else { 10 });
    record("the seeds of loops", rounds, seed("soak"), "ready");
}
