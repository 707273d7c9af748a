//! Entity tags: what is answered is named by its bytes, and not sent again to a client that has it (RFC 9110, section 13).

use poem::{
    Body, Endpoint, Request, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};
use sha2::{Digest, Sha256};

use super::downloads::entity_tag;

/// An endpoint whose JSON answers to GET carry a strong `ETag`, and which answers `If-None-Match` with 304.
pub(super) struct Tagged<E> {
    /// What answers.
    pub(super) inner: E,
}

impl<E: Endpoint<Output = Response>> Endpoint for Tagged<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if request.method() != Method::GET {
            return self.inner.call(request).await;
        }
        let known = known_tags(request.headers());
        let mut response = self.inner.call(request).await?;
        if response.status() != StatusCode::OK {
            return Ok(response);
        }
        if response.headers().get(header::ETAG).is_none() && is_json(response.headers()) {
            tag(&mut response).await?;
        }
        let tag = response
            .headers()
            .get(header::ETAG)
            .and_then(|tag| tag.to_str().ok());
        if tag.is_some_and(|tag| names(&known, tag)) {
            response.set_status(StatusCode::NOT_MODIFIED);
            response.set_body(Body::empty());
            for name in [
                header::CONTENT_TYPE,
                header::CONTENT_LENGTH,
                header::CONTENT_DISPOSITION,
            ] {
                response.headers_mut().remove(name);
            }
        }
        Ok(response)
    }
}

/// Reads the body, which is at hand, and names its bytes.
async fn tag(response: &mut Response) -> poem::Result<()> {
    let bytes = response.take_body().into_bytes().await?;
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    if let Ok(tag) = HeaderValue::from_str(&entity_tag(&digest)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response.set_body(Body::from_bytes(bytes));
    Ok(())
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    media_type.is_some_and(|media_type| media_type.starts_with("application/json"))
}

/// The lists of tags that `If-None-Match` names.
fn known_tags(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::IF_NONE_MATCH).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .map(str::to_owned)
        .collect()
}

/// Whether a list names the tag; weak and strong forms are equal here (RFC 9110, section 13.1.2).
fn names(known: &[String], tag: &str) -> bool {
    known
        .iter()
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use poem::{IntoResponse, endpoint::make_sync, web::Json};

    use super::*;

    async fn ask(method: Method, known: Option<&str>) -> Response {
        let inner = make_sync(|request: Request| {
            let created = *request.method() == Method::POST;
            let status = if created {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            Json(serde_json::json!({ "id": 7 }))
                .with_status(status)
                .into_response()
        });
        let mut request = Request::builder().method(method);
        if let Some(known) = known {
            request = request.header(header::IF_NONE_MATCH, known);
        }
        Tagged { inner }.call(request.finish()).await.unwrap()
    }

    #[tokio::test]
    async fn a_client_that_has_it_is_told_so() {
        let mut first = ask(Method::GET, None).await;
        let tag = first.header(header::ETAG).unwrap().to_owned();
        assert_eq!(first.take_body().into_string().await.unwrap(), r#"{"id":7}"#);
        for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let mut again = ask(Method::GET, Some(&known)).await;
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(again.header(header::ETAG), Some(tag.as_str()));
            assert!(again.take_body().into_bytes().await.unwrap().is_empty());
        }
        assert_eq!(ask(Method::GET, Some("\"x\"")).await.status(), StatusCode::OK);
        let made = ask(Method::POST, Some("*")).await;
        assert_eq!(
            (made.status(), made.header(header::ETAG)),
            (StatusCode::CREATED, None)
        );
    }
}
