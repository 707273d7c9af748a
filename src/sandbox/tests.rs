//! The server over TCP on the loopback, by raw lines.

mod changes;
mod labels;
mod limits;

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    task::JoinHandle,
};

use super::*;

const USER: &str = "avery@sandbox.example";
const HELLO: &[u8] =
    b"From: a@b.example\r\nSubject: Hello\r\n there\r\nMessage-ID: <1@b.example>\r\n\r\nHi.\r\n";

/// How long a test waits for a line before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_760_000_000, 0).unwrap()
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(Clock::from_fn(now));
    sandbox.add_account(Account {
        username: USER.to_owned(),
        password: "pässwörd".to_owned().into(),
    });
    sandbox
}

struct Server {
    sandbox: Sandbox,
    address: std::net::SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<io::Result<()>>,
}

impl Server {
    async fn start(tls: Option<rustls::ServerConfig>) -> Self {
        let sandbox = sandbox();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let served = TaskTracker::new().spawn(sandbox.clone().serve(listener, tls, stop.clone()));
        Self {
            sandbox,
            address,
            stop,
            served,
        }
    }

    async fn connect(&self) -> Client<TcpStream> {
        let mut client = Client::new(TcpStream::connect(self.address).await.unwrap());
        let greeting = client.line().await;
        assert!(greeting.starts_with("* OK [CAPABILITY IMAP4rev1 "), "{greeting}");
        client
    }

    /// A client that has logged in and selected INBOX.
    async fn in_inbox(&self) -> Client<TcpStream> {
        let mut client = self.connect().await;
        client.login().await;
        client.ok("SELECT INBOX").await;
        client
    }

    fn deliver(&self, raw: &[u8]) -> u32 {
        self.sandbox.append(USER, "INBOX", &[], now(), raw).unwrap()
    }
}

struct Client<S> {
    stream: BufReader<S>,
    tags: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    fn new(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
            tags: 0,
        }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(PATIENCE, self.stream.read_line(&mut line))
            .await
            .unwrap()
            .unwrap();
        line.trim_end_matches("\r\n").to_owned()
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.unwrap();
    }

    /// Sends a command and answers every line up to its tagged one.
    async fn run(&mut self, command: &str) -> Vec<String> {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.send(format!("{tag} {command}\r\n").as_bytes()).await;
        self.until(&tag).await
    }

    async fn until(&mut self, tag: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            assert!(!line.is_empty() || !lines.is_empty(), "the server closed");
            let last = line.starts_with(&format!("{tag} "));
            lines.push(line);
            if last {
                return lines;
            }
        }
    }

    /// Runs a command that must end in OK, and answers its untagged lines with the text of the tagged one last.
    async fn ok(&mut self, command: &str) -> Vec<String> {
        let mut lines = self.run(command).await;
        let last = lines.pop().unwrap();
        let Some((_, text)) = last.split_once(" OK ") else {
            panic!("{command}: {last}")
        };
        lines.push(text.to_owned());
        lines
    }

    /// Runs a command that must fail, and answers its tagged line without the tag.
    async fn refused(&mut self, command: &str) -> String {
        let last = self.run(command).await.pop().unwrap();
        let (_, status) = last.split_once(' ').unwrap();
        assert!(!status.starts_with("OK"), "{command}: {last}");
        status.to_owned()
    }

    async fn login(&mut self) {
        self.send("login LOGIN avery@sandbox.example {10+}\r\npässwörd\r\n".as_bytes())
            .await;
        let lines = self.until("login").await;
        assert!(lines[0].starts_with("login OK [CAPABILITY "), "{lines:?}");
    }

    /// Reads to the end of the connection.
    async fn rest(&mut self) -> String {
        let mut rest = String::new();
        timeout(PATIENCE, self.stream.read_to_string(&mut rest))
            .await
            .unwrap()
            .unwrap();
        rest
    }
}

