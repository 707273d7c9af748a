//! What a credential may do.

/// One permission of an API key or a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Scope {
    /// Read mailboxes, folders, agents and teams.
    MailboxesRead,
    /// Connect, change and delete mailboxes, agents and teams.
    MailboxesWrite,
    /// Read messages, threads and attachments.
    MessagesRead,
    /// Change messages.
    MessagesWrite,
    /// Send messages.
    MessagesSend,
    /// Read webhook endpoints, deliveries and events.
    WebhooksRead,
    /// Change webhook endpoints.
    WebhooksWrite,
    /// Create, change and delete members.
    MembersWrite,
    /// Create, rotate and revoke API keys.
    KeysWrite,
    /// Change the tenant's own profile and settings.
    TenantWrite,
    /// Read the audit log and usage.
    AuditRead,
    /// Everything about tenants: the platform admin key.
    PlatformAdmin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 12] = [
        Self::MailboxesRead,
        Self::MailboxesWrite,
        Self::MessagesRead,
        Self::MessagesWrite,
        Self::MessagesSend,
        Self::WebhooksRead,
        Self::WebhooksWrite,
        Self::MembersWrite,
        Self::KeysWrite,
        Self::TenantWrite,
        Self::AuditRead,
        Self::PlatformAdmin,
    ];

    /// The word on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MailboxesRead => "mailboxes:read",
            Self::MailboxesWrite => "mailboxes:write",
            Self::MessagesRead => "messages:read",
            Self::MessagesWrite => "messages:write",
            Self::MessagesSend => "messages:send",
            Self::WebhooksRead => "webhooks:read",
            Self::WebhooksWrite => "webhooks:write",
            Self::MembersWrite => "members:write",
            Self::KeysWrite => "keys:write",
            Self::TenantWrite => "tenant:write",
            Self::AuditRead => "audit:read",
            Self::PlatformAdmin => "platform:admin",
        }
    }

    /// Reads the word that [`Self::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScopeSet(u16);

impl ScopeSet {
    /// No scope.
    pub const EMPTY: Self = Self(0);

    /// Every scope that a tenant's key can have: all but `platform:admin`.
    pub fn tenant() -> Self {
        Scope::ALL
            .into_iter()
            .filter(|scope| *scope != Scope::PlatformAdmin)
            .collect()
    }

    /// True when the set has this scope.
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    /// True when this set has every scope of the other.
    pub const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// The scopes in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// True when the set has no scope.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }

    /// The scopes' words, separated by spaces (RFC 8693 writes a token's `scope` so).
    pub fn to_words(self) -> String {
        self.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Reads the words that [`Self::to_words`] writes; a word that is no scope is passed over.
    pub fn from_words(words: &str) -> Self {
        words.split_ascii_whitespace().filter_map(Scope::parse).collect()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | 1 << scope as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_as_the_same_set() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
        }
        let set: ScopeSet = [Scope::MessagesRead, Scope::AuditRead].into_iter().collect();
        assert_eq!(ScopeSet::from_words(&set.to_words()), set);
        assert!(ScopeSet::tenant().covers(set));
        assert!(!set.covers(ScopeSet::tenant()));
        assert!(!ScopeSet::tenant().contains(Scope::PlatformAdmin));
    }
}
