//! What goes wrong before a handler, or in one, is answered in the form of the dialect that was spoken.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

use crate::{
    support::gateway::{Backend, Gateway, both},
    world::{Answer, id, send, unreachable_mailbox},
};

mod on {
    use super::both;
    both!(
        every_refusal_has_the_form_of_its_dialect,
        fields_are_named_where_they_are,
        a_request_keeps_its_id,
    );
}

/// Whose form an error has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Unified,
    Plannr,
    Feather,
}
use Dialect::{Feather, Plannr, Unified};

/// Checks the form; answers the word or sentence that tells errors apart.
fn form(dialect: Dialect, answer: &Answer, path: &str) -> String {
    let json = answer.json();
    let fields: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let text = |name: &str| {
        let text = json[name].as_str();
        text.unwrap_or_else(|| panic!("no {name}: {answer:?}")).to_owned()
    };
    let kind = answer.header("content-type").unwrap();
    match dialect {
        Unified => {
            assert_eq!(kind, "application/problem+json", "{answer:?}");
            assert_eq!(json["status"], answer.status, "{answer:?}");
            assert_eq!(text("instance"), path.split('?').next().unwrap());
            assert_eq!(text("type"), format!("urn:postroom:problem:{}", text("code")));
            assert_eq!(answer.header("x-request-id"), json["request_id"].as_str());
            assert!(!text("title").is_empty() && !text("detail").is_empty() && !text("fix").is_empty());
            assert_eq!(json["errors"].is_array(), answer.status == 422, "{answer:?}");
            text("code")
        }
        Plannr => {
            assert!(kind.starts_with("application/json"), "{answer:?}");
            if answer.status == 422 {
                assert_eq!(fields, ["message", "errors"], "{answer:?}");
                let lists = json["errors"].as_object().unwrap();
                assert!(
                    !lists.is_empty() && lists.values().all(Value::is_array),
                    "{answer:?}"
                );
            } else {
                assert_eq!(fields, ["message"], "{answer:?}");
            }
            text("message")
        }
        Feather if answer.status == 422 => {
            assert_eq!(fields, ["detail"], "{answer:?}");
            for fault in json["detail"].as_array().unwrap() {
                assert!(fault["loc"].is_array() && fault["msg"].is_string() && fault["type"].is_string());
            }
            "validation".to_owned()
        }
        Feather => {
            assert!(kind.starts_with("application/json"), "{answer:?}");
            assert_eq!(
                fields,
                ["error", "message", "retryable", "retry_after"],
                "{answer:?}"
            );
            text("error")
        }
    }
}

async fn every_refusal_has_the_form_of_its_dialect(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let key = tenant.key.as_str();
    let own = unreachable_mailbox("a@example.org", "gmail");
    let own = id(&gateway.make(key, "/v1/mailboxes", own).await["id"]);
    for (dialect, known, unknown, method) in [
        (Unified, "/v1/mailboxes", "/v1/nothing", "PATCH"),
        (Plannr, "/api/v1/mailboxes", "/api/v1/nothing", "PUT"),
        (Feather, "/v1/email/accounts", "/v1/email/nothing", "PATCH"),
    ] {
        let missing = refused(dialect, gateway.request("GET", "", known), 401).await;
        assert!(missing.header("www-authenticate").is_some());
        if dialect == Plannr {
            assert_eq!(missing.json(), json!({"message": "Unauthenticated."}));
        }
        refused(dialect, gateway.request("GET", key, unknown), 404).await;
        let wrong = refused(dialect, gateway.request("DELETE", key, known), 405).await;
        let allow: Vec<&str> = wrong.header("allow").unwrap().split(", ").collect();
        assert!(allow.contains(&"GET") && !allow.contains(&"DELETE"), "{allow:?}");
        let path = format!("{known}/{own}");
        unreadable_bodies(&gateway, key, dialect, method, &path).await;
        too_large(&gateway, key, dialect, method, &path).await;
        for id in [Uuid::now_v7().to_string(), "not-an-id".to_owned()] {
            let gone = gateway.request(method, key, &format!("{known}/{id}"));
            refused(dialect, gone.json(&json!({})), 404).await;
        }
    }
    gateway.stop().await;
}

