//! The committed API documents: what the code says, and nothing left unsaid.

use std::path::Path;

use postroom::api;
use serde_json::Value;

use crate::support::lint;

#[test]
fn the_committed_documents_are_what_the_code_says() {
    let documents = api::documents().unwrap();
    for (file, document) in [
        ("postroom.yaml", &documents.unified),
        ("plannr.yaml", &documents.plannr),
        ("feather.yaml", &documents.feather),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi").join(file);
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        let difference = committed
            .lines()
            .zip(document.yaml().lines())
            .position(|(old, new)| old != new);
        assert!(
            committed == document.yaml(),
            "openapi/{file} is not what the code says (first in line {}): run `make openapi`",
            difference.map_or(committed.lines().count(), |line| line) + 1
        );
    }
}

#[test]
fn the_documents_leave_nothing_unsaid() {
    let documents = api::documents().unwrap();
    let mut found = Vec::new();
    for (name, document) in [
        ("unified", &documents.unified),
        ("plannr", &documents.plannr),
        ("feather", &documents.feather),
    ] {
        let findings = lint::findings(document.value());
        found.extend(findings.iter().map(|finding| format!("{name}: {finding}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A path, and its methods where not all are meant.
type Entry = (Vec<String>, String);

/// The README's table of the dialects says what is served and what is not: every operation is in the one column, and
/// none of the other.
#[test]
fn the_readme_names_what_each_dialect_serves() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let documents = api::documents().unwrap();
    for (row, document) in [
        ("| unified", &documents.unified),
        ("| Plannr", &documents.plannr),
        ("| Feather", &documents.feather),
    ] {
        let line = readme.lines().find(|line| line.starts_with(row)).unwrap();
        let cells: Vec<_> = line.trim_matches('|').split('|').map(entries).collect();
        let [_, served, missing] = cells.as_slice() else {
            panic!("three cells: {line}");
        };
        let operations = operations(document.value());
        for operation in &operations {
            assert!(
                served.iter().any(|entry| covers(entry, operation)),
                "not in the README: {operation:?}"
            );
        }
        for entry in served {
            let methods = entry.0.iter().map(|method| (method.clone(), entry.1.clone()));
            let wanted: Vec<_> = methods.collect();
            let is_there = wanted.iter().all(|one| operations.contains(one));
            let any = operations.iter().any(|operation| covers(entry, operation));
            assert!(is_there && any, "not served: {entry:?}");
        }
        for entry in missing {
            let found = operations.iter().find(|operation| covers(entry, operation));
            assert_eq!(found, None, "served after all: {entry:?}");
        }
    }
}

/// What stands in backticks in a cell of the table.
fn entries(cell: &str) -> Vec<Entry> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted
        .map(|entry| {
            let mut words: Vec<_> = entry.split(' ').map(str::to_owned).collect();
            let path = words.pop().unwrap();
            (words, path)
        })
        .collect()
}

/// The methods and paths of a document.
fn operations(document: &Value) -> Vec<(String, String)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        let methods = methods.filter(|(_, value)| value.get("operationId").is_some());
        methods.map(|(method, _)| (method.to_uppercase(), path.clone()))
    });
    operations.collect()
}

/// True when an entry means an operation: an entry without methods means the path and all below it.
fn covers((methods, entry): &Entry, (method, path): &(String, String)) -> bool {
    if methods.is_empty() {
        return path == entry || path.starts_with(&format!("{entry}/"));
    }
    path == entry && methods.contains(method)
}
