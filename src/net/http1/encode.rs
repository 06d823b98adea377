//! Answers in HTTP/1.1 (RFC 9112): their heads, and how their bodies are told from what follows. Pure.

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRAILER, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use http_body::SizeHint;

/// What the client has asked, as far as its answer's form depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// An answer to HEAD has no body.
    pub is_head: bool,
    /// HTTP/1.0 knows no chunks.
    pub version: Version,
    /// Whether the connection may go on afterwards.
    pub keeps_alive: bool,
    /// Whether it takes trailers (RFC 9110 10.1.4).
    pub takes_trailers: bool,
    /// `Date`, where the answer has none (RFC 9110 6.6.1).
    pub date: &'a [u8],
}

/// How an answer's body is told from what follows it (RFC 9112 6.3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Coding {
    /// There is none, whatever the body says.
    Nothing,
    /// So many bytes are still to come.
    Length(u64),
    /// Chunks, and these trailers.
    Chunked(Vec<HeaderName>),
    /// Everything until we close.
    UntilClose,
}

/// A body had more bytes than its answer's head has said, or fewer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the body does not have the length that was told")]
pub struct WrongLength;

/// Writes a head. How its body is sent, and whether the connection can go on behind it.
pub fn write_head(out: &mut Vec<u8>, head: &Parts, size: &SizeHint, asked: &Asked<'_>) -> (Coding, bool) {
    out.reserve(512);
    write_status(out, head.status, asked.version);
    let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
    let (mut closes, mut has_date, mut length) = (!asked.keeps_alive, false, None);
    for (name, value) in &head.headers {
        if *name == CONNECTION {
            closes |= value.as_bytes().eq_ignore_ascii_case(b"close");
            if !switches {
                continue;
            }
        } else if *name == CONTENT_LENGTH {
            length = Some(value);
            continue;
        } else if *name == TRANSFER_ENCODING {
            continue;
        } else if *name == DATE {
            has_date = true;
        }
        write_line(out, name, value);
    }
    let coding = coding_of(head, size, asked);
    match &coding {
        Coding::Length(length) => write_number_line(out, b"content-length: ", *length),
        Coding::Chunked(_) => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Coding::UntilClose => closes = true,
        // RFC 9110 8.6: what it would be; never with a 1xx or 204.
        Coding::Nothing if may_tell_length(head.status) => match (length, size.exact()) {
            (Some(length), _) => write_line(out, &CONTENT_LENGTH, length),
            (None, Some(length)) if length > 0 => write_number_line(out, b"content-length: ", length),
            (None, _) => {}
        },
        Coding::Nothing => {}
    }
    if switches {
        // The connection goes on, as another.
    } else if closes {
        out.extend_from_slice(b"connection: close\r\n");
    } else if asked.version < Version::HTTP_11 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    if !has_date {
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(asked.date);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    (coding, !closes)
}

fn coding_of(head: &Parts, size: &SizeHint, asked: &Asked<'_>) -> Coding {
    if asked.is_head || head.status == StatusCode::NOT_MODIFIED || !may_tell_length(head.status) {
        return Coding::Nothing;
    }
    match size.exact() {
        Some(length) => Coding::Length(length),
        None if asked.version < Version::HTTP_11 => Coding::UntilClose,
        None => Coding::Chunked(if asked.takes_trailers { declared(&head.headers) } else { Vec::new() }),
    }
}

/// RFC 9110 8.6: whether an answer with this status may have a `Content-Length`.
fn may_tell_length(status: StatusCode) -> bool {
    !status.is_informational() && status != StatusCode::NO_CONTENT
}

/// The trailers that a head declares (RFC 9110 6.6.2).
fn declared(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(TRAILER).iter();
    let names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii));
    names.filter_map(|name| HeaderName::from_bytes(name).ok()).collect()
}

/// Writes a bare answer to what never became a request, and closes.
pub fn write_bare(out: &mut Vec<u8>, status: StatusCode, date: &[u8]) {
    write_status(out, status, Version::HTTP_11);
    out.extend_from_slice(b"connection: close\r\ncontent-length: 0\r\ndate: ");
    out.extend_from_slice(date);
    out.extend_from_slice(b"\r\n\r\n");
}

fn write_status(out: &mut Vec<u8>, status: StatusCode, version: Version) {
    out.extend_from_slice(if version < Version::HTTP_11 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    // RFC 9112 4: the reason may be empty, the space before it not.
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn write_line(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn write_number_line(out: &mut Vec<u8>, name: &[u8], number: u64) {
    out.extend_from_slice(name);
    out.extend_from_slice(number.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

impl Coding {
    /// A part of so many bytes follows. What must be written behind it.
    pub fn begin_part(&mut self, out: &mut Vec<u8>, length: usize) -> Result<&'static [u8], WrongLength> {
        match self {
            Self::Nothing | Self::UntilClose => Ok(b""),
            Self::Length(left) => {
                *left = left.checked_sub(length as u64).ok_or(WrongLength)?;
                Ok(b"")
            }
            Self::Chunked(_) => {
                out.extend_from_slice(format!("{length:x}\r\n").as_bytes());
                Ok(b"\r\n")
            }
        }
    }

    /// The body is over: what ends it, with the trailers that were declared (RFC 9112 7.1).
    pub fn end(&self, out: &mut Vec<u8>, trailers: Option<&HeaderMap>) -> Result<(), WrongLength> {
        match self {
            Self::Nothing | Self::UntilClose | Self::Length(0) => {}
            Self::Length(_) => return Err(WrongLength),
            Self::Chunked(declared) => {
                out.extend_from_slice(b"0\r\n");
                for (name, value) in trailers.into_iter().flatten() {
                    if declared.contains(name) {
                        write_line(out, name, value);
                    }
                }
                out.extend_from_slice(b"\r\n");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
