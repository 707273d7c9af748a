//! What every real mail server of the tests can do, so that one suite runs on each.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use postroom::mail::imap::utf7;

use super::{
    cyrus::{Cyrus, Names},
    dovecot::Dovecot,
};

/// The longest that an answer may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// Makes of each `async fn name<S: MailServer>(Backend)` of the module above a test on Dovecot and one on Cyrus, each on
/// both databases. Their names have the server's: by it the runner knows how many may run at once.
macro_rules! both_servers {
    ($($suite:ident),+ $(,)?) => { $(
        mod $suite {
            use $crate::support::{cyrus::Cyrus, dovecot::Dovecot, gateway::{Backend, both}};

            async fn dovecot(backend: Backend) {
                super::super::$suite::<Dovecot>(backend).await;
            }

            async fn cyrus(backend: Backend) {
                super::super::$suite::<Cyrus>(backend).await;
            }

            mod on {
                use super::both;
                both!(dovecot, cyrus);
            }
        }
    )+ };
}
pub(crate) use both_servers;

/// A mail server of the test's own, on loopback, whose users have the password `NAME's password`.
pub(crate) trait MailServer: Sized + Send + Sync + 'static {
    /// Whether a renamed folder is known again (OBJECTID, RFC 8474).
    const FOLLOWS_RENAMES: bool;

    /// How many messages a large mailbox has: what it takes in some seconds.
    const MESSAGES: usize;

    /// Starts one without users.
    fn launch() -> Self;

    /// The plain port.
    fn port(&self) -> u16;

    /// Adds a user.
    fn add_user(&self, name: &str);

    /// Runs IMAP commands in a plain session of their own and answers the lines that came; panics where one is refused.
    fn command(&self, user: &str, commands: &[String]) -> Vec<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port())).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap())
            .lines()
            .map(Result::unwrap);
        lines.next().unwrap();
        let mut answers = Vec::new();
        let login = format!("LOGIN {user} \"{user}'s password\"");
        for command in std::iter::once(&login).chain(commands) {
            stream.write_all(format!("a {command}\r\n").as_bytes()).unwrap();
            let tagged = loop {
                match lines.next().unwrap() {
                    line if line.starts_with("a ") => break line,
                    line => answers.push(line),
                }
            };
            assert!(tagged.starts_with("a OK"), "{command}: {tagged}");
        }
        answers
    }

    /// What lies in a folder: the flags of each message, sorted, by its UID.
    fn contents(&self, user: &str, folder: &str) -> BTreeMap<u32, Vec<String>> {
        let open = format!("EXAMINE {}", quoted(folder));
        let answers = self.command(user, &[open, "UID FETCH 1:* (FLAGS)".to_owned()]);
        answers
            .iter()
            .filter(|line| line.contains(" FETCH ("))
            .map(|line| told(line))
            .collect()
    }

    fn create_folder(&self, user: &str, name: &str) {
        self.command(user, &[format!("CREATE {}", quoted(name))]);
    }

    fn delete_folder(&self, user: &str, name: &str) {
        self.command(user, &[format!("DELETE {}", quoted(name))]);
    }

    fn rename_folder(&self, user: &str, from: &str, to: &str) {
        self.command(user, &[format!("RENAME {} {}", quoted(from), quoted(to))]);
    }
}

/// The UID and the lasting flags in a line as `* 1 FETCH (UID 1 FLAGS (\Seen))`.
fn told(line: &str) -> (u32, Vec<String>) {
    let (_, after) = line.split_once("UID ").unwrap();
    let uid = after.split([' ', ')']).next().unwrap().parse().unwrap();
    let (_, after) = line.split_once("FLAGS (").unwrap();
    let (flags, _) = after.split_once(')').unwrap();
    let lasting = flags.split_whitespace().filter(|flag| *flag != "\\Recent");
    let mut flags: Vec<String> = lasting.map(str::to_owned).collect();
    flags.sort_unstable();
    (uid, flags)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", String::from_utf8(utf7::encode(name)).unwrap())
}

impl MailServer for Dovecot {
    const FOLLOWS_RENAMES: bool = false;
    const MESSAGES: usize = 1_960;

    fn launch() -> Self {
        Self::start()
    }

    fn port(&self) -> u16 {
        self.imap_port()
    }

    fn add_user(&self, name: &str) {
        self.user(name);
    }
}

impl MailServer for Cyrus {
    const FOLLOWS_RENAMES: bool = true;
    const MESSAGES: usize = 280;

    fn launch() -> Self {
        Self::start(Names::Slashes)
    }

    fn port(&self) -> u16 {
        self.imap_port()
    }

    fn add_user(&self, name: &str) {
        self.user(name);
    }
}
