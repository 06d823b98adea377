//! Who a request is for, from a query and header lines of any bytes.
//!
//! Invariant: the answer is that of the first configured key that finds somebody by itself, and each of them
//! agrees with a slow reading by the book; a key header counts only from a trusted peer and only when it came
//! once; a name with control characters is none; a found key is canonical, so that one person is one bucket.
//!
//! The first line is the query, behind one character that says whether the peer is trusted and which order the
//! keys have; the rest are header lines. The first `san` and `cn` among them are the names of a certificate.

#![no_main]

use cutover::decide::certified::CertifiedNames;
use cutover::decide::decision::Question;
use cutover::decide::headers::Seen;
use cutover::decide::identify::identify;
use cutover::decide::subject::{CertifiedName, KeySource, SubjectKey, SubjectKind};
use cutover::decide::workflow::Place;
use cutover_fuzz::{SPACE, all, first_line, headers, percent_decode, trim};
use http::{HeaderMap, HeaderName, Method};
use libfuzzer_sys::fuzz_target;

fn canonical(found: &[u8]) -> Option<String> {
    let key = std::str::from_utf8(found).ok()?.trim().to_ascii_lowercase();
    (!key.is_empty()).then_some(key)
}

/// A name as a certificate holds it: UTF-8, or none at all.
fn certified(headers: &HeaderMap, name: &str) -> Option<String> {
    String::from_utf8(all(headers, name).first()?.clone()).ok()
}

fn by_the_book(
    source: &KeySource,
    query: Option<&str>,
    headers: &HeaderMap,
    trusted: bool,
) -> Option<String> {
    match source {
        KeySource::Header(name) => {
            let lines = all(headers, name.as_str());
            if trusted && lines.len() == 1 { canonical(&lines[0]) } else { None }
        }
        KeySource::Cookie(name) => {
            let lines = all(headers, "cookie");
            let first = lines.iter().flat_map(|line| line.split(|byte| *byte == b';')).find_map(|part| {
                let equals = part.iter().position(|byte| *byte == b'=')?;
                (trim(&part[..equals], SPACE) == name.as_bytes()).then(|| trim(&part[equals + 1..], SPACE))
            });
            canonical(first?)
        }
        KeySource::Query(name) => {
            let first = query?.split('&').find_map(|pair| {
                let (found, value) = pair.split_once('=')?;
                (percent_decode(found.as_bytes()) == name.as_bytes())
                    .then(|| percent_decode(value.as_bytes()))
            });
            canonical(&first?)
        }
        // `jwt_claim` holds the claim itself against a whole parser.
        KeySource::Jwt(claim) => {
            let lines = all(headers, "authorization");
            let [line] = &lines[..] else { return None };
            let (scheme, token) = line.split_at_checked(7)?;
            let is_bearer = scheme.eq_ignore_ascii_case(b"bearer ");
            let claim =
                cutover::decide::identify::claim_of(trim(token, SPACE), claim).filter(|_| is_bearer)?;
            canonical(claim.as_bytes())
        }
        KeySource::ClientCert(name) => {
            let name = certified(headers, if *name == CertifiedName::San { "san" } else { "cn" })?;
            // Whatever it holds of them a header holds, too: of the C0 set a tab alone, and all of the C1 set.
            if name.contains('\t') || name.chars().any(|char| ('\u{7f}'..='\u{9f}').contains(&char)) {
                return None;
            }
            canonical(name.as_bytes())
        }
        KeySource::Device => None,
    }
}

fuzz_target!(|data: &[u8]| {
    let (first, lines) = first_line(data);
    let Some((control, query)) = first.split_first() else { return };
    let (peer_is_trusted, rotate) = (control & 1 != 0, usize::from(control >> 1));
    let query = if query.is_empty() { None } else { std::str::from_utf8(query).ok() };
    let headers = headers(lines);
    let mut keys = vec![
        KeySource::Header(HeaderName::from_static("x-user")),
        KeySource::Jwt("sub".to_owned()),
        KeySource::Cookie("uid".to_owned()),
        KeySource::Query("login_hint".to_owned()),
        KeySource::ClientCert(CertifiedName::San),
        KeySource::ClientCert(CertifiedName::Cn),
    ];
    let count = keys.len();
    keys.rotate_left(rotate % count);
    let names = CertifiedNames::new(certified(&headers, "san").as_deref(), certified(&headers, "cn").as_deref());
    keys.push(KeySource::Device);
    let question = Question {
        method: &Method::GET,
        path: "/",
        query,
        headers: &headers,
        seen: Seen::of(&headers),
        client: std::net::Ipv4Addr::LOCALHOST.into(),
        peer_is_trusted,
        certified: Some(&names),
        secure: false,
        place: Place::default(),
        state: None,
        recall: None,
    };
    let found = identify(&keys, &question);
    let expected = keys
        .iter()
        .find_map(|source| Some((by_the_book(source, query, &headers, peer_is_trusted)?, source.kind())));
    assert_eq!(found.as_ref().map(|subject| (subject.key.as_str().to_owned(), subject.kind)), expected);
    let Some(subject) = found else { return };
    assert!(peer_is_trusted || subject.kind != SubjectKind::Header, "a stranger's header was believed");
    let key = subject.key.as_str();
    assert!(!key.is_empty() && key.trim() == key && !key.bytes().any(|byte| byte.is_ascii_uppercase()));
    assert_eq!(SubjectKey::new(key).expect("not empty").as_str(), key, "canonical once, canonical for ever");
});
