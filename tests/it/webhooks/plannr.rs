//! Plannr's webhook subscriptions over HTTP: that API's shape over the endpoints of the unified one.

use chrono::DateTime;
use serde_json::{Value, json};

use crate::{
    support::gateway::{Backend, Gateway, both},
    world::{id, send},
};

mod on {
    use super::both;
    both!(
        a_subscription_is_made_shown_and_changed_in_plannrs_shape,
        the_unified_api_shows_subscriptions_without_secret_and_leaves_their_events,
        what_a_subscription_cannot_be_is_refused_as_laravel_does,
        the_list_is_filtered_and_sorted,
    );
}

const PATH: &str = "/api/v2/webhook-subscriptions";
const ENDPOINTS: &str = "/v1/webhook-endpoints";
const URL: &str = "http://127.0.0.1:1/hook";

/// The names that Plannr's own page has, written down apart from the code.
const OF_PLANNR: &str = "account.created account.updated account.deleted account.annual-review-date-occurred \
    circle.created circle.updated circle.deleted plan.created plan.updated plan.deleted case.created case.updated \
    case.deleted task.created task.updated task.deleted task.completed fact-find.completed fact-find.completed-v3 \
    form-submission.completed bank-account.created bank-account.updated bank-account.deleted bank-statement.created \
    bank-statement.updated bank-statement.deleted bank-transaction.created bank-transaction.updated \
    bank-transaction.deleted provider-statement.created provider-statement.updated provider-statement.deleted \
    transaction.created transaction.updated transaction.deleted transaction.reconciled transaction.unreconciled \
    statement.lock-status conversation.message.created conversation.message.updated conversation.message.deleted \
    client-portal-document.uploaded client-portal-document.updated client-portal-document.deleted";
const OF_MAIL: &str = "message.received message.updated message.deleted mailbox.created mailbox.updated \
    mailbox.deleted mailbox.state_changed mailbox.reauth_required mailbox.backfill_completed";

