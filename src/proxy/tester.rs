//! Where tester links land: a token for a cookie, and back to the site.

use http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY, SET_COOKIE};
use http::{HeaderValue, Method, Response, StatusCode};

use crate::decide::cookies::CookieNames;
use crate::decide::ticket::Sealer;
use crate::decide::workflow::parameter;
use crate::proxy::body::Content;
use crate::telemetry::kinds::TesterOutcome;

/// The path that is ours on every app; no engine is asked for it.
pub const PATH: &str = "/.well-known/cutover/tester";

/// Answers a visit: sets the cookie that the link's token stands for, takes it away with `?clear`, or refuses. Always
/// leads to `/`: where to is nothing that a link may say.
pub fn answer(
    method: &Method,
    query: Option<&str>,
    sealer: &Sealer,
    secure: bool,
    now: u64,
) -> (Response<Content>, TesterOutcome) {
    let names = CookieNames::for_scheme(secure);
    let query = query.unwrap_or_default();
    let token = parameter(query, "token");
    let opened = token.map(|token| sealer.open_tester(token.as_bytes(), now));
    let (line, outcome) = match (opened, token) {
        _ if *method != Method::GET => (None, TesterOutcome::Refused),
        (Some(Ok(tester)), Some(token)) => {
            let life = u64::from(tester.expires).saturating_sub(now);
            (Some(Sealer::set_tester_cookie(names, Some(token), life)), TesterOutcome::Set)
        }
        (None, _) if parameter(query, "clear").is_some() => {
            (Some(Sealer::set_tester_cookie(names, None, 0)), TesterOutcome::Cleared)
        }
        (_, _) => (None, TesterOutcome::Refused),
    };
    let mut response = Response::new(Content::Empty);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The token must not travel on in a Referer.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let status = match line.and_then(|line| HeaderValue::try_from(line).ok()) {
        Some(line) => {
            headers.insert(SET_COOKIE, line);
            headers.insert(LOCATION, HeaderValue::from_static("/"));
            StatusCode::SEE_OTHER
        }
        None => StatusCode::FORBIDDEN,
    };
    *response.status_mut() = status;
    (response, outcome)
}
