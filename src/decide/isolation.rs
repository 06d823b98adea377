//! Keeping the engines' session cookies apart in one browser: `connect.sid` of Identity becomes `cutover-i.connect.sid`
//! on its way out, and gets its name back on its way in (`session.isolate`).
//!
//! Only `HttpOnly` cookies that the app names as its session's: what scripts read keeps its name. A prefix by which
//! browsers hold a cookie to its promises stays in front, and attributes are not touched.

use std::borrow::Cow;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use crate::decide::answer::CookieName;
use crate::decide::cookies::{self, SetLine};
use crate::decide::engine::Engine;

/// By [`Engine::index`].
const MARKS: [&[u8]; 2] = [b"cutover-c.", b"cutover-i."];

/// Browsers look for these without regard to case (RFC 6265bis 4.1.3); the longer ones first.
const PREFIXES: [&[u8]; 4] = [b"__Host-Http-", b"__Http-", b"__Host-", b"__Secure-"];

/// As many sessions of one engine are looked for among the cookies under their old names.
const MOST_SESSIONS: usize = 32;

fn prefix_of(name: &[u8]) -> (&[u8], &[u8]) {
    let starts =
        |prefix: &&&[u8]| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    name.split_at(PREFIXES.iter().find(starts).map_or(0, |prefix| prefix.len()))
}

/// The name that a cookie of an engine has in the browser.
pub fn renamed(engine: Engine, name: &[u8]) -> Vec<u8> {
    let (prefix, rest) = prefix_of(name);
    [prefix, MARKS[engine.index()], rest].concat()
}

/// Whose a cookie in the browser is, and its name there; `None` for one that keeps its name.
pub fn restored(name: &[u8]) -> Option<(Engine, Cow<'_, [u8]>)> {
    // Most names are neither marked nor prefixed, and differ in their first letter.
    if !matches!(name.first(), Some(b'c' | b'_')) {
        return None;
    }
    let (prefix, rest) = prefix_of(name);
    let engine = Engine::BOTH.into_iter().find(|engine| rest.starts_with(MARKS[engine.index()]))?;
    let rest = &rest[MARKS[engine.index()].len()..];
    let name = if prefix.is_empty() { Cow::Borrowed(rest) } else { Cow::Owned([prefix, rest].concat()) };
    Some((engine, name))
}

/// Whether a cookie of this name in the browser is a session's, under its own name or one that is made here.
fn is_concerned(name: &[u8], session: &[CookieName]) -> bool {
    restored(name).is_some() || session.iter().any(|wanted| wanted.matches(name))
}

/// The name under which an engine gets this cookie: `None` when it is not for this engine, or none of its session's,
/// and does not reach it at all.
fn given_back<'n>(name: Cow<'n, [u8]>, session: &[CookieName]) -> Option<Cow<'n, [u8]>> {
    let is_session = session.iter().any(|wanted| wanted.matches(&name));
    (is_session && !name.is_empty() && !cookies::is_ours(&name)).then_some(name)
}

/// The name of a cookie that comes in pieces: `appSession.1`, `.AspNetCore.CookiesC2`.
pub fn whole(name: &[u8]) -> &[u8] {
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    match name[..name.len() - digits].split_last() {
        Some((b'.' | b'-' | b'_' | b'C', whole)) if digits > 0 => whole,
        Some(_) | None => name,
    }
}

/// The `Cookie` lines of a request, as the browser sent them.
#[derive(Clone, Debug, Default)]
pub struct Jar(Vec<HeaderValue>);

impl Jar {
    /// Those of a head.
    pub fn of(headers: &HeaderMap) -> Self {
        Self(headers.get_all(COOKIE).iter().cloned().collect())
    }

    /// Makes a head's `Cookie` lines those that this engine may see: its own session with its own name, none of the
    /// other's, and a session under its old name where the engine has no newer one.
    pub fn hand_to(&self, engine: Engine, session: &[CookieName], headers: &mut HeaderMap) {
        let names = || {
            let parts = self.0.iter().flat_map(|line| cookies::parts(line.as_bytes()));
            parts.map(cookies::name_of)
        };
        if !names().any(|name| is_concerned(name, session)) {
            return;
        }
        let mut own: Vec<Cow<'_, [u8]>> = Vec::new();
        for (_, name) in names().filter_map(restored).filter(|(of, _)| *of == engine) {
            let Some(name) = given_back(name, session) else { continue };
            if own.len() < MOST_SESSIONS && !own.iter().any(|known| whole(known) == whole(&name)) {
                own.push(name);
            }
        }
        let is_shadowed = |name: &[u8]| {
            let pattern = session.iter().find(|wanted| wanted.matches(name));
            pattern.is_some_and(|pattern| {
                let in_pieces = pattern.as_str().contains('*');
                own.iter().any(|own| **own == *name || (in_pieces && whole(own) == whole(name)))
            })
        };
        headers.remove(COOKIE);
        for line in &self.0 {
            let mut out = Vec::with_capacity(line.len());
            for part in
                cookies::parts(line.as_bytes()).map(<[u8]>::trim_ascii).filter(|part| !part.is_empty())
            {
                let name = cookies::name_of(part);
                let name = match restored(name) {
                    Some((of, name)) if of == engine && part.contains(&b'=') => given_back(name, session),
                    Some(_) => None,
                    None if is_shadowed(name) => None,
                    None => Some(Cow::Borrowed(name)),
                };
                let Some(name) = name else { continue };
                if !out.is_empty() {
                    out.extend_from_slice(b"; ");
                }
                out.extend_from_slice(&name);
                out.extend_from_slice(&part[cookies::name_of(part).len()..]);
            }
            if let (false, Ok(line)) = (out.is_empty(), HeaderValue::from_bytes(&out)) {
                headers.append(COOKIE, line);
            }
        }
    }
}

