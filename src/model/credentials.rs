//! How to log in to a mail server: a password, or tokens of OAuth 2.0 (RFC 6749).

use std::{fmt, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;

/// Which kind of secret a login has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Auth {
    /// A password.
    Password,
    /// Tokens of OAuth 2.0.
    OAuth2,
}

impl Auth {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Password, Self::OAuth2];

    /// The word in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::OAuth2 => "oauth2",
        }
    }

    /// Reads the word that [`Self::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|auth| auth.as_str() == word)
    }
}

/// What proves who logs in.
#[derive(Clone)]
pub enum Secret {
    /// A password.
    Password(SecretString),
    /// Tokens of OAuth 2.0.
    OAuth2(Box<OAuth2>),
}

impl Secret {
    /// Which kind it is.
    pub const fn auth(&self) -> Auth {
        match self {
            Self::Password(_) => Auth::Password,
            Self::OAuth2(_) => Auth::OAuth2,
        }
    }

    /// What a mail server is shown: the password, or the access token where there is one.
    pub fn presented(&self) -> Option<&SecretString> {
        match self {
            Self::Password(password) => Some(password),
            Self::OAuth2(tokens) => tokens.access_token.as_ref(),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.auth().as_str())
    }
}

/// Tokens of OAuth 2.0, and where new ones come from (RFC 6749, section 6).
#[derive(Clone)]
pub struct OAuth2 {
    /// The token endpoint.
    pub token_url: String,
    /// Who asks.
    pub client_id: String,
    /// What a confidential client proves itself with.
    pub client_secret: Option<SecretString>,
    /// What gets a new access token.
    pub refresh_token: SecretString,
    /// What logs in; none was fetched yet when missing.
    pub access_token: Option<SecretString>,
    /// When the access token ends, where that is known.
    pub expires_at: Option<DateTime<Utc>>,
    /// When four fifths of the access token's life are over.
    pub refresh_at: Option<DateTime<Utc>>,
    /// What is asked for; what was granted first when missing.
    pub scope: Option<String>,
}

/// What a token endpoint granted (RFC 6749, section 5.1).
pub struct Granted {
    /// The new access token.
    pub access_token: SecretString,
    /// The refresh token that takes the place of the one before, where the endpoint rotates them.
    pub refresh_token: Option<SecretString>,
    /// How long the access token lives, where that is told.
    pub expires_in: Option<Duration>,
}

impl OAuth2 {
    /// The same tokens with the time of the next refresh set, seen from `now`, when they were given.
    #[must_use]
    pub fn given(mut self, now: DateTime<Utc>) -> Self {
        self.refresh_at = self
            .expires_at
            .map(|end| now + (end - now).max(TimeDelta::zero()) * 4 / 5);
        self
    }

    /// The tokens after a refresh.
    #[must_use]
    pub fn granted(mut self, granted: Granted, now: DateTime<Utc>) -> Self {
        self.access_token = Some(granted.access_token);
        self.refresh_token = granted.refresh_token.unwrap_or(self.refresh_token);
        let life = granted.expires_in.and_then(|life| TimeDelta::from_std(life).ok());
        self.expires_at = life.and_then(|life| now.checked_add_signed(life));
        self.given(now)
    }

    /// True when there is no access token, or four fifths of its life are over.
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.access_token.is_none() || self.refresh_at.is_some_and(|at| at <= now)
    }

    /// True when there is an access token that has not ended.
    pub fn is_usable(&self, now: DateTime<Utc>) -> bool {
        self.access_token.is_some() && self.expires_at.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    fn tokens() -> OAuth2 {
        OAuth2 {
            token_url: "https://id.example.org/token".to_owned(),
            client_id: "desk".to_owned(),
            client_secret: None,
            refresh_token: "r1".into(),
            access_token: None,
            expires_at: None,
            refresh_at: None,
            scope: None,
        }
    }

    #[test]
    fn a_refresh_is_due_at_four_fifths_of_life_and_keeps_what_is_not_rotated() {
        assert!(tokens().is_due(at(0)) && !tokens().is_usable(at(0)));
        let granted = |refresh: Option<&str>| Granted {
            access_token: "a1".into(),
            refresh_token: refresh.map(SecretString::from),
            expires_in: Some(Duration::from_secs(1000)),
        };
        let first = tokens().granted(granted(None), at(0));
        assert_eq!(first.refresh_token.expose_secret(), "r1");
        assert!(!first.is_due(at(799)) && first.is_due(at(800)));
        assert!(first.is_usable(at(999)) && !first.is_usable(at(1000)));
        let second = first.granted(granted(Some("r2")), at(2000));
        assert_eq!(second.refresh_token.expose_secret(), "r2");
        assert!(!second.is_due(at(2799)));
        let mut ended = tokens();
        ended.access_token = Some("a0".into());
        assert!(
            !ended.clone().given(at(0)).is_due(at(1_000_000)),
            "its life is not known"
        );
        ended.expires_at = Some(at(-1));
        assert!(ended.given(at(0)).is_due(at(0)));
    }

    #[test]
    fn nothing_secret_is_printed() {
        assert_eq!(format!("{:?}", Secret::Password("hunter2".into())), "password");
        assert_eq!(format!("{:?}", Secret::OAuth2(Box::new(tokens()))), "oauth2");
    }
}
