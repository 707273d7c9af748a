//! The pure step from the OpenAPI 3.0 document that poem-openapi derives to the OpenAPI 3.1 document that is published.

mod components;
mod operation;
mod schema;
#[cfg(test)]
mod tests;
mod tree;
mod union;

use serde_json::{Map, Value, json};
use tree::{array_mut, object_mut};

/// Makes the example of an error answer: from its HTTP status and the name of its schema.
pub type ErrorExample = fn(status: u16, schema: &str) -> Option<Value>;

/// What the derived document does not say by itself.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where the service is nested, such as `/v1`: put before every path. Empty when it is at the root.
    pub prefix: String,
    /// The servers' URLs, relative ones too. Empty means `/`.
    pub servers: Vec<String>,
    /// The licence's name and its SPDX expression, if the document has none.
    pub license: Option<(String, String)>,
    /// Who answers for the API, if the document has no contact.
    pub contact: Option<String>,
    /// Whether request bodies refuse unknown fields: writes `additionalProperties: false` into the schemas that only
    /// requests use.
    pub closed_requests: bool,
    /// Whether to leave out the error answers that an operation cannot give, such as 415 where there is no body.
    pub prune: bool,
    /// The example of an error answer. Without it, or where it says `None`, the example of the error's schema is used,
    /// with `status` and `title` made right.
    pub error_example: Option<ErrorExample>,
    /// More entries for `webhooks`, in the form of OpenAPI 3.1: name to path item.
    pub webhooks: Map<String, Value>,
}

/// Why a document could not be mended.
#[derive(Debug, thiserror::Error)]
pub enum MendError {
    /// The input is not JSON.
    #[error("the derived document is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The input is not an OpenAPI 3.0 document with `info`, `paths` and `components`.
    #[error("the derived document is not OpenAPI 3.0: {0}")]
    Shape(&'static str),
    /// A reference leads nowhere.
    #[error("the document refers to `{0}`, which it does not have")]
    Reference(String),
    /// The document cannot be written as YAML.
    #[error("the document cannot be written as YAML: {0}")]
    Yaml(#[from] serde_yaml_ng::Error),
}

/// A schema with those that it refers to.
pub(super) fn alone(document: &Value, name: &str) -> Value {
    let reference = format!("#/components/schemas/{name}");
    let reached = tree::reached(document, vec![json!({ "$ref": reference })]);
    let all = document.pointer("/components/schemas");
    let schemas: Map<String, Value> = reached
        .into_iter()
        .filter_map(|name| Some((name.clone(), all?.get(&name)?.clone())))
        .collect();
    json!({ "$ref": reference, "components": { "schemas": schemas } })
}

/// Mends one document. The order of the operations is kept, components are in alphabetical order.
pub(super) fn mend(mut document: Value, options: &Options) -> Result<Value, MendError> {
    check(&document)?;
    head(&mut document, options);
    operation::prefix(&mut document, &options.prefix);
    operation::mend_all(&mut document, options.prune);
    tree::for_each_schema(&mut document, &mut schema::hoist);
    union::flatten(&mut document);
    tree::for_each_schema(&mut document, &mut schema::raise);
    add_webhooks(&mut document, options);
    components::drop_titles(&mut document);
    components::require_nullable(&mut document);
    if options.closed_requests {
        components::close_requests(&mut document);
    }
    operation::error_examples(&mut document, options.error_example);
    components::share_headers(&mut document);
    components::share_responses(&mut document);
    components::drop_unused(&mut document);
    tree::order(&mut document);
    match components::dangling(&document) {
        Some(reference) => Err(MendError::Reference(reference)),
        None => Ok(document),
    }
}

fn check(document: &Value) -> Result<(), MendError> {
    let version = document
        .get("openapi")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !version.starts_with("3.0") {
        return Err(MendError::Shape("`openapi` is not 3.0"));
    }
    for (pointer, error) in [
        ("/info", "`info` is missing"),
        ("/paths", "`paths` is missing"),
        ("/components/schemas", "`components.schemas` is missing"),
    ] {
        if !document.pointer(pointer).is_some_and(Value::is_object) {
            return Err(MendError::Shape(error));
        }
    }
    Ok(())
}

fn head(document: &mut Value, options: &Options) {
    let Some(root) = document.as_object_mut() else {
        return;
    };
    root.insert("openapi".into(), json!("3.1.0"));
    if let Some(info) = object_mut(root, "info") {
        if let (None, Some((name, identifier))) = (info.get("license"), &options.license) {
            info.insert(
                "license".into(),
                json!({ "name": name, "identifier": identifier }),
            );
        }
        if let (None, Some(name)) = (info.get("contact"), &options.contact) {
            info.insert("contact".into(), json!({ "name": name }));
        }
    }
    let declared = root
        .get("servers")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty());
    if !options.servers.is_empty() || !declared {
        let urls = if options.servers.is_empty() {
            &["/".to_owned()][..]
        } else {
            &options.servers
        };
        root.insert(
            "servers".into(),
            urls.iter().map(|url| json!({ "url": url })).collect(),
        );
    }
    if let Some(tags) = array_mut(root, "tags") {
        tags.sort_by(|a, b| tree::text(a, "name").cmp(tree::text(b, "name")));
    }
}

fn add_webhooks(document: &mut Value, options: &Options) {
    if options.webhooks.is_empty() {
        return;
    }
    let Some(root) = document.as_object_mut() else {
        return;
    };
    let webhooks = root.entry("webhooks").or_insert_with(|| json!({}));
    if let Some(webhooks) = webhooks.as_object_mut() {
        webhooks.extend(options.webhooks.clone());
    }
}
