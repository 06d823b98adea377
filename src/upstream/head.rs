//! Message heads on the wire (RFC 9112 2 to 5): requests are written, responses are read. Pure: bytes in, bytes
//! or values out.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use http_body::Body;

use crate::decide::cookies::write_without_ours;
use crate::decide::headers::{Lines, header_name};

/// Most header lines in a response head or trailer section. Generous: engines are ours, but one that goes mad
/// must not take our memory with it.
pub const MOST_LINES: usize = 256;

/// Most bytes of a response head or trailer section.
pub const MOST_BYTES: usize = 64 * 1024;

/// What an engine sent is not HTTP/1.1.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// How a request's body is told from what follows it (RFC 9112 6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sending {
    /// There is none.
    Nothing,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

impl Sending {
    /// How a body is sent.
    pub(super) fn of(body: &impl Body) -> Self {
        if body.is_end_stream() {
            return Self::Nothing;
        }
        body.size_hint().exact().map_or(Self::Chunked, Self::Length)
    }
}

/// A request head as engines get it.
#[derive(Debug)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The target; only path and query are sent.
    pub uri: Uri,
    /// The client's header lines.
    pub headers: HeaderMap,
    /// Lines of ours.
    pub lines: Lines,
    /// Whether the request's trailers pass without a `Trailer` header that declares them, as over HTTP/2.
    pub undeclared_trailers: bool,
}

/// Writes a request head. Framing headers are ours to write: whatever the map says of them is left out. Our own
/// cookies are left out as well, and here, where nothing that an engine reads can pass by.
pub fn write_request(out: &mut Vec<u8>, head: &RequestHead, sending: Sending) {
    let RequestHead { method, uri, headers, lines, undeclared_trailers: _ } = head;
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in headers {
        if *name == COOKIE {
            let start = out.len();
            out.extend_from_slice(b"cookie: ");
            if write_without_ours(value.as_bytes(), out) {
                out.extend_from_slice(b"\r\n");
            } else {
                out.truncate(start);
            }
        } else if *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING {
            write_line(out, name, value);
        }
    }
    out.extend_from_slice(lines.as_bytes());
    match sending {
        // RFC 9110 8.6: methods that expect a body say when there is none.
        Sending::Nothing if matches!(*method, Method::POST | Method::PUT | Method::PATCH) => {
            out.extend_from_slice(b"content-length: 0\r\n");
        }
        Sending::Nothing => {}
        Sending::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(length.to_string().as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Sending::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes one field line.
pub fn write_line(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A response head.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// The status code.
    pub status: StatusCode,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// The header lines, without a `Connection` that says nothing but `keep-alive`.
    pub headers: HeaderMap,
    /// Whether the engine keeps the connection open after this response (RFC 9112 9.3).
    pub keep_alive: bool,
    /// How long the head was, in bytes.
    pub length: usize,
}

/// Reads a response head from the start of `bytes`. `None` when more bytes are needed.
pub fn read_response(bytes: &[u8]) -> Result<Option<ResponseHead>, Malformed> {
    // The parser skips empty lines in front, of which a response has none.
    if bytes.first().is_some_and(|first| *first != b'H') {
        return Err(Malformed("not a response head"));
    }
    let mut lines = [const { std::mem::MaybeUninit::uninit() }; MOST_LINES];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        bytes,
        &mut lines,
    );
    // The limit is the same for a head that comes at once and for one that comes in pieces.
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) if length <= MOST_BYTES => length,
        Ok(httparse::Status::Complete(_)) => return Err(Malformed("head too large")),
        Ok(httparse::Status::Partial) if bytes.len() >= MOST_BYTES => {
            return Err(Malformed("head too large"));
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed("too many header lines")),
        Err(_) => return Err(Malformed("not a response head")),
    };
    if !ends_with_crlf(&bytes[..length], response.headers) && has_bare_line_end(&bytes[..length]) {
        return Err(BARE_LINE_END);
    }
    let code = response.code.ok_or(Malformed("no status"))?;
    let version = if response.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let mut said = Said::default();
    // Many engines say `keep-alive` in every response. It ends here in any case: told now, it need not be put
    // into the map, looked up there, and taken out again.
    let keep =
        |name: &HeaderName, value: &[u8]| *name != CONNECTION || said.hear(value) != Heard::OnlyKeepAlive;
    let headers = header_map(&bytes[..length], response.headers, keep)?;
    Ok(Some(ResponseHead {
        status: StatusCode::from_u16(code).map_err(|_| Malformed("bad status"))?,
        version,
        headers,
        keep_alive: !said.close && (version == Version::HTTP_11 || said.keep_alive),
        length,
    }))
}

