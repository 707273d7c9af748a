//! The rooms of the house: which may import which, and where each outside crate lives.

use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Each room and the rooms that it may import. A new edge is a deliberate change to this table.
const ROOMS: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("model", &[]),
    ("store", &["model"]),
    ("mail", &["model"]),
    ("sandbox", &["model"]),
    ("wire", &["model"]),
    ("service", &["model", "config", "store", "mail"]),
    ("worker", &["model", "config", "mail", "wire", "service"]),
    ("api", &["model", "config", "wire", "service"]),
    (
        "cli",
        &[
            "config", "model", "store", "mail", "sandbox", "wire", "service", "worker", "api",
        ],
    ),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Each outside crate (or function) that has one home, and the files, folders or rooms that are its home.
const HOMES: &[(&[&str], &[&str])] = &[
    (&["diesel", "diesel_async", "diesel_migrations"], &["store"]),
    (&["poem", "poem_openapi"], &["api", "wire"]),
    (&["mail_parser", "ammonia", "html2text", "lettre"], &["mail"]),
    (&["rustls", "tokio_rustls"], &["mail", "sandbox"]),
    (&["reqwest", "oauth2", "socket2"], &["mail"]),
    (&["jsonwebtoken"], &["service/tokens"]),
    (&["governor"], &["service/limits"]),
    (&["prometheus_client"], &["service/metrics"]),
    (&["maud"], &["api/admin"]),
    (&["imap_codec"], &["sandbox"]),
    (
        &["tokio::spawn", "tokio::task::spawn"],
        &["worker", "api/server", "service", "sandbox"],
    ),
    (&["anyhow"], &["cli", "main"]),
    // Points at which the tests kill the process.
    (
        &["fail"],
        &["service/sync", "worker/sync", "worker/deliver", "cli"],
    ),
];

