//! The tenant's own profile, its people, and its agents and teams, in the unified API.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    support::gateway::{Backend, Gateway, both},
    world::{id, send, unreachable_mailbox},
};

mod on {
    use super::both;
    both!(
        every_field_of_the_firm_is_kept_and_cleared,
        members_are_made_changed_and_erased,
        agents_and_teams_have_their_revisions,
    );
}

/// A profile that says something of every field that the source's firm has.
fn profile() -> Value {
    let path = format!(
        "{}/openapi/examples/plannr/message.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let message: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut firm = message["firm"].clone();
    let fields = firm.as_object_mut().unwrap();
    for name in ["uuid", "created_at", "updated_at"] {
        fields.remove(name).unwrap();
    }
    // Class names stand for resources there.
    fields.insert(
        "addon_subscriptions".into(),
        json!([{"name": "Extra", "seats": 3}]),
    );
    fields.insert("task_board_template".into(), json!({"columns": ["To do"]}));
    fields.insert("ip_whitelist".into(), json!(["127.0.0.0/8", "::1"]));
    firm
}

async fn every_field_of_the_firm_is_kept_and_cleared(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let key = gateway.tenant("Acme").await.key;
    let first = gateway.get(&key, "/v1/tenant").await;
    let profile = profile();
    let answered = gateway.change(&key, "/v1/tenant", profile.clone()).await;
    let stored = gateway.get(&key, "/v1/tenant").await;
    assert_eq!(answered, stored);
    for (name, value) in profile.as_object().unwrap() {
        assert!(
            same(&stored[name], value),
            "{name}: {} is not {value}",
            stored[name]
        );
    }
    assert_eq!(
        (&stored["id"], &stored["created_at"]),
        (&first["id"], &first["created_at"])
    );
    // The firm that Plannr's dialect shows is the same.
    let mailbox = gateway
        .make(
            &key,
            "/v1/members",
            json!({"first_name": "A", "last_name": "B", "email": "a@b.example", "role": "owner"}),
        )
        .await;
    let body = unreachable_mailbox("a@b.example", "imap");
    let request = gateway.request("POST", &key, "/v1/mailboxes").json(&body);
    let made = send(request.header("X-PLANNR-ACCOUNT-UUID", id(&mailbox["id"]).to_string())).await;
    assert_eq!(made.status, 201, "{made:?}");
    let list = gateway.get(&key, "/api/v1/mailboxes").await;
    let firm = &list["data"][0]["created_by"]["firm"];
    for (name, value) in profile.as_object().unwrap() {
        assert!(same(&firm[name], value), "{name}: {} is not {value}", firm[name]);
    }
    // What is left out stays; null clears; within billing and the colours too.
    let patch =
        json!({"county": null, "billing": {"invoice_county": null}, "brand_colours": {"sidebar_text": null}});
    let changed = gateway.change(&key, "/v1/tenant", patch).await;
    assert_eq!(
        (&changed["county"], &changed["country"]),
        (&Value::Null, &profile["country"])
    );
    assert_eq!(changed["billing"]["invoice_county"], Value::Null);
    assert_eq!(
        changed["billing"]["invoice_email"],
        profile["billing"]["invoice_email"]
    );
    assert_eq!(changed["brand_colours"]["sidebar_text"], Value::Null);
    assert_eq!(
        changed["brand_colours"]["sidebar_hover"],
        profile["brand_colours"]["sidebar_hover"]
    );
    let mut nothing = profile.clone();
    for (name, value) in nothing.as_object_mut().unwrap() {
        *value = if name == "name" {
            json!("Acme")
        } else {
            Value::Null
        };
    }
    let mut cleared = gateway.change(&key, "/v1/tenant", nothing).await;
    cleared["updated_at"] = first["updated_at"].clone();
    assert_eq!(cleared, first, "cleared as it was made");
    for wrong in [
        json!({"name": null}),
        json!({"name": ""}),
        json!({"month_end": 0}),
        json!({"keep_deleted_files_for": -1}),
        json!({"keep_deleted_files_for": 3651}),
        json!({"ip_whitelist": ["nonsense"]}),
        json!({"brand_colours": {"unknown": "#fff"}}),
        json!({"task_board_template": 5}),
        json!({"slug": "x".repeat(201)}),
        json!({"id": Uuid::now_v7()}),
    ] {
        let (status, answer) = gateway
            .call("PATCH", &key, "/v1/tenant", Some(wrong.clone()))
            .await;
        assert_eq!(status, 422, "{wrong}: {answer}");
    }
    gateway.stop().await;
}

/// Equal, where numbers of different kinds are equal too.
fn same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() < f64::EPSILON,
        _ => one == other,
    }
}

