//! Certificates for tests, and a TLS client that shares nothing with the proxy but its library.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SanType,
};
use rustls::client::{ClientConfig, ClientConnection, Resumption};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{HandshakeKind, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::multi;
use super::wire::PATIENCE;
use crate::operators::Folder;

/// An authority whose certificates clients and servers take.
pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub(crate) struct Pair {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Test Authority");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for these names.
    pub(crate) fn issue(&self, names: &[&str]) -> Pair {
        self.issue_with(names, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key"))
    }

    /// The same with an RSA key.
    pub(crate) fn issue_rsa(&self, names: &[&str]) -> Pair {
        self.issue_with(names, KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key"))
    }

    fn issue_with(&self, names: &[&str], key: KeyPair) -> Pair {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let params = CertificateParams::new(names).expect("names");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Pair { cert, key: key.serialize_pem() }
    }

    /// A client's certificate.
    pub(crate) fn client(&self, name: &str, mail: &str) -> Pair {
        self.client_with(|params| {
            params.distinguished_name.push(DnType::CommonName, name);
            params.subject_alt_names.push(SanType::Rfc822Name(mail.try_into().expect("a mail address")));
        })
    }

    /// One whose names and dates are made up as they are needed.
    pub(crate) fn client_with(&self, write: impl FnOnce(&mut CertificateParams)) -> Pair {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let mut params = CertificateParams::new([]).expect("no names");
        params.distinguished_name = DistinguishedName::new();
        write(&mut params);
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Pair { cert, key: key.serialize_pem() }
    }
}

impl Pair {
    /// Writes it as `NAME.pem` and `NAME.key`.
    pub(crate) fn write(&self, folder: &Folder, name: &str) {
        folder.write(&format!("{name}.pem"), &self.cert);
        folder.write(&format!("{name}.key"), &self.key);
    }
}

/// A TLS client.
#[derive(Clone)]
pub(crate) struct TlsClient {
    config: ClientConfig,
}

pub(crate) type TlsWire = StreamOwned<ClientConnection, TcpStream>;

impl TlsClient {
    /// Trusts this authority, and speaks these versions.
    pub(crate) fn new(authority: &Authority, versions: &[&'static SupportedProtocolVersion]) -> Self {
        Self::showing(authority, versions, None)
    }

    /// The same, with a certificate of its own.
    pub(crate) fn showing(
        authority: &Authority,
        versions: &[&'static SupportedProtocolVersion],
        own: Option<&Pair>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.der().clone()).expect("a root");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(Pair { cert, key }) => {
                let chain =
                    CertificateDer::pem_slice_iter(cert.as_bytes()).map(|cert| cert.expect("PEM")).collect();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
                builder.with_client_auth_cert(chain, key).expect("a pair")
            }
        };
        config.resumption = Resumption::in_memory_sessions(8);
        Self { config }
    }

    /// Knows no session yet, and shares none.
    pub(crate) fn without_sessions(&self) -> Self {
        let mut client = self.clone();
        client.config.resumption = Resumption::disabled();
        client
    }

    pub(crate) fn with_protocols(mut self, protocols: &[&[u8]]) -> Self {
        self.config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        self
    }

    /// Connects and shakes hands.
    pub(crate) fn connect(&self, address: SocketAddr, name: &str) -> std::io::Result<TlsWire> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let connection = ClientConnection::new(Arc::new(self.config.clone()), name).expect("a client");
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut wire = StreamOwned::new(connection, socket);
        while wire.conn.is_handshaking() {
            wire.conn.complete_io(&mut wire.sock)?;
        }
        Ok(wire)
    }

    /// Sends a request for `/` with these lines, and reads until the proxy closes.
    pub(crate) fn get(&self, address: SocketAddr, name: &str, lines: &str) -> std::io::Result<Got> {
        let mut wire = self.connect(address, name)?;
        write!(wire, "GET / HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n{lines}\r\n")?;
        let mut text = String::new();
        wire.read_to_string(&mut text)?;
        Ok(Got { text, resumed: is_resumed(&wire) })
    }

    /// Asks for `/` over HTTP/2, with these fields more; the text is the answer's body.
    pub(crate) fn get_by_http2(
        &self,
        address: SocketAddr,
        name: &str,
        more: &[(&str, &str)],
    ) -> std::io::Result<Got> {
        let mut wire = self.clone().with_protocols(&[b"h2"]).connect(address, name)?;
        let line = [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", name)];
        let request = multi::frame(1, 5, 1, &multi::fields(&[&line, more].concat()));
        wire.write_all(&[multi::PREFACE, &request].concat())?;
        let mut text = String::new();
        loop {
            let mut head = [0; 9];
            wire.read_exact(&mut head)?;
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            wire.read_exact(&mut payload)?;
            let (kind, ends_stream) = (head[3], head[4] & 1 == 1);
            if kind == 0 {
                text.push_str(&String::from_utf8_lossy(&payload));
            }
            // A flag of SETTINGS and PING has the same bit.
            if kind <= 1 && ends_stream {
                return Ok(Got { text, resumed: is_resumed(&wire) });
            }
        }
    }
}

/// What a client got.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) text: String,
    pub(crate) resumed: bool,
}

fn is_resumed(wire: &TlsWire) -> bool {
    wire.conn.handshake_kind() == Some(HandshakeKind::Resumed)
}

/// The names of the certificate that was shown.
pub(crate) fn shown(wire: &TlsWire) -> (Vec<String>, &'static str) {
    let chain = wire.conn.peer_certificates().expect("a certificate");
    let facts = cutover::config::certificate::facts(&chain[0]).expect("a certificate");
    (facts.names, facts.key_kind)
}
