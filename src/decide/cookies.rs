//! Reading `Cookie` lines (RFC 6265 4.2), and the names of our own cookies.

use http::HeaderMap;
use http::header::COOKIE;

/// The names under which one listener reads and sets our cookies (`DESIGN.md` 4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CookieNames {
    /// The ticket: bucket, and later the session pin.
    pub ticket: &'static str,
    /// Whether cookies carry `Secure`, which the `__Host-` prefix demands (RFC 6265bis 4.1.3.2).
    pub secure: bool,
}

/// For clients that reach us over TLS, our own or that of a trusted proxy.
pub const SECURE: CookieNames = CookieNames { ticket: "__Host-cutover", secure: true };
/// For clients on plain HTTP, where a `Secure` cookie would never come back.
pub const PLAIN: CookieNames = CookieNames { ticket: "cutover", secure: false };

impl CookieNames {
    /// The names for a client's scheme.
    pub const fn for_scheme(secure: bool) -> &'static Self {
        if secure { &SECURE } else { &PLAIN }
    }
}

/// Every name that is ours, under either scheme and in later releases: no engine may see or set them.
const OURS: [&str; 6] = [
    "__Host-cutover",
    "__Host-cutover-flow",
    "__Host-cutover-tester",
    "cutover",
    "cutover-flow",
    "cutover-tester",
];

/// Whether a cookie of this name is ours.
pub fn is_ours(name: &[u8]) -> bool {
    // Most names are not, and most of those differ in their first letter.
    matches!(name.first(), Some(b'c' | b'_')) && OURS.iter().any(|ours| ours.as_bytes() == name)
}

/// The parts of one `Cookie` line between semicolons, untrimmed.
fn parts(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let (part, tail) = match memchr::memchr(b';', line) {
            Some(end) => (&line[..end], Some(&line[end + 1..])),
            None => (line, None),
        };
        rest = tail;
        Some(part)
    })
}

/// The `name=value` pairs of one `Cookie` line, trimmed. A part without `=` is a nameless cookie, as browsers
/// treat it (RFC 6265bis 5.6.3), and never matches a name.
pub fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    parts(line).filter_map(|part| {
        let equals = memchr::memchr(b'=', part)?;
        Some((part[..equals].trim_ascii(), part[equals + 1..].trim_ascii()))
    })
}

/// All values of the cookies of a name, in the order in which they came.
pub fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(COOKIE).iter().flat_map(move |line| {
        pairs(line.as_bytes()).filter_map(move |(found, value)| (found == name.as_bytes()).then_some(value))
    })
}

/// A `Cookie` line without our cookies: `None` when none of ours is in it, so that the common line is not
/// copied. An empty result means that nothing is left to send.
pub fn without_ours(line: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(line, b"cutover")?;
    let mut found = false;
    let mut rest = Vec::with_capacity(line.len());
    for part in parts(line) {
        let part = part.trim_ascii();
        let name_ends = memchr::memchr(b'=', part).unwrap_or(part.len());
        if is_ours(part[..name_ends].trim_ascii_end()) {
            found = true;
            continue;
        }
        if part.is_empty() {
            continue;
        }
        if !rest.is_empty() {
            rest.extend_from_slice(b"; ");
        }
        rest.extend_from_slice(part);
    }
    found.then_some(rest)
}

/// Whether a `Set-Cookie` line sets a cookie of ours. `=cutover=x` does: to a browser it is a cookie without a
/// name, which it sends back as `cutover=x` (RFC 6265bis 5.6.3 and 5.8.3).
pub fn sets_ours(line: &[u8]) -> bool {
    let pair = parts(line).next().unwrap_or_default().trim_ascii_start();
    let pair = pair.strip_prefix(b"=").unwrap_or(pair);
    let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
    is_ours(name.trim_ascii())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_first_cookie_of_a_name_comes_first() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; uid = ada ;uid=bob; lone; =x"));
        headers.append(COOKIE, HeaderValue::from_static("uid=eve"));
        let found: Vec<&[u8]> = values(&headers, "uid").collect();
        assert_eq!(found, [b"ada", b"bob", b"eve"]);
        assert_eq!(values(&headers, "lone").count(), 0);
        assert_eq!(values(&headers, "id").count(), 0, "names match whole");
    }

    #[test]
    fn our_cookies_are_taken_out_and_the_others_stay_as_they_were() {
        for (line, rest) in [
            ("a=1; b=2", None),
            ("a=cutover; cutover2=x; my-cutover=y", None),
            ("cutover=x", Some("")),
            ("a=1; __Host-cutover=x; b=\"2;\"", Some("a=1; b=\"2; \"")),
            ("cutover-flow=1;cutover-tester=2; a=1;", Some("a=1")),
            ("cutover", Some("")),
        ] {
            let found = without_ours(line.as_bytes()).map(|rest| String::from_utf8(rest).expect("ASCII"));
            assert_eq!(found.as_deref(), rest, "line {line:?}");
        }
    }

    #[test]
    fn an_engine_that_sets_our_cookie_is_recognised() {
        for (line, ours) in [
            ("__Host-cutover=x; Path=/", true),
            (" cutover = x", true),
            ("cutover", true),
            ("=cutover=x; Path=/", true),
            (" = cutover", true),
            ("==cutover", false),
            ("cutovers=x", false),
            ("a=cutover=x", false),
            ("", false),
        ] {
            assert_eq!(sets_ours(line.as_bytes()), ours, "line {line:?}");
        }
    }
}
