//! Changing a mailbox: APPEND, STORE, COPY, MOVE and EXPUNGE, all by UID (RFC 4315, RFC 6851).

use chrono::{DateTime, Utc};

use super::{
    command::{Command, MAX_SET},
    error::Error,
    response::{Response, Status, uid_code, uid_pairs},
    session::Session,
    set::UidSet,
    token::parse_number,
};

/// What to do with flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFlags {
    /// Set these too.
    Add,
    /// Take these away.
    Remove,
    /// Set these and no others.
    Replace,
}

/// What to do with labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labelling {
    /// Give these too.
    Add,
    /// Take these away.
    Remove,
}

/// Where an appended message lies, when the server says it (UIDPLUS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The folder's UIDVALIDITY.
    pub uid_validity: u32,
    /// The message's UID.
    pub uid: u32,
}

/// Where copied or moved messages lie, when the server says it (UIDPLUS).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The UIDVALIDITY of the folder that they were copied to.
    pub uid_validity: u32,
    /// The old and the new UID of each message, at most 10,000.
    pub uids: Vec<(u32, u32)>,
}

impl Session {
    /// APPEND: adds a message to a folder. `raw` is `ListEntry::raw_name`.
    ///
    /// # Errors
    /// A break after the message was sent leaves open whether it was added: look for it before sending it again.
    pub async fn append(
        &mut self,
        raw: &[u8],
        flags: &[&str],
        date: Option<DateTime<Utc>>,
        message: &[u8],
    ) -> Result<Option<Appended>, Error> {
        if message.contains(&0) {
            return Err(Error::Invalid(
                "the message contains a NUL, which IMAP cannot carry",
            ));
        }
        let mut command = Command::new("APPEND").string(raw)?.flags(flags)?;
        if let Some(date) = date {
            command = command.word(&date.format("\"%e-%b-%Y %H:%M:%S +0000\"").to_string());
        }
        let deadline = self.connection.transfer_deadline();
        let status = self
            .connection
            .run(command.message(message), deadline, |_| Ok(()))
            .await?;
        let appended = status
            .code("APPENDUID")
            .and_then(uid_code)
            .and_then(|(uid_validity, uids)| {
                let uid = parse_number(uids.first()?).and_then(|uid| u32::try_from(uid).ok())?;
                Some(Appended { uid_validity, uid })
            });
        Ok(appended)
    }

    /// UID STORE: changes flags, without an echo of each.
    pub async fn uid_store(&mut self, uids: &UidSet, how: StoreFlags, flags: &[&str]) -> Result<(), Error> {
        let item = match how {
            StoreFlags::Add => "+FLAGS.SILENT",
            StoreFlags::Remove => "-FLAGS.SILENT",
            StoreFlags::Replace => "FLAGS.SILENT",
        };
        for part in uids.parts(MAX_SET) {
            let command = Command::new("UID STORE")
                .word(&part.to_string())
                .word(item)
                .flags(flags)?;
            self.run(command, |_| Ok(())).await?;
        }
        Ok(())
    }

    /// UID STORE of labels (`X-GM-EXT-1`): gives messages these, or takes them away. A label is in the server's own bytes.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the server has no labels.
    pub async fn uid_store_labels(
        &mut self,
        uids: &UidSet,
        how: Labelling,
        labels: &[&[u8]],
    ) -> Result<(), Error> {
        if !self.capabilities().has("X-GM-EXT-1") {
            return Err(Error::Unsupported("X-GM-EXT-1"));
        }
        let item = match how {
            Labelling::Add => "+X-GM-LABELS.SILENT",
            Labelling::Remove => "-X-GM-LABELS.SILENT",
        };
        for part in uids.parts(MAX_SET) {
            let command = Command::new("UID STORE")
                .word(&part.to_string())
                .word(item)
                .labels(labels)?;
            self.run(command, |_| Ok(())).await?;
        }
        Ok(())
    }

    /// UID COPY: copies messages to a folder.
    pub async fn uid_copy(&mut self, uids: &UidSet, raw: &[u8]) -> Result<Option<Copied>, Error> {
        self.transfer("UID COPY", uids, raw).await
    }

    /// UID MOVE: moves messages to a folder.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the server does not offer MOVE: copy, store `\Deleted` and expunge there.
    pub async fn uid_move(&mut self, uids: &UidSet, raw: &[u8]) -> Result<Option<Copied>, Error> {
        if !(self.capabilities().has("MOVE") || self.capabilities().has("IMAP4REV2")) {
            return Err(Error::Unsupported("MOVE"));
        }
        self.transfer("UID MOVE", uids, raw).await
    }

    /// UID EXPUNGE: removes these messages if they have `\Deleted`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the server does not offer UIDPLUS: a plain EXPUNGE would remove others too.
    pub async fn uid_expunge(&mut self, uids: &UidSet) -> Result<(), Error> {
        if !(self.capabilities().has("UIDPLUS") || self.capabilities().has("IMAP4REV2")) {
            return Err(Error::Unsupported("UIDPLUS"));
        }
        for part in uids.parts(MAX_SET) {
            self.run(Command::new("UID EXPUNGE").word(&part.to_string()), |_| Ok(()))
                .await?;
        }
        Ok(())
    }

    /// Runs COPY or MOVE, in several commands where the set is long. Where one says nothing of the new UIDs, nothing is said.
    async fn transfer(
        &mut self,
        name: &'static str,
        uids: &UidSet,
        raw: &[u8],
    ) -> Result<Option<Copied>, Error> {
        let mut whole: Option<Copied> = None;
        let mut known = true;
        for part in uids.parts(MAX_SET) {
            let command = Command::new(name).word(&part.to_string()).string(raw)?;
            let mut copied = None;
            let deadline = self.connection.transfer_deadline();
            let status = self.connection.run(command, deadline, |response| {
                if let Response::Status(status) = response {
                    copied = copied_uids(&status).or(copied.take());
                }
                Ok(())
            });
            let status = status.await?;
            match (copied_uids(&status).or(copied), &mut whole) {
                (None, _) => known = false,
                (Some(copied), None) => whole = Some(copied),
                (Some(copied), Some(whole)) => whole.uids.extend(copied.uids),
            }
        }
        Ok(whole.filter(|_| known))
    }
}

fn copied_uids(status: &Status) -> Option<Copied> {
    let (uid_validity, sets) = status.code("COPYUID").and_then(uid_code)?;
    let [from, to] = sets.as_slice() else { return None };
    Some(Copied {
        uid_validity,
        uids: uid_pairs(from, to)?,
    })
}
