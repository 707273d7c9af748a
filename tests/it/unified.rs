//! Mailboxes of the unified API: connected, listed, changed field by field, reconnected, verified and deleted.

use postroom::model::{mailbox::Mailbox, state::State};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    sandbox::{connected, login, serve},
    support::gateway::{Backend, Gateway, both},
    world::{id, send, unreachable_mailbox},
};

mod on {
    use super::both;
    both!(
        a_mailbox_is_made_once_and_listed_by_what_it_is,
        every_field_is_patched_three_valued,
        credentials_are_replaced_and_the_mailbox_stays,
        a_try_out_says_what_came_of_it_and_stores_nothing,
        what_a_client_has_is_not_sent_again,
    );
}

/// Every field of a mailbox.
const FIELDS: [&str; 21] = [
    "id",
    "address",
    "name",
    "provider",
    "state",
    "status",
    "enabled",
    "message_count",
    "created_by",
    "agent_id",
    "agent_revision_id",
    "team_id",
    "team_revision_id",
    "default_signature_html",
    "capabilities",
    "external_account_id",
    "error",
    "last_synced_at",
    "sync_progress",
    "created_at",
    "updated_at",
];

fn sandbox_mailbox(port: u16) -> Value {
    let server = login(port);
    json!({
        "address": server.address,
        "name": "Front desk",
        "imap": {
            "host": server.host, "port": server.port, "security": "none", "username": server.username,
            "password": server.password,
        },
    })
}

async fn a_mailbox_is_made_once_and_listed_by_what_it_is(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let key = gateway.tenant("Acme").await.key;
    let agent = gateway.make(&key, "/v1/agents", json!({"name": "Desk"})).await;
    let team = gateway.make(&key, "/v1/teams", json!({"name": "Desk"})).await;
    let one = made_once(&gateway, &key, &agent).await;
    let mut body = unreachable_mailbox("two@example.org", "imap");
    body["team_id"] = team["id"].clone();
    let two = gateway.make(&key, "/v1/mailboxes", body.clone()).await;
    let three = unreachable_mailbox("three@example.org", "microsoft");
    let three = gateway.make(&key, "/v1/mailboxes", three).await;
    for mailbox in [&one, &two, &three] {
        let path = format!("/v1/mailboxes/{}", id(&mailbox["id"]));
        gateway
            .change(&key, &path, json!({"enabled": mailbox == &two}))
            .await;
    }
    let path = format!("/v1/mailboxes/{}", id(&three["id"]));
    assert_eq!(gateway.call("DELETE", &key, &path, None).await.0, 204);
    let (agent, team) = (id(&agent["id"]), id(&team["id"]));
    for (query, expected) in [
        (String::new(), vec![&two, &one]),
        ("include_retired=true".to_owned(), vec![&three, &two, &one]),
        ("address=ONE@example.org".to_owned(), vec![&one]),
        ("address=three@example.org".to_owned(), vec![]),
        (
            "address=three@example.org&include_retired=true".to_owned(),
            vec![&three],
        ),
        ("provider=gmail".to_owned(), vec![&one]),
        ("provider=imap".to_owned(), vec![&two]),
        ("enabled=true".to_owned(), vec![&two]),
        ("enabled=false".to_owned(), vec![&one]),
        (format!("agent_id={agent}"), vec![&one]),
        (format!("team_id={team}"), vec![&two]),
        (format!("team_id={team}&provider=gmail"), vec![]),
    ] {
        let rows = gateway.all(&key, &format!("/v1/mailboxes?{query}")).await;
        let found: Vec<Uuid> = rows.iter().map(|row| id(&row["id"])).collect();
        let expected: Vec<Uuid> = expected.iter().map(|row| id(&row["id"])).collect();
        assert_eq!(found, expected, "{query}");
    }
    // A retired one does not count as connected, and is not revived.
    let again = unreachable_mailbox("three@example.org", "imap");
    let again = gateway.make(&key, "/v1/mailboxes", again).await;
    assert_ne!(again["id"], three["id"]);
    body["agent_id"] = json!(agent);
    assert_eq!(
        gateway.call("POST", &key, "/v1/mailboxes", Some(body)).await.0,
        422,
        "both sides"
    );
    gateway.stop().await;
}