async fn members_are_made_changed_and_erased(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let key = tenant.key.clone();
    let ada = json!({"first_name": "Ada", "last_name": "Byron", "email": "Ada@example.org", "role": "owner"});
    let made = gateway.make(&key, "/v1/members", ada.clone()).await;
    for (name, value) in ada.as_object().unwrap() {
        assert_eq!(&made[name], value, "{name}");
    }
    let path = format!("/v1/members/{}", id(&made["id"]));
    assert_eq!(gateway.get(&key, &path).await, made);
    let mut again = ada.clone();
    again["email"] = json!("ada@EXAMPLE.org");
    let (status, taken) = gateway.call("POST", &key, "/v1/members", Some(again)).await;
    assert_eq!((status, &taken["code"]), (409, &json!("member_exists")));
    assert!(
        taken["detail"]
            .as_str()
            .unwrap()
            .contains(made["id"].as_str().unwrap())
    );
    // The last owner stays one.
    for (method, body) in [("PATCH", Some(json!({"role": "senior"}))), ("DELETE", None)] {
        let (status, refused) = gateway.call(method, &key, &path, body).await;
        assert_eq!(
            (status, &refused["code"]),
            (409, &json!("last_owner")),
            "{method}"
        );
    }
    let (grace, grace_key) = gateway.member(&tenant, "grace@example.org", "owner").await;
    let changed = gateway
        .change(&key, &path, json!({"role": "employee", "last_name": "King"}))
        .await;
    assert_eq!(
        (&changed["role"], &changed["last_name"], &changed["email"]),
        (&json!("employee"), &json!("King"), &ada["email"])
    );
    let moved = json!({"email": "GRACE@example.org"});
    let (status, taken) = gateway.call("PATCH", &key, &path, Some(moved)).await;
    assert_eq!((status, &taken["code"]), (409, &json!("member_exists")));
    let same = gateway
        .change(&key, &path, json!({"email": "ADA@example.org"}))
        .await;
    assert_eq!(
        same["email"], "ADA@example.org",
        "one's own address may be spelled anew"
    );
    for wrong in [
        json!({"email": null}),
        json!({"role": "king"}),
        json!({"email": "x"}),
        json!({"first_name": "x".repeat(201)}),
    ] {
        let (status, answer) = gateway.call("PATCH", &key, &path, Some(wrong.clone())).await;
        assert_eq!(status, 422, "{wrong}: {answer}");
    }
    assert_eq!(gateway.call("DELETE", &key, &path, None).await.0, 204);
    assert_eq!(gateway.call("GET", &key, &path, None).await.0, 404);
    // The keys that act as a member go with it.
    let ada = gateway.make(&key, "/v1/members", ada).await;
    let grace = format!("/v1/members/{grace}");
    assert_eq!(
        gateway.get(&grace_key, "/v1/whoami").await["member"]["email"],
        "grace@example.org"
    );
    assert_eq!(gateway.call("DELETE", &key, &grace, None).await.0, 204);
    assert_eq!(gateway.call("GET", &grace_key, "/v1/whoami", None).await.0, 401);
    let left: Vec<Uuid> = gateway
        .all(&key, "/v1/members")
        .await
        .iter()
        .map(|one| id(&one["id"]))
        .collect();
    assert_eq!(left, [id(&ada["id"])]);
    gateway.stop().await;
}

async fn agents_and_teams_have_their_revisions(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let key = gateway.tenant("Acme").await.key;
    for (kind, side) in [("agents", "agent"), ("teams", "team")] {
        let path = format!("/v1/{kind}");
        let made = gateway.make(&key, &path, json!({"name": "Desk"})).await;
        let one = format!("{path}/{}", id(&made["id"]));
        assert_eq!(gateway.get(&key, &one).await, made);
        let revisions = format!("{one}/revisions");
        let second = gateway
            .make(&key, &revisions, json!({"description": "Welsh"}))
            .await;
        let empty = send(gateway.request("POST", &key, &revisions)).await;
        assert_eq!(empty.status, 201, "the body may be left out: {empty:?}");
        let rows = gateway.all(&key, &revisions).await;
        let seen: Vec<_> = rows
            .iter()
            .map(|row| (row["number"].as_u64().unwrap(), &row["description"]))
            .collect();
        assert_eq!(seen, [(3, &Value::Null), (2, &json!("Welsh")), (1, &Value::Null)]);
        assert!(rows.iter().all(|row| row[format!("{side}_id")] == made["id"]));
        assert_eq!(
            rows[2]["id"], made["active_revision_id"],
            "the first was made with it"
        );
        assert_eq!(
            gateway.get(&key, &one).await["active_revision_id"],
            rows[0]["id"],
            "the newest is active"
        );
        let changed = gateway
            .change(
                &key,
                &one,
                json!({"name": "Front", "active_revision_id": second["id"]}),
            )
            .await;
        assert_eq!(
            (&changed["name"], &changed["active_revision_id"]),
            (&json!("Front"), &second["id"])
        );
        // Bound to it, a mailbox is pinned to what is active, and keeps it from being erased.
        let mut body = unreachable_mailbox(&format!("{side}@example.org"), "imap");
        body[format!("{side}_id")] = made["id"].clone();
        let mailbox = gateway.make(&key, "/v1/mailboxes", body).await;
        assert_eq!(mailbox[format!("{side}_revision_id")], second["id"]);
        let (status, bound) = gateway.call("DELETE", &key, &one, None).await;
        assert_eq!((status, &bound["code"]), (409, &json!("bound")));
        assert!(
            bound["detail"]
                .as_str()
                .unwrap()
                .contains(mailbox["id"].as_str().unwrap())
        );
        let free = format!("/v1/mailboxes/{}", id(&mailbox["id"]));
        gateway
            .change(&key, &free, json!({format!("{side}_id"): null}))
            .await;
        assert_eq!(gateway.call("DELETE", &key, &one, None).await.0, 204);
        for path in [&one, &revisions] {
            assert_eq!(gateway.call("GET", &key, path, None).await.0, 404, "{path}");
        }
        assert_eq!(gateway.all(&key, &path).await, [Value::Null; 0]);
    }
    gateway.stop().await;
}
