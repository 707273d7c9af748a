//! A certificate authority of the test's own, with a certificate for `localhost` and `127.0.0.1`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// Paths of the PEM files: clients trust `ca`, servers show `certificate` and hold `key`.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// What a server of this process shows its clients.
    pub(crate) fn server_config(&self) -> rustls::ServerConfig {
        let chain = CertificateDer::pem_file_iter(&self.certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(&self.key).unwrap();
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.map(Result::unwrap).collect(), key)
            .unwrap()
    }

    /// Makes an authority and a server certificate for the names, and writes both into the folder.
    pub(crate) fn write(folder: &Path, names: &[&str]) -> Self {
        let mut ca = CertificateParams::new([]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name
            .push(DnType::CommonName, "postroom test authority");
        let ca_key = KeyPair::generate().unwrap();
        let ca_certificate = ca.self_signed(&ca_key).unwrap();

        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut server = CertificateParams::new(names).unwrap();
        server
            .distinguished_name
            .push(DnType::CommonName, "postroom test server");
        server
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ServerAuth);
        server.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let certificate = server.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();

        let written = Self::in_folder(folder);
        std::fs::write(&written.ca, ca_certificate.pem()).unwrap();
        std::fs::write(&written.certificate, certificate.pem()).unwrap();
        std::fs::write(&written.key, key.serialize_pem()).unwrap();
        written
    }

    /// Those that were written into the folder.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self {
            ca: folder.join("ca.pem"),
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
        }
    }
}
