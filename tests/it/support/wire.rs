//! HTTP/1.1 as it lies on a socket, read by a reader that shares nothing with the proxy.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than anything here should take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// The head of a message, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) text: String,
}

impl Head {
    /// The request or status line.
    pub(crate) fn first(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    fn word(&self, at: usize) -> &str {
        self.first().split(' ').nth(at).unwrap_or_default()
    }

    pub(crate) fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or_else(|_| panic!("a status in {:?}", self.text))
    }

    pub(crate) fn method(&self) -> &str {
        self.word(0)
    }

    pub(crate) fn target(&self) -> &str {
        self.word(1)
    }

    /// All values of a header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.text.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// The value of a header that may come once.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} came twice in {:?}", self.text);
        all.first().copied()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.all("transfer-encoding").iter().any(|value| value.eq_ignore_ascii_case("chunked"))
    }
}

/// A body, and what came behind it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    /// The trailer section's lines.
    pub(crate) trailers: String,
}

impl Body {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    inbox: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, inbox: Vec::new() }
    }

    /// An engine's end: its connections may lie unused for as long as a test takes.
    pub(crate) fn patient(stream: TcpStream) -> Self {
        let wire = Self::new(stream);
        wire.stream.set_read_timeout(None).expect("no time-out");
        wire
    }

    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).expect("somebody listens"))
    }

    /// Sends what can be sent: whoever closed already does not read it.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// Sends no more.
    pub(crate) fn finish(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Sends back whatever comes.
    pub(crate) fn echo(&mut self) {
        loop {
            let said = std::mem::take(&mut self.inbox);
            self.send(said);
            if !self.more() {
                return;
            }
        }
    }

    /// Reads more; `false` at the end, however it came about. Panics when nothing comes for too long.
    pub(crate) fn more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(read) => {
                self.inbox.extend_from_slice(&buffer[..read]);
                true
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                panic!("nothing came for {PATIENCE:?} after {:?}", String::from_utf8_lossy(&self.inbox))
            }
            Err(_) => false,
        }
    }

    fn through(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        let mut from = 0;
        loop {
            if let Some(at) = self.inbox[from..].windows(end.len()).position(|window| window == end) {
                return Some(self.inbox.drain(..from + at + end.len()).collect());
            }
            from = self.inbox.len().saturating_sub(end.len() - 1);
            if !self.more() {
                return None;
            }
        }
    }

    /// The next head; `None` when the other side closes instead.
    pub(crate) fn head(&mut self) -> Option<Head> {
        let bytes = self.through(b"\r\n\r\n")?;
        Some(Head { text: String::from_utf8_lossy(&bytes).trim_end().to_owned() })
    }

    /// So many bytes; `None` when fewer come.
    pub(crate) fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.inbox.len() < count {
            if !self.more() {
                return None;
            }
        }
        Some(self.inbox.drain(..count).collect())
    }

    /// Everything until the other side closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.inbox)
    }

    /// Waits for the other side to close; what came before it does not matter.
    pub(crate) fn closes(&mut self) {
        self.rest();
    }

    /// The body behind a head; `None` when it is cut. `method` is that of the request when this is a response.
    pub(crate) fn body(&mut self, head: &Head, method: &str) -> Option<Body> {
        let mut body = Body::default();
        let is_response = head.text.starts_with("HTTP/");
        if is_response && (method == "HEAD" || matches!(head.status(), 100..=199 | 204 | 304)) {
            return Some(body);
        }
        if head.is_chunked() {
            loop {
                let line = self.through(b"\r\n")?;
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                let size = line.split(';').next().unwrap_or_default();
                let size =
                    usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("a chunk size: {line:?}"));
                if size == 0 {
                    break;
                }
                body.bytes.extend(self.take(size)?);
                assert_eq!(self.take(2)?, b"\r\n");
            }
            loop {
                let line = self.through(b"\r\n")?;
                if line == b"\r\n" {
                    return Some(body);
                }
                body.trailers.push_str(&String::from_utf8_lossy(&line));
            }
        }
        body.bytes = match head.get("content-length") {
            Some(length) => self.take(length.parse().expect("a length"))?,
            None if is_response => self.rest(),
            None => Vec::new(),
        };
        Some(body)
    }
}
