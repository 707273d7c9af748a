//! Who may do what: credentials, tokens, scopes, roles, addresses and rate limits.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    support::gateway::{Backend, Gateway, Tenant, both},
    world::{Answer, Operation, id, operations, send, unreachable_mailbox},
};

mod on {
    use super::both;
    both!(
        a_key_is_taken_in_either_header_until_it_ends,
        a_token_may_no_more_than_its_key_and_ends_with_it,
        every_operation_asks_for_its_scope,
        only_listed_addresses_may_use_the_keys,
    );
}

/// The scope that an operation asks for; empty is none, `platform` the platform admin key.
const SCOPES: [(&str, &str); 72] = [
    ("whoami", ""),
    ("list_mailboxes", "mailboxes:read"),
    ("create_mailbox", "mailboxes:write"),
    ("get_mailbox", "mailboxes:read"),
    ("update_mailbox", "mailboxes:write"),
    ("delete_mailbox", "mailboxes:write"),
    ("reconnect_mailbox", "mailboxes:write"),
    ("verify_mailbox", "mailboxes:write"),
    ("list_folders", "mailboxes:read"),
    ("list_messages", "messages:read"),
    ("get_message", "messages:read"),
    ("get_message_raw", "messages:read"),
    ("update_message", "messages:write"),
    ("delete_message", "messages:write"),
    ("list_threads", "messages:read"),
    ("get_thread", "messages:read"),
    ("get_attachment", "messages:read"),
    ("get_attachment_content", "messages:read"),
    ("list_events", "webhooks:read"),
    ("stream_events", "webhooks:read"),
    ("list_webhook_endpoints", "webhooks:read"),
    ("create_webhook_endpoint", "webhooks:write"),
    ("get_webhook_endpoint", "webhooks:read"),
    ("update_webhook_endpoint", "webhooks:write"),
    ("delete_webhook_endpoint", "webhooks:write"),
    ("rotate_webhook_secret", "webhooks:write"),
    ("test_webhook_endpoint", "webhooks:write"),
    ("replay_webhook_events", "webhooks:write"),
    ("list_webhook_deliveries", "webhooks:read"),
    ("retry_webhook_delivery", "webhooks:write"),
    ("list_agents", "mailboxes:read"),
    ("create_agent", "mailboxes:write"),
    ("get_agent", "mailboxes:read"),
    ("update_agent", "mailboxes:write"),
    ("delete_agent", "mailboxes:write"),
    ("list_agent_revisions", "mailboxes:read"),
    ("create_agent_revision", "mailboxes:write"),
    ("list_teams", "mailboxes:read"),
    ("create_team", "mailboxes:write"),
    ("get_team", "mailboxes:read"),
    ("update_team", "mailboxes:write"),
    ("delete_team", "mailboxes:write"),
    ("list_team_revisions", "mailboxes:read"),
    ("create_team_revision", "mailboxes:write"),
    ("list_members", ""),
    ("create_member", "members:write"),
    ("get_member", ""),
    ("update_member", "members:write"),
    ("delete_member", "members:write"),
    ("list_api_keys", ""),
    ("create_api_key", "keys:write"),
    ("get_api_key", ""),
    ("revoke_api_key", "keys:write"),
    ("rotate_api_key", "keys:write"),
    ("create_token", ""),
    ("get_own_tenant", ""),
    ("update_own_tenant", "tenant:write"),
    ("list_tenants", "platform"),
    ("create_tenant", "platform"),
    ("get_tenant", "platform"),
    ("update_tenant", "platform"),
    ("delete_tenant", "platform"),
    ("listMailboxes", "mailboxes:read"),
    ("updateMailbox", "mailboxes:write"),
    ("getMailboxMessage", "messages:read"),
    ("listWebhookSubscriptions", "webhooks:read"),
    ("createWebhookSubscription", "webhooks:write"),
    ("getWebhookSubscription", "webhooks:read"),
    ("updateWebhookSubscription", "webhooks:write"),
    ("listEmailMailboxes", "mailboxes:read"),
    ("updateEmailMailbox", "mailboxes:write"),
    ("disconnectEmailMailbox", "mailboxes:write"),
];

/// Who `/v1/whoami` says that a request with these headers is.
pub(crate) async fn whoami(gateway: &Gateway, headers: &[(&str, &str)]) -> (u16, Value) {
    let mut request = gateway.request("GET", "", "/v1/whoami");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = send(request).await;
    (answer.status, answer.json())
}

