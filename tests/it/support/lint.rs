//! What a published document must say about itself, beyond what the OpenAPI linters ask for.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// The members of a path item that are operations.
const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// Everything that is missing or wrong in a mended document, each as a sentence with its place. Empty means good.
///
/// Every operation has a unique `operationId`, a summary, a description, one tag that is described, described parameters and
/// answers, a 4XX answer, and an example for every JSON body in or out. Every schema and every property is described,
/// nothing of OpenAPI 3.0 is left, and every example is valid by its schema.
pub(crate) fn findings(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut ids = BTreeSet::new();
    for (place, operation) in operations(document) {
        let id = text(operation, "operationId");
        if !id.is_empty() && !ids.insert(id) {
            found.push(format!("{place}: the operationId `{id}` is not unique"));
        }
        said(
            &mut found,
            &place,
            operation,
            &["operationId", "summary", "description"],
        );
        tag(&mut found, &place, document, operation);
        parameters(&mut found, &place, operation);
        if let Some(body) = operation.get("requestBody") {
            examples(&mut found, &format!("{place}: the request"), document, body);
        }
        responses(&mut found, &place, document, operation);
    }
    webhook_tags(&mut found, document);
    for (name, schema) in entries(document.pointer("/components/schemas")) {
        said(&mut found, &format!("schema {name}"), schema, &["description"]);
        properties(&mut found, &format!("schema {name}"), schema);
        valid_examples(&mut found, document, name, schema);
    }
    leftovers(&mut found, document, "");
    found
}

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let items = entries(document.get("paths")).chain(entries(document.get("webhooks")));
    items
        .flat_map(|(path, item)| {
            entries(Some(item))
                .map(move |(method, operation)| (format!("{method} {path}"), method, operation))
        })
        .filter(|(_, method, _)| METHODS.contains(method))
        .map(|(place, _, operation)| (place, operation))
        .collect()
}

fn entries(value: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    let members = value.and_then(Value::as_object).into_iter().flatten();
    members.map(|(key, value)| (key.as_str(), value))
}

fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// What a `$ref` leads to, or the value itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    text(value, "$ref")
        .strip_prefix('#')
        .and_then(|pointer| document.pointer(pointer))
        .unwrap_or(value)
}

fn said(found: &mut Vec<String>, place: &str, value: &Value, keys: &[&str]) {
    for key in keys {
        if text(value, key).trim().is_empty() {
            found.push(format!("{place}: no {key}"));
        }
    }
}

fn tag(found: &mut Vec<String>, place: &str, document: &Value, operation: &Value) {
    let tags: Vec<_> = names_of_tags(operation).collect();
    let [name] = tags.as_slice() else {
        found.push(format!("{place}: {} tags, not one", tags.len()));
        return;
    };
    match items(document, "tags").find(|tag| text(tag, "name") == *name) {
        Some(tag) => said(found, &format!("tag {name}"), tag, &["description"]),
        None => found.push(format!("{place}: the tag `{name}` is not declared")),
    }
}

/// Some generators write one file a tag, and that of the webhooks over that of the operations.
fn webhook_tags(found: &mut Vec<String>, document: &Value) {
    let tags = |section: &str| -> BTreeSet<String> {
        let items = entries(document.get(section)).flat_map(|(_, item)| entries(Some(item)));
        let tags = items.flat_map(|(_, operation)| names_of_tags(operation));
        tags.map(str::to_owned).collect()
    };
    for tag in tags("paths").intersection(&tags("webhooks")) {
        found.push(format!("tag {tag}: webhooks and operations share it"));
    }
}

fn names_of_tags(operation: &Value) -> impl Iterator<Item = &str> {
    items(operation, "tags").filter_map(Value::as_str)
}

fn parameters(found: &mut Vec<String>, place: &str, operation: &Value) {
    for parameter in items(operation, "parameters") {
        let name = text(parameter, "name");
        said(
            found,
            &format!("{place}: parameter {name}"),
            parameter,
            &["description"],
        );
    }
}

fn responses(found: &mut Vec<String>, place: &str, document: &Value, operation: &Value) {
    for (status, response) in entries(operation.get("responses")) {
        let response = resolved(document, response);
        let place = format!("{place}: {status}");
        said(found, &place, response, &["description"]);
        examples(found, &place, document, response);
        for (name, header) in entries(response.get("headers")) {
            said(
                found,
                &format!("{place}: header {name}"),
                resolved(document, header),
                &["description"],
            );
        }
    }
    if !entries(operation.get("responses")).any(|(status, _)| status.starts_with('4')) {
        found.push(format!("{place}: no 4XX answer"));
    }
}

