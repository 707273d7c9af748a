//! Plannr's two operations of the source documents, field by field, on a mailbox that was really synced.

use chrono::{DateTime, TimeDelta};
use postroom::model::clock::Clock;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    sandbox::{connected, login, serve},
    support::gateway::{Backend, Gateway, Tenant, both},
    world::{id, send},
};

mod on {
    use super::both;
    both!(
        a_mailbox_has_the_sources_fields_and_is_changed_as_there,
        a_message_has_the_sources_fields_and_its_own_values,
        a_download_needs_no_credential_and_only_its_link,
    );
}

/// Fields of the account that the source has in some views only.
const IN_SOME_VIEWS: [&str; 2] = ["joint_account_circle", "ownership_percentage"];

fn example(name: &str) -> Value {
    let path = format!(
        "{}/openapi/examples/plannr/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What a documentation tool writes where it does not know the value.
fn is_placeholder(fields: &Map<String, Value>) -> bool {
    fields.len() == 3
        && ["example", "collection", "description"]
            .iter()
            .all(|name| fields.contains_key(*name))
}

/// Every field of the example is in the answer and no other, to the depth to which the example says.
fn same_fields(example: &Value, answer: &Value, at: &str) {
    match example {
        Value::Object(fields) if is_placeholder(fields) || at.ends_with(".thread_count") => {}
        Value::Object(fields) => {
            let nested = at.contains("ancestors[") || at.contains("descendants[");
            let left_out = |name: &str| IN_SOME_VIEWS.contains(&name) || (nested && name == "html");
            let mut expected: Vec<&str> = fields.keys().map(String::as_str).collect();
            expected.retain(|name| !left_out(name));
            expected.sort_unstable();
            let answer = answer
                .as_object()
                .unwrap_or_else(|| panic!("{at} is no object: {answer}"));
            let mut named: Vec<&str> = answer.keys().map(String::as_str).collect();
            named.sort_unstable();
            assert_eq!(named, expected, "the fields of {at}");
            for name in expected {
                same_fields(&fields[name], &answer[name], &format!("{at}.{name}"));
            }
        }
        Value::Array(items) if items.first().is_some_and(Value::is_object) => {
            let list = answer
                .as_array()
                .unwrap_or_else(|| panic!("{at} is no list: {answer}"));
            for (index, one) in list.iter().enumerate() {
                same_fields(&items[0], one, &format!("{at}[{index}]"));
            }
        }
        _ => {}
    }
}

/// Every time in an answer has a numeric offset.
fn numeric_offsets(value: &Value, at: &str) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let (true, Some(text)) = (name.ends_with("_at"), value.as_str()) {
                    assert!(
                        text.ends_with("+00:00") && DateTime::parse_from_rfc3339(text).is_ok(),
                        "{at}.{name}: {text}"
                    );
                }
                numeric_offsets(value, &format!("{at}.{name}"));
            }
        }
        Value::Array(list) => list.iter().for_each(|one| numeric_offsets(one, at)),
        _ => {}
    }
}

/// A tenant with a member who connected the story's mailbox; the member's id and key.
async fn acme(gateway: &Gateway, port: u16) -> (Tenant, Uuid, Uuid, String) {
    let tenant = gateway.tenant("Acme").await;
    let (member, key) = gateway.member(&tenant, "ada@example.org", "senior").await;
    let own = Tenant {
        id: tenant.id,
        key: key.clone(),
    };
    let mailbox = gateway.connect(&own, login(port)).await.id;
    gateway.wait_for(&tenant, mailbox, "connected", connected).await;
    (tenant, mailbox, member, key)
}

