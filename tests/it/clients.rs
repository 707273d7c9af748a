//! Programs of other languages against a live gateway: clients generated from the committed document, checked by their
//! languages' strictest rules, and those who verify webhooks.
//!
//! What the clients do is in `openapi/smoke/LANGUAGE`: wait for the mailbox, page through its messages, read a thread, bind the
//! mailbox to an agent, and meet a 404 as a typed error. The verifiers are in `tests/verifiers`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{
    sandbox,
    support::{
        gateway::{Backend, Gateway, Tenant},
        tooling::Tooling,
    },
    webhooks::receiver::{Got, Receiver},
    world::id,
};

#[tokio::test(flavor = "multi_thread")]
async fn python() {
    with_mailbox("python", |tooling| {
        let path = document();
        let said = tooling.run(
            "openapi-python-client",
            &[
                "generate",
                "--path",
                path.to_str().unwrap(),
                "--config",
                "generator.yaml",
                "--meta",
                "none",
                "--output-path",
                "postroom_client",
                "--overwrite",
            ],
        );
        // It leaves out what it does not understand, with a warning and a good exit code.
        assert_eq!(said.trim(), "Generating postroom_client");
        assert_eq!(python_operations(tooling.folder()), operations());
        tooling.run("mypy", &["--strict", "flow.py", "postroom_client"]);
        let said = tooling.run("python", &["flow.py"]);
        assert_eq!(said, "python: 92 messages\n");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript() {
    with_mailbox("typescript", |tooling| {
        let path = document();
        tooling.run("openapi-typescript", &[path.to_str().unwrap(), "-o", "schema.ts"]);
        tooling.run("tsc", &["-p", "."]);
        let said = tooling.run("node", &["flow.ts"]);
        assert_eq!(said, "typescript: 92 messages\n");
    })
    .await;
}

/// The libraries of those who define the signatures verify what is sent, by either secret after a rotation. That of Rust does
/// so wherever the tests look at a signature.
#[tokio::test(flavor = "multi_thread")]
async fn promise_5_python_and_javascript_verify_webhooks() {
    let gateway = Gateway::start(Backend::Sqlite).await;
    let key = &gateway.tenant("Acme").await.key;
    let receiver = Receiver::start().await;
    let body = json!({"url": receiver.url(), "event_types": ["mailbox.deleted"]});
    let made = gateway.make(key, "/v1/webhook-endpoints", body).await;
    let path = format!("/v1/webhook-endpoints/{}", id(&made["id"]));
    let post = async |what: &str| gateway.call("POST", key, &format!("{path}/{what}"), None).await.1;
    let rotated = post("rotate-secret").await;
    let stranger = post("rotate-secret").await;
    // Two of them sign: the last one, and the one before.
    let secrets = [&stranger["secret"], &rotated["secret"]];
    for _ in 0..3 {
        post("test").await;
    }
    let requests: Vec<Value> = receiver.has(3).await.iter().map(written).collect();
    let given = json!({"secrets": secrets, "stranger": made["secret"], "requests": requests});
    let verified = tokio::task::spawn_blocking(move || {
        let tooling = Tooling::new("verifiers", "tests/verifiers");
        std::fs::write(tooling.folder().join("requests.json"), given.to_string()).unwrap();
        [
            tooling.run("python", &["verify.py"]),
            tooling.run("node", &["verify.mjs"]),
        ]
    });
    let expected = ["python", "javascript"].map(|name| format!("{name}: 6 verified, 21 refused\n"));
    assert_eq!(verified.await.unwrap(), expected);
    gateway.stop().await;
}

/// A request, for a program of another language.
fn written(got: &Got) -> Value {
    let headers = got.headers.iter();
    let headers: serde_json::Map<String, Value> = headers
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()))
        .collect();
    json!({"headers": headers, "body": std::str::from_utf8(&got.body).unwrap()})
}

/// Runs what `work` does in the folder of the test's language, with a gateway that has the sandbox's mailbox.
async fn with_mailbox(language: &str, work: impl FnOnce(&Tooling) + Send + 'static) {
    let (_sandbox, port, _stop) = sandbox::serve().await;
    let gateway = Gateway::start(Backend::Sqlite).await;
    let tenant = gateway.tenant("Acme").await;
    gateway.connect(&tenant, sandbox::login(port)).await;
    let tooling = tooling(language, &gateway, &tenant);
    tokio::task::spawn_blocking(move || work(&tooling)).await.unwrap();
    gateway.stop().await;
}

fn tooling(language: &str, gateway: &Gateway, tenant: &Tenant) -> Tooling {
    let mut tooling = Tooling::new(language, &format!("openapi/smoke/{language}"));
    tooling.set("BASE_URL", &gateway.url).set("API_KEY", &tenant.key);
    tooling
}

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/postroom.yaml")
}

/// How many operations the document has.
fn operations() -> usize {
    let text = std::fs::read_to_string(document()).unwrap();
    let document: Value = serde_yaml_ng::from_str(&text).unwrap();
    let items = document["paths"].as_object().unwrap().values();
    items
        .flat_map(|item| item.as_object().unwrap().values())
        .filter(|operation| operation.get("operationId").is_some())
        .count()
}

/// How many operations the Python client has: each is a file of its own in the folder of its tag.
fn python_operations(folder: &Path) -> usize {
    let tags = std::fs::read_dir(folder.join("postroom_client/api")).unwrap();
    tags.map(|tag| tag.unwrap().path())
        .filter(|path| path.is_dir())
        .flat_map(|tag| std::fs::read_dir(tag).unwrap())
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .filter(|path| !path.ends_with("__init__.py"))
        .count()
}
