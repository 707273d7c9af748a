//! A Cyrus of the test's own: IMAP on a free loopback port, users and mail in a temporary folder.

use std::{
    collections::HashMap,
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use uuid::Uuid;

use super::dovecot::kill;

/// The longest that a start may take.
const DEADLINE: Duration = Duration::from_secs(20);

type Passwords = Arc<Mutex<HashMap<String, String>>>;

/// How Cyrus names folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// `Sent`, with `/` between the levels.
    Slashes,
    /// `INBOX.Sent`, with `.` between the levels.
    Dots,
}

/// A running Cyrus, which is killed with all its processes when this guard is dropped.
#[derive(Debug)]
pub(crate) struct Cyrus {
    // Before the folder, so that it is killed before its files go.
    master: Option<Master>,
    port: u16,
    passwords: Passwords,
    #[expect(dead_code, reason = "held: dropping it removes the folder")]
    folder: TempDir,
}

impl Cyrus {
    /// Starts a Cyrus without users.
    pub(crate) fn start(names: Names) -> Self {
        let folder = tempfile::Builder::new().prefix("cyrus-").tempdir().unwrap();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        // In `socket` its processes find each other for IDLE.
        for name in ["conf", "conf/socket", "spool", "run"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let root = fs::metadata(folder.path()).unwrap().uid() == 0;
        // As root, Cyrus becomes a user of lesser rights: that of Dovecot, which is there for the tests in any case.
        let (user, group) = if root {
            let owned = ["conf", "spool", "run"].map(|name| folder.path().join(name));
            run(Command::new("chown").args(["-R", "dovecot:dovecot"]).args(owned));
            ("dovecot".to_owned(), "dovecot".to_owned())
        } else {
            (
                run(Command::new("id").arg("-un")),
                run(Command::new("id").arg("-gn")),
            )
        };
        let passwords = Passwords::default();
        answer_for_saslauthd(&folder.path().join("mux"), passwords.clone());
        let mut last = String::new();
        // Another process can take a port between its choice and its use.
        for _ in 0..5 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            match try_start(folder.path(), port, names, (&user, &group)) {
                Ok(master) => {
                    let master = Some(master);
                    return Self {
                        master,
                        port,
                        passwords,
                        folder,
                    };
                }
                Err(error) => last = error,
            }
        }
        panic!("Cyrus did not start: {last}");
    }

    /// The plain port.
    pub(crate) fn imap_port(&self) -> u16 {
        self.port
    }

    /// Adds a user, with the password `NAME's password`; folders are made at the first login.
    pub(crate) fn user(&self, name: &str) {
        let password = format!("{name}'s password");
        self.passwords.lock().unwrap().insert(name.to_owned(), password);
    }
}

impl Drop for Cyrus {
    fn drop(&mut self) {
        drop(self.master.take());
    }
}

fn try_start(folder: &Path, port: u16, names: Names, (user, group): (&str, &str)) -> Result<Master, String> {
    let home = home();
    let (bin, port_text) = (home.join("bin"), port.to_string());
    let servername = format!("{}.test", Uuid::new_v4().simple());
    let (altnamespace, unixhierarchysep) = match names {
        Names::Slashes => ("yes", "yes"),
        Names::Dots => ("no", "no"),
    };
    let values: [(&str, &str); 8] = [
        ("$folder", folder.to_str().unwrap()),
        ("$bin", bin.to_str().unwrap()),
        ("$servername", &servername),
        ("$altnamespace", altnamespace),
        ("$unixhierarchysep", unixhierarchysep),
        ("$user", user.trim_end()),
        ("$group", group.trim_end()),
        ("$port", &port_text),
    ];
    for (name, template) in [
        ("imapd.conf", include_str!("imapd.conf")),
        ("cyrus.conf", include_str!("cyrus.conf")),
    ] {
        let fill = |text: String, (name, value): &(&str, &str)| text.replace(name, value);
        fs::write(folder.join(name), values.iter().fold(template.to_owned(), fill)).unwrap();
    }
    let said = folder.join("stderr");
    let mut command = Command::new(bin.join("master"));
    command
        .env("LD_LIBRARY_PATH", home.join("lib"))
        // Nothing here has to survive a power cut: a message takes a third of the time.
        .env("LD_PRELOAD", home.join("lib/libeatmydata.so"))
        .env("CYRUS_VERBOSE", "1")
        .arg("-C")
        .arg(folder.join("imapd.conf"))
        .arg("-M")
        .arg(folder.join("cyrus.conf"))
        // Where the script that runs the tests looks for those that a killed test left behind.
        .arg("-p")
        .arg(folder.join("run/master.pid"))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&said).unwrap());
    let mut master = Master(
        command
            .spawn()
            .map_err(|error| format!("{error}: run `make test`"))?,
    );
    let log = || fs::read_to_string(&said).unwrap_or_default();
    let started = Instant::now();
    while started.elapsed() < DEADLINE {
        if let Some(status) = master.0.try_wait().unwrap() {
            return Err(format!("{status}: {}", log()));
        }
        if greets_with(port, &servername) {
            return Ok(master);
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err(format!("no greeting in {DEADLINE:?}: {}", log()))
}

fn greets_with(port: u16, servername: &str) -> bool {
    let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
        return false;
    };
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).is_ok() && line.contains(servername)
}

/// Where `tests/setup.sh` put Cyrus; `tests/with-servers.sh` copies it to where another user can read it.
fn home() -> PathBuf {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tooling/cyrus");
    env::var_os("POSTROOM_TEST_CYRUS").map_or(unpacked, PathBuf::from)
}

/// Answers at this socket as saslauthd does: user, password, service and realm come, each after its length.
fn answer_for_saslauthd(socket: &Path, passwords: Passwords) {
    let listener = UnixListener::bind(socket).unwrap();
    fs::set_permissions(socket, PermissionsExt::from_mode(0o777)).unwrap();
    let part = |stream: &mut UnixStream| -> std::io::Result<String> {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut text = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    };
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let parts: Vec<String> = (0..4).map_while(|_| part(&mut stream).ok()).collect();
            let [user, password, _service, _realm] = parts.as_slice() else {
                continue;
            };
            let known = passwords.lock().unwrap().get(user) == Some(password);
            let _gone = stream.write_all(if known { b"\0\x02OK" } else { b"\0\x02NO" });
        }
    });
}

/// Cyrus's first process, whose id is that of the process group of all.
#[derive(Debug)]
struct Master(Child);

impl Drop for Master {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _none_left = kill("-KILL", &group).stderr(Stdio::null()).status();
        let _reaped_already = self.0.wait();
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
