//! Short-lived tokens that are made from an API key.

use chrono::{DateTime, Utc};
use poem_openapi::{Object, types::Example};
use secrecy::{ExposeSecret, SecretString};

use super::{
    Time,
    api_key::{Scope, scope_set, scopes},
    check::Faults,
    example,
};
use crate::model::{Result, scope::ScopeSet};

/// A token to make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
pub struct CreateToken {
    /// What it may do: nothing that the key may not. Left out or null, all that the key may.
    #[oai(nullable, validator(min_items = 1, max_items = 32))]
    pub scopes: Option<Vec<Scope>>,
}

impl CreateToken {
    /// Checks the fields; answers the scopes asked for.
    pub fn into_model(self) -> Result<Option<ScopeSet>> {
        let Self { scopes } = self;
        let mut faults = Faults::default();
        let set = scopes.map(|scopes| scope_set(scopes, &mut faults));
        faults.or(set)
    }
}

impl Example for CreateToken {
    fn example() -> Self {
        Self {
            scopes: Some(vec![Scope::MessagesRead]),
        }
    }
}

/// A token: a JWT that is sent as `Authorization: Bearer TOKEN`.
#[derive(Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Token {
    /// The token itself.
    pub access_token: String,
    /// Always `Bearer` (RFC 6750).
    pub token_type: String,
    /// How long it works, in seconds.
    pub expires_in: i64,
    /// When it stops working.
    pub expires_at: Time,
    /// What it may do.
    pub scopes: Vec<Scope>,
}

impl Token {
    /// The answer of a token that was made at `now`.
    pub fn new(token: &SecretString, set: ScopeSet, now: DateTime<Utc>, expires_at: DateTime<Utc>) -> Self {
        Self {
            access_token: token.expose_secret().to_owned(),
            token_type: "Bearer".into(),
            expires_in: (expires_at - now).num_seconds(),
            expires_at: expires_at.into(),
            scopes: scopes(set),
        }
    }
}

impl Example for Token {
    fn example() -> Self {
        Self {
            access_token: "eyJhbGciOiJIUzI1NiJ9…".into(),
            token_type: "Bearer".into(),
            expires_in: 900,
            expires_at: example::at().into(),
            scopes: vec![Scope::MessagesRead],
        }
    }
}
