//! Floods against a gateway in a process of its own: its memory at the highest stays where it was.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::gateway::eventually;

/// How much each flood brings, where the client does not hang up before.
const FLOOD: usize = 256 << 20;
/// The most by which the process may grow: what one answer may hold by the client's limits, three times over.
const MOST: u64 = 96 << 20;
const ADMIN_KEY: &str = "pr_admin_0123456789abcdef0123456789abcdef";
const CHUNK: usize = 256 * 1024;

/// What a server floods its client with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flood {
    /// Untagged responses that mean nothing.
    Untagged,
    /// Folders without end, each of another name.
    Folders,
    /// A line without end.
    Line,
    /// A search answer of UIDs that do not touch.
    Found,
    /// Rows of messages, each with flags without end.
    Rows,
    /// A body of 4 GiB, announced.
    Announced,
    /// A body far above the largest that is kept, and sent.
    Sent,
}

const ALL: [(Flood, &str); 7] = [
    (Flood::Untagged, "connection_lost"),
    (Flood::Folders, "protocol_violation"),
    (Flood::Line, "protocol_violation"),
    (Flood::Found, "protocol_violation"),
    (Flood::Rows, "protocol_violation"),
    (Flood::Announced, "protocol_violation"),
    (Flood::Sent, "connection_lost"),
];

/// A gateway that is killed when it is dropped.
struct Process {
    child: Child,
    url: String,
    http: reqwest::Client,
}

impl Process {
    fn start(folder: &Path) -> Self {
        postroom::mail::tls::install_provider();
        let mut child = Command::new(env!("CARGO_BIN_EXE_postroom"))
            .args([
                "serve",
                "--listen=127.0.0.1:0",
                "--egress-allow=127.0.0.0/8",
                "--log=error",
            ])
            .current_dir(folder)
            .env_clear()
            .env("POSTROOM_ADMIN_KEY", ADMIN_KEY)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = |line: String| {
            line.split_once("postroom listens on ")
                .map(|(_, url)| url.to_owned())
        };
        let url = lines.map_while(Result::ok).find_map(said).unwrap();
        Self {
            child,
            url,
            http: reqwest::Client::new(),
        }
    }

    /// The highest resident memory so far, in bytes.
    fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    async fn call(&self, method: &str, key: &str, path: &str, body: Option<Value>) -> Value {
        let mut request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.url))
            .header("x-api-key", key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let json: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{method} {path}: {json:#}");
        json
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Serves one connection after another; answers the port.
fn serve(flood: Flood) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            // A client that has had enough is gone.
            let _ended = talk(client, flood);
        }
    });
    port
}

fn talk(mut client: TcpStream, flood: Flood) -> std::io::Result<()> {
    let mut lines = BufReader::new(client.try_clone()?).lines();
    client.write_all(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        let (tag, rest) = line.split_once(' ').unwrap_or((&line, ""));
        if flood.comes_at(rest) {
            return pour(&mut client, flood);
        }
        let (data, status) = match rest.split_once(' ').map_or(rest, |(name, _)| name) {
            "LOGIN" => ("", "OK [CAPABILITY IMAP4rev1] welcome"),
            "LIST" => ("* LIST () \"/\" INBOX\r\n", "OK listed"),
            "EXAMINE" => (
                "* 4294967290 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 4294967295]\r\n",
                "OK [READ-ONLY] open",
            ),
            "UID" if rest.starts_with("UID SEARCH") => ("* SEARCH 4294967293\r\n", "OK found"),
            "UID" => (
                "* 1 FETCH (UID 4294967293 FLAGS () RFC822.SIZE 1000)\r\n",
                "OK fetched",
            ),
            _ => ("", "BAD no"),
        };
        client.write_all(format!("{data}{tag} {status}\r\n").as_bytes())?;
    }
    Ok(())
}

