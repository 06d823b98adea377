//! Fields behind a body (RFC 9110 6.5): what may stand there.

use http::{HeaderMap, HeaderName};

use crate::decide::headers::certificate::tells_of_a_certificate;

/// RFC 9110 6.5.1: fields of framing, routing, authentication, request modifiers, caching and content have no place
/// behind the body. Whoever merges trailers into headers, as some engines do, would believe them.
const FORBIDDEN: [&str; 22] = [
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "location",
    "max-forwards",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];

/// What only we may write, whatever the section.
const OURS: [&str; 3] = ["forwarded", "traceparent", "x-request-id"];

/// Whether nobody who means well sends this as a trailer. `name` is as it came.
pub fn is_forbidden_trailer(name: &[u8]) -> bool {
    FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden.as_bytes()))
}

/// Whether a trailer may cross the proxy.
pub fn may_be_trailer(name: &HeaderName) -> bool {
    let name = name.as_str();
    !is_forbidden_trailer(name.as_bytes())
        && !OURS.contains(&name)
        && !tells_of_a_certificate(name)
        && !name.starts_with("x-forwarded")
        && !name.starts_with("cutover")
        && !name.contains('_')
}

/// Takes away the trailers that may not cross.
pub fn strip_trailers(trailers: HeaderMap) -> HeaderMap {
    if trailers.keys().all(may_be_trailer) {
        return trailers;
    }
    let mut kept = HeaderMap::with_capacity(trailers.len());
    for (name, value) in trailers.iter().filter(|(name, _)| may_be_trailer(name)) {
        kept.append(name, value.clone());
    }
    kept
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_frames_routes_or_is_ours_does_not_cross_behind_a_body() {
        let mut trailers = HeaderMap::new();
        let crosses = ["grpc-status", "server-timing", "x-sum"];
        for name in crosses {
            trailers.append(name, HeaderValue::from_static("1"));
            trailers.append(name, HeaderValue::from_static("2"));
        }
        let all = trailers.clone();
        assert_eq!(strip_trailers(all.clone()), all);
        for name in [
            "content-length",
            "set-cookie",
            "x-forwarded-for",
            "x-request-id",
            "cutover-engine",
            "client-cert",
            "a_b",
        ] {
            trailers.append(name, HeaderValue::from_static("1"));
        }
        assert_eq!(strip_trailers(trailers), all);
        assert!(is_forbidden_trailer(b"Transfer-Encoding") && !is_forbidden_trailer(b"x-request-id"));
    }
}
