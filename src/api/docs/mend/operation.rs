//! Paths and operations: prefixes, parameters, headers, media types, answers and their examples.

use poem::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    ErrorExample,
    tree::{array_mut, for_each_operation, for_each_response, object_mut, referenced, text},
};

/// Header names whose usual casing is not that of `Title-Case`.
const HEADERS: [&str; 8] = [
    "ETag",
    "Last-Event-ID",
    "RateLimit",
    "RateLimit-Policy",
    "WWW-Authenticate",
    "X-PLANNR-ACCOUNT-UUID",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
];

/// Puts `prefix` before every path.
pub(super) fn prefix(document: &mut Value, prefix: &str) {
    let prefix = prefix.trim_end_matches('/');
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else {
        return;
    };
    *paths = std::mem::take(paths)
        .into_iter()
        .map(|(path, item)| match (prefix, path.as_str()) {
            ("", _) => (path, item),
            (_, "/") => (prefix.to_owned(), item),
            _ => (format!("{prefix}{path}"), item),
        })
        .collect();
}

/// Mends every operation by itself.
pub(super) fn mend_all(document: &mut Value, prune: bool) {
    for_each_operation(document, &["paths", "webhooks"], &mut |method, operation| {
        operation.entry("security").or_insert_with(|| json!([]));
        if prune {
            leave_out_impossible(method, operation);
        }
    });
    for_each_operation(document, &["paths", "webhooks"], &mut |_, operation| {
        for parameter in array_mut(operation, "parameters").into_iter().flatten() {
            if let Some(parameter) = parameter.as_object_mut() {
                mend_parameter(parameter);
            }
        }
        if let Some(body) = object_mut(operation, "requestBody") {
            plain_media_types(body);
        }
        sort_responses(operation);
        for_each_response(operation, &mut mend_response);
    });
}

/// Takes away what only repeats OpenAPI's defaults.
fn mend_parameter(parameter: &mut Map<String, Value>) {
    for key in ["required", "deprecated"] {
        if parameter.get(key) == Some(&Value::Bool(false)) {
            parameter.remove(key);
        }
    }
    let query = parameter.get("in").and_then(Value::as_str) == Some("query");
    // `explode` says nothing about a header or a path segment that is not an object, and is the default of a query.
    if !query || parameter.get("explode") == Some(&Value::Bool(true)) {
        parameter.remove("explode");
    }
}

fn mend_response(status: &str, response: &mut Map<String, Value>) {
    plain_media_types(response);
    if let Some(stream) = response
        .get_mut("content")
        .and_then(|content| content.get_mut("text/event-stream"))
    {
        mend_event_stream(stream);
    }
    if response
        .get("description")
        .and_then(Value::as_str)
        .is_none_or(str::is_empty)
    {
        let reason = status_code(status)
            .and_then(|code| code.canonical_reason())
            .unwrap_or("The answer");
        response.insert("description".into(), json!(format!("{reason}.")));
    }
    if let Some(headers) = object_mut(response, "headers") {
        *headers = std::mem::take(headers)
            .into_iter()
            .map(|(name, mut header)| {
                if let Some(header) = header.as_object_mut() {
                    mend_parameter(header);
                }
                (usual_casing(&name), header)
            })
            .collect();
    }
}

/// A stream is text to OpenAPI 3.1; poem-openapi writes an array, which clients would try to parse as one.
fn mend_event_stream(media: &mut Value) {
    let event = media
        .pointer("/schema/items")
        .and_then(referenced)
        .map(str::to_owned);
    let of = event
        .map(|name| format!(" The data of each is one `{name}` as JSON."))
        .unwrap_or_default();
    if let Some(media) = media.as_object_mut() {
        let description = format!("Server-sent events.{of}");
        media.insert(
            "schema".into(),
            json!({ "type": "string", "description": description }),
        );
    }
}

/// The usual casing of a header's name: poem-openapi writes upper case.
fn usual_casing(name: &str) -> String {
    if let Some(usual) = HEADERS.iter().find(|usual| usual.eq_ignore_ascii_case(name)) {
        return (*usual).to_owned();
    }
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first
            .into_iter()
            .chain(letters.map(|letter| letter.to_ascii_lowercase()))
            .collect::<String>()
    });
    words.collect::<Vec<_>>().join("-")
}

