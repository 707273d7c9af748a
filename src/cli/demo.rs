//! `postroom demo`: the gateway with a sandbox mail server beside it and a demo tenant, to try everything at once.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Role, cause, print, sandbox, serve};
use crate::{
    config::Config,
    model::{
        caller::Identity,
        clock::Clock,
        credentials::Secret,
        mailbox::{
            BindingPatch, MailboxFilter, MailboxPatch, NewMailbox, Security, ServerLogin, ServerPatch,
            ServerSettings,
        },
        message::MessageFilter,
        page::PageRequest,
    },
    sandbox::{Sandbox, story},
    service::{
        App,
        auth::{self, Presented},
        bootstrap::{self, Opened},
        mailboxes, messages, tenants,
    },
};

/// How often a new message comes.
const NEWS: Duration = Duration::from_secs(20);
/// How long the greeting waits for the first sync, and how often it looks.
const READY: Duration = Duration::from_secs(15);
const GLANCE: Duration = Duration::from_millis(50);
/// A word that the sandbox's mail has.
const SEARCHED: &str = "agreement";

pub(super) async fn demo(mut config: Config) -> anyhow::Result<()> {
    let imap = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("the sandbox cannot listen")?;
    let address = imap.local_addr()?;
    config.mail.egress_allow_addresses.push(address);
    let listener = serve::bind(&mut config).await?;
    let stop = serve::stop_signal()?;
    let mail = sandbox::open()?;
    let Opened {
        app,
        new_admin_key: _,
        lock,
    } = bootstrap::open(config, Clock::system()).await.map_err(cause)?;
    let key = tenant_key(&app).await?;
    connect(&app, &key, address.port()).await?;
    let served = mail.clone().serve(imap, None, stop.clone());
    let gateway = async {
        let ended = serve::run(app.clone(), Some(listener), Role::All, stop.clone()).await;
        stop.cancel();
        ended
    };
    let (gateway, served, greeted, ()) =
        tokio::join!(gateway, served, greet(&app, &key, &stop), news(&mail, &stop));
    drop(lock);
    greeted?;
    served?;
    gateway
}

/// Says what there is, as soon as it is there: what is pasted from the greeting finds mail.
async fn greet(app: &App, key: &SecretString, stop: &CancellationToken) -> anyhow::Result<()> {
    let found = tokio::time::timeout(READY, async {
        while !is_ready(app, key).await? {
            tokio::time::sleep(GLANCE).await;
        }
        anyhow::Ok(())
    });
    match stop.run_until_cancelled(found).await {
        None => return Ok(()),
        Some(Err(_)) => tracing::warn!("the sandbox mailbox is not synced yet"),
        Some(Ok(found)) => found?,
    }
    print(&greeting(app, key))
}

/// True when the search finds the sandbox's mail.
async fn is_ready(app: &App, key: &SecretString) -> anyhow::Result<bool> {
    let identity = identity(app, key).await?;
    let filter = MessageFilter {
        q: Some(SEARCHED.to_owned()),
        ..MessageFilter::default()
    };
    let found = messages::list(app, identity.caller()?, filter, PageRequest::first()).await?;
    Ok(!found.data.is_empty())
}

/// The demo tenant's key: made on the first start and kept beside the other secrets.
async fn tenant_key(app: &App) -> anyhow::Result<SecretString> {
    let path = app.config.storage.data_dir.join("demo-tenant.key");
    if let Ok(kept) = std::fs::read_to_string(&path) {
        let key = SecretString::from(kept.trim().to_owned());
        if identity(app, &key).await.is_ok() {
            return Ok(key);
        }
    }
    let (_, _, key) = tenants::create(app, &Identity::Platform, "Demo".to_owned()).await?;
    bootstrap::write_secret(&path, key.expose_secret()).map_err(cause)?;
    Ok(key)
}

async fn identity(app: &App, key: &SecretString) -> crate::model::Result<Identity> {
    let presented = Presented {
        credential: Some(key.expose_secret()),
        act_as: None,
        address: Some(Ipv4Addr::LOCALHOST.into()),
    };
    auth::authenticate(app, &presented).await.1
}

/// Connects the sandbox's mailbox, or points the one that is connected to the port of this start.
async fn connect(app: &App, key: &SecretString, port: u16) -> anyhow::Result<()> {
    let identity = identity(app, key).await?;
    let caller = identity.caller()?;
    let filter = MailboxFilter {
        address: Some(story::ADDRESS.to_owned()),
        ..MailboxFilter::default()
    };
    let found = mailboxes::list(app, caller, filter, PageRequest::first()).await?;
    if let Some(mailbox) = found.data.first() {
        let imap = Some(ServerPatch {
            port: Some(port),
            ..ServerPatch::default()
        });
        mailboxes::update(
            app,
            caller,
            mailbox.id,
            MailboxPatch {
                imap,
                ..MailboxPatch::default()
            },
        )
        .await?;
        return Ok(());
    }
    let settings = ServerSettings {
        host: Ipv4Addr::LOCALHOST.to_string(),
        port,
        security: Security::None,
        username: story::ADDRESS.to_owned(),
    };
    let new = NewMailbox {
        address: story::ADDRESS.to_owned(),
        name: Some(story::OWNER.to_owned()),
        provider: None,
        imap: ServerLogin {
            settings,
            secret: Secret::Password(sandbox::PASSWORD.to_owned().into()),
        },
        smtp: None,
        binding: BindingPatch::default(),
        default_signature_html: None,
    };
    mailboxes::create(app, caller, new).await?;
    Ok(())
}

fn greeting(app: &App, key: &SecretString) -> String {
    let (url, key, admin) = (
        &app.config.http.public_url,
        key.expose_secret(),
        app.admin_key.expose_secret(),
    );
    format!(
        "
postroom is running, with a sandbox mailbox that gets a new message now and then.

  Swagger UI   {url}/docs
  tenant key   {key}
  admin key    {admin}

In Swagger UI, press Authorize and paste the tenant key. Or paste these:

  curl -H 'x-api-key: {key}' {url}/v1/mailboxes
  curl -H 'x-api-key: {key}' '{url}/v1/messages?q={SEARCHED}&limit=3'
  curl -H 'Authorization: Bearer {key}' {url}/api/v1/mailboxes

Ctrl-C stops it; its data stays in {data}.

",
        data = app.config.storage.data_dir.display()
    )
}

/// Puts a new message into the sandbox now and then.
async fn news(mail: &Sandbox, stop: &CancellationToken) {
    let clock = Clock::system();
    let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + NEWS, NEWS);
    let mut number = 0;
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let now = clock.now();
        let (folder, raw) = story::next_message(number, now);
        number += 1;
        if let Err(error) = mail.append(story::ADDRESS, folder, &[], now, &raw) {
            tracing::warn!(%error, "the sandbox took no new message");
        }
    }
}
