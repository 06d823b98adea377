//! Request bodies (RFC 9112 6 and 7), read as they come. Extensions of chunks are judged, and dropped.

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::decide::headers::is_forbidden_trailer;
use crate::net::strict::fault::Fault;
use crate::net::strict::head::Framing;
use crate::net::strict::line::{self, Field, MOST_SIZE_LINE};

/// Most bytes that the size lines of a body may have beyond their sizes, all together. Nobody uses extensions; bodies of
/// little else only cost time.
const MOST_EXTENSION_BYTES: usize = 16 * 1024;

/// Chunks below this size are joined, up to so many bytes.
const SMALL_CHUNK: usize = 1024;
const MOST_JOINED: usize = 4 * 1024;

/// A part of a body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// Some of its bytes.
    Data(Bytes),
    /// What stands behind it; nothing follows.
    Trailers(HeaderMap),
    /// Nothing yet: more must be received.
    More,
    /// Nothing any more.
    End,
}

/// Where in a body the next byte stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// In its data, with so many bytes to come.
    Data(u64),
    /// In a chunk's size line.
    Size,
    /// In a chunk's data, with so many bytes to come.
    Chunk(u64),
    /// In the line end behind a chunk's data.
    ChunkEnd,
    /// In the trailer section.
    Trailers,
    /// Behind the end.
    Done,
    /// Behind a fault.
    Refused(Fault),
}

/// Reads one body.
#[derive(Debug)]
pub struct BodyReader {
    place: Place,
    most_bytes: usize,
    most_lines: usize,
    /// Of the trailer section so far.
    section_bytes: usize,
    trailers: HeaderMap,
    extension_bytes: usize,
}

impl BodyReader {
    /// Before the first byte. A trailer section may have as many bytes and lines as a head.
    pub fn new(framing: Framing, most_bytes: usize, most_lines: usize) -> Self {
        let place = match framing {
            Framing::Nothing => Place::Done,
            Framing::Length(length) => Place::Data(length),
            Framing::Chunked => Place::Size,
        };
        Self {
            place,
            most_bytes,
            most_lines,
            section_bytes: 0,
            trailers: HeaderMap::new(),
            extension_bytes: 0,
        }
    }

    /// Whether all of it was taken.
    pub fn is_done(&self) -> bool {
        self.place == Place::Done
    }

    /// Bytes still to come, where the head has said it.
    pub fn left(&self) -> Option<u64> {
        match self.place {
            Place::Data(left) => Some(left),
            Place::Done => Some(0),
            Place::Size | Place::Chunk(_) | Place::ChunkEnd | Place::Trailers | Place::Refused(_) => None,
        }
    }

    /// Takes the next part off the front of what was received. A faulty line is refused as soon as it has come, and what
    /// stands behind it is never read.
    ///
    /// Small chunks that have come together are one part: each part is written to the engine by itself, and a client that
    /// sends a byte in six must not make a system call of every byte.
    pub fn take(&mut self, received: &mut BytesMut) -> Result<Part, Fault> {
        let mut joined = BytesMut::new();
        loop {
            if let Place::Refused(fault) = self.place {
                return Err(fault);
            }
            match self.step(received) {
                Ok(Some(Part::Data(data))) if self.place == Place::ChunkEnd && data.len() < SMALL_CHUNK => {
                    joined.extend_from_slice(&data);
                    if joined.len() < MOST_JOINED {
                        continue;
                    }
                }
                Ok(Some(part)) if joined.is_empty() => return Ok(part),
                Ok(Some(Part::Data(data))) => joined.extend_from_slice(&data),
                Ok(Some(Part::More)) => {}
                // The trailer section is not begun before what comes before it was taken.
                Ok(Some(Part::Trailers(_) | Part::End)) => {}
                Ok(None) if joined.is_empty() || self.place != Place::Trailers => continue,
                Ok(None) => {}
                Err(fault) => {
                    self.place = Place::Refused(fault);
                    if joined.is_empty() {
                        return Err(fault);
                    }
                }
            }
            return Ok(Part::Data(joined.freeze()));
        }
    }

