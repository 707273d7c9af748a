//! TLS from PEM texts, for a listener that speaks TLS from the first byte (RFC 8314).

use std::{io, sync::Arc};

pub use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// Reads a certificate chain and its key, both in PEM.
///
/// # Errors
/// `InvalidInput` when either cannot be read or they do not belong together; the key is not in the text.
pub fn config(certificates: &[u8], key: &[u8]) -> io::Result<ServerConfig> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let chain = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| invalid("The TLS certificate is not PEM"))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| invalid("The TLS key is not PEM"))?;
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| invalid("TLS has no protocol version"))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|_| invalid("The TLS certificate and key do not fit"))
}
