//! HTTP/1.1 as it came, read line by line before the parser sees it (RFC 9112).
//!
//! The parser forgives, and what it forgives two readers may understand in two ways, which is how requests are
//! smuggled: it takes `Content-Length` beside `Transfer-Encoding`, `chunked` twice, lines that end in a bare LF.
//! Here is only what it forgives; what it refuses by itself, such as bad names and control bytes, is left to it. Where
//! messages begin and end is followed exactly, also through bodies: a fault in a chunk is a fault of that request.

mod line;

use crate::net::strict::line::{Line, chunk_size, coding, is_version_1_0, length};

/// The longest line of framing that is a chunk's: its size, and extensions that nobody uses.
const LONGEST_CHUNK_LINE: usize = 512;

/// Trailer sections as long as this are somebody playing; the parser would keep them whole.
const LONGEST_TRAILERS: usize = 16 * 1024;

/// What broke the rules.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// RFC 9112 2.2: lines end in CR LF. A lone LF ends a line for some and not for others.
    #[error("a line that does not end in CR LF")]
    BareLf,
    /// RFC 9112 2.2 lets a server ignore one empty line before a request. More are somebody playing.
    #[error("empty lines before a request")]
    EmptyLines,
    /// RFC 9112 3.2: a target has no fragment. The parser would cut it off, and then two have read two targets.
    #[error("a fragment in the target")]
    Fragment,
    /// RFC 9112 6.3: a message with both is an attack, or an error.
    #[error("Content-Length beside Transfer-Encoding")]
    TwoLengths,
    /// RFC 9110 8.6: not a number of decimal digits, or more than one line of it.
    #[error("a malformed or repeated Content-Length")]
    Length,
    /// RFC 9112 6.1: not exactly `chunked`, once.
    #[error("a Transfer-Encoding that is not chunked")]
    Coding,
    /// RFC 9112 6.1: HTTP/1.0 has no transfer codings.
    #[error("Transfer-Encoding from HTTP/1.0")]
    OldCoding,
    /// RFC 9112 7.1: no chunk size, or what follows it is no extension.
    #[error("a malformed chunk size")]
    ChunkSize,
    /// RFC 9112 7.1: a chunk's data end in CR LF.
    #[error("a chunk that does not end where it said")]
    ChunkEnd,
    /// Longer than any trailer section should be.
    #[error("an endless trailer section")]
    Trailers,
}

/// Where in a message the next byte belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// Before a request line.
    Start,
    /// In the lines of a head, behind the first.
    Head,
    /// In a body of so many bytes more.
    Body(u64),
    /// In a line with a chunk's size.
    ChunkSize,
    /// In a chunk's data, of which so many bytes are to come.
    Chunk(u64),
    /// In the CR LF behind a chunk's data.
    ChunkEnd,
    /// In the lines behind the last chunk.
    Trailers,
}

/// How a head says that its body is framed.
#[derive(Clone, Copy, Debug, Default)]
struct Framing {
    is_1_0: bool,
    length: Option<u64>,
    is_chunked: bool,
}

/// Follows the requests of one connection.
#[derive(Debug)]
pub struct Strict {
    place: Place,
    framing: Framing,
    /// The line that has begun.
    line: Line,
    /// Empty lines since the last message.
    empty_lines: u8,
    /// Bytes of the present trailer section.
    trailers: usize,
}

/// What became of some bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fed {
    /// So many of them may be handed on.
    pub good: usize,
    /// What is wrong behind them. Nothing more may be handed on: what would follow has no meaning.
    pub fault: Option<Fault>,
}

impl Default for Strict {
    fn default() -> Self {
        Self {
            place: Place::Start,
            framing: Framing::default(),
            line: Line::default(),
            empty_lines: 0,
            trailers: 0,
        }
    }
}

