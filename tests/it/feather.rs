//! Feather's email accounts: each answer against that API's own published document, and the three-valued PATCH.

use jsonschema::Validator;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    sandbox::{connected, login, serve},
    support::gateway::{Backend, Gateway, Tenant, both},
    world::{Answer, id, send, unreachable_mailbox},
};

mod on {
    use super::both;
    both!(
        every_answer_fits_the_published_document,
        a_binding_is_patched_three_valued,
        rebinding_leaves_the_connection_alone,
    );
}

/// The published schema of this name.
fn published(name: &str) -> Validator {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/openapi/examples/feather/published.openapi.json"
    );
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let schema = json!({
        "$ref": format!("#/components/schemas/{name}"),
        "components": document["components"],
    });
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap()
}

/// Checks an answer; `schema` describes what is answered with 200.
fn fits(answer: &Answer, schema: &str) {
    let name = match answer.status {
        200 => schema,
        422 => "HTTPValidationError",
        _ => "ErrorResponse",
    };
    let faults: Vec<String> = published(name)
        .iter_errors(&answer.json())
        .map(|error| format!("{}: {error}", error.instance_path))
        .collect();
    assert_eq!(faults, [""; 0], "{answer:?}");
}

struct Accounts<'a> {
    gateway: &'a Gateway,
    key: String,
}

impl Accounts<'_> {
    async fn patch(&self, account: Uuid, body: &Value) -> Answer {
        let path = format!("/v1/email/accounts/{account}");
        let answer = send(self.gateway.request("PATCH", &self.key, &path).json(body)).await;
        fits(&answer, "MailboxAccountResponse");
        answer
    }

    async fn list(&self) -> Vec<Value> {
        let answer = send(self.gateway.request("GET", &self.key, "/v1/email/accounts")).await;
        assert_eq!(answer.status, 200);
        fits(&answer, "ListMailboxAccountsResponse");
        answer.json()["accounts"].as_array().unwrap().clone()
    }

    /// A mailbox of this provider that nobody answers, disabled.
    async fn account(&self, address: &str, provider: &str) -> Uuid {
        let body = unreachable_mailbox(address, provider);
        let account = id(&self.gateway.make(&self.key, "/v1/mailboxes", body).await["id"]);
        let path = format!("/v1/mailboxes/{account}");
        self.gateway
            .change(&self.key, &path, json!({"enabled": false}))
            .await;
        account
    }
}

async fn every_answer_fits_the_published_document(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let Tenant { key, .. } = gateway.tenant("Acme").await;
    let accounts = Accounts {
        gateway: &gateway,
        key,
    };
    let gmail = accounts.account("g@example.org", "gmail").await;
    let microsoft = accounts.account("m@example.org", "microsoft").await;
    let imap = accounts.account("i@example.org", "imap").await;
    let listed = accounts.list().await;
    let rows: Vec<_> = listed
        .iter()
        .map(|one| (id(&one["id"]), one["provider"].as_str(), one["status"].as_str()))
        .collect();
    let paused = Some("paused");
    let expected = [
        (microsoft, Some("microsoft"), paused),
        (gmail, Some("gmail"), paused),
    ];
    assert_eq!(rows, expected, "newest first, no imap");
    listed.iter().for_each(has_every_published_field);
    let long = "ü".repeat(20_000);
    for html in [json!("<p>x</p>"), Value::Null, json!(long)] {
        let answer = accounts
            .patch(gmail, &json!({"default_signature_html": html}))
            .await;
        assert_eq!(
            (answer.status, &answer.json()["default_signature_html"]),
            (200, &html)
        );
    }
    for body in [
        json!({"default_signature_html": format!("{long}x")}),
        json!({"default_signature_html": 5}),
        json!({"name": "x"}),
        json!({"enabled": false}),
        json!({"agent_id": "x"}),
    ] {
        assert_eq!(accounts.patch(gmail, &body).await.status, 422);
    }
    let stored = accounts.list().await;
    assert_eq!(
        stored[1]["default_signature_html"],
        json!(long),
        "nothing of a 422 was written"
    );
    let unauthenticated = send(gateway.request("GET", "", "/v1/email/accounts")).await;
    assert_eq!(unauthenticated.status, 401);
    fits(&unauthenticated, "");
    what_is_not_shown_is_not_there(&accounts, gmail, imap).await;
    gateway.stop().await;
}

/// An account has the fields of the published document, no other, and its times as they are written there.
fn has_every_published_field(account: &Value) {
    let document: Value = serde_json::from_str(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/openapi/examples/feather/published.openapi.json"
    )))
    .unwrap();
    let row = document.pointer("/components/schemas/MailboxAccountResponse/properties");
    let mut published: Vec<&String> = row.unwrap().as_object().unwrap().keys().collect();
    let mut named: Vec<&String> = account.as_object().unwrap().keys().collect();
    published.sort();
    named.sort();
    assert_eq!(named, published);
    for name in ["created_at", "updated_at"] {
        let text = account[name].as_str().unwrap();
        assert!(text.len() == 20 && text.ends_with('Z'), "{text}");
    }
}

