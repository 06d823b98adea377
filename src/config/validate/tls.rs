//! The rules of `listeners.tls`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::certificate::{self, Certificate, CertificateError};
use crate::config::files::{Content, Digest};
use crate::config::model::{ClientCa, Tls, TlsVersion};
use crate::config::problems::At;
use crate::config::raw::{RawCertificate, RawTls};
use crate::config::reader::Written;
use crate::config::validate::{Context, shown};

/// What a listener shows, and whom it asks; `None` when it cannot work.
pub(super) fn tls(context: &mut Context<'_, '_>, raw: RawTls) -> Option<Tls> {
    let RawTls { at, certificates, min_version, client_ca } = raw;
    let versions = [TlsVersion::V1_2, TlsVersion::V1_3].map(|version| (version.as_str(), version));
    let min_version = context.choice(&min_version, &versions, TlsVersion::V1_2);
    let ca = client_ca.as_ref().and_then(|file| self::client_ca(context, file));
    let is_whole = ca.is_some() == client_ca.is_some();
    let (list_at, items) = certificates.map_or((at, Vec::new()), |list| (list.at, list.items));
    if items.is_empty() {
        let hint = "add certificates = [{ cert = \"portal.pem\", key = \"portal.key\" }]";
        context.error(&list_at, "there is no certificate", hint);
        return None;
    }
    let mut certificates: Vec<Certificate> = Vec::new();
    let mut first: HashMap<(String, &str), String> = HashMap::new();
    for item in items {
        let at = item.cert.as_ref().map(|cert| cert.at.clone());
        let Some((certificate, at)) = self::certificate(context, item).zip(at) else { continue };
        for name in &certificate.facts.names {
            if let Some(first) = first.insert((name.clone(), certificate.facts.key_kind), at.key.clone()) {
                let message = format!("{name} has a second {} certificate", certificate.facts.key_kind);
                context.problems.warning(&at, message, format!("{first} is shown instead of it"));
            }
        }
        certificates.push(certificate);
    }
    (is_whole && !certificates.is_empty()).then_some(Tls { certificates, min_version, client_ca: ca })
}

fn certificate(context: &mut Context<'_, '_>, raw: RawCertificate) -> Option<Certificate> {
    let RawCertificate { cert, key, ocsp } = raw;
    let (cert, key) = (cert?, key?);
    let cert_read = context.reading.read(&cert, Content::Public, context.problems);
    let key_read = context.reading.read(&key, Content::Secret, context.problems);
    let ocsp_read = match &ocsp {
        Some(file) => Some(context.reading.read(file, Content::Public, context.problems)?),
        None => None,
    };
    let ((cert_pem, cert_digest), (key_pem, key_digest)) = (cert_read?, key_read?);
    let chain = certificate::chain(&cert_pem).map_err(|fault| refuse(context, &cert, fault)).ok()?;
    let facts = certificate::facts(&chain[0]).map_err(|fault| refuse(context, &cert, fault)).ok()?;
    if facts.names.is_empty() {
        let message = format!("{} names no host", shown(&context.path(&cert.value)));
        let hint = "browsers look for the host in its subject alternative names, and refuse it without";
        context.problems.warning(&cert.at, message, hint);
    }
    let (ocsp_der, ocsp_digest) = ocsp_read.unzip();
    // RFC 6960 4.2.1: a response is a sequence, and begins as one.
    if let (Some(der), Some(file)) = (&ocsp_der, &ocsp)
        && der.first() != Some(&0x30)
    {
        let message = format!("{} is no OCSP response", shown(&context.path(&file.value)));
        context.error(&file.at, message, "it is DER, as `openssl ocsp -respout` writes it");
        return None;
    }
    let certified = certificate::certified(chain, &key_pem, ocsp_der)
        .map_err(|fault| {
            refuse(context, if fault == CertificateError::Unreadable { &cert } else { &key }, fault)
        })
        .ok()?;
    let digests = [Some(cert_digest), Some(key_digest), ocsp_digest];
    Some(Certificate {
        cert_file: context.path(&cert.value),
        key_file: context.path(&key.value),
        ocsp_file: ocsp.map(|file| context.path(&file.value)),
        facts,
        certified: Arc::new(certified),
        digest: Digest::of_parts(digests.iter().flatten().map(|digest| &digest.as_bytes()[..])),
    })
}

fn client_ca(context: &mut Context<'_, '_>, file: &Written<String>) -> Option<ClientCa> {
    let (pem, digest) = context.reading.read(file, Content::Public, context.problems)?;
    let roots = certificate::chain(&pem).map_err(|fault| refuse(context, file, fault)).ok()?;
    if roots.iter().any(|root| certificate::facts(root).is_err()) {
        refuse(context, file, CertificateError::Unreadable);
        return None;
    }
    Some(ClientCa { file: context.path(&file.value), roots, digest })
}

fn refuse(context: &Context<'_, '_>, file: &Written<String>, fault: CertificateError) {
    let hint = match fault {
        CertificateError::NoCertificate | CertificateError::Damaged | CertificateError::Unreadable => {
            "a certificate is a block that begins with -----BEGIN CERTIFICATE-----"
        }
        CertificateError::NoKey => {
            "a key is a block such as -----BEGIN PRIVATE KEY-----, without a passphrase"
        }
        CertificateError::KeyKind => "make one with `openssl ecparam -name prime256v1 -genkey`",
        CertificateError::OtherKey => {
            "`cert` and `key` must belong together; the certificate's own comes first"
        }
    };
    let at: &At = &file.at;
    context.error(at, format!("{} {fault}", shown(&context.path(&file.value))), hint);
}
