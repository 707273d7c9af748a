//! Tokens of OAuth 2.0: a refresh token is given to a token endpoint for a new access token (RFC 6749, section 6).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use oauth2::{
    AuthType, ClientId, ClientSecret, RefreshToken, RequestTokenError, Scope, StandardErrorResponse,
    TokenResponse, TokenUrl,
    basic::{BasicClient, BasicErrorResponseType},
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    egress::EgressError,
    http::{HttpClient, HttpError},
    imap::{Answer, FailureClass},
};
use crate::model::credentials::{Granted, OAuth2};

/// The longest wait that an endpoint can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);
/// Errors that pass by themselves; `slow_down` is RFC 8628's, the other two belong to another endpoint and are sent all the same.
const PASSING: [&str; 3] = ["temporarily_unavailable", "slow_down", "server_error"];

/// Why no token was granted. No variant carries a token, and none shows one.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The refresh token is not valid, or not any more: `invalid_grant` (RFC 6749, section 5.2).
    #[error("the token endpoint refused the refresh token: {0}")]
    Revoked(Answer),
    /// The endpoint refused the request for another reason, such as a wrong client secret.
    #[error("the token endpoint refused the request: {0}")]
    Refused(Answer),
    /// The endpoint cannot serve just now.
    #[error("the token endpoint is not available: {answer}")]
    Unavailable {
        /// What it said.
        answer: Answer,
        /// How long it asked to wait.
        retry_after: Option<Duration>,
    },
    /// The endpoint did not answer as RFC 6749 says.
    #[error("the token endpoint answered {0}, and not with a token")]
    Malformed(StatusCode),
    /// There was no answer.
    #[error("the token endpoint could not be asked: {0}")]
    Http(#[from] HttpError),
}

impl TokenError {
    /// What this failure means for the next try.
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::Revoked(_) => FailureClass::Credentials,
            Self::Unavailable { retry_after, .. } => FailureClass::Transient {
                retry_after: *retry_after,
            },
            Self::Http(
                HttpError::Egress(EgressError::Unresolved | EgressError::Timeout)
                | HttpError::Timeout
                | HttpError::Failed(_),
            ) => FailureClass::Transient { retry_after: None },
            Self::Refused(_) | Self::Malformed(_) | Self::Http(_) => FailureClass::Permanent,
        }
    }

    /// A stable word for this failure.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Revoked(_) => "credentials_refused",
            Self::Refused(_) => "token_request_refused",
            Self::Unavailable { .. } => "token_endpoint_unavailable",
            Self::Malformed(_) | Self::Http(HttpError::TooLarge) => "token_endpoint_malformed",
            Self::Http(HttpError::Egress(EgressError::Forbidden) | HttpError::Insecure) => {
                "token_endpoint_not_allowed"
            }
            Self::Http(_) => "token_endpoint_unreachable",
        }
    }
}

/// What is kept of the HTTP answer beside its body.
struct Heard {
    status: StatusCode,
    retry_after: Option<Duration>,
}

/// Asks the token endpoint for a new access token. Nothing is tried twice.
///
/// A confidential client proves itself by HTTP Basic, which every endpoint has to take (RFC 6749, section 2.3.1).
pub async fn refresh(http: &HttpClient, tokens: &OAuth2, now: DateTime<Utc>) -> Result<Granted, TokenError> {
    let url = TokenUrl::new(tokens.token_url.clone()).map_err(|_| HttpError::Url)?;
    let mut client = BasicClient::new(ClientId::new(tokens.client_id.clone()))
        .set_token_uri(url)
        .set_auth_type(AuthType::BasicAuth);
    if let Some(secret) = &tokens.client_secret {
        client = client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
    }
    let refresh_token = RefreshToken::new(tokens.refresh_token.expose_secret().to_owned());
    let heard = Arc::new(Mutex::new(None));
    let (own, keep) = (http.clone(), Arc::clone(&heard));
    let send = move |request: http::Request<Vec<u8>>| {
        let (http, keep) = (own.clone(), Arc::clone(&keep));
        async move {
            let answer = http.send(request).await?;
            *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(Heard {
                status: answer.status(),
                retry_after: retry_after(answer.headers(), now),
            });
            Ok::<_, HttpError>(answer)
        }
    };
    let scopes = tokens
        .scope
        .iter()
        .flat_map(|scope| scope.split_ascii_whitespace());
    let asked = client
        .exchange_refresh_token(&refresh_token)
        .add_scopes(scopes.map(|scope| Scope::new(scope.to_owned())))
        .request_async(&send)
        .await;
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner).take();
    let granted = asked.map_err(|error| token_error(error, heard, tokens))?;
    Ok(Granted {
        access_token: granted.access_token().secret().clone().into(),
        refresh_token: granted.refresh_token().map(|token| token.secret().clone().into()),
        expires_in: granted.expires_in(),
    })
}

type Asked = RequestTokenError<HttpError, StandardErrorResponse<BasicErrorResponseType>>;

fn token_error(error: Asked, heard: Option<Heard>, tokens: &OAuth2) -> TokenError {
    let (error, heard) = match (error, heard) {
        (RequestTokenError::Request(error), _) => return error.into(),
        (error, Some(heard)) => (error, heard),
        (_, None) => return HttpError::Url.into(),
    };
    let said = match &error {
        RequestTokenError::ServerResponse(said) => Some(said),
        RequestTokenError::Request(_) | RequestTokenError::Parse(..) | RequestTokenError::Other(_) => None,
    };
    let code = said.map(|said| said.error().as_ref().to_owned());
    let text = said
        .and_then(|said| said.error_description())
        .map_or_else(|| heard.status.to_string(), String::clone);
    let secrets: Vec<&str> = [
        Some(&tokens.refresh_token),
        tokens.access_token.as_ref(),
        tokens.client_secret.as_ref(),
    ]
    .into_iter()
    .flatten()
    .map(SecretString::expose_secret)
    .collect();
    let answer = Answer::new(code.as_deref(), text.as_bytes()).without(&secrets);
    let passing = heard.status.is_server_error()
        || heard.status == StatusCode::TOO_MANY_REQUESTS
        || code.as_deref().is_some_and(|code| PASSING.contains(&code));
    match code.as_deref() {
        _ if passing => TokenError::Unavailable {
            answer,
            retry_after: heard.retry_after,
        },
        Some("invalid_grant") => TokenError::Revoked(answer),
        Some(_) => TokenError::Refused(answer),
        None => TokenError::Malformed(heard.status),
    }
}

/// How long an answer asks to wait, at most an hour: seconds, or a date (RFC 9110, section 10.2.3).
pub fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let date = DateTime::parse_from_rfc2822(text).ok()?;
        (date.to_utc() - now).to_std().ok()?
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_in_seconds_or_from_a_date_and_never_longer_than_an_hour() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        for (text, seconds) in [
            ("7", Some(7)),
            ("999999", Some(3600)),
            ("Tue, 14 Nov 2023 22:13:30 GMT", Some(10)),
            ("Tue, 14 Nov 2023 22:13:10 GMT", None),
            ("soon", None),
            ("-3", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(
                retry_after(&headers, now),
                seconds.map(Duration::from_secs),
                "{text}"
            );
        }
    }
}
