//! A web app that signs its users in with Okta, in one of its two versions, as `DOMAIN.md` 1.4 describes them. It
//! refuses whatever it has not begun itself, and says so: a step, a callback or a session of the other version is
//! answered with 409.
//!
//! The [`Model`] is a state machine without sockets; an [`AppEngine`] serves one.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard};

use super::engine::Engine;

mod classic;
mod identity;

/// A request, as far as an app looks at it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) cookies: String,
    pub(crate) body: String,
    pub(crate) if_none_match: String,
}

impl Asked {
    pub(crate) fn new(method: &str, target: &str, cookies: &str, body: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            cookies: cookies.to_owned(),
            body: body.to_owned(),
            if_none_match: String::new(),
        }
    }

    /// A parameter of the query, or of a form.
    fn parameter(&self, name: &str) -> Option<&str> {
        let pairs = self.query.split('&').chain(self.body.split('&'));
        pairs
            .filter_map(|pair| pair.split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        let pairs = self.cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(found, value)| *found == name && !value.is_empty()).map(|(_, value)| value).next()
    }

    fn is_post(&self) -> bool {
        self.method == "POST"
    }
}

/// An answer of an app.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    /// Header lines.
    pub(crate) lines: Vec<String>,
    pub(crate) text: String,
}

impl Page {
    fn showing(text: impl Into<String>) -> Self {
        Self { status: 200, lines: Vec::new(), text: text.into() }
    }

    pub(crate) fn to(location: impl AsRef<str>) -> Self {
        let line = format!("location: {}", location.as_ref());
        Self { status: 302, lines: vec![line], text: String::new() }
    }

    fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    fn setting(self, name: &str, value: &str) -> Self {
        self.line(format!("set-cookie: {name}={value}; Path=/; HttpOnly; SameSite=Lax"))
    }

    fn deleting(self, name: &str) -> Self {
        self.line(format!("set-cookie: {name}=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"))
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    SignIn,
    Recovery,
    Registration,
}

/// One user's way through a form or more.
#[derive(Clone, Debug)]
struct Transaction {
    kind: Kind,
    /// The session of the browser that began it.
    browser: String,
}

/// One version of the app, and what it remembers.
#[derive(Debug, Default)]
pub(crate) struct Model {
    name: &'static str,
    made: usize,
    /// Session and user: `None` is anonymous.
    sessions: HashMap<String, Option<&'static str>>,
    transactions: HashMap<String, Transaction>,
    used: HashSet<String>,
    /// What it was asked and had not begun.
    pub(crate) refused: Vec<String>,
    /// Tokens that were revoked by a sign-out.
    pub(crate) revoked: usize,
}

pub(crate) const SESSION: &str = "connect.sid";
/// Where Classic keeps its open transaction (`DOMAIN.md` 1.3).
const STATE_TOKEN: &str = "oktaStateToken";
pub(crate) const ORG: &str = "https://org.okta.com";

impl Model {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    fn mint(&mut self, what: &str) -> String {
        self.made += 1;
        format!("{}-{what}-{}", self.name, self.made)
    }

    fn refuse(&mut self, what: &str) -> Page {
        self.refused.push(what.to_owned());
        Page::showing(format!("{} did not begin {what}", self.name)).status(409)
    }

    /// The mail that Classic sends: a link that works from anywhere, once.
    pub(crate) fn mailed_link(&mut self) -> String {
        let token = self.mint("mail");
        self.transactions.insert(token.clone(), Transaction { kind: Kind::Recovery, browser: String::new() });
        format!("/reset-password/{token}")
    }

    /// The browser's session, and the answer with a new one when it has none of ours.
    fn with_session(&mut self, asked: &Asked, page: impl FnOnce(&mut Self, &str) -> Page) -> Page {
        let held = asked.cookie(SESSION).filter(|sid| self.sessions.contains_key(*sid)).map(str::to_owned);
        let is_new = held.is_none();
        let sid = held.unwrap_or_else(|| self.mint("anonymous"));
        self.sessions.entry(sid.clone()).or_default();
        let page = page(self, &sid);
        // Whoever signs in gets another one there.
        let sets = page.lines.iter().any(|line| line.contains(SESSION));
        if is_new && !sets { page.setting(SESSION, &sid) } else { page }
    }

