//! Tokens of OAuth 2.0 that come in; none is ever answered.

use poem_openapi::{
    Object,
    types::{Example, Password},
};
use secrecy::SecretString;
use url::Url;

use super::{Time, check::Faults};
use crate::model;

/// The longest token or client secret, in characters.
const MAX_TOKEN: usize = 16_384;
/// The longest of the other fields, in characters.
const MAX_TEXT: usize = 2_048;

/// Tokens of OAuth 2.0 that were granted to a client of your own (RFC 6749). The mailbox logs in with the access token, by
/// XOAUTH2 or OAUTHBEARER as the server offers, and gets new ones with the refresh token. Where the token endpoint rotates
/// refresh tokens, give this one to nobody else. The tokens and the client secret are encrypted before they are stored, and
/// never answered.
#[derive(Clone, Object)]
#[oai(
    rename = "OAuth2Credentials",
    deny_unknown_fields,
    skip_serializing_if_is_none,
    example
)]
pub struct OAuth2 {
    /// The token endpoint, an `https` URL.
    #[oai(validator(min_length = 1, max_length = 2048))]
    pub token_url: String,
    /// The client that the tokens were granted to.
    #[oai(validator(min_length = 1, max_length = 2048))]
    pub client_id: String,
    /// What a confidential client proves itself with; public clients have none.
    #[oai(validator(min_length = 1, max_length = 16384))]
    pub client_secret: Option<Password>,
    /// What gets new access tokens.
    #[oai(validator(min_length = 1, max_length = 16384))]
    pub refresh_token: Password,
    /// What logs in; fetched with the refresh token when left out.
    #[oai(validator(min_length = 1, max_length = 16384))]
    pub access_token: Option<Password>,
    /// When the access token ends; when left out, it is used until it is refused.
    pub expires_at: Option<Time>,
    /// What to ask for at each refresh, separated by spaces; what was granted first when left out.
    #[oai(validator(min_length = 1, max_length = 2048))]
    pub scope: Option<String>,
}

impl OAuth2 {
    /// Checks the fields; `path` is that of the object in the body.
    pub(super) fn into_model(self, path: &str, faults: &mut Faults) -> model::credentials::OAuth2 {
        let Self {
            token_url,
            client_id,
            client_secret,
            refresh_token,
            access_token,
            expires_at,
            scope,
        } = self;
        let field = |name: &str| format!("{path}.{name}");
        if !is_endpoint(&token_url) {
            let detail =
                "A URL such as https://login.example.org/token, without user information and fragment.";
            faults.add(&field("token_url"), detail);
        }
        faults.at_most(&field("token_url"), &token_url, MAX_TEXT);
        faults.credential(&field("client_id"), &client_id, MAX_TEXT);
        if let Some(scope) = &scope {
            faults.credential(&field("scope"), scope, MAX_TEXT);
        }
        let mut secret = |name: &str, token: Password| {
            faults.token(&field(name), &token.0, MAX_TOKEN);
            SecretString::from(token.0)
        };
        model::credentials::OAuth2 {
            token_url,
            client_id,
            client_secret: client_secret.map(|token| secret("client_secret", token)),
            refresh_token: secret("refresh_token", refresh_token),
            access_token: access_token.map(|token| secret("access_token", token)),
            expires_at: expires_at.map(|time| time.at),
            refresh_at: None,
            scope,
        }
    }
}

/// An absolute URL of `https`, or of `http`, which is used only for addresses that the operator names.
fn is_endpoint(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    })
}

impl Example for OAuth2 {
    fn example() -> Self {
        Self {
            token_url: "https://login.example.org/oauth2/token".into(),
            client_id: "a1b2c3".into(),
            client_secret: Some(Password("client-secret".into())),
            refresh_token: Password("refresh-token".into()),
            access_token: None,
            expires_at: None,
            scope: None,
        }
    }
}
