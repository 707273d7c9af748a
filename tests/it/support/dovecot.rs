//! A Dovecot of the test's own: IMAP, STARTTLS and IMAPS on free loopback ports, users and mail in a temporary folder.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use uuid::Uuid;

use super::certificates::Certificates;

/// The longest that a start or a stop may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// A command that met a deadlock between Dovecot's own locks is run so many times more.
const AGAIN: usize = 5;

/// A running Dovecot, which is killed with all its processes when this guard is dropped.
///
/// Its calls block the thread for some hundredths of a second.
#[derive(Debug)]
pub(crate) struct Dovecot {
    // Before the folder, so that it is killed before its files go.
    master: Option<Master>,
    ports: (u16, u16),
    settings: String,
    certificates: Certificates,
    folder: TempDir,
}

/// What a user logs in with.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: String,
}

impl Dovecot {
    /// The name that the certificate is for.
    pub(crate) const HOST: &str = "localhost";

    /// Starts a Dovecot without users.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// Starts a Dovecot without users that takes access tokens by this SASL mechanism, and asks there whether one is valid.
    pub(crate) fn start_with_tokens(mechanism: &str, introspection_url: &str) -> Self {
        let (conf, rest) = if is_old() {
            (
                include_str!("dovecot-2.3-oauth2.conf"),
                include_str!("dovecot-2.3-oauth2.conf.ext"),
            )
        } else {
            (include_str!("dovecot-2.4-oauth2.conf"), "")
        };
        let fill = |text: &str| {
            text.replace("$mechanism", mechanism)
                .replace("$introspection_url", introspection_url)
        };
        Self::start_from(&fill(conf), Some(("oauth2.conf.ext", &fill(rest))))
    }

    /// Starts a Dovecot without users, with these lines after the others of its configuration: a later setting wins.
    pub(crate) fn start_with(settings: &str) -> Self {
        Self::start_from(settings, None)
    }

