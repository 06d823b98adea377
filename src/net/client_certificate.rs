//! The certificate that a client has shown and the handshake has verified: what it calls the client. Read once for each
//! connection.

use rustls::ServerConnection;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::decide::certified::CertifiedNames;
use crate::telemetry::kinds::HandshakeFailure;

/// The names of a client that has shaken hands; `None` where no certificate was asked for. `now` is in seconds since the
/// Unix epoch.
///
/// A session that is taken up again brings along the certificate that it began with, and rustls does not look at that
/// again: with one session after another a client could outlive its certificate. So its end is held against the clock.
pub fn names_of(session: &ServerConnection, now: u64) -> Result<Option<CertifiedNames>, HandshakeFailure> {
    let Some(own) = session.peer_certificates().and_then(|chain| chain.first()) else { return Ok(None) };
    match read(own) {
        Some((names, not_after)) if now <= not_after => Ok(Some(names)),
        Some(_) | None => Err(HandshakeFailure::ClientCertificate),
    }
}

/// The names in a certificate, and until when it is valid, in seconds since the Unix epoch. `None` when it cannot be read.
fn read(der: &CertificateDer<'_>) -> Option<(CertifiedNames, u64)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    // An error where there are two lists of them: then there is none.
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let mut alternatives = alternatives.iter().flat_map(|list| &list.value.general_names);
    let san = alternatives.find_map(|name| match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => Some(*name),
        // A name that cannot be read: nobody, rather than the next one.
        GeneralName::Invalid(..) => Some(""),
        // An address names nobody (`DESIGN.md` 3), and the rest has no text of its own.
        _ => None,
    });
    let mut common = certificate.subject().iter_common_name();
    let cn = match (common.next(), common.next()) {
        (Some(only), None) => only.as_str().ok(),
        (Some(_), Some(_)) | (None, _) => None,
    };
    let not_after = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
    Some((CertifiedNames::new(san, cn), not_after))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use rcgen::{CertificateParams, CustomExtension, DnType, DnValue, KeyPair, SanType};

    use super::*;
    use crate::decide::subject::CertifiedName;

    fn names(build: impl FnOnce(&mut CertificateParams)) -> [Option<String>; 2] {
        let mut params = CertificateParams::new([]).expect("no names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        build(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let (names, _) = read(certificate.der()).expect("readable");
        [CertifiedName::San, CertifiedName::Cn].map(|name| names.get(name).map(|key| key.as_str().to_owned()))
    }

    fn ia5<T: TryFrom<String, Error: std::fmt::Debug>>(text: &str) -> T {
        T::try_from(text.to_owned()).expect("ASCII")
    }

    #[test]
    fn the_first_alternative_name_that_is_a_name_counts_and_the_only_common_name() {
        let mail = || SanType::Rfc822Name(ia5("Ada@Example.com"));
        let dns = || SanType::DnsName(ia5("ada.example.com"));
        let uri = || SanType::URI(ia5("spiffe://example.com/ada"));
        let address = || SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));
        for (alternatives, first) in [
            (vec![mail(), dns()], Some("ada@example.com")),
            (vec![address(), dns(), mail()], Some("ada.example.com")),
            (vec![uri()], Some("spiffe://example.com/ada")),
            (vec![address()], None),
            (vec![], None),
        ] {
            let found = names(|params| {
                params.subject_alt_names = alternatives;
                params.distinguished_name.push(DnType::CommonName, "Ada");
                params.distinguished_name.push(DnType::OrganizationName, "Example");
            });
            assert_eq!(found, [first, Some("ada")].map(|name| name.map(str::to_owned)));
        }
        assert_eq!(names(|_| {}), [None, None]);
    }

    #[test]
    fn what_is_repeated_or_empty_is_absent() {
        let found = names(|params| {
            params.distinguished_name.push(DnType::CommonName, "Ada");
            // Another type to rcgen, and the same to everybody else.
            params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "Eve");
        });
        assert_eq!(found, [None, None], "two common names");
        let found = names(|params| {
            params.distinguished_name.push(DnType::CommonName, DnValue::Utf8String("  ".to_owned()));
            params.subject_alt_names =
                vec![SanType::Rfc822Name(ia5("")), SanType::DnsName(ia5("eve.example"))];
        });
        assert_eq!(found, [None, None], "the first one is empty, and no other takes its place");
        let found = names(|params| {
            params.subject_alt_names = vec![SanType::DnsName(ia5("ada.example"))];
            // 2.5.29.17 once more: a sequence with the DNS name "eve".
            let second = CustomExtension::from_oid_content(&[2, 5, 29, 17], b"\x30\x05\x82\x03eve".to_vec());
            params.custom_extensions.push(second);
        });
        assert_eq!(found, [None, None], "two lists of alternative names");
    }

    #[test]
    fn what_is_no_certificate_names_nobody() {
        assert!(read(&CertificateDer::from_slice(b"\x30\x03\x02\x01\x01")).is_none());
    }
}
