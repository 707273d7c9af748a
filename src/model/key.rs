//! API keys: how one is written, checked before the store is asked, and kept.
//!
//! A key is `pr_live_`, 12 characters that find its row, 32 characters of secret (190 bits) and 6 characters of
//! CRC-32 over what stands before, all in base 62: a mistyped key is refused without a query, and a secret scanner
//! can tell a key from noise.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::scope::ScopeSet;

/// What every key starts with.
pub const PREFIX: &str = "pr_live_";
const LOOKUP: usize = 12;
const SECRET: usize = 32;
const CHECK: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The SHA-256 of a whole key, which is all that is stored of its secret.
pub type KeyHash = [u8; 32];

/// A key that was just made, or that a caller sent.
pub struct KeyText {
    lookup: String,
    text: SecretString,
}

impl KeyText {
    /// Makes a key from 44 random bytes.
    pub fn from_random(random: &[u8; LOOKUP + SECRET]) -> Self {
        let letters = random.iter().map(|byte| letter(u32::from(*byte)));
        let mut text: String = PREFIX.chars().chain(letters).collect();
        text.push_str(&check_of(&text));
        let lookup = text.chars().skip(PREFIX.len()).take(LOOKUP).collect();
        Self {
            lookup,
            text: text.into(),
        }
    }

    /// Reads a key; `None` when it is not written like one, or its check does not fit.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        if rest.len() != LOOKUP + SECRET + CHECK || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let (before, check) = text.split_at_checked(text.len() - CHECK)?;
        if check_of(before) != check {
            return None;
        }
        let lookup = rest.get(..LOOKUP)?.to_owned();
        Some(Self {
            lookup,
            text: text.into(),
        })
    }

    /// The part that finds the key's row; not a secret.
    pub fn lookup(&self) -> &str {
        &self.lookup
    }

    /// The whole key.
    pub const fn secret(&self) -> &SecretString {
        &self.text
    }

    /// What the store keeps.
    pub fn hash(&self) -> KeyHash {
        Sha256::digest(self.text.expose_secret().as_bytes()).into()
    }

    /// Compares with a stored hash, in a time that does not depend on where they differ.
    pub fn matches(&self, hash: &[u8]) -> bool {
        self.hash().as_slice().ct_eq(hash).into()
    }
}

/// A letter of the alphabet; a byte that is not below 62 wraps, which costs 0.05 bits of a letter's 5.95.
fn letter(number: u32) -> char {
    let index = usize::try_from(number % 62).unwrap_or_default();
    ALPHABET.get(index).map_or('0', |byte| char::from(*byte))
}

fn check_of(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    (0..CHECK)
        .map(|_| {
            let digit = letter(rest % 62);
            rest /= 62;
            digit
        })
        .collect()
}

/// A key as it is stored and listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The key's id.
    pub id: Uuid,
    /// A name for people.
    pub name: String,
    /// The first characters of the key, to recognise it by.
    pub prefix: String,
    /// What it may do.
    pub scopes: ScopeSet,
    /// The member that it acts as; `None` acts as the tenant.
    pub member_id: Option<Uuid>,
    /// When it stops working.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

impl ApiKey {
    /// True when the key works at this time.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// What a key is created with.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// A name for people.
    pub name: String,
    /// What it may do.
    pub scopes: ScopeSet,
    /// The member that it acts as.
    pub member_id: Option<Uuid>,
    /// When it stops working.
    pub expires_at: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_a_changed_one_does_not() {
        let key = KeyText::from_random(&[7; 44]);
        let text = key.secret().expose_secret().to_owned();
        let read = KeyText::parse(&text).unwrap();
        assert_eq!(read.lookup(), key.lookup());
        assert!(read.matches(&key.hash()));
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            assert!(
                KeyText::parse(std::str::from_utf8(&changed).unwrap()).is_none(),
                "position {at}"
            );
        }
        for wrong in ["", "pr_live_", "ü", &text[1..], &format!("{text}0")] {
            assert!(KeyText::parse(wrong).is_none(), "{wrong}");
        }
    }
}
