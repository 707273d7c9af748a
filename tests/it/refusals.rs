//! What a server says at the login: refused credentials stop the dialling, and a fault that passes never counts as one.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use postroom::model::mailbox::Security;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;

use crate::support::gateway::{Backend, Gateway, Login, Tenant, both, eventually};

mod on {
    use super::both;
    both!(promise_6_bad_credentials_stop_after_two_tries_and_a_passing_fault_is_never_taken_for_them);
}

/// How often a faulty server is dialled before it is believed to be dialled for good.
const DIALS: usize = 3;

/// What a server does with a login.
#[derive(Debug, Clone, Copy)]
enum Said {
    /// The tagged answer.
    Answer(&'static str),
    /// An untagged line, and the end of the connection.
    Last(&'static str),
    /// The end of the connection.
    Nothing,
    /// A line that is not IMAP, and the end of the connection.
    Garbage,
}

/// What says nothing about credentials.
const PASSING: [Said; 13] = [
    Said::Answer("NO [UNAVAILABLE] The directory does not answer."),
    Said::Answer("NO [INUSE] Another one is at it."),
    Said::Answer("NO [LIMIT] Too many connections."),
    Said::Answer("NO [SERVERBUG] Oops."),
    Said::Answer("NO [THROTTLED] Not so fast."),
    Said::Answer("NO [CONTACTADMIN] Call us."),
    Said::Answer("NO [PRIVACYREQUIRED] TLS first."),
    Said::Answer("NO Temporary authentication failure."),
    Said::Answer("BAD What is that?"),
    Said::Last("* BYE [UNAVAILABLE] Restarting."),
    Said::Last("* BYE Too many connections from your address."),
    Said::Nothing,
    Said::Garbage,
];

const REFUSED: [Said; 3] = [
    Said::Answer("NO [AUTHENTICATIONFAILED] Invalid credentials."),
    Said::Answer("NO LOGIN failed."),
    Said::Last("* BYE [AUTHENTICATIONFAILED] Invalid credentials."),
];

/// A server that says the next of its answers to each login, and the last one from then on.
struct Server {
    port: u16,
    dials: Arc<AtomicUsize>,
}

impl Server {
    async fn saying(answers: Vec<Said>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let dials = Arc::new(AtomicUsize::new(0));
        let counted = dials.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = counted.fetch_add(1, Ordering::SeqCst);
                let said = answers.get(number).or(answers.last()).copied().unwrap();
                // A client that goes away is none of this server's business.
                tokio::spawn(async move { serve(stream, said).await.ok() });
            }
        });
        Self { port, dials }
    }

    fn dials(&self) -> usize {
        self.dials.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, said: Said) -> std::io::Result<()> {
    let (reader, mut writer) = stream.split();
    writer.write_all(b"* OK ready\r\n").await?;
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        let (tag, command) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match command.split(' ').next().unwrap_or_default() {
            "CAPABILITY" => format!("* CAPABILITY IMAP4rev1\r\n{tag} OK done\r\n"),
            "LOGIN" => match said {
                Said::Answer(answer) => format!("{tag} {answer}\r\n"),
                Said::Last(line) => {
                    writer.write_all(format!("{line}\r\n").as_bytes()).await?;
                    return Ok(());
                }
                Said::Nothing => return Ok(()),
                Said::Garbage => {
                    writer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
                    return Ok(());
                }
            },
            "LOGOUT" => {
                let bye = format!("* BYE\r\n{tag} OK done\r\n");
                writer.write_all(bye.as_bytes()).await?;
                return Ok(());
            }
            other => panic!("{other} is not asked before a login"),
        };
        writer.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// A mailbox at a server of its own.
struct Case {
    said: String,
    server: Server,
    mailbox: Uuid,
}

async fn connect(gateway: &Gateway, tenant: &Tenant, number: usize, answers: Vec<Said>) -> Case {
    let said = format!("{answers:?}");
    let server = Server::saying(answers).await;
    let login = Login {
        address: &format!("m{number}@example.org"),
        host: "127.0.0.1",
        port: server.port,
        security: Security::None,
        username: "anna",
        password: "secret",
    };
    let mailbox = gateway.connect(tenant, login).await.id;
    Case {
        said,
        server,
        mailbox,
    }
}

async fn promise_6_bad_credentials_stop_after_two_tries_and_a_passing_fault_is_never_taken_for_them(
    backend: Backend,
) {
    let gateway = Gateway::start(backend).await;
    let tenant = gateway.tenant("Acme").await;
    let (mut passing, mut refused) = (Vec::new(), Vec::new());
    for said in PASSING {
        passing.push(connect(&gateway, &tenant, passing.len(), vec![said]).await);
    }
    // A fault between two refusals: they are not two in a row.
    let between = vec![REFUSED[0], Said::Nothing, REFUSED[0], Said::Nothing];
    passing.push(connect(&gateway, &tenant, passing.len(), between).await);
    for said in REFUSED {
        refused.push(connect(&gateway, &tenant, passing.len() + refused.len(), vec![said]).await);
    }
    let state = async |case: &Case| {
        let path = format!("/v1/mailboxes/{}", case.mailbox);
        gateway.get(&tenant.key, &path).await
    };

    let mut waiting: Vec<&Case> = passing.iter().collect();
    let dialled = eventually(async || {
        for case in &passing {
            let mailbox = state(case).await;
            assert_ne!(
                mailbox["state"], "authentication_error",
                "{}: {mailbox:#}",
                case.said
            );
        }
        waiting.retain(|case| case.server.dials() < DIALS);
        waiting.is_empty().then_some(())
    });
    let dialled = dialled.await.is_some();
    let left: Vec<&str> = waiting.iter().map(|case| case.said.as_str()).collect();
    assert!(dialled, "not dialled again: {left:?}");
    for case in &refused {
        let halted = eventually(async || {
            let mailbox = state(case).await;
            (mailbox["state"] == "authentication_error").then_some(mailbox)
        });
        let mailbox = halted
            .await
            .unwrap_or_else(|| panic!("{} is no refusal", case.said));
        assert_eq!(mailbox["error"]["code"], "credentials_refused", "{}", case.said);
        assert_eq!(case.server.dials(), 2, "{}", case.said);
    }
    gateway.stop().await;
    for case in &refused {
        assert_eq!(case.server.dials(), 2, "{}", case.said);
    }
}
