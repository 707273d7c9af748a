//! Whose mailbox it is: plain IMAP, Gmail or Microsoft, recognised from the host.

/// The kind of account behind a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    /// Any IMAP server.
    Imap,
    /// Gmail and Google Workspace.
    Gmail,
    /// Outlook.com and Microsoft 365.
    Microsoft,
}

/// Host names, and suffixes of host names, that tell a provider.
const HOSTS: [(&str, Provider); 8] = [
    ("imap.gmail.com", Provider::Gmail),
    ("imap.googlemail.com", Provider::Gmail),
    ("gmail-imap.l.google.com", Provider::Gmail),
    ("outlook.office365.com", Provider::Microsoft),
    ("outlook.office.com", Provider::Microsoft),
    ("imap-mail.outlook.com", Provider::Microsoft),
    ("imap.outlook.com", Provider::Microsoft),
    ("partner.outlook.cn", Provider::Microsoft),
];

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 3] = [Self::Imap, Self::Gmail, Self::Microsoft];

    /// The word on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Gmail => "gmail",
            Self::Microsoft => "microsoft",
        }
    }

    /// Reads the word that [`Self::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == word)
    }

    /// Recognises the provider from the IMAP host; anything else is plain IMAP.
    pub fn of_host(host: &str) -> Self {
        let host = host.trim().trim_end_matches('.').to_ascii_lowercase();
        HOSTS
            .into_iter()
            .find(|(known, _)| {
                host == *known || host.strip_suffix(known).is_some_and(|rest| rest.ends_with('.'))
            })
            .map_or(Self::Imap, |(_, provider)| provider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_tells_its_provider() {
        for (host, provider) in [
            ("imap.gmail.com", Provider::Gmail),
            ("IMAP.GMAIL.COM.", Provider::Gmail),
            ("outlook.office365.com", Provider::Microsoft),
            ("eu.outlook.office365.com", Provider::Microsoft),
            ("notimap.gmail.com.evil.example", Provider::Imap),
            ("xoutlook.office365.com", Provider::Imap),
            ("mail.example.org", Provider::Imap),
        ] {
            assert_eq!(Provider::of_host(host), provider, "{host}");
        }
    }
}
