//! The published documents: mends what poem-openapi derives, and serves it with Swagger UI.
//!
//! No handler, no schema and no rule of the API lives here; nothing here reads a request's body or a credential.

mod allow;
mod mend;
mod page;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;

pub use self::{
    allow::allowed_methods,
    mend::{ErrorExample, MendError, Options},
    page::routes,
};

/// One published document, OpenAPI 3.1. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Document(Arc<Written>);

#[derive(Debug)]
struct Written {
    value: Value,
    json: String,
    yaml: String,
}

impl Document {
    /// Mends the OpenAPI 3.0 document that `OpenApiService::spec` gives.
    ///
    /// # Errors
    /// When `raw` is not such a document, or refers to something that it does not have.
    pub fn mend(raw: &str, options: &Options) -> Result<Self, MendError> {
        let value = mend::mend(serde_json::from_str(raw)?, options)?;
        let json = format!("{value:#}\n");
        let yaml = serde_yaml_ng::to_string(&value)?;
        Ok(Self(Arc::new(Written { value, json, yaml })))
    }

    /// The document.
    pub fn value(&self) -> &Value {
        &self.0.value
    }

    /// The document as indented JSON. The same document gives the same bytes.
    pub fn json(&self) -> &str {
        &self.0.json
    }

    /// The document as YAML. The same document gives the same bytes.
    pub fn yaml(&self) -> &str {
        &self.0.yaml
    }

    /// A schema of the document as a JSON Schema of its own: with those that it refers to, and no others.
    pub fn schema(&self, name: &str) -> Value {
        mend::alone(self.value(), name)
    }

    /// The methods that a concrete path takes; empty when the document does not know the path.
    pub fn allowed_methods(&self, path: &str) -> Vec<String> {
        allowed_methods(self.value(), path)
    }
}
