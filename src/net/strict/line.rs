//! Lines of a message, each judged alone. Pure; a line comes without its line end.

use crate::decide::host::host_of;
use crate::net::strict::fault::Fault;

/// RFC 9110 5.6.2: what a token is made of.
const TOKEN: [bool; 256] = {
    let mut kinds = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < others.len() {
        kinds[others[at] as usize] = true;
        at += 1;
    }
    kinds
};

/// How many bytes of a token a text begins with.
fn token_length(text: &[u8]) -> usize {
    text.iter().position(|byte| !TOKEN[usize::from(*byte)]).unwrap_or(text.len())
}

/// What a request line says that matters for what follows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct RequestLine {
    /// HTTP/1.1, not HTTP/1.0.
    pub(super) is_http_11: bool,
}

/// Judges a request line (RFC 9112 3).
pub(super) fn request_line(line: &[u8]) -> Result<RequestLine, Fault> {
    let method = token_length(line);
    if method == 0 || line.get(method) != Some(&b' ') {
        return Err(if line.contains(&b' ') { Fault::Method } else { Fault::RequestLine });
    }
    let (method, rest) = (&line[..method], &line[method + 1..]);
    let Some((rest, version)) = rest.split_last_chunk::<9>() else { return Err(Fault::RequestLine) };
    let is_http_11 = match version {
        b" HTTP/1.1" => true,
        b" HTTP/1.0" => false,
        // Without a version it was HTTP/0.9.
        _ => return Err(if line.contains(&b'/') { Fault::Version } else { Fault::RequestLine }),
    };
    target(method, rest)?;
    Ok(RequestLine { is_http_11 })
}

fn target(method: &[u8], target: &[u8]) -> Result<(), Fault> {
    // Without a branch per byte, so that the compiler takes many at a time.
    let is_visible = |byte: u8| (0x21..=0x7e).contains(&byte) && byte != b'#';
    if !target.iter().fold(true, |all, byte| all & is_visible(*byte)) {
        return Err(Fault::TargetByte);
    }
    // RFC 9112 3.2.3: CONNECT asks for a forward proxy, which this is not.
    let is_good = method != b"CONNECT"
        && match target.first() {
            Some(b'/') => true,
            Some(b'*') => target.len() == 1 && method == b"OPTIONS",
            Some(_) => is_absolute(target),
            None => false,
        };
    if is_good { Ok(()) } else { Err(Fault::TargetForm) }
}

/// RFC 9112 3.2.2. The authority takes the place of `Host`, and must be as good as one.
fn is_absolute(target: &[u8]) -> bool {
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    let Some(rest) = scheme.map(|scheme| &target[scheme.len()..]) else { return false };
    let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    is_host(&rest[..end])
}

/// Whether a `Host` names a host, and perhaps a port (RFC 9112 3.2).
pub(super) fn is_host(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok_and(|text| host_of(text).is_some())
}

/// What a field line is about, as far as it matters here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Field<'l> {
    Host(&'l [u8]),
    Length(u64),
    /// `chunked`: there is no other that is good.
    Coding,
    Upgrade,
    Other(&'l [u8]),
}

/// Judges a field line (RFC 9112 5). Every line that every client sends comes by here: no second look is taken at
/// one whose name's length and first letter are nothing to us.
#[inline]
pub(super) fn field(line: &[u8]) -> Result<Field<'_>, Fault> {
    let length = token_length(line);
    if length == 0 || line.get(length) != Some(&b':') {
        return Err(bad_name(line, length));
    }
    let (name, value) = (&line[..length], &line[length + 1..]);
    if has_control(value) {
        return Err(if value.contains(&b'\r') { Fault::BareCr } else { Fault::ControlByte });
    }
    match (length, name[0] | 0x20) {
        (4, b'h') if name.eq_ignore_ascii_case(b"host") => Ok(Field::Host(trim(value))),
        (7, b'u') if name.eq_ignore_ascii_case(b"upgrade") => Ok(Field::Upgrade),
        (14, b'c') if is_framing(name, b"content-length")? => {
            content_length(trim(value)).map(Field::Length).ok_or(Fault::Length)
        }
        (17, b't') if is_framing(name, b"transfer-encoding")? => {
            let is_chunked = trim(value).eq_ignore_ascii_case(b"chunked");
            if is_chunked { Ok(Field::Coding) } else { Err(Fault::Coding) }
        }
        _ => Ok(Field::Other(name)),
    }
}

