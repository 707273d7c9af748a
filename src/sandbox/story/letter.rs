//! How a conversation is told: a thread of notes, each a message with its place, its date and its MIME form.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::{
    super::mail::{self, Charset, Part, Transfer},
    ADDRESS, OWNER,
};

/// Somebody who writes mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) address: &'static str,
}

/// The owner of the mailbox.
pub(super) const AVERY: Person = Person {
    name: OWNER,
    address: ADDRESS,
};

/// Mail of the last days has not been read yet.
const UNREAD_DAYS: i64 = 3;

/// A message that is ready to be delivered.
pub(super) struct Letter {
    pub(super) folder: &'static str,
    pub(super) flags: Vec<&'static str>,
    pub(super) date: DateTime<Utc>,
    pub(super) raw: Vec<u8>,
}

/// One conversation.
pub(super) struct Thread {
    key: &'static str,
    days_ago: i64,
    subject: &'static str,
    charset: Charset,
    transfer: Transfer,
    /// What stands before a quoted text: `{name}` and `{date}` are filled in.
    attribution: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    notes: Vec<Note>,
}

/// One message of a conversation.
pub(super) struct Note {
    from: Person,
    to: Vec<Person>,
    cc: Vec<Person>,
    hours: i64,
    text: String,
    html: Option<String>,
    pictures: Vec<Part>,
    calendar: Option<String>,
    files: Vec<Part>,
    whole: Option<Part>,
    answers: Option<usize>,
    subject: Option<&'static str>,
    folder: Option<&'static str>,
    flags: Vec<&'static str>,
    quotes: bool,
}

impl Note {
    /// A message, `hours` after the thread began. It goes to the owner; the owner's own goes to who wrote before.
    pub(super) fn new(from: Person, hours: i64, text: impl Into<String>) -> Self {
        Self {
            from,
            to: Vec::new(),
            cc: Vec::new(),
            hours,
            text: text.into(),
            html: None,
            pictures: Vec::new(),
            calendar: None,
            files: Vec::new(),
            whole: None,
            answers: None,
            subject: None,
            folder: None,
            flags: Vec::new(),
            quotes: false,
        }
    }

    pub(super) fn to(mut self, people: &[Person]) -> Self {
        self.to = people.to_vec();
        self
    }

    pub(super) fn cc(mut self, people: &[Person]) -> Self {
        self.cc = people.to_vec();
        self
    }

    /// Adds an HTML form of the text.
    pub(super) fn html(mut self, html: impl Into<String>) -> Self {
        self.html = Some(html.into());
        self
    }

    /// Adds a picture that the HTML shows.
    pub(super) fn picture(mut self, kind: &str, name: &str, content_id: &str, bytes: &[u8]) -> Self {
        self.pictures.push(Part::inline(kind, name, content_id, bytes));
        self
    }

    /// Adds an invitation or an answer to one.
    pub(super) fn calendar(mut self, ics: String) -> Self {
        self.calendar = Some(ics);
        self
    }

    pub(super) fn file(mut self, kind: &str, name: &str, bytes: &[u8]) -> Self {
        self.files.push(Part::attachment(kind, name, bytes));
        self
    }

    /// Adds a part as it is.
    pub(super) fn part(mut self, part: Part) -> Self {
        self.files.push(part);
        self
    }

    /// Takes this part as the whole body.
    pub(super) fn whole(mut self, part: Part) -> Self {
        self.whole = Some(part);
        self
    }

    /// Answers another note than the one before, by its place in the thread.
    pub(super) fn answers(mut self, place: usize) -> Self {
        self.answers = Some(place);
        self
    }

    /// Has a subject of its own.
    pub(super) fn subject(mut self, subject: &'static str) -> Self {
        self.subject = Some(subject);
        self
    }

    pub(super) fn folder(mut self, folder: &'static str) -> Self {
        self.folder = Some(folder);
        self
    }

    pub(super) fn flag(mut self, flag: &'static str) -> Self {
        self.flags.push(flag);
        self
    }

