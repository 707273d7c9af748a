//! Where a mailbox's mail server is and how to log in: what comes in, and what a try to connect found.

use poem_openapi::{
    Enum, Object,
    types::{Example, Password},
};
use secrecy::SecretString;

use super::{check::Faults, oauth::OAuth2};
use crate::model::{
    self, Result,
    credentials::Secret,
    mailbox::{ServerLogin, ServerPatch},
};

/// The longest user name, in characters.
const MAX_USERNAME: usize = 320;
/// The longest password, in characters; an app password of a provider is far below.
const MAX_PASSWORD: usize = 4_096;

/// How a connection is secured. `tls`: TLS from the first byte (RFC 8314). `starttls`: plain first, then TLS, refused
/// when the server does not offer it. `none`: no TLS at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(
    rename = "ServerSecurity",
    rename_all = "snake_case",
    remote = "model::mailbox::Security"
)]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// Plain first, then STARTTLS.
    Starttls,
    /// No TLS at all.
    None,
}

/// Where a mail server is and how to log in: with `password` or with `oauth2`, exactly one of the two.
#[derive(Clone, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
pub struct MailServer {
    /// Host name or IP address, at most 253 characters.
    #[oai(validator(min_length = 1, max_length = 253))]
    pub host: String,
    /// TCP port.
    #[oai(validator(minimum(value = "1"), maximum(value = "65535")))]
    pub port: u16,
    /// How the connection is secured.
    pub security: Security,
    /// The user to log in as, at most 320 characters.
    #[oai(validator(min_length = 1, max_length = 320))]
    pub username: String,
    /// The password. It is encrypted before it is stored, and never answered.
    #[oai(validator(min_length = 1, max_length = 4096))]
    pub password: Option<Password>,
    /// Tokens of OAuth 2.0, in place of a password.
    pub oauth2: Option<OAuth2>,
}

impl MailServer {
    /// Checks the fields; `path` is that of the object in the body.
    pub(super) fn into_login(self, path: &str, faults: &mut Faults) -> ServerLogin {
        let Self {
            host,
            port,
            security,
            username,
            password,
            oauth2,
        } = self;
        faults.host(&format!("{path}.host"), &host);
        faults.port(&format!("{path}.port"), port);
        faults.credential(&format!("{path}.username"), &username, MAX_USERNAME);
        if password.is_none() && oauth2.is_none() {
            faults.add(
                &format!("{path}.password"),
                "Give a password, or tokens as oauth2.",
            );
        }
        let secret = secret(path, password, oauth2, faults);
        let settings = model::mailbox::ServerSettings {
            host,
            port,
            security: security.into(),
            username,
        };
        ServerLogin {
            settings,
            // Nothing is made of the empty one: what is missing is a fault.
            secret: secret.unwrap_or_else(|| Secret::Password(SecretString::default())),
        }
    }
}

/// The one of the two that is given; both are a fault.
fn secret(
    path: &str,
    password: Option<Password>,
    oauth2: Option<OAuth2>,
    faults: &mut Faults,
) -> Option<Secret> {
    if password.is_some() && oauth2.is_some() {
        faults.add(&format!("{path}.oauth2"), "Give a password or oauth2, not both.");
    }
    if let Some(password) = &password {
        faults.credential(&format!("{path}.password"), &password.0, MAX_PASSWORD);
    }
    let tokens = oauth2.map(|oauth2| oauth2.into_model(&format!("{path}.oauth2"), faults));
    password
        .map(|password| Secret::Password(SecretString::from(password.0)))
        .or_else(|| tokens.map(|tokens| Secret::OAuth2(Box::new(tokens))))
}

impl Example for MailServer {
    fn example() -> Self {
        Self {
            host: "imap.example.org".into(),
            port: 993,
            security: Security::Tls,
            username: "desk@example.org".into(),
            password: Some(Password("app-password".into())),
            oauth2: None,
        }
    }
}

/// What changes about a mail server; what is left out stays. `password` and `oauth2` each take the place of whichever was
/// there; `oauth2` is given as a whole.
#[derive(Clone, Default, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
pub struct UpdateMailServer {
    /// Host name or IP address, at most 253 characters.
    #[oai(validator(min_length = 1, max_length = 253))]
    pub host: Option<String>,
    /// TCP port.
    #[oai(validator(minimum(value = "1"), maximum(value = "65535")))]
    pub port: Option<u16>,
    /// How the connection is secured.
    pub security: Option<Security>,
    /// The user to log in as, at most 320 characters.
    #[oai(validator(min_length = 1, max_length = 320))]
    pub username: Option<String>,
    /// The password. It is encrypted before it is stored, and never answered.
    #[oai(validator(min_length = 1, max_length = 4096))]
    pub password: Option<Password>,
    /// Tokens of OAuth 2.0, in place of a password.
    pub oauth2: Option<OAuth2>,
}