    /// Goes on by one line, or one piece of data; `None` behind a line that is no part of the body itself.
    fn step(&mut self, received: &mut BytesMut) -> Result<Option<Part>, Fault> {
        Ok(Some(match self.place {
            Place::Data(left) => {
                let data = take_data(received, left);
                let left = left - data.len() as u64;
                self.place = if left == 0 { Place::Done } else { Place::Data(left) };
                part_of(data)
            }
            Place::Chunk(left) => {
                let data = take_data(received, left);
                let left = left - data.len() as u64;
                self.place = if left == 0 { Place::ChunkEnd } else { Place::Chunk(left) };
                part_of(data)
            }
            Place::Size => {
                let Some(line) = take_line(received, MOST_SIZE_LINE)? else { return Ok(Some(Part::More)) };
                let size = line::chunk_size(&line)?;
                // Digits are at most sixteen.
                self.extension_bytes += line.len().saturating_sub(16);
                if self.extension_bytes > MOST_EXTENSION_BYTES {
                    return Err(Fault::ChunkExtension);
                }
                self.place = if size == 0 { Place::Trailers } else { Place::Chunk(size) };
                return Ok(None);
            }
            Place::ChunkEnd => match received.get(..2.min(received.len())) {
                Some(b"\r\n") => {
                    received.advance(2);
                    self.place = Place::Size;
                    return Ok(None);
                }
                Some(b"" | b"\r") => Part::More,
                _ => return Err(Fault::ChunkEnd),
            },
            Place::Trailers => {
                let room = self.most_bytes.saturating_sub(self.section_bytes);
                let Some(line) = take_line(received, room)? else { return Ok(Some(Part::More)) };
                if line.is_empty() {
                    self.place = Place::Done;
                    let trailers = std::mem::take(&mut self.trailers);
                    return Ok(Some(if trailers.is_empty() { Part::End } else { Part::Trailers(trailers) }));
                }
                self.section_bytes += line.len() + 2;
                self.keep(&line)?;
                return Ok(None);
            }
            Place::Done => Part::End,
            Place::Refused(fault) => return Err(fault),
        }))
    }

    /// Keeps a trailer.
    fn keep(&mut self, line: &[u8]) -> Result<(), Fault> {
        let (field, name_end) = line::field(line)?;
        if self.trailers.len() == self.most_lines {
            return Err(Fault::LineTooLong);
        }
        let Field::Other(name) = field else { return Err(Fault::Trailer) };
        if is_forbidden_trailer(name) {
            return Err(Fault::Trailer);
        }
        let name = HeaderName::from_bytes(name).map_err(|_| Fault::Name)?;
        let value =
            HeaderValue::from_bytes(line[name_end + 1..].trim_ascii()).map_err(|_| Fault::ControlByte)?;
        self.trailers.append(name, value);
        Ok(())
    }
}

/// A line of at most so many bytes, without its end. `None` while that is missing.
fn take_line(received: &mut BytesMut, most: usize) -> Result<Option<BytesMut>, Fault> {
    let Some(end) = memchr::memchr(b'\n', received) else {
        // One more: the carriage return is not counted.
        return if received.len() > most + 1 { Err(Fault::LineTooLong) } else { Ok(None) };
    };
    let mut line = received.split_to(end + 1);
    if end == 0 || line[end - 1] != b'\r' {
        return Err(Fault::BareLf);
    }
    if end - 1 > most {
        return Err(Fault::LineTooLong);
    }
    line.truncate(end - 1);
    Ok(Some(line))
}

/// A slice of what was received, whose room can be used again once the slice is gone.
fn take_data(received: &mut BytesMut, most: u64) -> Bytes {
    let length = usize::try_from(most).unwrap_or(usize::MAX).min(received.len());
    received.split_to(length).freeze()
}

