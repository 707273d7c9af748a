//! Endpoints over HTTP: created, shown, changed and deleted; whose they are; and what is refused.

use serde_json::{Value, json};

use crate::{
    events::mailbox,
    support::gateway::{Backend, Gateway, Tenant, both},
    world::id,
};

mod on {
    use super::both;
    both!(
        an_endpoint_is_made_changed_and_deleted_and_its_secret_is_shown_once,
        what_an_endpoint_cannot_be_is_refused,
        promise_8_an_employee_has_endpoints_of_its_own,
        a_tenant_has_a_hundred_endpoints_and_no_more,
    );
}

const PATH: &str = "/v1/webhook-endpoints";
const URL: &str = "http://127.0.0.1:1/hook";

async fn an_endpoint_is_made_changed_and_deleted_and_its_secret_is_shown_once(backend: Backend) {
    let gateway = Gateway::without_workers(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let key = &tenant.key;
    let agent = gateway.make(key, "/v1/agents", json!({"name": "Desk"})).await;
    let box_id = mailbox(&gateway, key, "one@example.org").await;
    let body = json!({
        "url": URL, "description": "CRM", "event_types": ["message.received"], "mailbox_ids": [box_id],
        "agent_id": agent["id"],
    });
    let made = gateway.make(key, PATH, body).await;
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() > 40, "{secret}");
    let path = format!("{PATH}/{}", id(&made["id"]));
    let shown = gateway.get(key, &path).await;
    let mut expected = made.clone();
    expected.as_object_mut().unwrap().remove("secret");
    assert_eq!(shown, expected);
    assert_eq!(gateway.get(key, PATH).await["data"], json!([shown]));

    let cleared = json!({"description": null, "event_types": null, "mailbox_ids": [], "agent_id": null});
    let cleared = gateway.change(key, &path, cleared).await;
    for (name, value) in [
        ("description", Value::Null),
        ("event_types", json!([])),
        ("mailbox_ids", json!([])),
        ("agent_id", Value::Null),
        ("url", json!(URL)),
        ("enabled", json!(true)),
    ] {
        assert_eq!(cleared[name], value, "{name}");
    }
    let same = gateway.change(key, &path, json!({})).await;
    assert_eq!(same, cleared, "nothing changes");
    let off = gateway.change(key, &path, json!({"enabled": false})).await;
    assert_eq!(
        (&off["enabled"], &off["disabled_at"]),
        (&json!(false), &Value::Null)
    );

    let (status, rotated) = gateway
        .call("POST", key, &format!("{path}/rotate-secret"), None)
        .await;
    assert_eq!(status, 200, "{rotated}");
    assert_ne!(rotated["secret"], made["secret"]);
    for path in [PATH, path.as_str()] {
        assert!(
            !gateway.get(key, path).await.to_string().contains("whsec_"),
            "{path}"
        );
    }
    for expected in [204, 404] {
        assert_eq!(gateway.call("DELETE", key, &path, None).await.0, expected);
    }
    assert_eq!(gateway.get(key, PATH).await["data"], json!([]));
    gateway.stop().await;
}

async fn refused(gateway: &Gateway, tenant: &Tenant, body: Value) -> (u16, Value) {
    let (status, json) = gateway.call("POST", &tenant.key, PATH, Some(body)).await;
    (status, json["errors"][0]["pointer"].clone())
}

async fn what_an_endpoint_cannot_be_is_refused(backend: Backend) {
    let gateway = Gateway::without_workers(backend).await;
    let (tenant, other) = (gateway.tenant("Acme").await, gateway.tenant("Other").await);
    for url in [
        "",
        "nonsense",
        "ftp://127.0.0.1/",
        "http://8.8.8.8/",
        "https://10.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
        "https://167772161/",
        "https://ada:secret@127.0.0.1/",
    ] {
        let found = refused(&gateway, &tenant, json!({"url": url})).await;
        assert_eq!(found, (422, json!("/url")), "{url}");
    }
    let agent = gateway
        .make(&tenant.key, "/v1/agents", json!({"name": "A"}))
        .await;
    let team = gateway.make(&tenant.key, "/v1/teams", json!({"name": "T"})).await;
    let foreign = mailbox(&gateway, &other.key, "foreign@example.org").await;
    for (field, value, expected) in [
        ("event_types", json!(["ping"]), (422, json!("/event_types"))),
        (
            "event_types",
            json!(["mailbox.exploded"]),
            (422, json!("/event_types/0")),
        ),
        ("mailbox_ids", json!([foreign]), (404, Value::Null)),
        ("agent_id", team["id"].clone(), (404, Value::Null)),
        ("team_id", agent["id"].clone(), (404, Value::Null)),
        ("secret", json!("mine"), (422, json!("/secret"))),
    ] {
        let mut body = json!({"url": URL});
        body[field] = value;
        assert_eq!(refused(&gateway, &tenant, body).await, expected, "{field}");
    }
    let both = json!({"url": URL, "agent_id": agent["id"], "team_id": team["id"]});
    assert_eq!(refused(&gateway, &tenant, both).await, (422, json!("/team_id")));
    let made = gateway
        .make(&tenant.key, PATH, json!({"url": URL, "agent_id": agent["id"]}))
        .await;
    let path = format!("{PATH}/{}", id(&made["id"]));
    let second = json!({"team_id": team["id"]});
    let (status, _) = gateway.call("PATCH", &tenant.key, &path, Some(second)).await;
    assert_eq!(status, 422, "it has an agent");
    let later = json!({"since": "2999-01-01T00:00:00Z"});
    let (status, _) = gateway
        .call("POST", &tenant.key, &format!("{path}/replay"), Some(later))
        .await;
    assert_eq!(status, 422, "it is still to come");
    gateway.stop().await;
}

