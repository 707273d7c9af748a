//! Logins: the settings of a mailbox's servers, with the password or the tokens sealed for their place.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    App,
    vault::{self, Key, Place},
};
use crate::{
    model::{
        Error, Result,
        credentials::{Auth, OAuth2, Secret},
        error::FieldError,
        id::TenantId,
        mailbox::{ServerLogin, ServerPatch, ServerSettings, Service},
    },
    store::{Conn, SealedLogin},
};

/// The settings that are stored with what a PATCH changes; where there were none, the PATCH must give them all. A new
/// secret needs the key.
pub(super) async fn merge(
    tx: &mut Conn,
    data_key: Option<&Key>,
    now: DateTime<Utc>,
    tenant: TenantId,
    mailbox: Uuid,
    service: Service,
    patch: ServerPatch,
) -> Result<SealedLogin> {
    let stored = tx.get_login(tenant, mailbox, service).await?;
    let (settings, kept) = stored
        .map(|login| (login.settings, (login.auth, login.secret)))
        .unzip();
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
        ("password", patch.secret.is_some()),
    ] {
        if !given && !present {
            missing(name);
        }
    }
    let sealed = match &patch.secret {
        Some(secret) => {
            let data_key =
                data_key.ok_or_else(|| Error::internal("a secret came without the key that seals it"))?;
            let sealed = seal_secret(data_key, now, tenant, mailbox, service, secret)?;
            Some((secret.auth(), sealed))
        }
        None => kept,
    };
    let merged = merge_settings(settings.as_ref(), patch);
    merged
        .zip(sealed)
        .map(|(settings, (auth, secret))| SealedLogin {
            settings,
            auth,
            secret,
        })
        .ok_or(Error::Invalid(errors))
}

fn merge_settings(current: Option<&ServerSettings>, patch: ServerPatch) -> Option<ServerSettings> {
    let ServerPatch {
        host,
        port,
        security,
        username,
        secret: _,
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
    now: DateTime<Utc>,
    tenant: TenantId,
    mailbox: Uuid,
    service: Service,
    login: &ServerLogin,
) -> Result<SealedLogin> {
    Ok(SealedLogin {
        settings: login.settings.clone(),
        auth: login.secret.auth(),
        secret: seal_secret(data_key, now, tenant, mailbox, service, &login.secret)?,
    })
}

/// Seals what was given at `now`.
fn seal_secret(
    data_key: &Key,
    now: DateTime<Utc>,
    tenant: TenantId,
    mailbox: Uuid,
    service: Service,
    secret: &Secret,
) -> Result<Vec<u8>> {
    match secret {
        Secret::Password(password) => {
            let place = place(tenant, mailbox, service, Auth::Password);
            vault::seal_secret(data_key, place, password)
        }
        Secret::OAuth2(tokens) => seal_tokens(
            data_key,
            tenant,
            mailbox,
            service,
            &tokens.as_ref().clone().given(now),
        ),
    }
}

/// Seals tokens for their place.
pub(super) fn seal_tokens(
    data_key: &Key,
    tenant: TenantId,
    mailbox: Uuid,
    service: Service,
    tokens: &OAuth2,
) -> Result<Vec<u8>> {
    let text = serde_json::to_string(&Plain::of(tokens)).map_err(Error::internal)?;
    let place = place(tenant, mailbox, service, Auth::OAuth2);
    vault::seal_secret(data_key, place, &SecretString::from(text))
}

/// Tokens as they are sealed, in JSON.
#[derive(Serialize, Deserialize)]
struct Plain<'a> {
    token_url: Cow<'a, str>,
    client_id: Cow<'a, str>,
    client_secret: Option<Cow<'a, str>>,
    refresh_token: Cow<'a, str>,
    access_token: Option<Cow<'a, str>>,
    expires_at: Option<DateTime<Utc>>,
    refresh_at: Option<DateTime<Utc>>,
    scope: Option<Cow<'a, str>>,
}

impl<'a> Plain<'a> {
    fn of(tokens: &'a OAuth2) -> Self {
        let secret = |secret: &'a SecretString| Cow::Borrowed(secret.expose_secret());
        Self {
            token_url: Cow::Borrowed(&tokens.token_url),
            client_id: Cow::Borrowed(&tokens.client_id),
            client_secret: tokens.client_secret.as_ref().map(secret),
            refresh_token: secret(&tokens.refresh_token),
            access_token: tokens.access_token.as_ref().map(secret),
            expires_at: tokens.expires_at,
            refresh_at: tokens.refresh_at,
            scope: tokens.scope.as_deref().map(Cow::Borrowed),
        }
    }

    fn into_tokens(self) -> OAuth2 {
        let secret = |text: Cow<'_, str>| SecretString::from(text.into_owned());
        OAuth2 {
            token_url: self.token_url.into_owned(),
            client_id: self.client_id.into_owned(),
            client_secret: self.client_secret.map(secret),
            refresh_token: secret(self.refresh_token),
            access_token: self.access_token.map(secret),
            expires_at: self.expires_at,
            refresh_at: self.refresh_at,
            scope: self.scope.map(Cow::into_owned),
        }
    }
}

/// Where a login's secret lies. The kinds have places of their own, so that none opens as another.
const fn place(tenant: TenantId, mailbox: Uuid, service: Service, auth: Auth) -> Place {
    let column = match (service, auth) {
        (Service::Imap, Auth::Password) => "imap.secret",
        (Service::Smtp, Auth::Password) => "smtp.secret",
        (Service::Imap, Auth::OAuth2) => "imap.secret.oauth2",
        (Service::Smtp, Auth::OAuth2) => "smtp.secret.oauth2",
    };
    Place {
        table: "mailbox_credentials",
        column,
        tenant,
        row: mailbox,
    }
}

/// A mailbox's login with its secret opened.
pub async fn open(
    app: &App,
    tenant: TenantId,
    mailbox: Uuid,
    service: Service,
) -> Result<Option<ServerLogin>> {
    let opened = open_sealed(app, tenant, mailbox, service).await?;
    Ok(opened.map(|(login, _)| login))
}

/// The same, with the secret as it is sealed.
pub(super) async fn open_sealed(
    app: &App,
    tenant: TenantId,
    mailbox: Uuid,
    service: Service,
) -> Result<Option<(ServerLogin, Vec<u8>)>> {
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
    let place = place(tenant, mailbox, service, sealed.auth);
    let plain = vault::open_secret(&data_key, place, &sealed.secret)?;
    let secret = match sealed.auth {
        Auth::Password => Secret::Password(plain),
        Auth::OAuth2 => {
            // What a parser says could quote what it read.
            let tokens = serde_json::from_str::<Plain<'_>>(plain.expose_secret())
                .map_err(|_| Error::internal("sealed tokens cannot be read"))?;
            Secret::OAuth2(Box::new(tokens.into_tokens()))
        }
    };
    let login = ServerLogin {
        settings: sealed.settings,
        secret,
    };
    Ok(Some((login, sealed.secret)))
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
