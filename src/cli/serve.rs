//! `postroom serve`: the API and the workers, until the process is told to stop.

use anyhow::Context;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Role, cause, print};
use crate::{
    api,
    config::Config,
    model::clock::Clock,
    service::{
        App,
        bootstrap::{self, Opened},
    },
    worker,
};

pub(super) async fn serve(mut config: Config, role: Role) -> anyhow::Result<()> {
    let listener = match role {
        Role::Worker => None,
        Role::Api | Role::All => Some(bind(&mut config).await?),
    };
    if listener.is_some() {
        // Made while the database opens; `api::build` takes them, or says what is wrong.
        drop(tokio::task::spawn_blocking(api::documents));
    }
    let Opened {
        app,
        new_admin_key,
        lock,
    } = bootstrap::open(config, Clock::system()).await.map_err(cause)?;
    // Before anything is said: whoever reads it may ask for the end at once.
    let stop = stop_signal()?;
    if let Some(key) = new_admin_key {
        print(&first_steps(&app, key.expose_secret()))?;
    }
    if listener.is_some() {
        print(&format!("postroom listens on {}\n", app.config.http.public_url))?;
    }
    let result = run(app, listener, role, stop).await;
    drop(lock);
    result
}

/// What the first start says.
fn first_steps(app: &App, key: &str) -> String {
    let url = &app.config.http.public_url;
    format!(
        "
The platform admin key, shown this once and kept in {file}:

  {key}

Create a tenant; the answer has its first API key:

  curl -X POST -H 'x-api-key: {key}' -H 'content-type: application/json' -d '{{\"name\": \"Acme\"}}' {url}/v1/tenants

Swagger UI is at {url}/docs

",
        file = app.config.storage.data_dir.join("admin.key").display()
    )
}

/// The listener of the settings, which then say the port that the system gave where they left it to it (port 0).
pub(super) async fn bind(config: &mut Config) -> anyhow::Result<TcpListener> {
    let http = &mut config.http;
    let listen = http.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("POSTROOM_LISTEN is {listen}, which cannot be listened on: write another address or port")
    })?;
    http.listen = listener.local_addr()?;
    if http.public_url == format!("http://{listen}") {
        http.public_url = format!("http://{}", http.listen);
    }
    Ok(listener)
}

/// Runs the API and the workers until `stop`.
pub(super) async fn run(
    app: App,
    listener: Option<TcpListener>,
    role: Role,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let node = node(&app);
    let workers = async {
        if role != Role::Api {
            worker::run(app.clone(), node, stop.clone()).await;
        }
    };
    let api = async {
        if let Some(listener) = listener {
            tracing::info!(listen = %app.config.http.listen, url = %app.config.http.public_url, "serving");
            api::server::serve(
                listener,
                api::build(app.clone(), stop.clone()).map_err(cause)?,
                stop.clone(),
            )
            .await?;
        }
        anyhow::Ok(())
    };
    let (served, ()) = tokio::join!(api, workers);
    served
}

/// The name of this node among those that share a database: it stays over restarts on the same machine and address.
fn node(app: &App) -> String {
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    format!("{}/{}", machine.trim(), app.config.http.listen)
}

/// Pulled by SIGTERM, SIGINT, or Ctrl-C.
pub(super) fn stop_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be caught")?;
    let stop = CancellationToken::new();
    let pulled = stop.clone();
    let wait = async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        tracing::info!("stopping");
        pulled.cancel();
    };
    worker::detach(wait);
    Ok(stop)
}