/// Sends a request that is refused with this status, in the dialect's form.
async fn refused(dialect: Dialect, request: reqwest::RequestBuilder, status: u16) -> Answer {
    let path = request
        .try_clone()
        .unwrap()
        .build()
        .unwrap()
        .url()
        .path()
        .to_owned();
    let answer = send(request).await;
    assert_eq!(answer.status, status, "{dialect:?} {path}: {answer:?}");
    form(dialect, &answer, &path);
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    answer
}

/// Bodies that are no JSON, JSON of another type, and of another media type.
async fn unreadable_bodies(gateway: &Gateway, key: &str, dialect: Dialect, method: &str, path: &str) {
    let typed = |kind: &str, body: &[u8]| {
        let request = gateway.request(method, key, path);
        request.header("content-type", kind).body(body.to_vec())
    };
    let unreadable = if dialect == Feather { 422 } else { 400 };
    let bodies: [&[u8]; 5] = [b"{", b"{\"name\": }", b"\"\0", b"{}{}", b"\xff\xfe"];
    for body in bodies {
        refused(dialect, typed("application/json", body), unreadable).await;
    }
    let status = if dialect == Plannr { 400 } else { 422 };
    refused(dialect, typed("application/json", b"[1]"), status).await;
    // Plannr's operation documents no body, and none of its types either.
    if dialect != Plannr {
        refused(dialect, typed("text/plain", b"{}"), 415).await;
        refused(
            dialect,
            typed("application/x-www-form-urlencoded", b"name=x"),
            415,
        )
        .await;
        refused(dialect, gateway.request(method, key, path), 415).await;
    }
}

/// More than 1 MiB is refused, with a length and without; 1 MiB is read.
async fn too_large(gateway: &Gateway, key: &str, dialect: Dialect, method: &str, path: &str) {
    let body = |size: usize| format!("{{\"name\":\"{}\"}}", "x".repeat(size - 11));
    let request = || {
        gateway
            .request(method, key, path)
            .header("content-type", "application/json")
    };
    let answer = send(request().body(body(1024 * 1024 + 1))).await;
    assert_eq!(answer.status, 413, "{dialect:?}: {answer:?}");
    form(dialect, &answer, path);
    let answer = send(request().body(body(1024 * 1024))).await;
    assert_eq!(
        answer.status, 422,
        "{dialect:?}: it is read, and the name is too long: {answer:?}"
    );
    // In chunks, so that nothing says beforehand how much it will be.
    let address = gateway.url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..17 {
        // The server may answer and close before it has read everything.
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes).await);
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.starts_with("HTTP/1.1 413"), "{dialect:?}: {text}");
}

