//! Names for a request: its own, and that of the trace it belongs to.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::decide::headers::lines::Lines;
use crate::decide::headers::seen::Seen;

/// Names one request in our answers, our logs and the engine's.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A request's name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RequestId {
    /// The client's own, which is safe to write anywhere.
    Given(HeaderValue),
    /// Ours: 32 hexadecimal digits.
    Made([u8; 32]),
}

impl RequestId {
    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Given(id) => id.as_bytes(),
            Self::Made(id) => id,
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// Names the request for our logs and the engine's. A client's own name is kept when it is safe to write
/// anywhere (letters, digits and a few marks, at most 128 bytes); `roll` makes one otherwise.
pub fn ensure_request_id(
    headers: &mut HeaderMap,
    seen: Seen,
    roll: impl Fn() -> u64,
    lines: &mut Lines,
) -> RequestId {
    if seen.request_id {
        if let Some(id) = only(headers, &X_REQUEST_ID)
            && is_safe_id(id.as_bytes())
        {
            return RequestId::Given(id.clone());
        }
        headers.remove(&X_REQUEST_ID);
    }
    let mut id = [0u8; 32];
    hex(roll(), &mut id[..16]);
    hex(roll(), &mut id[16..]);
    lines.push(X_REQUEST_ID.as_str(), &id);
    RequestId::Made(id)
}

/// The only line of a header: of several, the engine might believe another one than we do.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

fn is_safe_id(id: &[u8]) -> bool {
    (1..=128).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(byte))
}

/// Continues the client's trace, or begins one that is not sampled (W3C Trace Context 3.2). We record no span
/// of our own yet, so a valid parent is passed on as it came.
pub fn ensure_traceparent(headers: &mut HeaderMap, seen: Seen, roll: impl Fn() -> u64, lines: &mut Lines) {
    if seen.trace {
        if only(headers, &TRACEPARENT).is_some_and(|given| is_traceparent(given.as_bytes())) {
            return;
        }
        headers.remove(&TRACEPARENT);
    }
    let mut parent = *b"00-00000000000000000000000000000000-0000000000000000-00";
    // All-zero ids are invalid; a set bit each rules them out.
    hex(roll() | 1, &mut parent[3..19]);
    hex(roll(), &mut parent[19..35]);
    hex(roll() | 1, &mut parent[36..52]);
    lines.push(TRACEPARENT.as_str(), &parent);
}

/// The trace that a request belongs to, as an engine sees it.
pub fn trace_id<'a>(headers: &'a HeaderMap, lines: &'a Lines) -> Option<&'a str> {
    let given = headers.get(&TRACEPARENT).and_then(|parent| parent.to_str().ok());
    given.or_else(|| lines.get(TRACEPARENT.as_str()))?.get(3..35)
}

pub(super) fn is_traceparent(text: &[u8]) -> bool {
    let is_hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    // Version ff is forbidden; later versions may append fields after a dash.
    text.len() >= 55
        && (text.len() == 55 || (text[..2] != *b"00" && text[55] == b'-'))
        && is_hex(&text[..2])
        && text[..2] != *b"ff"
        && [text[2], text[35], text[52]] == [b'-'; 3]
        && is_hex(&text[3..35])
        && !is_zero(&text[3..35])
        && is_hex(&text[36..52])
        && !is_zero(&text[36..52])
        && is_hex(&text[53..55])
}

/// Sixteen digits of a number. Eighty of them name every request, so they are made eight at a time: each half's
/// nibbles are spread over the bytes of a word, and all of them become letters or digits at once.
fn hex(number: u64, digits: &mut [u8]) {
    const EACH: u64 = 0x0101_0101_0101_0101;
    for (half, digits) in [number >> 32, number & 0xFFFF_FFFF].into_iter().zip(digits.chunks_exact_mut(8)) {
        let pairs = (half << 16 | half) & 0x0000_FFFF_0000_FFFF;
        let bytes = (pairs << 8 | pairs) & 0x00FF_00FF_00FF_00FF;
        let nibbles = (bytes << 4 | bytes) & (0x0F * EACH);
        // Six more carries into the upper half of a byte from ten on.
        let letters = ((nibbles + 6 * EACH) >> 4) & EACH;
        let text = nibbles + u64::from(b'0') * EACH + letters * u64::from(b'a' - b'0' - 10);
        digits.copy_from_slice(&text.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_sixteen_digits() {
        for number in [0, 1, 0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210, 0x9A9A_A9A9_0F0F_F0F0, u64::MAX] {
            let mut digits = [0; 16];
            hex(number, &mut digits);
            assert_eq!(std::str::from_utf8(&digits), Ok(format!("{number:016x}").as_str()));
        }
    }
}
