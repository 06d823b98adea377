//! What HTTP/2 says otherwise, said as engines know it: in HTTP/1.1.

use http::header::{CONNECTION, COOKIE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use hyper::ext::Protocol;

use crate::proxy::body::Content;
use crate::proxy::error::ProxyError;
use crate::upstream::error::UpstreamError;

/// A WebSocket's key proves to a client that it speaks to a WebSocket server (RFC 6455 1.3). Over HTTP/2 the client has
/// its proof in the protocol, and asks for none (RFC 8441 5). One key is as good as another for us, and its proof is known.
const KEY: HeaderValue = HeaderValue::from_static("Y3V0b3Zlci1odHRwMi13cw==");

/// What a WebSocket server makes of [`KEY`] (RFC 6455 4.2.2).
const PROOF: HeaderValue = HeaderValue::from_static("P4VnjMWjBEr4HbXW7a0pm6skioc=");

/// Makes an HTTP/2 request one of HTTP/1.1. `limit` is of header lines.
pub(super) fn as_http1(parts: &mut Parts, limit: usize) -> Result<(), ProxyError> {
    join_cookies(parts);
    if parts.headers.len() > limit {
        return Err(ProxyError::HeadTooLarge { limit });
    }
    if parts.method != Method::CONNECT {
        return Ok(());
    }
    match parts.extensions.get::<Protocol>().map(Protocol::as_str) {
        Some("websocket") => {}
        Some(_) => return Err(ProxyError::UnknownProtocol),
        None => return Ok(()),
    }
    // RFC 8441 5: the same as a GET with Upgrade.
    parts.method = Method::GET;
    parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    parts.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    parts.headers.insert(SEC_WEBSOCKET_KEY, KEY);
    Ok(())
}

/// RFC 9113 8.2.3: cookies may come in crumbs, and are one line for everybody else.
fn join_cookies(parts: &mut Parts) {
    let mut lines = parts.headers.get_all(COOKIE).iter();
    if lines.next().is_none() || lines.next().is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = parts.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(line) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        parts.headers.insert(COOKIE, line);
    }
}

/// Whether what an engine answered to the opening of a WebSocket may be told to a client to whom any 2xx means that the
/// tunnel stands (RFC 8441 5).
pub(super) fn check_opening<B>(response: &Response<B>) -> Result<(), ProxyError> {
    let is_sound = match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => response.headers().get(SEC_WEBSOCKET_ACCEPT) == Some(&PROOF),
        status => !status.is_success(),
    };
    let status = response.status().as_u16();
    if is_sound { Ok(()) } else { Err(ProxyError::Upstream(UpstreamError::UpgradeRefused { status })) }
}

/// Makes an engine's 101 the answer to a CONNECT (RFC 8441 5).
pub(super) fn answer_connect(response: &mut Response<Content>) {
    *response.status_mut() = StatusCode::OK;
    for name in [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT] {
        response.headers_mut().remove(name);
    }
}