/// Every JSON body has an example, of its own or of its schema.
fn examples(found: &mut Vec<String>, place: &str, document: &Value, holder: &Value) {
    for (media_type, media) in entries(holder.get("content")) {
        let schema = media.get("schema").map(|schema| resolved(document, schema));
        let own = media.get("example").or_else(|| media.get("examples")).is_some();
        let of_schema = schema.is_some_and(|schema| items(schema, "examples").next().is_some());
        if media_type.ends_with("json") && !own && !of_schema {
            found.push(format!("{place}: no example"));
        }
    }
}

fn properties(found: &mut Vec<String>, place: &str, schema: &Value) {
    for (name, property) in entries(schema.get("properties")) {
        let place = format!("{place}.{name}");
        said(found, &place, property, &["description"]);
        properties(found, &place, property);
        if let Some(items) = property.get("items") {
            properties(found, &format!("{place}[]"), items);
        }
    }
    for part in ["allOf", "anyOf", "oneOf"]
        .iter()
        .flat_map(|key| items(schema, key))
    {
        properties(found, place, part);
    }
}

fn valid_examples(found: &mut Vec<String>, document: &Value, name: &str, schema: &Value) {
    let mut examples = items(schema, "examples").peekable();
    if examples.peek().is_none() {
        return;
    }
    let whole = json!({
        "$ref": format!("#/components/schemas/{name}"),
        "components": document.get("components"),
    });
    match jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&whole)
    {
        Ok(validator) => {
            let errors = examples.flat_map(|example| validator.iter_errors(example).collect::<Vec<_>>());
            let faults =
                errors.map(|error| format!("schema {name}: example{}: {error}", error.instance_path));
            found.extend(faults);
        }
        Err(error) => found.push(format!("schema {name}: not a JSON Schema: {error}")),
    }
}

/// What the mending should have taken away.
fn leftovers(found: &mut Vec<String>, value: &Value, place: &str) {
    match value {
        Value::Object(members) => {
            let named = place.ends_with("/properties") || place.ends_with("/headers");
            for (key, inner) in members {
                if !named && key == "nullable" {
                    found.push(format!("{place}: `nullable` is not of OpenAPI 3.1"));
                }
                if !["example", "examples", "default"].contains(&key.as_str()) || named {
                    leftovers(
                        found,
                        inner,
                        &format!("{place}/{}", key.replace('~', "~0").replace('/', "~1")),
                    );
                }
            }
            let format = text(value, "format");
            if !named && (format.starts_with("uint") || format == "int8" || format == "int16") {
                found.push(format!("{place}: the format `{format}` is not OpenAPI's"));
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                leftovers(found, inner, &format!("{place}/{index}"));
            }
        }
        _ => {}
    }
}

#[test]
fn a_bare_document_is_found_wanting() {
    let document = json!({
        "openapi": "3.1.0",
        "paths": { "/a": { "get": {
            "tags": ["A"],
            "parameters": [{ "name": "q", "in": "query", "schema": { "type": "string", "nullable": true } }],
            "responses": { "200": { "description": "", "content": {
                "application/json": { "schema": { "$ref": "#/components/schemas/A" } },
            } } },
        } } },
        "webhooks": { "b": { "post": {
            "operationId": "b", "summary": "B", "description": "B.", "tags": ["A"],
            "responses": { "204": { "description": "B." }, "410": { "description": "B." } },
        } } },
        "components": { "schemas": {
            "A": { "type": "object", "properties": { "n": { "type": "integer", "format": "uint64" } } },
            "B": { "type": "string", "description": "B.", "examples": [1] },
        } },
    });
    let expected = [
        "get /a: no operationId",
        "get /a: no summary",
        "get /a: no description",
        "get /a: the tag `A` is not declared",
        "get /a: parameter q: no description",
        "get /a: 200: no description",
        "get /a: 200: no example",
        "get /a: no 4XX answer",
        "post b: the tag `A` is not declared",
        "tag A: webhooks and operations share it",
        "schema A: no description",
        "schema A.n: no description",
        "schema B: example: 1 is not of type \"string\"",
        "/paths/~1a/get/parameters/0/schema: `nullable` is not of OpenAPI 3.1",
        "/components/schemas/A/properties/n: the format `uint64` is not OpenAPI's",
    ];
    assert_eq!(findings(&document), expected);
}
