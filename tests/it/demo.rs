//! The program itself, run as a new user runs it: the demo, what it prints, how it ends, and the other commands.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::certificates::Certificates;

/// How long a start, an answer or an end may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// The program with the arguments, in a folder, and with none of the runner's settings.
fn postroom(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postroom"));
    command.args(arguments).current_dir(folder).env_clear();
    command
}

/// Runs a command that ends by itself.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    postroom(folder, arguments).output().unwrap()
}

/// What a command prints that ends well.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", error(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The one sentence with which a command fails.
fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", error(output));
    let error = error(output);
    assert_eq!(error.lines().count(), 1, "one sentence: {error}");
    error
}

fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A program that runs until it is told to stop; killed when it is dropped.
struct Running {
    child: Child,
    lines: Receiver<String>,
    log: Option<JoinHandle<String>>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                drop(sender.send(line));
            }
        });
        let mut log = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            drop(log.read_to_string(&mut text));
            text
        });
        Self {
            child,
            lines,
            log: Some(log),
        }
    }

    /// What it prints until a line that has `last` in it.
    fn until(&mut self, last: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        let mut text = String::new();
        while !text.lines().next_back().is_some_and(|line| line.contains(last)) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => text.extend([&line, "\n"]),
                Err(why) => {
                    drop(self.child.kill());
                    let log = self.log.take().unwrap().join().unwrap();
                    let how = if why == RecvTimeoutError::Timeout {
                        "in time"
                    } else {
                        "before its end"
                    };
                    panic!("it did not print `{last}` {how}, but:\n{text}\n{log}");
                }
            }
        }
        text
    }

    /// Where `postroom serve` says that it listens.
    fn url(&mut self) -> String {
        let text = self.until("postroom listens on ");
        text.split_whitespace().next_back().unwrap().to_owned()
    }

    /// Sends SIGTERM and waits for the end.
    fn stop(mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it did not end after SIGTERM");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What the demo's greeting says.
#[derive(Debug, PartialEq, Eq)]
struct Greeting {
    url: String,
    tenant_key: String,
    admin_key: String,
    curls: Vec<String>,
}

impl Greeting {
    fn read(text: &str) -> Self {
        let after = |label: &str| {
            let mut lines = text.lines().map(str::trim);
            let line = lines.find_map(|line| line.strip_prefix(label));
            line.unwrap_or_else(|| panic!("no `{label}` in:\n{text}"))
                .trim()
                .to_owned()
        };
        let curls = text
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("curl "));
        Self {
            url: after("Swagger UI"),
            tenant_key: after("tenant key"),
            admin_key: after("admin key"),
            curls: curls.map(str::to_owned).collect(),
        }
    }
}

/// A folder to work in, whose curl tells the status after the answer.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let settings = "silent\nshow-error\nmax-time = 60\nwrite-out = \"\\n%{http_code}\"\n";
    fs::write(folder.path().join(".curlrc"), settings).unwrap();
    folder
}

/// Pastes a line into a shell; answers what it prints and the status of its answer.
fn paste(folder: &Path, line: &str) -> (String, String) {
    let output = Command::new("bash")
        .args(["-c", line])
        .env("HOME", folder)
        .env("CURL_HOME", folder)
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let (body, status) = text
        .rsplit_once('\n')
        .unwrap_or_else(|| panic!("{line}: {}", error(&output)));
    (status.to_owned(), body.to_owned())
}

fn demo(folder: &Path) -> (Running, Greeting) {
    let mut demo = Running::start(postroom(folder, &["demo", "--listen=127.0.0.1:0"]));
    let greeting = Greeting::read(&demo.until("Ctrl-C stops it"));
    (demo, greeting)
}

