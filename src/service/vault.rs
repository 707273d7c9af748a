//! The vault: secrets at rest, and the keys that are derived from the operator's own.
//!
//! Each tenant has a data key, sealed by the key ring; each secret is sealed by its tenant's data key with
//! XChaCha20-Poly1305. The associated data names table, column, tenant and row, so that a ciphertext that was moved to
//! another place does not open.

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use rand::distr::{Alphanumeric, SampleString};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::model::{Error, Result, id::TenantId};

const VERSION: u8 = 1;
const NONCE: usize = 24;
/// The first bytes of a key's SHA-256 tell which key of the ring sealed something.
const KEY_ID: usize = 4;

/// A key of 32 bytes that is wiped when it is dropped.
pub type Key = Zeroizing<[u8; 32]>;

/// Where a sealed secret lies; it opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The tenant.
    pub tenant: TenantId,
    /// The row.
    pub row: Uuid,
}

impl Place {
    fn associated_data(self) -> Vec<u8> {
        format!(
            "postroom/{}/{}/{}/{}",
            self.table, self.column, self.tenant, self.row
        )
        .into_bytes()
    }
}

/// The operator's keys: the first seals, all open.
pub struct Vault {
    ring: Vec<([u8; KEY_ID], Key)>,
}

impl Vault {
    /// A vault over these keys, of which there must be one at least.
    pub fn new(keys: &[[u8; 32]]) -> Result<Self> {
        if keys.is_empty() {
            return Err(Error::internal("the key ring is empty"));
        }
        Ok(Self {
            ring: keys
                .iter()
                .map(|key| (key_id(key), Zeroizing::new(*key)))
                .collect(),
        })
    }

    /// A key for another purpose, derived from the first of the ring (HKDF-SHA256, RFC 5869).
    pub fn derive(&self, purpose: &str) -> Result<Key> {
        let (_, first) = self
            .ring
            .first()
            .ok_or_else(|| Error::internal("the key ring is empty"))?;
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, first.as_slice())
            .expand(purpose.as_bytes(), key.as_mut_slice())
            .map_err(|_| Error::internal("the key cannot be derived"))?;
        Ok(key)
    }

    /// Makes a tenant's data key: the key, and its sealed form for the store.
    pub fn new_data_key(&self, tenant: TenantId) -> Result<(Key, Vec<u8>)> {
        let key = Zeroizing::new(random::<32>());
        let (id, ring_key) = self
            .ring
            .first()
            .ok_or_else(|| Error::internal("the key ring is empty"))?;
        let mut sealed = id.to_vec();
        sealed.extend(seal(
            ring_key,
            key.as_slice(),
            &data_key_place(tenant).associated_data(),
        )?);
        Ok((key, sealed))
    }

    /// Opens a tenant's data key with the key of the ring that sealed it.
    pub fn open_data_key(&self, tenant: TenantId, sealed: &[u8]) -> Result<Key> {
        let (id, sealed) = sealed.split_at_checked(KEY_ID).ok_or_else(unopened)?;
        let (_, ring_key) = self.ring.iter().find(|(known, _)| known == id).ok_or_else(|| {
            Error::internal("POSTROOM_SECRET_KEY lacks the key that sealed this tenant's secrets")
        })?;
        let key = open(ring_key, sealed, &data_key_place(tenant).associated_data())?;
        Ok(Zeroizing::new(key.as_slice().try_into().map_err(|_| unopened())?))
    }
}

/// Seals a secret with a tenant's data key, for one place.
pub fn seal_secret(data_key: &Key, place: Place, secret: &SecretString) -> Result<Vec<u8>> {
    seal(
        data_key,
        secret.expose_secret().as_bytes(),
        &place.associated_data(),
    )
}

/// Opens what [`seal_secret`] sealed, in the same place.
pub fn open_secret(data_key: &Key, place: Place, sealed: &[u8]) -> Result<SecretString> {
    let plain = open(data_key, sealed, &place.associated_data())?;
    let text = std::str::from_utf8(&plain).map_err(|_| unopened())?;
    Ok(text.into())
}

