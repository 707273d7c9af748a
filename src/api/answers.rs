//! The answers that handlers of all three dialects have in common.

use poem::{
    IntoResponse, Response,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    payload::{Json, Payload},
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
    types::{ParseFromJSON, ToJSON, Type},
};
use serde::Serialize;

use super::errors::Failure;

/// What a handler answers: JSON with 200, or the errors `P`.
pub(super) type Answer<T, P> = Result<Json<T>, Failure<P>>;

/// The same as [`Json`], written by serde at once: for the answers that are large or asked for often. A tree of values is
/// built by [`Json`] first, which takes several times as long.
pub(super) struct Written<T>(pub(super) T);

/// Bytes that are set aside for a body at first: a page of messages grows from here twice.
const ROOM: usize = 16 * 1024;
/// Headers that an answer has at most in most cases.
const HEADERS: usize = 12;

/// What a handler of a large or frequent answer gives.
pub(super) type WrittenAnswer<T, P> = Result<Written<T>, Failure<P>>;

impl<T: Type> Payload for Written<T> {
    const CONTENT_TYPE: &'static str = Json::<T>::CONTENT_TYPE;

    fn check_content_type(content_type: &str) -> bool {
        Json::<T>::check_content_type(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type + Serialize> IntoResponse for Written<T> {
    fn into_response(self) -> Response {
        let mut bytes = Vec::with_capacity(ROOM);
        if let Err(error) = serde_json::to_writer(&mut bytes, &self.0) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "an answer could not be written"
            );
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let mut response = Response::default();
        let headers = response.headers_mut();
        // With room for what the middleware adds.
        headers.reserve(HEADERS);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Self::CONTENT_TYPE));
        response.set_body(bytes);
        response
    }
}

impl<T: Type + Serialize> ApiResponse for Written<T> {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: Self::CONTENT_TYPE,
                    schema: Self::schema_ref(),
                }],
                headers: Vec::new(),
            }],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// A resource that was made.
#[derive(ApiResponse)]
pub(super) enum Created<T: ParseFromJSON + ToJSON + Send + Sync> {
    /// It was made.
    #[oai(status = 201)]
    Created(Json<T>),
}

/// The end of something.
#[derive(ApiResponse)]
pub(super) enum Gone {
    /// Done; there is nothing to answer.
    #[oai(status = 204)]
    Gone,
}
