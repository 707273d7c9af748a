//! Reading messages: rows, headers and whole messages (RFC 9051, section 6.4.5).

use std::{collections::BTreeMap, vec};

use super::{
    body::{Body, BodyLimits, Spooler, StoredBody},
    capability::Capabilities,
    command::{Command, MAX_SET},
    connection::{Connection, Exchange, Step},
    error::{Error, ProtocolError},
    response::Response,
    row::{FetchRow, Part, RawRow},
    session::{Budget, Session},
    set::UidSet,
};

/// The most bytes of the four header fields that are kept of one message.
const MAX_FIELDS: usize = 16 * 1024;

/// Which provider-given identifiers of a message to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MessageIds {
    /// None.
    #[default]
    None,
    /// `X-GM-MSGID X-GM-THRID X-GM-LABELS`
    Gmail,
    /// `EMAILID THREADID` (RFC 8474)
    ObjectId,
}

/// What to ask of each message besides its UID, flags, date and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FetchItems {
    /// `MODSEQ`; left out by itself for a folder that has none (RFC 7162, section 3.1.2.2)
    pub modseq: bool,
    /// Identifiers.
    pub ids: MessageIds,
    /// The fields Message-ID, Date, From and Subject, into [`FetchRow::header`] (16 KiB at most).
    pub header_fields: bool,
}

impl FetchItems {
    /// What this server offers, without header fields.
    pub fn offered(capabilities: &Capabilities) -> Self {
        let ids = if capabilities.has("X-GM-EXT-1") {
            MessageIds::Gmail
        } else if capabilities.has("OBJECTID") {
            MessageIds::ObjectId
        } else {
            MessageIds::None
        };
        Self {
            modseq: capabilities.has_condstore(),
            ids,
            header_fields: false,
        }
    }

    fn text(self, part: &str, connection: &Connection) -> String {
        let modseq = if self.modseq && connection.modseq {
            " MODSEQ"
        } else {
            ""
        };
        let ids = match self.ids {
            MessageIds::None => "",
            MessageIds::Gmail => " X-GM-MSGID X-GM-THRID X-GM-LABELS",
            MessageIds::ObjectId => " EMAILID THREADID",
        };
        let fields = if self.header_fields && part.is_empty() {
            " BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)]"
        } else {
            part
        };
        format!("(UID FLAGS INTERNALDATE RFC822.SIZE{modseq}{ids}{fields})")
    }
}

/// A message that was fetched whole.
#[derive(Debug)]
pub struct FetchedMessage {
    /// Its row.
    pub row: FetchRow,
    /// Its bytes.
    pub body: Body,
}

/// Messages on their way, one at a time, in the server's order.
///
/// Drop it before [`Fetch::next`] has answered `None`, and the session is poisoned.
pub struct Fetch<'s> {
    connection: &'s mut Connection,
    parts: vec::IntoIter<UidSet>,
    items: String,
    wanted: UidSet,
    given: UidSet,
    exchange: Option<Exchange>,
    spooler: Spooler,
    failed: bool,
}

impl Session {
    /// Rows of these messages: UID, flags, date, size, and what `items` adds. In the order of their UIDs; a message that the
    /// server does not have is left out, which only the tagged OK proves.
    ///
    /// The answer is kept in memory, up to 32 MiB: ask for at most some thousand messages at a time.
    pub async fn fetch_metadata(&mut self, uids: &UidSet, items: FetchItems) -> Result<Vec<FetchRow>, Error> {
        let header = if items.header_fields { MAX_FIELDS } else { 0 };
        Ok(self
            .rows(uids, &items.text("", &self.connection), "", header)
            .await?
            .0)
    }

    /// Rows with the whole header of each message, cut at `max_bytes`.
    pub async fn fetch_headers(
        &mut self,
        uids: &UidSet,
        items: FetchItems,
        max_bytes: usize,
    ) -> Result<Vec<FetchRow>, Error> {
        Ok(self
            .rows(
                uids,
                &items.text(" BODY.PEEK[HEADER]", &self.connection),
                "",
                max_bytes,
            )
            .await?
            .0)
    }

