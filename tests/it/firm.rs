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
    has(&stored, &profile);
    assert_eq!(
        (&stored["id"], &stored["created_at"]),
        (&first["id"], &first["created_at"])
    );
    has(&shown_by_plannr(&gateway, &key).await, &profile);
    // What is left out stays; null clears; within billing and the colours too.
    let change = json!({
        "county": null, "billing": {"invoice_county": null}, "brand_colours": {"sidebar_text": null},
    });
    let changed = gateway.change(&key, "/v1/tenant", change).await;
    let mut expected = profile.clone();
    expected["county"] = Value::Null;
    expected["billing"]["invoice_county"] = Value::Null;
    expected["brand_colours"]["sidebar_text"] = Value::Null;
    has(&changed, &expected);
    let mut nothing = profile;
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

/// Every field of the profile, with its value.
fn has(shown: &Value, profile: &Value) {
    for (name, value) in profile.as_object().unwrap() {
        assert!(
            same(&shown[name], value),
            "{name}: {} is not {value}",
            shown[name]
        );
    }
}

/// The firm that Plannr's dialect shows, in the account of a member who connected a mailbox.
async fn shown_by_plannr(gateway: &Gateway, key: &str) -> Value {
    let member = json!({"first_name": "A", "last_name": "B", "email": "a@b.example", "role": "owner"});
    let member = id(&gateway.make(key, "/v1/members", member).await["id"]);
    let request = gateway
        .request("POST", key, "/v1/mailboxes")
        .header("X-PLANNR-ACCOUNT-UUID", member.to_string());
    let made = send(request.json(&unreachable_mailbox("a@b.example", "imap"))).await;
    assert_eq!(made.status, 201, "{made:?}");
    let list = gateway.get(key, "/api/v1/mailboxes").await;
    list["data"][0]["created_by"]["firm"].clone()
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
    let key = tenant.key.as_str();
    let refused = async |method: &str, path: &str, body: Option<Value>| {
        let (status, json) = gateway.call(method, key, path, body).await;
        (status, json["code"].as_str().unwrap_or_default().to_owned())
    };
    let ada = json!({"first_name": "Ada", "last_name": "Byron", "email": "Ada@example.org", "role": "owner"});
    let made = gateway.make(key, "/v1/members", ada.clone()).await;
    has(&made, &ada);
    let path = format!("/v1/members/{}", id(&made["id"]));
    assert_eq!(gateway.get(key, &path).await, made);
    let mut again = ada.clone();
    again["email"] = json!("ada@EXAMPLE.org");
    let taken = (409, "member_exists".to_owned());
    assert_eq!(refused("POST", "/v1/members", Some(again)).await, taken);
    let last = (409, "last_owner".to_owned());
    assert_eq!(
        refused("PATCH", &path, Some(json!({"role": "senior"}))).await,
        last
    );
    assert_eq!(refused("DELETE", &path, None).await, last);
    let (grace, grace_key) = gateway.member(&tenant, "grace@example.org", "owner").await;
    let change = json!({"role": "employee", "last_name": "King"});
    has(&gateway.change(key, &path, change.clone()).await, &change);
    assert_eq!(
        refused("PATCH", &path, Some(json!({"email": "GRACE@example.org"}))).await,
        taken
    );
    // One's own address may be spelled anew.
    let change = json!({"email": "ADA@example.org", "first_name": "Augusta"});
    has(&gateway.change(key, &path, change.clone()).await, &change);
    for wrong in [
        json!({"email": null}),
        json!({"role": "king"}),
        json!({"email": "x"}),
        json!({"first_name": "x".repeat(201)}),
    ] {
        assert_eq!(
            refused("PATCH", &path, Some(wrong.clone())).await.0,
            422,
            "{wrong}"
        );
    }
    assert_eq!(gateway.call("DELETE", key, &path, None).await.0, 204);
    assert_eq!(gateway.call("GET", key, &path, None).await.0, 404);
    // The keys that act as a member go with it.
    let ada = gateway.make(key, "/v1/members", ada).await;
    assert_eq!(
        id(&gateway.get(&grace_key, "/v1/whoami").await["member"]["id"]),
        grace
    );
    let path = format!("/v1/members/{grace}");
    assert_eq!(gateway.call("DELETE", key, &path, None).await.0, 204);
    assert_eq!(gateway.call("GET", &grace_key, "/v1/whoami", None).await.0, 401);
    let left = gateway.all(key, "/v1/members").await;
    assert_eq!(left, [ada]);
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
            .map(|row| (row["number"].as_u64().unwrap(), row["description"].as_str()))
            .collect();
        assert_eq!(seen, [(3, None), (2, Some("Welsh")), (1, None)]);
        assert!(rows.iter().all(|row| row[format!("{side}_id")] == made["id"]));
        assert_eq!(
            rows[2]["id"], made["active_revision_id"],
            "the first was made with it"
        );
        let newest = gateway.get(&key, &one).await;
        assert_eq!(
            newest["active_revision_id"], rows[0]["id"],
            "the newest is active"
        );
        let change = json!({"name": "Front", "active_revision_id": second["id"]});
        has(&gateway.change(&key, &one, change.clone()).await, &change);
        bound_it_stays(&gateway, &key, side, &one).await;
        for path in [&one, &revisions] {
            assert_eq!(gateway.call("GET", &key, path, None).await.0, 404, "{path}");
        }
        assert_eq!(gateway.all(&key, &path).await, [Value::Null; 0]);
    }
    gateway.stop().await;
}

/// A mailbox is pinned to the active revision, and keeps what it is bound to from being erased.
async fn bound_it_stays(gateway: &Gateway, key: &str, side: &str, path: &str) {
    let one = gateway.get(key, path).await;
    let mut body = unreachable_mailbox(&format!("{side}@example.org"), "imap");
    body[format!("{side}_id")] = one["id"].clone();
    let mailbox = gateway.make(key, "/v1/mailboxes", body).await;
    assert_eq!(mailbox[format!("{side}_revision_id")], one["active_revision_id"]);
    let (status, bound) = gateway.call("DELETE", key, path, None).await;
    assert_eq!((status, &bound["code"]), (409, &json!("bound")));
    assert!(
        bound["detail"]
            .as_str()
            .unwrap()
            .contains(mailbox["id"].as_str().unwrap())
    );
    let free = format!("/v1/mailboxes/{}", id(&mailbox["id"]));
    gateway
        .change(key, &free, json!({format!("{side}_id"): null}))
        .await;
    assert_eq!(gateway.call("DELETE", key, path, None).await.0, 204);
}
