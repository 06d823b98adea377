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

/// The parts of a request line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct RequestLine {
    /// HTTP/1.1, not HTTP/1.0.
    pub(super) is_http_11: bool,
    /// Where the method ends; the target begins one byte further on.
    pub(super) method_end: usize,
    /// Where the target ends.
    pub(super) target_end: usize,
}

/// Judges a request line (RFC 9112 3).
pub(super) fn request_line(line: &[u8]) -> Result<RequestLine, Fault> {
    let method_end = token_length(line);
    if method_end == 0 || line.get(method_end) != Some(&b' ') {
        return Err(if line.contains(&b' ') { Fault::Method } else { Fault::RequestLine });
    }
    let (method, rest) = (&line[..method_end], &line[method_end + 1..]);
    let Some((rest, version)) = rest.split_last_chunk::<9>() else { return Err(Fault::RequestLine) };
    let is_http_11 = match version {
        b" HTTP/1.1" => true,
        b" HTTP/1.0" => false,
        // Without a version it was HTTP/0.9.
        _ => return Err(if line.contains(&b'/') { Fault::Version } else { Fault::RequestLine }),
    };
    target(method, rest)?;
    Ok(RequestLine { is_http_11, method_end, target_end: method_end + 1 + rest.len() })
}

fn target(method: &[u8], target: &[u8]) -> Result<(), Fault> {
    let (words, rest) = target.as_chunks::<8>();
    let mut last = [b'/'; 8];
    last[..rest.len()].copy_from_slice(rest);
    if words.iter().chain([&last]).any(|word| !is_target_word(u64::from_le_bytes(*word))) {
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
    Connection(&'l [u8]),
    Expect(&'l [u8]),
    Te(&'l [u8]),
    Upgrade,
    Other(&'l [u8]),
}

/// A field line that leaves no doubt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Plain<'l> {
    pub(super) field: Field<'l>,
    /// Where its name ends; a colon follows.
    pub(super) name_end: usize,
    /// Bytes between the colon and the line end.
    pub(super) value_length: usize,
}

/// Reads a field line off the front of what came. `None` where there is a doubt, or not the whole line: then [`field`]
/// judges, line by line. Every line of every request comes by here, so it looks at each byte once.
#[inline]
pub(super) fn plain_field(bytes: &[u8]) -> Option<Plain<'_>> {
    let name_end = token_length(bytes);
    if name_end == 0 || bytes.get(name_end) != Some(&b':') {
        return None;
    }
    let value = &bytes[name_end + 1..];
    // What is no part of a value ends it, and a line ends with CRLF alone.
    let value_length = control_in(value)?;
    if value.get(value_length..value_length + 2) != Some(b"\r\n") {
        return None;
    }
    let field = meaning(&bytes[..name_end], &value[..value_length]).ok()?;
    Some(Plain { field, name_end, value_length })
}

/// Judges a field line (RFC 9112 5), and says where its name ends.
pub(super) fn field(line: &[u8]) -> Result<(Field<'_>, usize), Fault> {
    let length = token_length(line);
    if length == 0 || line.get(length) != Some(&b':') {
        return Err(bad_name(line, length));
    }
    let (name, value) = (&line[..length], &line[length + 1..]);
    if control_in(value).is_some() {
        return Err(if value.contains(&b'\r') { Fault::BareCr } else { Fault::ControlByte });
    }
    Ok((meaning(name, value)?, length))
}

/// What a field means for us: of most, the name's length and first letter say that it means nothing.
#[inline]
fn meaning<'l>(name: &'l [u8], value: &'l [u8]) -> Result<Field<'l>, Fault> {
    match (name.len(), name[0] | 0x20) {
        (2, b't') if name.eq_ignore_ascii_case(b"te") => Ok(Field::Te(value)),
        (4, b'h') if name.eq_ignore_ascii_case(b"host") => Ok(Field::Host(trim(value))),
        (6, b'e') if name.eq_ignore_ascii_case(b"expect") => Ok(Field::Expect(value.trim_ascii())),
        (7, b'u') if name.eq_ignore_ascii_case(b"upgrade") => Ok(Field::Upgrade),
        (10, b'c') if name.eq_ignore_ascii_case(b"connection") => Ok(Field::Connection(value)),
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

/// Where the first byte is that no field value holds (RFC 9110 5.5): a control byte other than HTAB.
#[inline]
fn control_in(value: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(word) = value[at..].first_chunk::<8>() {
        if let Some(found) = control_in_word(u64::from_le_bytes(*word)) {
            at += found;
            return if value[at] == b'\t' { control_behind_tab(value, at) } else { Some(at) };
        }
        at += 8;
    }
    value[at..].iter().position(is_control).map(|found| at + found)
}

/// Tabs are rare enough to go on byte by byte.
#[cold]
fn control_behind_tab(value: &[u8], tab: usize) -> Option<usize> {
    value[tab..].iter().position(is_control).map(|found| tab + found)
}

const fn is_control(byte: &u8) -> bool {
    (*byte < b' ' && *byte != b'\t') || *byte == 0x7f
}

/// The first of eight bytes that is below a space, or DEL.
#[inline]
const fn control_in_word(word: u64) -> Option<usize> {
    let found = (below(word, 0x20) | equal(word, 0x7f)) & HIGH;
    if found == 0 { None } else { Some(found.trailing_zeros() as usize / 8) }
}

/// Whether eight bytes are visible ASCII without `#`.
#[inline]
const fn is_target_word(word: u64) -> bool {
    (below(word, 0x21) | equal(word, 0x7f) | equal(word, b'#') | word) & HIGH == 0
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGH: u64 = ONES * 0x80;

/// Eight bytes looked at together: the first whose highest bit is set in what comes out is the first below a limit. The
/// subtraction borrows from that bit where the byte is too small, unless it was set before. A borrow may disturb the
/// bytes behind it, and never one before.
const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * limit as u64) & !word
}

/// As [`below`], the first that is equal.
const fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * byte as u64), 1)
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
            [b'\\', escaped, rest @ ..] if control_in(&[*escaped]).is_none() => rest,
            [b'\\', ..] | [] => return None,
            [byte, rest @ ..] if control_in(&[*byte]).is_none() => rest,
            [..] => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bytes_at_once_are_judged_as_one_by_one() {
        for byte in 0..=255 {
            for at in 0..20 {
                for around in [b'a', b' ', b'\t', 0x80, 0xff] {
                    let mut value = [around; 20];
                    value[at] = byte;
                    assert_eq!(control_in(&value), value.iter().position(is_control), "{value:?}");
                    // What stands behind one changes nothing.
                    value[at..].fill(byte);
                    assert_eq!(control_in(&value), value.iter().position(is_control), "{value:?}");
                }
            }
        }
    }

    #[test]
    fn every_byte_of_a_target_is_looked_at() {
        for byte in 0..=255 {
            for at in 1..20 {
                let mut path = [b'/'; 20];
                path[at] = byte;
                let is_good = byte.is_ascii_graphic() && byte != b'#';
                assert_eq!(target(b"GET", &path).is_ok(), is_good, "{byte} at {at}");
            }
        }
    }

    #[test]
    fn a_line_that_is_read_quickly_means_what_it_means_slowly() {
        for line in [
            "Host: a",
            "content-length: 5",
            "transfer-encoding: chunked",
            "Upgrade: x",
            "Connection: x, close",
            "expect: 100-continue",
            "x: y\tz \u{e9}",
            "x:",
        ] {
            let came = format!("{line}\r\nnext: line\r\n");
            let Plain { field: quick, name_end, value_length } = plain_field(came.as_bytes()).expect(line);
            assert_eq!(Ok((quick, name_end)), field(line.as_bytes()), "{line}");
            assert_eq!(name_end + 1 + value_length, line.len(), "{line}");
        }
        for doubtful in [
            "x: y",
            "x: y\r",
            "x: y\n",
            "x: y\rz\r\n",
            "x: \0\r\n",
            "x : y\r\n",
            "\r\n",
            ": y\r\n",
            "content-length: +5\r\n",
        ] {
            assert_eq!(plain_field(doubtful.as_bytes()), None, "{doubtful:?}");
        }
    }
}
