//! What an answer says, as far as a flow may hear it, and what may be asked of it.

use http::header::LOCATION;
use http::{HeaderMap, HeaderName, StatusCode};

use crate::decide::cookies;
use crate::decide::path::normalise;
use crate::decide::pattern::Pattern;
use crate::decide::workflow::parameter;

/// What an answer must look like to end a flow: everything that is said must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ending {
    /// The least and the greatest status.
    pub status: Option<(u16, u16)>,
    /// The path of `Location`, and a parameter of its query.
    pub location: Option<(Pattern, Option<String>)>,
    /// A cookie that is set, and not deleted; `*` in the name stands for anything.
    pub set_cookie: Option<CookieName>,
    /// A header, and the value that it must have.
    pub header: Option<(HeaderName, String)>,
}

impl Ending {
    pub(super) fn fits(&self, answer: &AnswerFacts<'_>) -> bool {
        let Self { status, location, set_cookie, header } = self;
        let by_status =
            status.is_none_or(|(least, greatest)| (least..=greatest).contains(&answer.status.as_u16()));
        by_status
            && location.as_ref().is_none_or(|(path, query)| {
                answer.target.as_ref().is_some_and(|target| {
                    path.matches(&normalise(target.path))
                        && query.as_ref().is_none_or(|name| {
                            target.query.is_some_and(|query| parameter(query, name).is_some())
                        })
                })
            })
            && set_cookie.as_ref().is_none_or(|name| {
                cookies::set_lines(answer.headers)
                    .any(|line| name.matches(line.name) && !line.is_deletion(answer.now))
            })
            && header.as_ref().is_none_or(|(name, value)| {
                answer.headers.get_all(name).iter().any(|found| found.as_bytes() == value.as_bytes())
            })
    }
}

/// The name of a cookie; `*` stands for anything, as in `appSession*` for a cookie that comes in pieces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CookieName {
    text: String,
    /// Where its first star is, so that nobody looks for one with every request.
    star: Option<usize>,
    /// The letter before any star: most cookies differ in it from most names.
    first: Option<u8>,
}

impl CookieName {
    /// `None` for what no cookie is called.
    pub fn parse(text: &str) -> Option<Self> {
        let is_token = HeaderName::from_bytes(text.replace('*', "x").as_bytes()).is_ok();
        let few_stars = text.bytes().filter(|byte| *byte == b'*').count() <= 4;
        let first = text.bytes().next().filter(|first| *first != b'*');
        (is_token && few_stars).then(|| Self { text: text.to_owned(), star: text.find('*'), first })
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a cookie of this name is meant. Names of cookies are compared with their case.
    pub fn matches(&self, name: &[u8]) -> bool {
        if self.first.is_some() && self.first != name.first().copied() {
            return false;
        }
        let Some(star) = self.star else { return self.text.as_bytes() == name };
        let (first, rest) = (&self.text.as_bytes()[..star], &self.text[star + 1..]);
        let Some(mut left) = name.strip_prefix(first) else { return false };
        let mut parts = rest.split('*').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return left.ends_with(part.as_bytes());
            }
            let Some(at) = memchr::memmem::find(left, part.as_bytes()) else { return false };
            left = &left[at + part.len()..];
        }
        true
    }
}

/// What an answer says, as far as a flow may hear it.
#[derive(Clone, Copy, Debug)]
pub struct AnswerFacts<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, as the engine wrote them.
    pub headers: &'a HeaderMap,
    /// Where it sends the browser, when that is a path of this site.
    pub target: Option<Target<'a>>,
    /// Whether it sends the browser anywhere.
    pub redirects: bool,
    /// In seconds since the Unix epoch.
    pub now: u64,
}

/// A place on this site.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its path as it came.
    pub path: &'a str,
    /// Its query.
    pub query: Option<&'a str>,
}

impl<'a> AnswerFacts<'a> {
    /// Reads an answer to a request for `host` at `base`.
    pub fn of(status: StatusCode, headers: &'a HeaderMap, host: &str, now: u64) -> Self {
        let location = if status.is_redirection() { headers.get(LOCATION) } else { None };
        let location = location.and_then(|line| line.to_str().ok());
        let redirects = location.is_some();
        let target = location.and_then(|location| same_site(location, host));
        Self { status, headers, target, redirects, now }
    }
}

/// The path and query of a `Location` that stays on this site: a path, or a URL with our host (RFC 9110 10.2.2).
/// One that is relative to the page is not resolved: its last segments are its own, and that is enough to see that
/// it stays.
fn same_site<'a>(location: &'a str, host: &str) -> Option<Target<'a>> {
    let after_scheme = ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = location.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let rest = match after_scheme.or_else(|| location.strip_prefix("//")) {
        Some(rest) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            if !rest[..end].eq_ignore_ascii_case(host) {
                return None;
            }
            &rest[end..]
        }
        // `mailto:` and others leave the site; a colon behind a slash or a question mark is no scheme's.
        None if location.split(['/', '?', '#']).next().is_some_and(|first| first.contains(':')) => {
            return None;
        }
        None => location,
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    Some(Target { path: if path.is_empty() { "/" } else { path }, query })
}

/// The value of `state` in a `Location`, wherever that leads.
pub fn state_issued(headers: &HeaderMap) -> Option<&str> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let (_, query) = location.split('#').next()?.split_once('?')?;
    parameter(query, "state").filter(|state| !state.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_stays_on_this_site_or_leaves_it() {
        for (location, stays) in [
            ("/", Some(("/", None))),
            ("/home?x=1#y", Some(("/home", Some("x=1")))),
            ("https://portal.example.com/a", Some(("/a", None))),
            ("HTTP://Portal.Example.com", Some(("/", None))),
            ("//portal.example.com/a", Some(("/a", None))),
            ("https://portal.example.com.evil.test/a", None),
            ("https://org.okta.com/oauth2/v1/authorize?state=1", None),
            ("//evil.test/", None),
            ("mailto:ada@example.com", None),
            ("?error=x", Some(("/", Some("error=x")))),
            ("done", Some(("done", None))),
            ("", Some(("/", None))),
        ] {
            let found = same_site(location, "portal.example.com").map(|target| (target.path, target.query));
            assert_eq!(found, stays, "{location}");
        }
    }

    #[test]
    fn the_name_of_a_cookie_that_comes_in_pieces_has_a_star() {
        for (written, name, matches) in [
            ("connect.sid", "connect.sid", true),
            ("connect.sid", "Connect.sid", false),
            ("appSession*", "appSession", true),
            ("appSession*", "appSession.1", true),
            ("appSession*", "xappSession", false),
            ("_*_session", "_portal_session", true),
            ("_*_session", "_session", false),
            ("*", "anything", true),
        ] {
            let read = CookieName::parse(written).expect("a name");
            assert_eq!(read.matches(name.as_bytes()), matches, "{written} and {name}");
        }
        assert_eq!(CookieName::parse("a b"), None);
        assert_eq!(CookieName::parse(""), None);
    }
}
