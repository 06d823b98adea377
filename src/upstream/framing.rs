//! Where a response's body ends (RFC 9112 6 and 7). Pure: what was read goes in, parts of the body come out.

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Version};

use crate::upstream::head::{Malformed, ResponseHead, read_trailers};

/// How the rest of a body is told from what follows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Framing {
    /// So many bytes are still to come; none at 0.
    Length(u64),
    /// Chunks.
    Chunked(Chunks),
    /// Everything until the engine closes.
    UntilClose,
}

/// Where in the chunked coding (RFC 9112 7.1) the next byte stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Chunks {
    /// In a chunk's size line.
    Size,
    /// In a chunk's data, with so many bytes to come.
    Data(u64),
    /// In the line end behind a chunk's data.
    DataEnd,
    /// In the trailer section.
    Trailers,
    /// Behind the end.
    Done,
}

/// A part of a body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// Some of its bytes.
    Data(Bytes),
    /// Its trailers; nothing follows.
    Trailers(HeaderMap),
    /// Nothing yet: more must be read.
    More,
    /// Nothing any more.
    End,
}

/// Longest size line of a chunk, extensions included. RFC 9112 7.1.1 asks recipients to bound it.
const MOST_SIZE_LINE: usize = 1024;

impl Framing {
    /// How the body of a response ends (RFC 9112 6.3). An engine whose head leaves a doubt is not believed: the
    /// client might resolve the doubt in another way than we do.
    pub fn of_response(
        method: &Method,
        status: StatusCode,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<Self, Malformed> {
        // One walk: a response has a handful of lines, and each look into the map would cost more than that.
        let (mut codings, mut is_chunked, mut length) = (0, false, None);
        for (name, value) in headers {
            if *name == TRANSFER_ENCODING {
                codings += 1;
                is_chunked = value.as_bytes().eq_ignore_ascii_case(b"chunked");
            } else if *name == CONTENT_LENGTH {
                read_length(value.as_bytes(), &mut length)?;
            }
        }
        if codings > 0 && length.is_some() {
            return Err(Malformed("both Content-Length and Transfer-Encoding"));
        }
        if status.is_informational() && (codings > 0 || length.is_some()) {
            return Err(FRAMED_INTERIM);
        }
        if *method == Method::HEAD
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        {
            return Ok(Self::Length(0));
        }
        if codings > 0 {
            if codings > 1 || !is_chunked || version < Version::HTTP_11 {
                return Err(Malformed("Transfer-Encoding is not exactly chunked"));
            }
            return Ok(Self::Chunked(Chunks::Size));
        }
        Ok(length.map_or(Self::UntilClose, Self::Length))
    }

    /// Whether the whole body has been taken.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunks::Done))
    }

    /// Takes the next part of the body from what was read.
    pub fn take(&mut self, read: &mut BytesMut) -> Result<Part, Malformed> {
        match self {
            Self::Length(0) => Ok(Part::End),
            Self::Length(left) => {
                let data = take_data(read, *left);
                *left -= data.len() as u64;
                Ok(more_if_empty(data))
            }
            Self::UntilClose => Ok(more_if_empty(take_data(read, u64::MAX))),
            Self::Chunked(chunks) => chunks.take(read),
        }
    }

    /// Whether a body that the engine's closing cut off here is whole.
    pub fn may_end_here(&self) -> bool {
        match self {
            Self::UntilClose => true,
            Self::Length(_) | Self::Chunked(_) => self.is_done(),
        }
    }
}