/// Connects an address; again, in any spelling, it is taken, and in another tenant it is free.
async fn made_once(gateway: &Gateway, key: &str, agent: &Value) -> Value {
    let mut body = unreachable_mailbox("One@Example.org", "gmail");
    body["agent_id"] = agent["id"].clone();
    body["name"] = json!("Ünï");
    body["default_signature_html"] = json!("<p>One</p>");
    let one = gateway.make(key, "/v1/mailboxes", body.clone()).await;
    let named: Vec<&str> = one.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(named, FIELDS);
    for name in [
        "address",
        "name",
        "provider",
        "agent_id",
        "default_signature_html",
    ] {
        assert_eq!(one[name], body[name], "{name}");
    }
    let state = ["state", "status"].map(|name| one[name].as_str().unwrap());
    assert_eq!((state, &one["enabled"]), (["init", "pending"], &json!(true)));
    assert_eq!(one["agent_revision_id"], agent["active_revision_id"]);
    assert!(
        !one.to_string().contains("127.0.0.1"),
        "the login is not answered"
    );
    body["address"] = json!("one@example.ORG");
    let (status, taken) = gateway
        .call("POST", key, "/v1/mailboxes", Some(body.clone()))
        .await;
    assert_eq!((status, &taken["code"]), (409, &json!("mailbox_exists")));
    assert!(
        taken["detail"]
            .as_str()
            .unwrap()
            .contains(one["id"].as_str().unwrap())
    );
    let other = gateway.tenant("Other").await;
    body["agent_id"] = Value::Null;
    gateway.make(&other.key, "/v1/mailboxes", body).await;
    one
}

async fn every_field_is_patched_three_valued(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let key = gateway.tenant("Acme").await.key;
    let made = unreachable_mailbox("a@example.org", "gmail");
    let made = gateway.make(&key, "/v1/mailboxes", made).await;
    let path = format!("/v1/mailboxes/{}", id(&made["id"]));
    let off = gateway.change(&key, &path, json!({"enabled": false})).await;
    assert_eq!(
        (&off["state"], &off["status"]),
        (&json!("disconnected"), &json!("paused"))
    );
    let agent = gateway.make(&key, "/v1/agents", json!({"name": "x"})).await;
    let (agent, revision) = (&agent["id"], &agent["active_revision_id"]);
    let smtp = json!({"host": "127.0.0.1", "port": 1, "security": "none", "username": "a", "password": "b"});
    let bound = json!({"agent_id": agent, "agent_revision_id": revision});
    let cleared = json!({"default_signature_html": null, "agent_id": null, "agent_revision_id": null});
    // Each step: the body, and what it changes of the answer.
    for (body, changes) in [
        (json!({}), json!({})),
        (json!({"name": "Desk"}), json!({"name": "Desk"})),
        (
            json!({"default_signature_html": "<p>x</p>"}),
            json!({"default_signature_html": "<p>x</p>"}),
        ),
        (json!({"agent_id": agent}), bound),
        (json!({}), json!({})),
        (json!({"name": null}), json!({"name": null})),
        (json!({"default_signature_html": null, "agent_id": null}), cleared),
        (json!({"smtp": smtp}), json!({})),
        (json!({"smtp": {"port": 2}}), json!({})),
        (json!({"smtp": null}), json!({})),
        (json!({"imap": {"password": "other"}}), json!({})),
        (json!({"enabled": false}), json!({})),
    ] {
        let mut expected = gateway.get(&key, &path).await;
        let answered = gateway.change(&key, &path, body.clone()).await;
        for (name, value) in changes.as_object().unwrap() {
            expected[name] = value.clone();
        }
        let writes = body != json!({}) && body != json!({"enabled": false});
        let moved = answered["updated_at"] != expected["updated_at"];
        assert_eq!(moved, writes, "{body}: whether it is a change");
        expected["updated_at"] = answered["updated_at"].clone();
        assert_eq!(answered, expected, "{body}");
        assert_eq!(gateway.get(&key, &path).await, expected, "{body}, as stored");
    }
    let name = "x".repeat(201);
    let signature = "x".repeat(20_001);
    is_refused(&gateway, &key, &path, &json!({"name": name}), "/name").await;
    let body = json!({"default_signature_html": signature});
    is_refused(&gateway, &key, &path, &body, "/default_signature_html").await;
    for (body, pointer) in WRONG_PATCHES {
        let body: Value = serde_json::from_str(body).unwrap();
        is_refused(&gateway, &key, &path, &body, pointer).await;
    }
    gateway.stop().await;
}