/// The code of a refusal of `/v1/whoami`.
async fn refusal(gateway: &Gateway, headers: &[(&str, &str)]) -> (u16, String) {
    let (status, json) = whoami(gateway, headers).await;
    let code = json["code"].as_str();
    (
        status,
        code.unwrap_or_else(|| panic!("no refusal: {json}")).to_owned(),
    )
}

async fn a_key_is_taken_in_either_header_until_it_ends(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let other = gateway.tenant("Other").await;
    let bearer = |text: &str| format!("Bearer {text}");
    let key = &tenant.key;
    for headers in [
        vec![("x-api-key", key.as_str())],
        vec![("authorization", &bearer(key))],
        vec![("authorization", &format!("bearer  {key}"))],
        // Both at once: the key of `x-api-key` counts.
        vec![
            ("x-api-key", key.as_str()),
            ("authorization", &bearer(&other.key)),
        ],
    ] {
        let (status, json) = whoami(&gateway, &headers).await;
        assert_eq!(
            (status, id(&json["tenant"]["id"])),
            (200, tenant.id),
            "{headers:?}"
        );
    }
    let mut changed = key.clone();
    let last = if changed.pop() == Some('x') { 'y' } else { 'x' };
    changed.push(last);
    let basic = format!("Basic {key}");
    for (headers, code) in [
        (vec![], "credential_missing"),
        (vec![("x-api-key", "")], "credential_missing"),
        (vec![("authorization", basic.as_str())], "credential_missing"),
        (vec![("x-api-key", "nonsense")], "credential_unknown"),
        (vec![("x-api-key", changed.as_str())], "credential_unknown"),
        (
            vec![("x-api-key", "nonsense"), ("authorization", &bearer(key))],
            "credential_unknown",
        ),
    ] {
        assert_eq!(
            refusal(&gateway, &headers).await,
            (401, code.to_owned()),
            "{headers:?}"
        );
    }
    let challenge = send(gateway.request("GET", "", "/v1/whoami")).await;
    assert!(
        challenge
            .header("www-authenticate")
            .unwrap()
            .starts_with("Bearer")
    );
    a_secret_is_shown_once(&gateway, key).await;
    gateway.stop().await;
}

/// A key is shown where it is made or rotated, and stops when it is revoked, rotated or past its time.
async fn a_secret_is_shown_once(gateway: &Gateway, key: &str) {
    let body = json!({"name": "CRM", "scopes": ["messages:read"], "expires_at": "2999-01-01T00:00:00Z"});
    let made = gateway.make(key, "/v1/api-keys", body).await;
    let (made_id, secret) = (id(&made["id"]), made["key"].as_str().unwrap());
    assert!(secret.starts_with("pr_live_") && secret.starts_with(made["prefix"].as_str().unwrap()));
    let path = format!("/v1/api-keys/{made_id}");
    for path in [path.as_str(), "/v1/api-keys"] {
        let shown = gateway.get(key, path).await.to_string();
        assert!(
            shown.contains(&made_id.to_string()) && !shown.contains(secret),
            "{shown}"
        );
    }
    let (status, rotated) = gateway.call("POST", key, &format!("{path}/rotate"), None).await;
    assert_eq!(
        (status, &rotated["id"], &rotated["expires_at"]),
        (200, &made["id"], &made["expires_at"])
    );
    let fresh = rotated["key"].as_str().unwrap();
    assert_eq!(
        refusal(gateway, &[("x-api-key", secret)]).await.1,
        "credential_unknown"
    );
    assert_eq!(whoami(gateway, &[("x-api-key", fresh)]).await.0, 200);
    for expected in [204, 404] {
        assert_eq!(gateway.call("DELETE", key, &path, None).await.0, expected);
    }
    assert_eq!(
        refusal(gateway, &[("x-api-key", fresh)]).await,
        (401, "credential_unknown".into())
    );
    let (status, _) = gateway.call("POST", key, &format!("{path}/rotate"), None).await;
    assert_eq!(status, 404, "a revoked key is not revived");
    let past = json!({"name": "Late", "scopes": ["messages:read"], "expires_at": "2020-01-01T00:00:00Z"});
    let (status, json) = gateway.call("POST", key, "/v1/api-keys", Some(past)).await;
    assert_eq!(
        (status, &json["errors"][0]["pointer"]),
        (422, &json!("/expires_at"))
    );
}

