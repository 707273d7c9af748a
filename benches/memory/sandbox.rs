//! The mail server of the bench: the sandbox with an empty account and one with a large message, in a process of its own.

use std::{
    env,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use postroom::{
    model::clock::Clock,
    sandbox::{Account, Sandbox},
};
use tokio_util::sync::CancellationToken;

use crate::support::certificates::Certificates;

/// An account with empty folders.
pub(super) const EMPTY: &str = "empty@example.org";
/// An account with one message.
pub(super) const LARGE: &str = "large@example.org";
/// Its size, as a mailbox's limit allows it.
pub(super) const LARGE_BYTES: usize = 50_000_000;
pub(super) const PASSWORD: &str = "secret";
/// Names the folder of the certificates to the process that is to be the server.
const ROLE: &str = "POSTROOM_BENCH_SANDBOX";

/// The server's process; killed when it is dropped.
pub(super) struct Server {
    child: Child,
    port: u16,
    certificates: Certificates,
    #[expect(dead_code, reason = "held: dropping it removes the folder")]
    folder: tempfile::TempDir,
}

impl Server {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::write(folder.path(), &["localhost", "127.0.0.1"]);
        let mut child = Command::new(env::current_exe().unwrap())
            .env(ROLE, folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let told = child.stdout.take().unwrap();
        BufReader::new(told).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the server tells its port");
        Self {
            child,
            port,
            certificates,
            folder,
        }
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// The authority that its certificate is of.
    pub(super) fn ca(&self) -> &Path {
        &self.certificates.ca
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until it is killed, where this process was started to be the server.
pub(crate) fn serve_if_asked() {
    let Some(folder) = env::var_os(ROLE).map(PathBuf::from) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let config = Certificates::in_folder(&folder).server_config();
        let sandbox = Sandbox::with_connections(Clock::system(), 10_000);
        for username in [EMPTY, LARGE] {
            sandbox.add_account(Account {
                username: username.to_owned(),
                password: PASSWORD.to_owned().into(),
            });
        }
        let now = Clock::system().now();
        sandbox.append(LARGE, "INBOX", &[], now, &large()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        sandbox
            .serve(listener, Some(config), CancellationToken::new())
            .await
            .unwrap();
    });
}

/// A text and an attachment in base64.
fn large() -> Vec<u8> {
    let mut raw = String::from(
        "From: a@example.org\r\nTo: large@example.org\r\nSubject: Large\r\nMessage-ID: <large@example.org>\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee the file.\r\n--b\r\n\
         Content-Type: application/octet-stream; name=large.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n",
    );
    let line = format!("{}\r\n", "QmVuY2g3".repeat(9));
    raw.push_str(&line.repeat((LARGE_BYTES - raw.len()) / line.len()));
    raw.push_str("--b--\r\n");
    raw.into_bytes()
}

/// A port of the loopback that nobody listens on now.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
