//! What is decided over the components as a whole: which are used, by requests or by answers, and which are shared.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    operation::status_code,
    schema::admits_null,
    tree::{
        HEADERS, RESPONSES, for_each_operation, for_each_reference, for_each_response, object_mut, reached,
        schemas_mut,
    },
};

/// A component's title only repeats its name.
pub(super) fn drop_titles(document: &mut Value) {
    for schema in schemas_mut(document)
        .into_iter()
        .flat_map(|schemas| schemas.values_mut())
    {
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("title");
        }
    }
}

/// The schemas that requests use and those that answers and webhooks use.
fn directions(document: &mut Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut requests, mut answers) = (Vec::new(), Vec::new());
    for_each_operation(document, &["paths"], &mut |_, operation| {
        requests.extend(operation.get("requestBody").cloned());
        answers.extend(operation.get("responses").cloned());
    });
    answers.extend(document.get("webhooks").cloned());
    (reached(document, requests), reached(document, answers))
}

/// In answers a nullable field is always sent, so it is required: clients need not tell null from absent.
pub(super) fn require_nullable(document: &mut Value) {
    let (requests, answers) = directions(document);
    for (name, schema) in schemas_mut(document).into_iter().flatten() {
        if !answers.contains(name) || requests.contains(name) {
            continue;
        }
        let Some(schema) = schema.as_object_mut() else {
            continue;
        };
        let listed: Vec<Value> = schema
            .get("required")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let Some(Value::Object(properties)) = schema.get("properties") else {
            continue;
        };
        let required: Vec<Value> = properties
            .iter()
            .map(|(property, inner)| (json!(property), admits_null(inner)))
            .filter(|(property, null)| *null || listed.contains(property))
            .map(|(property, _)| property)
            .collect();
        if !required.is_empty() {
            schema.insert("required".into(), Value::Array(required));
        }
    }
}

/// Schemas that only requests use refuse unknown fields.
pub(super) fn close_requests(document: &mut Value) {
    let (requests, answers) = directions(document);
    for (name, schema) in schemas_mut(document).into_iter().flatten() {
        let Some(schema) = schema.as_object_mut() else {
            continue;
        };
        let object = schema.get("type").and_then(Value::as_str) == Some("object");
        if object && requests.contains(name) && !answers.contains(name) {
            schema.entry("additionalProperties").or_insert(Value::Bool(false));
        }
    }
}

/// Headers that several answers carry alike are written once, under `components.headers`.
pub(super) fn share_headers(document: &mut Value) {
    let mut seen: BTreeMap<String, (Value, usize)> = BTreeMap::new();
    each_header(document, &mut |name, header| {
        let (first, count) = seen.entry(name.to_owned()).or_insert_with(|| (header.clone(), 0));
        *count += usize::from(first == header);
    });
    seen.retain(|_, (_, count)| *count > 1);
    each_header(document, &mut |name, header| {
        if seen.get(name).is_some_and(|(shared, _)| shared == header) {
            *header = json!({ "$ref": format!("{HEADERS}{name}") });
        }
    });
    let shared = seen
        .into_iter()
        .map(|(name, (header, _))| (name, header))
        .collect();
    add_section(document, "headers", shared);
}

fn each_header(document: &mut Value, f: &mut impl FnMut(&str, &mut Value)) {
    for_each_operation(document, &["paths"], &mut |_, operation| {
        for_each_response(operation, &mut |_, response| {
            for (name, header) in object_mut(response, "headers").into_iter().flatten() {
                f(name, header);
            }
        });
    });
}

fn add_section(document: &mut Value, name: &str, section: Map<String, Value>) {
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut)
        && !section.is_empty()
    {
        components.insert(name.to_owned(), Value::Object(section));
    }
}

/// Error answers that several operations give alike are written once, under `components.responses`.
pub(super) fn share_responses(document: &mut Value) {
    let mut seen: Vec<(String, Value, usize)> = Vec::new();
    each_error(document, &mut |status, response| match seen
        .iter_mut()
        .find(|(code, found, _)| code == status && found == response)
    {
        Some((_, _, count)) => *count += 1,
        None => seen.push((status.to_owned(), response.clone(), 1)),
    });
    let mut shared: Map<String, Value> = Map::new();
    let mut names: Vec<(String, Value, String)> = Vec::new();
    for (status, response, _) in seen.into_iter().filter(|(_, _, count)| *count > 1) {
        let reason = status_code(&status)
            .and_then(|code| code.canonical_reason())
            .unwrap_or("Error");
        let base: String = reason.chars().filter(char::is_ascii_alphanumeric).collect();
        let taken = (2..).map(|n| format!("{base}{n}"));
        let Some(name) = std::iter::once(base.clone())
            .chain(taken)
            .find(|name| !shared.contains_key(name))
        else {
            continue;
        };
        shared.insert(name.clone(), response.clone());
        names.push((status, response, name));
    }
    each_error(document, &mut |status, response| {
        if let Some((_, _, name)) = names
            .iter()
            .find(|(code, found, _)| code == status && found == response)
        {
            *response = json!({ "$ref": format!("{RESPONSES}{name}") });
        }
    });
    add_section(document, "responses", shared);
}

fn each_error(document: &mut Value, f: &mut impl FnMut(&str, &mut Value)) {
    for_each_operation(document, &["paths"], &mut |_, operation| {
        for (status, response) in object_mut(operation, "responses").into_iter().flatten() {
            if status.starts_with(['4', '5']) {
                f(status, response);
            }
        }
    });
}

/// Drops the schemas and the tags that no operation uses.
pub(super) fn drop_unused(document: &mut Value) {
    let mut roots: Vec<Value> = ["paths", "webhooks"]
        .iter()
        .filter_map(|key| document.get(key).cloned())
        .collect();
    roots.extend(document.pointer("/components/responses").cloned());
    let used = reached(document, roots);
    if let Some(schemas) = schemas_mut(document) {
        schemas.retain(|name, _| used.contains(name));
    }
    let mut tags: Vec<Value> = Vec::new();
    for_each_operation(document, &["paths", "webhooks"], &mut |_, operation| {
        tags.extend(
            operation
                .get("tags")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .cloned(),
        );
    });
    if let Some(declared) = document.get_mut("tags").and_then(Value::as_array_mut) {
        declared.retain(|tag| tag.get("name").is_some_and(|name| tags.contains(name)));
    }
}

/// The first reference that leads nowhere, if any.
pub(super) fn dangling(document: &Value) -> Option<String> {
    let mut copy = document.clone();
    let mut lost = None;
    for_each_reference(&mut copy, &mut |reference| {
        let found = reference
            .strip_prefix('#')
            .and_then(|pointer| document.pointer(pointer));
        if found.is_none() && lost.is_none() {
            lost = Some(reference.clone());
        }
    });
    lost
}