/// Reads a trailer section (RFC 9112 7.1.2), to the empty line that ends it. `None` when more bytes are needed.
pub fn read_trailers(bytes: &[u8]) -> Result<Option<(HeaderMap, usize)>, Malformed> {
    let mut lines = [httparse::EMPTY_HEADER; MOST_LINES];
    match httparse::parse_headers(bytes, &mut lines) {
        Ok(httparse::Status::Complete((length, _))) if has_bare_line_end(&bytes[..length]) => {
            Err(BARE_LINE_END)
        }
        Ok(httparse::Status::Complete((length, lines))) if length <= MOST_BYTES => {
            Ok(Some((header_map(&bytes[..length], lines, |_, _| true)?, length)))
        }
        Ok(httparse::Status::Complete(_)) => Err(Malformed("trailers too large")),
        Ok(httparse::Status::Partial) if bytes.len() >= MOST_BYTES => Err(Malformed("trailers too large")),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(Malformed("bad trailers")),
    }
}

const BARE_LINE_END: Malformed = Malformed("a line ends in LF without CR");

/// RFC 9112 2.2 lets a recipient take LF alone for a line end. An engine that writes what it was told into a header then
/// lets its users write headers; so here it is none.
fn has_bare_line_end(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head[at - 1] != b'\r')
}

