//! Verifying: dial a mail server with settings that are not saved, and say what came of it.

use super::App;
use crate::{
    mail::imap::{Client, Credentials, Endpoint},
    model::{Result, caller::Caller, credentials::Secret, mailbox::ServerLogin, scope::Scope},
};

/// What came of dialling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The server where mail is read.
    pub imap: Checked,
    /// The server where mail is sent, when it was asked for.
    pub smtp: Option<Checked>,
}

/// The server's capabilities, or why it cannot be used.
pub type Checked = std::result::Result<Vec<String>, ConnectionProblem>;

/// Why a server cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionProblem {
    /// A stable word.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

/// Dials, logs in and out again; nothing is stored.
pub async fn verify(
    app: &App,
    caller: &Caller,
    imap: ServerLogin,
    smtp: Option<ServerLogin>,
) -> Result<Verified> {
    caller.require(Scope::MailboxesWrite)?;
    let smtp = smtp.map(|_| {
        Err(ConnectionProblem {
            code: "not_supported".to_owned(),
            message: "This version keeps SMTP settings for later and does not dial them yet.".to_owned(),
        })
    });
    Ok(Verified {
        imap: check_imap(app, &imap).await,
        smtp,
    })
}

async fn check_imap(app: &App, login: &ServerLogin) -> Checked {
    let session = async {
        let client = Client::connect(&app.dialer, &endpoint(login)).await?;
        client.login(&credentials(login)).await
    };
    let problem = |error: crate::mail::imap::Error| ConnectionProblem {
        code: error.code().to_owned(),
        message: error.to_string(),
    };
    let session = session.await.map_err(problem)?;
    let capabilities = session.capabilities().iter().map(str::to_owned).collect();
    // The answer is known; a server that does not say goodbye changes nothing about it.
    drop(session.logout().await);
    Ok(capabilities)
}

/// Where to dial.
pub fn endpoint(login: &ServerLogin) -> Endpoint {
    let settings = &login.settings;
    Endpoint {
        host: settings.host.clone(),
        port: settings.port,
        security: settings.security,
    }
}

/// Whom to log in as. Tokens have to be ready: see [`super::oauth::ready`].
pub fn credentials(login: &ServerLogin) -> Credentials {
    let username = login.settings.username.clone();
    match &login.secret {
        Secret::Password(password) => Credentials::Password {
            username,
            password: password.clone(),
        },
        Secret::OAuth2(tokens) => Credentials::OAuth {
            username,
            access_token: tokens.access_token.clone().unwrap_or_default(),
        },
    }
}