fn check_curls(folder: &Path, greeting: &Greeting) {
    assert_eq!(greeting.curls.len(), 3);
    for line in &greeting.curls {
        let (status, body) = paste(folder, line);
        assert_eq!(status, "200", "{line}: {body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        let data = answer["data"].as_array().unwrap();
        assert!(!data.is_empty(), "{line} answers nothing");
    }
}

#[test]
fn the_demo_says_what_works_at_once_and_ends_when_told() {
    let folder = folder();
    let (first, greeting) = demo(folder.path());
    check_curls(folder.path(), &greeting);
    let (status, page) = paste(folder.path(), &format!("curl -L {}", greeting.url));
    assert!(status == "200" && page.contains("swagger-ui"), "{status} {page}");
    let base = greeting.url.trim_end_matches("/docs");
    let tenants = format!("curl -H 'x-api-key: {}' {base}/v1/tenants", greeting.admin_key);
    let (status, tenants) = paste(folder.path(), &tenants);
    assert!(
        status == "200" && tenants.contains("\"Demo\""),
        "{status} {tenants}"
    );

    for file in ["secret.key", "admin.key", "demo-tenant.key"] {
        let mode = fs::metadata(folder.path().join("data").join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }

    let second = refusal(&run(folder.path(), &["demo", "--listen=127.0.0.1:0"]));
    assert!(
        second.contains("another process has ./data/postroom.db open"),
        "{second}"
    );

    let status = first.stop();
    assert_eq!(status.code(), Some(0), "{status}");

    let (again, second) = demo(folder.path());
    assert_eq!(second.tenant_key, greeting.tenant_key);
    assert_eq!(second.admin_key, greeting.admin_key);
    check_curls(folder.path(), &second);
    assert_eq!(again.stop().code(), Some(0));
}

#[test]
fn a_setting_that_cannot_be_used_stops_the_start_with_a_sentence_that_names_it() {
    let folder = folder();
    let path = folder.path();
    let option = refusal(&run(path, &["serve", "--listen=here"]));
    assert_eq!(
        option,
        "postroom: POSTROOM_LISTEN is `here`: write an address and a port such as 127.0.0.1:8080.\n"
    );
    let variable = postroom(path, &["demo"])
        .env("POSTROOM_RATE_LIMIT", "fast")
        .output()
        .unwrap();
    assert!(refusal(&variable).starts_with("postroom: POSTROOM_RATE_LIMIT is `fast`: write "));
    let filter = refusal(&run(path, &["doctor", "--log=postroom=loudly"]));
    assert!(
        filter.starts_with("postroom: POSTROOM_LOG is not a filter"),
        "{filter}"
    );

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("--listen={}", taken.local_addr().unwrap());
    assert!(refusal(&run(path, &["serve", &listen])).starts_with("postroom: POSTROOM_LISTEN is 127.0.0.1:"));

    fs::write(path.join(".env"), "POSTROOM_MAX_MESSAGE=huge\n").unwrap();
    let file = refusal(&run(path, &["migrate"]));
    assert!(
        file.starts_with("postroom: POSTROOM_MAX_MESSAGE is `huge`: write "),
        "{file}"
    );
    assert!(
        !path.join("data").exists(),
        "nothing is made when a setting is wrong"
    );
    // What needs no settings is not stopped by them.
    assert!(said(path, &["openapi"]).starts_with("openapi: 3.1"));
}

#[test]
fn a_variable_that_is_set_to_nothing_is_as_if_it_were_not_set() {
    let folder = folder();
    let mut command = postroom(folder.path(), &["migrate"]);
    let variables = [
        "DATABASE_URL",
        "POSTROOM_BLOB_URL",
        "POSTROOM_SECRET_KEY",
        "POSTROOM_ADMIN_KEY",
        "POSTROOM_PUBLIC_URL",
        "POSTROOM_EGRESS_ALLOW",
        "POSTROOM_CA_FILE",
        "POSTROOM_TRUSTED_PROXIES",
    ];
    let output = command
        .envs(variables.map(|variable| (variable, "")))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", error(&output));
}

#[test]
fn the_commands_prepare_what_serve_then_serves() {
    let folder = folder();
    let path = folder.path();
    let doctor = run(path, &["doctor"]);
    assert_eq!(doctor.status.code(), Some(1));
    let found = String::from_utf8(doctor.stdout).unwrap();
    assert!(
        found.contains("wrong database: SQLite in ./data/postroom.db: there is none yet"),
        "{found}"
    );

    let migrated = run(path, &["migrate"]);
    assert_eq!(
        String::from_utf8(migrated.stdout.clone()).unwrap(),
        "The schema is up to date.\n"
    );
    let admin_key = fs::read_to_string(path.join("data/admin.key")).unwrap();
    assert!(
        error(&migrated).contains(&admin_key),
        "the first start shows the admin key"
    );
    let doctor = said(path, &["doctor"]);
    assert!(
        doctor.lines().count() >= 4 && doctor.lines().all(|line| line.starts_with("ok ")),
        "{doctor}"
    );

    let tenant = said(path, &["tenants", "create", "Acme"]);
    let word = |text: &str, label: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(label));
        line.unwrap_or_else(|| panic!("no {label} in {text}"))
            .trim()
            .to_owned()
    };
    let (id, first) = (word(&tenant, "tenant"), word(&tenant, "key"));
    let second = word(&said(path, &["keys", "create", "--tenant", &id]), "key");
    let unknown = [
        "keys",
        "create",
        "--tenant",
        "01890000-0000-7000-8000-000000000000",
    ];
    assert!(
        refusal(&run(path, &unknown)).contains("tenant"),
        "an unknown tenant is named"
    );

    let mut serve = postroom(path, &["serve", "--listen=127.0.0.1:0", "--log-format=json"]);
    serve.env("POSTROOM_LOG", "postroom=info");
    let mut serve = Running::start(serve);
    let url = serve.url();
    for key in [&first, &second] {
        let whoami = format!("curl -H 'Authorization: Bearer {key}' {url}/v1/whoami");
        let (status, body) = paste(path, &whoami);
        assert!(status == "200" && body.contains(&id), "{status} {body}");
    }
    assert_eq!(serve.stop().code(), Some(0));
}

