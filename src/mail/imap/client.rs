//! A connection before the login: TCP, TLS or STARTTLS, the greeting, and the login itself.

use std::fmt;

use super::{
    Credentials, Endpoint,
    body::Spooler,
    command::Command,
    connection::{Connection, Deadline},
    dial::{Dialer, Permit, Transport},
    error::{Error, Phase, ProtocolError},
    login,
    response::{Kind, Response},
    session::Session,
};
use crate::model::mailbox::Security;

/// A connection that has been greeted and is not logged in.
pub struct Client {
    connection: Box<Connection>,
    endpoint: Endpoint,
    preauth: bool,
    /// One of the host's ten places, until the login has ended.
    permit: Permit,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to a vetted address of the host, secures the connection as the endpoint says, and reads the greeting.
    ///
    /// # Errors
    /// Every failure on the way. STARTTLS that is not offered is [`Error::Unsupported`]: the connection never goes on in
    /// the clear. A greeting of BYE is [`Error::Bye`].
    pub async fn connect(dialer: &Dialer, endpoint: &Endpoint) -> Result<Self, Error> {
        let permit = dialer.permit(&endpoint.host).await?;
        let stream = dialer.tcp(&endpoint.host, endpoint.port).await?;
        let transport = match endpoint.security {
            Security::Tls => dialer.secure(&endpoint.host, stream).await?,
            Security::Starttls | Security::None => Transport::Plain(stream),
        };
        let connection = Box::new(Connection::new(transport, dialer.timeouts));
        let mut client = Self {
            connection,
            endpoint: endpoint.clone(),
            preauth: false,
            permit,
        };
        client.greet().await?;
        if endpoint.security == Security::Starttls {
            client.start_tls(dialer).await?;
        }
        if client.connection.capabilities.is_empty() {
            let deadline = client.connection.greeting_deadline();
            client.ask_capabilities(deadline).await?;
        }
        Ok(client)
    }

    async fn greet(&mut self) -> Result<(), Error> {
        let deadline = self.connection.greeting_deadline();
        let Response::Status(status) = self.connection.response(deadline, &mut Spooler::none()).await? else {
            return Err(ProtocolError::Greeting.into());
        };
        match status.kind {
            Kind::Ok => Ok(()),
            Kind::Preauth if self.endpoint.security == Security::Starttls => {
                Err(ProtocolError::EarlyPreauth.into())
            }
            Kind::Preauth => {
                self.preauth = true;
                Ok(())
            }
            Kind::Bye => Err(Error::bye(status.answer())),
            Kind::No | Kind::Bad => Err(ProtocolError::Greeting.into()),
        }
    }

    /// STARTTLS (RFC 9051, section 6.2.1). What was heard before, or came along with the OK, could be anybody's: it is
    /// dropped, and the capabilities are asked for again under TLS.
    async fn start_tls(&mut self, dialer: &Dialer) -> Result<(), Error> {
        let deadline = self.connection.greeting_deadline();
        if self.connection.capabilities.is_empty() {
            self.ask_capabilities(deadline).await?;
        }
        if !self.connection.capabilities.has("STARTTLS") {
            return Err(Error::Unsupported("STARTTLS"));
        }
        self.connection
            .run(Command::new("STARTTLS"), deadline, |_| Ok(()))
            .await?;
        let Transport::Plain(stream) = self.connection.take_transport() else {
            return Err(Error::Poisoned);
        };
        let transport = dialer.secure(&self.endpoint.host, stream).await?;
        self.connection.set_transport(transport);
        let deadline = self.connection.greeting_deadline();
        self.ask_capabilities(deadline).await
    }

    async fn ask_capabilities(&mut self, deadline: Deadline) -> Result<(), Error> {
        self.connection
            .run(Command::new("CAPABILITY"), deadline, |_| Ok(()))
            .await?;
        if self.connection.capabilities.is_empty() {
            return Err(ProtocolError::MissingData("CAPABILITY").into());
        }
        Ok(())
    }

    /// Logs in, reads the capabilities again, and tells the server who is talking where it wants to know (ID, RFC 2971).
    ///
    /// # Errors
    /// [`Error::Credentials`] when they were refused, [`Error::Login`] when the server says that it cannot just now,
    /// [`Error::Unsupported`] when there is no common way to log in. None shows a secret, even if the server repeats it.
    pub async fn login(self, credentials: &Credentials) -> Result<Session, Error> {
        let Self {
            mut connection,
            endpoint,
            preauth,
            permit,
        } = self;
        let wait = connection.timeouts.login;
        let deadline = Deadline::new(Phase::Login, wait, wait);
        if !preauth {
            let login = login::run(&mut connection, &endpoint, credentials, deadline).await;
            login::redact(login, &mut connection.pending, credentials)?;
        }
        drop(permit);
        if connection.capabilities.is_empty() {
            connection
                .run(Command::new("CAPABILITY"), deadline, |_| Ok(()))
                .await?;
        }
        if connection.capabilities.has("ID") {
            let id = Command::new("ID").word("(\"name\" \"postroom\")");
            match connection.run(id, deadline, |_| Ok(())).await {
                // A courtesy: a server that will not have it is no worse for it.
                Ok(_) | Err(Error::No { .. } | Error::Bad { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Session::new(connection))
    }
}
