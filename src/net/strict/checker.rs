//! A client's bytes, followed from message to message, as they come.
//!
//! Pure: no socket, no clock. The one promise that everything else rests on: **no line end is passed on that was not
//! judged**. What reads behind us acts on a head, a chunk's size or a trailer section only when its line has ended, so it
//! never acts on one that is at fault; and as long as nothing is at fault, it sees the same messages as we do.

use crate::decide::headers::is_forbidden_trailer;
use crate::net::strict::fault::Fault;
use crate::net::strict::line::{self, Field, MOST_SIZE_LINE};

/// Empty lines that may come before a request (RFC 9112 2.2): one for clients that end a body with a line end which
/// is not part of it, and one for luck.
const MOST_EMPTY_LINES: u8 = 2;

/// Where in the stream the next byte stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// Before a request line, behind so many empty ones.
    Before(u8),
    /// In the header section.
    Head,
    /// In a body whose length is known, with so many bytes to come.
    Body(u64),
    /// In a chunk's size line.
    ChunkSize,
    /// In a chunk's data, with so many bytes to come.
    Chunk(u64),
    /// In the line end behind a chunk's data.
    ChunkEnd,
    /// In the trailer section.
    Trailers,
    /// Behind a request that asks for another protocol: what follows is HTTP or not, and the answer will tell.
    Undecided,
    /// In a head that is larger than is allowed. Whoever reads behind us refuses it for that.
    TooLarge,
    /// Behind a fault.
    Refused(Fault),
}

/// What a head has said so far.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    is_http_11: bool,
    has_host: bool,
    length: Option<u64>,
    is_chunked: bool,
    wants_upgrade: bool,
}

/// A fault, and how many of the bytes just fed come before the line that holds it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refused {
    /// So many bytes may be passed on.
    pub passes: usize,
    /// What is wrong with what follows them.
    pub fault: Fault,
}

/// Follows one connection.
#[derive(Debug)]
pub struct Checker {
    place: Place,
    head: Head,
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    /// The last good `Host`: a connection rarely names two, and reading one takes longer than comparing it.
    known_host: Vec<u8>,
    /// Most bytes of a head's line. Of a longer one nothing is kept, since its head is too large.
    most_bytes: usize,
}

impl Checker {
    /// Before the first byte. `most_bytes` is what a head may have.
    pub const fn new(most_bytes: usize) -> Self {
        Self {
            place: Place::Before(0),
            head: Head {
                is_http_11: false,
                has_host: false,
                length: None,
                is_chunked: false,
                wants_upgrade: false,
            },
            begun: Vec::new(),
            known_host: Vec::new(),
            most_bytes,
        }
    }

    /// Whether the last message has ended and no other begun.
    pub const fn is_between_messages(&self) -> bool {
        matches!(self.place, Place::Before(_)) && self.begun.is_empty()
    }

    /// Whether nothing more is judged before somebody says [`Checker::stays`].
    pub const fn is_undecided(&self) -> bool {
        matches!(self.place, Place::Undecided)
    }

    /// The request that asked for another protocol did not get it: HTTP goes on.
    pub const fn stays(&mut self) {
        if self.is_undecided() {
            self.place = Place::Before(0);
        }
    }