/// An imap mailbox, a retired one and an unknown id answer alike; a retired one stays in the list.
async fn what_is_not_shown_is_not_there(accounts: &Accounts<'_>, gmail: Uuid, imap: Uuid) {
    let (gateway, unknown) = (accounts.gateway, Uuid::now_v7());
    let delete = async |account: Uuid| {
        let path = format!("/v1/email/accounts/{account}");
        send(gateway.request("DELETE", &accounts.key, &path)).await
    };
    let gone = delete(gmail).await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    let mut said = Vec::new();
    for account in [unknown, imap, gmail] {
        let patched = accounts
            .patch(account, &json!({"default_signature_html": "x"}))
            .await;
        let deleted = delete(account).await;
        fits(&deleted, "");
        assert_eq!((patched.status, deleted.status), (404, 404));
        let sent = [unknown, imap, gmail];
        said.extend([patched.said(&sent), deleted.said(&sent)]);
    }
    assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
    let path = format!("/v1/mailboxes/{imap}");
    assert_eq!(
        gateway.get(&accounts.key, &path).await["status"],
        "paused",
        "the imap mailbox is untouched"
    );
    let retired: Vec<Value> = accounts
        .list()
        .await
        .into_iter()
        .filter(|one| one["status"] == "retired")
        .collect();
    assert_eq!(retired.len(), 1);
    assert_eq!(id(&retired[0]["id"]), gmail);
}

