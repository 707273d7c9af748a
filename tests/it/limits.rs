//! Rate limits on the wire, in each dialect, and secrets that the database does not have.

use serde_json::json;

use crate::{
    support::gateway::{Backend, Gateway, both},
    world::{Answer, send, unreachable_mailbox},
};

mod on {
    use super::both;
    both!(
        a_key_that_asks_too_often_is_told_so_in_its_dialect,
        a_tenants_keys_share_its_limit
    );
}

/// Calls until it is refused; answers every answer, the refusal last.
async fn until_refused(gateway: &Gateway, key: &str, path: &str) -> Vec<Answer> {
    let mut answers = Vec::new();
    while answers.len() < 7 {
        answers.push(send(gateway.request("GET", key, path)).await);
        if answers.last().unwrap().status == 429 {
            break;
        }
    }
    answers
}

/// When to ask again: the limit of these tests lets one request pass every 720 s.
fn seconds(answer: &Answer) -> u64 {
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=720).contains(&wait), "{answer:?}");
    wait
}

async fn in_the_other_dialects(gateway: &Gateway) {
    let tenant = gateway.tenant("Plannr").await;
    let answers = until_refused(gateway, &tenant.key, "/api/v1/mailboxes").await;
    let left: Vec<_> = answers
        .iter()
        .map(|answer| answer.header("x-ratelimit-remaining").unwrap())
        .collect();
    assert_eq!(left, ["4", "3", "2", "1", "0", "0"]);
    assert!(
        answers
            .iter()
            .all(|answer| answer.header("x-ratelimit-limit") == Some("5"))
    );
    let refused = answers.last().unwrap();
    assert_eq!(refused.json(), json!({"message": "Too Many Attempts."}));
    seconds(refused);

    let tenant = gateway.tenant("Feather").await;
    let answers = until_refused(gateway, &tenant.key, "/v1/email/accounts").await;
    let refused = answers.last().unwrap();
    let body = refused.json();
    assert_eq!(
        (&body["error"], &body["retryable"]),
        (&json!("rate_limited"), &json!(true))
    );
    assert_eq!(body["retry_after"], seconds(refused));
    assert!(body["message"].is_string(), "{body}");
}

async fn a_key_that_asks_too_often_is_told_so_in_its_dialect(backend: Backend) {
    let gateway = Gateway::start_with(backend, &["--rate-limit=5/h".to_owned()]).await;
    let tenant = gateway.tenant("Unified").await;
    let answers = until_refused(&gateway, &tenant.key, "/v1/mailboxes").await;
    let left: Vec<_> = answers
        .iter()
        .map(|answer| answer.header("ratelimit").unwrap())
        .collect();
    for (rest, left) in [4, 3, 2, 1, 0, 0].iter().zip(&left) {
        assert!(left.starts_with(&format!("\"key\";r={rest};t=")), "{left}");
    }
    let refused = answers.last().unwrap();
    assert_eq!((answers.len(), refused.status), (6, 429));
    let policy = "\"key\";q=5;w=3600, \"tenant\";q=1000000;w=60";
    assert!(
        answers
            .iter()
            .all(|answer| answer.header("ratelimit-policy") == Some(policy))
    );
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(refused.json()["code"], "rate_limited");
    assert!(
        refused.json()["detail"]
            .as_str()
            .unwrap()
            .contains(&seconds(refused).to_string())
    );

    in_the_other_dialects(&gateway).await;
    // A request without a known key is not counted, and is told nothing of limits.
    let unknown = send(gateway.request("GET", "nonsense", "/v1/mailboxes")).await;
    assert_eq!((unknown.status, unknown.header("ratelimit")), (401, None));
    gateway.stop().await;
}

async fn a_tenants_keys_share_its_limit(backend: Backend) {
    let limits = [
        "--rate-limit=4/h".to_owned(),
        "--tenant-rate-limit=6/h".to_owned(),
    ];
    let gateway = Gateway::start_with(backend, &limits).await;
    let tenant = gateway.tenant("Acme").await;
    let made = json!({"name": "Second", "scopes": ["mailboxes:read"]});
    let second = gateway.make(&tenant.key, "/v1/api-keys", made).await;
    let second = second["key"].as_str().unwrap();
    let statuses = async |key: &str| {
        let answers = until_refused(&gateway, key, "/v1/mailboxes").await;
        answers.iter().map(|answer| answer.status).collect::<Vec<_>>()
    };
    assert_eq!(
        statuses(&tenant.key).await,
        [200, 200, 200, 429],
        "one of four made the second key"
    );
    assert_eq!(
        statuses(second).await,
        [200, 200, 429],
        "two of the tenant's six are left"
    );
    let other = gateway.tenant("Other").await;
    assert_eq!(statuses(&other.key).await.len(), 5, "another tenant has its own");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_lies_in_the_database_as_it_is() {
    let gateway = Gateway::start(Backend::Sqlite).await;
    let tenant = gateway.tenant("Acme").await;
    let mut mailbox = unreachable_mailbox("visible@example.org", "imap");
    mailbox["imap"]["password"] = json!("a-password-of-its-own");
    gateway.make(&tenant.key, "/v1/mailboxes", mailbox).await;
    let folder = gateway.app.config.storage.data_dir.clone();
    let mut bytes = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        if file.file_name().to_str().unwrap().starts_with("postroom.db") {
            bytes.extend(std::fs::read(file.path()).unwrap());
        }
    }
    let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(
        has("visible@example.org"),
        "what was written is in the files that were read"
    );
    assert!(!has("a-password-of-its-own"));
    assert!(
        !has(&tenant.key) && !has(&tenant.key[20..]),
        "of a key there is its prefix and its hash"
    );
    gateway.stop().await;
}
