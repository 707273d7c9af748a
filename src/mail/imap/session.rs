//! A session: logged in, and between commands.

use std::fmt;

use super::{
    capability::Capabilities,
    command::Command,
    connection::{Connection, Deadline, Pending},
    error::{Error, Phase, ProtocolError},
    list::ListEntry,
    response::{FolderStatus, Response},
};

/// The most bytes that the collected answer of one command may take in memory.
pub(super) const MAX_COLLECTED: usize = 32 * 1024 * 1024;

/// A session with a mail server.
///
/// Commands run one after another. NO and BAD leave the session usable, unless they are of an IDLE whose answer was left to
/// the command; after every other error, and after a call that was dropped before it ended, each further command fails with
/// [`Error::Poisoned`].
pub struct Session {
    pub(super) connection: Box<Connection>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("pending", &self.connection.pending)
            .finish_non_exhaustive()
    }
}

/// Counts what a command collects.
#[derive(Debug)]
pub(super) struct Budget {
    command: &'static str,
    left: usize,
}

impl Budget {
    pub(super) const fn new(command: &'static str) -> Self {
        Self {
            command,
            left: MAX_COLLECTED,
        }
    }

    pub(super) fn take(&mut self, cost: usize) -> Result<(), Error> {
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(ProtocolError::AnswerTooLarge(self.command).into()),
        }
    }
}

impl Session {
    pub(super) const fn new(connection: Box<Connection>) -> Self {
        Self { connection }
    }

    /// What the server offers.
    pub fn capabilities(&self) -> &Capabilities {
        &self.connection.capabilities
    }

    /// False when no further command can be run: the connection broke, or a call was dropped before it ended.
    pub fn is_usable(&self) -> bool {
        self.connection.is_idle()
    }

    /// What the server told without being asked.
    pub fn pending(&self) -> &Pending {
        &self.connection.pending
    }

    /// The same, forgotten afterwards.
    pub fn take_pending(&mut self) -> Pending {
        std::mem::take(&mut self.connection.pending)
    }

    /// Waits for the answer to IDLE where that was left to the next command.
    pub async fn settle(&mut self) -> Result<(), Error> {
        self.connection.settle().await
    }

    /// Runs a command with the usual deadline.
    pub(super) async fn run(
        &mut self,
        command: Command<'_>,
        on: impl FnMut(Response) -> Result<(), Error>,
    ) -> Result<super::response::Status, Error> {
        let deadline = self.connection.command_deadline();
        self.connection.run(command, deadline, on).await
    }

    /// ENABLE (RFC 5161). Answers what the server enabled, in upper case; what it does not offer is not asked for.
    pub async fn enable(&mut self, names: &[&str]) -> Result<Vec<String>, Error> {
        let offered: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| self.capabilities().has(name))
            .collect();
        if offered.is_empty() || !(self.capabilities().has("ENABLE") || self.capabilities().has("IMAP4REV2"))
        {
            return Ok(Vec::new());
        }
        let mut enabled = Vec::new();
        let command = Command::new("ENABLE").word(&offered.join(" "));
        self.run(command, |response| {
            if let Response::Enabled(names) = response
                && enabled.is_empty()
            {
                enabled = names;
            }
            Ok(())
        })
        .await?;
        self.connection.qresync |= enabled.iter().any(|name| name == "QRESYNC");
        Ok(enabled)
    }

    /// LIST: every folder, with special uses where the server has them (RFC 6154). Never empty: every account has an INBOX,
    /// so an OK without a single folder is an error.
    pub async fn list(&mut self) -> Result<Vec<ListEntry>, Error> {
        let offered = self.capabilities();
        let extended =
            offered.has("SPECIAL-USE") && (offered.has("LIST-EXTENDED") || offered.has("IMAP4REV2"));
        if extended {
            let command = Command::new("LIST").word("\"\" \"*\" RETURN (SPECIAL-USE)");
            match self.list_by(command).await {
                Err(Error::Bad { .. }) => {}
                done => return done,
            }
        }
        self.list_by(Command::new("LIST").word("\"\" \"*\"")).await
    }

    async fn list_by(&mut self, command: Command<'_>) -> Result<Vec<ListEntry>, Error> {
        let mut folders = Vec::new();
        let mut names = std::collections::HashSet::new();
        let mut budget = Budget::new("LIST");
        self.run(command, |response| {
            if let Response::List(entry) = response
                && !entry.raw_name.is_empty()
                && !names.contains(&entry.raw_name)
            {
                budget.take(entry.cost() + entry.raw_name.len())?;
                names.insert(entry.raw_name.clone());
                folders.push(entry);
            }
            Ok(())
        })
        .await?;
        if folders.is_empty() {
            return Err(ProtocolError::MissingData("LIST").into());
        }
        Ok(folders)
    }

    /// STATUS of a folder that is not selected. `raw` is [`ListEntry::raw_name`].
    ///
    /// # Errors
    /// An OK without the numbers is an error too.
    pub async fn status(&mut self, raw: &[u8]) -> Result<FolderStatus, Error> {
        let mut items = String::from("(MESSAGES UIDNEXT UIDVALIDITY UNSEEN");
        if self.capabilities().has_condstore() {
            items.push_str(" HIGHESTMODSEQ");
        }
        items.push(')');
        self.status_items(raw, &items).await
    }

    /// MAILBOXID of a folder that is not selected (RFC 8474), where the server has it. `raw` is [`ListEntry::raw_name`].
    ///
    /// It is asked for alone: Cyrus 3.6 answers freed memory when it has to open the folder for other items.
    pub async fn mailbox_id(&mut self, raw: &[u8]) -> Result<Option<String>, Error> {
        if !self.capabilities().has("OBJECTID") {
            return Ok(None);
        }
        Ok(self.status_items(raw, "(MAILBOXID)").await?.mailbox_id)
    }

    async fn status_items(&mut self, raw: &[u8], items: &str) -> Result<FolderStatus, Error> {
        let command = Command::new("STATUS").string(raw)?.word(items);
        let (mut exact, mut other) = (None, None);
        self.run(command, |response| {
            if let Response::FolderStatus(name, status) = response {
                // A server may write the name in another way; its answer then still is the only one.
                let matches =
                    name == raw || (raw.eq_ignore_ascii_case(b"INBOX") && name.eq_ignore_ascii_case(raw));
                *(if matches { &mut exact } else { &mut other }) = Some(status);
            }
            Ok(())
        })
        .await?;
        exact
            .or(other)
            .ok_or_else(|| ProtocolError::MissingData("STATUS").into())
    }

    /// NOOP: a chance for the server to tell what it has.
    pub async fn noop(&mut self) -> Result<(), Error> {
        self.run(Command::new("NOOP"), |_| Ok(())).await.map(drop)
    }

    /// LOGOUT, and the end of the connection. Takes 15 s at most.
    ///
    /// # Errors
    /// The server did not end the session in order; the connection is closed all the same.
    pub async fn logout(mut self) -> Result<(), Error> {
        let wait = self.connection.timeouts.done;
        let deadline = Deadline::new(Phase::Command, wait, wait);
        let done = self
            .connection
            .run(Command::new("LOGOUT"), deadline, |_| Ok(()))
            .await;
        self.connection.close().await;
        done.map(drop)
    }
}
