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
    let any = Uuid::now_v7();
    let own = gateway
        .make(
            &tenant.key,
            "/v1/mailboxes",
            unreachable_mailbox("a@example.org", "gmail"),
        )
        .await;
    let own = id(&own["id"]);
    for (dialect, known, unknown, writes) in [
        (
            Unified,
            "/v1/mailboxes".to_owned(),
            "/v1/nothing",
            ("PATCH", format!("/v1/mailboxes/{own}")),
        ),
        (
            Plannr,
            "/api/v1/mailboxes".to_owned(),
            "/api/v1/nothing",
            ("PUT", format!("/api/v1/mailboxes/{own}")),
        ),
        (
            Feather,
            "/v1/email/accounts".to_owned(),
            "/v1/email/nothing",
            ("PATCH", format!("/v1/email/accounts/{own}")),
        ),
    ] {
        let check = async |request: reqwest::RequestBuilder, path: &str, status: u16| {
            let answer = send(request).await;
            assert_eq!(answer.status, status, "{dialect:?} {path}: {answer:?}");
            form(dialect, &answer, path);
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            answer
        };
        let request = |method: &str, path: &str| gateway.request(method, &tenant.key, path);
        let missing = check(gateway.request("GET", "", &known), &known, 401).await;
        assert!(missing.header("www-authenticate").is_some());
        if dialect == Plannr {
            assert_eq!(missing.json(), json!({"message": "Unauthenticated."}));
        }
        check(request("GET", unknown), unknown, 404).await;
        let wrong = check(request("DELETE", &known), &known, 405).await;
        let allow: Vec<&str> = wrong.header("allow").unwrap().split(", ").collect();
        assert!(allow.contains(&"GET") && !allow.contains(&"DELETE"), "{allow:?}");
        let (method, path) = (writes.0, writes.1.as_str());
        let typed =
            |kind: &str, body: &'static str| request(method, path).header("content-type", kind).body(body);
        let unreadable = if dialect == Feather { 422 } else { 400 };
        for body in ["{", "{\"name\": }", "\"\u{0}", "{}{}", "[1]"] {
            let status = if body == "[1]" && dialect != Plannr {
                422
            } else {
                unreadable
            };
            check(typed("application/json", body), path, status).await;
        }
        check(
            request(method, path)
                .header("content-type", "application/json")
                .body(vec![0xff, 0xfe]),
            path,
            unreadable,
        )
        .await;
        if dialect != Plannr {
            check(typed("text/plain", "{}"), path, 415).await;
            check(typed("application/x-www-form-urlencoded", "name=x"), path, 415).await;
            check(request(method, path), path, 415).await;
        }
        too_large(&gateway, &tenant.key, dialect, method, path).await;
        let gone = path.replace(&own.to_string(), &any.to_string());
        check(request(method, &gone).json(&json!({})), &gone, 404).await;
        let no_id = path.replace(&own.to_string(), "not-an-id");
        check(request(method, &no_id).json(&json!({})), &no_id, 404).await;
    }
    gateway.stop().await;
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

async fn fields_are_named_where_they_are(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let key = &tenant.key;
    let own = gateway
        .make(
            key,
            "/v1/mailboxes",
            unreachable_mailbox("a@example.org", "gmail"),
        )
        .await;
    let own = id(&own["id"]);
    for (method, path, body, pointers) in [
        ("POST", "/v1/mailboxes", json!({}), vec!["/address", "/imap"]),
        (
            "POST",
            "/v1/mailboxes",
            json!({"address": "a", "imap": {"host": "h", "port": 0, "security": "none", "username": "u"}}),
            vec!["/address", "/imap/password", "/imap/port"],
        ),
        (
            "POST",
            "/v1/mailboxes",
            json!({"address": "a@b.example", "imap": null, "colour": 1}),
            vec!["/colour", "/imap"],
        ),
        (
            "POST",
            "/v1/members",
            json!({"first_name": 5, "role": "king"}),
            vec!["/email", "/first_name", "/last_name", "/role"],
        ),
        (
            "POST",
            "/v1/api-keys",
            json!({"name": "x", "scopes": []}),
            vec!["/scopes"],
        ),
        (
            "POST",
            "/v1/api-keys",
            json!({"name": "x", "scopes": ["platform:admin"]}),
            vec!["/scopes/0"],
        ),
        (
            "PATCH",
            "/v1/tenant",
            json!({"month_end": 32, "billing": {"iban": "x"}}),
            vec!["/billing/iban", "/month_end"],
        ),
    ] {
        let answer = send(gateway.request(method, key, path).json(&body)).await;
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        assert_eq!(form(Unified, &answer, path), "invalid");
        let json = answer.json();
        let faults = json["errors"].as_array().unwrap();
        assert!(faults.iter().all(|fault| fault["place"] == "body"), "{json}");
        let mut named: Vec<&str> = faults
            .iter()
            .map(|fault| fault["pointer"].as_str().unwrap())
            .collect();
        named.sort_unstable();
        named.dedup();
        assert_eq!(named, pointers, "{body}: {json:#}");
    }
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=nonsense",
        "unread=maybe",
        "received_after=yesterday",
        "mailbox_id=5",
    ] {
        let path = format!("/v1/messages?{query}");
        let answer = send(gateway.request("GET", key, &path)).await;
        assert_eq!(answer.status, 422, "{query}: {answer:?}");
        form(Unified, &answer, &path);
        let fault = &answer.json()["errors"][0];
        let name = query.split('=').next().unwrap();
        assert_eq!(
            (&fault["place"], &fault["pointer"]),
            (&json!("query"), &json!(format!("/{name}")))
        );
    }
    for query in [
        "per_page=0",
        "per_page=501",
        "page[ancestors]=0",
        "page[descendants]=x",
    ] {
        let path = format!("/api/v1/mailboxes/message/{own}?{query}");
        let answer = send(gateway.request("GET", key, &path)).await;
        assert_eq!(answer.status, 422, "{query}: {answer:?}");
        form(Plannr, &answer, &path);
        let name = query.split('=').next().unwrap();
        assert!(answer.json()["errors"][name].is_array(), "{answer:?}");
    }
    let path = format!("/v1/email/accounts/{own}");
    for (body, place) in [
        (json!({"colour": 1}), json!(["body", "colour"])),
        (json!({"agent_id": "x"}), json!(["body", "agent_id"])),
        (
            json!({"default_signature_html": "x".repeat(20_001)}),
            json!(["body", "default_signature_html"]),
        ),
    ] {
        let answer = send(gateway.request("PATCH", key, &path).json(&body)).await;
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        form(Feather, &answer, &path);
        assert_eq!(answer.json()["detail"][0]["loc"], place, "{answer:?}");
    }
    gateway.stop().await;
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