/// Exactly the fields of that API's own examples, in the forms that they have there.
fn is_in_plannrs_shape(shown: &Value) {
    let mut fields: Vec<&str> = shown.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let expected = [
        "created_at",
        "events",
        "last_outgoing_webhook_call_at",
        "signing_secret",
        "updated_at",
        "url",
        "uuid",
    ];
    assert_eq!(fields, expected);
    let secret = shown["signing_secret"].as_str().unwrap();
    assert!(secret.len() == 60 && secret.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    for name in ["created_at", "updated_at"] {
        let text = shown[name].as_str().unwrap();
        assert!(
            text.ends_with("+00:00") && DateTime::parse_from_rfc3339(text).is_ok(),
            "{text}"
        );
    }
}

async fn a_subscription_is_made_shown_and_changed_in_plannrs_shape(backend: Backend) {
    let gateway = Gateway::without_workers(backend).await;
    let (tenant, other) = (gateway.tenant("Acme").await, gateway.tenant("Other").await);
    let key = &tenant.key;
    let events = json!(["message.received", "account.created", "message.received"]);
    let made = gateway
        .make(key, PATH, json!({"url": URL, "events": events}))
        .await;
    is_in_plannrs_shape(&made);
    assert_eq!(
        (&made["url"], &made["events"]),
        (&json!(URL), &events),
        "as they were sent"
    );
    assert_eq!(made["last_outgoing_webhook_call_at"], Value::Null);
    let path = format!("{PATH}/{}", id(&made["uuid"]));
    assert_eq!(gateway.get(key, &path).await, made);
    assert_eq!(gateway.get(key, PATH).await, json!({"data": [made]}));

    let body = json!({"events": ["mailbox.deleted"], "url": "https://elsewhere.example.org/"});
    let (status, changed) = gateway.call("PUT", key, &path, Some(body)).await;
    assert_eq!(status, 200, "{changed}");
    is_in_plannrs_shape(&changed);
    assert_eq!(changed["events"], json!(["mailbox.deleted"]));
    for same in ["uuid", "url", "signing_secret", "created_at"] {
        assert_eq!(changed[same], made[same], "{same}");
    }
    assert_eq!(gateway.get(key, &path).await, changed);
    assert_eq!(gateway.get(key, PATH).await, json!({"data": [changed]}));

    // Each has a secret of its own; another tenant, and an employee, see neither.
    let second = gateway
        .make(key, PATH, json!({"url": URL, "events": events}))
        .await;
    assert_ne!(second["signing_secret"], made["signing_secret"]);
    let (_, employee) = gateway.member(&tenant, "e@example.org", "employee").await;
    for stranger in [&other.key, &employee] {
        assert_eq!(gateway.get(stranger, PATH).await, json!({"data": []}));
        let filtered = format!("{PATH}?filter[uuid]={}", id(&made["uuid"]));
        assert_eq!(gateway.get(stranger, &filtered).await, json!({"data": []}));
        for (method, body) in [
            ("GET", None),
            ("PUT", Some(json!({"events": ["message.received"]}))),
        ] {
            let (status, said) = gateway.call(method, stranger, &path, body).await;
            assert_eq!((status, said.get("errors")), (404, None), "{said}");
            assert!(said["message"].is_string(), "{said}");
        }
    }
    let own = gateway
        .make(&employee, PATH, json!({"url": URL, "events": events}))
        .await;
    assert_eq!(gateway.get(&employee, PATH).await, json!({"data": [own]}));
    assert_eq!(gateway.get(key, &path).await, changed, "nobody else changed it");
    gateway.stop().await;
}

async fn the_unified_api_shows_subscriptions_without_secret_and_leaves_their_events(backend: Backend) {
    let gateway = Gateway::without_workers(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let key = &tenant.key;
    let standard = gateway.make(key, ENDPOINTS, json!({"url": URL})).await;
    assert_eq!(
        (&standard["form"], &standard["last_attempt_at"]),
        (&json!("standard"), &Value::Null)
    );
    let events = json!(["mailbox.updated", "message.received", "account.created"]);
    let made = gateway
        .make(key, PATH, json!({"url": URL, "events": events}))
        .await;
    let none = gateway
        .make(key, PATH, json!({"url": URL, "events": ["account.created"]}))
        .await;
    let path = format!("{ENDPOINTS}/{}", id(&made["uuid"]));
    let shown = gateway.get(key, &path).await;
    assert_eq!(
        (
            &shown["form"],
            &shown["event_types"],
            &shown["url"],
            &shown["enabled"]
        ),
        (
            &json!("plannr"),
            &json!(["message.received", "mailbox.updated"]),
            &json!(URL),
            &json!(true)
        )
    );
    let rows = gateway.all(key, ENDPOINTS).await;
    assert_eq!(rows.len(), 3);
    assert!(rows.contains(&shown));
    let silent = rows.iter().find(|row| row["id"] == none["uuid"]).unwrap();
    assert_eq!(
        (&silent["form"], &silent["event_types"]),
        (&json!("plannr"), &json!([]))
    );
    let secret = made["signing_secret"].as_str().unwrap();
    for path in [ENDPOINTS, path.as_str()] {
        assert!(
            !gateway.get(key, path).await.to_string().contains(secret),
            "{path}"
        );
    }
    is_changed_there_and_in_all_else_here(&gateway, key, &made, &standard).await;
    gateway.stop().await;
}

/// Its events are changed by Plannr's `PUT`, and all else by the unified API.
async fn is_changed_there_and_in_all_else_here(gateway: &Gateway, key: &str, made: &Value, standard: &Value) {
    let path = format!("{ENDPOINTS}/{}", id(&made["uuid"]));
    let shown = gateway.get(key, &path).await;
    for types in [json!(["message.deleted"]), json!([]), Value::Null] {
        let body = json!({"event_types": types});
        let (status, refused) = gateway.call("PATCH", key, &path, Some(body)).await;
        assert_eq!(
            (status, &refused["errors"][0]["pointer"]),
            (422, &json!("/event_types"))
        );
    }
    let off = gateway
        .change(key, &path, json!({"enabled": false, "description": "CRM"}))
        .await;
    assert_eq!(
        (&off["enabled"], &off["event_types"]),
        (&json!(false), &shown["event_types"])
    );
    let there = format!("{PATH}/{}", id(&made["uuid"]));
    assert_eq!(gateway.get(key, &there).await["events"], made["events"]);

    let rotate = format!("{path}/rotate-secret");
    let (status, rotated) = gateway.call("POST", key, &rotate, None).await;
    assert_eq!(status, 200, "{rotated}");
    assert_ne!(rotated["secret"], made["signing_secret"]);
    let now = gateway.get(key, &there).await;
    is_in_plannrs_shape(&now);
    assert_eq!(now["signing_secret"], rotated["secret"]);

    // What the unified API made shows its secret once: here it is unknown.
    let foreign = format!("{PATH}/{}", id(&standard["id"]));
    for (method, body) in [
        ("GET", None),
        ("PUT", Some(json!({"events": ["message.received"]}))),
    ] {
        let (status, said) = gateway.call(method, key, &foreign, body).await;
        assert_eq!(status, 404, "{said}");
        assert!(said["message"].is_string(), "{said}");
    }
    assert_eq!(gateway.get(key, PATH).await["data"].as_array().unwrap().len(), 2);
    assert_eq!(gateway.call("DELETE", key, &path, None).await.0, 204);
    assert_eq!(gateway.call("GET", key, &there, None).await.0, 404);
}

/// Bodies that are refused, and the fields that the refusal names.
fn refusals() -> Vec<(&'static str, Value, Vec<&'static str>)> {
    let ours = json!(["message.received"]);
    let unknown = json!(["message.received", "message.exploded", "account.created", "ping"]);
    let many = vec!["message.received"; 101];
    vec![
        (
            "POST",
            json!({"url": URL, "events": unknown}),
            vec!["events.1", "events.3"],
        ),
        (
            "POST",
            json!({"url": URL, "events": ["webhook_endpoint.disabled"]}),
            vec!["events.0"],
        ),
        ("POST", json!({"url": URL, "events": []}), vec!["events"]),
        ("POST", json!({"url": URL, "events": many}), vec!["events"]),
        (
            "POST",
            json!({"url": URL, "events": "message.received"}),
            vec!["events"],
        ),
        ("POST", json!({"url": URL, "events": [7]}), vec!["events.0"]),
        ("POST", json!({"url": URL}), vec!["events"]),
        ("POST", json!({"events": ours}), vec!["url"]),
        ("POST", json!({"url": "", "events": ours}), vec!["url"]),
        (
            "POST",
            json!({"url": "https://10.0.0.1/", "events": ours}),
            vec!["url"],
        ),
        (
            "POST",
            json!({"url": "http://8.8.8.8/", "events": ours}),
            vec!["url"],
        ),
        ("PUT", json!({"events": unknown}), vec!["events.1", "events.3"]),
        ("PUT", json!({}), vec!["events"]),
    ]
}

async fn what_a_subscription_cannot_be_is_refused_as_laravel_does(backend: Backend) {
    let gateway = Gateway::without_workers(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let key = &tenant.key;
    let all: Vec<&str> = OF_PLANNR.split(' ').chain(OF_MAIL.split(' ')).collect();
    let made = gateway.make(key, PATH, json!({"url": URL, "events": all})).await;
    assert_eq!((all.len(), &made["events"]), (53, &json!(all)));
    let path = format!("{PATH}/{}", id(&made["uuid"]));
    for (method, body, fields) in refusals() {
        let at = if method == "POST" { PATH } else { &path };
        let (status, refused) = gateway.call(method, key, at, Some(body.clone())).await;
        assert_eq!(status, 422, "{body}: {refused}");
        let errors = refused["errors"].as_object().unwrap();
        assert_eq!(errors.keys().collect::<Vec<_>>(), fields, "{body}: {refused}");
        assert!(refused["message"].is_string(), "{refused}");
    }
    let (status, sorted) = gateway.call("GET", key, &format!("{PATH}?sort=url"), None).await;
    assert_eq!(
        (status, sorted["errors"]["sort"].is_array()),
        (422, true),
        "{sorted}"
    );
    let anonymous = send(gateway.request("GET", "", PATH)).await;
    assert_eq!(
        (anonymous.status, anonymous.json()),
        (401, json!({"message": "Unauthenticated."}))
    );
    assert_eq!(
        gateway.get(key, PATH).await,
        json!({"data": [made]}),
        "nothing changed"
    );
    gateway.stop().await;
}

async fn the_list_is_filtered_and_sorted(backend: Backend) {
    let gateway = Gateway::without_workers(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let key = &tenant.key;
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        let body = json!({"url": format!("{URL}/{name}"), "events": ["message.received"]});
        ids.push(id(&gateway.make(key, PATH, body).await["uuid"]));
    }
    let [a, b, c] = [ids[0], ids[1], ids[2]];
    let body = json!({"events": ["message.deleted"]});
    let changed = gateway.call("PUT", key, &format!("{PATH}/{a}"), Some(body)).await;
    assert_eq!(changed.0, 200);
    for (query, expected) in [
        (String::new(), vec![c, b, a]),
        ("?sort=-created_at".to_owned(), vec![c, b, a]),
        ("?sort=created_at".to_owned(), vec![a, b, c]),
        ("?sort=updated_at".to_owned(), vec![b, c, a]),
        ("?sort=-updated_at".to_owned(), vec![a, c, b]),
        (format!("?filter[uuid]={b}"), vec![b]),
        (format!("?filter[uuid]={b},{a},nonsense"), vec![b, a]),
        (format!("?filter%5Buuid%5D={b}%2C{c}&sort=created_at"), vec![b, c]),
        ("?filter[uuid]=".to_owned(), vec![c, b, a]),
        (format!("?filter[url]={URL}/a,{URL}/c"), vec![c, a]),
        (format!("?filter[url]={URL}/A"), vec![]),
        (format!("?filter[url]={URL}/a&filter[uuid]={b}"), vec![]),
    ] {
        let list = gateway.get(key, &format!("{PATH}{query}")).await;
        let found: Vec<_> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| id(&one["uuid"]))
            .collect();
        assert_eq!(found, expected, "{query}");
    }
    gateway.stop().await;
}
