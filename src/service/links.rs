//! Signed links: an attachment's content for whoever holds the link, for a limited time.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use super::vault::{Key, Vault};
use crate::model::{Error, Result, error::Unauthenticated, id::TenantId};

/// How long a link works, in minutes.
pub const LIFETIME_MINUTES: i64 = 60;
const MAC: usize = 32;

/// Signs and checks links.
pub struct Links {
    key: Key,
    base: String,
}

/// What a valid link leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The tenant.
    pub tenant: TenantId,
    /// The attachment.
    pub attachment: Uuid,
}

impl Links {
    /// Derives the signing key from the vault; links begin with `base`.
    pub fn new(vault: &Vault, base: &str) -> Result<Self> {
        Ok(Self {
            key: vault.derive("links")?,
            base: base.to_owned(),
        })
    }

    /// A link to an attachment's content.
    pub fn to_attachment(&self, link: Link, now: DateTime<Utc>) -> String {
        let ends = (now + TimeDelta::minutes(LIFETIME_MINUTES)).timestamp();
        let mut bytes = Vec::with_capacity(40 + MAC);
        bytes.extend(link.tenant.0.as_bytes());
        bytes.extend(link.attachment.as_bytes());
        bytes.extend(ends.to_be_bytes());
        if let Ok(mac) = Hmac::<Sha256>::new_from_slice(self.key.as_slice()) {
            let mac = mac.chain_update(&bytes).finalize().into_bytes();
            bytes.extend(mac);
        }
        format!("{}/downloads/{}", self.base, URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads the last part of a link's path.
    pub fn check(&self, token: &str, now: DateTime<Utc>) -> Result<Link> {
        let refused = || Error::Unauthenticated(Unauthenticated::Link);
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| refused())?;
        let (signed, mac) = bytes.split_at_checked(40).ok_or_else(refused)?;
        Hmac::<Sha256>::new_from_slice(self.key.as_slice())
            .map_err(Error::internal)?
            .chain_update(signed)
            .verify_slice(mac)
            .map_err(|_| refused())?;
        let (ids, ends) = signed.split_at_checked(32).ok_or_else(refused)?;
        let (tenant, attachment) = ids.split_at_checked(16).ok_or_else(refused)?;
        let ends = i64::from_be_bytes(ends.try_into().map_err(|_| refused())?);
        if ends <= now.timestamp() {
            return Err(refused());
        }
        Ok(Link {
            tenant: TenantId(Uuid::from_slice(tenant).map_err(|_| refused())?),
            attachment: Uuid::from_slice(attachment).map_err(|_| refused())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_works_for_an_hour_and_only_as_it_was_made() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let links = Links::new(&Vault::new(&[[7; 32]]).unwrap(), "https://a.example").unwrap();
        let link = Link {
            tenant: TenantId(Uuid::from_u128(1)),
            attachment: Uuid::from_u128(2),
        };
        let url = links.to_attachment(link, now);
        let token = url.strip_prefix("https://a.example/downloads/").unwrap();
        assert_eq!(links.check(token, now).unwrap(), link);
        assert!(
            links
                .check(token, now + TimeDelta::minutes(LIFETIME_MINUTES))
                .is_err()
        );
        for at in 0..token.len() {
            let mut changed = token.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(links.check(&changed, now).is_err(), "position {at}");
        }
        assert!(links.check("", now).is_err());
    }
}
