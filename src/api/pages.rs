//! The few pages for people: where the API begins, and a link that no longer works.

use poem::{
    Response, handler,
    http::{HeaderValue, StatusCode, header},
};

/// No script, nothing from elsewhere; the style is in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where a developer begins.
#[handler]
pub(super) fn home() -> Response {
    page(StatusCode::OK, include_str!("pages/home.html").to_owned())
}

/// What a person sees whose link does not lead to anything.
pub(super) fn broken_link(status: StatusCode, detail: &str) -> Response {
    page(
        status,
        include_str!("pages/broken_link.html").replace("{{detail}}", &escaped(detail)),
    )
}

/// A page of HTML.
pub(super) fn page(status: StatusCode, html: String) -> Response {
    Response::builder()
        .status(status)
        .content_type("text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
        .body(html)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