/// Bodies that break rules, and the fields that are named for it.
const BODIES: [(&str, &str, &str, &[&str]); 10] = [
    ("POST", "/v1/mailboxes", "{}", &["/address", "/imap"]),
    (
        "POST",
        "/v1/mailboxes",
        r#"{"address": "a@b.example", "imap": {"host": "h", "port": 0, "security": "none", "password": "p"}}"#,
        &["/imap/port", "/imap/username"],
    ),
    (
        "POST",
        "/v1/mailboxes",
        r#"{"address": "a@b.example", "imap": {"host": "h", "port": 1, "security": "none", "username": "u"}}"#,
        &["/imap/password"],
    ),
    (
        "POST",
        "/v1/mailboxes",
        r#"{"address": "a@b.example", "imap": null, "colour": 1}"#,
        &["/colour", "/imap"],
    ),
    (
        "POST",
        "/v1/mailboxes/verify",
        r#"{"imap": {"host": "a b", "port": 1, "security": "none", "username": "a\u0000", "password": "p"}}"#,
        &["/imap/host", "/imap/username"],
    ),
    (
        "POST",
        "/v1/members",
        r#"{"first_name": 5, "role": "king"}"#,
        &["/email", "/first_name", "/last_name", "/role"],
    ),
    (
        "POST",
        "/v1/api-keys",
        r#"{"name": "x", "scopes": []}"#,
        &["/scopes"],
    ),
    (
        "POST",
        "/v1/api-keys",
        r#"{"name": "x", "scopes": ["platform:admin"]}"#,
        &["/scopes/0"],
    ),
    (
        "PATCH",
        "/v1/tenant",
        r#"{"month_end": 32, "billing": {"iban": "x", "invoice_email": 5}}"#,
        &["/billing/iban", "/billing/invoice_email", "/month_end"],
    ),
    ("PATCH", "/v1/tenant", r#"{"billing": "x"}"#, &["/billing"]),
];

async fn fields_are_named_where_they_are(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let key = tenant.key.as_str();
    for (method, path, body, pointers) in BODIES {
        let request = gateway.request(method, key, path);
        let request = request.header("content-type", "application/json").body(body);
        let json = refused(Unified, request, 422).await.json();
        let faults = json["errors"].as_array().unwrap();
        assert!(faults.iter().all(|fault| fault["place"] == "body"), "{json}");
        assert!(!json.to_string().contains("anyOf"), "in words of its own: {json}");
        let mut named: Vec<&str> = faults
            .iter()
            .map(|fault| fault["pointer"].as_str().unwrap())
            .collect();
        named.sort_unstable();
        named.dedup();
        assert_eq!(named, pointers, "{body}: {json:#}");
    }
    parameters_and_the_other_dialects(&gateway, key).await;
    gateway.stop().await;
}

async fn parameters_and_the_other_dialects(gateway: &Gateway, key: &str) {
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=nonsense",
        "unread=maybe",
        "received_after=yesterday",
        "mailbox_id=5",
    ] {
        let request = gateway.request("GET", key, &format!("/v1/messages?{query}"));
        let fault = &refused(Unified, request, 422).await.json()["errors"][0];
        let name = format!("/{}", query.split('=').next().unwrap());
        assert_eq!(
            (&fault["place"], &fault["pointer"]),
            (&json!("query"), &json!(name))
        );
    }
    let own = unreachable_mailbox("a@example.org", "gmail");
    let own = id(&gateway.make(key, "/v1/mailboxes", own).await["id"]);
    for query in [
        "per_page=0",
        "per_page=501",
        "page[ancestors]=0",
        "page[descendants]=x",
    ] {
        let request = gateway.request("GET", key, &format!("/api/v1/mailboxes/message/{own}?{query}"));
        let json = refused(Plannr, request, 422).await.json();
        let name = query.split('=').next().unwrap();
        assert!(json["errors"][name].is_array(), "{json}");
    }
    for (body, field) in [
        (json!({"colour": 1}), "colour"),
        (json!({"agent_id": "x"}), "agent_id"),
        (
            json!({"default_signature_html": "x".repeat(20_001)}),
            "default_signature_html",
        ),
    ] {
        let request = gateway.request("PATCH", key, &format!("/v1/email/accounts/{own}"));
        let json = refused(Feather, request.json(&body), 422).await.json();
        assert_eq!(json["detail"][0]["loc"], json!(["body", field]), "{json}");
    }
}

async fn a_request_keeps_its_id(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    for path in [
        "/v1/whoami",
        "/api/v1/mailboxes",
        "/v1/email/accounts",
        "/healthz",
        "/nothing",
        "/v1/nothing",
    ] {
        let kept = gateway.request("GET", "", path).header("x-request-id", "abc-1");
        assert_eq!(send(kept).await.header("x-request-id"), Some("abc-1"), "{path}");
        let made = send(gateway.request("GET", "", path)).await;
        let made: Uuid = made.header("x-request-id").unwrap().parse().unwrap();
        let replaced = gateway
            .request("GET", "", path)
            .header("x-request-id", "not sane");
        let replaced: Uuid = send(replaced)
            .await
            .header("x-request-id")
            .unwrap()
            .parse()
            .unwrap();
        assert_ne!(made, replaced);
    }
    let answer = send(gateway.request(Method::OPTIONS.as_str(), "", "/v1/mailboxes")).await;
    assert!([200, 204, 405].contains(&answer.status), "{answer:?}");
    gateway.stop().await;
}
