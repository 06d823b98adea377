//! Header lines in wire form, behind those of a map: what we add to every request is written once, as bytes, and
//! not put into a map first.

use std::ops::Range;

use crate::decide::decision::Reason;
use crate::decide::engine::Engine;

/// Lines of our own, each ended by CRLF.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lines(Vec<u8>);

/// Room for what we add to a request under names of ordinary length: it comes to some 350 bytes, and grown line by
/// line it would be moved four times.
const ROOM: usize = 512;

impl Lines {
    /// No line yet, with room for those of a request.
    pub fn with_room() -> Self {
        Self(Vec::with_capacity(ROOM))
    }

    /// Adds a line. A byte that could end it early is left out: values come from header maps and from us, so this
    /// is a second lock on the same door.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        if memchr::memchr3(b'\r', b'\n', 0, value).is_none() {
            self.0.extend_from_slice(value);
        }
        self.0.extend_from_slice(b"\r\n");
    }

    /// Adds lines that were made earlier.
    pub fn extend(&mut self, lines: &Self) {
        self.0.extend_from_slice(&lines.0);
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets the lines that were added since there were so many bytes.
    pub fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    /// Tells the engine what was decided.
    pub fn annotate(&mut self, engine: Engine, reason: Reason, workflow: Option<&str>) {
        self.push("cutover-engine", engine.as_str().as_bytes());
        self.push("cutover-reason", reason.as_str().as_bytes());
        self.push("cutover-workflow", workflow.unwrap_or("none").as_bytes());
    }

    /// Names, and where in the wire form their values stand, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        let mut start = 0;
        std::iter::from_fn(move || {
            let rest = self.0.get(start..)?;
            let colon = memchr::memchr(b':', rest)?;
            let end = memchr::memchr(b'\r', rest)?;
            let value = start + colon + 2..start + end;
            start += end + 2;
            Some((std::str::from_utf8(&rest[..colon]).ok()?, value))
        })
    }

    /// The wire form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value of the first line of a name, for tests and logs.
    pub fn get(&self, name: &str) -> Option<&str> {
        let text = std::str::from_utf8(&self.0).ok()?;
        text.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}
