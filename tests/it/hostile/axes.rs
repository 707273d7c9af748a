//! The two axes of the table, and what is to be seen in each of its cells.

/// What the server is asked when it misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Greeting,
    Capability,
    Id,
    StartTls,
    Login,
    Authenticate,
    Enable,
    List,
    Status,
    Examine,
    Search,
    FetchMetadata,
    /// With the header fields by which a new generation is recognised.
    FetchFields,
    FetchFlags,
    FetchHeader,
    FetchBody,
    /// Rows and small messages at once, when new mail is told of.
    FetchTold,
    Idle,
    /// While it idles, unasked.
    Idling,
    Done,
    Noop,
    Logout,
}

/// What it does instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misbehaviour {
    No,
    /// NO with a code that says that it will pass.
    NotNow,
    Bad,
    /// A tagged status that there is not.
    Perhaps,
    /// A tagged OK without what was asked for.
    BareOk,
    WrongTag,
    /// `+` where nothing is left to send.
    Plus,
    Bye,
    Eof,
    /// The end of the connection in the middle of the answer.
    HalfAnswer,
    Stall,
    /// Untagged lines, a byte at a time, for ever.
    Drip,
    /// Lines of nonsense before the answer.
    Garbage,
    /// A mebibyte of untagged responses before the answer.
    Flood,
    EndlessLine,
    LiteralTooLong,
    LiteralTooShort,
    LiteralHuge,
}

/// What is to be seen while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// `connect_error` with one of these codes.
    Fails(&'static [&'static str]),
    /// `authentication_error` after two tries.
    Refused,
    /// `connected`, and everything is there.
    Holds,
    /// `connected`, and something waits until the server says it.
    Lags,
    /// `connected`, and one message is set aside.
    SetsAside,
}

impl Command {
    pub(super) const ALL: [Self; 22] = [
        Self::Greeting,
        Self::Capability,
        Self::Id,
        Self::StartTls,
        Self::Login,
        Self::Authenticate,
        Self::Enable,
        Self::List,
        Self::Status,
        Self::Examine,
        Self::Search,
        Self::FetchMetadata,
        Self::FetchFields,
        Self::FetchFlags,
        Self::FetchHeader,
        Self::FetchBody,
        Self::FetchTold,
        Self::Idle,
        Self::Idling,
        Self::Done,
        Self::Noop,
        Self::Logout,
    ];

    /// True for the client's line that gives this command; what is not asked for by a line is none.
    pub(super) fn is(self, line: &str) -> bool {
        let rest = line.split_once(' ').map_or(line, |(_, rest)| rest);
        let fetch = |part: &str| rest.starts_with("UID FETCH") && rest.contains(part);
        match self {
            Self::Greeting | Self::Idling | Self::Noop => false,
            Self::Capability => rest == "CAPABILITY",
            Self::Id => rest.starts_with("ID "),
            Self::StartTls => rest == "STARTTLS",
            Self::Login => rest.starts_with("LOGIN "),
            Self::Authenticate => rest.starts_with("AUTHENTICATE "),
            Self::Enable => rest.starts_with("ENABLE "),
            Self::List => rest.starts_with("LIST "),
            Self::Status => rest.starts_with("STATUS "),
            Self::Examine => rest.starts_with("EXAMINE "),
            Self::Search => rest.starts_with("UID SEARCH "),
            Self::FetchMetadata => fetch("RFC822.SIZE") && !fetch("BODY"),
            Self::FetchFields => fetch("BODY.PEEK[HEADER.FIELDS"),
            Self::FetchFlags => fetch("(UID FLAGS MODSEQ)"),
            Self::FetchHeader => fetch("BODY.PEEK[HEADER])"),
            Self::FetchBody => fetch("BODY.PEEK[])"),
            Self::FetchTold => fetch("BODY.PEEK[]<0."),
            Self::Idle => rest == "IDLE",
            Self::Done => line == "DONE",
            Self::Logout => rest == "LOGOUT",
        }
    }

    /// True when its answer has bytes of a message in it.
    pub(super) fn has_bytes(self) -> bool {
        matches!(
            self,
            Self::FetchFields | Self::FetchHeader | Self::FetchBody | Self::FetchTold
        )
    }
}

impl Misbehaviour {
    pub(super) const ALL: [Self; 18] = [
        Self::No,
        Self::NotNow,
        Self::Bad,
        Self::Perhaps,
        Self::BareOk,
        Self::WrongTag,
        Self::Plus,
        Self::Bye,
        Self::Eof,
        Self::HalfAnswer,
        Self::Stall,
        Self::Drip,
        Self::Garbage,
        Self::Flood,
        Self::EndlessLine,
        Self::LiteralTooLong,
        Self::LiteralTooShort,
        Self::LiteralHuge,
    ];

