//! Swagger UI and the operator's page in a real browser.

use postroom::service::figures;

use crate::{
    sandbox,
    support::{
        gateway::{Backend, Gateway},
        tooling::Tooling,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn a_developer_authorises_and_tries_it_out() {
    let (_sandbox, port, _stop) = sandbox::serve().await;
    let gateway = Gateway::start(Backend::Sqlite).await;
    let tenant = gateway.tenant("Acme").await;
    let mailbox = gateway.connect(&tenant, sandbox::login(port)).await;
    gateway
        .wait_for(&tenant, mailbox.id, "connected", sandbox::connected)
        .await;

    let mut tooling = Tooling::new("browser", "tests/browser");
    let pictures = tooling.folder().to_path_buf();
    tooling
        .set("BASE_URL", &gateway.url)
        .set("API_KEY", &tenant.key)
        .set("SCREENSHOTS", pictures);
    let said = tokio::task::spawn_blocking(move || tooling.run("node", &["swagger.mjs"])).await;
    assert_eq!(said.unwrap(), "swagger: 200\n");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_looks_at_how_everything_is() {
    let (_sandbox, port, _stop) = sandbox::serve().await;
    let gateway = Gateway::start(Backend::Sqlite).await;
    let tenant = gateway.tenant("Acme").await;
    let mailbox = gateway.connect(&tenant, sandbox::login(port)).await;
    gateway
        .wait_for(&tenant, mailbox.id, "connected", sandbox::connected)
        .await;
    for _ in 0..2 {
        figures::sample(&gateway.app).await.unwrap();
    }
    let mut tooling = Tooling::new("browser", "tests/browser");
    let pictures = tooling.folder().to_path_buf();
    tooling
        .set("BASE_URL", &gateway.url)
        .set("ADMIN_KEY", gateway.admin_key())
        .set("SCREENSHOTS", pictures);
    let said = tokio::task::spawn_blocking(move || tooling.run("node", &["admin.mjs"])).await;
    assert_eq!(said.unwrap(), "admin: 401, then 200\n");
    gateway.stop().await;
}
