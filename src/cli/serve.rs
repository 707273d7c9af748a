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
        nodes::{self, Joined},
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
    let Joined { name, line } = nodes::join(&app, node(&app)).await.map_err(cause)?;
    let attends = (role == Role::Api).then(|| name.clone());
    let workers = async {
        if role != Role::Api {
            worker::run(app.clone(), name, stop.clone()).await;
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
    // The line is the last to go: what ends here is told to the others.
    let ended = CancellationToken::new();
    let served = async {
        let (served, ()) = tokio::join!(api, workers);
        ended.cancel();
        served
    };
    let relay = async {
        if let Some(line) = line {
            worker::relay::run(app.clone(), line, attends, ended.clone()).await;
        }
    };
    let (served, (), ()) = tokio::join!(served, relay, worker::figures::run(app.clone(), ended.clone()));
    served
}

/// What this node is called among those that share a database, if no other living one is: it stays over restarts on the
/// same machine and address. Containers of one image may have the same `machine-id`, hence the name of the host.
fn node(app: &App) -> String {
    let machine =
        ["/etc/hostname", "/etc/machine-id"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let [host, machine] = machine.each_ref().map(|text| text.trim());
    format!("{host}/{machine}/{}", app.config.http.listen)
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
