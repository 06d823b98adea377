//! A request head as HTTP/2 has it (RFC 9113 8.2 and 8.3). Pure: a head goes in, what the `h2` crate sends comes out.

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, FORWARDED, HOST, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{Authority, Parts, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

use crate::decide::cookies::{has_ours, write_without_ours};
use crate::decide::headers::own;
use crate::upstream::head::{RequestHead, Sending};

/// Names of lines that we add, so that they need not be made anew for every request.
const OURS: [HeaderName; 10] = [
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    FORWARDED,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("cutover-engine"),
    HeaderName::from_static("cutover-reason"),
    HeaderName::from_static("cutover-workflow"),
];

/// Remembers the authority of the last `Host`: most requests name the same one.
#[derive(Debug, Default)]
pub struct LastAuthority(Option<(HeaderValue, Authority)>);

impl LastAuthority {
    /// `None` when the host is none that a URI may have.
    fn of(&mut self, host: &HeaderValue) -> Option<Authority> {
        if let Some((known, authority)) = &self.0
            && known == host
        {
            return Some(authority.clone());
        }
        let authority = Authority::try_from(host.as_bytes()).ok()?;
        self.0 = Some((own(host), authority.clone()));
        Some(authority)
    }
}

/// The head to send. Headers of the connection have no place in HTTP/2 (RFC 9113 8.2.2), but for `te: trailers`; our
/// own cookies are left out here, as in HTTP/1.1; and framing headers are ours to write.
///
/// What differs from request to request, or is nobody's business, is marked as never to be indexed (RFC 7541 7.1.3):
/// it would drive everything else out of a table that all requests of a connection share.
pub fn request(head: &RequestHead, sending: Sending, last: &mut LastAuthority) -> Request<()> {
    let RequestHead { method, uri, headers, lines, .. } = head;
    let mut sent = HeaderMap::with_capacity(headers.len() + OURS.len());
    let mut authority = None;
    for (name, value) in headers {
        if *name == HOST {
            authority = last.of(value);
            if authority.is_none() {
                sent.append(HOST, value.clone());
            }
        } else if *name == COOKIE {
            if let Some(value) = cookie(value) {
                sent.append(COOKIE, value);
            }
        } else if *name == AUTHORIZATION {
            sent.append(AUTHORIZATION, unindexed(value.clone()));
        } else if *name == TE {
            sent.insert(TE, HeaderValue::from_static("trailers"));
        } else if !is_of_the_connection(name) {
            sent.append(name, value.clone());
        }
    }
    // One copy, of which all values are slices.
    let copy = Bytes::copy_from_slice(lines.as_bytes());
    for (name, value) in lines.iter() {
        let value = HeaderValue::from_maybe_shared(copy.slice(value)).map(unindexed);
        let known = OURS.iter().find(|known| known.as_str() == name).cloned();
        if let (Ok(value), Some(name)) = (value, known.or_else(|| name.parse().ok())) {
            sent.append(name, value);
        }
    }
    match sending {
        // RFC 9110 8.6: methods that expect a body say when there is none.
        Sending::Nothing if matches!(*method, Method::POST | Method::PUT | Method::PATCH) => {
            sent.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Sending::Length(length) => {
            sent.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        Sending::Nothing | Sending::Chunked => {}
    }
    let mut request = Request::new(());
    *request.method_mut() = method.clone();
    // RFC 9113 8.3.1 lets a request that names its host only in `host` go without `:authority`; the version says so.
    *request.version_mut() = if authority.is_some() { Version::HTTP_2 } else { Version::HTTP_11 };
    *request.uri_mut() = target(uri, authority);
    *request.headers_mut() = sent;
    request
}

/// RFC 9113 8.2.2, and the lengths that are ours to write.
fn is_of_the_connection(name: &HeaderName) -> bool {
    *name == CONNECTION
        || *name == CONTENT_LENGTH
        || *name == TRANSFER_ENCODING
        || *name == UPGRADE
        || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings")
}

fn unindexed(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

/// A `Cookie` line without our cookies; `None` when it holds no other.
fn cookie(value: &HeaderValue) -> Option<HeaderValue> {
    if !has_ours(value.as_bytes()) {
        return Some(unindexed(value.clone()));
    }
    let mut line = Vec::with_capacity(value.len());
    if !write_without_ours(value.as_bytes(), &mut line) {
        return None;
    }
    HeaderValue::from_maybe_shared(Bytes::from(line)).ok().map(unindexed)
}

fn target(uri: &Uri, authority: Option<Authority>) -> Uri {
    let Some(authority) = authority else { return uri.clone() };
    let mut parts = Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    parts.path_and_query = uri.path_and_query().cloned();
    // Fails only for parts that do not belong together, and these three do.
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::headers::Lines;

    fn sent(method: Method, target: &'static str, sending: Sending) -> Request<()> {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "portal.example.com:8080"),
            ("connection", "te, x"),
            ("keep-alive", "5"),
            ("transfer-encoding", "gzip"),
            ("content-length", "99"),
            ("te", "trailers, gzip"),
            ("authorization", "Bearer secret"),
            ("cookie", "cutover=ticket"),
            ("cookie", "a=1; __Host-cutover-flow=pin; b=2"),
            ("accept", "*/*"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let mut lines = Lines::default();
        lines.push("x-request-id", b"abc");
        lines.push("x-other", b"a: b");
        let head =
            RequestHead { method, uri: Uri::from_static(target), headers, lines, undeclared_trailers: false };
        request(&head, sending, &mut LastAuthority::default())
    }

    #[test]
    fn headers_of_the_connection_and_our_cookies_stay_behind() {
        let request = sent(Method::GET, "/a?b=%20", Sending::Nothing);
        assert_eq!(request.uri(), "http://portal.example.com:8080/a?b=%20");
        let headers: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")))
            .collect();
        assert_eq!(
            headers,
            [
                "te: trailers",
                "authorization: Bearer secret",
                "cookie: a=1; b=2",
                "accept: */*",
                "x-request-id: abc",
                "x-other: a: b"
            ]
        );
        for name in ["authorization", "cookie", "x-request-id"] {
            assert!(request.headers()[name].is_sensitive(), "{name}");
        }
    }

    #[test]
    fn a_length_is_ours_to_say() {
        let length = |method, sending| sent(method, "/", sending).headers().get(CONTENT_LENGTH).cloned();
        assert_eq!(length(Method::GET, Sending::Nothing), None);
        assert_eq!(length(Method::POST, Sending::Nothing), Some(HeaderValue::from_static("0")));
        assert_eq!(length(Method::POST, Sending::Length(7)), Some(HeaderValue::from_static("7")));
        assert_eq!(length(Method::POST, Sending::Chunked), None);
    }

    #[test]
    fn an_asterisk_stays_one_and_a_strange_host_stays_a_header() {
        assert_eq!(sent(Method::OPTIONS, "*", Sending::Nothing).uri().path(), "*");
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("a[b"));
        let head = RequestHead {
            method: Method::GET,
            uri: Uri::from_static("/"),
            headers,
            lines: Lines::default(),
            undeclared_trailers: false,
        };
        let request = request(&head, Sending::Nothing, &mut LastAuthority::default());
        assert_eq!((request.version(), request.headers()[HOST].as_bytes()), (Version::HTTP_11, &b"a[b"[..]));
    }
}
