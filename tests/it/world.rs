//! Two tenants that have one of everything, requests written by hand, and the operations of the published documents.

use std::collections::BTreeMap;

use postroom::model::mailbox::Mailbox;
use reqwest::{RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    sandbox::{connected, login},
    support::gateway::{Gateway, Tenant},
};

/// What was answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// What it says, without what names the request: its id, its path, and the ids that were sent.
    pub(crate) fn said(&self, sent: &[Uuid]) -> (u16, Option<String>, String) {
        let mut text = match serde_json::from_str::<Value>(&self.text) {
            Ok(mut json) => {
                if let Some(fields) = json.as_object_mut() {
                    fields.remove("request_id");
                }
                json.to_string()
            }
            Err(_) => self.text.clone(),
        };
        for id in sent {
            text = text.replace(&id.to_string(), "ID");
        }
        (self.status, self.header("content-type").map(str::to_owned), text)
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let mut answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let bytes = if headers
        .get("content-type")
        .is_some_and(|kind| kind == "text/event-stream")
    {
        // It has no end: what comes at once is its beginning.
        answer.chunk().await.unwrap().unwrap_or_default()
    } else {
        answer.bytes().await.unwrap()
    };
    Answer {
        status,
        headers,
        text: String::from_utf8_lossy(&bytes).into_owned(),
    }
}

impl Gateway {
    /// A request to this gateway, with a key unless it is empty.
    pub(crate) fn request(&self, method: &str, key: &str, path: &str) -> RequestBuilder {
        let request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.url));
        if key.is_empty() {
            request
        } else {
            request.header("x-api-key", key)
        }
    }

    /// Asks for something to be made; answers it.
    pub(crate) async fn make(&self, key: &str, path: &str, body: Value) -> Value {
        let (status, json) = self.call("POST", key, path, Some(body)).await;
        assert_eq!(status, 201, "POST {path}: {json:#}");
        json
    }

    /// Changes something; answers it.
    pub(crate) async fn change(&self, key: &str, path: &str, body: Value) -> Value {
        let (status, json) = self.call("PATCH", key, path, Some(body)).await;
        assert_eq!(status, 200, "PATCH {path}: {json:#}");
        json
    }

    /// Has a mailbox dialled again, and waits until it has caught up.
    pub(crate) async fn reconnect(&self, tenant: &Tenant, mailbox: Uuid) {
        let synced = |mailbox: &Mailbox| Some(mailbox.last_synced_at);
        let before = self.wait_for(tenant, mailbox, "read", synced).await;
        let path = format!("/v1/mailboxes/{mailbox}/reconnect");
        let (status, answer) = self.call("POST", &tenant.key, &path, None).await;
        assert_eq!(status, 200, "{answer}");
        let again = |mailbox: &Mailbox| connected(mailbox).filter(|_| mailbox.last_synced_at > before);
        self.wait_for(tenant, mailbox, "connected again", again).await;
    }

    /// A member's id and a key that acts as that member, with every scope.
    pub(crate) async fn member(&self, tenant: &Tenant, email: &str, role: &str) -> (Uuid, String) {
        let body = json!({"first_name": "Ada", "last_name": "Byron", "email": email, "role": role});
        let member = id(&self.make(&tenant.key, "/v1/members", body).await["id"]);
        let scopes = &self.get(&tenant.key, "/v1/whoami").await["scopes"];
        let body = json!({"name": email, "scopes": scopes, "member_id": member});
        let key = self.make(&tenant.key, "/v1/api-keys", body).await;
        (member, key["key"].as_str().unwrap().to_owned())
    }

    /// Every row of a list, over its pages.
    pub(crate) async fn all(&self, key: &str, path: &str) -> Vec<Value> {
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        let sign = if path.contains('?') { '&' } else { '?' };
        loop {
            let page = self.get(key, &format!("{path}{sign}limit=200{cursor}")).await;
            rows.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return rows,
            }
        }
    }
}

/// An id of an answer.
pub(crate) fn id(value: &Value) -> Uuid {
    let text = value.as_str().unwrap_or_else(|| panic!("not an id: {value}"));
    text.parse().unwrap()
}

/// The body that connects a mailbox which nobody answers.
pub(crate) fn unreachable_mailbox(address: &str, provider: &str) -> Value {
    json!({
        "address": address,
        "provider": provider,
        "imap": {"host": "127.0.0.1", "port": 1, "security": "none", "username": "a", "password": "b"},
    })
}

/// A subscription of Plannr's to nothing that happens here.
async fn subscribed(gateway: &Gateway, key: &str) -> Uuid {
    let body = json!({"url": "http://127.0.0.1:1/", "events": ["account.created"]});
    id(&gateway.make(key, "/api/v2/webhook-subscriptions", body).await["uuid"])
}

/// A tenant that has one of everything, and the ids of it by their kind.
pub(crate) struct Populated {
    pub(crate) tenant: Tenant,
    pub(crate) ids: BTreeMap<&'static str, Uuid>,
}

