//! Unions with a discriminator: each variant becomes one flat object that carries its tag.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::tree::{SCHEMAS, for_each_reference, object_mut, referenced, schemas_mut, text};

/// One variant as poem-openapi writes it: `Union_Object`, an `allOf` of the tag and of the object.
struct Variant {
    written: String,
    object: String,
    property: String,
    tag: Value,
}

/// Flattens every variant, under the object's own name where nothing else uses the object.
pub(super) fn flatten(document: &mut Value) {
    let Some(schemas) = schemas_mut(document) else {
        return;
    };
    let variants: Vec<Variant> = schemas
        .iter()
        .filter_map(|(name, schema)| variant(name, schema))
        .collect();
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for_each_reference(document, &mut |reference| {
        let count = uses.entry(reference.clone()).or_default();
        *count += 1;
    });
    for variant in variants {
        let sole = uses.get(&format!("{SCHEMAS}{}", variant.object)) == Some(&1);
        let Some(schemas) = schemas_mut(document) else {
            return;
        };
        let Some(flat) = schemas
            .get(&variant.object)
            .and_then(|object| flat(object, &variant))
        else {
            continue;
        };
        let name = if sole {
            variant.object.clone()
        } else {
            variant.written.replace('_', "")
        };
        schemas.remove(&variant.written);
        schemas.insert(name.clone(), flat);
        for_each_reference(document, &mut |reference| {
            if reference.strip_prefix(SCHEMAS) == Some(&variant.written) {
                *reference = format!("{SCHEMAS}{name}");
            }
        });
    }
}

fn variant(name: &str, schema: &Value) -> Option<Variant> {
    let [tagged, object] = schema.get("allOf")?.as_array()?.as_slice() else {
        return None;
    };
    let object = referenced(object)?;
    let (property, values) = tagged.get("properties")?.as_object()?.iter().next()?;
    let [tag] = values.get("enum")?.as_array()?.as_slice() else {
        return None;
    };
    Some(Variant {
        written: name.to_owned(),
        object: object.to_owned(),
        property: property.clone(),
        tag: tag.clone(),
    })
}

fn flat(object: &Value, variant: &Variant) -> Option<Value> {
    let own = object.get("properties")?.as_object()?;
    let mut properties = Map::new();
    let description = format!("Always `{}`.", variant.tag.as_str().unwrap_or_default());
    let tag = json!({ "type": "string", "const": variant.tag, "description": description });
    properties.insert(variant.property.clone(), tag);
    properties.extend(own.clone());

    let mut required = vec![json!(variant.property)];
    required.extend(
        object
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .cloned(),
    );

    let mut flat = object.as_object()?.clone();
    flat.insert("properties".into(), Value::Object(properties));
    flat.insert("required".into(), Value::Array(required));
    if let Some(example) = object_mut(&mut flat, "example") {
        let mut tagged = Map::new();
        tagged.insert(variant.property.clone(), variant.tag.clone());
        tagged.extend(std::mem::take(example));
        *example = tagged;
    }
    if text(object, "title") == variant.object {
        flat.remove("title");
    }
    Some(Value::Object(flat))
}
