//! What an operator sees: the counters for Prometheus, and the page at `/admin`.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use postroom::{
    model::event::EventType,
    service::{figures, metrics::Tried},
};

use crate::{
    sandbox,
    support::gateway::{Backend, Gateway, both},
};

mod on {
    use super::both;
    both!(
        counters_follow_what_happens_and_name_nobody,
        the_page_is_shown_to_the_platform_key_alone,
    );
}

/// Every line that has a value, by its name with its labels.
async fn counted(gateway: &Gateway) -> (String, BTreeMap<String, String>) {
    let answer = gateway
        .http
        .get(format!("{}/metrics", gateway.url))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = answer.text().await.unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let values = text.lines().filter(|line| !line.starts_with('#'));
    let values = values.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.to_owned())
    });
    let values = values.collect();
    (text, values)
}

async fn counters_follow_what_happens_and_name_nobody(backend: Backend) {
    let (_sandbox, port, _stop) = sandbox::serve().await;
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let mailbox = gateway.connect(&tenant, sandbox::login(port)).await;
    gateway
        .wait_for(&tenant, mailbox.id, "connected", sandbox::connected)
        .await;
    for _ in 0..3 {
        gateway
            .get(&tenant.key, &format!("/v1/mailboxes/{}", mailbox.id))
            .await;
    }
    let (text, values) = counted(&gateway).await;
    let value = |name: &str| {
        values
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in\n{text}"))
            .as_str()
    };
    let number = |name: &str| value(name).parse::<u32>().unwrap();
    let asked = r#"postroom_http_requests_total{operation="get_mailbox",status="200"}"#;
    assert!(number(asked) >= 3);
    assert!(number("postroom_http_request_duration_seconds_count") >= 3);
    assert_eq!(value(r#"postroom_imap_logins_total{outcome="succeeded"}"#), "1");
    assert!(number("postroom_messages_stored_total") > 50);
    assert_eq!(
        value(r#"postroom_events_total{type="mailbox.backfill_completed"}"#),
        "1"
    );
    assert_eq!(value(r#"postroom_mailboxes{state="connected"}"#), "1");
    assert_eq!(value("postroom_mailboxes_syncing_here"), "1");
    assert_eq!(value("postroom_webhook_deliveries_waiting"), "0");
    for named in [
        tenant.id.to_string(),
        mailbox.id.to_string(),
        mailbox.address,
        tenant.key,
        "Acme".to_owned(),
    ] {
        assert!(!text.contains(&named), "{named} is in\n{text}");
    }
    gateway.stop().await;
}

async fn the_page_is_shown_to_the_platform_key_alone(backend: Backend) {
    let gateway = Gateway::without_workers(backend).await;
    let tenant = gateway.tenant("<b>Acme</b> & Sons").await;
    let url = format!("{}/admin", gateway.url);
    let ask = async |authorization: Option<String>| {
        let mut request = gateway.http.get(&url);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let asks = answer.headers().get("www-authenticate").cloned();
        (status, asks, answer.text().await.unwrap())
    };
    let basic = |key: &str| Some(format!("Basic {}", STANDARD.encode(format!("me:{key}"))));
    for refused in [
        None,
        basic("wrong"),
        basic(&tenant.key),
        Some(format!("Bearer {}", tenant.key)),
        Some("Basic !".to_owned()),
    ] {
        let (status, asks, page) = ask(refused.clone()).await;
        assert_eq!(status, 401, "{refused:?}");
        assert!(asks.unwrap().to_str().unwrap().starts_with("Basic realm="));
        assert!(!page.contains("Acme"), "{page}");
    }
    figures::sample(&gateway.app).await.unwrap();
    for shown in [
        basic(&gateway.admin_key()),
        Some(format!("Bearer {}", gateway.admin_key())),
    ] {
        let (status, _, page) = ask(shown).await;
        assert_eq!(status, 200);
        assert!(page.contains("&lt;b&gt;Acme&lt;/b&gt; &amp; Sons"), "{page}");
        assert!(page.contains(&tenant.id.to_string()), "{page}");
        assert!(page.contains("class=\"chart\""), "{page}");
    }
    gateway.stop().await;
}

/// The dashboard asks for nothing that is not counted.
#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_knows_the_counters() {
    let gateway = Gateway::without_workers(Backend::Sqlite).await;
    // What was never counted with a label is not told.
    gateway.app.metrics.login(Tried::Failed);
    gateway.app.metrics.event(EventType::Ping);
    gateway
        .app
        .metrics
        .attempt(Tried::Refused, Duration::from_millis(1));
    gateway.app.metrics.answered(None, 404, Duration::from_millis(1));
    let (text, _) = counted(&gateway).await;
    let families: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let dashboard: serde_json::Value =
        serde_json::from_str(include_str!("../../grafana/postroom.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut asked = 0;
    for target in panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap())
    {
        let expression = target["expr"].as_str().unwrap();
        let words = expression.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
        for name in words.filter(|word| word.starts_with("postroom_")) {
            let suffixes = ["", "_total", "_bucket"];
            let known = suffixes.iter().any(|suffix| {
                name.strip_suffix(suffix)
                    .is_some_and(|name| families.contains(&name))
            });
            assert!(known, "{name} is not counted:\n{}", families.join("\n"));
            asked += 1;
        }
    }
    assert!(asked >= 14, "{asked}");
    gateway.stop().await;
}
