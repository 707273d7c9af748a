//! `postroom serve` as a process of its own, which can be killed and started again on the same data.

use std::{
    fs::{self, OpenOptions},
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use postroom::config::Config;
use tokio::time::Instant;

use crate::support::{
    gateway::{Backend, config},
    postgres::Database,
};

/// The platform's key.
pub(crate) const ADMIN: &str = "the-admin-key-of-a-test-that-kills-it";
/// How long a start, a death or an end may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// What outlives a process: its database, its folder, its port, and how it is started.
pub(crate) struct Place {
    data: Arc<tempfile::TempDir>,
    database: Option<Arc<Database>>,
    port: u16,
    options: Vec<String>,
}

/// A process; killed when it is dropped.
pub(crate) struct Running {
    process: Child,
    lines: Receiver<String>,
    url: Option<String>,
    log: PathBuf,
}

impl Place {
    pub(crate) async fn new(backend: Backend) -> Self {
        postroom::mail::tls::install_provider();
        let (database, port) = match backend {
            // Another port at each start, and so another name of the node: nothing may depend on it.
            Backend::Sqlite => (None, 0),
            // The same port, by which the node is known again.
            Backend::Postgres => (Some(Arc::new(Database::create().await)), free_port()),
        };
        Self {
            data: Arc::new(tempfile::tempdir().unwrap()),
            database,
            port,
            options: Vec::new(),
        }
    }

    /// Another node of the same database and folder, on a port of its own, with further options of the command line.
    pub(crate) fn beside(&self, options: &[&str]) -> Self {
        Self {
            data: self.data.clone(),
            database: self.database.clone(),
            port: free_port(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
        }
    }

    /// Starts the process. `points` says where it dies by itself, in the words of the crate `fail`.
    pub(crate) fn start(&self, points: Option<&str>) -> Running {
        let path = self.data.path().join(format!("log-{}", self.port));
        let log = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_postroom"));
        command
            .args(["serve", "--egress-allow=127.0.0.0/8"])
            .args(["--rate-limit=1000000/min", "--tenant-rate-limit=1000000/min"])
            .arg(format!("--listen=127.0.0.1:{}", self.port))
            .arg(format!("--data-dir={}", self.data.path().display()))
            .args(&self.options)
            .current_dir(self.data.path())
            .env_clear()
            .env("POSTROOM_ADMIN_KEY", ADMIN)
            .envs(
                self.database
                    .iter()
                    .map(|database| ("DATABASE_URL", database.url())),
            )
            .envs(points.iter().map(|points| ("FAILPOINTS", points)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut process = command.spawn().unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                drop(sender.send(line));
            }
        });
        Running {
            process,
            lines,
            url: None,
            log: path,
        }
    }

    /// The settings of the process, to open in this one what it left behind.
    pub(crate) fn config(&self) -> Config {
        let url = self.database.as_ref().map(|database| database.url());
        config(
            self.data.path(),
            url.as_deref(),
            &[format!("--admin-key={ADMIN}")],
        )
    }
}

impl Running {
    /// Where it says that it listens.
    pub(crate) async fn url(&mut self) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let said = self.lines.try_iter().find_map(|line| {
                let url = line.strip_prefix("postroom listens on ")?;
                Some(url.to_owned())
            });
            self.url = self.url.take().or(said);
            if let Some(url) = &self.url {
                return url.clone();
            }
            assert!(
                self.process.try_wait().unwrap().is_none() && Instant::now() < deadline,
                "it does not listen:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The address that it listens on, which its name as a node ends in.
    pub(crate) async fn address(&mut self) -> String {
        let url = self.url().await;
        url.strip_prefix("http://").unwrap().to_owned()
    }

    /// Waits until it dies by itself, at a named point.
    pub(crate) async fn dies(mut self) {
        let status = self.ended().await;
        assert_eq!(
            status.signal(),
            Some(libc_abort()),
            "it was to die at a point:\n{}",
            self.log()
        );
    }

    /// Kills it at once, as `kill -9` does.
    pub(crate) fn kill(mut self) {
        let early = self.process.try_wait().unwrap();
        assert!(early.is_none(), "it ended by itself, {early:?}:\n{}", self.log());
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Sends a signal: `TERM`, say.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let asked = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(asked.unwrap().success());
    }

    /// Sends SIGTERM and waits for a good end.
    pub(crate) async fn stop(mut self) {
        self.signal("TERM");
        let status = self.ended().await;
        assert!(status.success(), "{status}:\n{}", self.log());
    }

    async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The end of what it logged.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// SIGABRT, by which a process dies at a named point.
const fn libc_abort() -> i32 {
    6
}

/// A port below those that the kernel hands out, so that it stays free between two starts.
fn free_port() -> u16 {
    let mut tries = std::iter::repeat_with(|| 10_000 + rand::random::<u16>() % 10_000);
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    tries.find(free).unwrap()
}

/// The points are not compiled into anything but the tests' build: see `dev-dependencies` in Cargo.toml.
#[test]
fn a_release_has_no_point_at_which_it_can_be_killed() {
    assert!(fail::has_failpoints(), "the tests need them");
    let tree = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--locked", "--offline", "--edges=no-dev", "--invert=fail"])
        .arg("--format={p} features:{f}")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&tree.stdout);
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let line = text.lines().next().unwrap();
    assert!(
        line.starts_with("fail ") && line.ends_with("features:"),
        "without the tests the crate has features: {line}"
    );
}
