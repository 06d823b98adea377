//! Certificates and their keys: PEM files made into what a handshake needs, and what operators want to know of them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::config::files::Digest;

/// A certificate, as a listener shows it.
#[derive(Clone)]
pub struct Certificate {
    /// The PEM file of the certificate and those that lead to its root, its own first.
    pub cert_file: PathBuf,
    /// The PEM file of its private key.
    pub key_file: PathBuf,
    /// The file of its OCSP response, in DER.
    pub ocsp_file: Option<PathBuf>,
    /// What it says of itself.
    pub facts: Facts,
    /// Chain, key and OCSP response. Prints nothing.
    pub certified: Arc<CertifiedKey>,
    /// Of all its files.
    pub digest: Digest,
}

/// What a certificate says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facts {
    /// The DNS names that it is for, in lower case, `*.` wildcards among them.
    pub names: Vec<String>,
    /// From when it is valid, in seconds since the Unix epoch.
    pub not_before: u64,
    /// Until when, in seconds since the Unix epoch.
    pub not_after: u64,
    /// The kind of its key.
    pub key_kind: &'static str,
}

impl Facts {
    /// What it is called in metrics and messages: its first name.
    pub fn name(&self) -> &str {
        self.names.first().map_or("none", String::as_str)
    }

    /// Days until it expires, rounded down; below 0 once it has. `now` is in seconds since the Unix epoch.
    pub fn days_left(&self, now: u64) -> i64 {
        (self.not_after as i64 - now as i64).div_euclid(86_400)
    }
}

/// Why a file is of no use.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CertificateError {
    /// No `CERTIFICATE` block in it.
    #[error("holds no PEM certificate")]
    NoCertificate,
    /// A block that is not what it says.
    #[error("holds a damaged PEM block")]
    Damaged,
    /// The first certificate cannot be read.
    #[error("holds a certificate that cannot be read")]
    Unreadable,
    /// No private key in it.
    #[error("holds no PEM private key")]
    NoKey,
    /// A key of a kind that TLS does not use.
    #[error("holds a key that is neither RSA, ECDSA nor Ed25519")]
    KeyKind,
    /// The key of another certificate.
    #[error("is the key of another certificate")]
    OtherKey,
}

/// The certificates of a PEM file, in its order.
pub fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| CertificateError::Damaged)?;
    if chain.is_empty() { Err(CertificateError::NoCertificate) } else { Ok(chain) }
}

/// The private key of a PEM file, with the chain that it belongs to.
pub fn certified(
    chain: Vec<CertificateDer<'static>>,
    key_pem: &[u8],
    ocsp: Option<Vec<u8>>,
) -> Result<CertifiedKey, CertificateError> {
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| CertificateError::NoKey)?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => CertificateError::OtherKey,
        Error::InvalidCertificate(_) => CertificateError::Unreadable,
        // Foreign and open-ended: whatever else is wrong is wrong with the key.
        _ => CertificateError::KeyKind,
    })?;
    certified.ocsp = ocsp;
    Ok(certified)
}

/// What a certificate says of itself.
pub fn facts(der: &CertificateDer<'_>) -> Result<Facts, CertificateError> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| CertificateError::Unreadable)?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        // Only names are asked for in a handshake (RFC 6066 3).
        _ => None,
    });
    let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
    let algorithm = certificate.public_key().algorithm.algorithm.to_id_string();
    Ok(Facts {
        names: names.collect(),
        not_before: seconds(certificate.validity().not_before.timestamp()),
        not_after: seconds(certificate.validity().not_after.timestamp()),
        key_kind: match algorithm.as_str() {
            "1.2.840.113549.1.1.1" => "RSA",
            "1.2.840.10045.2.1" => "ECDSA",
            "1.3.101.112" => "Ed25519",
            _ => "other",
        },
    })
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        // What is made of the files is the same where they are.
        let Self { cert_file, key_file, ocsp_file, facts: _, certified: _, digest } = self;
        *digest == other.digest
            && *cert_file == other.cert_file
            && *key_file == other.key_file
            && *ocsp_file == other.ocsp_file
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Certificate({}, {:?})", self.facts.name(), self.digest)
    }
}