impl UpdateMailServer {
    /// Checks the fields; `path` is that of the object in the body.
    pub(super) fn into_patch(self, path: &str, faults: &mut Faults) -> ServerPatch {
        let Self {
            host,
            port,
            security,
            username,
            password,
            oauth2,
        } = self;
        if let Some(host) = &host {
            faults.host(&format!("{path}.host"), host);
        }
        if let Some(port) = port {
            faults.port(&format!("{path}.port"), port);
        }
        if let Some(username) = &username {
            faults.credential(&format!("{path}.username"), username, MAX_USERNAME);
        }
        let secret = secret(path, password, oauth2, faults);
        ServerPatch {
            host,
            port,
            security: security.map(Into::into),
            username,
            secret,
        }
    }
}

impl Example for UpdateMailServer {
    fn example() -> Self {
        Self {
            password: Some(Password("new-app-password".into())),
            ..Self::default()
        }
    }
}

/// Servers to try, without storing anything. With `oauth2` the access token is tried as it is, so it has to be given: a
/// refresh can use up the refresh token.
#[derive(Clone, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
pub struct VerifyMailbox {
    /// Where mail is read.
    pub imap: MailServer,
    /// Where mail is sent; not tried when left out or null.
    #[oai(nullable)]
    pub smtp: Option<MailServer>,
}

impl VerifyMailbox {
    /// Checks the fields; answers the IMAP and the SMTP login.
    pub fn into_model(self) -> Result<(ServerLogin, Option<ServerLogin>)> {
        let Self { imap, smtp } = self;
        let mut faults = Faults::default();
        let imap = imap.into_login("imap", &mut faults);
        let smtp = smtp.map(|smtp| smtp.into_login("smtp", &mut faults));
        for (path, login) in [("imap", Some(&imap)), ("smtp", smtp.as_ref())] {
            if let Some(Secret::OAuth2(tokens)) = login.map(|login| &login.secret)
                && tokens.access_token.is_none()
            {
                let detail = "Give an access token: nothing is stored here, and a refresh can use up the refresh token.";
                faults.add(&format!("{path}.oauth2.access_token"), detail);
            }
        }
        faults.or((imap, smtp))
    }
}

impl Example for VerifyMailbox {
    fn example() -> Self {
        Self {
            imap: MailServer::example(),
            smtp: None,
        }
    }
}

/// Why a server could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct ServerFault {
    /// A stable word, such as `authentication_failed`. More may be added.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

/// What a try to log in to one server found.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct ServerCheck {
    /// True when the login worked.
    pub ok: bool,
    /// Why it did not; null when it did.
    #[oai(nullable)]
    pub error: Option<ServerFault>,
    /// What the server offers, as it names it; empty when the login did not work.
    pub capabilities: Vec<String>,
}

impl ServerCheck {
    /// A login that worked.
    pub const fn passed(capabilities: Vec<String>) -> Self {
        Self {
            ok: true,
            error: None,
            capabilities,
        }
    }

    /// A login that did not.
    pub fn failed(code: impl Into<String>, message: impl Into<String>) -> Self {
        let error = ServerFault {
            code: code.into(),
            message: message.into(),
        };
        Self {
            ok: false,
            error: Some(error),
            capabilities: Vec::new(),
        }
    }
}

/// What a try to connect found.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct VerifyResult {
    /// True when every server that was tried can be used.
    pub ok: bool,
    /// Where mail is read.
    pub imap: ServerCheck,
    /// Where mail is sent; null when it was not tried.
    #[oai(nullable)]
    pub smtp: Option<ServerCheck>,
}

impl VerifyResult {
    /// Both findings together.
    pub fn new(imap: ServerCheck, smtp: Option<ServerCheck>) -> Self {
        Self {
            ok: imap.ok && smtp.as_ref().is_none_or(|smtp| smtp.ok),
            imap,
            smtp,
        }
    }
}

impl Example for VerifyResult {
    fn example() -> Self {
        Self::new(ServerCheck::passed(vec!["IMAP4rev1".into(), "IDLE".into()]), None)
    }
}
