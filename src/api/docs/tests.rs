//! The whole way from handlers to what a browser gets.

#![expect(clippy::unused_async, reason = "poem-openapi takes async functions only")]

use poem::{
    Endpoint, Request, Response,
    http::{StatusCode, header},
};
use poem_openapi::{Object, OpenApi, OpenApiService, payload::Json};

use super::{Document, MendError, Options, page::swagger_ui, routes};

/// How it is.
#[derive(Object)]
struct Health {
    /// `ok`.
    status: String,
    /// What is wrong.
    #[oai(nullable)]
    trouble: Option<String>,
    /// For how many seconds.
    seconds: u64,
}

struct Api;

#[OpenApi]
impl Api {
    /// Whether it serves
    #[oai(path = "/health/:part", method = "get", operation_id = "getHealth")]
    async fn health(&self) -> Json<Health> {
        Json(Health {
            status: "ok".into(),
            trouble: None,
            seconds: 1,
        })
    }
}

fn document(title: &str) -> Document {
    let raw = OpenApiService::new(Api, title, "1.0").spec();
    Document::mend(
        &raw,
        &Options {
            prefix: "/v1".into(),
            ..Options::default()
        },
    )
    .unwrap()
}

async fn ask(path: &'static str, known: Option<&str>) -> Response {
    let routes = routes(&document("one"), &document("two"), &document("three"));
    let mut request = Request::builder().uri(path.parse().unwrap());
    if let Some(tag) = known {
        request = request.header(header::IF_NONE_MATCH, tag);
    }
    routes.call(request.finish()).await.unwrap()
}

async fn text(path: &'static str) -> String {
    let mut response = ask(path, None).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.take_body().into_string().await.unwrap()
}

#[test]
fn a_derived_document_is_mended() {
    let document = document("one");
    let health = document.value().pointer("/components/schemas/Health").unwrap();
    let expected = serde_json::json!({
        "type": "object",
        "description": "How it is.",
        "required": ["status", "trouble", "seconds"],
        "properties": {
            "status": { "type": "string", "description": "`ok`." },
            "trouble": { "type": ["string", "null"], "description": "What is wrong." },
            "seconds": { "type": "integer", "format": "int64", "description": "For how many seconds.", "minimum": 0 },
        },
    });
    assert_eq!(health, &expected);
    assert_eq!(document.allowed_methods("/v1/health/store"), ["GET", "HEAD"]);
    assert!(matches!(
        Document::mend("{", &Options::default()),
        Err(MendError::Json(_))
    ));
}

#[test]
fn the_same_document_gives_the_same_bytes() {
    let (a, b) = (document("one"), document("one"));
    assert_eq!((a.json(), a.yaml()), (b.json(), b.yaml()));
    assert!(
        a.yaml().starts_with("openapi: 3.1.0\ninfo:\n  title: one\n"),
        "{}",
        a.yaml()
    );
    let again: serde_json::Value = serde_yaml_ng::from_str(a.yaml()).unwrap();
    assert_eq!(&again, a.value());
}

#[tokio::test]
async fn each_document_is_served() {
    for (path, title) in [
        ("/openapi.json", "one"),
        ("/openapi/plannr.json", "two"),
        ("/openapi/feather.json", "three"),
    ] {
        assert_eq!(text(path).await, document(title).json());
    }
    assert_eq!(text("/openapi.yaml").await, document("one").yaml());
}

#[tokio::test]
async fn the_page_loads_only_what_is_served_here() {
    let page = text("/docs").await;
    assert!(page.contains("postroom"));
    for path in [
        "/docs/page.css",
        "/docs/page.js",
        "/docs/swagger-ui.css",
        "/docs/swagger-ui.js",
    ] {
        assert!(
            page.contains(&format!("\"{}\"", path.trim_start_matches('/'))),
            "{path}"
        );
        assert!(!text(path).await.is_empty(), "{path}");
    }
    let policy = ask("/docs", None)
        .await
        .header(header::CONTENT_SECURITY_POLICY)
        .unwrap()
        .to_owned();
    assert!(
        policy.starts_with("default-src 'none';") && !policy.contains("http"),
        "{policy}"
    );
}

#[tokio::test]
async fn a_browser_that_has_a_file_is_told_so() {
    let tag = ask("/docs", None).await.header(header::ETAG).unwrap().to_owned();
    for known in [tag.clone(), format!("\"x\", W/{tag}")] {
        assert_eq!(
            ask("/docs", Some(&known)).await.status(),
            StatusCode::NOT_MODIFIED
        );
    }
    assert_eq!(ask("/docs", Some("\"x\"")).await.status(), StatusCode::OK);
}

#[test]
fn poem_openapi_still_embeds_swagger_ui() {
    let (script, style) = swagger_ui();
    assert!(script.contains("SwaggerUIBundle") && script.len() > 500_000);
    assert!(style.contains(".swagger-ui") && style.len() > 50_000);
}
