//! An app with the parts of a real sign-in: sessions and transactions that only this engine knows. Whatever it did not
//! begin it refuses with 409, so that nobody is moved unseen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::engine::{Conn, Engine, Recorded};

/// The session cookie, called the same on both engines, as in real life.
const SESSION: &str = "connect.sid";

/// One engine of the app; its name tells whether it is built the Classic or the Identity way.
pub(crate) fn app(name: &'static str) -> Engine {
    let memory = Arc::new(Mutex::new(Memory { name, ..Memory::default() }));
    Engine::script(move |conn| {
        while let Some(request) = conn.request() {
            let answer = memory.lock().expect("no panic").answer(&request);
            answer.send(conn, &request);
        }
    })
}

#[derive(Default)]
struct Memory {
    name: &'static str,
    counter: u32,
    /// By session: the user, once signed in.
    sessions: HashMap<String, Option<String>>,
    /// By `state`: the session that began it, and whether it is used up.
    transactions: HashMap<String, (String, bool)>,
    tokens: Vec<String>,
}

struct Answer {
    status: &'static str,
    location: Option<String>,
    cookies: Vec<String>,
    body: String,
}

impl Answer {
    fn page(body: impl Into<String>) -> Self {
        Self { status: "200 OK", location: None, cookies: Vec::new(), body: body.into() }
    }

    fn to(location: impl Into<String>) -> Self {
        Self { status: "302 Found", location: Some(location.into()), ..Self::page("") }
    }

    fn cookie(mut self, line: String) -> Self {
        self.cookies.push(line);
        self
    }

    fn send(&self, conn: &mut Conn, request: &Recorded) {
        let mut head = format!("HTTP/1.1 {}\r\ncontent-length: {}\r\n", self.status, self.body.len());
        head.extend(self.location.iter().map(|location| format!("location: {location}\r\n")));
        head.extend(self.cookies.iter().map(|line| format!("set-cookie: {line}\r\n")));
        let body = if request.head.method() == "HEAD" { "" } else { &self.body };
        conn.send(format!("{head}etag: \"1\"\r\n\r\n{body}"));
    }
}

fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

impl Memory {
    fn fresh(&mut self, kind: &str) -> String {
        self.counter += 1;
        format!("{kind}-{}-{}", self.name, self.counter)
    }

    fn refuse(&self, what: &str) -> Answer {
        Answer { status: "409 Conflict", ..Answer::page(format!("{} did not begin this {what}", self.name)) }
    }

    /// The session that a request brings, if it is one of ours; a new anonymous one, and its cookie, if not.
    fn session(&mut self, request: &Recorded) -> (String, Option<String>) {
        let lines = request.head.all("cookie").join("; ");
        let held = lines.split("; ").find_map(|pair| pair.strip_prefix(SESSION)?.strip_prefix('='));
        match held.filter(|id| self.sessions.contains_key(*id)) {
            Some(id) => (id.to_owned(), None),
            None => {
                let id = self.fresh("session");
                self.sessions.insert(id.clone(), None);
                let line = format!("{SESSION}={id}; Path=/; HttpOnly");
                (id, Some(line))
            }
        }
    }

    fn sign_in(&mut self, user: &str) -> Answer {
        let id = self.fresh("session");
        self.sessions.insert(id.clone(), Some(user.to_owned()));
        Answer::to("/").cookie(format!("{SESSION}={id}; Path=/; HttpOnly"))
    }

    fn begin(&mut self, session: &str) -> String {
        let state = self.fresh("state");
        self.transactions.insert(state.clone(), (session.to_owned(), false));
        state
    }

