//! TLS towards clients: which certificate is shown to whom, and the handshake.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs::cipher_suite::{
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, Error, RootCertStore, ServerConfig, SupportedCipherSuite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::certificate::Certificate;
use crate::config::model::{ClientCa, Tls, TlsVersion};
use crate::net::names::Names;
use crate::telemetry::kinds::HandshakeFailure;

/// What is spoken over TLS, the most wanted first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [HTTP_2, b"http/1.1"];

/// HTTP/2, as it is called in a handshake (RFC 9113 3.2).
pub const HTTP_2: &[u8] = b"h2";

/// All that rustls has, in the order in which we choose of what a client offers. None of them is weak; what costs least
/// comes first.
const SUITES: [SupportedCipherSuite; 9] = [
    TLS13_AES_128_GCM_SHA256,
    TLS13_AES_256_GCM_SHA384,
    TLS13_CHACHA20_POLY1305_SHA256,
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// TLS 1.3 clients get so many tickets per connection: browsers open a few more connections right behind the first.
const TICKETS: usize = 2;

/// Why a listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
#[error("cannot speak TLS: {0}")]
pub struct TlsError(String);

/// What one generation shows on one listener. `tickets` seals sessions, and outlives generations.
pub fn server_config(
    tls: &Tls,
    tickets: Option<Arc<dyn ProducesTickets>>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let failed = |error: &dyn fmt::Display| TlsError(error.to_string());
    let provider = CryptoProvider { cipher_suites: SUITES.to_vec(), ..aws_lc_rs::default_provider() };
    let provider = Arc::new(provider);
    let versions: &[_] = match tls.min_version {
        TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| failed(&error))?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(ClientCa { roots, .. }) => {
            let mut store = RootCertStore::empty();
            for root in roots {
                store.add(root.clone()).map_err(|error| failed(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(|error| failed(&error))?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(Shown::new(&tls.certificates)));
    // Many clients ask for 256 bits first, out of habit; 128 are as safe, and cost less for every byte.
    config.ignore_client_order = true;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    // Sessions are kept by clients alone: nothing to share between workers but the ticketer, and nothing that grows.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    if let Some(tickets) = tickets {
        config.ticketer = tickets;
        config.send_tls13_tickets = TICKETS;
    }
    Ok(Arc::new(config))
}

/// Seals the sessions of clients, under keys of its own that change every six hours. `None` without randomness.
pub fn ticketer() -> Option<Arc<dyn ProducesTickets>> {
    aws_lc_rs::Ticketer::new().ok()
}

/// The certificates of a listener by the names that they are for.
struct Shown(Names<Arc<CertifiedKey>>);

impl Shown {
    fn new(certificates: &[Certificate]) -> Self {
        let shown = certificates.iter();
        Self(Names::new(shown.map(|one| (&one.facts.names[..], Arc::clone(&one.certified)))))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let candidates = self.0.find(hello.server_name());
        let schemes = hello.signature_schemes();
        // ECDSA signs at a tenth of what RSA costs.
        let fits = |certified: &&Arc<CertifiedKey>| certified.key.choose_scheme(schemes).is_some();
        let is_rsa =
            |certified: &Arc<CertifiedKey>| certified.key.algorithm() == rustls::SignatureAlgorithm::RSA;
        candidates
            .iter()
            .filter(fits)
            .min_by_key(|certified| is_rsa(certified))
            .or(candidates.first())
            .cloned()
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.all()).finish()
    }
}

/// Shakes hands with a client within a time.
pub async fn shake_hands(
    config: Arc<ServerConfig>,
    socket: TcpStream,
    within: Duration,
) -> Result<TlsStream<TcpStream>, HandshakeFailure> {
    let handshake = TlsAcceptor::from(config).accept(socket);
    match tokio::time::timeout(within, handshake).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(reason(&error)),
        Err(_) => Err(HandshakeFailure::Timeout),
    }
}

/// What went wrong, in a few words that metrics can hold.
fn reason(error: &io::Error) -> HandshakeFailure {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return HandshakeFailure::Closed;
    };
    match error {
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => HandshakeFailure::NotTls,
        Error::PeerIncompatible(_) => HandshakeFailure::Incompatible,
        Error::NoCertificatesPresented | Error::InvalidCertificate(_) => HandshakeFailure::ClientCertificate,
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired,
        ) => HandshakeFailure::RefusedCertificate,
        // Foreign and open-ended.
        _ => HandshakeFailure::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_rustls_has_is_left_out() {
        for suite in aws_lc_rs::DEFAULT_CIPHER_SUITES {
            assert!(SUITES.contains(suite), "{suite:?}");
        }
        assert_eq!(SUITES.len(), aws_lc_rs::DEFAULT_CIPHER_SUITES.len());
    }
}
