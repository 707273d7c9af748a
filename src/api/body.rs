//! The JSON body of a request: read within limits, and checked against the schema that the document shows.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, Registry},
    types::{ParseFromJSON, Type},
};
use serde_json::Value;

use super::docs::Document;
use crate::model::{
    Error,
    error::{FieldError, Place},
};

/// A body has at most this many bytes.
pub(super) const LIMIT: u64 = 1024 * 1024;
/// A body arrives within this time.
const DEADLINE: Duration = Duration::from_secs(30);
/// At most this many faults are named in one answer.
const MAX_FAULTS: usize = 50;

/// The schemas of one document's request bodies, ready to check with. Cloning shares them.
#[derive(Clone)]
pub(super) struct Validators(Arc<HashMap<String, Validator>>);

impl Validators {
    /// Builds one validator for each schema that is the body of a request.
    pub(super) fn of(document: &Document) -> Result<Self, Error> {
        let mut validators = HashMap::new();
        for name in body_schemas(document.value()) {
            // A validator keeps all of what it is built of.
            let schema = document.schema(&name);
            let validator = jsonschema::draft202012::options()
                .should_validate_formats(true)
                .build(&schema)
                .map_err(|error| Error::internal(error.to_string()))?;
            validators.insert(name, validator);
        }
        Ok(Self(Arc::new(validators)))
    }

    fn check(&self, schema: &str, value: &Value) -> Result<(), Error> {
        let Some(validator) = self.0.get(schema) else {
            return Ok(());
        };
        let faults: Vec<FieldError> = validator
            .iter_errors(value)
            .flat_map(|error| faults(&error))
            .take(MAX_FAULTS)
            .collect();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(faults))
        }
    }
}

/// The names of the schemas that are JSON bodies of requests.
fn body_schemas(document: &Value) -> Vec<String> {
    let paths = document.get("paths").and_then(Value::as_object);
    let operations = paths
        .into_iter()
        .flat_map(|paths| paths.values())
        .filter_map(Value::as_object);
    let mut names: Vec<String> = operations
        .flat_map(|item| item.values())
        .filter_map(|operation| operation.pointer("/requestBody/content/application~1json/schema/$ref"))
        .filter_map(|reference| reference.as_str()?.rsplit('/').next())
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The faults that one error of the schema names, each with the path of the field itself. Values are never quoted: one
/// of them may be a password.
fn faults(error: &ValidationError<'_>) -> Vec<FieldError> {
    let path: Vec<String> = error
        .instance_path
        .as_str()
        .split('/')
        .skip(1)
        .map(unescaped)
        .collect();
    let fault = |more: Option<&str>, detail: String| FieldError {
        path: path.iter().cloned().chain(more.map(str::to_owned)).collect(),
        place: Place::Body,
        detail,
    };
    match &error.kind {
        ValidationErrorKind::Required { property } => {
            vec![fault(property.as_str(), "This field is required.".into())]
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|name| fault(Some(name), "There is no such field.".into()))
            .collect(),
        ValidationErrorKind::AnyOf { context } => {
            best_branch(error, context).iter().flat_map(faults).collect()
        }
        _ => vec![fault(
            None,
            sentence(&error.masked_with("This value").to_string()),
        )],
    }
}

/// What the one branch says that takes a value of this type: `anyOf` is written for "this, or null". The first branch
/// where none does.
fn best_branch<'b>(
    error: &ValidationError<'_>,
    branches: &'b [Vec<ValidationError<'static>>],
) -> &'b [ValidationError<'static>] {
    let other_type = |fault: &ValidationError<'_>| {
        matches!(fault.kind, ValidationErrorKind::Type { .. }) && fault.instance_path == error.instance_path
    };
    branches
        .iter()
        .find(|faults| !faults.iter().any(other_type))
        .or_else(|| branches.first())
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// A step of a JSON pointer as the name it stands for (RFC 6901, section 4).
fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

fn sentence(text: &str) -> String {
    if text.ends_with('.') {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

/// A JSON body that may be left out; an empty one counts as left out.
pub(super) struct OptionalBody<T>(pub(super) T);

impl<'a, T: ParseFromJSON> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(meta::<T>(true))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        require_json(request)?;
        Ok(Self(parse(request, &read(body).await?)?))
    }
}

impl<'a, T: ParseFromJSON + Default> ApiExtractor<'a> for OptionalBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(meta::<T>(false))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let bytes = read(body).await?;
        if bytes.trim_ascii().is_empty() {
            return Ok(Self(T::default()));
        }
        require_json(request)?;
        Ok(Self(parse(request, &bytes)?))
    }
}

/// A body of the schema `T` that the dialect reads by itself, whatever its media type; none is empty.
pub(super) struct RawBody<T> {
    /// The bytes.
    pub(super) bytes: Vec<u8>,
    documented: std::marker::PhantomData<fn() -> T>,
}

impl<'a, T: Type> ApiExtractor<'a> for RawBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(meta::<T>(false))
    }

    async fn from_request(
        _: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self {
            bytes: read(body).await?,
            documented: std::marker::PhantomData,
        })
    }
}

fn meta<T: Type>(required: bool) -> MetaRequest {
    let schema = T::schema_ref();
    MetaRequest {
        description: None,
        content: vec![MetaMediaType {
            content_type: "application/json",
            schema,
        }],
        required,
    }
}

/// Refuses a media type that is neither `application/json` nor of its kind (`application/…+json`).
fn require_json(request: &Request) -> Result<(), Error> {
    let media_type = request
        .content_type()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    let is_json = media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"));
    if is_json {
        Ok(())
    } else {
        Err(Error::UnsupportedMediaType)
    }
}

/// The bytes of a body: at most [`LIMIT`] of them, within [`DEADLINE`].
async fn read(body: &mut RequestBody) -> poem::Result<Vec<u8>> {
    if body.is_none() {
        return Ok(Vec::new());
    }
    let limit = usize::try_from(LIMIT).unwrap_or(usize::MAX);
    let bytes = tokio::time::timeout(DEADLINE, body.take()?.into_bytes_limit(limit)).await;
    let late = |_| {
        Error::Malformed(format!(
            "The body did not arrive within {} s.",
            DEADLINE.as_secs()
        ))
    };
    Ok(bytes.map_err(late)??.to_vec())
}

fn parse<T: ParseFromJSON>(request: &Request, bytes: &[u8]) -> Result<T, Error> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        Error::Malformed(format!(
            "The body is not JSON: line {}, column {}.",
            error.line(),
            error.column()
        ))
    })?;
    if let Some(validators) = request.data::<Validators>() {
        validators.check(T::name().as_ref(), &value)?;
    }
    T::parse_from_json(Some(value)).map_err(|error| {
        let fault = FieldError {
            path: Vec::new(),
            place: Place::Body,
            detail: sentence(&error.into_message()),
        };
        Error::Invalid(vec![fault])
    })
}