fn part_of(data: Bytes) -> Part {
    if data.is_empty() { Part::More } else { Part::Data(data) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 8 * 1024;

    /// What a body comes to that is received in pieces of a size: its data, its trailers, and whether it was whole.
    fn read(framing: Framing, bytes: &[u8], piece: usize) -> Result<(Vec<u8>, usize, bool), Fault> {
        let mut reader = BodyReader::new(framing, MOST, 100);
        let (mut received, mut data, mut trailers) = (BytesMut::new(), Vec::new(), 0);
        for piece in bytes.chunks(piece) {
            received.extend_from_slice(piece);
            loop {
                match reader.take(&mut received)? {
                    Part::Data(part) => data.extend_from_slice(&part),
                    Part::Trailers(found) => trailers += found.len(),
                    Part::More | Part::End => break,
                }
            }
        }
        Ok((data, trailers, reader.is_done()))
    }

    fn chunked(bytes: impl AsRef<[u8]>) -> Result<(Vec<u8>, usize, bool), Fault> {
        read(Framing::Chunked, bytes.as_ref(), usize::MAX)
    }

    #[test]
    fn a_body_is_the_same_however_it_comes() {
        let coded = b"5\r\nhello\r\n1;ext=\"v\"\r\n \r\n0A\r\n0123456789\r\n0\r\nx-sum: 7\r\n\r\n";
        for piece in 1..=coded.len() {
            let whole = read(Framing::Chunked, coded, piece);
            assert_eq!(whole, Ok((b"hello 0123456789".to_vec(), 1, true)), "pieces of {piece}");
        }
        assert_eq!(read(Framing::Length(3), b"abcdef", 2), Ok((b"abc".to_vec(), 0, true)), "and no more");
        assert_eq!(read(Framing::Length(3), b"ab", 1), Ok((b"ab".to_vec(), 0, false)));
        assert_eq!(read(Framing::Nothing, b"ab", 1), Ok((Vec::new(), 0, true)));
    }

    #[test]
    fn chunks_are_read_by_the_book() {
        for (body, outcome) in [
            ("0\r\n\r\n", Ok(true)),
            ("5\r\nhello\r\n0\r\n\r\n", Ok(true)),
            ("005;a;b=c ; d = \"e;\\\"\"\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n", Ok(true)),
            ("5\r\nhel", Ok(false)),
            ("5\r\nhello\r\n", Ok(false)),
            ("7fffffffffffffff\r\n", Ok(false)),
            ("8000000000000000\r\n", Err(Fault::ChunkSize)),
            ("00000000000000005\r\n", Err(Fault::ChunkSize)),
            ("\r\n", Err(Fault::ChunkSize)),
            ("+5\r\n", Err(Fault::ChunkSize)),
            ("0x5\r\n", Err(Fault::ChunkSize)),
            (" 5\r\n", Err(Fault::ChunkSize)),
            ("5,\r\n", Err(Fault::ChunkSize)),
            ("5\rX\r\n", Err(Fault::ChunkSize)),
            ("5 \r\n", Err(Fault::ChunkExtension)),
            ("5 5\r\n", Err(Fault::ChunkExtension)),
            ("5;\r\n", Err(Fault::ChunkExtension)),
            ("5;a=\r\n", Err(Fault::ChunkExtension)),
            ("5;a=\"b\r\n", Err(Fault::ChunkExtension)),
            ("5;a=\"\r\"\r\n", Err(Fault::ChunkExtension)),
            ("5;\0\r\n", Err(Fault::ChunkExtension)),
            ("5\nhello\r\n", Err(Fault::BareLf)),
            ("5;a\nhello\r\n", Err(Fault::BareLf)),
            ("5\r\nhello!\r\n", Err(Fault::ChunkEnd)),
            ("5\r\nhello\n", Err(Fault::ChunkEnd)),
            ("5\r\nhello0\r\n\r\n", Err(Fault::ChunkEnd)),
            ("0\r\ncontent-length: 5\r\n\r\n", Err(Fault::Trailer)),
            ("0\r\nTransfer-Encoding: chunked\r\n\r\n", Err(Fault::Trailer)),
            ("0\r\nhost: a\r\n\r\n", Err(Fault::Trailer)),
            ("0\r\nCookie: a\r\n\r\n", Err(Fault::Trailer)),
            ("0\r\nauthorization: a\r\n\r\n", Err(Fault::Trailer)),
            ("0\r\nupgrade: a\r\n\r\n", Err(Fault::Trailer)),
            ("0\r\n folded\r\n\r\n", Err(Fault::Fold)),
            ("0\r\nx : y\r\n\r\n", Err(Fault::SpaceBeforeColon)),
            ("0\r\nx: \0\r\n\r\n", Err(Fault::ControlByte)),
            ("0\r\nGET / HTTP/1.1\r\n\r\n", Err(Fault::SpaceBeforeColon)),
            ("0\r\n\n", Err(Fault::BareLf)),
        ] {
            assert_eq!(chunked(body).map(|(_, _, is_whole)| is_whole), outcome, "{body:?}");
        }
        let extension = |length: usize| format!("5;{}\r\n", "a".repeat(length - 2));
        assert!(chunked(extension(MOST_SIZE_LINE)).is_ok());
        assert_eq!(chunked(extension(MOST_SIZE_LINE + 1)), Err(Fault::LineTooLong));
        assert_eq!(chunked("1".repeat(MOST_SIZE_LINE + 2)), Err(Fault::LineTooLong));
        let padded = format!("{}h\r\n", extension(1000).replace('5', "1"));
        assert!(chunked(padded.repeat(16)).is_ok());
        assert_eq!(chunked(padded.repeat(17)), Err(Fault::ChunkExtension), "all of them together");
    }

    #[test]
    fn small_chunks_that_come_together_are_one_part_and_lose_nothing() {
        let parts = |bytes: &str| {
            let (mut reader, mut received) =
                (BodyReader::new(Framing::Chunked, MOST, 100), BytesMut::from(bytes));
            let mut found = Vec::new();
            loop {
                match reader.take(&mut received) {
                    Ok(Part::Data(data)) => found.push(data.len()),
                    Ok(Part::Trailers(_) | Part::More | Part::End) => return (found, Ok(reader.is_done())),
                    Err(fault) => return (found, Err((fault, reader.take(&mut received)))),
                }
            }
        };
        let small = "1\r\na\r\n".repeat(5000);
        assert_eq!(parts(&format!("{small}0\r\n\r\n")), (vec![4096, 904], Ok(true)));
        assert_eq!(parts(&format!("{small}0\r\nx-sum: 7\r\n\r\n")), (vec![4096, 904], Ok(true)));
        assert_eq!(parts("1\r\na\r\n1\r\nb\r\n1"), (vec![2], Ok(false)), "it does not wait for more");
        let large = format!("800\r\n{}\r\n", "b".repeat(0x800));
        assert_eq!(parts(&format!("1\r\na\r\n{large}{large}0\r\n\r\n")), (vec![2049, 2048], Ok(true)));
        let good = "1\r\nc\r\n0\r\n\r\n";
        let refused = Err((Fault::ChunkSize, Err(Fault::ChunkSize)));
        assert_eq!(
            parts(&format!("1\r\na\r\n+1\r\nb\r\n{good}")),
            (vec![1], refused),
            "and nothing behind it"
        );
    }

    #[test]
    fn a_trailer_section_is_bounded_as_a_head_is() {
        let lines = |count: usize| format!("0\r\n{}\r\n", "x: y\r\n".repeat(count));
        assert_eq!(chunked(lines(100)), Ok((Vec::new(), 100, true)));
        assert_eq!(chunked(lines(101)), Err(Fault::LineTooLong));
        let long = |length: usize| format!("0\r\nx: {}\r\n\r\n", "y".repeat(length));
        assert!(chunked(long(MOST - 100)).is_ok());
        assert_eq!(chunked(long(MOST)), Err(Fault::LineTooLong));
        let two = format!("0\r\nx: {0}\r\nx: {0}\r\n\r\n", "y".repeat(MOST / 2));
        assert_eq!(chunked(two), Err(Fault::LineTooLong), "all lines together");
    }
}
