//! The wall between tenants: another tenant's id answers as an unknown one, in every operation of the three documents.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    sandbox::serve,
    support::gateway::{Backend, Gateway, Tenant, both},
    world::{Answer, Operation, Populated, operations, send, unreachable_mailbox},
};

mod on {
    use super::both;
    both!(
        another_tenants_ids_are_unknown_ids,
        what_a_member_does_not_see_is_unknown_to_it,
        the_platforms_operations_are_shut_to_tenants,
    );
}

/// Every operation, with a body that it takes; where ids go follows from the document.
const PLANS: [(&str, &str); 72] = [
    ("whoami", ""),
    ("list_mailboxes", ""),
    (
        "create_mailbox",
        r#"{"address": "new@example.org", "imap": {"host": "127.0.0.1", "port": 1, "security": "none", "username": "a", "password": "b"}}"#,
    ),
    ("get_mailbox", ""),
    ("update_mailbox", r#"{"name": "Mine"}"#),
    ("delete_mailbox", ""),
    ("reconnect_mailbox", ""),
    (
        "verify_mailbox",
        r#"{"imap": {"host": "127.0.0.1", "port": 1, "security": "none", "username": "a", "password": "b"}}"#,
    ),
    ("list_folders", ""),
    ("list_messages", ""),
    ("get_message", ""),
    ("get_message_raw", ""),
    ("update_message", r#"{"unread": false}"#),
    ("delete_message", ""),
    ("list_threads", ""),
    ("get_thread", ""),
    ("get_attachment", ""),
    ("get_attachment_content", ""),
    ("list_events", ""),
    ("stream_events", ""),
    ("list_webhook_endpoints", ""),
    ("create_webhook_endpoint", r#"{"url": "http://127.0.0.1:1/"}"#),
    ("get_webhook_endpoint", ""),
    ("update_webhook_endpoint", r#"{"description": "Mine"}"#),
    ("delete_webhook_endpoint", ""),
    ("rotate_webhook_secret", ""),
    ("test_webhook_endpoint", ""),
    ("replay_webhook_events", r#"{"since": "2026-01-01T00:00:00Z"}"#),
    ("list_webhook_deliveries", ""),
    ("retry_webhook_delivery", ""),
    ("list_agents", ""),
    ("create_agent", r#"{"name": "Mine"}"#),
    ("get_agent", ""),
    ("update_agent", r#"{"name": "Mine"}"#),
    ("delete_agent", ""),
    ("list_agent_revisions", ""),
    ("create_agent_revision", "{}"),
    ("list_teams", ""),
    ("create_team", r#"{"name": "Mine"}"#),
    ("get_team", ""),
    ("update_team", r#"{"name": "Mine"}"#),
    ("delete_team", ""),
    ("list_team_revisions", ""),
    ("create_team_revision", "{}"),
    ("list_members", ""),
    (
        "create_member",
        r#"{"first_name": "A", "last_name": "B", "email": "new@example.org", "role": "employee"}"#,
    ),
    ("get_member", ""),
    ("update_member", r#"{"first_name": "Mine"}"#),
    ("delete_member", ""),
    ("list_api_keys", ""),
    (
        "create_api_key",
        r#"{"name": "Mine", "scopes": ["messages:read"]}"#,
    ),
    ("get_api_key", ""),
    ("revoke_api_key", ""),
    ("rotate_api_key", ""),
    ("create_token", ""),
    ("get_own_tenant", ""),
    ("update_own_tenant", r#"{"county": "Mine"}"#),
    ("list_tenants", ""),
    ("create_tenant", r#"{"name": "Mine"}"#),
    ("get_tenant", ""),
    ("update_tenant", r#"{"county": "Mine"}"#),
    ("delete_tenant", ""),
    ("listMailboxes", ""),
    ("updateMailbox", r#"{"name": "Mine"}"#),
    ("getMailboxMessage", ""),
    ("listWebhookSubscriptions", ""),
    (
        "createWebhookSubscription",
        r#"{"url": "http://127.0.0.1:1/", "events": ["message.received"]}"#,
    ),
    ("getWebhookSubscription", ""),
    ("updateWebhookSubscription", r#"{"events": ["message.received"]}"#),
    ("listEmailMailboxes", ""),
    (
        "updateEmailMailbox",
        r#"{"default_signature_html": "<p>Mine</p>"}"#,
    ),
    ("disconnectEmailMailbox", ""),
];

/// The body that an operation is called with.
///
/// # Panics
/// When there is no plan for it: a new operation must be added to [`PLANS`].
fn plan(operation: &str) -> Option<Value> {
    let planned = PLANS.iter().find(|(id, _)| *id == operation);
    let (_, body) = planned.unwrap_or_else(|| panic!("isolation has no plan for the operation {operation}"));
    (!body.is_empty()).then(|| serde_json::from_str(body).unwrap())
}

/// The kind of thing that an id of an operation names.
fn kind(operation: &str, name: &str) -> &'static str {
    match (operation, name) {
        ("updateMailbox", "uuid") | (_, "mailbox_id" | "mailbox_ids") => "mailbox",
        ("getWebhookSubscription" | "updateWebhookSubscription", "uuid") => "subscription",
        ("getMailboxMessage", "uuid") | (_, "message_id") => "message",
        ("update_agent", "active_revision_id") | (_, "agent_revision_id") => "agent_revision",
        ("update_team", "active_revision_id") | (_, "team_revision_id") => "team_revision",
        (_, "account_id") => "account",
        (_, "agent_id") => "agent",
        (_, "team_id") => "team",
        (_, "member_id") => "member",
        (_, "key_id") => "key",
        (_, "folder_id") => "folder",
        (_, "thread_id") => "thread",
        (_, "attachment_id") => "attachment",
        (_, "tenant_id") => "tenant",
        (_, "endpoint_id") => "endpoint",
        (_, "delivery_id") => "delivery",
        _ => panic!("isolation does not know what {name} of {operation} names"),
    }
}

#[test]
fn there_is_a_plan_for_every_operation_and_every_id() {
    let operations = operations();
    for operation in &operations {
        plan(&operation.id);
        let ids = operation.path_ids.iter().chain(&operation.query_ids);
        for name in ids.chain(&operation.body_ids) {
            kind(&operation.id, name);
        }
        let placeholders = operation.path.matches('{').count();
        assert_eq!(placeholders, operation.path_ids.len(), "{}", operation.path);
    }
    for (id, _) in PLANS {
        assert!(operations.iter().any(|one| one.id == id), "{id} is no operation");
    }
}

fn is_platform(operation: &Operation) -> bool {
    operation.path == "/v1/tenants" || operation.path.starts_with("/v1/tenants/")
}

/// Calls an operation with a body of the plan.
async fn call(gateway: &Gateway, key: &str, operation: &Operation, path: &str) -> Answer {
    let mut request = gateway.request(&operation.method, key, path);
    if let Some(body) = plan(&operation.id) {
        request = request.json(&body);
    }
    send(request).await
}

/// Calls an operation with two ids in its path; both answers are the same 404.
async fn same_404(gateway: &Gateway, key: &str, operation: &Operation, hidden: &Populated) {
    let foreign = |name: &str| hidden.ids[kind(&operation.id, name)];
    let random = Uuid::now_v7();
    let one = call(gateway, key, operation, &operation.path_with(foreign)).await;
    let other = call(gateway, key, operation, &operation.path_with(|_| random)).await;
    let sent: Vec<Uuid> = hidden.ids.values().copied().chain([random]).collect();
    assert_eq!(one.status, 404, "{}: {one:?}", operation.id);
    assert_eq!(one.said(&sent), other.said(&sent), "{}", operation.id);
}

/// Lists filtered by a hidden id are those filtered by a random one: empty.
async fn same_empty_lists(gateway: &Gateway, key: &str, operation: &Operation, hidden: &Populated) {
    if operation.id == "stream_events" {
        // Nothing comes of a hidden mailbox: the tests of events look.
        return;
    }
    for name in &operation.query_ids {
        for id in [hidden.ids[kind(&operation.id, name)], Uuid::now_v7()] {
            let path = format!("{}?{name}={id}", operation.path);
            let list = gateway.get(key, &path).await;
            assert_eq!(list, json!({"data": [], "next_cursor": null}), "{path}");
        }
    }
}

async fn another_tenants_ids_are_unknown_ids(backend: Backend) {
    let (_sandbox, port, _stop) = serve().await;
    let gateway = Gateway::start(backend).await;
    let mine = Populated::new(&gateway, port, "mine").await;
    let theirs = Populated::new(&gateway, port, "theirs").await;
    let key = &mine.tenant.key;
    let before = (mine.everything(&gateway).await, theirs.everything(&gateway).await);
    for operation in operations().iter().filter(|one| !is_platform(one)) {
        let own = |name: &str| mine.ids[kind(&operation.id, name)];
        if operation.method == "GET" {
            let answer = call(&gateway, key, operation, &operation.path_with(own)).await;
            assert_eq!(answer.status, 200, "{}: {answer:?}", operation.id);
            assert!(!operation.id.starts_with("list") || answer.text.contains(&mine.first_of(operation)));
            let leaked = theirs
                .ids
                .values()
                .find(|id| answer.text.contains(&id.to_string()));
            assert_eq!(leaked, None, "{}", operation.id);
        }
        if !operation.path_ids.is_empty() {
            same_404(&gateway, key, operation, &theirs).await;
        }
        same_empty_lists(&gateway, key, operation, &theirs).await;
        for name in operation
            .query_ids
            .iter()
            .filter(|_| operation.id != "stream_events")
        {
            let path = format!("{}?{name}={}", operation.path, own(name));
            let rows = gateway.get(key, &path).await;
            assert_ne!(rows["data"], json!([]), "{path}: the filter itself works");
        }
        for name in &operation.body_ids {
            same_refusal_of_a_body(&gateway, operation, name, &mine, &theirs).await;
        }
        same_404_of_an_acting_member(&gateway, operation, &mine, &theirs).await;
    }
    let after = (mine.everything(&gateway).await, theirs.everything(&gateway).await);
    assert_eq!(before, after, "nothing was changed");
    gateway.stop().await;
}

impl Populated {
    /// Some text that a list of its own things contains.
    fn first_of(&self, operation: &Operation) -> String {
        let kind = match operation.path.rsplit('/').next().unwrap() {
            "api-keys" => "key",
            "accounts" => "account",
            "revisions" if operation.path.contains("agents") => "agent_revision",
            "revisions" => "team_revision",
            "mailboxes" => "mailbox",
            "folders" => "folder",
            "agents" => "agent",
            "teams" => "team",
            "members" => "member",
            "webhook-endpoints" => "endpoint",
            "webhook-subscriptions" => "subscription",
            "webhook-deliveries" => "delivery",
            // Newest first: another one may be on the first page.
            _ => return String::new(),
        };
        self.ids[kind].to_string()
    }
}

/// Another tenant's id in a body, on something of one's own, is refused as a random one is.
async fn same_refusal_of_a_body(
    gateway: &Gateway,
    operation: &Operation,
    name: &str,
    mine: &Populated,
    theirs: &Populated,
) {
    let path = operation.path_with(|name| mine.ids[kind(&operation.id, name)]);
    let random = Uuid::now_v7();
    let sent: Vec<Uuid> = theirs.ids.values().copied().chain([random]).collect();
    let mut said = Vec::new();
    for id in [theirs.ids[kind(&operation.id, name)], random] {
        let mut body = plan(&operation.id).unwrap();
        body[name] = if name.ends_with("_ids") {
            json!([id])
        } else {
            json!(id)
        };
        if let Some(side @ ("agent" | "team")) = name.strip_suffix("_revision_id") {
            body[format!("{side}_id")] = json!(mine.ids[side]);
        }
        let request = gateway.request(&operation.method, &mine.tenant.key, &path);
        let answer = send(request.json(&body)).await;
        assert!(
            [404, 422].contains(&answer.status),
            "{} {name}: {answer:?}",
            operation.id
        );
        said.push(answer.said(&sent));
    }
    assert_eq!(said[0], said[1], "{} {name}", operation.id);
}

/// `X-PLANNR-ACCOUNT-UUID` with another tenant's member is 404, as with a random one.
async fn same_404_of_an_acting_member(
    gateway: &Gateway,
    operation: &Operation,
    mine: &Populated,
    theirs: &Populated,
) {
    let path = operation.path_with(|name| mine.ids[kind(&operation.id, name)]);
    let random = Uuid::now_v7();
    let mut said = Vec::new();
    for member in [theirs.ids["member"], random] {
        let mut request = gateway
            .request(&operation.method, &mine.tenant.key, &path)
            .header("X-PLANNR-ACCOUNT-UUID", member.to_string());
        if let Some(body) = plan(&operation.id) {
            request = request.json(&body);
        }
        let answer = send(request).await;
        assert_eq!(answer.status, 404, "{}: {answer:?}", operation.id);
        said.push(answer.said(&[theirs.ids["member"], random]));
    }
    assert_eq!(said[0], said[1], "{}", operation.id);
}

async fn what_a_member_does_not_see_is_unknown_to_it(backend: Backend) {
    let (_sandbox, port, _stop) = serve().await;
    let gateway = Gateway::start(backend).await;
    let world = Populated::new(&gateway, port, "acme").await;
    let (_, key) = gateway.member(&world.tenant, "e@example.org", "employee").await;
    let own = unreachable_mailbox("own@example.org", "gmail");
    let own = gateway.make(&key, "/v1/mailboxes", own).await;
    let hidden = ["mailbox", "account", "message", "thread", "attachment", "folder"];
    let before = world.everything(&gateway).await;
    for operation in operations() {
        let kinds = |names: &[String]| {
            let hides = |name: &String| hidden.contains(&kind(&operation.id, name));
            !names.is_empty() && names.iter().all(hides)
        };
        if kinds(&operation.path_ids) {
            same_404(&gateway, &key, &operation, &world).await;
        }
        if kinds(&operation.query_ids) {
            same_empty_lists(&gateway, &key, &operation, &world).await;
        }
        if operation.method == "GET" && operation.path_ids.is_empty() && !is_platform(&operation) {
            let seen = send(gateway.request("GET", &key, &operation.path)).await;
            assert_eq!(seen.status, 200, "{}: {seen:?}", operation.id);
            let leaked = hidden
                .iter()
                .find(|kind| seen.text.contains(&world.ids[*kind].to_string()));
            assert_eq!(leaked, None, "{}", operation.id);
        }
    }
    let unchanged = |mut all: Value| {
        // Its own mailbox goes on trying to connect.
        let mailboxes = all["/v1/mailboxes?include_retired=true"].as_array_mut().unwrap();
        mailboxes.retain(|one| one["id"] != own["id"]);
        all
    };
    assert_eq!(unchanged(before), unchanged(world.everything(&gateway).await));
    for path in ["/v1/mailboxes", "/api/v1/mailboxes", "/v1/email/accounts"] {
        let seen = send(gateway.request("GET", &key, path)).await;
        assert!(seen.text.contains(own["id"].as_str().unwrap()), "{path}");
    }
    a_retired_mailbox_takes_no_change(&gateway, &world).await;
    gateway.stop().await;
}

/// A mailbox that was deleted, and everything in it, is unknown to its own tenant too.
async fn a_retired_mailbox_takes_no_change(gateway: &Gateway, world: &Populated) {
    let Tenant { key, .. } = &world.tenant;
    for kind in ["mailbox", "account"] {
        let path = format!("/v1/mailboxes/{}", world.ids[kind]);
        let (status, _) = gateway.call("DELETE", key, &path, None).await;
        assert_eq!(status, 204, "{path}");
        let retired = gateway.get(key, &path).await;
        assert_eq!(
            (retired["status"].as_str(), retired["state"].as_str()),
            (Some("retired"), Some("disconnected"))
        );
    }
    let gone = ["mailbox", "account", "message", "thread", "attachment"];
    for operation in operations() {
        let hides = |name: &String| gone.contains(&kind(&operation.id, name));
        let concerns = !operation.path_ids.is_empty() && operation.path_ids.iter().all(hides);
        if concerns && operation.id != "get_mailbox" {
            same_404(gateway, key, &operation, world).await;
        }
        if operation.id == "list_messages" || operation.id == "list_threads" {
            let path = format!("{}?mailbox_id={}", operation.path, world.ids["mailbox"]);
            assert_eq!(gateway.get(key, &path).await["data"], json!([]), "{path}");
        }
    }
    let listed = gateway.get(key, "/v1/mailboxes").await.to_string();
    assert!(!listed.contains(&world.ids["mailbox"].to_string()), "{listed}");
}

async fn the_platforms_operations_are_shut_to_tenants(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let (mine, theirs) = (gateway.tenant("Mine").await, gateway.tenant("Theirs").await);
    let admin = gateway.admin_key();
    for operation in operations() {
        let random = Uuid::now_v7();
        if is_platform(&operation) {
            let sent = [mine.id, theirs.id, random];
            let mut said = Vec::new();
            for id in sent {
                let answer = call(&gateway, &mine.key, &operation, &operation.path_with(|_| id)).await;
                assert_eq!(answer.status, 403, "{}: {answer:?}", operation.id);
                said.push(answer.said(&sent));
            }
            assert!(said.iter().all(|one| *one == said[0]), "{}", operation.id);
        } else if operation.id != "whoami" {
            let answer = call(&gateway, &admin, &operation, &operation.path_with(|_| random)).await;
            assert_eq!(answer.status, 403, "{}: {answer:?}", operation.id);
        }
    }
    let both = gateway.all(&admin, "/v1/tenants").await;
    assert_eq!(both.len(), 2, "no tenant was made, and none erased: {both:?}");
    for tenant in [&mine, &theirs] {
        let own = gateway.get(&tenant.key, "/v1/tenant").await;
        assert_eq!(
            (own["id"].as_str(), &own["county"]),
            (Some(tenant.id.to_string().as_str()), &Value::Null)
        );
    }
    gateway.stop().await;
}
