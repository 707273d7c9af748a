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
}

impl Process {
    fn start(folder: &Path) -> Self {
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
        Self { child, url }
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
        let mut request = reqwest::Client::new()
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
        let is = |name: &str| rest.starts_with(name);
        let answer = match () {
            () if is("LOGIN") => "[CAPABILITY IMAP4rev1] welcome",
            () if is("LIST") && flood == Flood::Folders => {
                let mut number = 0_u64;
                return pour(&mut client, |text| {
                    number += 1;
                    *text += &format!("* LIST () \"/\" \"{number} {}\"\r\n", "folder ".repeat(10));
                });
            }
            () if is("LIST") => {
                client.write_all(b"* LIST () \"/\" INBOX\r\n")?;
                "listed"
            }
            () if is("EXAMINE") && flood == Flood::Untagged => {
                return pour(&mut client, |text| {
                    *text += &format!("* OK {}\r\n", "words ".repeat(200))
                });
            }
            () if is("EXAMINE") && flood == Flood::Line => {
                client.write_all(b"* OK ")?;
                return pour(&mut client, |text| *text += &"endless ".repeat(1_000));
            }
            () if is("EXAMINE") => {
                client.write_all(
                    b"* 4294967290 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 4294967295]\r\n",
                )?;
                "[READ-ONLY] open"
            }
            () if is("UID SEARCH") && flood == Flood::Found => {
                let mut uid = 1_u32;
                return pour(&mut client, |text| {
                    *text += "* SEARCH";
                    for _ in 0..10_000 {
                        uid = uid.wrapping_add(2);
                        *text += &format!(" {uid}");
                    }
                    *text += "\r\n";
                });
            }
            () if is("UID SEARCH") => {
                client.write_all(b"* SEARCH 4294967293\r\n")?;
                "found"
            }
            () if is("UID FETCH") && rest.contains("BODY.PEEK[]") && flood == Flood::Announced => {
                client.write_all(b"* 1 FETCH (UID 4294967293 BODY[] {4294967296}\r\n")?;
                return pour(&mut client, |text| *text += &"body ".repeat(1_000));
            }
            () if is("UID FETCH") && rest.contains("BODY.PEEK[]") => {
                client.write_all(b"* 1 FETCH (UID 4294967293 BODY[] {1000000000}\r\n")?;
                return pour(&mut client, |text| *text += &"body ".repeat(1_000));
            }
            () if is("UID FETCH") && flood == Flood::Rows => {
                let mut number = 0_u64;
                return pour(&mut client, |text| {
                    number += 1;
                    let flags = (0..250).map(|flag| format!("$keyword-{number}-{flag}"));
                    let flags: Vec<String> = flags.collect();
                    *text += &format!("* 1 FETCH (UID 4294967293 FLAGS ({}))\r\n", flags.join(" "));
                });
            }
            () if is("UID FETCH") => {
                client.write_all(b"* 1 FETCH (UID 4294967293 FLAGS () RFC822.SIZE 1000)\r\n")?;
                "fetched"
            }
            () => {
                client.write_all(format!("{tag} BAD no\r\n").as_bytes())?;
                continue;
            }
        };
        client.write_all(format!("{tag} OK {answer}\r\n").as_bytes())?;
    }
    Ok(())
}

/// Writes until enough is written, and hangs up.
fn pour(client: &mut TcpStream, mut more: impl FnMut(&mut String)) -> std::io::Result<()> {
    let mut poured = 0;
    let mut text = String::new();
    while poured < FLOOD {
        text.clear();
        while text.len() < CHUNK {
            more(&mut text);
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