    fn signs_in(&mut self, old: &str) -> Page {
        self.sessions.remove(old);
        let sid = self.mint("user");
        self.sessions.insert(sid.clone(), Some("ada"));
        Page::to("/").setting(SESSION, &sid)
    }

    pub(crate) fn answer(&mut self, asked: &Asked) -> Page {
        // Within a workflow the transaction counts, whoever is signed in.
        let is_apps_own =
            matches!(&*asked.path, "/" | "/account" | "/logout") || asked.path.starts_with("/api/");
        let foreign = asked
            .cookie(SESSION)
            .is_some_and(|sid| sid.contains("-user-") && !self.sessions.contains_key(sid));
        if foreign && is_apps_own {
            return self.refuse("this session");
        }
        let user = asked.cookie(SESSION).and_then(|sid| self.sessions.get(sid).copied().flatten());
        match &*asked.path {
            "/" => self.with_session(asked, |app, _| {
                let tag = format!("\"{}\"", app.name);
                let page = Page::showing(format!("{} {}", app.name, user.unwrap_or("nobody")));
                let page = if asked.if_none_match == tag { page.status(304) } else { page };
                page.line(format!("etag: {tag}")).line("cache-control: public, max-age=60")
            }),
            "/account" if user.is_none() => Page::to("/login"),
            "/account" => Page::showing(format!("{} account of ada", self.name)),
            "/logout" => {
                self.revoked += usize::from(user.is_some());
                if let Some(sid) = asked.cookie(SESSION) {
                    self.sessions.remove(sid);
                }
                let to = if self.name == "identity" { "https://org.okta.com/oauth2/v1/logout" } else { "/" };
                Page::to(to).deleting(SESSION)
            }
            path if path.starts_with("/assets/") => match path.contains(self.name) {
                // As frameworks do that begin a session with whatever they serve.
                true => self.with_session(asked, |app, _| Page::showing(format!("script of {}", app.name))),
                false => Page::showing("no such file").status(404),
            },
            path if path.starts_with("/api/") => {
                Page::showing(format!("{} {}", self.name, user.unwrap_or("nobody")))
            }
            _ if self.name == "identity" => self.identity(asked),
            _ => self.classic(asked),
        }
    }
}

/// A version of the app behind an address.
pub(crate) struct AppEngine {
    engine: Engine,
    model: Arc<Mutex<Model>>,
}

impl AppEngine {
    pub(crate) fn called(name: &'static str) -> Self {
        let model = Arc::new(Mutex::new(Model::new(name)));
        let engine = Self::serving(&model, "127.0.0.1:0".parse().expect("an address"));
        Self { engine, model }
    }

    /// Is gone: connections are closed, and new ones refused.
    pub(crate) fn stop(&mut self) {
        self.engine.stop();
    }

    /// Is back, with all that it knew.
    pub(crate) fn returns(&mut self) {
        self.engine = Self::serving(&self.model, self.engine.address());
    }

    fn serving(model: &Arc<Mutex<Model>>, address: SocketAddr) -> Engine {
        let name = model.lock().expect("no panic").name;
        let served = Arc::clone(model);
        Engine::script_at(address, move |conn| {
            while let Some(request) = conn.request() {
                let head = &request.head;
                let mut asked = Asked::new(
                    head.method(),
                    head.target(),
                    &head.all("cookie").join("; "),
                    &request.body.text(),
                );
                asked.if_none_match = head.get("if-none-match").unwrap_or_default().to_owned();
                let page = served.lock().expect("no panic").answer(&asked);
                let told = |name| head.get(name).unwrap_or("none");
                let told = format!("{name} {} {}", told("cutover-reason"), told("cutover-workflow"));
                let mut text = format!("HTTP/1.1 {} Such\r\nserved-by: {told}\r\n", page.status);
                for line in &page.lines {
                    text.push_str(line);
                    text.push_str("\r\n");
                }
                let body = if head.method() == "HEAD" || page.status == 304 { "" } else { &page.text };
                conn.send(format!("{text}content-length: {}\r\n\r\n{body}", page.text.len()));
            }
        })
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().expect("no panic")
    }
}

impl Deref for AppEngine {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}
