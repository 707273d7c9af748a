//! Ways to log in: PLAIN, LOGIN, XOAUTH2 and OAUTHBEARER (RFC 4616, RFC 7628), with and without an initial response.

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{
    Credentials, Endpoint,
    body::Spooler,
    command::Command,
    connection::{Connection, Deadline, Exchange, Pending, Step},
    error::{Answer, Error, ProtocolError},
};

/// The longest initial response that goes on the line of AUTHENTICATE, in bytes.
const MAX_INITIAL: usize = 6_000;

/// Logs in by the best way that the server offers. The capabilities are empty afterwards unless the server listed them
/// anew: those from before the login no longer hold.
pub(super) async fn run(
    connection: &mut Connection,
    endpoint: &Endpoint,
    credentials: &Credentials,
    deadline: Deadline,
) -> Result<(), Error> {
    match credentials {
        Credentials::Password { username, password } => {
            by_password(connection, username, password, deadline).await
        }
        Credentials::OAuth {
            username,
            access_token,
        } => by_token(connection, endpoint, username, access_token, deadline).await,
    }
}

async fn by_password(
    connection: &mut Connection,
    username: &str,
    password: &SecretString,
    deadline: Deadline,
) -> Result<(), Error> {
    if username.contains('\0') || password.expose_secret().contains('\0') {
        return Err(Error::Invalid("the user name or the password contains a NUL"));
    }
    let login = !connection.capabilities.has("LOGINDISABLED");
    if connection.capabilities.has_mechanism("PLAIN") {
        let payload = Zeroizing::new(format!("\0{username}\0{}", password.expose_secret()));
        match authenticate(connection, "PLAIN", &payload, "*", deadline).await {
            Err(Error::Bad { .. }) if login => {}
            done => return done,
        }
    }
    if !login {
        return Err(Error::Unsupported(
            "a way to log in with a password over this connection",
        ));
    }
    let command = Command::new("LOGIN")
        .string(username.as_bytes())?
        .string(password.expose_secret().as_bytes())?;
    let exchange = connection.begin(command, deadline).await.map_err(refused)?;
    finish(connection, &exchange, None, "", deadline).await
}

/// NO is the refusal of a login, also where it comes before the password was sent.
fn refused(error: Error) -> Error {
    match error {
        Error::No { answer, .. } => Error::login_refused(answer),
        other => other,
    }
}

async fn by_token(
    connection: &mut Connection,
    endpoint: &Endpoint,
    username: &str,
    token: &SecretString,
    deadline: Deadline,
) -> Result<(), Error> {
    let token = token.expose_secret();
    if [username, token]
        .iter()
        .any(|text| text.chars().any(char::is_control))
    {
        return Err(Error::Invalid(
            "the user name or the access token contains a control character",
        ));
    }
    if connection.capabilities.has_mechanism("XOAUTH2") {
        let payload = Zeroizing::new(format!("user={username}\x01auth=Bearer {token}\x01\x01"));
        return authenticate(connection, "XOAUTH2", &payload, "", deadline).await;
    }
    if connection.capabilities.has_mechanism("OAUTHBEARER") {
        let user = username.replace('=', "=3D").replace(',', "=2C");
        let Endpoint { host, port, .. } = endpoint;
        let payload = Zeroizing::new(format!(
            "n,a={user},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01"
        ));
        // The answer to a challenge that tells of a failure is one byte 0x01.
        return authenticate(connection, "OAUTHBEARER", &payload, "AQ==", deadline).await;
    }
    Err(Error::Unsupported("a way to log in with an access token"))
}

/// AUTHENTICATE, first with the initial response on its line where that is offered (RFC 4959), and without it where the
/// server then says BAD.
async fn authenticate(
    connection: &mut Connection,
    mechanism: &'static str,
    payload: &str,
    on_challenge: &str,
    deadline: Deadline,
) -> Result<(), Error> {
    let encoded = Zeroizing::new(STANDARD.encode(payload));
    if connection.capabilities.has("SASL-IR") && encoded.len() <= MAX_INITIAL {
        let command = Command::new("AUTHENTICATE").word(mechanism).word(&encoded);
        let exchange = connection.begin(command, deadline).await?;
        match finish(connection, &exchange, None, on_challenge, deadline).await {
            Err(Error::Bad { .. }) => {}
            done => return done,
        }
    }
    let exchange = connection
        .begin(Command::new("AUTHENTICATE").word(mechanism), deadline)
        .await?;
    finish(connection, &exchange, Some(&encoded), on_challenge, deadline).await
}

/// Reads on to the tagged answer: the first challenge is answered with `payload` if there is one, the next, which tells
/// of a failure, with `on_challenge`.
async fn finish(
    connection: &mut Connection,
    exchange: &Exchange,
    mut payload: Option<&str>,
    on_challenge: &str,
    deadline: Deadline,
) -> Result<(), Error> {
    let before = std::mem::take(&mut connection.capabilities);
    let mut spooler = Spooler::none();
    let mut challenged = false;
    loop {
        match connection.step(exchange, &mut spooler).await {
            Ok(Step::Done(_)) => return Ok(()),
            Ok(Step::Data(_)) => {}
            Ok(Step::Continue) => {
                let reply = payload.take();
                if reply.is_none() && std::mem::replace(&mut challenged, true) {
                    return Err(ProtocolError::Continuation.into());
                }
                let line = Zeroizing::new(format!("{}\r\n", reply.unwrap_or(on_challenge)));
                connection.send(line.as_bytes(), deadline).await?;
            }
            Err(error) => {
                connection.capabilities = before;
                return Err(refused(error));
            }
        }
    }
}

/// Takes the secrets out of whatever the server said, should it repeat them.
pub(super) fn redact(
    login: Result<(), Error>,
    pending: &mut Pending,
    credentials: &Credentials,
) -> Result<(), Error> {
    let (Credentials::Password {
        username,
        password: secret,
    }
    | Credentials::OAuth {
        username,
        access_token: secret,
    }) = credentials;
    let plain = Zeroizing::new(format!("\0{username}\0{}", secret.expose_secret()));
    let oauth = Zeroizing::new(format!(
        "user={username}\x01auth=Bearer {}\x01\x01",
        secret.expose_secret()
    ));
    let encoded = [plain, oauth].map(|payload| Zeroizing::new(STANDARD.encode(payload.as_bytes())));
    let secrets: Vec<&str> = std::iter::once(secret.expose_secret())
        .chain(encoded.iter().map(|text| text.as_str()))
        .collect();
    for alert in &mut pending.alerts {
        let text = std::mem::take(alert);
        *alert = Answer { code: None, text }.without(&secrets).text;
    }
    login.map_err(|error| match error {
        Error::Credentials(answer) => Error::Credentials(answer.without(&secrets)),
        Error::Login(answer) => Error::Login(answer.without(&secrets)),
        Error::Bye(answer) => Error::Bye(answer.without(&secrets)),
        Error::No { command, answer } => Error::No {
            command,
            answer: answer.without(&secrets),
        },
        Error::Bad { command, answer } => Error::Bad {
            command,
            answer: answer.without(&secrets),
        },
        other => other,
    })
}