impl Flood {
    /// True for the command at which it comes, without its tag.
    fn comes_at(self, command: &str) -> bool {
        match self {
            Self::Folders => command.starts_with("LIST "),
            Self::Untagged | Self::Line => command.starts_with("EXAMINE "),
            Self::Found => command.starts_with("UID SEARCH "),
            Self::Rows => command.starts_with("UID FETCH "),
            Self::Announced | Self::Sent => {
                command.starts_with("UID FETCH ") && command.contains("BODY.PEEK[]")
            }
        }
    }

    fn begins(self) -> &'static str {
        match self {
            Self::Line => "* OK ",
            Self::Announced => "* 1 FETCH (UID 4294967293 BODY[] {4294967296}\r\n",
            Self::Sent => "* 1 FETCH (UID 4294967293 BODY[] {1000000000}\r\n",
            Self::Untagged | Self::Folders | Self::Found | Self::Rows => "",
        }
    }

    /// The next piece of it.
    fn piece(self, number: usize) -> String {
        match self {
            Self::Untagged => format!("* OK {}\r\n", "words ".repeat(200)),
            Self::Folders => format!("* LIST () \"/\" \"{number} {}\"\r\n", "folder ".repeat(10)),
            Self::Line => "endless ".repeat(1_000),
            Self::Found => {
                let uids = (0..10_000).map(|one| 1 + 2 * (10_000 * number + one));
                let uids: Vec<String> = uids.map(|uid| uid.to_string()).collect();
                format!("* SEARCH {}\r\n", uids.join(" "))
            }
            Self::Rows => {
                let flags = (0..250).map(|flag| format!("$keyword-{number}-{flag}"));
                let flags: Vec<String> = flags.collect();
                format!("* 1 FETCH (UID 4294967293 FLAGS ({}))\r\n", flags.join(" "))
            }
            Self::Announced | Self::Sent => "body ".repeat(1_000),
        }
    }
}

/// Writes until enough is written, and hangs up.
fn pour(client: &mut TcpStream, flood: Flood) -> std::io::Result<()> {
    client.write_all(flood.begins().as_bytes())?;
    let (mut poured, mut number) = (0, 0);
    let mut text = String::new();
    while poured < FLOOD {
        text.clear();
        while text.len() < CHUNK {
            text += &flood.piece(number);
            number += 1;
        }
        client.write_all(text.as_bytes())?;
        poured += text.len();
    }
    client.shutdown(std::net::Shutdown::Write)?;
    // What the client still says is read, or its end would cut off what it has not read yet.
    let mut rest = Vec::new();
    client.read_to_end(&mut rest)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_11_memory_stays_flat_under_floods_endless_lines_and_huge_literals() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let made = process
        .call("POST", ADMIN_KEY, "/v1/tenants", Some(json!({"name": "Acme"})))
        .await;
    let key = made["api_key"]["key"].as_str().unwrap();
    let before = process.peak();
    let mut grown = Vec::new();
    for (flood, code) in ALL {
        let body = json!({
            "address": format!("{flood:?}@example.org").to_lowercase(),
            "imap": {"host": "127.0.0.1", "port": serve(flood), "security": "none", "username": "anna", "password": "secret"},
        });
        let mailbox = process.call("POST", key, "/v1/mailboxes", Some(body)).await;
        let path = format!("/v1/mailboxes/{}", mailbox["id"].as_str().unwrap());
        let mut last = Value::Null;
        let failed = eventually(async || {
            last = process.call("GET", key, &path, None).await;
            (last["state"] == "connect_error" && last["error"]["code"] == code).then_some(())
        });
        assert!(failed.await.is_some(), "{flood:?}: not {code} but {last:#}");
        // One at a time: what each may hold is bounded, and so is how many hold it by the number of mailboxes.
        process
            .call("PATCH", key, &path, Some(json!({"enabled": false})))
            .await;
        grown.push(format!("{flood:?} {} MiB", (process.peak() - before) >> 20));
    }
    eprintln!("{} MiB at first; then {}", before >> 20, grown.join(", "));
    assert!(
        process.peak() - before < MOST,
        "{} MiB at first; then {grown:?}",
        before >> 20
    );
}
