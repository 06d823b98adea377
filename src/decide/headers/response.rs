//! Headers of responses.

use http::header::{CACHE_CONTROL, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue};

use crate::decide::cookies;
use crate::decide::headers::forwarded::items;
use crate::decide::headers::hop::{KEEP_ALIVE, PROXY_CONNECTION, strip_named_by_connection};

/// Takes away an engine's headers of its own hop, and any cookie of ours that it tries to set.
pub fn strip_response(headers: &mut HeaderMap) {
    let (mut connection, mut hop_by_hop, mut set_cookie) = (false, false, false);
    for name in headers.keys() {
        match name.as_str() {
            "connection" => connection = true,
            "set-cookie" => set_cookie = true,
            "te" | "upgrade" | "keep-alive" | "transfer-encoding" | "proxy-connection" => hop_by_hop = true,
            _other => {}
        }
    }
    if connection {
        strip_named_by_connection(headers, &[]);
    }
    if hop_by_hop {
        for name in [KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
            headers.remove(name);
        }
    }
    if set_cookie && headers.get_all(SET_COOKIE).iter().any(|line| cookies::sets_ours(line.as_bytes())) {
        let kept: Vec<HeaderValue> = headers
            .get_all(SET_COOKIE)
            .iter()
            .filter(|line| !cookies::sets_ours(line.as_bytes()))
            .cloned()
            .collect();
        headers.remove(SET_COOKIE);
        for line in kept {
            headers.append(SET_COOKIE, line);
        }
    }
}

/// Gives the browser our cookie, and keeps shared caches from giving it to everybody else: the response loses
/// `public` and `s-maxage` and gains `private` (RFC 9111 5.2.2.7).
pub fn set_our_cookie(headers: &mut HeaderMap, line: String) {
    let Ok(line) = HeaderValue::try_from(line) else { return };
    headers.append(SET_COOKIE, line);

    let mut directives: Vec<&[u8]> = Vec::new();
    let mut is_private = false;
    for directive in items(headers, &CACHE_CONTROL).map(<[u8]>::trim_ascii) {
        let name = directive.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        if directive.is_empty()
            || name.eq_ignore_ascii_case(b"public")
            || name.eq_ignore_ascii_case(b"s-maxage")
        {
            continue;
        }
        // `private="field"` covers only that field: ours must be the bare one.
        is_private |= directive.eq_ignore_ascii_case(b"private") || name.eq_ignore_ascii_case(b"no-store");
        directives.push(directive);
    }
    if !is_private {
        directives.push(b"private");
    }
    if let Ok(value) = HeaderValue::from_bytes(&directives.join(&b", "[..])) {
        headers.insert(CACHE_CONTROL, value);
    }
}
