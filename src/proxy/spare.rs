//! Copies of request heads, for the second try.
//!
//! hyper consumes the head that it sends, and nearly every copy is thrown away unused. So a copy is a plain list
//! whose memory is used again, not a header map with its index: a fifth of the cost.

use std::cell::RefCell;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

use crate::proxy::body::RequestBody;

/// A copy of a request that has no body.
#[derive(Debug)]
pub struct Spare {
    method: Method,
    uri: Uri,
    lines: Vec<(HeaderName, HeaderValue)>,
}

/// The memory of copies that were not needed.
#[derive(Debug, Default)]
pub struct Spares(RefCell<Vec<Vec<(HeaderName, HeaderValue)>>>);

/// As many lists as are kept: more requests of one worker are rarely on their way to an engine at once.
const KEPT: usize = 64;

impl Spares {
    /// Copies the head of a request.
    pub fn copy(&self, request: &Request<RequestBody>) -> Spare {
        let mut lines = self.0.borrow_mut().pop().unwrap_or_default();
        lines.extend(request.headers().iter().map(|(name, value)| (name.clone(), value.clone())));
        Spare { method: request.method().clone(), uri: request.uri().clone(), lines }
    }

    /// Takes back a copy that was not needed.
    pub fn put_back(&self, spare: Spare) {
        let mut kept = self.0.borrow_mut();
        if kept.len() < KEPT {
            let mut lines = spare.lines;
            lines.clear();
            kept.push(lines);
        }
    }
}

impl Spare {
    /// The request again.
    pub fn into_request(self) -> Request<RequestBody> {
        let mut headers = HeaderMap::with_capacity(self.lines.len());
        for (name, value) in self.lines {
            headers.append(name, value);
        }
        let mut request = Request::new(RequestBody::none());
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = headers;
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_the_same_request() {
        let mut request = Request::new(RequestBody::none());
        *request.method_mut() = Method::DELETE;
        *request.uri_mut() = Uri::from_static("/a?b=1");
        request.headers_mut().append("cookie", HeaderValue::from_static("a=1"));
        request.headers_mut().append("host", HeaderValue::from_static("portal"));
        request.headers_mut().append("cookie", HeaderValue::from_static("b=2"));
        let spares = Spares::default();
        for _ in 0..2 {
            let copy = spares.copy(&request).into_request();
            assert_eq!((copy.method(), copy.uri()), (request.method(), request.uri()));
            assert_eq!(copy.headers(), request.headers());
            spares.put_back(spares.copy(&request));
        }
    }
}