impl Populated {
    /// Its mailbox has the story of the sandbox, its account is a Gmail one; both are disabled, so that nothing changes.
    pub(crate) async fn new(gateway: &Gateway, port: u16, name: &str) -> Self {
        let tenant = gateway.tenant(name).await;
        let key = &tenant.key;
        let (member, _) = gateway
            .member(&tenant, &format!("{name}@example.org"), "senior")
            .await;
        let agent = gateway.make(key, "/v1/agents", json!({"name": "Desk"})).await;
        let team = gateway.make(key, "/v1/teams", json!({"name": "Support"})).await;
        let mailbox = gateway.connect(&tenant, login(port)).await.id;
        let mut account = unreachable_mailbox(&format!("{name}@gmail.example"), "gmail");
        account["team_id"] = team["id"].clone();
        let account = id(&gateway.make(key, "/v1/mailboxes", account).await["id"]);
        let off = json!({"enabled": false});
        gateway
            .change(key, &format!("/v1/mailboxes/{account}"), off)
            .await;
        gateway.wait_for(&tenant, mailbox, "connected", connected).await;
        let off = json!({"enabled": false, "agent_id": agent["id"]});
        gateway
            .change(key, &format!("/v1/mailboxes/{mailbox}"), off)
            .await;
        let folders = gateway
            .get(key, &format!("/v1/mailboxes/{mailbox}/folders"))
            .await;
        let messages = gateway
            .get(key, "/v1/messages?has_attachments=true&limit=1")
            .await;
        let message = &messages["data"][0];
        let api_key = gateway.get(key, "/v1/whoami").await;
        let endpoint = json!({"url": "http://127.0.0.1:1/"});
        let endpoint = id(&gateway.make(key, "/v1/webhook-endpoints", endpoint).await["id"]);
        let path = format!("/v1/webhook-endpoints/{endpoint}");
        gateway.change(key, &path, json!({"enabled": false})).await;
        let (_, delivery) = gateway.call("POST", key, &format!("{path}/test"), None).await;
        let ids = [
            ("tenant", tenant.id),
            ("endpoint", endpoint),
            ("subscription", subscribed(gateway, key).await),
            ("delivery", id(&delivery["id"])),
            ("member", member),
            ("key", id(&api_key["api_key"]["id"])),
            ("agent", id(&agent["id"])),
            ("agent_revision", id(&agent["active_revision_id"])),
            ("team", id(&team["id"])),
            ("team_revision", id(&team["active_revision_id"])),
            ("mailbox", mailbox),
            ("account", account),
            ("folder", id(&message["folders"][0])),
            ("message", id(&message["id"])),
            ("thread", id(&message["thread_id"])),
            ("attachment", id(&message["attachments"][0]["id"])),
        ];
        assert!(!folders["data"].as_array().unwrap().is_empty());
        Self {
            ids: ids.into(),
            tenant,
        }
    }

    /// Everything that the tenant's own key sees.
    pub(crate) async fn everything(&self, gateway: &Gateway) -> Value {
        let key = &self.tenant.key;
        let agent = self.ids["agent"];
        let team = self.ids["team"];
        let mut seen = serde_json::Map::new();
        for path in [
            "/v1/members".to_owned(),
            "/v1/api-keys".to_owned(),
            "/v1/agents".to_owned(),
            "/v1/teams".to_owned(),
            format!("/v1/agents/{agent}/revisions"),
            format!("/v1/teams/{team}/revisions"),
            "/v1/mailboxes?include_retired=true".to_owned(),
            "/v1/messages".to_owned(),
            "/v1/threads".to_owned(),
            "/v1/webhook-endpoints".to_owned(),
            "/v1/webhook-deliveries".to_owned(),
        ] {
            let rows = gateway.all(key, &path).await;
            seen.insert(path, rows.into());
        }
        seen.insert("own".to_owned(), gateway.get(key, "/v1/tenant").await);
        seen.into()
    }
}

/// One operation of a published document, and where ids go into it.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) path_ids: Vec<String>,
    pub(crate) query_ids: Vec<String>,
    pub(crate) body_ids: Vec<String>,
}

impl Operation {
    /// Its path with these ids in it.
    pub(crate) fn path_with(&self, id: impl Fn(&str) -> Uuid) -> String {
        self.path_ids.iter().fold(self.path.clone(), |path, name| {
            path.replace(&format!("{{{name}}}"), &id(name).to_string())
        })
    }
}

/// Every operation of the three documents.
pub(crate) fn operations() -> Vec<Operation> {
    let documents = postroom::api::documents().unwrap();
    let documents = [documents.unified, documents.plannr, documents.feather];
    documents
        .iter()
        .flat_map(|document| operations_of(document.value()))
        .collect()
}

fn operations_of(document: &Value) -> Vec<Operation> {
    let resolved = |value: &Value| match value["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap().clone(),
        None => value.clone(),
    };
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(name) = operation["operationId"].as_str() else {
                continue;
            };
            let parameters: Vec<Value> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .map(resolved)
                .collect();
            let ids = |place: &str| {
                let fits = |one: &&Value| one["in"] == place && is_id(&one["schema"]);
                let name = |one: &Value| one["name"].as_str().unwrap().to_owned();
                parameters.iter().filter(fits).map(name).collect()
            };
            let schema = resolved(&operation["requestBody"]["content"]["application/json"]["schema"]);
            let body_ids = schema["properties"].as_object().into_iter().flatten();
            found.push(Operation {
                id: name.to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
                path_ids: ids("path"),
                query_ids: ids("query"),
                body_ids: body_ids
                    .filter(|(_, schema)| is_id(schema) || is_id(&schema["items"]))
                    .map(|(name, _)| name.clone())
                    .collect(),
            });
        }
    }
    found
}

fn is_id(schema: &Value) -> bool {
    schema["format"] == "uuid"
}