/// Random bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes);
    bytes
}

/// So many random ASCII letters and digits.
pub fn random_text(length: usize) -> SecretString {
    Alphanumeric.sample_string(&mut rand::rng(), length).into()
}

fn data_key_place(tenant: TenantId) -> Place {
    Place {
        table: "tenants",
        column: "data_key",
        tenant,
        row: tenant.0,
    }
}

fn key_id(key: &[u8; 32]) -> [u8; KEY_ID] {
    let digest: [u8; 32] = Sha256::digest(key).into();
    let [a, b, c, d, ..] = digest;
    [a, b, c, d]
}

fn unopened() -> Error {
    Error::internal("a sealed secret does not open: it was changed, moved, or sealed with another key")
}

fn seal(key: &Key, plain: &[u8], associated_data: &[u8]) -> Result<Vec<u8>> {
    let nonce = random::<NONCE>();
    let cipher = XChaCha20Poly1305::new(key.as_slice().try_into().map_err(|_| unopened())?);
    let sealed = cipher
        .encrypt(
            &XNonce::from(nonce),
            Payload {
                msg: plain,
                aad: associated_data,
            },
        )
        .map_err(|_| Error::internal("a secret cannot be sealed"))?;
    let mut out = vec![VERSION];
    out.extend(nonce);
    out.extend(sealed);
    Ok(out)
}

fn open(key: &Key, sealed: &[u8], associated_data: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let (version, rest) = sealed.split_first().ok_or_else(unopened)?;
    let (nonce, sealed) = rest.split_at_checked(NONCE).ok_or_else(unopened)?;
    let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| unopened())?;
    if *version != VERSION {
        return Err(unopened());
    }
    let cipher = XChaCha20Poly1305::new(key.as_slice().try_into().map_err(|_| unopened())?);
    let plain = cipher.decrypt(
        &XNonce::from(nonce),
        Payload {
            msg: sealed,
            aad: associated_data,
        },
    );
    plain.map(Zeroizing::new).map_err(|_| unopened())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(tenant: u128, row: u128) -> Place {
        Place {
            table: "mailbox_credentials",
            column: "secret",
            tenant: TenantId(Uuid::from_u128(tenant)),
            row: Uuid::from_u128(row),
        }
    }

    #[test]
    fn a_secret_opens_where_it_was_sealed_and_nowhere_else() {
        let vault = Vault::new(&[[1; 32]]).unwrap();
        let tenant = TenantId(Uuid::from_u128(1));
        let (key, sealed_key) = vault.new_data_key(tenant).unwrap();
        let sealed = seal_secret(&key, place(1, 2), &"hunter2".into()).unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
        let opened_key = vault.open_data_key(tenant, &sealed_key).unwrap();
        assert_eq!(
            open_secret(&opened_key, place(1, 2), &sealed)
                .unwrap()
                .expose_secret(),
            "hunter2"
        );
        assert!(open_secret(&key, place(1, 3), &sealed).is_err(), "another row");
        assert!(open_secret(&key, place(2, 2), &sealed).is_err(), "another tenant");
        assert!(
            vault
                .open_data_key(TenantId(Uuid::from_u128(2)), &sealed_key)
                .is_err()
        );
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open_secret(&key, place(1, 2), &changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn an_old_key_of_the_ring_still_opens() {
        let tenant = TenantId(Uuid::from_u128(1));
        let (_, sealed) = Vault::new(&[[1; 32]]).unwrap().new_data_key(tenant).unwrap();
        assert!(
            Vault::new(&[[2; 32], [1; 32]])
                .unwrap()
                .open_data_key(tenant, &sealed)
                .is_ok()
        );
        assert!(
            Vault::new(&[[2; 32]])
                .unwrap()
                .open_data_key(tenant, &sealed)
                .is_err()
        );
    }
}
