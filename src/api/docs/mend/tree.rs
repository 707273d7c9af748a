//! Ways through a document: its operations, its schemas, its references, and the order of its keys.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Where references to schemas begin.
pub(super) const SCHEMAS: &str = "#/components/schemas/";
/// Where references to shared answers begin.
pub(super) const RESPONSES: &str = "#/components/responses/";
/// Where references to shared headers begin.
pub(super) const HEADERS: &str = "#/components/headers/";
/// The members of a path item that are operations.
pub(super) const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];
/// How deep schemas may nest; what lies deeper is left as it is.
const DEPTH: usize = 64;

pub(super) fn object_mut<'a>(
    map: &'a mut Map<String, Value>,
    key: &str,
) -> Option<&'a mut Map<String, Value>> {
    map.get_mut(key).and_then(Value::as_object_mut)
}

pub(super) fn array_mut<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Vec<Value>> {
    map.get_mut(key).and_then(Value::as_array_mut)
}

/// A string member, or the empty string.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The name that a `$ref` to a schema has.
pub(super) fn referenced(value: &Value) -> Option<&str> {
    text(value, "$ref").strip_prefix(SCHEMAS)
}

/// The schemas of the components.
pub(super) fn schemas_mut(document: &mut Value) -> Option<&mut Map<String, Value>> {
    document
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut)
}

/// Calls `f` with the method and the operation, for `paths` and, if wanted, `webhooks`.
pub(super) fn for_each_operation(
    document: &mut Value,
    sections: &[&str],
    f: &mut impl FnMut(&str, &mut Map<String, Value>),
) {
    let Some(root) = document.as_object_mut() else {
        return;
    };
    for section in sections {
        let items = object_mut(root, section)
            .into_iter()
            .flat_map(|items| items.values_mut());
        for item in items.filter_map(Value::as_object_mut) {
            for (method, operation) in item.iter_mut() {
                if METHODS.contains(&method.as_str())
                    && let Some(operation) = operation.as_object_mut()
                {
                    f(method, operation);
                }
            }
        }
    }
}

/// Calls `f` with every answer of an operation and its status.
pub(super) fn for_each_response(
    operation: &mut Map<String, Value>,
    f: &mut impl FnMut(&str, &mut Map<String, Value>),
) {
    for (status, response) in object_mut(operation, "responses").into_iter().flatten() {
        if let Some(response) = response.as_object_mut() {
            f(status, response);
        }
    }
}

/// Calls `f` with every schema object of the document, the innermost first.
pub(super) fn for_each_schema(document: &mut Value, f: &mut impl FnMut(&mut Map<String, Value>)) {
    for schema in schemas_mut(document)
        .into_iter()
        .flat_map(|schemas| schemas.values_mut())
    {
        walk_schema(schema, f, DEPTH);
    }
    for_each_operation(document, &["paths", "webhooks"], &mut |_, operation| {
        for parameter in array_mut(operation, "parameters").into_iter().flatten() {
            walk_member(parameter, "schema", f);
        }
        if let Some(body) = object_mut(operation, "requestBody") {
            walk_content(body, f);
        }
        for_each_response(operation, &mut |_, response| {
            walk_content(response, f);
            for (_, header) in object_mut(response, "headers").into_iter().flatten() {
                walk_member(header, "schema", f);
            }
        });
    });
}

fn walk_content(holder: &mut Map<String, Value>, f: &mut impl FnMut(&mut Map<String, Value>)) {
    for (_, media) in object_mut(holder, "content").into_iter().flatten() {
        walk_member(media, "schema", f);
    }
}

fn walk_member(holder: &mut Value, key: &str, f: &mut impl FnMut(&mut Map<String, Value>)) {
    if let Some(schema) = holder.get_mut(key) {
        walk_schema(schema, f, DEPTH);
    }
}

