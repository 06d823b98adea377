//! What several targets need. Inputs are texts that people can write and read, so that seeds are too.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Reads `name: value` lines; what is no header is left out. Values come without the white space around them,
/// as hyper delivers them.
pub fn headers(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(trim(&line[colon + 1..], b" \t\r"));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

/// Splits the first line off.
pub fn first_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, b""),
    }
}

/// Takes bytes off both ends.
pub fn trim<'a>(mut bytes: &'a [u8], what: &[u8]) -> &'a [u8] {
    while let [first, rest @ ..] = bytes
        && what.contains(first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && what.contains(last)
    {
        bytes = rest;
    }
    bytes
}

/// White space as `<[u8]>::trim_ascii` understands it, written down once more on purpose.
pub const SPACE: &[u8] = b" \t\n\r\x0c";

/// All values of a header, as they came.
pub fn all(headers: &HeaderMap, name: &str) -> Vec<Vec<u8>> {
    headers.get_all(name).iter().map(|value| value.as_bytes().to_vec()).collect()
}

/// Percent-decodes (RFC 3986 2.1), leaving what is no triplet as it is.
pub fn percent_decode(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (mut decoded, mut rest) = (Vec::new(), text);
    while let [first, tail @ ..] = rest {
        rest = tail;
        if let (b'%', [high, low, behind @ ..]) = (first, tail)
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            decoded.push(high << 4 | low);
            rest = behind;
        } else {
            decoded.push(*first);
        }
    }
    decoded
}