#[test]
fn rooms_import_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for file in source_files() {
        let allowed = ROOMS
            .iter()
            .find(|(room, _)| *room == file.room())
            .map(|(_, allowed)| *allowed);
        let Some(allowed) = allowed else {
            wrong.push(format!("{}: no such room in the table", file.name));
            continue;
        };
        for path in &file.paths {
            let inside = ["crate::", "postroom::"]
                .iter()
                .find_map(|root| path.strip_prefix(root));
            let Some(room) = inside.and_then(|rest| rest.split("::").next()) else {
                continue;
            };
            if room != file.room() && !allowed.contains(&room) {
                wrong.push(format!("{}: {} imports {path}", file.name, file.room()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "edges that are not in the table:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn outside_crates_stay_in_their_homes() {
    let mut wrong = Vec::new();
    for file in source_files() {
        for (names, homes) in HOMES {
            let at_home = homes.iter().any(|home| file.is_in(home));
            let used = |name: &&str| file.paths.iter().any(|path| is_under(path, name));
            for name in names.iter().copied().filter(|name| !at_home && used(name)) {
                wrong.push(format!("{}: {name} belongs in {}", file.name, homes.join(", ")));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "crates outside their homes:\n{}",
        wrong.join("\n")
    );
}

/// SQLite plans a statement with a plain `LIMIT ?` anew at each run (`store::statement::Limited`). Where rows are passed over
/// there is no other way, and PostgreSQL's own file has it.
#[test]
fn no_statement_is_planned_anew_for_its_limit() {
    let mut wrong = Vec::new();
    for source in source_files().iter().filter(|source| source.room() == "store") {
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let skips = at > 0 && lines[at - 1].contains(".offset(");
            let is_plain = line.contains(".first(conn)")
                || line.contains(".first::<")
                || (line.contains(".limit(") && !skips && !source.is_in("store/pg"));
            if is_plain {
                wrong.push(format!("{}:{}: {}", source.name, at + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn service_starts_tasks_in_one_place() {
    let spawns = |file: &&Source| file.paths.iter().any(|path| is_under(path, "tokio::spawn"));
    let files = source_files();
    let found: Vec<_> = files
        .iter()
        .filter(|file| file.room() == "service")
        .filter(spawns)
        .collect();
    let names: Vec<_> = found.iter().map(|file| &file.name).collect();
    assert!(names.len() <= 1, "tasks are started in {names:?}");
}

#[test]
fn the_reader_finds_paths_however_they_are_written() {
    let text = "use crate::{model::Id, store::{self, Store}}; fn f() { super::super::wire::x(); }
        mod inner { use super::super::Y; fn g() { println!(\"{}\", crate::api::Z); poem::get(h) } }
        use ::diesel::prelude::*; use governor; use tokio::{spawn as start, time::sleep};
        fn rustls() { self.html2text = self::lettre::x(); } mod tests { use crate::cli; }";
    let found = paths_of(text, 2);
    let expected = [
        "crate::model::Id",
        "crate::store",
        "crate::store::Store",
        "crate::wire::x",
        "crate::api::Z",
        "poem::get",
        "diesel::prelude",
        "governor",
        "tokio::spawn",
        "tokio::time::sleep",
    ];
    for path in expected {
        assert!(
            found.iter().any(|other| other == path),
            "{path} is not in {found:?}"
        );
    }
    for path in [
        "crate::Y",
        "rustls",
        "html2text",
        "lettre",
        "crate::cli",
        "tokio::start",
    ] {
        assert!(
            !found.iter().any(|other| is_under(other, path)),
            "{path} is in {found:?}"
        );
    }
}

/// One file under `src/` and every path that its code names.
struct Source {
    /// Path below `src/`, without the extension.
    name: String,
    text: String,
    paths: Vec<String>,
}

impl Source {
    fn room(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// Whether the file is `home.rs`, or lies in the folder `home`.
    fn is_in(&self, home: &str) -> bool {
        self.name
            .strip_prefix(home)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn is_under(path: &str, name: &str) -> bool {
    path.strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn source_files() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |path: PathBuf| {
        let name = path
            .strip_prefix(&root)
            .unwrap()
            .with_extension("")
            .to_str()
            .unwrap()
            .to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let depth = name.strip_suffix("/mod").unwrap_or(&name).split('/').count();
        let paths = paths_of(
            &text,
            if ["lib", "main"].contains(&name.as_str()) {
                0
            } else {
                depth
            },
        );
        Source { name, text, paths }
    };
    let files = super::files::rust_files(&root).into_iter().map(read);
    files
        .filter(|file| !file.name.split('/').any(|part| part == "tests"))
        .collect()
}

/// Every path in the text of a module that lies `depth` modules below the crate's root, `use` groups and macro arguments
/// included. A `super` that climbs to the root becomes `crate`; one that stays within the room is left out, and so are
/// unit tests, which are no part of the house.
fn paths_of(text: &str, depth: usize) -> Vec<String> {
    let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("not Rust: {error}"));
    let mut found = Vec::new();
    collect(tokens, depth, &[], &mut found);
    found
}

fn collect(tokens: TokenStream, depth: usize, prefix: &[String], found: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let word = |at: usize| match tokens.get(at) {
        Some(TokenTree::Ident(word)) => word.to_string(),
        _ => String::new(),
    };
    let mut at = 0;
    while at < tokens.len() {
        match (word(at).as_str(), tokens.get(at + 2)) {
            ("mod", Some(TokenTree::Group(inner))) => {
                if word(at + 1) != "tests" {
                    collect(inner.stream(), depth + 1, &[], found);
                }
                at += 3;
            }
            ("as", _) if !prefix.is_empty() => at += 2,
            ("use" | "as" | "in" | "impl" | "dyn" | "for" | "mut" | "return", _) => at += 1,
            ("", _) => {
                if let TokenTree::Group(inner) = &tokens[at] {
                    collect(inner.stream(), depth, &[], found);
                }
                at += 1;
            }
            (first, _) => {
                let named = at > 0 && ["use", "crate"].contains(&word(at - 1).as_str());
                let mut path = [prefix, &[first.to_owned()]].concat();
                at += 1;
                while is_colons(&tokens, at) {
                    match tokens.get(at + 2) {
                        Some(TokenTree::Ident(next)) => path.push(next.to_string()),
                        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                            collect(group.stream(), depth, &path, found);
                        }
                        _ => break,
                    }
                    at += 3;
                }
                if named || path.len() > 1 {
                    found.extend(absolute(&path, depth));
                }
            }
        }
    }
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    (at..at + 2).all(|at| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':'))
}

/// The path from the crate's root, or nothing for one that stays below it.
fn absolute(path: &[String], depth: usize) -> Option<String> {
    let climbs = path.iter().take_while(|part| *part == "super").count();
    let rest = path
        .iter()
        .skip(climbs)
        .filter(|part| *part != "self")
        .map(String::as_str);
    match path.first()?.as_str() {
        "self" => None,
        "super" if climbs < depth => None,
        "super" => Some(
            std::iter::once("crate")
                .chain(rest)
                .collect::<Vec<_>>()
                .join("::"),
        ),
        _ => Some(rest.collect::<Vec<_>>().join("::")),
    }
}
