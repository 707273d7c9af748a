//! The one TLS client configuration: the system's roots, an optional file of extra roots, and always verified.

use std::{fs::File, io::Read, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// The largest file of extra roots that is read, in bytes.
const MAX_ROOTS_FILE: u64 = 8 * 1024 * 1024;

/// Why the TLS configuration could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsConfigError {
    /// The file of extra roots cannot be read.
    #[error("the file of extra root certificates cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// The file of extra roots is larger than 8 MiB.
    #[error("the file of extra root certificates is larger than 8 MiB")]
    TooLarge,
    /// The file of extra roots is not PEM.
    #[error("the file of extra root certificates is not PEM: {0}")]
    Pem(rustls::pki_types::pem::Error),
    /// The file of extra roots holds no certificate.
    #[error("the file of extra root certificates holds no certificate")]
    Empty,
    /// A certificate in the file cannot be used as a root, or TLS itself cannot be set up.
    #[error("a root certificate cannot be used: {0}")]
    Tls(#[from] rustls::Error),
}

/// Says once for the whole process that TLS is ring's, also for libraries that bring rustls along.
pub fn install_provider() {
    // A second call changes nothing, which is what it should do.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// Makes the configuration for every outgoing TLS connection.
///
/// The roots are those of the system, plus those in the PEM file `extra_roots`. A certificate is always verified: there
/// is no switch to turn that off. Without any root every handshake fails, which is logged once here.
pub fn client_config(extra_roots: Option<&Path>) -> Result<Arc<ClientConfig>, TlsConfigError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    let (_, unusable) = roots.add_parsable_certificates(native.certs);
    if unusable > 0 || !native.errors.is_empty() {
        tracing::debug!(
            unusable,
            errors = native.errors.len(),
            "some system root certificates were left out"
        );
    }
    if let Some(path) = extra_roots {
        add_file(&mut roots, path)?;
    }
    if roots.is_empty() {
        tracing::warn!(
            "no root certificate was found: every TLS connection to a mail server will be refused"
        );
    }
    with_roots(roots)
}

/// Makes the configuration from these roots alone.
pub fn with_roots(roots: RootCertStore) -> Result<Arc<ClientConfig>, TlsConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsConfigError> {
    let mut pem = Vec::new();
    File::open(path)?.take(MAX_ROOTS_FILE + 1).read_to_end(&mut pem)?;
    if pem.len() as u64 > MAX_ROOTS_FILE {
        return Err(TlsConfigError::TooLarge);
    }
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.map_err(TlsConfigError::Pem)?)?;
    }
    if roots.len() == before {
        return Err(TlsConfigError::Empty);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(content: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        file
    }

    #[test]
    fn extra_roots_are_read_and_bad_ones_refused() {
        let root = rcgen::generate_simple_self_signed(["mail.example".to_owned()])
            .unwrap()
            .cert
            .pem();
        assert!(client_config(Some(file(&root).path())).is_ok());
        assert!(matches!(
            client_config(Some(file("nothing").path())),
            Err(TlsConfigError::Empty)
        ));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            client_config(Some(file(broken).path())),
            Err(TlsConfigError::Tls(_))
        ));
        assert!(matches!(
            client_config(Some(Path::new("/nowhere/roots.pem"))),
            Err(TlsConfigError::Read(_))
        ));
    }
}
