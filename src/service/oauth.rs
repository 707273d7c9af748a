//! Access tokens that are fresh enough to log in with: one refresh at a time, and its result stored before it is used.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use secrecy::ExposeSecret;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use uuid::Uuid;

use super::{App, detach, logins, sync::Halt};
use crate::{
    mail::oauth::{self, TokenError},
    model::{
        Error,
        caller::Visibility,
        credentials::{OAuth2, Secret},
        id::TenantId,
        mailbox::{ServerLogin, Service},
    },
};

/// Granted tokens are tried to be stored so many times, and so long after one another.
const STORES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(2);

/// Why there is nothing to log in with.
#[derive(Debug, thiserror::Error)]
pub enum Unready {
    /// The token endpoint.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The store, or a mailbox that is not there any more.
    #[error(transparent)]
    Halt(#[from] Halt),
}

impl From<Error> for Unready {
    fn from(error: Error) -> Self {
        Self::Halt(error.into())
    }
}

/// The login as it is to be used now. A password is ready as it is; tokens are refreshed when there is no access token,
/// when four fifths of its life are over, or when the server `refused` it.
///
/// A refresh that was begun runs to its end, also when nobody waits for it any more, within 20 s and what its storing takes:
/// an endpoint that rotates refresh tokens has used up the old one when it answers.
pub async fn ready(
    app: &App,
    tenant: TenantId,
    mailbox: Uuid,
    login: ServerLogin,
    refused: bool,
) -> Result<ServerLogin, Unready> {
    let Some(known) = due(app, &login, refused) else {
        return Ok(login);
    };
    let (app, known) = (app.clone(), known.clone());
    let refreshed = detach(async move { refresh(&app, (tenant, mailbox), &known, refused).await });
    refreshed.await.map_err(Error::internal)?
}

/// True when [`ready`] has something to do.
pub fn is_due(app: &App, login: &ServerLogin, refused: bool) -> bool {
    due(app, login, refused).is_some()
}

/// The tokens that are to be refreshed before they are used.
fn due<'l>(app: &App, login: &'l ServerLogin, refused: bool) -> Option<&'l OAuth2> {
    match &login.secret {
        Secret::OAuth2(known) if refused || known.is_due(app.clock.now()) => Some(known),
        Secret::OAuth2(_) | Secret::Password(_) => None,
    }
}

/// A mailbox of a tenant.
type Target = (TenantId, Uuid);

async fn refresh(app: &App, target: Target, known: &OAuth2, refused: bool) -> Result<ServerLogin, Unready> {
    let (_, mailbox) = target;
    let _turn = app.refreshes.take(mailbox).await;
    let (stored, sealed) = read(app, target).await?;
    let Secret::OAuth2(tokens) = &stored.secret else {
        return Ok(stored);
    };
    // While this one waited for its turn, another may have had it.
    let text = |tokens: &OAuth2| {
        tokens
            .access_token
            .as_ref()
            .map(|token| token.expose_secret().to_owned())
    };
    if text(tokens) != text(known) && !tokens.is_due(app.clock.now()) {
        return Ok(stored);
    }
    match oauth::refresh(&app.http, tokens, app.clock.now()).await {
        Ok(granted) => {
            let tokens = OAuth2::clone(tokens).granted(granted, app.clock.now());
            keep(app, target, &sealed, &tokens).await
        }
        Err(TokenError::Revoked(answer)) => {
            // Another node may have used the refresh token up, and stored the next.
            let (now, changed) = read(app, target).await?;
            if changed == sealed {
                return Err(TokenError::Revoked(answer).into());
            }
            Ok(now)
        }
        Err(error) if !refused && tokens.is_usable(app.clock.now()) => {
            tracing::info!(mailbox = %mailbox, code = error.code(), "tokens are refreshed later: the access token still lives");
            Ok(stored)
        }
        Err(error) => Err(error.into()),
    }
}

async fn read(app: &App, (tenant, mailbox): Target) -> Result<(ServerLogin, Vec<u8>), Unready> {
    let opened = logins::open_sealed(app, tenant, mailbox, Service::Imap).await?;
    opened.ok_or(Unready::Halt(Halt::Fenced))
}

/// Stores tokens, and tries again where the store fails: they are granted once, and the refresh token before them is used up.
async fn keep(app: &App, target: Target, read_as: &[u8], tokens: &OAuth2) -> Result<ServerLogin, Unready> {
    for _ in 1..STORES {
        match store(app, target, read_as.to_vec(), tokens).await {
            Err(Unready::Halt(Halt::Failed(error))) => {
                tracing::error!(mailbox = %target.1, error = &error as &dyn std::error::Error, "granted tokens are not stored yet");
                tokio::time::sleep(PAUSE).await;
            }
            stored => return stored,
        }
    }
    store(app, target, read_as.to_vec(), tokens).await
}

/// Stores tokens, and answers the login with them.
///
/// The fence of this write is the tokens that were read, and not the lease: a mailbox that was disabled meanwhile needs the
/// new refresh token all the same, because the endpoint takes the old one no more. Where others were stored since (by a
/// request, or by another node), they stay, and are answered.
async fn store(app: &App, target: Target, read_as: Vec<u8>, tokens: &OAuth2) -> Result<ServerLogin, Unready> {
    let (tenant, mailbox) = target;
    let data_key = logins::data_key(app, tenant).await?;
    let sealed = logins::seal_tokens(&data_key, tenant, mailbox, Service::Imap, tokens)?;
    let stored = app.write(move |tx| {
        Box::pin(async move {
            // Locked, so that a change of the settings neither overwrites the tokens nor is overwritten.
            tx.lock_mailbox(tenant, Visibility::All, mailbox).await?;
            tx.swap_tokens(tenant, mailbox, Service::Imap, &read_as, &sealed)
                .await
        })
    });
    if !stored.await? {
        tracing::info!(mailbox = %mailbox, "other tokens were stored during a refresh");
    }
    Ok(read(app, target).await?.0)
}

/// Whose turn it is to refresh a mailbox's tokens, in this process: a refresh token that is used twice can cost the whole
/// grant (RFC 9700, section 4.14).
#[derive(Default)]
pub struct Turns(Mutex<HashMap<Uuid, Weak<Turn<()>>>>);

impl Turns {
    async fn take(&self, mailbox: Uuid) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            turns.get(&mailbox).and_then(Weak::upgrade).unwrap_or_else(|| {
                let turn = Arc::new(Turn::new(()));
                turns.insert(mailbox, Arc::downgrade(&turn));
                turn
            })
        };
        turn.lock_owned().await
    }
}