    /// Flags of these messages, and their `X-GM-LABELS` where `labels` are asked for; with `changed_since`, only of those
    /// that changed after this mod-sequence (RFC 7162, section 3.1.4), with their MODSEQ.
    pub async fn fetch_flags(
        &mut self,
        uids: &UidSet,
        changed_since: Option<u64>,
        labels: bool,
    ) -> Result<Vec<FetchRow>, Error> {
        let labels = if labels { " X-GM-LABELS" } else { "" };
        match changed_since {
            Some(0) => Err(Error::Invalid("a mod-sequence is above 0")),
            Some(modseq) => {
                let modifier = format!(" (CHANGEDSINCE {modseq})");
                let items = format!("(UID FLAGS MODSEQ{labels})");
                Ok(self.rows(uids, &items, &modifier, 0).await?.0)
            }
            None => Ok(self.rows(uids, &format!("(UID FLAGS{labels})"), "", 0).await?.0),
        }
    }

    /// The same, and the UIDs that are gone since (RFC 7162, section 3.2.6). QRESYNC must have been enabled.
    pub async fn fetch_flags_vanished(
        &mut self,
        uids: &UidSet,
        changed_since: u64,
    ) -> Result<(Vec<FetchRow>, UidSet), Error> {
        if !self.connection.qresync {
            return Err(Error::Invalid("QRESYNC is not enabled"));
        }
        if changed_since == 0 {
            return Err(Error::Invalid("a mod-sequence is above 0"));
        }
        let modifier = format!(" (CHANGEDSINCE {changed_since} VANISHED)");
        self.rows(uids, "(UID FLAGS MODSEQ)", &modifier, 0).await
    }

    /// Rows of these messages, in the order of their UIDs, each with the message where that has less than `max_bytes`: so
    /// much of each is asked for, and what ends before is whole, unless its size says otherwise. All together have at most `max_all` bytes; what is more is
    /// left out.
    ///
    /// The answer is kept in memory: ask for at most some hundred messages at a time.
    pub async fn fetch_small(
        &mut self,
        uids: &UidSet,
        items: FetchItems,
        (max_bytes, max_all): (u32, u64),
    ) -> Result<Vec<(FetchRow, Option<StoredBody>)>, Error> {
        let limits = BodyLimits {
            max_bytes: u64::from(max_bytes),
            memory_bytes: u64::from(max_bytes),
            spool_dir: None,
        };
        let mut fetch = self.fetch(uids, items, &format!(" BODY.PEEK[]<0.{max_bytes}>"), limits);
        let (mut found, mut room) = (Vec::new(), max_all);
        let mut budget = Budget::new("UID FETCH");
        while let Some(FetchedMessage { row, body }) = fetch.next().await? {
            budget.take(row.cost())?;
            // A server that cuts short what it was asked for says by the size that there is more.
            let is_whole = |body: &StoredBody| {
                body.len() < u64::from(max_bytes) && row.size.is_none_or(|size| size <= body.len())
            };
            let whole = match body {
                Body::Stored(body) if is_whole(&body) && body.len() <= room => Some(body),
                Body::Stored(_) | Body::TooLarge { .. } | Body::Missing => None,
            };
            room -= whole.as_ref().map_or(0, StoredBody::len);
            found.push((row, whole));
        }
        found.sort_unstable_by_key(|(row, _)| row.uid);
        Ok(found)
    }

    /// Whole messages (`BODY.PEEK[]`), one at a time. Nothing is sent before the first [`Fetch::next`].
    pub fn fetch_bodies(&mut self, uids: &UidSet, items: FetchItems, limits: BodyLimits) -> Fetch<'_> {
        self.fetch(uids, items, " BODY.PEEK[]", limits)
    }

    fn fetch(&mut self, uids: &UidSet, items: FetchItems, part: &str, limits: BodyLimits) -> Fetch<'_> {
        let items = items.text(part, &self.connection);
        Fetch {
            connection: &mut self.connection,
            parts: uids.parts(MAX_SET).into_iter(),
            items,
            wanted: uids.clone(),
            given: UidSet::new(),
            exchange: None,
            spooler: Spooler::bodies(limits),
            failed: false,
        }
    }

    /// Runs UID FETCH, in several commands where the set is long, and collects rows and what has vanished.
    pub(super) async fn rows(
        &mut self,
        uids: &UidSet,
        items: &str,
        modifier: &str,
        header: usize,
    ) -> Result<(Vec<FetchRow>, UidSet), Error> {
        let connection = &mut self.connection;
        let mut rows: BTreeMap<u32, FetchRow> = BTreeMap::new();
        let mut vanished = Vec::new();
        let mut budget = Budget::new("UID FETCH");
        let mut spooler = Spooler::headers(header);
        connection.grow_buffer();
        for part in uids.parts(MAX_SET) {
            let command = Command::new("UID FETCH").word(&format!("{part} {items}{modifier}"));
            let deadline = connection.transfer_deadline();
            let exchange = connection.begin(command, deadline).await?;
            loop {
                match connection.step(&exchange, &mut spooler).await? {
                    Step::Done(_) => break,
                    Step::Continue => return Err(ProtocolError::Continuation.into()),
                    Step::Data(Response::Fetch(raw)) if is_answer(&raw, uids)? => {
                        let row = placed(*raw, &mut spooler).0;
                        budget.take(row.cost())?;
                        rows.entry(row.uid).or_default().merge(row);
                    }
                    Step::Data(Response::Vanished { earlier: true, uids }) => {
                        budget.take(uids.ranges().len() * 16)?;
                        vanished.extend_from_slice(uids.ranges());
                    }
                    Step::Data(response) => connection.pending.note(&response),
                }
            }
        }
        Ok((rows.into_values().collect(), UidSet::from_ranges(vanished)))
    }
}

