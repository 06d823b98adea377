//! What HTTP/2 says otherwise, said as engines know it: in HTTP/1.1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, COOKIE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use hyper::ext::Protocol;

use crate::proxy::body::Content;
use crate::proxy::error::ProxyError;

/// A WebSocket's key proves to a client that it speaks to a WebSocket server (RFC 6455 1.3). Over HTTP/2 the client has
/// its proof in the protocol, and asks for none (RFC 8441 5).
const KEY: [u8; 16] = *b"cutover-http2-ws";

/// Makes an HTTP/2 request one of HTTP/1.1.
pub(super) fn as_http1(parts: &mut Parts) -> Result<(), ProxyError> {
    join_cookies(parts);
    if parts.method != Method::CONNECT {
        return Ok(());
    }
    match parts.extensions.get::<Protocol>().map(Protocol::as_str) {
        Some("websocket") => {}
        Some(_) => return Err(ProxyError::Malformed("a protocol that nobody here speaks")),
        None => return Ok(()),
    }
    // RFC 8441 5: the same as a GET with Upgrade.
    parts.method = Method::GET;
    parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    parts.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(key) = HeaderValue::from_str(&STANDARD.encode(KEY)) {
        parts.headers.insert(SEC_WEBSOCKET_KEY, key);
    }
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

/// Makes an engine's 101 the answer to a CONNECT (RFC 8441 5).
pub(super) fn answer_connect(response: &mut Response<Content>) {
    *response.status_mut() = StatusCode::OK;
    for name in [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT] {
        response.headers_mut().remove(name);
    }
}