async fn promise_8_an_employee_has_endpoints_of_its_own(backend: Backend) {
    let gateway = Gateway::without_workers(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let (member, employee) = gateway.member(&tenant, "e@example.org", "employee").await;
    let theirs = gateway.make(&tenant.key, PATH, json!({"url": URL})).await;
    let own = gateway.make(&employee, PATH, json!({"url": URL})).await;
    assert_eq!(
        (&own["member_id"], &theirs["member_id"]),
        (&json!(member), &Value::Null)
    );
    let seen = gateway.all(&employee, PATH).await;
    assert_eq!(
        seen.iter().map(|one| &one["id"]).collect::<Vec<_>>(),
        [&own["id"]]
    );
    assert_eq!(gateway.all(&tenant.key, PATH).await.len(), 2);
    let hidden = format!("{PATH}/{}", id(&theirs["id"]));
    for (method, path, body) in [
        ("GET", hidden.clone(), None),
        ("PATCH", hidden.clone(), Some(json!({}))),
        ("DELETE", hidden.clone(), None),
        ("POST", format!("{hidden}/rotate-secret"), None),
        ("POST", format!("{hidden}/test"), None),
    ] {
        let (status, json) = gateway.call(method, &employee, &path, body).await;
        assert_eq!(status, 404, "{method} {path}: {json}");
    }
    let hidden_box = mailbox(&gateway, &tenant.key, "hidden@example.org").await;
    let (status, _) = gateway
        .call(
            "POST",
            &employee,
            PATH,
            Some(json!({"url": URL, "mailbox_ids": [hidden_box]})),
        )
        .await;
    assert_eq!(status, 404);
    // The deliveries of an endpoint are seen by whoever sees the endpoint.
    let tried = format!("{PATH}/{}/test", id(&theirs["id"]));
    let delivery = gateway.call("POST", &tenant.key, &tried, None).await.1;
    assert_eq!(
        gateway.all(&employee, "/v1/webhook-deliveries").await,
        Vec::<Value>::new()
    );
    assert_eq!(gateway.all(&tenant.key, "/v1/webhook-deliveries").await.len(), 1);
    let retry = format!("/v1/webhook-deliveries/{}/retry", id(&delivery["id"]));
    assert_eq!(gateway.call("POST", &employee, &retry, None).await.0, 404);
    assert_eq!(gateway.call("POST", &tenant.key, &retry, None).await.0, 200);
    // With the employee go its endpoints.
    let path = format!("/v1/members/{member}");
    assert_eq!(gateway.call("DELETE", &tenant.key, &path, None).await.0, 204);
    assert_eq!(gateway.all(&tenant.key, PATH).await.len(), 1);
    gateway.stop().await;
}

async fn a_tenant_has_a_hundred_endpoints_and_no_more(backend: Backend) {
    let gateway = Gateway::without_workers(backend).await;
    let (tenant, other) = (gateway.tenant("Acme").await, gateway.tenant("Other").await);
    let made = async || {
        let body = json!({"url": URL});
        gateway.call("POST", &tenant.key, PATH, Some(body)).await
    };
    for _ in 0..98 {
        assert_eq!(made().await.0, 201);
    }
    // Whoever comes at the same time does not slip past.
    let answers = futures_util::future::join_all((0..6).map(|_| made())).await;
    let count = |wanted| answers.iter().filter(|(status, _)| *status == wanted).count();
    assert_eq!((count(201), count(409)), (2, 4));
    let (_, refused) = made().await;
    assert_eq!(refused["code"], "webhook_endpoint_limit");
    assert_eq!(gateway.all(&tenant.key, PATH).await.len(), 100);
    gateway.make(&other.key, PATH, json!({"url": URL})).await;
    let one = gateway.all(&tenant.key, PATH).await.remove(0);
    let path = format!("{PATH}/{}", id(&one["id"]));
    assert_eq!(gateway.call("DELETE", &tenant.key, &path, None).await.0, 204);
    assert_eq!(made().await.0, 201);
    gateway.stop().await;
}
