//! One schema object from OpenAPI 3.0's dialect to that of 3.1, which is JSON Schema 2020-12.

use serde_json::{Map, Number, Value, json};

use super::tree::{array_mut, referenced};

/// `allOf: [{$ref}, {description, …}]`, which a documented field of a referenced type gives, becomes `{$ref, description, …}`:
/// poem-openapi writes the description and the rest next to `allOf` too.
pub(super) fn hoist(schema: &mut Map<String, Value>) {
    let Some(Value::Array(parts)) = schema.get("allOf") else {
        return;
    };
    let [target, patch] = parts.as_slice() else { return };
    let structural = ["$ref", "type", "properties", "allOf", "anyOf", "oneOf", "enum"];
    if referenced(target).is_none() || structural.iter().any(|key| patch.get(key).is_some()) {
        return;
    }
    if let Some(reference) = target.get("$ref").cloned() {
        schema.remove("allOf");
        schema.insert("$ref".into(), reference);
    }
}

/// Nullable types, exclusive bounds, examples, number formats.
pub(super) fn raise(schema: &mut Map<String, Value>) {
    if schema.contains_key("oneOf") || schema.contains_key("anyOf") {
        schema.remove("type");
    }
    exclusive(schema, "minimum", "exclusiveMinimum");
    exclusive(schema, "maximum", "exclusiveMaximum");
    for key in [
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
    ] {
        if let Some(whole) = schema.get(key).and_then(whole_number) {
            schema.insert(key.into(), whole);
        }
    }
    integer_format(schema);
    nullable(schema);
    if schema.contains_key("$ref")
        && schema.contains_key("default")
        && let Some(reference) = schema.remove("$ref")
    {
        // Generators read a default next to `allOf`; next to `$ref` they drop it.
        schema.insert("allOf".into(), json!([{ "$ref": reference }]));
    }
    if let Some(example) = schema.remove("example") {
        schema.insert("examples".into(), json!([example]));
    }
    drop_undocumented_nulls(schema);
}

fn exclusive(schema: &mut Map<String, Value>, bound: &str, flag: &str) {
    match schema.get(flag) {
        Some(Value::Bool(true)) => {
            schema.remove(flag);
            if let Some(limit) = schema.remove(bound) {
                schema.insert(flag.into(), limit);
            }
        }
        Some(Value::Bool(false)) => {
            schema.remove(flag);
        }
        _ => {}
    }
}

/// `1.0` as `1`: the validators keep their bounds as floating-point numbers.
fn whole_number(value: &Value) -> Option<Value> {
    let number = value.as_f64().filter(|n| value.is_f64() && n.fract() == 0.0)?;
    // Up to 2^53 every whole f64 is exact, and its text without a fraction parses back.
    let whole: i64 = format!("{number:.0}").parse().ok()?;
    (whole.unsigned_abs() <= 1 << 53).then(|| Value::Number(Number::from(whole)))
}

/// Only `int32` and `int64` are OpenAPI's: others are read as 32 bits wide by some generators.
fn integer_format(schema: &mut Map<String, Value>) {
    let (format, low, high) = match schema.get("format").and_then(Value::as_str) {
        Some("uint64" | "uint") => ("int64", Some(0), None),
        Some("uint32") => {
            let fits = schema
                .get("maximum")
                .and_then(Value::as_i64)
                .is_some_and(|max| max <= i64::from(i32::MAX));
            (if fits { "int32" } else { "int64" }, Some(0), None)
        }
        Some("uint16") => ("int32", Some(0), Some(i64::from(u16::MAX))),
        Some("uint8") => ("int32", Some(0), Some(i64::from(u8::MAX))),
        Some("int16") => ("int32", Some(i64::from(i16::MIN)), Some(i64::from(i16::MAX))),
        Some("int8") => ("int32", Some(i64::from(i8::MIN)), Some(i64::from(i8::MAX))),
        _ => return,
    };
    schema.insert("format".into(), json!(format));
    for (limit, bound, exclusive) in [
        (low, "minimum", "exclusiveMinimum"),
        (high, "maximum", "exclusiveMaximum"),
    ] {
        if let Some(limit) = limit
            && !schema.contains_key(bound)
            && !schema.contains_key(exclusive)
        {
            schema.insert(bound.into(), json!(limit));
        }
    }
}

fn nullable(schema: &mut Map<String, Value>) {
    if schema.remove("nullable") != Some(Value::Bool(true)) {
        return;
    }
    if let Some(reference) = schema.remove("$ref") {
        schema.insert("anyOf".into(), json!([{ "$ref": reference }, { "type": "null" }]));
        return;
    }
    if let Some(Value::String(name)) = schema.get("type") {
        let both = json!([name, "null"]);
        schema.insert("type".into(), both);
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(choices) = array_mut(schema, key) {
            choices.push(json!({ "type": "null" }));
        }
    }
    if let Some(values) = array_mut(schema, "enum") {
        values.push(Value::Null);
    }
}

/// Whether the schema admits null.
pub(super) fn admits_null(schema: &Value) -> bool {
    let in_type = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(|name| name == "null"),
        Some(name) => name == "null",
        None => false,
    };
    let in_choice = ["anyOf", "oneOf"].iter().any(|key| {
        schema
            .get(key)
            .and_then(Value::as_array)
            .is_some_and(|choices| choices.iter().any(admits_null))
    });
    in_type || in_choice
}

/// Whether the schema is that of anything at all.
fn is_anything(schema: &Value) -> bool {
    ["type", "$ref", "allOf", "anyOf", "oneOf", "enum", "const"]
        .iter()
        .all(|key| schema.get(key).is_none())
}

/// An example made from a value writes null for every `None`, also where the schema does not admit it.
fn drop_undocumented_nulls(schema: &mut Map<String, Value>) {
    let Some(Value::Object(properties)) = schema.get("properties") else {
        return;
    };
    let refuses = |inner: &Value| !admits_null(inner) && !is_anything(inner);
    let closed: Vec<String> = properties
        .iter()
        .filter(|(_, inner)| refuses(inner))
        .map(|(name, _)| name.clone())
        .collect();
    for example in array_mut(schema, "examples").into_iter().flatten() {
        if let Value::Object(members) = example {
            members.retain(|name, value| !(value.is_null() && closed.contains(name)));
        }
    }
}
