//! A browser that follows redirects on the site, keeps and deletes cookies, and says which page asks.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::client::{Client, Reply};

const HOST: &str = "portal.example.com";

/// Somebody with a browser.
#[derive(Clone)]
pub(crate) struct Visitor {
    address: SocketAddr,
    pub(crate) jar: BTreeMap<String, String>,
    /// The page that is shown.
    pub(crate) page: String,
}

impl Visitor {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self { address, jar: BTreeMap::new(), page: String::new() }
    }

    pub(crate) fn goes_to(&mut self, address: SocketAddr) {
        self.address = address;
    }

    /// Opens a page, and whatever that redirects to on this site.
    pub(crate) fn open(&mut self, target: &str) -> Reply {
        let reply = self.once("GET", target, "", &["sec-fetch-mode: navigate"]);
        self.follow(reply)
    }

    /// Sends a form, and follows.
    pub(crate) fn submit(&mut self, target: &str, form: &str) -> Reply {
        let reply = self.once("POST", target, form, &["sec-fetch-mode: navigate"]);
        self.follow(reply)
    }

    /// The page asks for something.
    pub(crate) fn fetch(&mut self, target: &str) -> Reply {
        self.once("GET", target, "", &["sec-fetch-mode: cors"])
    }

    fn follow(&mut self, mut reply: Reply) -> Reply {
        for _ in 0..10 {
            let Some(location) = reply.head.get("location").map(str::to_owned) else { return reply };
            if !location.starts_with('/') {
                return reply;
            }
            reply = self.once("GET", &location, "", &["sec-fetch-mode: navigate"]);
        }
        panic!("a redirect loop at {}", reply.head.text)
    }

    /// One request; a page load makes its target the page that is shown.
    pub(crate) fn once(&mut self, method: &str, target: &str, form: &str, lines: &[&str]) -> Reply {
        let mut client = Client::to(self.address);
        let mut ask = if method == "POST" { client.post(target, form) } else { client.ask(method, target) };
        let cookies: Vec<String> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            ask = ask.cookie(&cookies.join("; "));
        }
        if !self.page.is_empty() {
            ask = ask.header(&format!("referer: http://{HOST}{}", self.page));
        }
        for line in lines {
            ask = ask.header(line);
        }
        let reply = ask.send();
        for line in reply.head.all("set-cookie") {
            let (name, rest) = line.split_once('=').expect("a cookie");
            let value = rest.split(';').next().unwrap_or_default();
            if value.is_empty() || rest.contains("Max-Age=0") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        if lines.contains(&"sec-fetch-mode: navigate") {
            self.page = target.to_owned();
        }
        reply
    }

    /// Another device, or a window without a past.
    pub(crate) fn other_device(&self) -> Self {
        Self::to(self.address)
    }

    /// The `state` of the page that is shown.
    pub(crate) fn state(&self) -> String {
        self.page.split("state=").nth(1).expect("a state in the URL").to_owned()
    }
}
