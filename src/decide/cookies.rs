//! Reading `Cookie` lines (RFC 6265 4.2), and the names of our own cookies.

use std::time::UNIX_EPOCH;

use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};

/// The names under which one listener reads and sets our cookies (`DESIGN.md` 4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CookieNames {
    /// The ticket: bucket and session pin.
    pub ticket: &'static str,
    /// The flow pins.
    pub flow: &'static str,
    /// The tester token.
    pub tester: &'static str,
    /// Whether cookies carry `Secure`, which the `__Host-` prefix demands (RFC 6265bis 4.1.3.2).
    pub secure: bool,
}

/// For clients that reach us over TLS, our own or that of a trusted proxy.
pub const SECURE: CookieNames = CookieNames {
    ticket: "__Host-cutover",
    flow: "__Host-cutover-flow",
    tester: "__Host-cutover-tester",
    secure: true,
};
/// For clients on plain HTTP, where a `Secure` cookie would never come back.
pub const PLAIN: CookieNames =
    CookieNames { ticket: "cutover", flow: "cutover-flow", tester: "cutover-tester", secure: false };

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
pub(super) fn parts(line: &[u8]) -> impl Iterator<Item = &[u8]> {
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

/// Where a part's name ends. Names are short: looking at their few bytes one by one costs a third of what a search
/// by wide registers costs to begin.
fn name_end(part: &[u8]) -> Option<usize> {
    part.iter().position(|byte| *byte == b'=')
}

/// The name of a part without white space around it; all of it when there is no `=`.
pub(super) fn name_of(part: &[u8]) -> &[u8] {
    part[..name_end(part).unwrap_or(part.len())].trim_ascii()
}

/// The `name=value` pairs of one `Cookie` line, trimmed. A part without `=` is a nameless cookie, as browsers
/// treat it (RFC 6265bis 5.6.3), and never matches a name.
pub fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    parts(line).filter_map(|part| {
        let equals = name_end(part)?;
        Some((part[..equals].trim_ascii(), part[equals + 1..].trim_ascii()))
    })
}

/// All values of the cookies of a name, in the order in which they came.
pub fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(COOKIE).iter().flat_map(move |line| {
        pairs(line.as_bytes()).filter_map(move |(found, value)| (found == name.as_bytes()).then_some(value))
    })
}

/// Whether a `Cookie` line's value names a cookie of ours.
pub fn has_ours(line: &[u8]) -> bool {
    parts(line).any(is_part_ours)
}

fn is_part_ours(part: &[u8]) -> bool {
    is_ours(part[..name_end(part).unwrap_or(part.len())].trim_ascii())
}

/// Writes a `Cookie` line's value without our cookies. `false`, and nothing is written, when no other is left.
pub fn write_without_ours(line: &[u8], out: &mut Vec<u8>) -> bool {
    if !has_ours(line) {
        out.extend_from_slice(line);
        return true;
    }
    let start = out.len();
    for part in parts(line) {
        let part = part.trim_ascii();
        if part.is_empty() || is_part_ours(part) {
            continue;
        }
        if out.len() > start {
            out.extend_from_slice(b"; ");
        }
        out.extend_from_slice(part);
    }
    out.len() > start
}

/// One `Set-Cookie` line of an engine.
#[derive(Clone, Copy, Debug)]
pub struct SetLine<'a> {
    /// The cookie's name.
    pub name: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
    line: &'a [u8],
}

impl<'a> SetLine<'a> {
    /// Reads a line. One without a name is none of anybody's.
    pub fn read(line: &'a [u8]) -> Option<Self> {
        let pair = parts(line).next()?;
        let equals = memchr::memchr(b'=', pair)?;
        let (name, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
        let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        (!name.is_empty()).then_some(Self { name, value, line })
    }

    /// The line from the `=` behind the name on.
    pub(super) fn behind_name(&self) -> &'a [u8] {
        &self.line[name_end(self.line).unwrap_or(self.line.len())..]
    }

    /// Whether scripts cannot read it (RFC 6265 5.2.6).
    pub fn is_http_only(&self) -> bool {
        parts(self.line).skip(1).any(|attribute| name_of(attribute).eq_ignore_ascii_case(b"httponly"))
    }

