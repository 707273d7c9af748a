//! Roles, and members who act as others: what a key may, narrowed to whom it stands for.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    support::gateway::{Backend, Gateway, both},
    world::{Answer, id, send, unreachable_mailbox},
};

mod on {
    use super::both;
    both!(
        an_employee_sees_its_own_mailboxes,
        only_owners_change_the_tenant_and_its_people
    );
}

/// Asks as a member, where one is named.
async fn ask(gateway: &Gateway, key: &str, member: Option<Uuid>, path: &str, body: Option<&Value>) -> Answer {
    let mut request = gateway.request(if body.is_some() { "PATCH" } else { "GET" }, key, path);
    if let Some(member) = member {
        request = request.header("X-PLANNR-ACCOUNT-UUID", member.to_string());
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    send(request).await
}

async fn an_employee_sees_its_own_mailboxes(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let (owner, owner_key) = gateway.member(&tenant, "o@example.org", "owner").await;
    let (senior, senior_key) = gateway.member(&tenant, "s@example.org", "senior").await;
    let (employee, employee_key) = gateway.member(&tenant, "e@example.org", "employee").await;
    for (key, address, creator) in [
        (&tenant.key, "t@a.example", None),
        (&employee_key, "e@a.example", Some(employee)),
        (&senior_key, "s@a.example", Some(senior)),
    ] {
        let made = gateway
            .make(key, "/v1/mailboxes", unreachable_mailbox(address, "imap"))
            .await;
        let created_by = &made["created_by"];
        assert_eq!(
            created_by.is_null().then_some(()),
            creator.is_none().then_some(()),
            "{address}"
        );
        assert!(
            creator.is_none_or(|creator| id(&created_by["id"]) == creator),
            "{address}"
        );
    }
    let sees = |rows| (200, Some(rows));
    for (key, member, expected) in [
        (&tenant.key, None, sees(3)),
        (&owner_key, None, sees(3)),
        (&senior_key, None, sees(3)),
        (&employee_key, None, sees(1)),
        (&employee_key, Some(employee), sees(1)),
        (&tenant.key, Some(employee), sees(1)),
        (&tenant.key, Some(senior), sees(3)),
        (&senior_key, Some(employee), sees(1)),
        (&senior_key, Some(owner), sees(3)),
        (&employee_key, Some(owner), (403, None)),
        (&employee_key, Some(senior), (403, None)),
        (&senior_key, Some(Uuid::now_v7()), (404, None)),
    ] {
        for path in ["/v1/mailboxes", "/api/v1/mailboxes"] {
            let answer = ask(&gateway, key, member, path, None).await;
            let rows = answer.json()["data"].as_array().map(Vec::len);
            assert_eq!((answer.status, rows), expected, "{path} by {key} as {member:?}");
        }
    }
    gateway.stop().await;
}

async fn only_owners_change_the_tenant_and_its_people(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let (owner, owner_key) = gateway.member(&tenant, "o@example.org", "owner").await;
    let (senior, senior_key) = gateway.member(&tenant, "s@example.org", "senior").await;
    let (employee, employee_key) = gateway.member(&tenant, "e@example.org", "employee").await;
    let people = format!("/v1/members/{employee}");
    for (key, member, expected) in [
        (&owner_key, None, 200),
        (&tenant.key, None, 200),
        (&tenant.key, Some(owner), 200),
        (&senior_key, None, 403),
        (&senior_key, Some(owner), 403),
        (&employee_key, None, 403),
        (&owner_key, Some(senior), 403),
        (&tenant.key, Some(employee), 403),
    ] {
        for (path, body) in [
            ("/v1/tenant", json!({"county": "Hampshire"})),
            (people.as_str(), json!({"last_name": "Byron"})),
        ] {
            let answer = ask(&gateway, key, member, path, Some(&body)).await;
            assert_eq!(answer.status, expected, "{path} by {key} as {member:?}");
        }
    }
    // A key that may make keys makes none that stands for somebody above its own member.
    for (key, status) in [(&senior_key, 403), (&employee_key, 403), (&owner_key, 201)] {
        let asked = json!({"name": "x", "scopes": ["messages:read"], "member_id": owner});
        let (answered, json) = gateway.call("POST", key, "/v1/api-keys", Some(asked)).await;
        assert_eq!(answered, status, "{json}");
    }
    gateway.stop().await;
}
