//! Signing out ends the sessions of both engines in the browser: the other one's would sign the user in again with the
//! next page that it serves (`DOMAIN.md` A 8).

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::decide::answer::CookieName;
use crate::decide::cookies;
use crate::decide::isolation;

/// As many cookies are expired; more is no session's.
const MOST: usize = 32;

/// The names, in the browser, of the session cookies that a request brings, of either engine.
pub fn sessions(headers: &HeaderMap, session: &[CookieName]) -> Vec<Box<str>> {
    let mut names: Vec<Box<str>> = Vec::new();
    let parts = headers.get_all(COOKIE).iter().flat_map(|line| cookies::pairs(line.as_bytes()));
    for (name, _) in parts {
        let own = isolation::restored(name).map(|(_, name)| name);
        let own = own.as_deref().unwrap_or(name);
        let is_session = session.iter().any(|wanted| wanted.matches(own)) && !cookies::is_ours(name);
        // What comes from the client goes back to it in a header: it must be a name.
        if let (true, Ok(_), Ok(text)) = (is_session, HeaderName::from_bytes(name), std::str::from_utf8(name))
            && names.len() < MOST
            && !names.iter().any(|known| **known == *text)
        {
            names.push(text.into());
        }
    }
    names
}

/// Expires these cookies, except for those of which the answer says something itself. A browser deletes a cookie of the
/// same name, path and domain: one that an engine set for another path or for a domain stays.
pub fn expire(headers: &mut HeaderMap, names: &[Box<str>], secure: bool) {
    for name in names {
        let is_said = headers
            .get_all(SET_COOKIE)
            .iter()
            .any(|line| cookies::stored_name(line.as_bytes()) == name.as_bytes());
        if is_said {
            continue;
        }
        let secure = if secure || name.starts_with("__") { "; Secure" } else { "" };
        let line = format!(
            "{name}=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly{secure}; SameSite=Lax"
        );
        headers.extend(HeaderValue::try_from(line).ok().map(|line| (SET_COOKIE, line)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<CookieName> {
        names.iter().map(|name| CookieName::parse(name).expect("a name")).collect()
    }

    #[test]
    fn the_sessions_of_both_engines_are_found_under_every_name_and_nothing_else_is() {
        let mut headers = HeaderMap::new();
        let line = "connect.sid=1; cutover-c.connect.sid=2; cutover-i.connect.sid=3; theme=dark; connect.sid=4; \
             __Host-cutover-i.s=5; cutover=6; app.0=7; app.1=8; app\"=9";
        headers.append(COOKIE, HeaderValue::from_static(line));
        let found = sessions(&headers, &names(&["connect.sid", "__Host-s", "app*"]));
        let found: Vec<&str> = found.iter().map(|name| &**name).collect();
        let expected = [
            "connect.sid",
            "cutover-c.connect.sid",
            "cutover-i.connect.sid",
            "__Host-cutover-i.s",
            "app.0",
            "app.1",
        ];
        assert_eq!(found, expected);
        let all = sessions(&headers, &names(&["*"]));
        assert!(!all.iter().any(|name| &**name == "cutover"), "ours is nobody's session");
    }

    #[test]
    fn what_the_answer_says_itself_is_left_to_it() {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("a=new; Path=/app"));
        expire(&mut headers, &["a".into(), "__Secure-b".into()], false);
        let lines: Vec<&str> =
            headers.get_all(SET_COOKIE).iter().map(|line| line.to_str().expect("ASCII")).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].starts_with("__Secure-b=; Path=/; Max-Age=0;") && lines[1].contains("; Secure"));
    }
}