/// True for a row of a message that was asked for; false for a hint about another one.
///
/// # Errors
/// A row that can only be an answer and does not say whose: leaving it out would make a message look absent. A row with
/// bytes that does not end where it should: the bytes are more or fewer than were announced.
fn is_answer(raw: &RawRow, wanted: &UidSet) -> Result<bool, Error> {
    let RawRow {
        sequence: _,
        row,
        body,
        header,
        whole,
    } = raw;
    if !whole && (body.is_some() || header.is_some()) {
        return Err(ProtocolError::BrokenRow.into());
    }
    let asked = body.is_some() || header.is_some() || row.size.is_some() || row.internal_date.is_some();
    if row.uid == 0 && asked {
        return Err(ProtocolError::MissingUid.into());
    }
    Ok(wanted.contains(row.uid))
}

/// Puts the header into its row and says where the body is.
fn placed(raw: RawRow, spooler: &mut Spooler) -> (FetchRow, Option<Part>) {
    let RawRow {
        mut row,
        body,
        header,
        ..
    } = raw;
    row.header = match header {
        Some(Part::Streamed(place)) => spooler.take_header(place),
        Some(Part::Inline(bytes)) => Some(spooler.inline_header(bytes)),
        Some(Part::Nil) | None => None,
    };
    (row, body)
}

impl Fetch<'_> {
    /// The next message. `None` comes only after the tagged OK: what was asked for and not given by then does not exist.
    ///
    /// # Errors
    /// NO and BAD leave the session usable, though not this fetch; the messages given before are good.
    pub async fn next(&mut self) -> Result<Option<FetchedMessage>, Error> {
        if self.failed {
            return Err(Error::Poisoned);
        }
        let next = self.advance().await;
        self.failed = next.is_err();
        next
    }

    async fn advance(&mut self) -> Result<Option<FetchedMessage>, Error> {
        loop {
            let exchange = if let Some(exchange) = &self.exchange {
                exchange
            } else {
                let Some(part) = self.parts.next() else {
                    return Ok(None);
                };
                self.connection.grow_buffer();
                let command = Command::new("UID FETCH").word(&format!("{part} {}", self.items));
                let command = command.following();
                let deadline = self.connection.transfer_deadline();
                let exchange = self.connection.begin(command, deadline).await?;
                self.exchange.insert(exchange)
            };
            match self.connection.step(exchange, &mut self.spooler).await? {
                Step::Done(_) => self.exchange = None,
                Step::Continue => return Err(ProtocolError::Continuation.into()),
                Step::Data(Response::Fetch(raw)) => {
                    if let Some(message) = self.message(*raw)? {
                        return Ok(Some(message));
                    }
                }
                Step::Data(response) => self.connection.pending.note(&response),
            }
        }
    }

    fn message(&mut self, raw: RawRow) -> Result<Option<FetchedMessage>, Error> {
        let wanted = is_answer(&raw, &self.wanted)?;
        let (row, part) = placed(raw, &mut self.spooler);
        let body = match part {
            _ if !wanted || self.given.contains(row.uid) => None,
            None => None,
            Some(Part::Nil) => Some(Body::Missing),
            Some(Part::Inline(bytes)) => Some(self.spooler.inline(&bytes)?),
            Some(Part::Streamed(place)) => Some(self.spooler.take_body(place).unwrap_or(Body::Missing)),
        };
        let Some(body) = body else {
            self.connection.pending.flags = true;
            return Ok(None);
        };
        self.given.insert(row.uid);
        Ok(Some(FetchedMessage { row, body }))
    }
}