/// `application/json; charset=utf-8` becomes `application/json`.
fn plain_media_types(holder: &mut Map<String, Value>) {
    if let Some(content) = object_mut(holder, "content") {
        *content = std::mem::take(content)
            .into_iter()
            .map(|(media_type, media)| {
                let plain = media_type.split(';').next().unwrap_or_default().trim().to_owned();
                (plain, media)
            })
            .collect();
    }
}

fn sort_responses(operation: &mut Map<String, Value>) {
    if let Some(responses) = object_mut(operation, "responses") {
        let mut entries: Vec<_> = std::mem::take(responses).into_iter().collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        responses.extend(entries);
    }
}

fn leave_out_impossible(method: &str, operation: &mut Map<String, Value>) {
    let parameters: Vec<(String, String)> = operation
        .get("parameters")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|parameter| {
            (
                text(parameter, "in").to_owned(),
                text(parameter, "name").to_ascii_lowercase(),
            )
        })
        .collect();
    let located = |place: &str| parameters.iter().any(|(found, _)| found == place);
    let header = |name: &str| {
        parameters
            .iter()
            .any(|(place, found)| place == "header" && found == name)
    };
    let names_something = located("path")
        || parameters
            .iter()
            .any(|(place, name)| place == "query" && name.ends_with("_id"));
    let body = operation.contains_key("requestBody");
    let secured = operation
        .get("security")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty());
    let possible = |status: &str| match status {
        "401" | "403" => secured,
        "404" => names_something || body,
        "409" => !["get", "head"].contains(&method),
        "412" => header("if-match"),
        "413" | "415" => body,
        "416" => header("range"),
        "422" => body || located("query"),
        // A mail server is asked only where a message is changed.
        "502" | "504" => method != "get" && parameters.iter().any(|(_, name)| name == "message_id"),
        _ => true,
    };
    if let Some(responses) = object_mut(operation, "responses") {
        responses.retain(|status, _| possible(status));
    }
}

/// Gives each error answer an example of its own status, in place of the one example of the error's schema.
pub(super) fn error_examples(document: &mut Value, make: Option<ErrorExample>) {
    let schemas = document
        .pointer("/components/schemas")
        .cloned()
        .unwrap_or_default();
    let mut moved = Vec::new();
    for_each_operation(document, &["paths"], &mut |_, operation| {
        for_each_response(operation, &mut |status, response| {
            if !status.starts_with(['4', '5']) {
                return;
            }
            for (_, media) in object_mut(response, "content").into_iter().flatten() {
                let Some(name) = media.get("schema").and_then(referenced).map(str::to_owned) else {
                    continue;
                };
                let code = status_code(status);
                let own = make.zip(code).and_then(|(make, code)| make(code.as_u16(), &name));
                let general = || {
                    schemas
                        .get(&name)
                        .and_then(|schema| schema.pointer("/examples/0"))
                        .map(|value| fit(value, code))
                };
                if let (Some(example), Some(media)) = (own.or_else(general), media.as_object_mut()) {
                    media.insert("example".into(), example);
                    moved.push(name);
                }
            }
        });
    });
    for name in moved {
        let schema = document
            .pointer_mut("/components/schemas")
            .and_then(|schemas| schemas.get_mut(&name));
        if let Some(schema) = schema.and_then(Value::as_object_mut) {
            schema.remove("examples");
        }
    }
}

/// The example with the members of RFC 9457 that follow from the status.
fn fit(example: &Value, code: Option<StatusCode>) -> Value {
    let mut example = example.clone();
    if let (Some(members), Some(code)) = (example.as_object_mut(), code) {
        if members.get("status").is_some_and(Value::is_number) {
            members.insert("status".into(), json!(code.as_u16()));
        }
        if members.get("title").is_some_and(Value::is_string) {
            members.insert("title".into(), json!(code.canonical_reason().unwrap_or("Error")));
        }
    }
    example
}

/// The status, unless the key is `default` or a range such as `4XX`.
pub(super) fn status_code(status: &str) -> Option<StatusCode> {
    status
        .parse::<u16>()
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok())
}
