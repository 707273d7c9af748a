//! Logins: the settings of a mailbox's servers, with the password sealed for its place.

use uuid::Uuid;

use super::{
    App,
    vault::{self, Key, Place},
};
use crate::{
    model::{
        Error, Result,
        error::FieldError,
        id::TenantId,
        mailbox::{ServerLogin, ServerPatch, ServerSettings, Service},
    },
    store::{Conn, SealedLogin},
};

/// The settings that are stored with what a PATCH changes; where there were none, the PATCH must give them all. A new
/// password needs the key.
pub(super) async fn merge(
    tx: &mut Conn,
    data_key: Option<&Key>,
    tenant: TenantId,
    mailbox: Uuid,
    service: Service,
    patch: ServerPatch,
) -> Result<SealedLogin> {
    let stored = tx.get_login(tenant, mailbox, service).await?;
    let (settings, secret) = stored.map(|login| (login.settings, login.secret)).unzip();
    let mut errors = Vec::new();
    let mut missing = |name: &str| {
        errors.push(FieldError::body(
            &format!("{}.{name}", service.as_str()),
            "This has no value yet: give one.",
        ));
    };
    let given = settings.is_some();
    for (name, present) in [
        ("host", patch.host.is_some()),
        ("port", patch.port.is_some()),
        ("security", patch.security.is_some()),
        ("username", patch.username.is_some()),
        ("password", patch.password.is_some()),
    ] {
        if !given && !present {
            missing(name);
        }
    }
    let sealed = match (&patch.password, secret) {
        (Some(password), _) => Some(vault::seal_secret(
            data_key.ok_or_else(|| Error::internal("a password came without the key that seals it"))?,
            place(tenant, mailbox, service),
            password,
        )?),
        (None, secret) => secret,
    };
    let merged = merge_settings(settings.as_ref(), patch);
    merged
        .zip(sealed)
        .map(|(settings, secret)| SealedLogin { settings, secret })
        .ok_or(Error::Invalid(errors))
}

fn merge_settings(current: Option<&ServerSettings>, patch: ServerPatch) -> Option<ServerSettings> {
    let ServerPatch {
        host,
        port,
        security,
        username,
        password: _,
    } = patch;
    Some(ServerSettings {
        host: host.or_else(|| current.map(|current| current.host.clone()))?,
        port: port.or_else(|| current.map(|current| current.port))?,
        security: security.or_else(|| current.map(|current| current.security))?,
        username: username.or_else(|| current.map(|current| current.username.clone()))?,
    })
}

/// Seals a login for its place.
pub(super) fn seal(
    data_key: &Key,
    tenant: TenantId,
    mailbox: Uuid,
    service: Service,
    login: &ServerLogin,
) -> Result<SealedLogin> {
    let secret = vault::seal_secret(data_key, place(tenant, mailbox, service), &login.password)?;
    Ok(SealedLogin {
        settings: login.settings.clone(),
        secret,
    })
}

/// Where a login's password lies.
const fn place(tenant: TenantId, mailbox: Uuid, service: Service) -> Place {
    let column = match service {
        Service::Imap => "imap.secret",
        Service::Smtp => "smtp.secret",
    };
    Place {
        table: "mailbox_credentials",
        column,
        tenant,
        row: mailbox,
    }
}

/// A mailbox's login with its password opened.
pub async fn open(
    app: &App,
    tenant: TenantId,
    mailbox: Uuid,
    service: Service,
) -> Result<Option<ServerLogin>> {
    let Some(sealed) = app
        .store
        .read()
        .await?
        .get_login(tenant, mailbox, service)
        .await?
    else {
        return Ok(None);
    };
    let data_key = data_key(app, tenant).await?;
    let password = vault::open_secret(&data_key, place(tenant, mailbox, service), &sealed.secret)?;
    Ok(Some(ServerLogin {
        settings: sealed.settings,
        password,
    }))
}

/// The key that seals what belongs to a tenant.
pub(super) async fn data_key(app: &App, tenant: TenantId) -> Result<Key> {
    let sealed = app
        .store
        .read()
        .await?
        .get_data_key(tenant)
        .await?
        .ok_or(Error::NotFound("tenant"))?;
    app.vault.open_data_key(tenant, &sealed)
}