impl Chunks {
    fn take(&mut self, read: &mut BytesMut) -> Result<Part, Malformed> {
        loop {
            match self {
                Self::Size => {
                    let Some(end) = memchr::memchr(b'\n', read) else {
                        // One more: the carriage return is not counted.
                        let is_too_long = read.len() > MOST_SIZE_LINE + 1;
                        return if is_too_long {
                            Err(Malformed("chunk size too long"))
                        } else {
                            Ok(Part::More)
                        };
                    };
                    let size = chunk_size(&read[..end])?;
                    read.advance(end + 1);
                    *self = if size == 0 { Self::Trailers } else { Self::Data(size) };
                }
                Self::Data(left) => {
                    let data = take_data(read, *left);
                    *left -= data.len() as u64;
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(more_if_empty(data));
                }
                Self::DataEnd => {
                    if read.len() < 2 {
                        return Ok(Part::More);
                    }
                    if read[..2] != *b"\r\n" {
                        return Err(Malformed("chunk longer than its size"));
                    }
                    read.advance(2);
                    *self = Self::Size;
                }
                Self::Trailers => {
                    let Some((trailers, length)) = read_trailers(read)? else { return Ok(Part::More) };
                    read.advance(length);
                    *self = Self::Done;
                    return Ok(if trailers.is_empty() { Part::End } else { Part::Trailers(trailers) });
                }
                Self::Done => return Ok(Part::End),
            }
        }
    }
}

/// RFC 9112 6.1 and RFC 9110 8.6: a 1xx has no body, and no line that says otherwise.
const FRAMED_INTERIM: Malformed = Malformed("an interim response with a body");

/// Refuses an interim response after which a reader could take what follows for its body.
pub fn check_interim(head: &ResponseHead) -> Result<(), Malformed> {
    let is_framed = head.headers.contains_key(CONTENT_LENGTH) || head.headers.contains_key(TRANSFER_ENCODING);
    if is_framed { Err(FRAMED_INTERIM) } else { Ok(()) }
}

/// The size in a size line without its line feed: hexadecimal digits, then nothing or an extension that we do
/// not know and may ignore (RFC 9112 7.1.1).
fn chunk_size(line: &[u8]) -> Result<u64, Malformed> {
    const BAD: Malformed = Malformed("bad chunk size");
    let line = line.strip_suffix(b"\r").ok_or(BAD)?;
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    // Sixteen digits are all that 64 bits hold.
    if !(1..=16).contains(&digits) || line.len() > MOST_SIZE_LINE {
        return Err(BAD);
    }
    let extension = line[digits..].trim_ascii_start();
    if !(extension.is_empty() || extension[0] == b';') || extension.contains(&b'\r') {
        return Err(BAD);
    }
    let digits = std::str::from_utf8(&line[..digits]).map_err(|_| BAD)?;
    u64::from_str_radix(digits, 16).map_err(|_| BAD)
}

/// The value of the one `Content-Length` line (RFC 9110 8.6). Repeated ones could be merged when they are equal; whoever
/// gets them behind us might not look.
fn read_length(value: &[u8], found: &mut Option<u64>) -> Result<(), Malformed> {
    const BAD: Malformed = Malformed("bad Content-Length");
    if found.is_some() {
        return Err(Malformed("more than one Content-Length"));
    }
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(BAD);
    }
    let length: Option<u64> = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
    // Beyond 63 bits a client's signed number would be negative.
    *found = Some(length.filter(|length| *length <= u64::MAX >> 1).ok_or(BAD)?);
    Ok(())
}

/// A slice of the read buffer, which can be used again once the slice is gone: when it was written to the client.
fn take_data(read: &mut BytesMut, most: u64) -> Bytes {
    let length = usize::try_from(most).unwrap_or(usize::MAX).min(read.len());
    read.split_to(length).freeze()
}

