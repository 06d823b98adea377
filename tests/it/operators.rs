//! What the stories of operators share: a folder with a configuration, and a client of a dozen lines.

#![allow(clippy::disallowed_methods)] // a test is the edge of its world: it reads files and clocks itself

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Nothing here takes longer unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder that is gone after the test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).expect("a file")
    }

    /// Writes as an editor does: a whole new file under the old name.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<str>) -> PathBuf {
        let (path, beside) = (self.path().join(name), self.path().join(format!("{name}.new")));
        fs::write(&beside, text.as_ref()).expect("writable");
        fs::rename(beside, &path).expect("renamable");
        path
    }
}

/// One app between two engines that nobody runs; `admin` is the rest of its table, `app` that of the app's.
pub(crate) fn config(percent: u32, admin: &str, app: &str) -> String {
    format!(
        r#"workers = 1
[[listeners]]
bind = "127.0.0.1:0"
[admin]
{admin}
[ticket]
key_file = "keys"
[log]
level = "error"
access = false
[apps.portal]
keys = ["cookie:uid", "device"]
percent = {percent}   # how far we are
{app}
[apps.portal.classic]
endpoints = [{{ url = "http://127.0.0.1:1", weight = 3 }}]
[apps.portal.identity]
endpoints = ["http://127.0.0.1:2"]
"#
    )
}

/// The usual admin table: a free port, which has to be asked for.
pub(crate) const ANY_PORT: &str = "bind = \"127.0.0.1:0\"";

/// A key file for [`config`]: 32 zeros in base64.
pub(crate) const KEYS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Reads everything that comes.
    pub(crate) fn read(stream: &mut TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("an answer, not {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Asks `GET /path` or `POST /path`; `lines` are more header lines.
pub(crate) fn ask(address: SocketAddr, request: &str, lines: &[&str]) -> Answer {
    let host =
        if lines.iter().any(|line| line.starts_with("host:")) { None } else { Some("host: localhost") };
    let lines: String = lines.iter().chain(&host).map(|line| format!("{line}\r\n")).collect();
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    write!(stream, "{request} HTTP/1.1\r\n{lines}connection: close\r\n\r\n").expect("a request");
    Answer::read(&mut stream)
}

/// Waits until something holds.
pub(crate) fn eventually<T>(what: &str, mut happens: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = happens() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// A port that is free, and stays so: below those that the system gives to whoever asks for any (32768 and up on
/// Linux), and each only once in a run. Runs side by side begin at different places.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..10_000 {
        let place = start.wrapping_add(NEXT.fetch_add(1, Ordering::SeqCst)) % 12_000;
        let port = 20_000 + u16::try_from(place).expect("below 12,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port from 20000 to 32000");
}