#[cold]
fn bad_name(line: &[u8], length: usize) -> Fault {
    match line.get(length) {
        Some(b' ' | b'\t') if length == 0 => Fault::Fold,
        Some(b' ' | b'\t') => Fault::SpaceBeforeColon,
        Some(b'\r') => Fault::BareCr,
        Some(_) | None => Fault::Name,
    }
}

/// Whether a name of the right length is this one, also with an underscore for its hyphen.
fn is_framing(name: &[u8], framing: &[u8]) -> Result<bool, Fault> {
    let same = |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || (*a == b'_' && *b == b'-');
    if !name.iter().zip(framing).all(same) {
        return Ok(false);
    }
    if name.contains(&b'_') { Err(Fault::Underscore) } else { Ok(true) }
}

/// Without the spaces around it. Tabs are as good (RFC 9110 5.6.3), but around what decides about framing they are
/// only ever sent to find out who looks away: there they stay, and make the value a bad one.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = value {
        value = rest;
    }
    value
}

/// RFC 9110 8.6: digits and nothing else. Beyond 63 bits an engine's signed number would be negative.
fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    value.iter().try_fold(0, add).filter(|length| *length <= u64::MAX >> 1)
}

/// RFC 9110 5.5: what no field value holds. Blocks are looked at without a branch per byte, so that the compiler
/// takes sixteen at a time.
fn has_control(value: &[u8]) -> bool {
    let is_control = |byte: &u8| (*byte < b' ' && *byte != b'\t') | (*byte == 0x7f);
    let (blocks, rest) = value.as_chunks::<16>();
    blocks.iter().any(|block| block.iter().fold(false, |any, byte| any | is_control(byte)))
        || rest.iter().any(is_control)
}

/// Most bytes of a chunk's size line, as for those of engines. RFC 9112 7.1.1 asks for a bound.
pub(super) const MOST_SIZE_LINE: usize = 1024;

/// Reads a chunk's size line (RFC 9112 7.1): the size of its data.
pub(super) fn chunk_size(line: &[u8]) -> Result<u64, Fault> {
    if line.len() > MOST_SIZE_LINE {
        return Err(Fault::LineTooLong);
    }
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    // Sixteen digits are all that 64 bits hold; half of that is more than anybody can send.
    if !(1..=16).contains(&digits) {
        return Err(Fault::ChunkSize);
    }
    let (digits, extensions) = line.split_at(digits);
    let value = |digit: &u8| u64::from((digit & 0xf) + if digit.is_ascii_digit() { 0 } else { 9 });
    let size = digits.iter().fold(0, |size, digit| size << 4 | value(digit));
    if size > u64::MAX >> 1 || !matches!(extensions.first(), None | Some(b';' | b' ' | b'\t')) {
        return Err(Fault::ChunkSize);
    }
    self::extensions(extensions)?;
    Ok(size)
}

/// RFC 9112 7.1.1: `;name`, `;name=token` or `;name="text"`, any number of times. Nobody uses them; they are
/// dropped on the way, and what is none has been used to hide a line end from one of two readers.
fn extensions(mut rest: &[u8]) -> Result<(), Fault> {
    const BAD: Fault = Fault::ChunkExtension;
    while !rest.is_empty() {
        rest = skip_blank(skip_blank(rest).strip_prefix(b";").ok_or(BAD)?);
        let name = token_length(rest);
        if name == 0 {
            return Err(BAD);
        }
        rest = &rest[name..];
        let Some(value) = skip_blank(rest).strip_prefix(b"=").map(skip_blank) else { continue };
        rest = match value.strip_prefix(b"\"") {
            Some(quoted) => behind_quote(quoted).ok_or(BAD)?,
            None => match token_length(value) {
                0 => return Err(BAD),
                token => &value[token..],
            },
        };
    }
    Ok(())
}

fn skip_blank(text: &[u8]) -> &[u8] {
    let blank = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &text[blank..]
}

/// What stands behind the quote that ends a quoted string (RFC 9110 5.6.4).
fn behind_quote(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        text = match text {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', escaped, rest @ ..] if !has_control(&[*escaped]) => rest,
            [b'\\', ..] | [] => return None,
            [byte, rest @ ..] if !has_control(&[*byte]) => rest,
            [..] => return None,
        };
    }
}

/// RFC 9110 6.5.1: fields of framing, routing, authentication and content have no place behind the body. An engine
/// that merges trailers into headers would believe them.
pub(super) fn may_be_trailer(name: &[u8]) -> bool {
    const NEVER: [&str; 21] = [
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
    !NEVER.iter().any(|never| name.eq_ignore_ascii_case(never.as_bytes()))
}
