//! A listener: where we accept, and what is spoken there.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use http::HeaderValue;
use rustls::pki_types::CertificateDer;

use crate::config::certificate::Certificate;
use crate::config::files::Digest;

/// One place where we accept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listener {
    /// Address and port; port 0 lets the system choose.
    pub bind: SocketAddr,
    /// Whether every connection begins with a PROXY protocol header, and its peer is a trusted proxy.
    pub proxy_protocol: bool,
    /// Whether requests are sent on to the same URL over TLS, and nothing else is served. Never with `tls`.
    pub redirect_to_https: bool,
    /// What responses say as `Strict-Transport-Security` (RFC 6797 6.1); only with `tls`.
    pub hsts: Option<HeaderValue>,
    /// `None` for plain HTTP.
    pub tls: Option<Tls>,
}

impl Listener {
    /// Whether clients must show a certificate.
    pub fn asks_for_certificates(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
    }
}

/// How a listener speaks TLS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tls {
    /// At least one; the first is for clients that ask for a name that none has, or for none.
    pub certificates: Vec<Certificate>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Whose certificates clients must show; `None`: none is asked for.
    pub client_ca: Option<ClientCa>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TlsVersion {
    /// RFC 5246.
    V1_2,
    /// RFC 8446.
    V1_3,
}

impl TlsVersion {
    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        }
    }
}

/// Who signs the certificates of clients.
#[derive(Clone, Eq, PartialEq)]
pub struct ClientCa {
    /// The PEM file.
    pub file: PathBuf,
    /// What is in it; at least one.
    pub roots: Vec<CertificateDer<'static>>,
    /// Of the file.
    pub digest: Digest,
}

impl fmt::Debug for ClientCa {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ClientCa({}, {:?})", self.file.display(), self.digest)
    }
}
