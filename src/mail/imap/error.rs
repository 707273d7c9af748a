//! What can go wrong with a mail server, and what each failure means for the next try.

use std::{fmt, io, time::Duration};

use zeroize::Zeroizing;

use super::frame::FrameError;
use crate::mail::egress::EgressError;

/// The longest server text that is kept, in characters.
const MAX_TEXT: usize = 300;
/// The longest response code that is kept, in characters.
const MAX_CODE: usize = 64;
/// The longest back-off that a server's text can ask for.
const MAX_HINT: Duration = Duration::from_secs(60 * 60);

/// What was being done when a deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Waiting for other dials to the same host.
    Queue,
    /// The TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The server's greeting.
    Greeting,
    /// Logging in.
    Login,
    /// An answer to a command.
    Command,
    /// The end of IDLE.
    Done,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue => "waiting for other connections to this host",
            Self::Connect => "connecting",
            Self::Tls => "the TLS handshake",
            Self::Greeting => "waiting for the greeting",
            Self::Login => "logging in",
            Self::Command => "waiting for an answer",
            Self::Done => "ending IDLE",
        })
    }
}

/// The characters of a text that may be shown.
fn shown(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|character| !character.is_control())
}

/// What a server said: its response code in upper case, and its text without control characters, cut to 300 characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The response code's name, such as `AUTHENTICATIONFAILED` (RFC 9051, section 7.1; RFC 5530).
    pub code: Option<String>,
    /// The text for people. It comes from the server: show it as a quotation.
    pub text: String,
}

impl Answer {
    pub(in crate::mail) fn new(code: Option<&str>, text: &[u8]) -> Self {
        let code = code.map(|code| {
            code.chars()
                .filter(char::is_ascii_graphic)
                .take(MAX_CODE)
                .collect()
        });
        Self {
            code,
            text: shown(&String::from_utf8_lossy(text)).take(MAX_TEXT).collect(),
        }
    }

    /// The same answer with what must not be shown replaced, should the server repeat it.
    pub(in crate::mail) fn without(mut self, secrets: &[&str]) -> Self {
        for secret in secrets {
            let secret = Zeroizing::new(shown(secret).collect::<String>());
            if secret.is_empty() {
                continue;
            }
            self.text = self.text.replace(secret.as_str(), "***");
            // A secret that was cut with the text is still a piece of one.
            let mut heads = (4..secret.len()).rev().filter_map(|end| secret.get(..end));
            if let Some(head) = heads.find(|head| self.text.ends_with(head)) {
                self.text.truncate(self.text.len() - head.len());
            }
            let upper = Zeroizing::new(secret.to_ascii_uppercase());
            self.code = self.code.take_if(|code| !code.contains(upper.as_str()));
        }
        self
    }