fn more_if_empty(data: Bytes) -> Part {
    if data.is_empty() { Part::More } else { Part::Data(data) }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn framing(lines: &[(&'static str, &'static str)]) -> Result<Framing, Malformed> {
        framing_of(Method::GET, StatusCode::OK, Version::HTTP_11, lines)
    }

    fn framing_of(
        method: Method,
        status: StatusCode,
        version: Version,
        lines: &[(&'static str, &'static str)],
    ) -> Result<Framing, Malformed> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Framing::of_response(&method, status, version, &headers)
    }

    #[test]
    fn the_head_says_where_the_body_ends_or_nobody_is_believed() {
        assert_eq!(framing(&[]), Ok(Framing::UntilClose));
        assert_eq!(framing(&[("content-length", "5")]), Ok(Framing::Length(5)));
        assert_eq!(framing(&[("content-length", "05")]), Ok(Framing::Length(5)));
        assert_eq!(framing(&[("transfer-encoding", "Chunked")]), Ok(Framing::Chunked(Chunks::Size)));
        for lines in [
            &[("content-length", "5"), ("content-length", "6")][..],
            &[("content-length", "5"), ("content-length", "5")],
            &[("content-length", "5, 5")],
            &[("content-length", "5 ")],
            &[("content-length", "+5")],
            &[("content-length", "")],
            &[("content-length", "99999999999999999999")],
            &[("content-length", "9223372036854775808")],
            &[("content-length", "5"), ("transfer-encoding", "chunked")],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[("transfer-encoding", "identity")],
        ] {
            assert!(framing(lines).is_err(), "{lines:?}");
        }
        let chunked = [("transfer-encoding", "chunked")];
        assert!(framing_of(Method::GET, StatusCode::OK, Version::HTTP_10, &chunked).is_err());
        let sized = [("content-length", "5")];
        let switch =
            |lines| framing_of(Method::GET, StatusCode::SWITCHING_PROTOCOLS, Version::HTTP_11, lines);
        assert!(switch(&sized).is_err() && switch(&chunked).is_err() && switch(&[]).is_ok());
        for (method, status) in [
            (Method::HEAD, StatusCode::OK),
            (Method::GET, StatusCode::NO_CONTENT),
            (Method::GET, StatusCode::NOT_MODIFIED),
        ] {
            assert_eq!(framing_of(method, status, Version::HTTP_11, &sized), Ok(Framing::Length(0)));
        }
    }

    /// Feeds bytes in pieces of a size and collects the body.
    fn decode(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, Option<HeaderMap>, bool), Malformed> {
        let mut framing = Framing::Chunked(Chunks::Size);
        let (mut read, mut body, mut trailers) = (BytesMut::new(), Vec::new(), None);
        for piece in bytes.chunks(piece) {
            read.extend_from_slice(piece);
            loop {
                match framing.take(&mut read)? {
                    Part::Data(data) => body.extend_from_slice(&data),
                    Part::Trailers(found) => trailers = Some(found),
                    Part::More | Part::End => break,
                }
            }
        }
        Ok((body, trailers, framing.is_done() && read.is_empty()))
    }

    #[test]
    fn chunks_are_joined_however_they_arrive() {
        let coded = b"5\r\nhello\r\n1;ext=\"v\"\r\n \r\n0A\r\n0123456789\r\n0\r\nx-sum: 7\r\n\r\n";
        for piece in 1..=coded.len() {
            let (body, trailers, whole) = decode(coded, piece).expect("well-formed");
            assert_eq!(body, b"hello 0123456789", "pieces of {piece}");
            assert_eq!(trailers.expect("trailers")["x-sum"], "7");
            assert!(whole);
        }
        let (_, _, whole) = decode(b"5\r\nhello\r\n", 3).expect("well-formed so far");
        assert!(!whole, "without the last chunk a body is cut");
    }

    #[test]
    fn bad_chunks_are_malformed() {
        for coded in [
            &b"x\r\n"[..],
            b"-1\r\n",
            b"0x5\r\nhello\r\n",
            b"5\nhello\r\n",
            b"5 5\r\nhello\r\n",
            b"\r\n",
            b"5\r\nhello!\r\n",
            b"11111111111111111\r\n",
            b"0\r\nbad trailer\r\n\r\n",
            b"0\r\nx: y\n\r\n",
            b"0\r\nx: y\r\n\n",
            b"0\r\n\n",
            b"0\r\nx: \0\r\n\r\n",
        ] {
            assert!(decode(coded, coded.len()).is_err(), "{:?}", String::from_utf8_lossy(coded));
        }
        assert!(decode(&b"1".repeat(2000), 2000).is_err(), "a size line without end");
    }

    #[test]
    fn the_limit_of_a_size_line_does_not_depend_on_how_it_arrives() {
        for (length, fits) in
            [(MOST_SIZE_LINE - 1, true), (MOST_SIZE_LINE, true), (MOST_SIZE_LINE + 1, false)]
        {
            let coded = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(length - 2));
            for piece in [1, 7, coded.len()] {
                assert_eq!(
                    decode(coded.as_bytes(), piece).is_ok(),
                    fits,
                    "{length} bytes in pieces of {piece}"
                );
            }
        }
    }
}
