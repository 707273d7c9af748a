//! The manners of every source file: it says what it is, stays short, and hides nothing unfinished.

use std::path::{Path, PathBuf};

/// Lines that a file may have.
const LINES: usize = 500;

#[test]
fn every_file_opens_with_what_it_is() {
    complain("a file opens with one `//!` sentence", |_, text| {
        !text.starts_with("//! ")
    });
}

#[test]
fn every_mod_file_says_what_must_not_live_there() {
    let refuses = |line: &str| {
        let words = ["not", "never", "no", "nothing", "nor", "only"];
        line.split(|c: char| !c.is_alphabetic())
            .any(|word| words.contains(&word.to_lowercase().as_str()))
    };
    complain("a mod.rs says what must not live there", |path, text| {
        let is_source = path.components().any(|part| part.as_os_str() == "src");
        let mut doc = text.lines().take_while(|line| line.starts_with("//!"));
        is_source && path.ends_with("mod.rs") && !path.ends_with("tests/mod.rs") && !doc.any(refuses)
    });
}

#[test]
fn no_file_is_longer_than_the_limit() {
    complain("a file stops at 500 lines", |_, text| {
        text.lines().count() > LINES
    });
}

#[test]
fn nothing_is_left_unfinished_ignored_or_silenced() {
    // Written in two halves, so that this file passes its own test.
    let marks = [
        ["todo", "!("],
        ["unimplemented", "!("],
        ["dbg", "!("],
        ["#[ign", "ore"],
        ["#[all", "ow("],
        ["#![all", "ow("],
    ];
    let marks = marks.map(|halves| halves.concat());
    complain("a forbidden mark", |_, text| {
        marks.iter().any(|mark| text.contains(mark))
    });
}

#[test]
fn no_file_is_a_drawer_for_anything() {
    let drawers = ["utils", "util", "common", "helpers", "helper", "manager", "misc"];
    complain("a name that says nothing", |path, _| {
        let folder = path.parent().and_then(Path::file_name);
        [path.file_stem(), folder]
            .into_iter()
            .flatten()
            .any(|name| drawers.iter().any(|drawer| name == *drawer))
    });
}

/// Fails with the files under `src/` and `tests/` of which `wrong(path, text)` holds.
fn complain(rule: &str, wrong: impl Fn(&Path, &str) -> bool) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = ["src", "tests"]
        .iter()
        .flat_map(|folder| rust_files(&root.join(folder)))
        .collect();
    assert!(!files.is_empty());
    let is_wrong = |path: &&PathBuf| wrong(path, &std::fs::read_to_string(path).unwrap());
    let found: Vec<_> = files
        .iter()
        .filter(is_wrong)
        .map(|path| path.display().to_string())
        .collect();
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

/// Every `.rs` file below the folder, in the order of their names.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
