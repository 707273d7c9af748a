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
        .map(|one| {
            (
                id(&one["id"]),
                one["provider"].as_str().unwrap(),
                one["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [(microsoft, "microsoft", "paused"), (gmail, "gmail", "paused")],
        "newest first, no imap"
    );
    let published: Value = serde_json::from_str(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/openapi/examples/feather/published.openapi.json"
    )))
    .unwrap();
    let row = published
        .pointer("/components/schemas/MailboxAccountResponse/properties")
        .unwrap();
    for account in &listed {
        let named: Vec<&String> = account.as_object().unwrap().keys().collect();
        assert!(named.iter().all(|name| row.get(name).is_some()), "{named:?}");
        assert_eq!(named.len(), row.as_object().unwrap().len(), "{named:?}");
        for name in ["created_at", "updated_at"] {
            let text = account[name].as_str().unwrap();
            assert!(text.len() == 20 && text.ends_with('Z'), "{text}");
        }
    }
    for body in [
        json!({}),
        json!({"default_signature_html": "<p>x</p>"}),
        json!({"default_signature_html": null}),
    ] {
        let answer = accounts.patch(gmail, &body).await;
        assert_eq!(answer.status, 200);
        let html = body.get("default_signature_html").unwrap_or(&Value::Null);
        assert_eq!(&answer.json()["default_signature_html"], html, "{body}");
    }
    let long = "ü".repeat(20_000);
    assert_eq!(
        accounts
            .patch(gmail, &json!({"default_signature_html": long}))
            .await
            .status,
        200
    );
    for body in [
        json!({"default_signature_html": format!("{long}x")}),
        json!({"default_signature_html": 5}),
        json!({"name": "x"}),
        json!({"enabled": false}),
        json!({"agent_id": "x"}),
    ] {
        assert_eq!(accounts.patch(gmail, &body).await.status, 422);
    }
    assert_eq!(
        accounts.list().await[1]["default_signature_html"],
        json!(long),
        "nothing of a 422 was written"
    );
    let unauthenticated = send(gateway.request("GET", "", "/v1/email/accounts")).await;
    assert_eq!(unauthenticated.status, 401);
    fits(&unauthenticated, "");
    what_is_not_shown_is_not_there(&accounts, gmail, imap).await;
    gateway.stop().await;
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

async fn a_binding_is_patched_three_valued(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let Tenant { key, .. } = gateway.tenant("Acme").await;
    let other = gateway.tenant("Other").await;
    let accounts = Accounts {
        gateway: &gateway,
        key: key.clone(),
    };
    let account = accounts.account("g@example.org", "gmail").await;
    let made = async |key: &str, kind: &str| {
        gateway
            .make(key, &format!("/v1/{kind}"), json!({"name": "x"}))
            .await
    };
    let (agent, second, team) = (
        made(&key, "agents").await,
        made(&key, "agents").await,
        made(&key, "teams").await,
    );
    let (a, b, t) = (&agent["id"], &second["id"], &team["id"]);
    let (a1, b1, t1) = (
        &agent["active_revision_id"],
        &second["active_revision_id"],
        &team["active_revision_id"],
    );
    let path = format!("/v1/agents/{}/revisions", id(a));
    let a2 = &gateway.make(&key, &path, json!({})).await["id"];
    let (foreign, foreign_team) = (made(&other.key, "agents").await, made(&other.key, "teams").await);
    let null = &Value::Null;
    let none = [null, null, null, null];
    let (to_a, to_t) = ([a, a2, null, null], [null, null, t, t1]);
    let start_a = json!({"agent_id": a});
    let start_t = json!({"team_id": t});
    let start_none = json!({"agent_id": null, "team_id": null});
    let cases = [
        (&start_a, json!({}), Ok(to_a)),
        (&start_a, json!({"default_signature_html": "x"}), Ok(to_a)),
        (&start_a, json!({"agent_id": null}), Ok(none)),
        (&start_a, json!({"team_id": null}), Ok(to_a)),
        (&start_a, json!({"agent_id": null, "team_id": null}), Ok(none)),
        (&start_a, json!({"team_id": t}), Ok(to_t)),
        (&start_a, json!({"agent_id": null, "team_id": t}), Ok(to_t)),
        (&start_a, json!({"agent_id": b}), Ok([b, b1, null, null])),
        (
            &start_a,
            json!({"agent_id": b, "team_id": null}),
            Ok([b, b1, null, null]),
        ),
        (
            &start_a,
            json!({"agent_id": a, "agent_revision_id": a1}),
            Ok([a, a1, null, null]),
        ),
        (
            &start_a,
            json!({"agent_id": a, "agent_revision_id": null}),
            Ok(to_a),
        ),
        (&start_a, json!({"agent_revision_id": null}), Ok(to_a)),
        (
            &start_a,
            json!({"agent_revision_id": null, "team_revision_id": null}),
            Ok(to_a),
        ),
        (&start_t, json!({"agent_id": a}), Ok(to_a)),
        (&start_t, json!({"agent_id": null}), Ok(to_t)),
        (&start_t, json!({"team_id": null}), Ok(none)),
        (&start_t, json!({"team_id": t, "team_revision_id": t1}), Ok(to_t)),
        (
            &start_t,
            json!({"team_id": t, "agent_revision_id": null}),
            Ok(to_t),
        ),
        (&start_none, json!({"agent_id": null, "team_id": null}), Ok(none)),
        (&start_none, json!({"agent_id": a}), Ok(to_a)),
        (&start_a, json!({"agent_id": a, "team_id": t}), Err(422)),
        (&start_a, json!({"agent_revision_id": a1}), Err(422)),
        (&start_a, json!({"team_revision_id": t1}), Err(422)),
        (
            &start_a,
            json!({"agent_id": null, "agent_revision_id": a1}),
            Err(422),
        ),
        (&start_t, json!({"agent_id": a, "team_revision_id": t1}), Err(422)),
        (&start_t, json!({"team_id": t, "agent_revision_id": a1}), Err(422)),
        (
            &start_a,
            json!({"agent_id": b, "agent_revision_id": a1}),
            Err(404),
        ),
        (
            &start_a,
            json!({"agent_id": a, "agent_revision_id": t1}),
            Err(404),
        ),
        (&start_a, json!({"agent_id": t}), Err(404)),
        (&start_a, json!({"team_id": a}), Err(404)),
        (&start_a, json!({"agent_id": foreign["id"]}), Err(404)),
        (&start_a, json!({"team_id": foreign_team["id"]}), Err(404)),
        (
            &start_a,
            json!({"agent_id": a, "agent_revision_id": foreign["active_revision_id"]}),
            Err(404),
        ),
        (&start_a, json!({"agent_id": Uuid::now_v7()}), Err(404)),
    ];
    let binding = |account: &Value| {
        ["agent_id", "agent_revision_id", "team_id", "team_revision_id"].map(|name| account[name].clone())
    };
    for (start, body, expected) in cases {
        let before = accounts.patch(account, start).await;
        assert_eq!(before.status, 200, "{start}");
        let answer = accounts.patch(account, &body).await;
        let stored = binding(&accounts.list().await[0]);
        match expected {
            Ok(expected) => {
                assert_eq!(answer.status, 200, "{body}: {answer:?}");
                assert_eq!(
                    binding(&answer.json()).each_ref(),
                    expected,
                    "{start} then {body}"
                );
                assert_eq!(stored.each_ref(), expected, "{start} then {body}, as stored");
            }
            Err(status) => {
                assert_eq!(answer.status, status, "{start} then {body}: {answer:?}");
                assert_eq!(stored, binding(&before.json()), "{body}: nothing was changed");
            }
        }
    }
    // What is pinned stays when another revision becomes the active one.
    accounts.patch(account, &start_a).await;
    gateway.make(&key, &path, json!({})).await;
    let same = accounts
        .patch(account, &json!({"default_signature_html": "y"}))
        .await;
    assert_eq!(binding(&same.json()).each_ref(), to_a);
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