    /// Judges the bytes that come next. How many were judged: all of them, unless one of the requests asks for another
    /// protocol. Whether a line is good is told when it has ended.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, Refused> {
        let mut at = 0;
        while at < bytes.len() {
            match &mut self.place {
                Place::Body(left) | Place::Chunk(left) => {
                    let more = bytes.len() - at;
                    let taken = usize::try_from(*left).map_or(more, |left| left.min(more));
                    at += taken;
                    *left -= taken as u64;
                    if *left == 0 {
                        self.after_data();
                    }
                }
                Place::Undecided => return Ok(at),
                Place::TooLarge => return Ok(bytes.len()),
                Place::Refused(fault) => return Err(Refused { passes: at, fault: *fault }),
                Place::Before(_) | Place::Head | Place::ChunkSize | Place::ChunkEnd | Place::Trailers => {
                    let rest = &bytes[at..];
                    if self.place == Place::Head && self.begun.is_empty() {
                        if rest.starts_with(b"\r\n") {
                            self.end_head().map_err(|fault| self.refuse(at, fault))?;
                            at += 2;
                            continue;
                        }
                        if let Some((field, length)) = line::plain_field(rest) {
                            self.hear(field).map_err(|fault| self.refuse(at, fault))?;
                            at += length;
                            continue;
                        }
                    }
                    let Some(end) = memchr::memchr(b'\n', rest) else {
                        self.keep(rest).map_err(|fault| self.refuse(at, fault))?;
                        return Ok(bytes.len());
                    };
                    self.judge(&rest[..end]).map_err(|fault| self.refuse(at, fault))?;
                    at += end + 1;
                }
            }
        }
        Ok(at)
    }

    #[cold]
    const fn refuse(&mut self, passes: usize, fault: Fault) -> Refused {
        self.place = Place::Refused(fault);
        Refused { passes, fault }
    }

    /// Keeps the beginning of a line until its end comes.
    fn keep(&mut self, rest: &[u8]) -> Result<(), Fault> {
        // One byte more than a line may have: the carriage return.
        let most = match self.place {
            Place::ChunkSize => MOST_SIZE_LINE + 1,
            Place::ChunkEnd => 1,
            _of_head_or_trailers => self.most_bytes + 1,
        };
        if self.begun.len() + rest.len() <= most {
            self.begun.extend_from_slice(rest);
            return Ok(());
        }
        self.begun = Vec::new();
        match self.place {
            Place::Before(_) | Place::Head => self.place = Place::TooLarge,
            Place::ChunkEnd => return Err(Fault::ChunkEnd),
            _of_body => return Err(Fault::LineTooLong),
        }
        Ok(())
    }

    /// Judges a line whose end has come; `end` is what came of it just now, without LF.
    #[inline]
    fn judge(&mut self, end: &[u8]) -> Result<(), Fault> {
        if self.begun.is_empty() {
            return self.judge_whole(end);
        }
        let mut whole = std::mem::take(&mut self.begun);
        whole.extend_from_slice(end);
        let judged = self.judge_whole(&whole);
        whole.clear();
        // Most lines come whole: what one took that did not is kept for the next only if it is little.
        if whole.capacity() <= 1024 {
            self.begun = whole;
        }
        judged
    }

    fn judge_whole(&mut self, line: &[u8]) -> Result<(), Fault> {
        let Some((b'\r', line)) = line.split_last() else {
            return Err(if self.place == Place::ChunkEnd { Fault::ChunkEnd } else { Fault::BareLf });
        };
        match self.place {
            Place::Head if line.is_empty() => self.end_head(),
            Place::Head => self.hear(line::field(line)?),
            Place::Before(empty) if line.is_empty() => {
                self.place = Place::Before(empty + 1);
                if empty < MOST_EMPTY_LINES { Ok(()) } else { Err(Fault::EmptyLines) }
            }
            Place::Before(_) => {
                let request = line::request_line(line)?;
                self.head = Head { is_http_11: request.is_http_11, ..Head::default() };
                self.place = Place::Head;
                Ok(())
            }
            Place::ChunkSize => {
                let size = line::chunk_size(line)?;
                self.place = if size == 0 { Place::Trailers } else { Place::Chunk(size) };
                Ok(())
            }
            Place::ChunkEnd if line.is_empty() => {
                self.place = Place::ChunkSize;
                Ok(())
            }
            Place::ChunkEnd => Err(Fault::ChunkEnd),
            Place::Trailers if line.is_empty() => {
                self.end_message();
                Ok(())
            }
            Place::Trailers if line.len() > self.most_bytes => Err(Fault::LineTooLong),
            Place::Trailers => match line::field(line)? {
                Field::Other(name) if !is_forbidden_trailer(name) => Ok(()),
                Field::Other(_) | Field::Host(_) | Field::Length(_) | Field::Coding | Field::Upgrade => {
                    Err(Fault::Trailer)
                }
            },
            // No lines.
            Place::Body(_) | Place::Chunk(_) | Place::Undecided | Place::TooLarge | Place::Refused(_) => {
                Ok(())
            }
        }
    }

    /// Takes in what a field of the head says.
    #[inline]
    fn hear(&mut self, field: Field<'_>) -> Result<(), Fault> {
        let head = &mut self.head;
        match field {
            Field::Other(_) => {}
            Field::Host(_) if head.has_host => return Err(Fault::SecondHost),
            Field::Host(host) => {
                head.has_host = true;
                // Before the first one what is known is empty, and empty is no host.
                if host.is_empty() || host != self.known_host {
                    if !line::is_host(host) {
                        return Err(Fault::Host);
                    }
                    host.clone_into(&mut self.known_host);
                }
            }
            Field::Length(_) if head.length.is_some() => return Err(Fault::SecondLength),
            Field::Length(length) => head.length = Some(length),
            Field::Coding if head.is_chunked => return Err(Fault::Coding),
            Field::Coding if !head.is_http_11 => return Err(Fault::OldCoding),
            Field::Coding => head.is_chunked = true,
            Field::Upgrade => head.wants_upgrade = head.is_http_11,
        }
        Ok(())
    }

    /// RFC 9112 6.3: where the body ends, once no doubt is left.
    fn end_head(&mut self) -> Result<(), Fault> {
        let Head { is_http_11, has_host, length, is_chunked, .. } = self.head;
        if is_http_11 && !has_host {
            return Err(Fault::NoHost);
        }
        if is_chunked && length.is_some() {
            return Err(Fault::LengthAndCoding);
        }
        match length {
            _ if is_chunked => self.place = Place::ChunkSize,
            Some(length) if length > 0 => self.place = Place::Body(length),
            Some(_) | None => self.end_message(),
        }
        Ok(())
    }

    /// The last byte of a body, or of a chunk's data, was taken.
    fn after_data(&mut self) {
        if matches!(self.place, Place::Chunk(_)) {
            self.place = Place::ChunkEnd;
        } else {
            self.end_message();
        }
    }

    fn end_message(&mut self) {
        self.place = if self.head.wants_upgrade { Place::Undecided } else { Place::Before(0) };
    }
}

#[cfg(test)]
mod tests;