/// Takes the app's session cookies out of a head, whoever they are of.
pub fn without_sessions(headers: &mut HeaderMap, session: &[CookieName]) {
    let is_session = |part: &[u8]| is_concerned(cookies::name_of(part), session);
    let lines: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    headers.remove(COOKIE);
    for line in lines {
        let parts = cookies::parts(line.as_bytes()).map(<[u8]>::trim_ascii);
        let kept: Vec<&[u8]> = parts.filter(|part| !part.is_empty() && !is_session(part)).collect();
        if let (false, Ok(line)) = (kept.is_empty(), HeaderValue::from_bytes(&kept.join(&b"; "[..]))) {
            headers.append(COOKIE, line);
        }
    }
}

/// Gives the session cookies that an engine's answer sets the names that they have in the browser. A cookie that is
/// deleted is deleted under both names: such lines often say nothing of `HttpOnly`. What an engine sets under a name
/// that is made here is left out: it would be the other one's session. `now` is in seconds since the Unix epoch.
pub fn keep_apart(headers: &mut HeaderMap, engine: Engine, session: &[CookieName], now: u64) {
    let mut lines = headers.get_all(SET_COOKIE).iter();
    if !lines.any(|line| is_concerned(cookies::stored_name(line.as_bytes()), session)) {
        return;
    }
    let lines: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for line in lines {
        let read = SetLine::read(line.as_bytes());
        let read = read.filter(|read| session.iter().any(|wanted| wanted.matches(read.name)));
        let (moves, stays) = match read {
            Some(read) if read.is_deletion(now) => (true, restored(read.name).is_none()),
            Some(read) if read.is_http_only() => (true, false),
            Some(_) | None => (false, restored(cookies::stored_name(line.as_bytes())).is_none()),
        };
        if let (true, Some(read)) = (moves, read) {
            let mut out = renamed(engine, read.name);
            out.extend_from_slice(read.behind_name());
            headers.extend(HeaderValue::from_bytes(&out).ok().map(|line| (SET_COOKIE, line)));
        }
        if stays {
            headers.append(SET_COOKIE, line);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(names: &[&str]) -> Vec<CookieName> {
        names.iter().map(|name| CookieName::parse(name).expect("a name")).collect()
    }

    fn handed(engine: Engine, session: &[&str], lines: &[&'static str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_static(line));
        }
        Jar::of(&headers).hand_to(engine, &names(session), &mut headers);
        headers.get_all(COOKIE).iter().map(|line| line.to_str().expect("ASCII").to_owned()).collect()
    }

    fn set(engine: Engine, session: &[&str], line: &'static str) -> Vec<String> {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("first=1"));
        headers.append(SET_COOKIE, HeaderValue::from_static(line));
        keep_apart(&mut headers, engine, &names(session), 1_800_000_000);
        let lines = headers.get_all(SET_COOKIE).iter().map(|line| line.to_str().expect("ASCII").to_owned());
        lines.skip(1).collect()
    }

    #[test]
    fn an_engine_sees_its_own_session_under_its_own_name_and_never_the_others() {
        let both = "a=1; cutover-c.connect.sid=c; cutover-i.connect.sid=i ;b=2";
        for (engine, lines, seen) in [
            (Engine::Identity, &[both][..], &["a=1; connect.sid=i; b=2"][..]),
            (Engine::Classic, &[both], &["a=1; connect.sid=c; b=2"]),
            (Engine::Classic, &["cutover-i.connect.sid=i"], &[]),
            (Engine::Classic, &["connect.sid=old; cutover-i.connect.sid=i"], &["connect.sid=old"]),
            (Engine::Identity, &["connect.sid=old; cutover-i.connect.sid=i"], &["connect.sid=i"]),
            (Engine::Identity, &["connect.sid=old", "cutover-i.connect.sid=i; x=1"], &["connect.sid=i; x=1"]),
            // What nobody could have been given.
            (Engine::Identity, &["cutover-i.other=1; cutover-i.=2; cutover-i.connect.sid; x"], &["x"]),
            (
                Engine::Identity,
                &["cutover-i.connect.sid = 1 ; cutover-i.connect.sid=2"],
                &["connect.sid = 1; connect.sid=2"],
            ),
            (Engine::Identity, &["a=1;b=2"], &["a=1;b=2"]),
        ] {
            assert_eq!(handed(engine, &["connect.sid"], lines), seen, "{engine} {lines:?}");
        }
    }

    #[test]
    fn a_session_in_pieces_is_one_session() {
        let line = "app.0=o; app.1=o; app.2=o; apple=js; cutover-i.app.0=n; cutover-i.app.1=n";
        assert_eq!(handed(Engine::Identity, &["app*"], &[line]), ["apple=js; app.0=n; app.1=n"]);
        assert_eq!(handed(Engine::Classic, &["app*"], &[line]), ["app.0=o; app.1=o; app.2=o; apple=js"]);
        for (name, is) in
            [("s.12", "s"), ("CookiesC1", "Cookies"), ("sid2", "sid2"), ("7", "7"), (".7", ""), ("", "")]
        {
            assert_eq!(whole(name.as_bytes()), is.as_bytes(), "{name}");
        }
    }

    #[test]
    fn a_head_without_sessions_keeps_every_other_cookie() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; connect.sid=c;cutover-i.connect.sid=i ; b=2"));
        headers.append(COOKIE, HeaderValue::from_static("connect.sid=d"));
        without_sessions(&mut headers, &names(&["connect.sid"]));
        assert_eq!(headers.get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2"]);
    }

    #[test]
    fn no_pattern_gives_an_engine_a_cookie_of_ours() {
        assert_eq!(handed(Engine::Identity, &["*"], &["cutover-i.cutover=x; a=1"]), ["a=1"]);
        let host = handed(Engine::Identity, &["*"], &["__Host-cutover-i.cutover-flow=x; a=1"]);
        assert_eq!(host, ["a=1"], "nor with a prefix");
    }

    #[test]
    fn what_an_engine_sets_is_renamed_when_scripts_cannot_read_it() {
        for (line, lines) in [
            ("connect.sid=1; Path=/; HttpOnly", &["cutover-i.connect.sid=1; Path=/; HttpOnly"][..]),
            (" connect.sid = 1 ;httponly", &["cutover-i.connect.sid= 1 ;httponly"]),
            ("connect.sid=1; Path=/", &["connect.sid=1; Path=/"]),
            ("connect.sid=HttpOnly; Path=/", &["connect.sid=HttpOnly; Path=/"]),
            ("connect.sid=; Max-Age=0", &["cutover-i.connect.sid=; Max-Age=0", "connect.sid=; Max-Age=0"]),
            ("__Host-sid=1; Secure; Path=/; HttpOnly", &["__Host-cutover-i.sid=1; Secure; Path=/; HttpOnly"]),
            ("__secure-sid=1; Secure; HttpOnly", &["__secure-cutover-i.sid=1; Secure; HttpOnly"]),
            ("uid=1; HttpOnly", &["uid=1; HttpOnly"]),
            // The other engine's session, or another one of its own.
            ("cutover-c.connect.sid=1; HttpOnly", &[]),
            ("=cutover-c.connect.sid=1", &[]),
            ("cutover-i.connect.sid=1", &[]),
            ("cutover-c.connect.sid", &[]),
        ] {
            let session = ["connect.sid", "__Host-sid", "__secure-sid"];
            assert_eq!(set(Engine::Identity, &session, line), lines, "{line}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_given_back_as_it_was(
            prefix in proptest::sample::select(vec!["", "__Host-", "__HOST-", "__Secure-", "__Http-", "__Host-Http-", "cutover-i."]),
            name in "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}",
            identity: bool,
        ) {
            let engine = Engine::BOTH[usize::from(identity)];
            let name = format!("{prefix}{name}");
            let away = renamed(engine, name.as_bytes());
            prop_assert_eq!(restored(&away), Some((engine, Cow::Borrowed(name.as_bytes()))));
            prop_assert!(!cookies::is_ours(&away));
            let starts = |start: &str| name.to_ascii_lowercase().starts_with(start) && !away.to_ascii_lowercase().starts_with(start.as_bytes());
            prop_assert!(!["__host-", "__secure-", "__http-", "__host-http-"].into_iter().any(starts));
        }

        #[test]
        fn what_an_engine_set_comes_back_to_it_alone(
            name in "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}",
            value in "[!#-+\\--:<-~]{1,40}",
            identity: bool,
        ) {
            prop_assume!(!cookies::is_ours(name.as_bytes()));
            let (engine, session) = (Engine::BOTH[usize::from(identity)], names(&["*"]));
            let mut headers = HeaderMap::new();
            headers.append(SET_COOKIE, HeaderValue::try_from(format!("{name}={value}; HttpOnly")).expect("a line"));
            keep_apart(&mut headers, engine, &session, 0);
            let line = headers.remove(SET_COOKIE).expect("it stays");
            let pair = line.as_bytes().split(|byte| *byte == b';').next().expect("a pair");
            headers.append(COOKIE, HeaderValue::from_bytes(pair).expect("a line"));
            let jar = Jar::of(&headers);
            jar.hand_to(engine, &session, &mut headers);
            let set = format!("{name}={value}");
            prop_assert_eq!(headers[COOKIE].as_bytes(), set.as_bytes());
            jar.hand_to(engine.other(), &session, &mut headers);
            prop_assert!(!headers.contains_key(COOKIE));
        }
    }
}