/// What a mailbox is bound to first, the body, and what it is bound to then (agent, its revision, team, its revision),
/// or the refusal. A and B are agents, T is a team; A2 is A's active revision. F is another tenant's, X nobody's.
const BINDINGS: [(&str, &str, &str); 34] = [
    ("A", "{}", "A A2 - -"),
    ("A", r#"{"default_signature_html": "x"}"#, "A A2 - -"),
    ("A", r#"{"agent_id": null}"#, "- - - -"),
    ("A", r#"{"team_id": null}"#, "A A2 - -"),
    ("A", r#"{"agent_id": null, "team_id": null}"#, "- - - -"),
    ("A", r#"{"team_id": "T"}"#, "- - T T1"),
    ("A", r#"{"agent_id": null, "team_id": "T"}"#, "- - T T1"),
    ("A", r#"{"agent_id": "B"}"#, "B B1 - -"),
    ("A", r#"{"agent_id": "B", "team_id": null}"#, "B B1 - -"),
    ("A", r#"{"agent_id": "A", "agent_revision_id": "A1"}"#, "A A1 - -"),
    ("A", r#"{"agent_id": "A", "agent_revision_id": null}"#, "A A2 - -"),
    ("A", r#"{"agent_revision_id": null}"#, "A A2 - -"),
    (
        "A",
        r#"{"agent_revision_id": null, "team_revision_id": null}"#,
        "A A2 - -",
    ),
    ("T", r#"{"agent_id": "A"}"#, "A A2 - -"),
    ("T", r#"{"agent_id": null}"#, "- - T T1"),
    ("T", r#"{"team_id": null}"#, "- - - -"),
    ("T", r#"{"team_id": "T", "team_revision_id": "T1"}"#, "- - T T1"),
    ("T", r#"{"team_id": "T", "agent_revision_id": null}"#, "- - T T1"),
    ("-", r#"{"agent_id": null, "team_id": null}"#, "- - - -"),
    ("-", r#"{"agent_id": "A"}"#, "A A2 - -"),
    ("A", r#"{"agent_id": "A", "team_id": "T"}"#, "422"),
    ("A", r#"{"agent_revision_id": "A1"}"#, "422"),
    ("A", r#"{"team_revision_id": "T1"}"#, "422"),
    ("A", r#"{"agent_id": null, "agent_revision_id": "A1"}"#, "422"),
    ("T", r#"{"agent_id": "A", "team_revision_id": "T1"}"#, "422"),
    ("T", r#"{"team_id": "T", "agent_revision_id": "A1"}"#, "422"),
    ("A", r#"{"agent_id": "B", "agent_revision_id": "A1"}"#, "404"),
    ("A", r#"{"agent_id": "A", "agent_revision_id": "T1"}"#, "404"),
    ("A", r#"{"agent_id": "T"}"#, "404"),
    ("A", r#"{"team_id": "A"}"#, "404"),
    ("A", r#"{"agent_id": "F"}"#, "404"),
    ("A", r#"{"team_id": "FT"}"#, "404"),
    ("A", r#"{"agent_id": "A", "agent_revision_id": "F1"}"#, "404"),
    ("A", r#"{"agent_id": "X"}"#, "404"),
];

/// The ids that the letters of [`BINDINGS`] stand for.
async fn letters(gateway: &Gateway, key: &str) -> Vec<(&'static str, Uuid)> {
    let other = gateway.tenant("Other").await;
    let mut letters = vec![("X", Uuid::now_v7())];
    for (key, path, thing, revision) in [
        (key, "/v1/agents", "A", "A1"),
        (key, "/v1/agents", "B", "B1"),
        (key, "/v1/teams", "T", "T1"),
        (&other.key, "/v1/agents", "F", "F1"),
        (&other.key, "/v1/teams", "FT", "FT1"),
    ] {
        let made = gateway.make(key, path, json!({"name": thing})).await;
        letters.push((thing, id(&made["id"])));
        letters.push((revision, id(&made["active_revision_id"])));
        if thing == "A" {
            let path = format!("{path}/{}/revisions", id(&made["id"]));
            letters.push(("A2", id(&gateway.make(key, &path, json!({})).await["id"])));
        }
    }
    letters
}

async fn a_binding_is_patched_three_valued(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let Tenant { key, .. } = gateway.tenant("Acme").await;
    let letters = letters(&gateway, &key).await;
    let accounts = Accounts {
        gateway: &gateway,
        key: key.clone(),
    };
    let account = accounts.account("g@example.org", "gmail").await;
    let with_ids = |body: &str| {
        let quoted = |text: String, (letter, id): &(&str, Uuid)| {
            text.replace(&format!("\"{letter}\""), &format!("\"{id}\""))
        };
        let body = letters.iter().fold(body.to_owned(), quoted);
        serde_json::from_str::<Value>(&body).unwrap()
    };
    let binding = |account: &Value| {
        let names = ["agent_id", "agent_revision_id", "team_id", "team_revision_id"];
        let letter = |name: &str| match account[name].as_str() {
            None => "-",
            Some(text) => letters.iter().find(|(_, id)| id.to_string() == text).unwrap().0,
        };
        names.map(letter).join(" ")
    };
    for (start, body, expected) in BINDINGS {
        let start = with_ids(match start {
            "A" => r#"{"agent_id": "A"}"#,
            "T" => r#"{"team_id": "T"}"#,
            _ => r#"{"agent_id": null, "team_id": null}"#,
        });
        let before = accounts.patch(account, &start).await;
        assert_eq!(before.status, 200, "{start}");
        let answer = accounts.patch(account, &with_ids(body)).await;
        let stored = binding(&accounts.list().await[0]);
        if let Ok(status) = expected.parse::<u16>() {
            assert_eq!(answer.status, status, "{start} then {body}: {answer:?}");
            assert_eq!(stored, binding(&before.json()), "{body}: nothing was changed");
        } else {
            assert_eq!(answer.status, 200, "{start} then {body}: {answer:?}");
            assert_eq!(binding(&answer.json()), expected, "{start} then {body}");
            assert_eq!(stored, expected, "{start} then {body}, as stored");
        }
    }
    // What is pinned stays when another revision becomes the active one.
    let bound = accounts
        .patch(account, &with_ids(r#"{"agent_id": "A"}"#))
        .await
        .json();
    let path = format!("/v1/agents/{}/revisions", id(&bound["agent_id"]));
    gateway.make(&key, &path, json!({})).await;
    let same = accounts
        .patch(account, &json!({"default_signature_html": "y"}))
        .await;
    assert_eq!(binding(&same.json()), "A A2 - -");
    gateway.stop().await;
}

async fn rebinding_leaves_the_connection_alone(backend: Backend) {
    let (_sandbox, port, _stop) = serve().await;
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let server = login(port);
    let mut body = unreachable_mailbox(server.address, "gmail");
    body["imap"] = json!({
        "host": server.host, "port": server.port, "security": "none", "username": server.username,
        "password": server.password,
    });
    let account = id(&gateway.make(&tenant.key, "/v1/mailboxes", body).await["id"]);
    gateway.wait_for(&tenant, account, "connected", connected).await;
    let agent = gateway
        .make(&tenant.key, "/v1/agents", json!({"name": "Desk"}))
        .await;
    let accounts = Accounts {
        gateway: &gateway,
        key: tenant.key.clone(),
    };
    for body in [
        json!({"agent_id": agent["id"]}),
        json!({"agent_id": null}),
        json!({"default_signature_html": "x"}),
    ] {
        let answer = accounts.patch(account, &body).await;
        assert_eq!(
            (answer.status, &answer.json()["status"]),
            (200, &json!("active")),
            "{body}"
        );
        let state = gateway
            .get(&tenant.key, &format!("/v1/mailboxes/{account}"))
            .await;
        assert_eq!(
            (&state["state"], &state["provider"]),
            (&json!("connected"), &json!("gmail")),
            "{body}"
        );
    }
    gateway.stop().await;
}