/// Whether every line of a head ends in CRLF for certain, as far as that can be seen without going through all of it: the
/// parser knows where its lines end.
fn ends_with_crlf(head: &[u8], lines: &[httparse::Header<'_>]) -> bool {
    let base = head.as_ptr() as usize;
    let first = memchr::memchr(b'\n', head).and_then(|at| head.get(at.checked_sub(1)?));
    first == Some(&b'\r')
        && head.ends_with(b"\r\n\r\n")
        && lines.iter().all(|line| {
            // An empty value may lie anywhere.
            let start = (line.value.as_ptr() as usize).wrapping_sub(base);
            let behind = start.checked_add(line.value.len()).and_then(|end| head.get(end..));
            !line.value.is_empty() && behind.is_some_and(|behind| behind.starts_with(b"\r\n"))
        })
}

/// The lines that `keep` wants. Their values are slices of one copy of the head, so that the buffer it was read into
/// can be used again at once.
fn header_map(
    head: &[u8],
    lines: &[httparse::Header<'_>],
    mut keep: impl FnMut(&HeaderName, &[u8]) -> bool,
) -> Result<HeaderMap, Malformed> {
    let copy = Bytes::copy_from_slice(head);
    let base = head.as_ptr() as usize;
    let mut headers = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = header_name(line.name.as_bytes()).map_err(|_| Malformed("bad header name"))?;
        if !keep(&name, line.value) {
            continue;
        }
        // The parser's values lie within the head.
        let start = (line.value.as_ptr() as usize).wrapping_sub(base);
        let value = match copy.len().checked_sub(line.value.len()) {
            Some(last) if start <= last => copy.slice(start..start + line.value.len()),
            Some(_) | None => Bytes::copy_from_slice(line.value),
        };
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| Malformed("bad header value"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// What the `Connection` lines of a response say of the connection itself.
#[derive(Default)]
struct Said {
    close: bool,
    keep_alive: bool,
}

/// Whether a `Connection` line says anything else.
#[derive(Eq, PartialEq)]
enum Heard {
    OnlyKeepAlive,
    More,
}

impl Said {
    fn hear(&mut self, line: &[u8]) -> Heard {
        if line.eq_ignore_ascii_case(b"keep-alive") {
            self.keep_alive = true;
            return Heard::OnlyKeepAlive;
        }
        for option in line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
        Heard::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(method: Method, sending: Sending) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("portal"));
        headers.insert("content-length", HeaderValue::from_static("99"));
        headers.insert("transfer-encoding", HeaderValue::from_static("gzip"));
        headers.append("cookie", HeaderValue::from_static("cutover=ticket"));
        headers.append("cookie", HeaderValue::from_static("a=1; __Host-cutover-flow=pin"));
        let mut lines = Lines::default();
        lines.push("x-ours", b"1");
        let mut out = Vec::new();
        let head = RequestHead {
            method,
            uri: Uri::from_static("/a?b=%20"),
            headers,
            lines,
            undeclared_trailers: false,
        };
        write_request(&mut out, &head, sending);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn the_framing_of_a_request_is_ours_to_write_and_our_cookies_are_left_out() {
        let lines = "host: portal\r\ncookie: a=1\r\nx-ours: 1\r\n";
        assert_eq!(written(Method::GET, Sending::Nothing), format!("GET /a?b=%20 HTTP/1.1\r\n{lines}\r\n"));
        let head = |framing| format!("POST /a?b=%20 HTTP/1.1\r\n{lines}{framing}\r\n\r\n");
        assert_eq!(written(Method::POST, Sending::Nothing), head("content-length: 0"));
        assert_eq!(written(Method::POST, Sending::Length(7)), head("content-length: 7"));
        assert_eq!(written(Method::POST, Sending::Chunked), head("transfer-encoding: chunked"));
    }

    #[test]
    fn a_response_head_is_read_whole_or_not_at_all() {
        let bytes = b"HTTP/1.1 200 OK\r\nA: 1\r\nset-cookie: x\r\nSet-Cookie: y\r\n\r\nbody";
        for cut in 0..bytes.len() - 4 {
            assert!(read_response(&bytes[..cut]).expect("well-formed").is_none(), "cut at {cut}");
        }
        let head = read_response(bytes).expect("well-formed").expect("whole");
        assert_eq!(
            (head.status, head.version, head.length),
            (StatusCode::OK, Version::HTTP_11, bytes.len() - 4)
        );
        assert_eq!(head.headers["a"], "1");
        assert_eq!(head.headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["x", "y"]);
    }

    #[test]
    fn garbage_is_malformed() {
        for bytes in [
            &b"\0\x01\x02"[..],
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"HTTP/1.1 099 Low\r\n\r\n",
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nbad name: 1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\na: 1\r\n folded\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nname : 1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\na: \0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\na: b\nset-cookie: c\r\n\r\n",
            b"HTTP/1.1 200 OK\r\na: b\rset-cookie: c\r\n\r\n",
            b"HTTP/1.1 200 OK\r\na: b\r\n\n",
            b"HTTP/1.1 200 OK\na: b\r\n\r\n",
            b"\r\nHTTP/1.1 200 OK\r\n\r\n",
            b"\nHTTP/1.1 200 OK\r\n\r\n",
            b" HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1  200 OK\r\n\r\n",
            b"HTTP/1.1\t200 OK\r\n\r\n",
            b"HTTP/1.1 200OK\r\n\r\n",
            b"HTTP/1.1 +20 OK\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 20\r\n\r\n",
            b"http/1.1 200 OK\r\n\r\n",
            b"HTTP/1.2 200 OK\r\n\r\n",
            b"HTTP/1.1 200 O\0K\r\n\r\n",
            b"HTTP/1.1 200 O\x1bK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n folded: a\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n: a\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
            b"HTTP/1.1 200 OK\r\na: \x7f\r\n\r\n",
        ] {
            assert!(read_response(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: 1\r\n".repeat(MOST_LINES + 1));
        assert!(read_response(many.as_bytes()).is_err());
        let long = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(MOST_BYTES));
        assert!(read_response(long.as_bytes()).is_err());
    }

    #[test]
    fn the_limit_does_not_depend_on_how_a_head_arrives() {
        const OF_HEAD: &str = "HTTP/1.1 200 OK\r\n";
        for (length, fits) in [(MOST_BYTES - 1, true), (MOST_BYTES, true), (MOST_BYTES + 1, false)] {
            let lines = |before: usize| format!("a: {}\r\n\r\n", "x".repeat(length - before - 7));
            let head = format!("{OF_HEAD}{}", lines(OF_HEAD.len()));
            assert_eq!(head.len(), length);
            assert_eq!(read_response(head.as_bytes()).is_ok(), fits, "{length} bytes at once");
            assert_eq!(read_response(&head.as_bytes()[..length - 1]).is_ok(), fits, "{length} bytes but one");
            assert_eq!(read_trailers(lines(0).as_bytes()).is_ok(), fits, "{length} bytes of trailers");
            assert_eq!(read_trailers(&lines(0).as_bytes()[..length - 1]).is_ok(), fits);
        }
    }

    #[test]
    fn a_connection_is_kept_as_the_response_says() {
        for (version, connection, kept) in [
            (Version::HTTP_11, "", true),
            (Version::HTTP_11, "x, Close", false),
            (Version::HTTP_11, "keep-alive, close", false),
            (Version::HTTP_10, "", false),
            (Version::HTTP_10, "Keep-Alive", true),
        ] {
            let head = format!("{version:?} 200 OK\r\nconnection: {connection}\r\n\r\n");
            let head = read_response(head.as_bytes()).expect("well-formed").expect("whole");
            assert_eq!(head.keep_alive, kept, "{version:?} {connection:?}");
            // Whatever else it names is for the answer's way out to strip.
            let is_bare = connection.eq_ignore_ascii_case("keep-alive");
            assert_eq!(head.headers.contains_key(CONNECTION), !is_bare, "{version:?} {connection:?}");
        }
    }
}