    fn answer(&mut self, request: &Recorded) -> Answer {
        let target = request.head.target().to_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let state = parameter(query, "state").map(str::to_owned);
        let is_known = state.as_ref().is_some_and(|state| self.transactions.contains_key(state));
        let posts = request.head.method() == "POST";
        let good = request.body.text().contains("code=123456");
        let identity = self.name == "identity";
        let (id, new_cookie) = self.session(request);
        let signed_in = self.sessions.get(&id).cloned().flatten();
        let name = self.name;
        let brought = request.head.all("cookie").join(";").contains(&format!("{SESSION}=session-"));
        let answer = match path {
            "/" if brought && new_cookie.is_some() => return self.refuse("session"),
            "/" => Answer::page(format!("{name} home of {}", signed_in.as_deref().unwrap_or("nobody"))),
            "/login" | "/recover-password" | "/register" if identity => match (posts, is_known, state) {
                (true, true, Some(state)) => {
                    Answer::to(format!("/challenge-authenticator/okta_email?state={state}"))
                }
                (false, true, Some(_)) => Answer::page(format!("{name} form of {path}")),
                (_, false, Some(_)) | (true, _, None) => return self.refuse("sign-in"),
                (false, _, None) => {
                    let state = self.begin(&id);
                    Answer::to(format!("{path}?state={state}"))
                }
            },
            "/challenge-authenticator/okta_email" if identity && is_known => {
                let state = state.expect("known");
                match (posts, good, self.transactions.contains_key(&format!("recovery {state}"))) {
                    (false, _, _) => Answer::page(format!("{name} asks for the code")),
                    (true, false, _) => Answer::to(format!("/login?state={state}")),
                    (true, true, true) => Answer::to(format!("/reset-password?state={state}")),
                    (true, true, false) => {
                        Answer::to(format!("/login/callback?interaction_code=ic&state={state}"))
                    }
                }
            }
            "/login/callback" if identity && query.contains("interaction_required") && is_known => {
                Answer::to(format!("/login?state={}", state.expect("known")))
            }
            "/login/callback" if identity && query.contains("otp=") && is_known => {
                let (begun_by, _) = &self.transactions[&state.expect("known")];
                if *begun_by == id {
                    self.sign_in("ada")
                } else {
                    Answer::page("identity: enter the code there")
                }
            }
            "/login/callback" if identity && is_known => {
                let entry = self.transactions.get_mut(&state.expect("known")).expect("known");
                if std::mem::replace(&mut entry.1, true) {
                    return Answer { status: "500 Oops", ..Answer::page("identity: the code is used up") };
                }
                self.sign_in("ada")
            }
            "/reset-password" if identity && is_known => match posts {
                true => self.sign_in("ada"),
                false => Answer::page("identity asks for a new password"),
            },
            "/login" if !identity && !posts => Answer::page("classic form of /login"),
            "/login" if new_cookie.is_none() => Answer::to("/mfa"),
            "/mfa" if !identity && new_cookie.is_none() => match (posts, good) {
                (true, true) => {
                    let state = self.begin(&id);
                    Answer::to(format!(
                        "https://org.example.com/oauth2/v1/authorize?client_id=1&state={state}"
                    ))
                }
                (true, false) | (false, _) => Answer::page("classic asks for the code"),
            },
            "/authorization-code/callback" if !identity && is_known => self.sign_in("ada"),
            "/recover-password" if posts => {
                let token = self.fresh("token");
                self.tokens.push(token.clone());
                Answer::page(format!("classic sent /reset-password/{token}"))
            }
            "/recover-password" => Answer::page("classic form of /recover-password"),
            _ if path
                .strip_prefix("/reset-password/")
                .is_some_and(|token| self.tokens.iter().any(|t| t == token)) =>
            {
                if posts {
                    Answer::to("/done")
                } else {
                    Answer::page("classic asks for a new password")
                }
            }
            "/reset-password" if !identity && !posts => Answer::page("classic's own page"),
            "/logout" if signed_in.is_some() => {
                self.sessions.remove(&id);
                return Answer::to("/signed-out").cookie(format!("{SESSION}=; Path=/; Max-Age=0"));
            }
            "/done" | "/signed-out" | "/api" => Answer::page(format!("{name} {path}")),
            _ if path == format!("/assets/{name}.css") => Answer::page(format!("{name} style")),
            _ if path.starts_with("/assets/") => {
                return Answer { status: "404 Not Found", ..Answer::page("") };
            }
            _ => return self.refuse("flow"),
        };
        match new_cookie {
            Some(line) if answer.cookies.is_empty() => answer.cookie(line),
            Some(_) | None => answer,
        }
    }
}
