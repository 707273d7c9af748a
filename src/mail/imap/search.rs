//! Which messages exist: SEARCH and ESEARCH by UID (RFC 9051, section 6.4.4; RFC 4731).

use super::{
    body::Spooler,
    command::Command,
    connection::Step,
    error::{Error, ProtocolError},
    response::Response,
    session::{Budget, Session},
    set::UidSet,
};

impl Session {
    /// The UIDs from `low` to `high`, both included, that exist.
    ///
    /// An OK without a search answer is not taken for "none": the rows themselves are asked for then.
    pub async fn search_uids(&mut self, low: u32, high: u32) -> Result<UidSet, Error> {
        let window = UidSet::range(low, high);
        if window.is_empty() {
            return Ok(window);
        }
        let extended = self.capabilities().has("ESEARCH") || self.capabilities().has("IMAP4REV2");
        let mut found = self
            .search(if extended { "RETURN (ALL) " } else { "" }, &window)
            .await;
        if extended && matches!(found, Err(Error::Bad { .. })) {
            found = self.search("", &window).await;
        }
        if let Some(found) = found? {
            return Ok(found);
        }
        let (rows, _) = self.rows(&window, "(UID)", "", 0).await?;
        Ok(rows.iter().map(|row| row.uid).collect())
    }

    /// `None`: the server said OK and nothing else.
    async fn search(&mut self, options: &str, window: &UidSet) -> Result<Option<UidSet>, Error> {
        let command = Command::new("UID SEARCH").word(&format!("{options}UID {window}"));
        let mut found: Option<Vec<(u32, u32)>> = None;
        let mut budget = Budget::new("UID SEARCH");
        let deadline = self.connection.command_deadline();
        let exchange = self.connection.begin(command, deadline).await?;
        loop {
            match self.connection.step(&exchange, &mut Spooler::none()).await? {
                Step::Done(_) => return Ok(found.map(UidSet::from_ranges)),
                Step::Continue => return Err(ProtocolError::Continuation.into()),
                Step::Data(Response::Found(answer)) => {
                    if answer.tag.is_none_or(|tag| tag == exchange.tag.as_bytes()) {
                        // Also what was not asked for counts: a server that does not stop is not listened to for long.
                        budget.take(answer.uids.ranges().len() * 16)?;
                        let uids = answer.uids.intersection(window);
                        found.get_or_insert_default().extend_from_slice(uids.ranges());
                    }
                }
                Step::Data(response) => self.connection.pending.note(&response),
            }
        }
    }
}