    fn is_refusal(self) -> bool {
        matches!(self, Self::No | Self::NotNow | Self::Bad)
    }
}

const REFUSED: Outcome = Outcome::Fails(&["command_refused"]);
const VIOLATED: Outcome = Outcome::Fails(&["protocol_violation"]);
const TIMED_OUT: Outcome = Outcome::Fails(&["timeout"]);

/// What is to be seen in a cell, or why there is no such cell.
#[expect(clippy::match_same_arms, reason = "each row of the table says why it is so")]
pub(super) fn expected(command: Command, how: Misbehaviour) -> Result<Outcome, &'static str> {
    use Command as C;
    use Misbehaviour as M;
    if let Some(why) = impossible(command, how) {
        return Err(why);
    }
    Ok(match (command, how) {
        // Nothing depends on what is said after the goodbye.
        (C::Logout, _) => Outcome::Holds,
        // What it does not bring, the next pass does, which asks in another way.
        (C::FetchTold, _) => Outcome::Holds,
        // A greeting is one status response, and has no tag.
        (C::Greeting, M::Bye) => Outcome::Fails(&["server_closed"]),
        (C::Greeting, M::Eof | M::HalfAnswer) => Outcome::Fails(&["connection_lost"]),
        (C::Greeting, M::Stall | M::LiteralTooLong) => TIMED_OUT,
        (C::Greeting, _) => VIOLATED,
        // The refusal of a login is one of the credentials, unless it says that it will pass.
        (C::Login | C::Authenticate, M::No) => Outcome::Refused,
        (C::Login | C::Authenticate, M::NotNow) => Outcome::Fails(&["login_unavailable"]),
        // A mechanism that is not understood leaves the LOGIN command.
        (C::Authenticate, M::Bad) => Outcome::Holds,
        // It is answered as the challenge that comes before a refusal.
        (C::Login | C::Authenticate, M::Plus) => TIMED_OUT,
        // It goes without these, too.
        (C::Id | C::Enable | C::Idle | C::Status, how) if how.is_refusal() => Outcome::Holds,
        (C::Id | C::Enable, M::BareOk) => Outcome::Holds,
        // An OK that ends IDLE at once is an end of IDLE.
        (C::Idle | C::Idling, M::BareOk) => Outcome::Holds,
        // The rows themselves are asked for then.
        (C::Search, M::BareOk) => Outcome::Holds,
        // Their UIDs were found, so their bytes are asked for all the same.
        (C::FetchMetadata | C::FetchFields, M::BareOk) => Outcome::Holds,
        // "No flag has changed" is a good answer; only what the mod-sequence says speaks against it.
        (C::FetchFlags, M::BareOk) => Outcome::Lags,
        // It is about this message alone: the others were given out on the same connection.
        (C::FetchHeader, M::No | M::Bad) => Outcome::SetsAside,
        // What comes while it idles is a hint at most.
        (C::Idling, M::Drip | M::WrongTag | M::Plus | M::LiteralTooLong) => Outcome::Holds,
        (C::Done, M::Plus) => TIMED_OUT,
        (command, M::LiteralTooLong) if command.has_bytes() => {
            Outcome::Fails(&["protocol_violation", "timeout"])
        }
        (command, M::LiteralTooShort) if command.has_bytes() => VIOLATED,
        (_, M::No | M::NotNow | M::Bad) => REFUSED,
        (_, M::Perhaps | M::BareOk | M::Plus | M::EndlessLine | M::LiteralHuge) => VIOLATED,
        (_, M::Bye) => Outcome::Fails(&["server_closed"]),
        (_, M::Eof | M::HalfAnswer) => Outcome::Fails(&["connection_lost"]),
        (_, M::Stall | M::Drip | M::WrongTag | M::LiteralTooLong) => TIMED_OUT,
        (_, M::Garbage | M::Flood | M::LiteralTooShort) => Outcome::Holds,
    })
}

fn impossible(command: Command, how: Misbehaviour) -> Option<&'static str> {
    use Command as C;
    use Misbehaviour as M;
    match (command, how) {
        (C::Noop, _) => Some("a sync never gives NOOP; the table of the session has it"),
        (C::Greeting, M::BareOk) => Some("a bare OK is a good greeting"),
        (C::StartTls | C::Login | C::Authenticate | C::Done | C::Logout, M::BareOk) => {
            Some("a bare OK is its good answer")
        }
        (C::Idle, M::Plus) => Some("`+` is what IDLE waits for"),
        (C::Idle, M::WrongTag) => Some("the beginning of IDLE has no tag"),
        (C::Idling, M::HalfAnswer) => Some("nothing is being answered"),
        (C::Idling, M::Stall) => Some("silence is what IDLE is; a peer that died is found by keepalive"),
        _ => None,
    }
}
