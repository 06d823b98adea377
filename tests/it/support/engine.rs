//! Engines that record every byte they get, and do as their script says.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::wire::{Body, Head, Wire};
use crate::operators::eventually;

/// A request that an engine got whole.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) head: Head,
    pub(crate) body: Body,
}

#[derive(Default)]
struct Seen {
    accepts: AtomicUsize,
    heads: Mutex<Vec<Head>>,
    requests: Mutex<Vec<Recorded>>,
    open: Mutex<Vec<TcpStream>>,
    notes: Mutex<Vec<&'static str>>,
    stopped: AtomicBool,
    may_go_on: AtomicBool,
}

/// An upstream server.
pub(crate) struct Engine {
    address: SocketAddr,
    seen: Arc<Seen>,
    accepting: Option<JoinHandle<()>>,
}

impl Engine {
    /// Answers every request with 200 and these words.
    pub(crate) fn answering(words: &'static str) -> Self {
        Self::at("127.0.0.1:0".parse().expect("an address"), words)
    }

    /// As [`Engine::answering`], at an address where another engine stood.
    pub(crate) fn at(address: SocketAddr, words: &'static str) -> Self {
        Self::listening(address, move |conn| while conn.answer(words) {})
    }

    /// Does this with every connection, which is closed afterwards.
    pub(crate) fn script(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Self {
        Self::listening("127.0.0.1:0".parse().expect("an address"), script)
    }

    /// As [`Engine::script`], at an address where another engine stood.
    pub(crate) fn script_at(address: SocketAddr, script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Self {
        Self::listening(address, script)
    }

    /// Answers every request with exactly these bytes.
    pub(crate) fn replying(bytes: &'static [u8]) -> Self {
        Self::script(move |conn| {
            while conn.request().is_some() {
                conn.send(bytes);
            }
        })
    }

    /// Answers nothing, but half of something under `/stops`.
    pub(crate) fn hanging() -> Self {
        Self::script(|conn| {
            while let Some(request) = conn.request() {
                if request.head.target() == "/stops" {
                    conn.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it");
                }
                conn.closes();
            }
        })
    }

    fn listening(address: SocketAddr, script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::<Seen>::default();
        let script = Arc::new(script);
        let accepting = thread::spawn({
            let seen = Arc::clone(&seen);
            move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if seen.stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    seen.accepts.fetch_add(1, Ordering::SeqCst);
                    let mut open = seen.open.lock().expect("no panic");
                    open.push(stream.try_clone().expect("a descriptor"));
                    drop(open);
                    let mut conn = Conn { wire: Wire::patient(stream), seen: Arc::clone(&seen) };
                    let script = Arc::clone(&script);
                    thread::spawn(move || {
                        script(&mut conn);
                        // The clone in `open` would keep the socket from closing.
                        let _ = conn.wire.stream.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { address, seen, accepting: Some(accepting) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections so far.
    pub(crate) fn accepts(&self) -> usize {
        self.seen.accepts.load(Ordering::SeqCst)
    }

    /// Every head so far, also of requests whose body never came whole.
    pub(crate) fn heads(&self) -> Vec<Head> {
        self.seen.heads.lock().expect("no panic").clone()
    }

    /// Every whole request so far.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.seen.requests.lock().expect("no panic").clone()
    }

    /// What scripts have noted.
    pub(crate) fn notes(&self) -> Vec<&'static str> {
        self.seen.notes.lock().expect("no panic").clone()
    }

    /// Lets scripts that wait for it go on.
    pub(crate) fn go_on(&self) {
        self.seen.may_go_on.store(true, Ordering::SeqCst);
    }

    /// The newest whole request.
    pub(crate) fn last(&self) -> Recorded {
        self.requests().pop().expect("a request")
    }

    /// Closes every connection, and goes on accepting.
    pub(crate) fn hang_up(&self) {
        for stream in self.seen.open.lock().expect("no panic").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Is gone: connections are closed, and new ones refused.
    pub(crate) fn stop(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        self.seen.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        accepting.join().expect("it only accepts");
        self.hang_up();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One connection of an engine.
pub(crate) struct Conn {
    wire: Wire,
    seen: Arc<Seen>,
}

impl Conn {
    /// The next head, without its body; `None` when the proxy hangs up.
    pub(crate) fn begun(&mut self) -> Option<Head> {
        let head = self.wire.head()?;
        self.seen.heads.lock().expect("no panic").push(head.clone());
        Some(head)
    }

    /// The body behind a head that was [`Conn::begun`]; `None` when it is cut.
    pub(crate) fn rest_of(&mut self, head: &Head) -> Option<Recorded> {
        let body = self.wire.body(head, "")?;
        let recorded = Recorded { head: head.clone(), body };
        self.seen.requests.lock().expect("no panic").push(recorded.clone());
        Some(recorded)
    }

    /// The next whole request.
    pub(crate) fn request(&mut self) -> Option<Recorded> {
        let head = self.begun()?;
        self.rest_of(&head)
    }

    /// Tells the test how far the script has come.
    pub(crate) fn note(&self, what: &'static str) {
        self.seen.notes.lock().expect("no panic").push(what);
    }

    /// Waits for the test to say [`Engine::go_on`].
    pub(crate) fn wait(&self) {
        eventually("the test says go on", || self.seen.may_go_on.load(Ordering::SeqCst).then_some(()));
    }

    /// Reads a request and answers with 200; `false` when there is none.
    pub(crate) fn answer(&mut self, words: &str) -> bool {
        let Some(request) = self.request() else { return false };
        let body = if request.head.method() == "HEAD" { "" } else { words };
        self.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", words.len()));
        true
    }
}

impl Deref for Conn {
    type Target = Wire;

    fn deref(&self) -> &Wire {
        &self.wire
    }
}

impl DerefMut for Conn {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }
}