#[tokio::test]
async fn logs_in_by_every_way() {
    let server = Server::start(None).await;
    let plain = "AHBvc3RtYXN0ZXIAeA==";
    let mut client = server.connect().await;
    assert!(client.refused("LIST \"\" *").await.starts_with("BAD"));
    assert!(
        client
            .refused("LOGIN avery@sandbox.example wrong")
            .await
            .starts_with("NO [AUTHENTICATIONFAILED]")
    );
    assert!(
        client
            .refused("LOGIN nobody wrong")
            .await
            .starts_with("NO [AUTHENTICATIONFAILED]")
    );
    let refused = client.refused(&format!("AUTHENTICATE PLAIN {plain}")).await;
    assert!(refused.starts_with("NO [AUTHENTICATIONFAILED]"), "{refused}");
    assert!(
        client
            .refused("AUTHENTICATE XOAUTH2 AAAA")
            .await
            .starts_with("NO")
    );
    client.send(b"a AUTHENTICATE PLAIN\r\n").await;
    assert_eq!(client.line().await, "+ ");
    client.send(b"*\r\n").await;
    assert!(client.line().await.starts_with("a BAD"));

    let right = BASE64_STANDARD.encode(format!("\0{USER}\0pässwörd"));
    client.send(b"b AUTHENTICATE PLAIN\r\n").await;
    assert_eq!(client.line().await, "+ ");
    client.send(format!("{right}\r\n").as_bytes()).await;
    assert!(client.line().await.starts_with("b OK"));
    assert!(client.refused("LOGIN a b").await.starts_with("BAD"));

    let mut client = server.connect().await;
    client.ok(&format!("AUTHENTICATE PLAIN {right}")).await;
    let mut client = server.connect().await;
    client.send(b"c LOGIN {21}\r\n").await;
    assert!(client.line().await.starts_with("+ "));
    client.send("avery@sandbox.example {10}\r\n".as_bytes()).await;
    assert!(client.line().await.starts_with("+ "));
    client.send("pässwörd\r\n".as_bytes()).await;
    assert!(client.line().await.starts_with("c OK"));
    assert_eq!(client.run("LOGOUT").await[0], "* BYE Goodbye");
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn answers_the_commands_of_any_state() {
    let server = Server::start(None).await;
    let mut client = server.connect().await;
    assert!(client.ok("CAPABILITY").await[0].contains(" UIDPLUS MOVE "));
    assert_eq!(
        client.ok("ID (\"name\" \"test\")").await[0],
        "* ID (\"name\" \"postroom sandbox\")"
    );
    client.ok("NOOP").await;
    client.login().await;
    assert_eq!(
        client.ok("ENABLE CONDSTORE QRESYNC").await[0],
        "* ENABLED CONDSTORE"
    );
    assert_eq!(
        client.ok("NAMESPACE").await[0],
        "* NAMESPACE ((\"\" \"/\")) NIL NIL"
    );
    assert!(client.refused("NONSENSE").await.starts_with("BAD"));
    assert!(client.refused("FETCH 1 FLAGS").await.starts_with("BAD"));
    client.send(b"\r\n").await;
    assert!(client.line().await.starts_with("* BAD"));
}

#[tokio::test]
async fn lists_folders_with_their_special_uses() {
    let server = Server::start(None).await;
    server.sandbox.create_folder(USER, "Projekte/Übersicht").unwrap();
    let mut client = server.connect().await;
    client.login().await;
    let lines = client.ok("LIST \"\" \"*\"").await;
    assert_eq!(lines.len(), 9, "{lines:?}");
    assert!(
        lines.contains(&r#"* LIST (\HasNoChildren \Sent) "/" Sent"#.to_owned()),
        "{lines:?}"
    );
    assert!(
        lines.contains(&r#"* LIST (\HasNoChildren) "/" INBOX"#.to_owned()),
        "{lines:?}"
    );
    assert!(
        lines.contains(&r#"* LIST (\HasChildren) "/" Projekte"#.to_owned()),
        "{lines:?}"
    );
    assert!(
        lines.contains(&r#"* LIST (\HasNoChildren) "/" Projekte/&ANw-bersicht"#.to_owned()),
        "{lines:?}"
    );
    assert_eq!(client.ok("LIST \"\" %").await.len(), 8);
    assert_eq!(client.ok("LIST Projekte/ %").await.len(), 2);
    assert_eq!(
        client.ok("LIST \"\" \"\"").await[0],
        r#"* LIST (\Noselect) "/" """#
    );
    client.ok("UNSUBSCRIBE Junk").await;
    assert_eq!(client.ok("LSUB \"\" *").await.len(), 8);
}

#[tokio::test]
async fn folders_are_created_renamed_and_deleted() {
    let server = Server::start(None).await;
    let mut client = server.connect().await;
    client.login().await;
    client.ok("CREATE a/b/c/").await;
    assert!(
        client
            .refused("CREATE a/b")
            .await
            .starts_with("NO [ALREADYEXISTS]")
    );
    assert!(
        client
            .refused("CREATE inbox")
            .await
            .starts_with("NO [ALREADYEXISTS]")
    );
    assert!(client.refused("CREATE \"a//b\"").await.starts_with("NO [CANNOT]"));
    assert!(client.refused("DELETE a/b").await.starts_with("NO [CANNOT]"));
    assert!(client.refused("RENAME a a/b/x").await.starts_with("NO [CANNOT]"));
    assert!(
        client
            .refused("RENAME a Sent")
            .await
            .starts_with("NO [ALREADYEXISTS]")
    );
    client.ok("RENAME a/b n/ew").await;
    let lines = client.ok("LIST \"\" n*").await;
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[2].ends_with("n/ew/c"), "{lines:?}");
    client.ok("DELETE n/ew/c").await;
    assert!(
        client
            .refused("SELECT n/ew/c")
            .await
            .starts_with("NO [NONEXISTENT]")
    );
    assert!(client.refused("DELETE INBOX").await.starts_with("NO"));
}

#[tokio::test]
async fn select_and_status_tell_the_counts() {
    let server = Server::start(None).await;
    server
        .sandbox
        .append(USER, "INBOX", &["\\Seen"], now(), HELLO)
        .unwrap();
    server.deliver(HELLO);
    let mut client = server.connect().await;
    client.login().await;
    let lines = client.ok("SELECT inbox (CONDSTORE)").await;
    assert!(lines.contains(&"* 2 EXISTS".to_owned()), "{lines:?}");
    assert!(
        lines.iter().any(|l| l.starts_with("* OK [UNSEEN 2]")),
        "{lines:?}"
    );
    assert!(
        lines
            .iter()
            .any(|l| l.starts_with("* OK [UIDVALIDITY 1760000000]")),
        "{lines:?}"
    );
    assert!(
        lines.iter().any(|l| l.starts_with("* OK [UIDNEXT 3]")),
        "{lines:?}"
    );
    assert!(
        lines.iter().any(|l| l.starts_with("* OK [HIGHESTMODSEQ 3]")),
        "{lines:?}"
    );
    assert!(lines.last().unwrap().starts_with("[READ-WRITE]"));
    assert!(
        client
            .ok("EXAMINE INBOX")
            .await
            .pop()
            .unwrap()
            .starts_with("[READ-ONLY]")
    );
    assert!(client.refused("STORE 1 FLAGS ()").await.starts_with("NO"));
    let status = client
        .ok("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)")
        .await;
    let expected = "* STATUS INBOX (MESSAGES 2 UIDNEXT 3 UIDVALIDITY 1760000000 UNSEEN 1 HIGHESTMODSEQ 3)";
    assert_eq!(status[0], expected);
    client.ok("UNSELECT").await;
    assert!(client.refused("FETCH 1 UID").await.starts_with("BAD"));
}

#[tokio::test]
async fn fetch_gives_headers_bodies_and_parts_of_them() {
    let server = Server::start(None).await;
    server.deliver(HELLO);
    let mut client = server.in_inbox().await;
    let lines = client
        .ok("UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE MODSEQ)")
        .await;
    let expected = format!(
        "* 1 FETCH (UID 1 FLAGS () INTERNALDATE \"09-Oct-2025 08:53:20 +0000\" RFC822.SIZE {} MODSEQ (2))",
        HELLO.len()
    );
    assert_eq!(lines[0], expected);
    let lines = client
        .ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (subject x-none)]")
        .await;
    assert_eq!(
        lines[..3],
        [
            "* 1 FETCH (BODY[HEADER.FIELDS (subject x-none)] {26}",
            "Subject: Hello",
            " there"
        ]
    );
    let lines = client.ok("FETCH 1 BODY.PEEK[TEXT]<1.2>").await;
    assert_eq!(lines[..2], ["* 1 FETCH (BODY[TEXT]<1> {2}", "i.)"]);
    let lines = client.ok("FETCH 1 BODY.PEEK[]<4000.2>").await;
    assert_eq!(lines[..2], ["* 1 FETCH (BODY[]<4000> {0}", ")"]);
    let lines = client.ok("FETCH 1 (UID BODY[])").await;
    assert_eq!(lines[0], format!("* 1 FETCH (UID 1 BODY[] {{{}}}", HELLO.len()));
    assert!(lines.contains(&" FLAGS (\\Seen))".to_owned()), "{lines:?}");
    assert_eq!(
        client.ok("UID FETCH 99:* FLAGS").await[0],
        "* 1 FETCH (UID 1 FLAGS (\\Seen))"
    );
    assert_eq!(client.ok("UID FETCH 7 FLAGS").await.len(), 1);
    assert!(client.refused("FETCH 1 ENVELOPE").await.starts_with("BAD"));
    assert!(client.refused("FETCH 1 BODY[1.MIME]").await.starts_with("BAD"));
}

#[tokio::test]
async fn speaks_tls_from_the_first_byte() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    assert!(tls::config(b"nothing", key.as_bytes()).is_err());
    assert!(tls::config(certificate.as_bytes(), b"nothing").is_err());
    let server = Server::start(Some(tls::config(certificate.as_bytes(), key.as_bytes()).unwrap())).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let mut client = Client::new(
        connector
            .connect("localhost".try_into().unwrap(), tcp)
            .await
            .unwrap(),
    );
    assert!(client.line().await.starts_with("* OK"));
    client.login().await;
    client.ok("SELECT INBOX").await;
}