/// Patches that break a rule, and the field that is named for it.
const WRONG_PATCHES: [(&str, &str); 11] = [
    (r#"{"enabled": null}"#, "/enabled"),
    (r#"{"imap": null}"#, "/imap"),
    (r#"{"name": ""}"#, "/name"),
    (r#"{"imap": {"port": 0}}"#, "/imap/port"),
    (r#"{"imap": {"port": 65536}}"#, "/imap/port"),
    (r#"{"imap": {"password": ""}}"#, "/imap/password"),
    (r#"{"smtp": {"security": "ssl"}}"#, "/smtp/security"),
    (r#"{"smtp": {"port": 25}}"#, "/smtp/host"),
    (
        r#"{"agent_revision_id": "0197a7b2-1c80-7000-8000-000000000000"}"#,
        "/agent_revision_id",
    ),
    (r#"{"address": "b@example.org"}"#, "/address"),
    (r#"{"provider": "imap"}"#, "/provider"),
];

/// A patch is refused for this field, in words of its own, and changes nothing.
async fn is_refused(gateway: &Gateway, key: &str, path: &str, body: &Value, pointer: &str) {
    let before = gateway.get(key, path).await;
    let (status, refused) = gateway.call("PATCH", key, path, Some(body.clone())).await;
    let named = refused["errors"][0]["pointer"].as_str();
    assert_eq!((status, named), (422, Some(pointer)), "{body}: {refused:#}");
    assert!(!refused.to_string().contains("anyOf"), "{refused:#}");
    assert_eq!(gateway.get(key, path).await, before, "{body}");
}

async fn credentials_are_replaced_and_the_mailbox_stays(backend: Backend) {
    let (_sandbox, port, _stop) = serve().await;
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let key = &tenant.key;
    let whole = |mailbox: &Mailbox| connected(mailbox).filter(|_| mailbox.last_synced_at.is_some());
    let mut body = sandbox_mailbox(port);
    body["imap"]["password"] = json!("wrong");
    let mailbox = id(&gateway.make(key, "/v1/mailboxes", body).await["id"]);
    let path = format!("/v1/mailboxes/{mailbox}");
    let refused = |mailbox: &Mailbox| (mailbox.state() == State::AuthenticationError).then_some(());
    gateway.wait_for(&tenant, mailbox, "refused", refused).await;
    let shown = gateway.get(key, &path).await;
    assert_eq!(
        (&shown["status"], &shown["error"]["code"]),
        (&json!("needs_reauth"), &json!("credentials_refused"))
    );
    assert!(shown["error"]["since"].is_string() && !shown.to_string().contains("wrong"));
    gateway
        .change(key, &path, json!({"imap": {"password": login(port).password}}))
        .await;
    assert_eq!(gateway.wait_for(&tenant, mailbox, "connected", whole).await, 92);
    let shown = gateway.get(key, &path).await;
    assert_eq!(
        (&shown["error"], &shown["status"]),
        (&Value::Null, &json!("active"))
    );
    assert!(shown["last_synced_at"].is_string() && !shown["capabilities"].as_array().unwrap().is_empty());
    let (status, again) = gateway
        .call("POST", key, &format!("{path}/reconnect"), None)
        .await;
    assert_eq!((status, id(&again["id"])), (200, mailbox));
    assert_eq!(
        gateway
            .wait_for(&tenant, mailbox, "connected again", connected)
            .await,
        92
    );
    let folders = gateway.get(key, &format!("{path}/folders")).await;
    let roles: Vec<&str> = folders["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["role"].as_str())
        .collect();
    assert!(roles.contains(&"inbox") && roles.contains(&"sent"), "{folders:#}");
    assert_eq!(gateway.call("DELETE", key, &path, None).await, (204, Value::Null));
    let retired = gateway.get(key, &path).await;
    assert_eq!(
        (&retired["status"], &retired["enabled"]),
        (&json!("retired"), &json!(false))
    );
    let messages = gateway.get(key, "/v1/messages").await;
    assert_eq!(messages["data"], json!([]), "its messages go with it");
    gateway.stop().await;
}

async fn a_try_out_says_what_came_of_it_and_stores_nothing(backend: Backend) {
    let (_sandbox, port, _stop) = serve().await;
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let verify = async |change: &dyn Fn(&mut Value)| {
        let mut imap = sandbox_mailbox(port)["imap"].clone();
        change(&mut imap);
        let body = Some(json!({"imap": imap}));
        let (status, json) = gateway
            .call("POST", &tenant.key, "/v1/mailboxes/verify", body)
            .await;
        assert_eq!(status, 200, "{json}");
        assert_eq!((&json["ok"], &json["smtp"]), (&json["imap"]["ok"], &Value::Null));
        json["imap"].clone()
    };
    let fine = verify(&|_| {}).await;
    assert_eq!((&fine["ok"], &fine["error"]), (&json!(true), &Value::Null));
    assert!(!fine["capabilities"].as_array().unwrap().is_empty());
    for (change, code) in [
        (
            (&|imap: &mut Value| imap["password"] = json!("wrong")) as &dyn Fn(&mut Value),
            "credentials_refused",
        ),
        (&|imap| imap["port"] = json!(1), "unreachable"),
        (
            &|imap| imap["host"] = json!("10.255.255.1"),
            "address_not_allowed",
        ),
        (&|imap| imap["security"] = json!("starttls"), "not_supported"),
    ] {
        let failed = verify(change).await;
        assert_eq!(
            (&failed["ok"], failed["error"]["code"].as_str()),
            (&json!(false), Some(code)),
            "{failed}"
        );
        assert!(!failed.to_string().contains("wrong"), "{failed}");
    }
    assert_eq!(gateway.all(&tenant.key, "/v1/mailboxes").await, [Value::Null; 0]);
    gateway.stop().await;
}

async fn what_a_client_has_is_not_sent_again(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let key = gateway.tenant("Acme").await.key;
    let member = json!({"first_name": "A", "last_name": "B", "email": "a@example.org", "role": "owner"});
    let member = gateway.make(&key, "/v1/members", member).await;
    let path = format!("/v1/members/{}", id(&member["id"]));
    let get = async |known: &str| {
        let request = gateway.request("GET", &key, &path);
        send(if known.is_empty() {
            request
        } else {
            request.header("if-none-match", known)
        })
        .await
    };
    let first = get("").await;
    let tag = first.header("etag").unwrap().to_owned();
    for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
        let same = get(&known).await;
        assert_eq!(
            (same.status, same.text.as_str(), same.header("etag")),
            (304, "", Some(tag.as_str())),
            "{known}"
        );
    }
    let head = send(gateway.request("HEAD", &key, &path)).await;
    assert_eq!(
        (head.status, head.text.as_str(), head.header("etag")),
        (200, "", Some(tag.as_str()))
    );
    assert_eq!(
        head.header("content-length"),
        Some(first.text.len().to_string().as_str())
    );
    gateway.change(&key, &path, json!({"first_name": "C"})).await;
    let changed = get(&tag).await;
    assert_eq!(
        (changed.status, changed.header("etag") == Some(&tag)),
        (200, false)
    );
    gateway.stop().await;
}
