//! Who may ask: the bearer token of the running configuration, looked up for every request.
//!
//! | | loopback listener | any other listener |
//! |---|---|---|
//! | probes | everybody | everybody |
//! | reads | everybody on this host | token |
//! | writes | token | token |

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, StatusCode};

use crate::admin::api::Door;
use crate::admin::refusal::Refusal;
use crate::config::secret::Secret;
use crate::decide::host::host_of;

/// Lets a read pass, or refuses it.
pub(super) async fn reads(State(door): State<Door>, request: Request, next: Next) -> Response {
    let snapshot = door.state.live.load();
    let token = snapshot.config.admin.token.as_ref();
    let allowed = if door.is_exposed {
        is_operator(token, request.headers())
    } else {
        is_of_this_host(request.headers()).or_else(|refusal| {
            // A token is better proof than a name.
            is_operator(token, request.headers()).map_err(|_| refusal)
        })
    };
    match allowed {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Lets a write pass, or refuses it.
pub(super) async fn writes(State(door): State<Door>, request: Request, next: Next) -> Response {
    let snapshot = door.state.live.load();
    match is_operator(snapshot.config.admin.token.as_ref(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn is_operator(token: Option<&Secret>, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(token) = token else {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "this needs a token, and the configuration names none",
        )
        .hint("name a file with a token of your choice as admin.token_file"));
    };
    let refused = |detail, challenge| {
        Err(Refusal::new(StatusCode::UNAUTHORIZED, detail)
            .hint("send the content of admin.token_file as `Authorization: Bearer …`")
            .challenge(challenge))
    };
    // RFC 6750 3: a request without credentials is told of no error.
    match bearer(headers) {
        None => refused("this needs the admin token", "Bearer realm=\"cutover\""),
        Some(presented) if token.is(presented) => Ok(()),
        Some(_) => {
            refused("this is not the admin token", "Bearer realm=\"cutover\", error=\"invalid_token\"")
        }
    }
}

/// The credentials of the only `Authorization` line. RFC 9110 11.1: the scheme has no case.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let (first, None) = (lines.next()?, lines.next()) else { return None };
    let (scheme, presented) = first.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(presented.trim_ascii())
}

/// A page of some other site can make a browser on this host ask us, by giving its own name our address (DNS
/// rebinding). It cannot make the browser say another name, nor an address.
fn is_of_this_host(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(authority) = headers.get(HOST) else { return Ok(()) };
    let host = authority.to_str().ok().and_then(host_of).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    if bare.parse::<IpAddr>().is_ok() || name == "localhost" || name.ends_with(".localhost") {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::FORBIDDEN, "the Host of this request is another site's name")
        .hint("ask for the admin listener by its address or as localhost, or send the admin token"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn with(name: http::HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn one_bearer_line_is_the_token_and_two_are_nobodys() {
        for (lines, presented) in [
            (&["Bearer s3cret"][..], Some("s3cret")),
            (&["bearer  s3cret "], Some("s3cret")),
            (&["BEARER s3cret"], Some("s3cret")),
            (&["Basic s3cret"], None),
            (&["Bearer"], None),
            (&["s3cret"], None),
            (&["Bearer s3cret", "Bearer s3cret"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(AUTHORIZATION, HeaderValue::from_static(line));
            }
            assert_eq!(bearer(&headers), presented.map(str::as_bytes), "lines {lines:?}");
        }
    }

    #[test]
    fn an_address_or_localhost_is_this_host_and_any_other_name_is_not() {
        for (host, is_ours) in [
            ("127.0.0.1:9900", true),
            ("[::1]:9900", true),
            ("localhost:9900", true),
            ("LOCALHOST.", true),
            ("proxy.localhost", true),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:9900", false),
            ("", false),
        ] {
            assert_eq!(is_of_this_host(&with(HOST, &[host])).is_ok(), is_ours, "host {host:?}");
        }
        assert!(is_of_this_host(&HeaderMap::new()).is_ok(), "HTTP/1.0 names no host");
    }
}