async fn a_token_may_no_more_than_its_key_and_ends_with_it(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let body = json!({"name": "Reader", "scopes": ["mailboxes:read", "messages:read"]});
    let reader = gateway.make(&tenant.key, "/v1/api-keys", body).await;
    let key = reader["key"].as_str().unwrap();
    let narrow = gateway
        .make(key, "/v1/tokens", json!({"scopes": ["messages:read"]}))
        .await;
    assert_eq!(
        (&narrow["token_type"], &narrow["scopes"]),
        (&json!("Bearer"), &json!(["messages:read"]))
    );
    let token = narrow["access_token"].as_str().unwrap();
    let bearer = format!("Bearer {token}");
    let (status, seen) = whoami(&gateway, &[("authorization", &bearer)]).await;
    assert_eq!(
        (status, &seen["scopes"], &seen["api_key"]["id"]),
        (200, &json!(["messages:read"]), &reader["id"])
    );
    let allowed = |path| send(gateway.request("GET", token, path));
    assert_eq!(allowed("/v1/messages").await.status, 200);
    assert_eq!(allowed("/v1/mailboxes").await.json()["code"], "scope_missing");
    let (status, json) = gateway
        .call("POST", key, "/v1/tokens", Some(json!({"scopes": ["keys:write"]})))
        .await;
    assert_eq!((status, &json["code"]), (403, &json!("scope_too_broad")));
    let (status, _) = gateway
        .call(
            "POST",
            token,
            "/v1/tokens",
            Some(json!({"scopes": ["mailboxes:read"]})),
        )
        .await;
    assert_eq!(status, 403, "a token makes none broader than itself");
    let whole = gateway.make(key, "/v1/tokens", json!({})).await;
    assert_eq!(whole["scopes"], reader["scopes"]);
    for forged in forgeries(token) {
        assert_eq!(
            refusal(&gateway, &[("x-api-key", &forged)]).await.0,
            401,
            "{forged}"
        );
    }
    let path = format!("/v1/api-keys/{}", id(&reader["id"]));
    assert_eq!(gateway.call("DELETE", &tenant.key, &path, None).await.0, 204);
    assert_eq!(
        refusal(&gateway, &[("authorization", &bearer)]).await,
        (401, "credential_unknown".into())
    );
    gateway.stop().await;
}

/// The token with more scopes, without a signature, and signed with what is public.
fn forgeries(token: &str) -> Vec<String> {
    let parts: Vec<&str> = token.split('.').collect();
    let decoded = URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
    let mut claims: Value = serde_json::from_slice(&decoded).unwrap();
    claims["scope"] = json!("messages:read keys:write");
    let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
    let header = |alg: &str| URL_SAFE_NO_PAD.encode(json!({"alg": alg, "typ": "JWT"}).to_string());
    vec![
        format!("{}.{claims}.{}", parts[0], parts[2]),
        format!("{}.{}.", header("none"), parts[1]),
        format!("{}.{claims}.", header("none")),
        format!("{}.{claims}.{}", header("HS256"), parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
    ]
}

/// The body that an operation takes, as far as its scope is asked for.
fn body(operation: &Operation) -> Option<Value> {
    let server =
        json!({"host": "127.0.0.1", "port": 1, "security": "none", "username": "a", "password": "b"});
    Some(match operation.id.as_str() {
        "create_mailbox" => unreachable_mailbox("a@example.org", "imap"),
        "verify_mailbox" => json!({"imap": server}),
        "create_member" => {
            json!({"first_name": "A", "last_name": "B", "email": "a@example.org", "role": "owner"})
        }
        "create_api_key" => json!({"name": "A", "scopes": ["messages:read"]}),
        "create_webhook_endpoint" => json!({"url": "http://127.0.0.1:1/"}),
        "createWebhookSubscription" => json!({"url": "http://127.0.0.1:1/", "events": ["message.received"]}),
        "updateWebhookSubscription" => json!({"events": ["message.received"]}),
        "replay_webhook_events" => json!({"since": "2026-01-01T00:00:00Z"}),
        "create_agent" | "create_team" | "create_tenant" => json!({"name": "A"}),
        _ if operation.method == "POST" || operation.method == "GET" || operation.method == "DELETE" => {
            return None;
        }
        _ => json!({}),
    })
}

/// A key of the tenant with these scopes.
async fn key_with(gateway: &Gateway, tenant: &Tenant, scopes: Value) -> String {
    let body = json!({"name": "x", "scopes": scopes});
    let made = gateway.make(&tenant.key, "/v1/api-keys", body).await;
    made["key"].as_str().unwrap().to_owned()
}

/// Calls an operation on something that is not there.
async fn call(gateway: &Gateway, key: &str, operation: &Operation) -> Answer {
    let random = Uuid::now_v7();
    let mut request = gateway.request(&operation.method, key, &operation.path_with(|_| random));
    if let Some(body) = body(operation) {
        request = request.json(&body);
    }
    send(request).await
}

async fn every_operation_asks_for_its_scope(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let all = gateway.get(&tenant.key, "/v1/whoami").await["scopes"].clone();
    let all: Vec<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap())
        .collect();
    for operation in operations() {
        let name = &operation.id;
        let scope = SCOPES.iter().find(|(id, _)| id == name);
        let (_, scope) = scope.unwrap_or_else(|| panic!("no scope is known of {name}"));
        match *scope {
            "platform" => {
                let refused = call(&gateway, &tenant.key, &operation).await;
                assert_eq!(refused.json()["code"], "platform_key_required", "{name}");
                let answer = call(&gateway, &gateway.admin_key(), &operation).await;
                assert_ne!(answer.status, 403, "{name}");
            }
            "" => {
                let other = key_with(&gateway, &tenant, json!(["audit:read"])).await;
                let answer = call(&gateway, &other, &operation).await;
                assert_ne!(answer.status, 403, "{name} asks for none: {answer:?}");
            }
            scope => {
                let others: Vec<&&str> = all.iter().filter(|one| **one != scope).collect();
                let others = key_with(&gateway, &tenant, json!(others)).await;
                let refused = call(&gateway, &others, &operation).await;
                assert_eq!(refused.status, 403, "{name} without {scope}: {refused:?}");
                if operation.path.starts_with("/v1/") && !operation.path.starts_with("/v1/email/") {
                    assert_eq!(refused.json()["code"], "scope_missing", "{name}");
                    assert!(
                        refused.text.contains(scope),
                        "the fix names the scope: {refused:?}"
                    );
                }
                let only = key_with(&gateway, &tenant, json!([scope])).await;
                let answer = call(&gateway, &only, &operation).await;
                // A key that acts as nobody else makes one, but none with more scopes than its own.
                let broader = answer.text.contains("scope_too_broad");
                assert!(broader || answer.status != 403, "{name} with {scope}: {answer:?}");
            }
        }
    }
    gateway.stop().await;
}

