//! What is there, noted in one walk: most requests carry few of the headers that matter here, and asking a map for
//! each of them costs more than looking at what it holds.

use http::HeaderMap;

use crate::decide::headers::certificate::tells_of_a_certificate;

/// Which of the headers that matter a request has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// `Connection`.
    pub connection: bool,
    /// Any other header of this hop alone.
    pub hop_by_hop: bool,
    /// Any `cutover-*` annotation.
    pub annotation: bool,
    /// A name with an underscore: perhaps another spelling of one that only we may write.
    pub underscore: bool,
    /// `Forwarded` or any `X-Forwarded-*`.
    pub forwarded: bool,
    /// Any header that tells of a client's certificate.
    pub certificate: bool,
    /// `X-Request-Id`.
    pub request_id: bool,
    /// `traceparent`.
    pub trace: bool,
    /// `Accept`.
    pub accept: bool,
    /// `Sec-Fetch-Mode`.
    pub fetch_mode: bool,
    /// `Content-Length`.
    pub content_length: bool,
    /// `Sec-Purpose`, or one of its older names.
    pub purpose: bool,
}

impl Seen {
    /// Looks at every name once.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut seen = Self::default();
        for name in headers.keys() {
            match name.as_str() {
                "accept" => seen.accept = true,
                "connection" => seen.connection = true,
                "te" | "expect" | "upgrade" | "keep-alive" | "transfer-encoding" | "proxy-connection" => {
                    seen.hop_by_hop = true;
                }
                "content-length" => seen.content_length = true,
                "forwarded" => seen.forwarded = true,
                "sec-purpose" | "purpose" | "x-moz" => seen.purpose = true,
                "sec-fetch-mode" => seen.fetch_mode = true,
                "traceparent" => seen.trace = true,
                "x-request-id" => seen.request_id = true,
                other => {
                    seen.annotation |= other.starts_with("cutover-");
                    seen.forwarded |= other.starts_with("x-forwarded-");
                    seen.certificate |= tells_of_a_certificate(other);
                    seen.underscore |= memchr::memchr(b'_', other.as_bytes()).is_some();
                }
            }
        }
        seen
    }
}
