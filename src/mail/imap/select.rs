//! Opening a folder: EXAMINE and SELECT, with CONDSTORE and QRESYNC (RFC 7162), and OBJECTID (RFC 8474).

use std::collections::BTreeMap;

use super::{
    command::Command,
    error::{Error, ProtocolError},
    response::{Response, Status, modseq, object_id},
    row::FetchRow,
    session::{Budget, Session},
    set::UidSet,
    token::parse_number,
};

/// What is known of a folder from before, so that the server tells only what changed since (RFC 7162, section 3.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Qresync {
    /// The UIDVALIDITY known.
    pub uid_validity: u32,
    /// The mod-sequence known; never 0.
    pub modseq: u64,
    /// The smallest and the largest UID known.
    pub known_uids: Option<(u32, u32)>,
}

/// A folder that was opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selected {
    /// `UIDVALIDITY`
    pub uid_validity: u32,
    /// `UIDNEXT`; asked for where the server does not say it by itself
    pub uid_next: u32,
    /// How many messages it has.
    pub exists: u32,
    /// `HIGHESTMODSEQ`; `None` where the folder has none
    pub highest_modseq: Option<u64>,
    /// True when nothing can be changed.
    pub read_only: bool,
    /// UIDs that are gone since the known mod-sequence; may name UIDs that never were known.
    pub vanished_earlier: UidSet,
    /// Messages whose flags changed since the known mod-sequence, new ones included, in the order of their UIDs.
    pub changed: Vec<FetchRow>,
    /// `MAILBOXID`
    pub mailbox_id: Option<String>,
}

/// What was heard so far.
#[derive(Debug, Default)]
struct Heard {
    uid_validity: Option<u32>,
    uid_next: Option<u32>,
    exists: Option<u32>,
    highest_modseq: Option<u64>,
    mailbox_id: Option<String>,
    vanished: Vec<(u32, u32)>,
    changed: BTreeMap<u32, FetchRow>,
}

impl Session {
    /// EXAMINE: opens a folder for reading; nothing in it is marked by being read. `raw` is `ListEntry::raw_name`.
    ///
    /// With `known`, QRESYNC must have been enabled, and the answer tells what changed since. That answer is kept in memory:
    /// one above 32 MiB is [`ProtocolError::AnswerTooLarge`], and the folder is then to be opened without `known` on a new
    /// connection.
    pub async fn examine(&mut self, raw: &[u8], known: Option<Qresync>) -> Result<Selected, Error> {
        self.open("EXAMINE", raw, known).await
    }

    /// SELECT: the same, for changing.
    pub async fn select(&mut self, raw: &[u8], known: Option<Qresync>) -> Result<Selected, Error> {
        self.open("SELECT", raw, known).await
    }

    async fn open(
        &mut self,
        name: &'static str,
        raw: &[u8],
        known: Option<Qresync>,
    ) -> Result<Selected, Error> {
        let mut command = Command::new(name).string(raw)?;
        match known {
            Some(_) if !self.connection.qresync => return Err(Error::Invalid("QRESYNC is not enabled")),
            Some(Qresync {
                uid_validity,
                modseq,
                known_uids,
            }) if uid_validity > 0 && modseq > 0 => {
                let uids = known_uids.map(|(low, high)| format!(" {}", UidSet::range(low, high)));
                let uids = uids.filter(|text| text.len() > 1).unwrap_or_default();
                command = command.word(&format!("(QRESYNC ({uid_validity} {modseq}{uids}))"));
            }
            Some(_) => {
                return Err(Error::Invalid(
                    "QRESYNC needs a UIDVALIDITY and a mod-sequence above 0",
                ));
            }
            None if self.capabilities().has_condstore() => command = command.word("(CONDSTORE)"),
            None => {}
        }
        let mut heard = Heard::default();
        let mut budget = Budget::new(name);
        self.connection.grow_buffer();
        self.connection.modseq = false;
        let status = self
            .run(command, |response| heard.take(response, &mut budget))
            .await?;
        let alerts = std::mem::take(&mut self.connection.pending.alerts);
        // The hints up to here were about this opening, or about the folder before.
        self.connection.pending = super::Pending {
            alerts,
            ..Default::default()
        };
        self.connection.modseq = heard.highest_modseq.is_some();
        let missing = || Error::from(ProtocolError::MissingData(name));
        let uid_validity = heard.uid_validity.ok_or_else(missing)?;
        let exists = heard.exists.ok_or_else(missing)?;
        let uid_next = match heard.uid_next {
            Some(uid_next) => uid_next,
            None if exists == 0 => 1,
            None => self.uid_after_last().await?,
        };
        Ok(Selected {
            uid_validity,
            uid_next,
            exists,
            highest_modseq: heard.highest_modseq,
            read_only: name == "EXAMINE" || status.code("READ-ONLY").is_some(),
            vanished_earlier: UidSet::from_ranges(heard.vanished),
            changed: heard.changed.into_values().collect(),
            mailbox_id: heard.mailbox_id,
        })
    }

    /// Servers of before RFC 3501 do not say UIDNEXT: it is then one above the last message's UID.
    async fn uid_after_last(&mut self) -> Result<u32, Error> {
        let mut last = None;
        self.run(Command::new("UID FETCH").word("* (UID)"), |response| {
            if let Response::Fetch(row) = response {
                last = last.max(Some(row.row.uid));
            }
            Ok(())
        })
        .await?;
        last.filter(|uid| *uid > 0)
            .map(|uid| uid.saturating_add(1))
            .ok_or_else(|| ProtocolError::MissingData("UIDNEXT").into())
    }
}

impl Heard {
    fn take(&mut self, response: Response, budget: &mut Budget) -> Result<(), Error> {
        match response {
            Response::Exists(count) => self.exists = Some(count),
            Response::Status(status) => self.status(&status),
            Response::Vanished { earlier: true, uids } => {
                budget.take(uids.ranges().len() * 16)?;
                self.vanished.extend_from_slice(uids.ranges());
            }
            Response::Fetch(row) if row.row.uid > 0 => {
                let row = row.row;
                budget.take(row.cost())?;
                self.changed.entry(row.uid).or_default().merge(row);
            }
            _ => {}
        }
        Ok(())
    }

    fn status(&mut self, status: &Status) {
        let number = |name| status.code(name).and_then(|text| parse_number(text.trim_ascii()));
        let small = |name| {
            number(name)
                .and_then(|number| u32::try_from(number).ok())
                .filter(|number| *number > 0)
        };
        if status.code("CLOSED").is_some() {
            // What came before was about the folder that was open until now (RFC 7162, section 3.2.11).
            *self = Self::default();
        }
        self.uid_validity = small("UIDVALIDITY").or(self.uid_validity);
        self.uid_next = small("UIDNEXT").or(self.uid_next);
        self.highest_modseq = number("HIGHESTMODSEQ").and_then(modseq).or(self.highest_modseq);
        if let Some(text) = status.code("MAILBOXID") {
            self.mailbox_id = object_id(text);
        }
    }
}
