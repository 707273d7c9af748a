//! A scripted server: one closure that plays the server's part of one connection on a thread of its own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::mail::{
    egress::Guard,
    imap::{Client, Credentials, Dialer, Endpoint, Error, Security, Session, Timeouts},
    tls,
};

/// The longest that a script waits for its client.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// The server's side of a connection.
pub(super) struct Peer {
    stream: BufReader<Box<dyn Stream>>,
    tag: String,
    later: Vec<u8>,
}

impl Peer {
    fn new(stream: Box<dyn Stream>) -> Self {
        Self {
            stream: BufReader::new(stream),
            tag: String::new(),
            later: Vec::new(),
        }
    }

    pub(super) fn say(&mut self, text: impl AsRef<[u8]>) {
        self.later.extend_from_slice(text.as_ref());
        let said = std::mem::take(&mut self.later);
        // A client that has heard enough may be gone.
        let _gone = self.stream.get_mut().write_all(&said);
        let _gone = self.stream.get_mut().flush();
    }

    /// Says it together with what comes next, or when there is enough of it.
    pub(super) fn say_later(&mut self, text: &str) {
        self.later.extend_from_slice(text.as_bytes());
        if self.later.len() > 64 * 1024 {
            self.say("");
        }
    }

    /// The next line, without its end; empty when the client is gone.
    pub(super) fn line(&mut self) -> String {
        let mut line = String::new();
        let _gone = self.stream.read_line(&mut line);
        line.trim_end().to_owned()
    }

    /// The next line, which must be this command after its tag; answers what follows its name.
    pub(super) fn expect(&mut self, command: &str) -> String {
        let line = self.line();
        let (tag, rest) = line.split_once(' ').unwrap_or((&line, ""));
        tag.clone_into(&mut self.tag);
        let rest = rest
            .strip_prefix(command)
            .unwrap_or_else(|| panic!("{line:?} instead of {command}"));
        rest.trim_start().to_owned()
    }

    /// The tagged answer to the command that was expected last.
    pub(super) fn answer(&mut self, text: &str) {
        let line = format!("{} {text}\r\n", self.tag);
        self.say(line);
    }

    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Greets, lets anybody in with LOGIN, and offers these capabilities.
    pub(super) fn let_in(&mut self, capabilities: &str) {
        self.say("* OK [CAPABILITY IMAP4rev1] ready\r\n");
        self.expect("LOGIN");
        self.answer(&format!("OK [CAPABILITY IMAP4rev1 {capabilities}] welcome"));
    }

    /// Stays until the client goes.
    pub(super) fn stay(&mut self) {
        let mut rest = Vec::new();
        let _gone = self.stream.read_to_end(&mut rest);
    }
}

/// A scripted server for one connection.
pub(super) struct Server {
    address: SocketAddr,
    thread: JoinHandle<()>,
    roots: RootCertStore,
}

impl Server {
    pub(super) fn start(script: impl FnOnce(&mut Peer) + Send + 'static) -> Self {
        Self::accept(RootCertStore::empty(), move |stream| {
            script(&mut Peer::new(Box::new(stream)));
        })
    }

    /// One that starts TLS between two scripts, with a certificate for this name.
    pub(super) fn start_tls(
        name: &str,
        plain: impl FnOnce(&mut Peer) + Send + 'static,
        secured: impl FnOnce(&mut Peer) + Send + 'static,
    ) -> Self {
        let certified = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certified.cert.der().clone()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certified.cert.der().clone()],
                rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap(),
            )
            .unwrap();
        Self::accept(roots, move |stream| {
            plain(&mut Peer::new(Box::new(stream.try_clone().unwrap())));
            let connection = ServerConnection::new(Arc::new(config)).unwrap();
            secured(&mut Peer::new(Box::new(StreamOwned::new(connection, stream))));
        })
    }

    fn accept(roots: RootCertStore, script: impl FnOnce(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            script(stream);
        });
        Self {
            address,
            thread,
            roots,
        }
    }

    pub(super) fn endpoint(&self, security: Security) -> Endpoint {
        Endpoint {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            security,
        }
    }

    pub(super) fn dialer(&self) -> Dialer {
        self.dialer_with(self.roots.clone())
    }

    pub(super) fn dialer_without_roots(&self) -> Dialer {
        self.dialer_with(RootCertStore::empty())
    }

    fn dialer_with(&self, roots: RootCertStore) -> Dialer {
        let guard = Guard::default().with_addresses([self.address]);
        Dialer::new(guard, tls::with_roots(roots).unwrap())
    }

    pub(super) async fn connect(&self, security: Security) -> Result<Client, Error> {
        Client::connect(&self.dialer(), &self.endpoint(security)).await
    }

    pub(super) async fn login(&self, credentials: &Credentials) -> Result<Session, Error> {
        self.connect(Security::None).await?.login(credentials).await
    }

    pub(super) async fn session(&self) -> Session {
        self.login(&password("secret")).await.unwrap()
    }

    /// A session whose waits are over after a moment.
    pub(super) async fn impatient_session(&self) -> Session {
        let moment = Duration::from_millis(50);
        let timeouts = Timeouts {
            silence: moment,
            done: moment,
            ..Timeouts::default()
        };
        let dialer = self.dialer().with_timeouts(timeouts);
        let client = Client::connect(&dialer, &self.endpoint(Security::None))
            .await
            .unwrap();
        client.login(&password("secret")).await.unwrap()
    }

    /// Waits for the script's end; call it when the client is gone.
    pub(super) fn finish(self) {
        self.thread.join().unwrap();
    }
}

pub(super) fn password(secret: &str) -> Credentials {
    Credentials::Password {
        username: "anna".to_owned(),
        password: secret.into(),
    }
}

pub(super) fn token() -> Credentials {
    Credentials::OAuth {
        username: "anna@example.com".to_owned(),
        access_token: "t0ken".into(),
    }
}
