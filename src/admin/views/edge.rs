//! What each listener speaks, and shows.

use serde::{Deserialize, Serialize};

use crate::config::certificate::Certificate;
use crate::config::model::{Config, Listener};
use crate::config::units::write_moment;
use crate::telemetry::certificates::DAYS_OF_WARNING;

/// One listener.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ListenerView {
    /// Its address, as configured.
    pub bind: String,
    /// What it speaks, in words.
    pub speaks: String,
    /// Whether it sends everybody to https.
    pub redirects_to_https: bool,
    /// The file of the authorities whose certificates clients must show.
    pub client_ca: Option<String>,
    /// What it shows; the first is for clients that ask for no name that it has.
    pub certificates: Vec<CertificateView>,
}

/// One certificate.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CertificateView {
    /// The hosts that it is for.
    pub names: Vec<String>,
    /// The kind of its key.
    pub key: String,
    /// When it expires, RFC 3339.
    pub expires: String,
    /// How many days that is away, rounded down; below 0 once it has expired.
    pub days_left: i64,
    /// Whether an OCSP response is stapled.
    pub ocsp: bool,
}

impl ListenerView {
    /// The listeners of a configuration; `now` is in seconds since the Unix epoch.
    pub fn all(config: &Config, now: u64) -> Vec<Self> {
        config.listeners.iter().map(|listener| Self::of(listener, now)).collect()
    }

    fn of(listener: &Listener, now: u64) -> Self {
        let Listener { bind, proxy_protocol, redirect_to_https, hsts, tls } = listener;
        let mut speaks = match tls {
            None => "HTTP/2 and HTTP/1.1".to_owned(),
            Some(tls) => format!("HTTP/2 and HTTP/1.1 over TLS {} and later", tls.min_version.as_str()),
        };
        if *proxy_protocol {
            speaks.push_str(", behind PROXY protocol");
        }
        if *redirect_to_https {
            speaks.push_str(", redirects to https");
        }
        if hsts.is_some() {
            speaks.push_str(", Strict-Transport-Security");
        }
        let client_ca = tls.as_ref().and_then(|tls| tls.client_ca.as_ref());
        Self {
            bind: bind.to_string(),
            speaks,
            redirects_to_https: *redirect_to_https,
            client_ca: client_ca.map(|ca| ca.file.display().to_string()),
            certificates: tls
                .iter()
                .flat_map(|tls| &tls.certificates)
                .map(|certificate| CertificateView::of(certificate, now))
                .collect(),
        }
    }

    /// A line for the listener, and one for each certificate.
    pub fn lines(&self) -> Vec<String> {
        let clients = self.client_ca.as_ref().map(|file| format!(", for clients of {file}"));
        let first = format!("{}  {}{}", self.bind, self.speaks, clients.unwrap_or_default());
        std::iter::once(first)
            .chain(self.certificates.iter().map(|shown| format!("  {}", shown.line())))
            .collect()
    }

    /// What should be done about certificates before clients refuse them.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let late = |shown: &&CertificateView| shown.days_left < DAYS_OF_WARNING;
        self.certificates
            .iter()
            .filter(late)
            .map(|shown| format!("{}: certificate {}", self.bind, shown.line()))
    }
}

impl CertificateView {
    fn of(certificate: &Certificate, now: u64) -> Self {
        let facts = &certificate.facts;
        Self {
            names: facts.names.clone(),
            key: facts.key_kind.to_owned(),
            expires: write_moment(facts.not_after),
            days_left: facts.days_left(now),
            ocsp: certificate.ocsp_file.is_some(),
        }
    }

    fn line(&self) -> String {
        let Self { names, key, expires, days_left, ocsp } = self;
        let names = if names.is_empty() { "no host".to_owned() } else { names.join(", ") };
        let end = match days_left {
            ..0 => format!("expired at {expires}"),
            0 => format!("expires today, at {expires}"),
            days => format!("expires in {days} days, at {expires}"),
        };
        format!("{names}  ({key}; {end}{})", if *ocsp { "; OCSP stapled" } else { "" })
    }
}
