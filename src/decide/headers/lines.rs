//! Header lines in wire form, behind those of a map: what we add to every request is written once, as bytes, and
//! not put into a map first.

/// Lines of our own, each ended by CRLF.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lines(Vec<u8>);

impl Lines {
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

    /// Takes away the lines of a name.
    pub fn remove(&mut self, name: &str) {
        let is_of_name =
            |line: &[u8]| line.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b": "));
        let lines = self.0.split_inclusive(|byte| *byte == b'\n');
        self.0 = lines.filter(|line| !is_of_name(line)).flatten().copied().collect();
    }

    /// Forgets all lines, and keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
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