/// Bodies, and the name and whether the mailbox is enabled after them; one after another.
const CHANGES: [(&str, Option<&str>, bool); 5] = [
    (r#"{"name": "Front desk"}"#, Some("Front desk"), true),
    (r#"{"enabled": false}"#, Some("Front desk"), false),
    (r#"{"name": null}"#, None, false),
    (r#"{"name": "Desk", "enabled": 0}"#, Some("Desk"), false),
    (r#"{"colour": "red", "name": "Bell"}"#, Some("Bell"), false),
];

/// Plannr's `PUT` as that API's callers send it.
async fn put(gateway: &Gateway, key: &str, member: Uuid, mailbox: Uuid, body: Option<&str>) -> (u16, Value) {
    let path = format!("/api/v1/mailboxes/{mailbox}");
    let mut request = gateway.request("PUT", "", &path).bearer_auth(key);
    request = request.header("X-PLANNR-ACCOUNT-UUID", member.to_string());
    if let Some(body) = body {
        request = request
            .header("content-type", "application/json")
            .body(body.to_owned());
    }
    let answer = send(request).await;
    (answer.status, answer.json())
}

async fn a_mailbox_has_the_sources_fields_and_is_changed_as_there(backend: Backend) {
    let (_sandbox, port, _stop) = serve().await;
    let gateway = Gateway::start(backend).await;
    let (tenant, mailbox, member, key) = acme(&gateway, port).await;
    let put = async |body: Option<&str>| put(&gateway, &key, member, mailbox, body).await;
    let unified = async || gateway.get(&key, &format!("/v1/mailboxes/{mailbox}")).await;
    let (status, first) = put(None).await;
    assert_eq!(status, 200, "{first}");
    shows_what_is_known(&first, &unified().await, &tenant, member);
    // A body that says nothing changes nothing, not even the time of the last change.
    let before = unified().await;
    for body in [
        "",
        "{}",
        "[]",
        r#"{"colour": "red", "email": "other@example.org", "enabled": true}"#,
    ] {
        let (status, same) = put(Some(body)).await;
        assert_eq!((status, &same), (200, &first), "{body}");
        assert_eq!(unified().await["updated_at"], before["updated_at"], "{body}");
    }
    for (body, name, enabled) in CHANGES {
        let (status, changed) = put(Some(body)).await;
        assert_eq!(
            (status, changed["name"].as_str(), &changed["enabled"]),
            (200, name, &json!(enabled)),
            "{body}"
        );
        assert_eq!(
            changed["state"],
            if enabled { "connected" } else { "disconnected" },
            "{body}"
        );
        same_fields(&example("mailbox"), &changed, "mailbox");
    }
    for body in [r#"{"enabled": "yes"}"#, r#"{"name": 5}"#] {
        let (status, refused) = put(Some(body)).await;
        assert_eq!(status, 422, "{refused}");
    }
    let (status, on) = put(Some(r#"{"enabled": true}"#)).await;
    assert_eq!((status, &on["enabled"]), (200, &json!(true)));
    gateway
        .wait_for(&tenant, mailbox, "connected again", connected)
        .await;
    let list = gateway.get(&key, "/api/v1/mailboxes").await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    same_fields(&example("mailbox"), &list["data"][0], "mailbox");
    gateway.stop().await;
}

/// The source's fields, with the mailbox's own values.
fn shows_what_is_known(shown: &Value, unified: &Value, tenant: &Tenant, member: Uuid) {
    same_fields(&example("mailbox"), shown, "mailbox");
    numeric_offsets(shown, "mailbox");
    let known = json!({
        "uuid": unified["id"], "email": unified["address"], "name": null, "type": "imap", "state": "connected",
        "enabled": true, "message_count": 92,
    });
    for (name, value) in known.as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name}");
    }
    let creator = &shown["created_by"];
    assert_eq!(
        (id(&creator["uuid"]), id(&creator["firm"]["uuid"])),
        (member, tenant.id)
    );
    let texts = ["name", "email", "role"].map(|name| creator[name].as_str().unwrap());
    assert_eq!(texts, ["Ada Byron", "ada@example.org", "senior"]);
    assert_eq!(
        (&creator["primary_email"], &creator["tags"]),
        (&Value::Null, &json!([]))
    );
}

async fn a_message_has_the_sources_fields_and_its_own_values(backend: Backend) {
    let (_sandbox, port, _stop) = serve().await;
    let gateway = Gateway::start(backend).await;
    let (_, _, _, key) = acme(&gateway, port).await;
    let rows = gateway.all(&key, "/v1/messages").await;
    assert_eq!(rows.len(), 92);
    let example = example("message");
    for row in &rows {
        let message = id(&row["id"]);
        let unified = gateway.get(&key, &format!("/v1/messages/{message}")).await;
        let shown = gateway
            .get(&key, &format!("/api/v1/mailboxes/message/{message}?per_page=500"))
            .await;
        same_fields(&example, &shown, "message");
        numeric_offsets(&shown, "message");
        own_values(&unified, &shown);
        let thread = gateway
            .get(&key, &format!("/v1/threads/{}", id(&row["thread_id"])))
            .await;
        let order = uuids(&thread["messages"], "id");
        let here = order.iter().position(|one| *one == message).unwrap();
        assert_eq!(uuids(&shown["ancestors"], "uuid"), order[..here]);
        assert_eq!(uuids(&shown["descendants"], "uuid"), order[here + 1..]);
        assert_eq!(shown["thread_count"], order.len());
        assert_eq!(thread["message_count"], order.len());
        for one in shown["ancestors"]
            .as_array()
            .unwrap()
            .iter()
            .chain(shown["descendants"].as_array().unwrap())
        {
            assert_eq!((&one["ancestors"], &one["descendants"]), (&json!([]), &json!([])));
            assert_eq!(
                (&one["thread_count"], &one["mailbox"]),
                (&shown["thread_count"], &shown["mailbox"])
            );
        }
    }
    pages_are_counted_from_the_message(&gateway, &key, &rows).await;
    gateway.stop().await;
}

fn uuids(list: &Value, name: &str) -> Vec<Uuid> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|one| id(&one[name]))
        .collect()
}

/// The values are those that the unified message has.
fn own_values(unified: &Value, shown: &Value) {
    for (theirs, ours) in [
        ("uuid", "id"),
        ("subject", "subject"),
        ("text", "text"),
        ("html", "html"),
        ("incoming", "incoming"),
        ("thread_count", "thread_count"),
    ] {
        assert_eq!(shown[theirs], unified[ours], "{theirs}");
    }
    assert_eq!(shown["mailbox"]["uuid"], unified["mailbox_id"]);
    let seconds = |value: &Value| {
        DateTime::parse_from_rfc3339(value.as_str().unwrap())
            .unwrap()
            .timestamp()
    };
    assert_eq!(
        seconds(&shown["message_created_at"]),
        seconds(&unified["sent_at"])
    );
    assert_eq!(seconds(&shown["created_at"]), seconds(&unified["created_at"]));
    for kind in ["from", "to", "cc", "bcc", "reply_to"] {
        let named: Vec<Value> = shown["participants"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["type"] == kind)
            .map(|one| json!({"name": one["name"], "address": one["email"]}))
            .collect();
        assert_eq!(json!(named), unified[kind], "{kind}");
    }
    let attachments = shown["attachments"].as_array().unwrap();
    assert_eq!(
        attachments.len(),
        unified["attachments"].as_array().unwrap().len()
    );
    for (one, ours) in attachments.iter().zip(unified["attachments"].as_array().unwrap()) {
        for (theirs, name) in [
            ("uuid", "id"),
            ("name", "name"),
            ("size", "size"),
            ("type", "content_type"),
        ] {
            assert_eq!(one[theirs], ours[name], "{theirs}");
        }
        assert_eq!(one["status"], "uploaded");
        let name = ours["name"].as_str().unwrap_or_default();
        let extension = name.rsplit_once('.').map(|(_, extension)| extension);
        assert_eq!(one["extension"].as_str(), extension, "{name}");
    }
}

async fn pages_are_counted_from_the_message(gateway: &Gateway, key: &str, rows: &[Value]) {
    let long = rows.iter().find(|row| row["thread_count"] == 9).unwrap();
    let thread = gateway
        .get(key, &format!("/v1/threads/{}", id(&long["thread_id"])))
        .await;
    let order = uuids(&thread["messages"], "id");
    let middle = order[4];
    for (query, before, after) in [
        ("", &order[..4], &order[5..]),
        ("?per_page=2", &order[2..4], &order[5..7]),
        ("?per_page=2&page[ancestors]=2", &order[..2], &order[5..7]),
        (
            "?per_page=3&page[ancestors]=2&page[descendants]=2",
            &order[..1],
            &order[8..],
        ),
        ("?per_page=4&page[descendants]=2", &order[..4], &order[9..]),
        ("?page[ancestors]=4000000000", &order[..0], &order[5..]),
    ] {
        let shown = gateway
            .get(key, &format!("/api/v1/mailboxes/message/{middle}{query}"))
            .await;
        assert_eq!(uuids(&shown["ancestors"], "uuid"), before, "{query}");
        assert_eq!(uuids(&shown["descendants"], "uuid"), after, "{query}");
        assert_eq!(shown["thread_count"], 9, "{query}: counted before paging");
    }
}

async fn a_download_needs_no_credential_and_only_its_link(backend: Backend) {
    let (_sandbox, port, _stop) = serve().await;
    let gateway = Gateway::start(backend).await;
    let (_, _, _, key) = acme(&gateway, port).await;
    let rows = gateway.all(&key, "/v1/messages?has_attachments=true").await;
    let mut links = Vec::new();
    for row in &rows {
        let shown = gateway
            .get(&key, &format!("/api/v1/mailboxes/message/{}", id(&row["id"])))
            .await;
        for one in shown["attachments"].as_array().unwrap() {
            let url = one["download_url"].as_str().unwrap().to_owned();
            let linked = send(gateway.http.get(&url)).await;
            assert_eq!(linked.status, 200, "{linked:?}");
            let path = format!("/v1/attachments/{}/content", id(&one["uuid"]));
            let own = send(gateway.request("GET", &key, &path)).await;
            assert_eq!((own.status, &own.text), (200, &linked.text), "{path}");
            assert_eq!(
                linked.header("content-length"),
                Some(one["size"].to_string().as_str())
            );
            assert!(
                linked
                    .header("content-disposition")
                    .unwrap()
                    .starts_with("attachment")
            );
            links.push(url);
        }
    }
    assert!(links.len() > 2, "the story has attachments");
    let range = send(gateway.http.get(&links[0]).header("range", "bytes=1-3")).await;
    assert_eq!((range.status, range.header("content-length")), (206, Some("3")));
    let (base, token) = links[0].rsplit_once('/').unwrap();
    assert_eq!(base, format!("{}/downloads", gateway.url));
    let now = Clock::system().now();
    assert!(gateway.app.links.check(token, now).is_ok());
    assert!(
        gateway.app.links.check(token, now + TimeDelta::hours(2)).is_err(),
        "it ends"
    );
    let (_, other) = links[1].rsplit_once('/').unwrap();
    let half = token.len() / 2;
    for wrong in [
        "",
        "x",
        &token[..half],
        &format!("{token}A"),
        &format!("{}{}", &token[..half], &other[half..]),
    ] {
        let refused = send(gateway.http.get(format!("{base}/{wrong}"))).await;
        assert!([403, 404].contains(&refused.status), "{wrong}: {refused:?}");
        assert!(!refused.text.contains(&id(&rows[0]["id"]).to_string()));
    }
    gateway.stop().await;
}
