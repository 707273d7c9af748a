//! Serves the documents and one page of Swagger UI over all of them, with nothing loaded from elsewhere.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use poem::{
    Body, EndpointExt, Request, Response, Route,
    endpoint::make_sync,
    get,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use poem_openapi::OpenApiService;
use sha2::{Digest, Sha256};

use super::Document;

/// Scripts and requests go to this server alone. Swagger UI sets inline styles and shows inline SVG.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Serves `/docs`, `/openapi.json`, `/openapi.yaml`, `/openapi/plannr.json` and `/openapi/feather.json`.
///
/// The page's own files lie under `/docs/`. All are answered with an `ETag`, and 304 to a browser that has them.
pub fn routes(unified: &Document, plannr: &Document, feather: &Document) -> Route {
    let (script, style) = swagger_ui();
    Route::new()
        .at(
            "/docs",
            file("text/html; charset=utf-8", include_str!("page/index.html")),
        )
        .at(
            "/docs/page.css",
            file("text/css; charset=utf-8", include_str!("page/page.css")),
        )
        .at(
            "/docs/page.js",
            file("text/javascript; charset=utf-8", include_str!("page/page.js")),
        )
        .at("/docs/swagger-ui.css", file("text/css; charset=utf-8", &style))
        .at(
            "/docs/swagger-ui.js",
            file("text/javascript; charset=utf-8", &script),
        )
        .at("/openapi.json", file("application/json", unified.json()))
        .at("/openapi.yaml", file("application/yaml", unified.yaml()))
        .at("/openapi/plannr.json", file("application/json", plannr.json()))
        .at("/openapi/feather.json", file("application/json", feather.json()))
}

/// One file that does not change while the server runs.
fn file(content_type: &'static str, text: &str) -> poem::RouteMethod {
    let body = bytes::Bytes::copy_from_slice(text.as_bytes());
    let tag = entity_tag(text);
    let endpoint = make_sync(move |request: Request| {
        let response = Response::builder()
            .header(header::ETAG, &tag)
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .header(header::REFERRER_POLICY, "no-referrer");
        if is_known(request.headers(), &tag) {
            return response.status(StatusCode::NOT_MODIFIED).finish();
        }
        response
            .content_type(content_type)
            .body(Body::from_bytes(body.clone()))
    });
    get(endpoint.map_to_response())
}

fn entity_tag(text: &str) -> String {
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes())))
}

/// Whether `If-None-Match` names the tag (RFC 9110, section 13.1.2; compression makes it a weak one).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let named = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    named.flat_map(|list| list.split(',')).any(|one| {
        let one = one.trim();
        one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag
    })
}

/// Swagger UI's script and style sheet. poem-openapi embeds them, and gives them out only inside its own page.
pub(super) fn swagger_ui() -> (String, String) {
    let page = OpenApiService::new((), "", "").swagger_ui_html();
    let between = |open: &str, close: &str| {
        let (_, rest) = page.split_once(open)?;
        rest.split_once(close).map(|(text, _)| text.to_owned())
    };
    let script = between("<script charset=\"UTF-8\">", "</script>");
    let style = between("<style charset=\"UTF-8\">", "</style>");
    (script.unwrap_or_default(), style.unwrap_or_default())
}