#[test]
fn the_first_start_shows_the_admin_key_once_with_a_line_that_works() {
    let folder = folder();
    let path = folder.path();
    let mut first = Running::start(postroom(path, &["serve", "--listen=127.0.0.1:0"]));
    let text = first.until("Swagger UI");
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("curl "))
        .unwrap();
    let (status, body) = paste(path, line);
    assert_eq!(status, "201", "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["tenant"]["name"], "Acme");
    assert_eq!(first.stop().code(), Some(0));

    let mut second = Running::start(postroom(path, &["serve", "--listen=127.0.0.1:0", "--role=api"]));
    let text = second.until("listens on");
    assert!(!text.contains("admin key"), "{text}");
    assert_eq!(second.stop().code(), Some(0));
}

#[test]
fn openapi_prints_the_committed_documents() {
    let folder = folder();
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi");
    for (file, arguments) in [
        ("postroom.yaml", &["openapi"][..]),
        ("postroom.yaml", &["openapi", "unified"]),
        ("plannr.yaml", &["openapi", "plannr"]),
        ("feather.yaml", &["openapi", "feather"]),
    ] {
        let committed = fs::read_to_string(documents.join(file)).unwrap();
        assert!(
            said(folder.path(), arguments) == committed,
            "{arguments:?} is not {file}"
        );
    }
}

#[test]
fn the_sandbox_listens_alone_with_and_without_tls() {
    let folder = folder();
    let address = |text: &str| {
        let words = text.split_once("listens on ").unwrap().1;
        words.split_whitespace().next().unwrap().to_owned()
    };
    let mut plain = Running::start(postroom(folder.path(), &["sandbox", "--listen", "127.0.0.1:0"]));
    let text = plain.until("POSTROOM_EGRESS_ALLOW=127.0.0.1");
    assert!(text.contains("security: none"), "{text}");
    let server = TcpStream::connect(address(&text)).unwrap();
    server.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut greeting = String::new();
    BufReader::new(server).read_line(&mut greeting).unwrap();
    assert!(greeting.starts_with("* OK "), "{greeting}");
    assert_eq!(plain.stop().code(), Some(0));

    let made = Certificates::write(folder.path(), &["127.0.0.1"]);
    let both = folder.path().join("both.pem");
    let pem = [made.certificate, made.key].map(|path| fs::read_to_string(path).unwrap());
    fs::write(&both, pem.concat()).unwrap();
    let arguments = [
        "sandbox",
        "--listen",
        "127.0.0.1:0",
        "--tls-cert",
        both.to_str().unwrap(),
    ];
    let mut secured = Running::start(postroom(folder.path(), &arguments));
    let text = secured.until("POSTROOM_EGRESS_ALLOW=127.0.0.1");
    assert!(text.contains("security: tls"), "{text}");
    let mut server = TcpStream::connect(address(&text)).unwrap();
    server.set_read_timeout(Some(DEADLINE)).unwrap();
    server.write_all(b"a CAPABILITY\r\n\r\n").unwrap();
    let mut first = [0];
    server.read_exact(&mut first).unwrap();
    assert_eq!(
        first,
        [21],
        "a TLS alert (RFC 8446, 5.1), for this is no handshake"
    );
    assert_eq!(secured.stop().code(), Some(0));
}