impl Strict {
    /// Looks at the next bytes of the connection. After a fault it must not be asked again.
    pub fn feed(&mut self, bytes: &[u8]) -> Fed {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self.place {
                Place::Body(left) => {
                    let here = left.min(rest.len() as u64);
                    at += here as usize;
                    self.place = if here == left { Place::Start } else { Place::Body(left - here) };
                }
                Place::Chunk(left) => {
                    let here = left.min(rest.len() as u64);
                    at += here as usize;
                    self.place = if here == left { Place::ChunkEnd } else { Place::Chunk(left - here) };
                }
                Place::Start | Place::Head | Place::ChunkSize | Place::ChunkEnd | Place::Trailers => {
                    let Some(end) = memchr::memchr(b'\n', rest) else {
                        let fault = self.part_of_a_line(rest).err();
                        return Fed { good: if fault.is_some() { at } else { bytes.len() }, fault };
                    };
                    if let Err(fault) = self.line(&rest[..=end]) {
                        return Fed { good: at, fault: Some(fault) };
                    }
                    at += end + 1;
                }
            }
        }
        Fed { good: bytes.len(), fault: None }
    }

    /// Whether the next byte belongs to a body: then its request has begun already.
    pub fn is_in_body(&self) -> bool {
        match self.place {
            Place::Start | Place::Head => false,
            Place::Body(_) | Place::ChunkSize | Place::Chunk(_) | Place::ChunkEnd | Place::Trailers => true,
        }
    }

    /// The beginning, or the middle, of a line.
    fn part_of_a_line(&mut self, part: &[u8]) -> Result<(), Fault> {
        self.line.push(part);
        match self.place {
            // Whatever is no CR LF is wrong at once.
            Place::ChunkEnd if !b"\r".starts_with(self.line.start()) => Err(Fault::ChunkEnd),
            Place::ChunkSize if self.line.length() > LONGEST_CHUNK_LINE => Err(Fault::ChunkSize),
            Place::Start if memchr::memchr(b'#', part).is_some() => Err(Fault::Fragment),
            Place::Trailers if self.trailers + self.line.length() > LONGEST_TRAILERS => Err(Fault::Trailers),
            // The parser bounds heads.
            Place::Start
            | Place::Head
            | Place::ChunkSize
            | Place::ChunkEnd
            | Place::Trailers
            | Place::Body(_)
            | Place::Chunk(_) => Ok(()),
        }
    }

    /// The end of a line; all of it, unless some came before. `end` ends in LF.
    fn line(&mut self, end: &[u8]) -> Result<(), Fault> {
        if self.place == Place::Start && memchr::memchr(b'#', end).is_some() {
            return Err(Fault::Fragment);
        }
        if self.line.length() == 0 {
            return self.whole_line(end, end);
        }
        self.line.push(end);
        let line = std::mem::take(&mut self.line);
        self.whole_line(line.start(), line.end())
    }

    /// A line, by its start and its end, which for all but very long ones are the same.
    fn whole_line(&mut self, start: &[u8], end: &[u8]) -> Result<(), Fault> {
        if !end.ends_with(b"\r\n") {
            return Err(if self.place == Place::ChunkEnd { Fault::ChunkEnd } else { Fault::BareLf });
        }
        let is_empty = start == b"\r\n";
        match self.place {
            Place::Start if is_empty => {
                self.empty_lines += 1;
                if self.empty_lines > 1 {
                    return Err(Fault::EmptyLines);
                }
            }
            Place::Start => {
                self.framing = Framing { is_1_0: is_version_1_0(end), ..Framing::default() };
                self.place = Place::Head;
            }
            Place::Head if is_empty => self.place = self.body(),
            Place::Head => self.framing.note(&start[..start.len().min(line::START)])?,
            Place::ChunkSize => {
                self.place = match chunk_size(start).filter(|_| start.len() <= LONGEST_CHUNK_LINE) {
                    None => return Err(Fault::ChunkSize),
                    Some(0) => {
                        self.trailers = 0;
                        Place::Trailers
                    }
                    Some(size) => Place::Chunk(size),
                }
            }
            Place::ChunkEnd if is_empty => self.place = Place::ChunkSize,
            Place::ChunkEnd => return Err(Fault::ChunkEnd),
            Place::Trailers if is_empty => self.begin(),
            Place::Trailers => {
                self.trailers += start.len();
                if self.trailers > LONGEST_TRAILERS {
                    return Err(Fault::Trailers);
                }
            }
            Place::Body(_) | Place::Chunk(_) => {}
        }
        Ok(())
    }

    /// What follows the head that is whole now.
    fn body(&mut self) -> Place {
        self.empty_lines = 0;
        match self.framing {
            Framing { is_chunked: true, .. } => Place::ChunkSize,
            Framing { length: Some(length @ 1..), .. } => Place::Body(length),
            Framing { .. } => Place::Start,
        }
    }

    fn begin(&mut self) {
        self.place = Place::Start;
        self.empty_lines = 0;
    }
}

impl Framing {
    /// Takes note of a header line, or as much of its start as is kept. White space in or before a name is refused by
    /// the parser, so that no other spelling of these two gets past it.
    fn note(&mut self, line: &[u8]) -> Result<(), Fault> {
        match line.first() {
            Some(b'c' | b'C') => {
                let Some(value) = line::value_of(line, b"content-length") else { return Ok(()) };
                if self.is_chunked {
                    return Err(Fault::TwoLengths);
                }
                if self.length.is_some() {
                    return Err(Fault::Length);
                }
                self.length = Some(length(value).ok_or(Fault::Length)?);
            }
            Some(b't' | b'T') => {
                let Some(value) = line::value_of(line, b"transfer-encoding") else { return Ok(()) };
                if self.is_1_0 {
                    return Err(Fault::OldCoding);
                }
                if self.length.is_some() {
                    return Err(Fault::TwoLengths);
                }
                if self.is_chunked || !coding(value) {
                    return Err(Fault::Coding);
                }
                self.is_chunked = true;
            }
            Some(_) | None => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
