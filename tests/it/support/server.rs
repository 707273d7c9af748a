//! What every real mail server of the tests can do, so that one suite runs on each.

use std::{
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

    /// Runs IMAP commands in a session of their own; panics where one is refused.
    fn command(&self, user: &str, commands: &[String]) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port())).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        lines.next().unwrap().unwrap();
        let login = format!("LOGIN {user} \"{user}'s password\"");
        for command in std::iter::once(&login).chain(commands) {
            stream.write_all(format!("a {command}\r\n").as_bytes()).unwrap();
            let tagged = lines
                .by_ref()
                .map(Result::unwrap)
                .find(|line| line.starts_with("a "));
            let tagged = tagged.unwrap();
            assert!(tagged.starts_with("a OK"), "{command}: {tagged}");
        }
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
