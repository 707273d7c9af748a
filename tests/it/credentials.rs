//! Keys are kept in memory for a moment: what changes about one counts at once, and on other nodes soon.

use postroom::{
    model::clock::Clock,
    service::{
        App,
        auth::{self, Presented},
        bootstrap,
    },
};
use serde_json::{Value, json};

use crate::{
    access::whoami,
    support::gateway::{Backend, Gateway, Tenant, both, eventually},
    world::id,
};

mod on {
    use super::both;
    both!(a_change_counts_from_the_next_request_on);
}

/// Each change is made to a key that was used a moment ago, and tried at once.
async fn a_change_counts_from_the_next_request_on(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    for round in 0..5 {
        a_key_changes(&gateway, &tenant, round).await;
    }
    let owner = tenant.key.as_str();
    assert_eq!(whoami(&gateway, &[("x-api-key", owner)]).await.0, 200);
    let whole = format!("/v1/tenants/{}", tenant.id);
    let gone = gateway.call("DELETE", &gateway.admin_key(), &whole, None).await;
    assert_eq!(gone.0, 204);
    let answer = whoami(&gateway, &[("x-api-key", owner)]).await;
    assert_eq!(answer.0, 401, "the tenant is gone");
    gateway.stop().await;
}

async fn a_key_changes(gateway: &Gateway, tenant: &Tenant, round: usize) {
    let owner = tenant.key.as_str();
    let email = format!("ann{round}@acme.test");
    let person = json!({"first_name": "Ann", "last_name": "Miller", "email": email, "role": "senior"});
    let member = id(&gateway.make(owner, "/v1/members", person).await["id"]);
    let body = json!({"name": "Ann", "scopes": ["members:write"], "member_id": member});
    let made = gateway.make(owner, "/v1/api-keys", body).await;
    let key_path = format!("/v1/api-keys/{}", id(&made["id"]));
    let first = made["key"].as_str().unwrap();
    assert_eq!(whoami(gateway, &[("x-api-key", first)]).await.0, 200);
    let rotate = format!("{key_path}/rotate");
    let (_, rotated) = gateway.call("POST", owner, &rotate, None).await;
    let key = rotated["key"].as_str().unwrap();
    let answer = whoami(gateway, &[("x-api-key", first)]).await;
    assert_eq!(answer.0, 401, "it was rotated");

    let role = async || {
        let (status, json) = whoami(gateway, &[("x-api-key", key)]).await;
        (
            status,
            json["member"]["role"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let path = format!("/v1/members/{member}");
    for wanted in ["employee", "senior", "employee", "senior"] {
        gateway.change(owner, &path, json!({"role": wanted})).await;
        assert_eq!(role().await, (200, wanted.to_owned()));
    }
    let (admin, whole) = (gateway.admin_key(), format!("/v1/tenants/{}", tenant.id));
    for (list, status) in [(json!(["203.0.113.0/24"]), 403), (json!([]), 200)] {
        gateway
            .change(&admin, &whole, json!({"ip_whitelist": list}))
            .await;
        assert_eq!(role().await.0, status);
    }

    let token = gateway.make(key, "/v1/tokens", json!({})).await;
    let text = token["access_token"].as_str().or(token["token"].as_str());
    let token = format!("Bearer {}", text.unwrap());
    let by_token = [("authorization", token.as_str())];
    assert_eq!(whoami(gateway, &by_token).await.0, 200);
    let end = if round.is_multiple_of(2) { path } else { key_path };
    assert_eq!(gateway.call("DELETE", owner, &end, None).await.0, 204);
    assert_eq!(role().await.0, 401, "by its key");
    assert_eq!(whoami(gateway, &by_token).await.0, 401, "by its token");
}

/// Another process of the same deployment keeps a key for a moment longer, and then reads it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_reaches_the_other_nodes_by_itself() {
    let gateway = Gateway::start(Backend::Postgres).await;
    let tenant = gateway.tenant("Acme").await;
    let node = bootstrap::open(gateway.app.config.clone(), Clock::system()).await;
    let node = node.unwrap_or_else(|error| panic!("{error:?}")).app;
    let made = json!({"name": "CRM", "scopes": ["messages:read"]});
    let made = gateway.make(&tenant.key, "/v1/api-keys", made).await;
    let works = async |app: &App, key: &Value| {
        let presented = Presented {
            credential: key.as_str(),
            act_as: None,
            address: None,
        };
        auth::authenticate(app, &presented).await.1.is_ok()
    };
    let old = &made["key"];
    assert!(works(&gateway.app, old).await && works(&node, old).await);
    let path = format!("/v1/api-keys/{}", id(&made["id"]));
    let rotate = format!("{path}/rotate");
    let (_, rotated) = gateway.call("POST", &tenant.key, &rotate, None).await;
    let new = &rotated["key"];
    assert!(!works(&gateway.app, old).await && works(&gateway.app, new).await);
    assert!(works(&node, new).await, "what is not kept is read");
    let gone = async |key: &Value| eventually(async || (!works(&node, key).await).then_some(())).await;
    gone(old).await.expect("the other node reads the key again");
    assert_eq!(gateway.call("DELETE", &tenant.key, &path, None).await.0, 204);
    assert!(!works(&gateway.app, new).await);
    gone(new).await.expect("the other node reads the key again");
    gateway.stop().await;
}