    fn is_code(&self, codes: &[&str]) -> bool {
        self.code
            .as_ref()
            .is_some_and(|code| codes.contains(&code.as_str()))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "[{code}] {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// What a server did against the protocol, or beyond a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// Framing.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It does not greet as an IMAP server does.
    #[error("the server did not greet as an IMAP server")]
    Greeting,
    /// It greeted as if already logged in, where TLS was to be started first.
    #[error("the server skipped the login before TLS was started")]
    EarlyPreauth,
    /// A tagged answer that is neither OK, NO nor BAD.
    #[error("the server ended a command with an unknown status")]
    Status,
    /// It asked for more where nothing was left to send.
    #[error("the server asked for data that was not announced")]
    Continuation,
    /// It said OK without the data that the command is for.
    #[error("the server answered {0} without its data")]
    MissingData(&'static str),
    /// A message came without its UID.
    #[error("the server sent a message without its UID")]
    MissingUid,
    /// A message's bytes do not have the length that was announced.
    #[error("the server sent a message of another length than it announced")]
    BrokenRow,
    /// The answer holds more than the client keeps.
    #[error("the answer to {0} is larger than what is kept; ask for less at a time")]
    AnswerTooLarge(&'static str),
}

/// Every failure of the IMAP client. No variant carries a credential, and none shows one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The egress guard refused the host, or it did not resolve.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// Too many connections are waiting to be made.
    #[error("too many connections are being made at this moment")]
    Busy,
    /// No address could be connected to.
    #[error("the server cannot be reached: {0}")]
    Connect(io::Error),
    /// The server's certificate is not valid for this host.
    #[error("the server's certificate was refused: {0}")]
    Certificate(String),
    /// TLS failed otherwise.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(io::Error),
    /// The server closed the connection without a word.
    #[error("the server closed the connection")]
    Closed,
    /// The server said BYE.
    #[error("the server ended the connection: {0}")]
    Bye(Answer),
    /// A deadline passed.
    #[error("no progress in time while {0}")]
    Timeout(Phase),
    /// The server refused the credentials.
    #[error("the server refused the credentials: {0}")]
    Credentials(Answer),
    /// The server could not log anybody in just now.
    #[error("the server could not log in: {0}")]
    Login(Answer),
    /// The server answered NO.
    #[error("the server refused {command}: {answer}")]
    No {
        /// The command.
        command: &'static str,
        /// What the server said.
        answer: Answer,
    },
    /// The server answered BAD.
    #[error("the server did not understand {command}: {answer}")]
    Bad {
        /// The command.
        command: &'static str,
        /// What the server said.
        answer: Answer,
    },
    /// The server broke the protocol or a limit.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The server does not offer what is needed.
    #[error("the server does not offer {0}")]
    Unsupported(&'static str),
    /// The caller gave something that cannot be sent.
    #[error("{0}")]
    Invalid(&'static str),
    /// An earlier command did not run to its end, so that this connection cannot be used any more.
    #[error("the connection was given up in the middle of a command")]
    Poisoned,
    /// A body could not be written to its temporary file.
    #[error("a message could not be put aside: {0}")]
    Spool(io::Error),
}

/// What a failure means for the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// The credentials were refused: trying again with the same ones will not help.
    Credentials,
    /// It may pass by itself.
    Transient {
        /// How long the server asked to wait, at most one hour.
        retry_after: Option<Duration>,
    },
    /// It stays until the settings, the certificate or the request change.
    Permanent,
}

const REFUSALS: [&str; 3] = ["AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED"];
const PASSING: [&str; 6] = [
    "UNAVAILABLE",
    "LIMIT",
    "INUSE",
    "SERVERBUG",
    "THROTTLED",
    "OVERQUOTA",
];
const LASTING: [&str; 7] = [
    "NONEXISTENT",
    "NOPERM",
    "CANNOT",
    "PRIVACYREQUIRED",
    "CONTACTADMIN",
    "CLIENTBUG",
    "TRYCREATE",
];
/// Texts of refusals that pass, as providers write them.
const PASSING_TEXTS: [&str; 17] = [
    "unavailable",
    "too many",
    "try again",
    "try later",
    "retry",
    "not connected",
    "throttl",
    "rate limit",
    "backoff",
    "back off",
    "temporar",
    "server busy",
    "timed out",
    "timeout",
    "internal error",
    "server error",
    "exceeded",
];

impl Error {
    /// What this failure means for the next try.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Credentials(_) => FailureClass::Credentials,
            Self::Bye(answer) => FailureClass::Transient {
                retry_after: hint(answer),
            },
            Self::Login(answer) | Self::No { answer, .. } => {
                if answer.is_code(&LASTING) {
                    FailureClass::Permanent
                } else {
                    FailureClass::Transient {
                        retry_after: hint(answer),
                    }
                }
            }
            Self::Bad { answer, .. } => {
                if is_passing(answer) {
                    FailureClass::Transient {
                        retry_after: hint(answer),
                    }
                } else {
                    FailureClass::Permanent
                }
            }
            Self::Egress(EgressError::InvalidHost | EgressError::Forbidden)
            | Self::Certificate(_)
            | Self::Protocol(_)
            | Self::Unsupported(_)
            | Self::Invalid(_) => FailureClass::Permanent,
            Self::Egress(EgressError::Unresolved | EgressError::Timeout)
            | Self::Busy
            | Self::Connect(_)
            | Self::Tls(_)
            | Self::Io(_)
            | Self::Closed
            | Self::Timeout(_)
            | Self::Poisoned
            | Self::Spool(_) => FailureClass::Transient { retry_after: None },
        }
    }

    /// A stable word for this failure.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Egress(EgressError::InvalidHost) => "invalid_host",
            Self::Egress(EgressError::Forbidden) => "address_not_allowed",
            Self::Egress(EgressError::Unresolved | EgressError::Timeout) => "host_not_resolved",
            Self::Busy => "busy",
            Self::Connect(_) => "unreachable",
            Self::Certificate(_) => "certificate_refused",
            Self::Tls(_) => "tls_failed",
            Self::Io(_) | Self::Closed | Self::Poisoned => "connection_lost",
            Self::Bye(_) => "server_closed",
            Self::Timeout(_) => "timeout",
            Self::Credentials(_) => "credentials_refused",
            Self::Login(_) => "login_unavailable",
            Self::No { .. } | Self::Bad { .. } => "command_refused",
            Self::Protocol(_) => "protocol_violation",
            Self::Unsupported(_) => "not_supported",
            Self::Invalid(_) => "invalid_input",
            Self::Spool(_) => "storage_failed",
        }
    }

    /// The refusal of a login: of the credentials, unless the code or the text says that it will pass.
    pub(super) fn login_refused(answer: Answer) -> Self {
        let other = answer.is_code(&LASTING) || (!answer.is_code(&REFUSALS) && is_passing(&answer));
        if other {
            Self::Login(answer)
        } else {
            Self::Credentials(answer)
        }
    }

    /// A BYE, which during a login can be a refusal of the credentials too.
    pub(super) fn bye(answer: Answer) -> Self {
        if answer.is_code(&REFUSALS) {
            Self::Credentials(answer)
        } else {
            Self::Bye(answer)
        }
    }
}

fn is_passing(answer: &Answer) -> bool {
    let text = answer.text.to_ascii_lowercase();
    answer.is_code(&PASSING) || PASSING_TEXTS.iter().any(|passing| text.contains(passing))
}

/// The back-off that a text suggests: a number and its unit, where the text speaks of waiting at all.
fn hint(answer: &Answer) -> Option<Duration> {
    let text = answer.text.to_ascii_lowercase();
    let speaks = ["backoff", "back off", "back-off", "try again", "retry", "wait"];
    let start = speaks.iter().filter_map(|word| text.find(word)).min()?;
    let mut words = text
        .get(start..)?
        .split(|character: char| !character.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .peekable();
    while let Some(word) = words.next() {
        let digits = word.trim_end_matches(|character: char| character.is_ascii_alphabetic());
        let Ok(number) = digits.parse::<u64>() else {
            continue;
        };
        let glued = word.get(digits.len()..).unwrap_or_default();
        let unit = if glued.is_empty() {
            words.peek().copied().unwrap_or_default()
        } else {
            glued
        };
        let millis = match unit {
            "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => 1,
            "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
            "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
            "h" | "hour" | "hours" => 3_600_000,
            _ => continue,
        };
        return Some(Duration::from_millis(number.saturating_mul(millis)).min(MAX_HINT));
    }
    None
}

#[cfg(test)]
mod tests;
