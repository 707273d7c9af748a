//! Short-lived tokens: an API key is exchanged for a JWT (RFC 7519) signed with EdDSA (RFC 8037).

use chrono::{DateTime, Utc};
use ed25519_dalek::SigningKey;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{App, vault::Vault};
use crate::model::{
    Error, Result,
    caller::Caller,
    error::{Forbidden, Unauthenticated},
    id::{self, TenantId},
    scope::ScopeSet,
};

/// How long a token lives, in seconds.
pub const LIFETIME: i64 = 15 * 60;
/// What clocks may differ by, in seconds.
const LEEWAY: u64 = 30;
const AUDIENCE: &str = "postroom";
/// PKCS #8 (RFC 8410) of an Ed25519 key, up to the seed.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A token that was made.
#[derive(Debug, Clone)]
pub struct Token {
    /// The JWT.
    pub text: String,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// What it may do.
    pub scopes: ScopeSet,
}

/// What a valid token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// The tenant.
    pub tenant: TenantId,
    /// The key that it was made from.
    pub key: Uuid,
    /// What it may do.
    pub scopes: ScopeSet,
}

#[derive(Serialize, Deserialize)]
struct WireClaims {
    iss: String,
    aud: String,
    sub: Uuid,
    tenant: Uuid,
    scope: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: Uuid,
}

/// Signs and checks tokens.
pub struct Tokens {
    issuer: String,
    signing: EncodingKey,
    checking: DecodingKey,
}

impl Tokens {
    /// Derives the signing key from the vault.
    pub fn new(vault: &Vault, issuer: &str) -> Result<Self> {
        let seed = vault.derive("tokens")?;
        let public = SigningKey::from_bytes(&seed).verifying_key().to_bytes();
        let mut pkcs8 = zeroize::Zeroizing::new(PKCS8_PREFIX.to_vec());
        pkcs8.extend(seed.iter());
        Ok(Self {
            issuer: issuer.to_owned(),
            signing: EncodingKey::from_ed_der(&pkcs8),
            checking: DecodingKey::from_ed_der(&public),
        })
    }

    /// Signs a token.
    pub fn sign(&self, claims: Claims, now: DateTime<Utc>, lifetime: i64) -> Result<String> {
        let seconds = now.timestamp();
        let wire = WireClaims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: claims.key,
            tenant: claims.tenant.0,
            scope: claims.scopes.to_words(),
            iat: seconds,
            nbf: seconds,
            exp: seconds + lifetime,
            jti: id::new(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &wire, &self.signing).map_err(Error::internal)
    }

    /// Checks a token: one algorithm, our issuer and audience, and its times with 30 s of leeway.
    pub fn check(&self, text: &str, now: DateTime<Utc>) -> Result<Claims> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library asks the machine's clock; ours is asked below.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = jsonwebtoken::decode::<WireClaims>(text, &self.checking, &validation)
            .map_err(|_| Error::Unauthenticated(Unauthenticated::Unknown))?
            .claims;
        let (now, leeway) = (now.timestamp(), i64::try_from(LEEWAY).unwrap_or_default());
        if claims.exp + leeway <= now {
            return Err(Error::Unauthenticated(Unauthenticated::Expired));
        }
        if claims.nbf - leeway > now {
            return Err(Error::Unauthenticated(Unauthenticated::Unknown));
        }
        Ok(Claims {
            tenant: TenantId(claims.tenant),
            key: claims.sub,
            scopes: ScopeSet::from_words(&claims.scope),
        })
    }
}

/// Makes a token of the caller's scopes, or of fewer. It lives 15 minutes, or as long as its key where that is less.
pub fn create(app: &App, caller: &Caller, scopes: Option<ScopeSet>) -> Result<Token> {
    let scopes = scopes.unwrap_or(caller.scopes);
    if !caller.scopes.covers(scopes) {
        return Err(Error::Forbidden(Forbidden::Broader));
    }
    let now = app.clock.now();
    let left = caller
        .key
        .expires_at
        .map_or(LIFETIME, |end| (end - now).num_seconds());
    let lifetime = left.clamp(0, LIFETIME);
    let text = app.tokens.sign(
        Claims {
            tenant: caller.tenant_id,
            key: caller.key.id,
            scopes,
        },
        now,
        lifetime,
    )?;
    Ok(Token {
        text,
        expires_at: now + chrono::TimeDelta::seconds(lifetime),
        scopes,
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::model::scope::Scope;

    #[test]
    fn a_token_is_good_for_its_time_its_issuer_and_its_key() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let vault = Vault::new(&[[7; 32]]).unwrap();
        let tokens = Tokens::new(&vault, "https://a.example").unwrap();
        let claims = Claims {
            tenant: TenantId(Uuid::from_u128(1)),
            key: Uuid::from_u128(2),
            scopes: [Scope::MessagesRead].into_iter().collect(),
        };
        let text = tokens.sign(claims, now, LIFETIME).unwrap();
        assert_eq!(tokens.check(&text, now).unwrap(), claims);
        assert_eq!(
            tokens
                .check(&text, now + TimeDelta::seconds(LIFETIME + 29))
                .unwrap(),
            claims
        );
        let expired = tokens.check(&text, now + TimeDelta::seconds(LIFETIME + 30));
        assert!(matches!(
            expired,
            Err(Error::Unauthenticated(Unauthenticated::Expired))
        ));
        assert!(tokens.check(&text, now - TimeDelta::seconds(31)).is_err());
        assert!(
            Tokens::new(&vault, "https://b.example")
                .unwrap()
                .check(&text, now)
                .is_err()
        );
        let other = Vault::new(&[[8; 32]]).unwrap();
        assert!(
            Tokens::new(&other, "https://a.example")
                .unwrap()
                .check(&text, now)
                .is_err()
        );
        // The same claims, unsigned, and signed with another algorithm and the public key as its secret.
        let mut parts = text.split('.');
        let (_, body) = (parts.next(), parts.next().unwrap());
        assert!(
            tokens
                .check(&format!("eyJhbGciOiJub25lIn0.{body}."), now)
                .is_err()
        );
        assert!(
            tokens
                .check(&format!("eyJhbGciOiJIUzI1NiJ9.{body}.AAAA"), now)
                .is_err()
        );
    }
}
