//! Request heads (RFC 9112 2 to 6), read line by line as they come.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Uri, Version};

use crate::decide::headers::header_name;
use crate::net::strict::fault::Fault;
use crate::net::strict::line::{self, Field};

/// Empty lines that may come before a request (RFC 9112 2.2): one for clients that end a body with a line end which
/// is not part of it, and one for luck.
const MOST_EMPTY_LINES: u8 = 2;

/// Bytes of a target beyond which `http` holds none.
const MOST_TARGET_BYTES: usize = u16::MAX as usize - 1;

/// Room for the lines of an ordinary head. More is given back when the head is read.
const ORDINARY_LINES: usize = 32;

/// How the body of a request is told from what follows it (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// There is none.
    Nothing,
    /// So many bytes, at least one.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// A request head.
#[derive(Debug)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// The target, as it came.
    pub uri: Uri,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// The header lines. Their values are slices of what was received.
    pub headers: HeaderMap,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the client would send another request over this connection (RFC 9112 9.3).
    pub keeps_alive: bool,
    /// Whether it waits for a 100 before it sends the body (RFC 9110 10.1.1).
    pub expects_continue: bool,
    /// Whether it takes trailers behind the answer (RFC 9110 10.1.4).
    pub takes_trailers: bool,
    /// Whether it asks for another protocol: what follows the request is HTTP or not, and the answer will tell.
    pub wants_upgrade: bool,
}

/// Why a head is not read any further.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// A line breaks the rules, or two contradict each other.
    Faulty(Fault),
    /// More bytes, or lines, than a head may have.
    TooLarge,
    /// More bytes than a target may have.
    TargetTooLong,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Faulty(fault)
    }
}

/// Where the parts of a line stand, counted from the beginning of the head.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    name_end: usize,
    value_start: usize,
    value_end: usize,
}

/// What a head has said so far.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    is_http_11: bool,
    method_end: usize,
    target_end: usize,
    has_host: bool,
    length: Option<u64>,
    is_chunked: bool,
    wants_upgrade: bool,
    expects_continue: bool,
    takes_trailers: bool,
    says_close: bool,
    says_keep_alive: bool,
}

/// Reads the heads of one connection, one after the other.
#[derive(Debug)]
pub struct HeadReader {
    most_bytes: usize,
    most_lines: usize,
    /// Where the line begins that was not judged yet, and up to where no end of it was found.
    at: usize,
    searched: usize,
    empty: u8,
    /// `None` before the request line.
    said: Option<Said>,
    spans: Vec<Span>,
    /// The last good `Host`: a connection rarely names two, and reading one takes longer than comparing it.
    known_host: Vec<u8>,
}

impl HeadReader {
    /// Before the first head. A head may have so many bytes, and so many header lines.
    pub const fn new(most_bytes: usize, most_lines: usize) -> Self {
        Self {
            most_bytes,
            most_lines,
            at: 0,
            searched: 0,
            empty: 0,
            said: None,
            spans: Vec::new(),
            known_host: Vec::new(),
        }
    }

    /// Takes a head off the front of what was received. `None` while its end is missing: then nothing is taken, and
    /// the next call goes on where this one ended. A faulty line is refused as soon as it has come.
    pub fn read(&mut self, received: &mut BytesMut) -> Result<Option<Head>, Refused> {
        while self.said.is_none() {
            let Some(line) = self.next_line(received)? else { return Ok(None) };
            if !line.is_empty() {
                self.said = Some(begin(line)?);
                self.pass(received);
                break;
            }
            if self.empty == MOST_EMPTY_LINES {
                return Err(Fault::EmptyLines.into());
            }
            self.empty += 1;
            let _ = received.split_to(2);
            (self.at, self.searched) = (0, 0);
        }
        loop {
            let rest = &received[self.at..];
            if rest.starts_with(b"\r\n") {
                return self.end(received).map(Some);
            }
            // A line whose end was missing is looked at again only once it is there.
            let is_new = self.searched <= self.at;
            if let Some(plain) = is_new.then(|| line::plain_field(rest)).flatten() {
                let length = plain.name_end + 1 + plain.value_length;
                self.hear(plain.field)?;
                self.note(&received[self.at..], plain.name_end, length)?;
                self.at += length + 2;
                if self.at > self.most_bytes {
                    return Err(Refused::TooLarge);
                }
                continue;
            }
            // In doubt, or not whole: as a line of its own.
            let Some(line) = self.next_line(received)? else { return Ok(None) };
            let (field, name_end) = line::field(line)?;
            let length = line.len();
            self.hear(field)?;
            self.note(&received[self.at..], name_end, length)?;
            self.pass(received);
        }
    }

