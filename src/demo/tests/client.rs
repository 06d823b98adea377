//! A client that knows nothing but bytes, and on top of it a browser that keeps cookies.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::decide::engine::Engine;
use crate::demo::DemoEngine;

/// Runs a test's blocking client beside two engines.
pub(super) fn with_engines(test: impl FnOnce(SocketAddr, SocketAddr) + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let classic = DemoEngine::start(Engine::Classic).expect("a free port");
        let identity = DemoEngine::start(Engine::Identity).expect("a free port");
        let addresses = (classic.address(), identity.address());
        tokio::task::spawn_blocking(move || test(addresses.0, addresses.1)).await.expect("the test passes");
    });
}

/// One exchange on its own connection; head and body as they came.
pub(super) fn ask(address: SocketAddr, request_line: &str, headers: &[&str], body: &str) -> (String, String) {
    let mut stream = connect(address);
    let mut request = format!("{request_line} HTTP/1.1\r\nhost: demo\r\nconnection: close\r\n");
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    if !body.is_empty() {
        request.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body);
    stream.write_all(request.as_bytes()).expect("the engine reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the engine answers in UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

pub(super) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the engine listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout above zero");
    stream
}

pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

pub(super) fn form(address: SocketAddr, path: &str, headers: &[&str], body: &str) -> (String, String) {
    let mut headers = headers.to_vec();
    headers.push("content-type: application/x-www-form-urlencoded");
    ask(address, &format!("POST {path}"), &headers, body)
}

/// A browser with a jar. Two addresses are two engines behind one name: it sends the same cookies to both.
#[derive(Debug, Default)]
pub(super) struct Browser {
    pub(super) jar: BTreeMap<String, String>,
}

/// What a browser got.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: u16,
    /// Empty unless it redirects.
    pub(super) location: String,
    pub(super) html: String,
}

impl Browser {
    pub(super) fn get(&mut self, engine: SocketAddr, path: &str) -> Page {
        self.send(engine, &format!("GET {path}"), "")
    }

    pub(super) fn post(&mut self, engine: SocketAddr, path: &str, fields: &[(&str, &str)]) -> Page {
        let pair =
            |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        let body = fields.iter().map(pair).collect::<Vec<_>>().join("&");
        self.send(engine, &format!("POST {path}"), &body)
    }

    fn send(&mut self, engine: SocketAddr, request_line: &str, body: &str) -> Page {
        let pairs: Vec<_> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = format!("cookie: {}", pairs.join("; "));
        let headers =
            ["accept: text/html", "content-type: application/x-www-form-urlencoded", cookies.as_str()];
        let (head, html) = ask(engine, request_line, &headers, body);
        for line in head.lines() {
            let Some((name, value)) = line.split_once(": ") else { continue };
            if !name.eq_ignore_ascii_case("set-cookie") {
                continue;
            }
            let (pair, attributes) = value.split_once("; ").expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            assert!(attributes.starts_with("HttpOnly; Path=/; SameSite=Lax"), "{line}");
            match attributes.ends_with("Max-Age=0") {
                true => drop(self.jar.remove(name)),
                false => drop(self.jar.insert(name.to_owned(), value.to_owned())),
            }
        }
        let status = head[9..12].parse().expect("a status");
        let location = header(&head, "location").unwrap_or_default().to_owned();
        Page { status, location, html }
    }
}

impl Page {
    /// The text between two others, each of which is there.
    pub(super) fn between(&self, start: &str, end: &str) -> String {
        let (_, rest) = self.html.split_once(start).unwrap_or_else(|| panic!("no {start} in {}", self.html));
        rest.split_once(end).expect("an end").0.to_owned()
    }

    pub(super) fn csrf(&self) -> String {
        self.between(r#"name="csrf" value=""#, "\"")
    }

    pub(super) fn code(&self) -> String {
        self.between(r#"<strong id="demo-code">"#, "<")
    }

    pub(super) fn mail_link(&self) -> String {
        self.between(r#"<a id="mail-link" href=""#, "\"").replace("&amp;", "&")
    }

    /// The path of the redirect, and where it goes on.
    #[track_caller]
    pub(super) fn leads_to(&self, path: &str) -> &str {
        let found = self.location.split('?').next().expect("a first part");
        assert!(matches!(self.status, 302 | 303) && found == path, "not to {path}: {self:?}");
        &self.location
    }

    #[track_caller]
    pub(super) fn is_refused_by(&self, engine: &str) {
        let words = format!("This {engine} engine did not begin this sign-in");
        assert!(self.status == 403 && self.html.contains(&words), "not refused by {engine}: {self:?}");
    }

    #[track_caller]
    pub(super) fn shows(&self, words: &str) {
        assert!(self.html.contains(words), "{words} is not in {self:?}");
    }
}