    /// Whether it takes a cookie away: `Max-Age` of 0 or less, which goes before an `Expires` that is past (RFC
    /// 6265 5.3), or no value. `now` is in seconds since the Unix epoch.
    pub fn is_deletion(&self, now: u64) -> bool {
        let mut expired = false;
        let mut kept = None;
        for attribute in parts(self.line).skip(1) {
            let Some(equals) = memchr::memchr(b'=', attribute) else { continue };
            let (name, value) = (attribute[..equals].trim_ascii(), attribute[equals + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"max-age") {
                kept = Some(value.first() != Some(&b'-') && value.iter().any(|digit| *digit != b'0'));
            } else if name.eq_ignore_ascii_case(b"expires") {
                expired = is_past(value, now);
            }
        }
        self.value.is_empty() || !kept.unwrap_or(!expired)
    }
}

/// Whether a cookie's date is behind us. What cannot be read is no date (RFC 6265 5.2.1).
fn is_past(date: &[u8], now: u64) -> bool {
    let Ok(date) = std::str::from_utf8(date) else { return false };
    // Servers write `Thu, 01-Jan-1970` as often as they write what RFC 9110 5.6.7 asks for.
    let date = if date.get(7..8) == Some("-") { date.replace('-', " ") } else { date.to_owned() };
    let date = httpdate::parse_http_date(&date).ok();
    let seconds = date.map(|date| date.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()));
    seconds.is_some_and(|seconds| seconds <= now)
}

/// The cookies that an answer sets or deletes. A line without a name is none of anybody's.
pub fn set_lines(headers: &HeaderMap) -> impl Iterator<Item = SetLine<'_>> {
    headers.get_all(SET_COOKIE).iter().filter_map(|line| SetLine::read(line.as_bytes()))
}

/// Whether a `Set-Cookie` line sets a cookie of ours. `=cutover=x` does: to a browser it is a cookie without a
/// name, which it sends back as `cutover=x` (RFC 6265bis 5.6.3 and 5.8.3).
pub fn sets_ours(line: &[u8]) -> bool {
    is_ours(stored_name(line))
}

/// The name under which a browser sends back what a `Set-Cookie` line sets.
pub(super) fn stored_name(line: &[u8]) -> &[u8] {
    let pair = parts(line).next().unwrap_or_default().trim_ascii_start();
    name_of(pair.strip_prefix(b"=").unwrap_or(pair))
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
            ("a=1; b=2", "a=1; b=2"),
            ("a=cutover; cutover2=x; my-cutover=y", "a=cutover; cutover2=x; my-cutover=y"),
            ("cutover=x", ""),
            ("a=1; __Host-cutover=x; b=\"2\"", "a=1; b=\"2\""),
            ("cutover-flow=1;cutover-tester=2; a=1;", "a=1"),
            ("cutover = x ;a=1", "a=1"),
            ("cutover", ""),
        ] {
            let mut out = b"before".to_vec();
            assert_eq!(write_without_ours(line.as_bytes(), &mut out), !rest.is_empty(), "line {line:?}");
            assert_eq!(String::from_utf8(out).expect("ASCII"), format!("before{rest}"), "line {line:?}");
        }
    }

    #[test]
    fn a_deletion_is_recognised_however_it_is_written() {
        for (line, deletes) in [
            ("sid=1", false),
            ("sid=; Path=/", true),
            ("sid=\"\"", true),
            ("sid=1; Max-Age=0", true),
            ("sid=1; max-age = -1", true),
            ("sid=1; Max-Age=00", true),
            ("sid=1; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:00 GMT", false),
            ("sid=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", true),
            ("sid=x; expires=Thu, 01-Jan-1970 00:00:00 GMT; path=/", true),
            ("sid=1; Expires=Fri, 31 Dec 2100 23:59:59 GMT", false),
            ("sid=1; Expires=whenever", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(SET_COOKIE, HeaderValue::from_static(line));
            let found: Vec<bool> = set_lines(&headers).map(|line| line.is_deletion(1_800_000_000)).collect();
            assert_eq!(found, [deletes], "{line}");
        }
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("=x; Path=/"));
        headers.append(SET_COOKIE, HeaderValue::from_static("lone"));
        assert_eq!(set_lines(&headers).count(), 0);
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
