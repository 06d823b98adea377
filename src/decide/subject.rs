//! Who a request is for: a key, and where it was found.

use std::borrow::Cow;
use std::fmt;

use http::HeaderName;

/// Where to look for a subject's key, as `keys` in the configuration lists it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeySource {
    /// A request header, set by a trusted proxy in front of us.
    Header(HeaderName),
    /// The first cookie of this name.
    Cookie(String),
    /// A query parameter, percent-decoded.
    Query(String),
    /// A claim of the bearer token, whose signature is *not* verified.
    Jwt(String),
    /// A name in the client's certificate, which the handshake verified.
    ClientCert(CertifiedName),
    /// The browser itself, known by its ticket.
    Device,
}

impl KeySource {
    /// What kind of key this is, for logs, metrics and `explain`.
    pub const fn kind(&self) -> SubjectKind {
        match self {
            Self::Header(_) => SubjectKind::Header,
            Self::Cookie(_) => SubjectKind::Cookie,
            Self::Query(_) => SubjectKind::Query,
            Self::Jwt(_) => SubjectKind::Jwt,
            Self::ClientCert(name) => SubjectKind::ClientCert(*name),
            Self::Device => SubjectKind::Device,
        }
    }
}

/// As it is written in the configuration.
impl fmt::Display for KeySource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(formatter, "header:{name}"),
            Self::Cookie(name) => write!(formatter, "cookie:{name}"),
            Self::Query(name) => write!(formatter, "query:{name}"),
            Self::Jwt(claim) => write!(formatter, "jwt:{claim}"),
            Self::ClientCert(_) => formatter.write_str(self.kind().as_str()),
            Self::Device => formatter.write_str("device"),
        }
    }
}

/// Which name of a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CertifiedName {
    /// The first of its alternative names that is a DNS name, a mail address or a URI (RFC 5280 4.2.1.6).
    San,
    /// The common name of its subject (RFC 5280 4.1.2.6).
    Cn,
}

/// The kind of place where a key was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SubjectKind {
    /// A header from a trusted peer: proof of who this is.
    Header,
    /// A cookie: the client claims it.
    Cookie,
    /// A query parameter: the client claims it.
    Query,
    /// A claim of an unverified bearer token: the client claims it.
    Jwt,
    /// A name in a verified certificate: proof of who this is.
    ClientCert(CertifiedName),
    /// A browser with a ticket, or one that was just given one.
    Device,
}

impl SubjectKind {
    /// The name in logs and `explain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Query => "query",
            Self::Jwt => "jwt",
            Self::ClientCert(CertifiedName::San) => "client-cert:san",
            Self::ClientCert(CertifiedName::Cn) => "client-cert:cn",
            Self::Device => "device",
        }
    }

    /// Whether the client merely says so: good for cohorts, and for targets only where those say `claimed`.
    pub const fn is_claimed(self) -> bool {
        match self {
            Self::Cookie | Self::Query | Self::Jwt => true,
            Self::Header | Self::ClientCert(_) | Self::Device => false,
        }
    }
}

/// A key in the one spelling that is hashed and compared: UTF-8, trimmed of white space (Unicode's
/// `White_Space`), ASCII letters in lower case (`DESIGN.md` 3).
///
/// Prints as `SubjectKey(…)`: a key is a person, and a person does not belong in a log.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct SubjectKey<'a>(Cow<'a, str>);

impl<'a> SubjectKey<'a> {
    /// `None` when nothing is left after trimming: an empty key is an absent key.
    pub fn new(found: impl Into<Cow<'a, str>>) -> Option<Self> {
        let found = found.into();
        let trimmed = found.trim();
        if trimmed.is_empty() {
            return None;
        }
        let has_upper_case = trimmed.bytes().any(|byte| byte.is_ascii_uppercase());
        if !has_upper_case && trimmed.len() == found.len() {
            return Some(Self(found));
        }
        Some(Self(Cow::Owned(trimmed.to_ascii_lowercase())))
    }

    /// The same key, held by somebody else.
    pub fn borrowed(&self) -> SubjectKey<'_> {
        SubjectKey(Cow::Borrowed(&self.0))
    }

    /// The canonical bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SubjectKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SubjectKey(…)")
    }
}

/// Who a request is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject<'a> {
    /// The canonical key.
    pub key: SubjectKey<'a>,
    /// Where it was found.
    pub kind: SubjectKind,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_trimmed_and_lower_cased_in_ascii_only() {
        for (found, canonical) in [
            ("ada@example.com", "ada@example.com"),
            ("  Ada@Example.COM\t", "ada@example.com"),
            ("\u{a0}user-1\u{2003}", "user-1"),
            ("JOSÉ", "josÉ"),
        ] {
            assert_eq!(SubjectKey::new(found).expect("not empty").as_str(), canonical, "found {found:?}");
        }
        assert_eq!(SubjectKey::new(" \t "), None);
    }

    #[test]
    fn a_key_never_prints_itself() {
        let key = SubjectKey::new("ada@example.com").expect("not empty");
        assert_eq!(format!("{key:?}"), "SubjectKey(…)");
    }
}