async fn only_listed_addresses_may_use_the_keys(backend: Backend) {
    let gateway = Gateway::start_with(backend, &["--trusted-proxies=127.0.0.1".to_owned()]).await;
    let tenant = gateway.tenant("Acme").await;
    let admin = gateway.admin_key();
    let path = format!("/v1/tenants/{}", tenant.id);
    let list = json!({"ip_whitelist": ["203.0.113.0/24", "2001:db8::7"]});
    gateway.change(&admin, &path, list).await;
    let from = async |forwarded: &str| {
        let headers = [("x-api-key", tenant.key.as_str()), ("x-forwarded-for", forwarded)];
        whoami(&gateway, &headers[..if forwarded.is_empty() { 1 } else { 2 }]).await
    };
    for (forwarded, expected) in [
        ("", 403),
        ("203.0.113.9", 200),
        ("2001:db8::7", 200),
        ("2001:db8::8", 403),
        ("203.0.114.1", 403),
        // What stands before the last address that is no proxy was written by the client.
        ("203.0.113.9, 198.51.100.1", 403),
        ("198.51.100.1, 203.0.113.9", 200),
    ] {
        let (status, json) = from(forwarded).await;
        assert_eq!(status, expected, "{forwarded}: {json}");
        assert!(status == 200 || json["code"] == "address_not_allowed", "{json}");
    }
    assert_eq!(
        gateway.get(&admin, &path).await["name"],
        "Acme",
        "the platform's key has no list"
    );
    for wrong in ["203.0.113.300", "nonsense", "203.0.113.0/33"] {
        let (status, json) = gateway
            .call("PATCH", &admin, &path, Some(json!({"ip_whitelist": [wrong]})))
            .await;
        assert_eq!(status, 422, "{wrong}: {json}");
    }
    gateway.change(&admin, &path, json!({"ip_whitelist": []})).await;
    assert_eq!(from("").await.0, 200);
    gateway.stop().await;
    // Without a trusted proxy the header says nothing.
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let path = format!("/v1/tenants/{}", tenant.id);
    let list = json!({"ip_whitelist": ["203.0.113.0/24"]});
    gateway.change(&gateway.admin_key(), &path, list).await;
    let headers = [
        ("x-api-key", tenant.key.as_str()),
        ("x-forwarded-for", "203.0.113.9"),
    ];
    assert_eq!(
        refusal(&gateway, &headers).await,
        (403, "address_not_allowed".into())
    );
    gateway.stop().await;
}
