//! Clients: one connection that is kept alive, and a browser that keeps its cookies.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::wire::{Body, Head, Wire};

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) head: Head,
    pub(crate) body: Body,
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    pub(crate) fn text(&self) -> String {
        self.body.text()
    }

    /// Our ticket's `Set-Cookie` line.
    pub(crate) fn ticket(&self) -> Option<String> {
        let lines = self.head.all("set-cookie").into_iter();
        let mut ours =
            lines.filter(|line| line.starts_with("cutover=") || line.starts_with("__Host-cutover="));
        let first = ours.next().map(str::to_owned);
        assert_eq!(ours.next(), None, "one ticket is enough");
        first
    }
}

/// A keep-alive connection.
pub(crate) struct Client {
    pub(crate) wire: Wire,
}

impl Client {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self { wire: Wire::to(address) }
    }

    pub(crate) fn get(&mut self, target: &str) -> Ask<'_> {
        self.ask("GET", target)
    }

    pub(crate) fn post(&mut self, target: &str, body: &str) -> Ask<'_> {
        let mut ask = self.ask("POST", target).header(&format!("content-length: {}", body.len()));
        ask.body = body.to_owned();
        ask
    }

    pub(crate) fn ask(&mut self, method: &str, target: &str) -> Ask<'_> {
        let lines = vec!["host: portal.example.com".to_owned()];
        let (method, target) = (method.to_owned(), target.to_owned());
        Ask { client: self, method, target, lines, body: String::new() }
    }

    /// Sends bytes and reads one answer; `None` when it is cut or does not come.
    pub(crate) fn exchange(&mut self, bytes: impl AsRef<[u8]>, method: &str) -> Option<Reply> {
        self.wire.send(bytes);
        self.read(method)
    }

    /// Reads one answer to a request of this method.
    pub(crate) fn read(&mut self, method: &str) -> Option<Reply> {
        let head = self.wire.head()?;
        let body = self.wire.body(&head, method)?;
        Some(Reply { head, body })
    }
}

/// A request that is being put together.
pub(crate) struct Ask<'c> {
    client: &'c mut Client,
    method: String,
    target: String,
    lines: Vec<String>,
    body: String,
}

impl Ask<'_> {
    /// Another header line. A line for `host` replaces ours.
    pub(crate) fn header(mut self, line: &str) -> Self {
        if line.to_ascii_lowercase().starts_with("host:") {
            self.lines.remove(0);
        }
        self.lines.push(line.to_owned());
        self
    }

    pub(crate) fn cookie(self, cookie: &str) -> Self {
        self.header(&format!("cookie: {cookie}"))
    }

    /// Sends it as a browser that loads a page.
    pub(crate) fn page(self) -> Reply {
        self.header("accept: text/html,application/xhtml+xml;q=0.9").send()
    }

    /// The answer, which must come whole.
    pub(crate) fn send(self) -> Reply {
        let what = format!("{} {}", self.method, self.target);
        self.try_send().unwrap_or_else(|| panic!("no whole answer to {what}"))
    }

    pub(crate) fn try_send(self) -> Option<Reply> {
        let Self { client, method, target, lines, body } = self;
        client
            .exchange(format!("{method} {target} HTTP/1.1\r\n{}\r\n\r\n{body}", lines.join("\r\n")), &method)
    }
}

/// A browser: every page over a connection of its own, unless it is lent one, with the cookies of the pages before.
pub(crate) struct Browser {
    pub(super) address: SocketAddr,
    /// A connection that is shared with other browsers, as behind a load balancer.
    pub(crate) lent: Option<Client>,
    pub(crate) jar: BTreeMap<String, String>,
    /// The cookies that it sends from pages of other sites too.
    for_all_sites: BTreeSet<String>,
    /// The page that it is on.
    pub(crate) at: Option<String>,
    /// Who answered what, and why.
    pub(super) journal: Vec<String>,
    /// A line that every request carries.
    pub(crate) line: Option<String>,
}

impl Browser {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self {
            address,
            lent: None,
            jar: BTreeMap::new(),
            for_all_sites: BTreeSet::new(),
            at: None,
            journal: Vec::new(),
            line: None,
        }
    }

    /// The same browser, after the site has moved to another proxy.
    pub(crate) fn goes_to(&mut self, address: SocketAddr) {
        self.address = address;
    }

    pub(crate) fn page(&mut self, target: &str) -> Reply {
        let mut client = Client::to(self.address);
        let mut ask = client.get(target);
        let cookies = self.cookies(false);
        if !cookies.is_empty() {
            ask = ask.cookie(&cookies);
        }
        if let Some(line) = &self.line {
            ask = ask.header(line);
        }
        let reply = ask.page();
        self.keep(&reply);
        reply
    }

    /// The `Cookie` line of a request, from a page of this site or of another one.
    pub(super) fn cookies(&self, cross_site: bool) -> String {
        let sent = self.jar.iter().filter(|(name, _)| !cross_site || self.for_all_sites.contains(*name));
        sent.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Takes the cookies of an answer, and drops those that it deletes.
    pub(super) fn keep(&mut self, reply: &Reply) {
        for line in reply.head.all("set-cookie") {
            let (name, rest) = line.split_once('=').expect("a cookie");
            let value = rest.split(';').next().unwrap_or_default();
            if value.is_empty() || rest.contains("Max-Age=0") || rest.contains("Expires=Thu, 01 Jan 1970") {
                self.jar.remove(name);
                continue;
            }
            self.jar.insert(name.to_owned(), value.to_owned());
            if rest.contains("SameSite=None") {
                self.for_all_sites.insert(name.to_owned());
            } else {
                self.for_all_sites.remove(name);
            }
        }
    }

    /// The words of the engine that serves a page.
    pub(crate) fn engine(&mut self) -> String {
        self.page("/").text()
    }
}
