//! What a parameter takes, in a sentence, read from the document: the framework's own words are for Rust programmers.

use serde_json::Value;

use super::docs::Document;

/// What the query parameter of this name takes.
pub(super) fn expected(document: &Document, name: &str) -> String {
    let document = document.value();
    schema(document, name).map_or_else(
        || "This value does not fit.".to_owned(),
        |schema| sentence(document, schema),
    )
}

/// The schema of the first parameter of this name: within a document, parameters of one name are of one kind.
fn schema<'d>(document: &'d Value, name: &str) -> Option<&'d Value> {
    let items = document
        .get("paths")?
        .as_object()?
        .values()
        .filter_map(Value::as_object);
    let parameters = items
        .flat_map(|item| item.values())
        .filter_map(|operation| operation.get("parameters")?.as_array())
        .flatten()
        .map(|parameter| resolved(document, parameter));
    parameters
        .into_iter()
        .find(|one| one.get("name").and_then(Value::as_str) == Some(name))?
        .get("schema")
}

fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let reference = value
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|text| text.strip_prefix('#'));
    reference
        .and_then(|pointer| document.pointer(pointer))
        .unwrap_or(value)
}

fn sentence(document: &Value, schema: &Value) -> String {
    // One with a default stands alone in an `allOf`.
    let alone = schema.pointer("/allOf/0").unwrap_or(schema);
    let schema = resolved(document, alone);
    let text = |name: &str| schema.get(name).and_then(Value::as_str).unwrap_or_default();
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        return format!("One of: {}.", words.join(", "));
    }
    match (text("type"), text("format")) {
        ("integer", _) => match (schema.get("minimum"), schema.get("maximum")) {
            (Some(minimum), Some(maximum)) => format!("A whole number between {minimum} and {maximum}."),
            (Some(minimum), None) => format!("A whole number, {minimum} or more."),
            _ => "A whole number.".to_owned(),
        },
        ("array", _) => schema
            .get("items")
            .map_or_else(String::new, |items| sentence(document, items)),
        ("boolean", _) => "true or false.".to_owned(),
        (_, "uuid") => "A UUID.".to_owned(),
        (_, "date-time") => "A time such as 2025-06-25T15:10:40Z (RFC 3339).".to_owned(),
        _ => "This value does not fit.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_parameter_has_its_sentence() {
        let documents = crate::api::documents().unwrap();
        for (name, words) in [
            ("limit", "A whole number between 1 and 200."),
            ("provider", "One of: imap, gmail, microsoft."),
            ("order", "One of: asc, desc."),
            ("unread", "true or false."),
            ("thread_id", "A UUID."),
            (
                "received_after",
                "A time such as 2025-06-25T15:10:40Z (RFC 3339).",
            ),
        ] {
            assert_eq!(expected(&documents.unified, name), words, "{name}");
        }
        let page = expected(&documents.plannr, "page[ancestors]");
        assert!(page.starts_with("A whole number"), "{page}");
    }
}