    /// Quotes the message that it answers.
    pub(super) fn quoting(mut self) -> Self {
        self.quotes = true;
        self
    }
}

impl Thread {
    /// A conversation that began `days_ago`. `key` makes its Message-IDs.
    pub(super) fn new(key: &'static str, days_ago: i64, subject: &'static str) -> Self {
        Self {
            key,
            days_ago,
            subject,
            charset: Charset::UTF_8,
            transfer: Transfer::QuotedPrintable,
            attribution: "On {date}, {name} wrote:",
            headers: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Is written in this character set.
    pub(super) fn written_in(mut self, charset: &'static str, transfer: Transfer) -> Self {
        self.charset = Charset(charset);
        self.transfer = transfer;
        self
    }

    pub(super) fn attribution(mut self, attribution: &'static str) -> Self {
        self.attribution = attribution;
        self
    }

    /// Has this header on every message.
    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn note(mut self, note: Note) -> Self {
        self.notes.push(note);
        self
    }

    /// The messages; those dated after `now` are left out, so that a thread may still be going on.
    pub(super) fn letters(&self, now: DateTime<Utc>) -> Vec<Letter> {
        let places = self.notes.iter().enumerate();
        places
            .filter(|(_, note)| self.date(note, now) <= now)
            .map(|(at, note)| self.letter(at, note, now))
            .collect()
    }

    fn date(&self, note: &Note, now: DateTime<Utc>) -> DateTime<Utc> {
        // Times of day that differ from thread to thread, so that not everything comes at the full hour of the start.
        let spread = self
            .key
            .bytes()
            .fold(0, |sum: i64, b| sum * 31 % 1_009 + i64::from(b));
        let began = now.trunc_subsecs(0) - TimeDelta::days(self.days_ago) - TimeDelta::hours(spread % 10);
        began + TimeDelta::hours(note.hours) - TimeDelta::minutes((spread + note.hours * 7) % 59)
    }

    fn message_id(&self, place: usize) -> String {
        let host = self
            .notes
            .get(place)
            .and_then(|n| n.from.address.split('@').nth(1))
            .unwrap_or("sandbox.example");
        format!("<{}.{place}@{host}>", self.key)
    }

    /// The place of the note that this one answers.
    fn parent(&self, place: usize) -> Option<usize> {
        let note = self.notes.get(place)?;
        note.answers.or_else(|| place.checked_sub(1))
    }

    fn letter(&self, place: usize, note: &Note, now: DateTime<Utc>) -> Letter {
        let date = self.date(note, now);
        let parent = self.parent(place).and_then(|at| Some((at, self.notes.get(at)?)));
        let own = note.from == AVERY;
        let mut headers = vec![
            (
                "From",
                mail::mailbox(note.from.name, note.from.address, self.charset),
            ),
            ("Date", date.to_rfc2822()),
            ("Message-ID", self.message_id(place)),
            (
                "Subject",
                mail::words(&self.subject_of(note, place), self.charset),
            ),
        ];
        let to = self.recipients(note, parent.map(|(_, p)| p));
        for (name, people) in [("To", to), ("Cc", note.cc.clone())] {
            if !people.is_empty() {
                headers.push((name, self.addresses(&people)));
            }
        }
        if let Some((at, _)) = parent {
            headers.push(("In-Reply-To", self.message_id(at)));
            headers.push(("References", self.references(at).join("\r\n ")));
        }
        headers.extend(
            self.headers
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        let folder = note.folder.unwrap_or(if own { "Sent" } else { "INBOX" });
        let body = self.body(note, parent.filter(|_| note.quotes).map(|(_, p)| p), now);
        let raw = mail::write(&headers, &body, &format!("{}-{place}", self.key));
        Letter {
            folder,
            flags: self.flags(place, note, date, now),
            date,
            raw,
        }
    }

    fn subject_of(&self, note: &Note, place: usize) -> String {
        match note.subject {
            Some(own) => own.to_owned(),
            None if place == 0 => self.subject.to_owned(),
            None => format!("Re: {}", self.subject),
        }
    }

    fn recipients(&self, note: &Note, parent: Option<&Note>) -> Vec<Person> {
        if !note.to.is_empty() || note.folder == Some("Drafts") {
            return note.to.clone();
        }
        if note.from != AVERY {
            return vec![AVERY];
        }
        let others = self.notes.iter().map(|n| n.from).find(|p| *p != AVERY);
        parent
            .map(|p| p.from)
            .filter(|p| *p != AVERY)
            .or(others)
            .into_iter()
            .collect()
    }

    fn addresses(&self, people: &[Person]) -> String {
        let list = people
            .iter()
            .map(|p| mail::mailbox(p.name, p.address, self.charset));
        list.collect::<Vec<_>>().join(",\r\n ")
    }

    /// The Message-IDs from the first message down to `place`.
    fn references(&self, place: usize) -> Vec<String> {
        let mut line = vec![place];
        // Bounded, so that notes which answer each other cannot turn for ever.
        while let Some(above) = line
            .last()
            .and_then(|at| self.parent(*at))
            .filter(|_| line.len() < 50)
        {
            line.push(above);
        }
        line.into_iter().rev().map(|at| self.message_id(at)).collect()
    }

    fn flags(&self, place: usize, note: &Note, date: DateTime<Utc>, now: DateTime<Utc>) -> Vec<&'static str> {
        let mut flags = note.flags.clone();
        let answered = |(at, other): (usize, &Note)| {
            at != place
                && other.from == AVERY
                && other.folder != Some("Drafts")
                && self.parent(at) == Some(place)
                && self.date(other, now) <= now
        };
        let is_answered = note.from != AVERY && self.notes.iter().enumerate().any(answered);
        if is_answered {
            flags.push("\\Answered");
        }
        if note.folder == Some("Drafts") {
            flags.push("\\Draft");
        }
        let read = is_answered || note.from == AVERY || now - date > TimeDelta::days(UNREAD_DAYS);
        if read && note.folder != Some("Junk") {
            flags.push("\\Seen");
        }
        flags
    }

    fn body(&self, note: &Note, quoted: Option<&Note>, now: DateTime<Utc>) -> Part {
        if let Some(whole) = &note.whole {
            return whole.clone();
        }
        let mut text = note.text.clone();
        if let Some(quoted) = quoted {
            let date = self.date(quoted, now).format("%Y-%m-%d %H:%M").to_string();
            let line = self
                .attribution
                .replace("{date}", &date)
                .replace("{name}", quoted.from.name);
            text.extend(["\n", &line, "\n"]);
            for line in quoted.text.lines() {
                text.extend(["> ", line, "\n"]);
            }
        }
        let mut forms = vec![];
        if !text.is_empty() {
            forms.push(Part::text("text/plain", &text, self.charset, self.transfer));
        }
        if let Some(html) = &note.html {
            let html = Part::text("text/html", html, self.charset, self.transfer);
            forms.push(wrap("related", html, &note.pictures));
        }
        if let Some(ics) = &note.calendar {
            let method = if ics.contains("METHOD:REPLY") {
                "REPLY"
            } else {
                "REQUEST"
            };
            let kind = format!("text/calendar; method={method}");
            forms.push(Part::text(&kind, ics, Charset::UTF_8, Transfer::Base64));
        }
        let body = match forms.pop() {
            Some(only) if forms.is_empty() => only,
            Some(last) => {
                forms.push(last);
                Part::multipart("alternative", forms)
            }
            None => Part::text("text/plain", "", self.charset, Transfer::SevenBit),
        };
        wrap("mixed", body, &note.files)
    }
}

/// The part with others beside it, or alone.
fn wrap(kind: &str, first: Part, others: &[Part]) -> Part {
    if others.is_empty() {
        return first;
    }
    let mut parts = vec![first];
    parts.extend_from_slice(others);
    Part::multipart(kind, parts)
}