    /// The line that begins at `at`, without its end; `None` while that is missing.
    fn next_line<'b>(&mut self, received: &'b BytesMut) -> Result<Option<&'b [u8]>, Refused> {
        let from = self.searched.max(self.at);
        let Some(found) = memchr::memchr(b'\n', &received[from..]) else {
            self.searched = received.len();
            // All that is missing may be the end of the last line.
            return if received.len() > self.most_bytes { Err(Refused::TooLarge) } else { Ok(None) };
        };
        self.searched = from + found;
        if self.searched >= self.most_bytes {
            return Err(Refused::TooLarge);
        }
        match received[self.at..self.searched].split_last() {
            Some((b'\r', line)) => Ok(Some(line)),
            _ => Err(Fault::BareLf.into()),
        }
    }

    /// Goes on behind the line that was found last.
    fn pass(&mut self, received: &BytesMut) {
        debug_assert_eq!(received.get(self.searched), Some(&b'\n'));
        self.at = self.searched + 1;
    }

    /// Takes in what a field says about the request itself.
    #[inline]
    fn hear(&mut self, field: Field<'_>) -> Result<(), Fault> {
        let Some(said) = &mut self.said else { return Ok(()) };
        match field {
            Field::Other(_) => {}
            Field::Host(_) if said.has_host => return Err(Fault::SecondHost),
            Field::Host(host) => {
                said.has_host = true;
                // Before the first one what is known is empty, and empty is no host.
                if host.is_empty() || host != self.known_host {
                    if !line::is_host(host) {
                        return Err(Fault::Host);
                    }
                    host.clone_into(&mut self.known_host);
                }
            }
            Field::Length(_) if said.length.is_some() => return Err(Fault::SecondLength),
            Field::Length(length) => said.length = Some(length),
            Field::Coding if said.is_chunked => return Err(Fault::Coding),
            Field::Coding if !said.is_http_11 => return Err(Fault::OldCoding),
            Field::Coding => said.is_chunked = true,
            // RFC 9110 7.8 and 10.1.1: neither means anything in HTTP/1.0.
            Field::Upgrade => said.wants_upgrade = said.is_http_11,
            Field::Expect(value) => {
                said.expects_continue = said.is_http_11 && value.eq_ignore_ascii_case(b"100-continue");
            }
            Field::Te(value) => {
                for coding in value.split(|byte| *byte == b',') {
                    let name = coding.split(|byte| *byte == b';').next().unwrap_or_default();
                    said.takes_trailers |= name.trim_ascii().eq_ignore_ascii_case(b"trailers");
                }
            }
            Field::Connection(value) => {
                for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    said.says_close |= option.eq_ignore_ascii_case(b"close");
                    said.says_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
        }
        Ok(())
    }

    /// Notes where a line stands that begins at `at`.
    #[inline]
    fn note(&mut self, rest: &[u8], name_end: usize, length: usize) -> Result<(), Refused> {
        if self.spans.len() == self.most_lines {
            return Err(Refused::TooLarge);
        }
        let (mut start, mut end) = (name_end + 1, length);
        // RFC 9112 5.1: white space around a value is no part of it.
        while start < end && matches!(rest[start], b' ' | b'\t') {
            start += 1;
        }
        while start < end && matches!(rest[end - 1], b' ' | b'\t') {
            end -= 1;
        }
        self.spans.push(Span {
            start: self.at,
            name_end: self.at + name_end,
            value_start: self.at + start,
            value_end: self.at + end,
        });
        Ok(())
    }

    /// The empty line has come: the head is taken, once no doubt is left about it.
    fn end(&mut self, received: &mut BytesMut) -> Result<Head, Refused> {
        let length = self.at + 2;
        if length > self.most_bytes {
            return Err(Refused::TooLarge);
        }
        let said = self.said.take().unwrap_or_default();
        if said.is_http_11 && !said.has_host {
            return Err(Fault::NoHost.into());
        }
        let framing = match said.length {
            Some(_) if said.is_chunked => return Err(Fault::LengthAndCoding.into()),
            _ if said.is_chunked => Framing::Chunked,
            Some(length) if length > 0 => Framing::Length(length),
            Some(_) | None => Framing::Nothing,
        };
        let bytes = received.split_to(length).freeze();
        let head = Head {
            method: Method::from_bytes(&bytes[..said.method_end]).map_err(|_| Fault::Method)?,
            uri: uri(&bytes, said.method_end + 1, said.target_end)?,
            version: if said.is_http_11 { Version::HTTP_11 } else { Version::HTTP_10 },
            headers: self.headers(&bytes)?,
            framing,
            keeps_alive: !said.says_close && (said.is_http_11 || said.says_keep_alive),
            expects_continue: said.expects_continue,
            takes_trailers: said.takes_trailers,
            wants_upgrade: said.wants_upgrade,
        };
        self.spans.clear();
        self.spans.shrink_to(ORDINARY_LINES);
        (self.at, self.searched, self.empty) = (0, 0, 0);
        Ok(head)
    }

    fn headers(&self, bytes: &Bytes) -> Result<HeaderMap, Refused> {
        let mut headers = HeaderMap::with_capacity(self.spans.len());
        for span in &self.spans {
            // Both were judged already: these are the library's own words for it.
            let name = header_name(&bytes[span.start..span.name_end]).map_err(|_| Fault::Name)?;
            let value = HeaderValue::from_maybe_shared(bytes.slice(span.value_start..span.value_end))
                .map_err(|_| Fault::ControlByte)?;
            // More lines than a map can hold are more than a head may have.
            headers.try_append(name, value).map_err(|_| Refused::TooLarge)?;
        }
        Ok(headers)
    }
}

/// What a request line says.
fn begin(line: &[u8]) -> Result<Said, Refused> {
    let request = line::request_line(line)?;
    if request.target_end - (request.method_end + 1) > MOST_TARGET_BYTES {
        return Err(Refused::TargetTooLong);
    }
    Ok(Said {
        is_http_11: request.is_http_11,
        method_end: request.method_end,
        target_end: request.target_end,
        ..Said::default()
    })
}

fn uri(bytes: &Bytes, start: usize, end: usize) -> Result<Uri, Refused> {
    Uri::from_maybe_shared(bytes.slice(start..end)).map_err(|_| Fault::TargetByte.into())
}

#[cfg(test)]
mod tests;
