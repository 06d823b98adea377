//! The lines that say how a message is framed.

/// As much of a line's start as its meaning needs: the names and values of interest are shorter.
pub(super) const START: usize = 1024;

/// As much of its end: a request line's version, and CR LF.
const END: usize = 16;

/// A line that comes in pieces. Long ones are kept in part.
#[derive(Debug, Default)]
pub(super) struct Line {
    start: Vec<u8>,
    end: Vec<u8>,
    length: usize,
}

impl Line {
    /// Adds a piece.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.length += piece.len();
        let room = START.saturating_sub(self.start.len()).min(piece.len());
        self.start.extend_from_slice(&piece[..room]);
        self.end.extend_from_slice(&piece[piece.len().saturating_sub(END)..]);
        self.end.drain(..self.end.len().saturating_sub(END));
    }

    /// Its length so far, in bytes.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Its first bytes.
    pub(super) fn start(&self) -> &[u8] {
        &self.start
    }

    /// Its last bytes.
    pub(super) fn end(&self) -> &[u8] {
        &self.end
    }
}

/// The value of a header line, with white space and CR LF, when this is its name. `name` is in lower case.
pub(super) fn value_of<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (found, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then_some(value)
}

/// RFC 9112 5: optional white space around a value is not part of it.
fn trimmed(value: &[u8]) -> &[u8] {
    let value = value.strip_suffix(b"\r\n").unwrap_or(value);
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// RFC 9110 8.6: decimal digits and nothing else, within what can be counted.
pub(super) fn length(value: &[u8]) -> Option<u64> {
    digits(trimmed(value), 10)
}

/// Whether a `Transfer-Encoding` is exactly `chunked`.
pub(super) fn coding(value: &[u8]) -> bool {
    trimmed(value).eq_ignore_ascii_case(b"chunked")
}

/// The size that a chunk's first line gives (RFC 9112 7.1): hexadecimal digits, then nothing, or extensions of visible
/// characters and blanks behind a semicolon.
pub(super) fn chunk_size(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\r\n")?;
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (size, extensions) = line.split_at(end);
    let is_visible = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    let are_extensions = extensions.is_empty() || extensions[0] == b';' && extensions.iter().all(is_visible);
    // Parsers that add up digits until they overflow do not agree on where.
    if size.len() > 15 || !are_extensions {
        return None;
    }
    digits(size, 16)
}

fn digits(text: &[u8], radix: u32) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        let digit = char::from(*byte).to_digit(radix)?;
        number.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))
    })
}

/// Whether a request line's end, with CR LF, names HTTP/1.0.
pub(super) fn is_version_1_0(end: &[u8]) -> bool {
    end.ends_with(b"HTTP/1.0\r\n")
}
