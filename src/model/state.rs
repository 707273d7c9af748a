//! The connection's state machine and its two projections: the detailed `state` and the coarse `status`.

/// What the connection is doing, or what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Created; no connection was tried yet.
    Init,
    /// A connection is being made, without a failure before it.
    Connecting,
    /// Connected; first sync, or catching up after a connect.
    Syncing,
    /// Connected and up to date.
    Connected,
    /// The server refused the credentials.
    AuthenticationError,
    /// The server could not be reached, or broke off.
    ConnectError,
}

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// A connection is about to be made.
    Dialled,
    /// The server took the credentials.
    LoggedIn,
    /// The pass after the connect is done.
    CaughtUp,
    /// The server refused the credentials.
    Refused,
    /// The server could not be reached, or broke off.
    Failed,
    /// The connection was closed by us: disabled, or handed to another node.
    Closed,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 6] = [
        Self::Init,
        Self::Connecting,
        Self::Syncing,
        Self::Connected,
        Self::AuthenticationError,
        Self::ConnectError,
    ];

    /// The word in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Connecting => "connecting",
            Self::Syncing => "syncing",
            Self::Connected => "connected",
            Self::AuthenticationError => "authentication_error",
            Self::ConnectError => "connect_error",
        }
    }

    /// Reads the word that [`Self::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == word)
    }

    /// True after a failure, until a connection succeeds.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::AuthenticationError | Self::ConnectError)
    }

    /// The phase after a signal. A failure stays until a connection succeeds, so that a retry does not flap.
    #[must_use]
    pub const fn after(self, signal: Signal) -> Self {
        match signal {
            Signal::Dialled | Signal::Closed if self.is_failure() => self,
            Signal::Closed if matches!(self, Self::Init) => self,
            Signal::Dialled | Signal::Closed => Self::Connecting,
            Signal::LoggedIn => Self::Syncing,
            Signal::CaughtUp => Self::Connected,
            Signal::Refused => Self::AuthenticationError,
            Signal::Failed => Self::ConnectError,
        }
    }
}

/// What the projections look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Deleted by its tenant.
    pub retired: bool,
    /// Enabled by its tenant.
    pub enabled: bool,
    /// It has credentials that can be tried.
    pub has_credentials: bool,
    /// A connection succeeded at least once.
    pub connected_before: bool,
    /// What the connection is doing.
    pub phase: Phase,
}

/// What the connection is doing, as EmailEngine and Plannr name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Created, connection not tried yet.
    Init,
    /// First sync, or catching up.
    Syncing,
    /// Connection being made.
    Connecting,
    /// Up to date.
    Connected,
    /// The server refused the credentials.
    AuthenticationError,
    /// The server could not be reached, or broke off.
    ConnectError,
    /// No usable credentials yet.
    Unset,
    /// Disabled or deleted.
    Disconnected,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Init,
        Self::Syncing,
        Self::Connecting,
        Self::Connected,
        Self::AuthenticationError,
        Self::ConnectError,
        Self::Unset,
        Self::Disconnected,
    ];

    /// The word in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Syncing => "syncing",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::AuthenticationError => "authentication_error",
            Self::ConnectError => "connect_error",
            Self::Unset => "unset",
            Self::Disconnected => "disconnected",
        }
    }

    /// Reads the word that [`Self::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// The coarse answer derived from the state, as Feather names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Not connected yet.
    Pending,
    /// Connected.
    Active,
    /// Disabled.
    Paused,
    /// The server could not be reached.
    Error,
    /// The credentials were refused.
    NeedsReauth,
    /// Deleted.
    Retired,
}

/// The two projections: the first row of the contract's table that fits.
pub const fn project(facts: Facts) -> (State, Status) {
    if facts.retired {
        return (State::Disconnected, Status::Retired);
    }
    if !facts.enabled {
        return (State::Disconnected, Status::Paused);
    }
    if !facts.has_credentials {
        return (State::Unset, Status::Pending);
    }
    match facts.phase {
        Phase::Init => (State::Init, Status::Pending),
        Phase::Connecting if facts.connected_before => (State::Connecting, Status::Active),
        Phase::Connecting => (State::Connecting, Status::Pending),
        Phase::Syncing => (State::Syncing, Status::Active),
        Phase::Connected => (State::Connected, Status::Active),
        Phase::AuthenticationError => (State::AuthenticationError, Status::NeedsReauth),
        Phase::ConnectError => (State::ConnectError, Status::Error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_contracts_table() {
        use Phase::{AuthenticationError, ConnectError, Connected, Connecting, Init, Syncing};
        for phase in Phase::ALL {
            for connected_before in [false, true] {
                let facts = |retired, enabled, has_credentials| Facts {
                    retired,
                    enabled,
                    has_credentials,
                    connected_before,
                    phase,
                };
                for (enabled, has_credentials) in [(false, false), (false, true), (true, false), (true, true)]
                {
                    let retired = project(facts(true, enabled, has_credentials));
                    assert_eq!(retired, (State::Disconnected, Status::Retired));
                }
                for has_credentials in [false, true] {
                    let disabled = project(facts(false, false, has_credentials));
                    assert_eq!(disabled, (State::Disconnected, Status::Paused));
                }
                assert_eq!(
                    project(facts(false, true, false)),
                    (State::Unset, Status::Pending)
                );
                let expected = match (phase, connected_before) {
                    (Init, _) => (State::Init, Status::Pending),
                    (Connecting, false) => (State::Connecting, Status::Pending),
                    (Connecting, true) => (State::Connecting, Status::Active),
                    (Syncing, _) => (State::Syncing, Status::Active),
                    (Connected, _) => (State::Connected, Status::Active),
                    (AuthenticationError, _) => (State::AuthenticationError, Status::NeedsReauth),
                    (ConnectError, _) => (State::ConnectError, Status::Error),
                };
                assert_eq!(project(facts(false, true, true)), expected);
            }
        }
    }

    #[test]
    fn a_failure_stays_until_a_connection_succeeds() {
        for failure in [Phase::AuthenticationError, Phase::ConnectError] {
            assert_eq!(failure.after(Signal::Dialled), failure);
            assert_eq!(failure.after(Signal::Closed), failure);
            assert_eq!(failure.after(Signal::LoggedIn), Phase::Syncing);
        }
        assert_eq!(Phase::Init.after(Signal::Dialled), Phase::Connecting);
        assert_eq!(Phase::Init.after(Signal::Closed), Phase::Init);
        assert_eq!(Phase::Connected.after(Signal::Closed), Phase::Connecting);
        assert_eq!(Phase::Connected.after(Signal::Failed), Phase::ConnectError);
        assert_eq!(Phase::Syncing.after(Signal::CaughtUp), Phase::Connected);
        assert_eq!(
            Phase::Connecting.after(Signal::Refused),
            Phase::AuthenticationError
        );
    }
}
