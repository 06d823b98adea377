//! The rules of `keys`: where an app looks for its subjects.

use std::collections::HashSet;

use http::HeaderName;

use crate::config::model::Proof;
use crate::config::problems::{cut, excerpt, nearest};
use crate::config::raw::Texts;
use crate::config::reader::Written;
use crate::config::validate::Context;
use crate::decide::cookies;
use crate::decide::subject::{CertifiedName, KeySource};

/// Headers that cannot be keys. A key header is stripped from clients that are not trusted, and these frame the
/// message or carry more than a key.
const NO_KEYS: [&str; 11] = [
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "keep-alive",
    "content-type",
];

/// Headers that hold an address: nobody is ever placed by one (`DESIGN.md` 3).
const ADDRESSES: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

pub(super) fn keys(context: &Context<'_, '_>, raw: &Texts, proof: Proof) -> Vec<KeySource> {
    let Some(raw) = raw else { return vec![KeySource::Device] };
    if raw.is_empty() {
        context.error(&raw.at, "the list of keys is empty", "without a key everybody stays on classic");
    }
    let mut seen = HashSet::new();
    let mut keys: Vec<KeySource> = Vec::new();
    for item in &raw.items {
        let Some(key) = self::key(context, item) else { continue };
        if !seen.insert(key.to_string()) {
            context.error(&item.at, format!("the key {} is listed twice", excerpt(&item.value)), "");
        } else if keys.last() == Some(&KeySource::Device) {
            let hint = "`device` always finds something: write it last";
            context.error(&item.at, format!("{} comes after `device`", excerpt(&item.value)), hint);
        } else if matches!(key, KeySource::Header(_)) && !proof.proxies {
            let message = format!("{} never counts: nobody is trusted to set it", excerpt(&item.value));
            context.problems.warning(&item.at, message, "list the proxies that set it in trust.proxies");
        }
        if matches!(key, KeySource::ClientCert(_)) && !proof.certificates {
            let message = format!("{} never counts: no listener asks for certificates", excerpt(&item.value));
            let hint = "name the authorities whose certificates count as client_ca in [listeners.tls]";
            context.problems.warning(&item.at, message, hint);
        }
        // `device` stays the last, so that every key behind it is told.
        let place = keys.len() - usize::from(keys.last() == Some(&KeySource::Device));
        keys.insert(place, key);
    }
    keys
}

fn key(context: &Context<'_, '_>, item: &Written<String>) -> Option<KeySource> {
    const PREFIXES: [&str; 6] = ["header", "jwt", "cookie", "query", "client-cert", "device"];
    let shown = excerpt(&item.value);
    let refuse = |message: String, hint: &str| {
        context.error(&item.at, message, hint);
        None
    };
    let (prefix, name) = match item.value.split_once(':') {
        Some((prefix, name)) => (prefix, Some(name)),
        None => (item.value.as_str(), None),
    };
    match (prefix, name) {
        ("device", None) => Some(KeySource::Device),
        ("device", Some(_)) => refuse(format!("{shown} is no key"), "write \"device\" alone"),
        ("header" | "jwt" | "cookie" | "query", None | Some("")) => {
            refuse(format!("{shown} lacks a name"), &format!("write \"{prefix}:NAME\""))
        }
        ("client-cert", Some("san")) => Some(KeySource::ClientCert(CertifiedName::San)),
        ("client-cert", Some("cn")) => Some(KeySource::ClientCert(CertifiedName::Cn)),
        ("client-cert", None | Some(_)) => refuse(
            format!("{shown} is no name of a certificate"),
            "write \"client-cert:san\" for the first alternative name, or \"client-cert:cn\" for the common name",
        ),
        ("header", Some(name)) => match HeaderName::from_bytes(name.as_bytes()) {
            Ok(header) if NO_KEYS.contains(&header.as_str()) => refuse(
                format!("the header `{header}` cannot be a key"),
                "a key header holds the key alone, and is stripped from clients that are not trusted",
            ),
            Ok(header) if ADDRESSES.contains(&header.as_str()) => {
                refuse(format!("the header `{header}` cannot be a key"), "nobody is placed by an address")
            }
            Ok(header) => Some(KeySource::Header(header)),
            Err(_) => refuse(format!("{shown} holds no header name"), "letters, digits and `-`"),
        },
        ("cookie", Some(name)) if cookies::is_ours(name.as_bytes()) => {
            refuse(format!("{shown} is a cookie of our own"), "write \"device\" for the browser's ticket")
        }
        // A cookie name is a token (RFC 6265 4.1.1), and so is the name of a header, but for upper case.
        ("cookie", Some(name)) if HeaderName::from_bytes(name.as_bytes()).is_err() => {
            refuse(format!("{shown} holds no cookie name"), "no spaces, quotes, `;`, `,` or `=`")
        }
        ("cookie", Some(name)) => Some(KeySource::Cookie(name.to_owned())),
        ("query", Some(name)) => Some(KeySource::Query(name.to_owned())),
        ("jwt", Some(claim)) => Some(KeySource::Jwt(claim.to_owned())),
        (prefix, name) => {
            let hint = match (nearest(prefix, PREFIXES), name) {
                (Some("device"), _) => "did you mean \"device\"?".to_owned(),
                (Some("client-cert"), None) => "did you mean \"client-cert:san\"?".to_owned(),
                (Some(meant), Some(name)) => {
                    format!("did you mean \"{meant}:{}\"?", cut(name))
                }
                (Some(meant), None) => format!("did you mean \"{meant}:NAME\"?"),
                (None, _) => "a key is \"header:NAME\", \"jwt:CLAIM\", \"cookie:NAME\", \"query:NAME\", \
                     \"client-cert:san\", \"client-cert:cn\" or \"device\""
                    .to_owned(),
            };
            refuse(format!("{shown} is no key"), &hint)
        }
    }
}