    fn start_from(settings: &str, file: Option<(&str, &str)>) -> Self {
        let folder = tempfile::Builder::new().prefix("dovecot-").tempdir().unwrap();
        for name in ["run", "mail", "users"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        // As root, Dovecot's processes and the mail belong to users of lesser rights.
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        if is_root(folder.path()) {
            succeed(
                Command::new("chown")
                    .arg("dovecot:")
                    .arg(folder.path().join("mail")),
            );
        }
        if let Some((name, text)) = file {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let certificates = Certificates::write(folder.path(), &[Self::HOST, "127.0.0.1"]);
        let mut started = Self {
            master: None,
            ports: (0, 0),
            settings: settings.to_owned(),
            certificates,
            folder,
        };
        // Another process can take a port between its choice and its use.
        let failed = (0..5).map_while(|_| {
            started.ports = free_ports();
            started.try_start().err()
        });
        let last = failed.last();
        assert!(
            started.master.is_some(),
            "Dovecot did not start: {}",
            last.unwrap_or_default()
        );
        started
    }

    /// The plain port, which offers STARTTLS.
    pub(crate) fn imap_port(&self) -> u16 {
        self.ports.0
    }

    /// The port that is TLS from the first byte.
    pub(crate) fn imaps_port(&self) -> u16 {
        self.ports.1
    }

    /// The authority to trust: its certificate is for `localhost` and `127.0.0.1`.
    pub(crate) fn ca_pem(&self) -> &Path {
        &self.certificates.ca
    }

    /// Where the home folders of the users lie, each under the user's name.
    pub(crate) fn mail_folder(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    /// Adds a user, or sets the password of one that is there; the password is `NAME's password`.
    pub(crate) fn user(&self, name: &str) -> Credentials {
        self.set_password(name, &format!("{name}'s password"))
    }

    /// Adds a user, or sets the password of one that is there; the old one is refused when this returns.
    pub(crate) fn set_password(&self, name: &str, password: &str) -> Credentials {
        let path = self.folder.path().join("users").join(name);
        let before = fs::metadata(&path).and_then(|file| file.modified()).ok();
        // Dovecot looks for a change once a second, and knows it by the second: so make it a later one, and wait for it.
        let new = self.folder.path().join("new-user");
        fs::write(&new, format!("{name}:{{PLAIN}}{password}\n")).unwrap();
        if let Some(before) = before {
            let file = fs::File::options().write(true).open(&new).unwrap();
            file.set_modified(before + Duration::from_secs(1)).unwrap();
        }
        fs::rename(&new, &path).unwrap();
        if before.is_some() && self.master.is_some() {
            let asked = Instant::now();
            while !self
                .run_doveadm(&["auth", "test", name, password], b"")
                .status
                .success()
            {
                assert!(
                    asked.elapsed() < DEADLINE,
                    "the new password is not taken: {}",
                    self.log()
                );
                thread::sleep(Duration::from_millis(20));
            }
        }
        Credentials {
            username: name.to_owned(),
            password: password.to_owned(),
        }
    }

    /// Runs `doveadm ARGUMENTS` against the running server and returns its output; panics with what it said when it fails.
    pub(crate) fn doveadm(&self, arguments: &[&str]) -> String {
        let mut output = self.run_doveadm(arguments, b"");
        for _ in 0..AGAIN {
            // Two of Dovecot's processes waited for each other, and the kernel refused one of them: it has done nothing.
            if !String::from_utf8_lossy(&output.stderr).contains("Resource deadlock avoided") {
                break;
            }
            output = self.run_doveadm(arguments, b"");
        }
        checked(&format!("doveadm {arguments:?}"), &output)
    }

    /// Puts a message into a user's folder (`INBOX`, `Sent`…), as the server's own delivery would.
    pub(crate) fn save(&self, user: &str, folder: &str, message: &[u8]) {
        checked(
            "doveadm save",
            &self.run_doveadm(&["save", "-u", user, "-m", folder], message),
        );
    }

    /// Stops the server: its clients get a BYE and the ports are closed when this returns. The mail stays.
    pub(crate) fn stop(&mut self) {
        if let Some(master) = self.master.take() {
            master.stop();
        }
        self.wait_until_gone();
    }

    /// Kills the server as a power cut would: connections just end.
    pub(crate) fn kill(&mut self) {
        self.master = None;
        self.wait_until_gone();
    }

    /// A process that was killed ends a little later, and with it the last that listens.
    fn wait_until_gone(&self) {
        let asked = Instant::now();
        while TcpStream::connect((Self::HOST, self.imap_port())).is_ok() {
            assert!(
                asked.elapsed() < DEADLINE,
                "Dovecot listens still:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts the server again on the same ports, after stopping it if it runs.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.try_start().unwrap();
    }

    /// What the server has logged, for the message of a failed assertion.
    pub(crate) fn log(&self) -> String {
        // A bad configuration is told on the standard error, before there is a log.
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        ["stderr", "dovecot.log"].map(read).concat()
    }

    /// Makes a folder. While it is made another session may see it, and open it, and by that make it, too; the server then
    /// says that it is there already.
    pub(crate) fn create(&self, user: &str, folder: &str) {
        let made = self.run_doveadm(&["mailbox", "create", "-u", user, folder], b"");
        if !String::from_utf8_lossy(&made.stderr).contains("already exists") {
            checked("doveadm mailbox create", &made);
        }
    }

    fn run_doveadm(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new(program("doveadm"));
        command
            .arg("-c")
            .arg(self.folder.path().join("dovecot.conf"))
            .args(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that takes no input may have ended already.
        let _unread = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    fn try_start(&mut self) -> Result<(), String> {
        let greeting = format!("postroom test {}", Uuid::new_v4());
        fs::write(
            self.folder.path().join("dovecot.conf"),
            self.configuration(&greeting),
        )
        .unwrap();
        let mut command = Command::new(program("dovecot"));
        command
            .arg("-F")
            .arg("-c")
            .arg(self.folder.path().join("dovecot.conf"));
        // A group of its own, so that all its processes can be killed at once.
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.folder.path().join("stderr")).unwrap());
        let mut master = Master(
            command
                .spawn()
                .map_err(|error| format!("{error}: run `make test`"))?,
        );
        let started = Instant::now();
        while started.elapsed() < DEADLINE {
            if master.0.try_wait().unwrap().is_some() {
                return Err(self.log());
            }
            if self.greets_with(&greeting) {
                self.master = Some(master);
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(format!("no greeting in {DEADLINE:?}: {}", self.log()))
    }

    fn greets_with(&self, greeting: &str) -> bool {
        let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports.0)) else {
            return false;
        };
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).is_ok() && line.contains(greeting)
    }

    fn configuration(&self, greeting: &str) -> String {
        let folder = self.folder.path();
        let me = (identity("-un"), identity("-gn"));
        // Dovecot's login processes refuse to run as root; without root there is only one user to run as.
        let (internal, login) = if is_root(folder) {
            (
                ("dovecot".to_owned(), "dovecot".to_owned()),
                "dovenull".to_owned(),
            )
        } else {
            (me.clone(), me.0)
        };
        let values = [
            ("$folder", folder.to_str().unwrap()),
            ("$greeting", greeting),
            ("$certificate", self.certificates.certificate.to_str().unwrap()),
            ("$key", self.certificates.key.to_str().unwrap()),
            ("$internal_user", &internal.0),
            ("$internal_group", &internal.1),
            ("$login_user", &login),
            ("$mail_user", &internal.0),
            ("$mail_group", &internal.1),
            ("$imap_port", &self.ports.0.to_string()),
            ("$imaps_port", &self.ports.1.to_string()),
        ];
        let version = if is_old() {
            include_str!("dovecot-2.3.conf")
        } else {
            include_str!("dovecot-2.4.conf")
        };
        let template = [version, include_str!("dovecot.conf"), &self.settings].concat();
        values
            .iter()
            .fold(template, |text, (name, value)| text.replace(name, value))
    }
}

/// Dovecot's first process, whose id is that of the process group of all.
#[derive(Debug)]
struct Master(Child);

impl Master {
    /// Asks all processes to end, and waits until they have.
    fn stop(mut self) {
        succeed(&mut kill("-TERM", &self.0.id().to_string()));
        let asked = Instant::now();
        while self.0.try_wait().unwrap().is_none() && asked.elapsed() < DEADLINE {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        // Those of its processes that outlive a stop are in its group still.
        let group = format!("-{}", self.0.id());
        let _none_left = kill("-KILL", &group).stderr(Stdio::null()).status();
        let _reaped_already = self.0.wait();
    }
}

/// The shell's `kill`: the program of that name is not on every small system.
pub(super) fn kill(signal: &str, target: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "kill \"$@\"", "sh", signal, target]);
    command
}

/// Two ports that are free now, and are not given to this process again while it chooses.
fn free_ports() -> (u16, u16) {
    let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let [first, second] = listeners.map(|listener| listener.local_addr().unwrap().port());
    (first, second)
}

/// The program, also where the folder for administrators' programs is not on the path.
fn program(name: &str) -> PathBuf {
    let installed = ["/usr/sbin", "/usr/bin"].map(|folder| Path::new(folder).join(name));
    installed
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| name.into())
}

/// Whether it is Dovecot 2.3, and not 2.4.
fn is_old() -> bool {
    succeed(Command::new(program("dovecot")).arg("--version")).starts_with("2.3.")
}

/// Whether this process runs as root, told by who owns a folder that it made.
fn is_root(folder: &Path) -> bool {
    fs::metadata(folder).unwrap().uid() == 0
}

fn identity(option: &str) -> String {
    succeed(Command::new("id").arg(option)).trim_end().to_owned()
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    checked(&format!("{command:?}"), &output)
}

fn checked(what: &str, output: &Output) -> String {
    assert!(
        output.status.success(),
        "{what}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connects and sends the lines one by one, each after the answer to the one before; returns the last answer.
    fn converse(server: &Dovecot, lines: &[&str]) -> String {
        let mut stream = TcpStream::connect((Dovecot::HOST, server.imap_port())).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut answers = BufReader::new(stream.try_clone().unwrap());
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        for line in lines {
            stream.write_all(format!("a {line}\r\n").as_bytes()).unwrap();
            answer.clear();
            while !answer.lines().any(|line| line.starts_with("a ")) {
                assert_ne!(
                    answers.read_line(&mut answer).unwrap(),
                    0,
                    "{answer}\n{}",
                    server.log()
                );
            }
        }
        answer
    }

    #[test]
    fn dovecot_serves_users_and_survives_a_restart() {
        let mut server = Dovecot::start();
        assert!(
            fs::read_to_string(server.ca_pem())
                .unwrap()
                .contains("BEGIN CERTIFICATE")
        );
        assert_ne!(server.imap_port(), server.imaps_port());
        let anna = server.user("anna");
        server.save("anna", "INBOX", b"Subject: one\r\n\r\ntext\r\n");
        assert!(server.mail_folder().join("anna").is_dir());
        let login = format!("LOGIN {} \"{}\"", anna.username, anna.password);
        assert!(
            server
                .doveadm(&["mailbox", "status", "-u", "anna", "messages", "INBOX"])
                .contains("messages=1")
        );
        let listed = converse(&server, &[&login, "LIST (SPECIAL-USE) \"\" *"]);
        for use_ in ["\\Sent", "\\Drafts", "\\Trash", "\\Junk", "\\Archive"] {
            assert!(listed.contains(use_), "{listed}");
        }
        server.set_password("anna", "another");
        assert!(converse(&server, &[&login]).starts_with("a NO [AUTHENTICATIONFAILED]"));

        server.restart();
        let status = converse(&server, &["LOGIN anna another", "STATUS INBOX (MESSAGES)"]);
        assert!(status.contains("MESSAGES 1"), "{status}");
        server.stop();
        assert!(TcpStream::connect((Dovecot::HOST, server.imap_port())).is_err());
        server.restart();
        server.kill();
        assert!(TcpStream::connect((Dovecot::HOST, server.imap_port())).is_err());
    }
}
