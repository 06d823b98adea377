//! Who is this request for? The first configured key that is present.
//!
//! Finding nobody is an answer, not an error: whatever cannot be read is absent, and the next key is tried.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::decide::cookies;
use crate::decide::decision::Question;
use crate::decide::subject::{KeySource, Subject, SubjectKey};

/// RFC 7515 2 says base64url without padding; tokens with padding are seen in the wild and harmless here.
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The subject of a request among user keys; `device` is left to whoever holds the ticket.
pub fn identify<'a>(keys: &[KeySource], question: &Question<'a>) -> Option<Subject<'a>> {
    keys.iter().find_map(|source| {
        let key = match source {
            KeySource::Header(name) if question.peer_is_trusted => header_key(question.headers, name),
            KeySource::Header(_) | KeySource::Device => None,
            KeySource::Cookie(name) => cookie_key(question.headers, name),
            KeySource::Query(name) => question.query.and_then(|query| query_key(query, name)),
            KeySource::Jwt(claim) => jwt_key(question.headers, claim),
            KeySource::ClientCert(name) => {
                question.certified.and_then(|names| names.get(*name)).map(SubjectKey::borrowed)
            }
        };
        Some(Subject { key: key?, kind: source.kind() })
    })
}

/// The only value of a header: a repeated header is absent, since two hops that read different lines of it
/// would see two people.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    lines.next().is_none().then(|| first.as_bytes())
}

fn header_key<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<SubjectKey<'a>> {
    SubjectKey::new(std::str::from_utf8(only(headers, name)?).ok()?)
}

fn cookie_key<'a>(headers: &'a HeaderMap, name: &str) -> Option<SubjectKey<'a>> {
    let line_values = headers.get_all(http::header::COOKIE);
    let value = line_values.iter().find_map(|line| {
        cookies::pairs(line.as_bytes()).find_map(|(found, value)| (found == name.as_bytes()).then_some(value))
    })?;
    SubjectKey::new(std::str::from_utf8(value).ok()?)
}

/// Whether a parameter of a query is of this name, as it came or percent-decoded.
pub(super) fn is_named(found: &str, name: &str) -> bool {
    found == name || (found.contains('%') && percent_decode_str(found).eq(name.bytes()))
}

/// The first parameter of a name, names and values percent-decoded; `+` stands for itself.
pub fn query_key<'a>(query: &'a str, name: &str) -> Option<SubjectKey<'a>> {
    let value = query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=')?;
        is_named(found, name).then_some(value)
    })?;
    SubjectKey::new(percent_decode_str(value).decode_utf8().ok()?)
}

fn jwt_key<'a>(headers: &'a HeaderMap, claim: &str) -> Option<SubjectKey<'a>> {
    let credentials = only(headers, &AUTHORIZATION)?;
    // RFC 9110 11.1: the scheme is compared without regard to case.
    let (scheme, token) = credentials.split_at_checked(7)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return None;
    }
    SubjectKey::new(claim_of(token.trim_ascii(), claim)?)
}

/// A claim of a compact JWS (RFC 7515 7.1) whose signature is not looked at: a text, or a whole number in
/// decimal. Anything else is absent. Of a claim that occurs twice the last counts (RFC 7519 4).
pub fn claim_of(token: &[u8], claim: &str) -> Option<String> {
    let mut parts = token.split(|byte| *byte == b'.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = BASE64_URL.decode(payload).ok()?;
    let mut json = serde_json::Deserializer::from_slice(&payload);
    let found = json.deserialize_map(ClaimVisitor(claim)).ok()?;
    json.end().ok()?;
    found
}

/// Walks the payload and keeps one claim, so that a large token is not turned into a tree.
struct ClaimVisitor<'n>(&'n str);

impl<'de> Visitor<'de> for ClaimVisitor<'_> {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut claims: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_wanted) = claims.next_key_seed(IsName(self.0))? {
            if is_wanted {
                found = text_of(&claims.next_value::<serde_json::Value>()?);
            } else {
                claims.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

fn text_of(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_string()),
        serde_json::Value::Number(_)
        | serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => None,
    }
}

/// Compares an object's key without keeping it.
struct IsName<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a claim's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn a_claim_is_a_text_or_a_whole_number() {
        for (payload, claim) in [
            (r#"{"iss":"x","sub":"ada"}"#, Some("ada")),
            (r#"{"sub":42}"#, Some("42")),
            (r#"{"sub":-7}"#, Some("-7")),
            (r#"{"sub":"first","sub":"last"}"#, Some("last")),
            (r#"{"s\u0075b":"ada"}"#, Some("ada")),
            (r#"{"sub":1.5}"#, None),
            (r#"{"sub":["ada"]}"#, None),
            (r#"{"sub":null}"#, None),
            (r#"{"nested":{"sub":"ada"}}"#, None),
            (r#"{"sub":"ada"} trailing"#, None),
            (r#"["sub"]"#, None),
            ("", None),
        ] {
            assert_eq!(claim_of(token(payload).as_bytes(), "sub").as_deref(), claim, "payload {payload}");
        }
        assert_eq!(claim_of(b"no.dots", "sub"), None);
        assert_eq!(claim_of(b"a.!!!.c", "sub"), None);
        let padded =
            format!("e30.{}.c2ln", base64::engine::general_purpose::URL_SAFE.encode(r#"{"sub":"a"}"#));
        assert_eq!(claim_of(padded.as_bytes(), "sub").as_deref(), Some("a"));
    }

    #[test]
    fn a_query_value_is_percent_decoded_and_the_first_counts() {
        for (query, found) in [
            ("login_hint=Ada%40example.com", Some("ada@example.com")),
            ("a=1&login_hint=ada%2Btest&login_hint=bob", Some("ada+test")),
            ("login_hint=ada+test", Some("ada+test")),
            ("login%5Fhint=ada", Some("ada")),
            ("login_hint=", None),
            ("login_hint=%20", None),
            ("login_hint=%ff", None),
            ("login_hint", None),
            ("my_login_hint=ada", None),
        ] {
            let key = query_key(query, "login_hint");
            assert_eq!(key.as_ref().map(SubjectKey::as_str), found, "query {query}");
        }
    }
}