fn walk_schema(schema: &mut Value, f: &mut impl FnMut(&mut Map<String, Value>), depth: usize) {
    let (Some(schema), Some(depth)) = (schema.as_object_mut(), depth.checked_sub(1)) else {
        return;
    };
    for key in ["items", "additionalProperties", "not"] {
        if let Some(inner) = schema.get_mut(key) {
            walk_schema(inner, f, depth);
        }
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        for inner in array_mut(schema, key).into_iter().flatten() {
            walk_schema(inner, f, depth);
        }
    }
    for (_, inner) in object_mut(schema, "properties").into_iter().flatten() {
        walk_schema(inner, f, depth);
    }
    f(schema);
}

/// Calls `f` with every string that refers to something in the document: `$ref` and the discriminators' mappings.
pub(super) fn for_each_reference(value: &mut Value, f: &mut impl FnMut(&mut String)) {
    references(value, false, f);
}

/// `names`: whether the keys of this object are names that the API chose, so that none is a keyword.
fn references(value: &mut Value, names: bool, f: &mut impl FnMut(&mut String)) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                match (key.as_str(), inner) {
                    (_, inner) if names => references(inner, false, f),
                    ("$ref", Value::String(reference)) => f(reference),
                    ("mapping", Value::Object(mapping)) => {
                        for target in mapping.values_mut() {
                            if let Value::String(reference) = target {
                                f(reference);
                            }
                        }
                    }
                    (key, _) if is_data(key) => {}
                    (key, inner) => references(inner, is_named(key), f),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| references(item, false, f)),
        _ => {}
    }
}

/// The names of the schemas that are reached from `roots`, through other schemas too.
pub(super) fn reached(document: &Value, roots: Vec<Value>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut open = roots;
    while let Some(mut value) = open.pop() {
        for_each_reference(&mut value, &mut |reference| {
            let Some(name) = reference.strip_prefix(SCHEMAS) else {
                return;
            };
            if names.insert(name.to_owned())
                && let Some(schema) = document
                    .pointer("/components/schemas")
                    .and_then(|all| all.get(name))
            {
                open.push(schema.clone());
            }
        });
    }
    names
}

const ORDER: [&str; 55] = [
    "openapi",
    "info",
    "servers",
    "tags",
    "paths",
    "webhooks",
    "components", // the document
    "operationId",
    "summary", // an operation
    "$ref",
    "name",
    "in",
    "type",
    "format",
    "const",
    "enum", // a schema, a parameter
    "title",
    "version",
    "url",
    "description",
    "contact",
    "license",
    "externalDocs",
    "deprecated",
    "required",
    "security",
    "parameters",
    "requestBody",
    "responses",
    "headers",
    "content",
    "schema",
    "example",
    "properties",
    "additionalProperties",
    "items",
    "allOf",
    "anyOf",
    "oneOf",
    "discriminator",
    "propertyName",
    "mapping",
    "default",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
    "examples",
    "securitySchemes",
];

/// Gives every object the usual order of its keys. Names that the API chose (paths, properties, headers) keep theirs,
/// components are sorted.
pub(super) fn order(document: &mut Value) {
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        for (_, section) in components.iter_mut() {
            if let Value::Object(section) = section {
                let mut entries: Vec<_> = std::mem::take(section).into_iter().collect();
                entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                section.extend(entries);
            }
        }
    }
    order_value(document, false);
}

/// `names`: whether the keys of this object are names that the API chose.
fn order_value(value: &mut Value, names: bool) {
    match value {
        Value::Object(map) => {
            if !names {
                let mut entries: Vec<_> = std::mem::take(map).into_iter().collect();
                entries.sort_by_key(|(key, _)| ORDER.iter().position(|k| k == key).unwrap_or(ORDER.len()));
                map.extend(entries);
            }
            for (key, inner) in map.iter_mut() {
                if names || !(is_data(key) || key == "mapping") {
                    order_value(inner, !names && is_named(key));
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| order_value(item, false)),
        _ => {}
    }
}

/// Whether the keyword's value is data, not a part of the document.
fn is_data(key: &str) -> bool {
    ["example", "examples", "default", "enum", "const"].contains(&key)
}

/// Whether the keyword's value is an object whose keys are names that the API chose.
fn is_named(key: &str) -> bool {
    let named = [
        "paths",
        "webhooks",
        "properties",
        "responses",
        "headers",
        "content",
        "schemas",
        "securitySchemes",
    ];
    named.contains(&key)
}
