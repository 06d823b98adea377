//! The same `decide` that serves requests, asked by hand: which engine, why, and what would change it.

use std::net::{IpAddr, Ipv4Addr};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ACCEPT, AUTHORIZATION, COOKIE, HOST};
use http::{HeaderMap, HeaderValue, Method, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::admin::views::{ExplainQuery, ExplanationView};
use crate::ambient::Moment;
use crate::decide::certified::CertifiedNames;
use crate::decide::cookies::{self, CookieNames};
use crate::decide::decision::{Question, decide};
use crate::decide::headers::Seen;
use crate::decide::subject::{CertifiedName, KeySource, SubjectKey};
use crate::runtime::snapshot::{App, Snapshot};

/// Why there is nothing to explain.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ExplainError {
    /// Several apps, and no word which one.
    #[error("which app? there are {}", .apps.join(", "))]
    WhichApp {
        /// Their names.
        apps: Vec<String>,
    },
    /// There is no app of this name.
    #[error("there is no app {app:?}")]
    UnknownApp {
        /// As asked for.
        app: String,
        /// The names that there are.
        apps: Vec<String>,
    },
    /// No app answers for the URL's host.
    #[error("no app answers for {host}")]
    NoAppForHost {
        /// As asked for.
        host: String,
    },
    /// Neither a path nor a URL.
    #[error("{url:?} is neither a path nor a URL")]
    Url {
        /// As asked for.
        url: String,
    },
    /// No HTTP method.
    #[error("{method:?} is no HTTP method")]
    Method {
        /// As asked for.
        method: String,
    },
    /// The cookie cannot stand in a header.
    #[error("the cookie has characters that no browser sends")]
    Cookie,
    /// The key is empty.
    #[error("the key is empty")]
    EmptyKey,
    /// The app has no place where a key could be.
    #[error("{app} knows browsers only, and no user has a key there")]
    NoUserKeys {
        /// Which app.
        app: String,
    },
    /// The key has characters that cannot stand where the app looks for it.
    #[error("no request can carry this key as {place}")]
    CannotCarry {
        /// Where the app looks first.
        place: String,
    },
}

impl ExplainError {
    /// What to do, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::WhichApp { .. } => Some("name one as `app`, or ask for a URL with its host".to_owned()),
            Self::UnknownApp { apps, .. } => Some(format!("there are {}", apps.join(", "))),
            Self::Url { .. } => {
                Some("write a path such as /login?next=%2F, or https://portal.example.com/login".to_owned())
            }
            Self::NoUserKeys { .. } => {
                Some("leave the key out, or ask with the browser's ticket as `cookie`".to_owned())
            }
            Self::EmptyKey => Some("leave the key out to ask about somebody without one".to_owned()),
            Self::NoAppForHost { .. } | Self::Method { .. } | Self::Cookie | Self::CannotCarry { .. } => None,
        }
    }
}

/// Explains what becomes of a request that is like this one.
pub fn explain(
    snapshot: &Snapshot,
    query: &ExplainQuery,
    moment: Moment,
) -> Result<ExplanationView, ExplainError> {
    let asked = Asked::read(snapshot, query, moment)?;
    let question = Question {
        method: &asked.method,
        path: &asked.path,
        query: asked.query.as_deref(),
        headers: &asked.headers,
        seen: Seen::of(&asked.headers),
        client: asked.client,
        peer_is_trusted: asked.peer_is_trusted,
        certified: asked.certified.as_ref(),
        secure: asked.secure,
        place: asked.app.rules.table.place(&asked.method, &asked.path, asked.query.as_deref()),
        // A process of its own has seen no engine issue anything; the one that serves is asked over HTTP.
        state: snapshot.state_hit(asked.app, asked.query.as_deref(), moment.wall),
        recall: None,
    };
    let decision = decide(&asked.app.rules, &question, moment);
    let key = query.key.as_deref().and_then(SubjectKey::new);
    let mut explanation = ExplanationView::of(asked.app, &decision, key.as_ref(), moment.wall);
    if let Some(note) = asked.note {
        explanation.notes.insert(0, note);
    }
    Ok(explanation)
}

/// A request made of what somebody said, and of what follows from it.
struct Asked<'s> {
    app: &'s App,
    method: Method,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    client: IpAddr,
    peer_is_trusted: bool,
    certified: Option<CertifiedNames>,
    secure: bool,
    note: Option<String>,
}

impl<'s> Asked<'s> {
    fn read(snapshot: &'s Snapshot, query: &ExplainQuery, moment: Moment) -> Result<Self, ExplainError> {
        let ExplainQuery { app: _, key, cookie, method, url, page, client } = query;
        let url = url.as_deref().unwrap_or("/");
        let uri = read_url(url).ok_or_else(|| ExplainError::Url { url: url.to_owned() })?;
        let host = uri.authority().map(http::uri::Authority::as_str);
        let app = app_for(snapshot, query.app.as_deref(), host)?;
        let method = method.as_deref().unwrap_or("GET");
        let mut asked = Self {
            app,
            method: Method::from_bytes(method.as_bytes())
                .map_err(|_| ExplainError::Method { method: method.to_owned() })?,
            path: uri.path().to_owned(),
            query: uri.query().map(str::to_owned),
            headers: HeaderMap::new(),
            // Of no network that anybody would name.
            client: client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_canonical(),
            peer_is_trusted: false,
            certified: None,
            secure: uri.scheme_str() == Some("https"),
            note: None,
        };
        if let Some(host) = host {
            asked.note = note_on_host(snapshot, app, host);
            asked.headers.extend(HeaderValue::try_from(host).map(|host| (HOST, host)));
        }
        if page.unwrap_or(key.is_some() || cookie.is_some()) {
            asked.headers.insert(ACCEPT, HeaderValue::from_static("text/html"));
        }
        if let Some(key) = key {
            asked.carry_key(key)?;
        }
        if let Some(cookie) = cookie {
            asked.carry_cookie(cookie, uri.scheme().is_none(), moment)?;
        }
        Ok(asked)
    }

    /// Puts the key where the app looks first for one; there it comes before any other.
    fn carry_key(&mut self, key: &str) -> Result<(), ExplainError> {
        if SubjectKey::new(key).is_none() {
            return Err(ExplainError::EmptyKey);
        }
        let source = self.app.rules.keys.first().unwrap_or(&KeySource::Device);
        let cannot_carry = || ExplainError::CannotCarry { place: source.to_string() };
        let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).map_err(|_| cannot_carry());
        match source {
            KeySource::Header(name) => {
                self.peer_is_trusted = true;
                self.headers.insert(name.clone(), value(key)?);
            }
            KeySource::Cookie(_) if key.contains(';') => return Err(cannot_carry()),
            KeySource::Cookie(name) => {
                self.headers.insert(COOKIE, value(&format!("{name}={key}"))?);
            }
            KeySource::Query(name) => {
                let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
                let rest = self.query.as_ref().map(|query| format!("&{query}")).unwrap_or_default();
                self.query = Some(format!("{}={}{rest}", encoded(name), encoded(key)));
            }
            KeySource::Jwt(claim) => {
                let payload = serde_json::Value::Object([(claim.clone(), key.into())].into_iter().collect());
                let token = format!("Bearer e30.{}.", URL_SAFE_NO_PAD.encode(payload.to_string()));
                self.headers.insert(AUTHORIZATION, value(&token)?);
            }
            KeySource::ClientCert(name) => {
                let names = match name {
                    CertifiedName::San => CertifiedNames::new(Some(key), None),
                    CertifiedName::Cn => CertifiedNames::new(None, Some(key)),
                };
                names.get(*name).ok_or_else(cannot_carry)?;
                self.certified = Some(names);
            }
            KeySource::Device => return Err(ExplainError::NoUserKeys { app: self.app.name.clone() }),
        }
        Ok(())
    }

    /// A whole `Cookie` line, or the value of a ticket alone: those have no `=`. Where the URL does not say how
    /// the browser came, the cookie does.
    fn carry_cookie(&mut self, cookie: &str, guess_scheme: bool, moment: Moment) -> Result<(), ExplainError> {
        let is_line = cookie.contains('=');
        if guess_scheme {
            self.secure = if is_line {
                cookies::pairs(cookie.as_bytes()).any(|(name, _)| name == cookies::SECURE.ticket.as_bytes())
            } else {
                self.app.rules.sealer.open(&cookies::SECURE, cookie.as_bytes(), moment.wall, None).is_ok()
            };
        }
        let names = CookieNames::for_scheme(self.secure);
        let line = if is_line { cookie.to_owned() } else { format!("{}={cookie}", names.ticket) };
        let line = HeaderValue::try_from(line).map_err(|_| ExplainError::Cookie)?;
        self.headers.append(COOKIE, line);
        Ok(())
    }
}

/// A path from the root, or a whole URL; the fragment stays with the browser.
fn read_url(url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok()?;
    (uri.scheme().is_some() || url.starts_with('/')).then_some(uri)
}

fn app_for<'s>(
    snapshot: &'s Snapshot,
    name: Option<&str>,
    host: Option<&str>,
) -> Result<&'s App, ExplainError> {
    let names = || snapshot.apps.iter().map(|app| app.name.clone()).collect();
    match (name, host, &snapshot.apps[..]) {
        (Some(name), _, _) => {
            snapshot.app(name).ok_or_else(|| ExplainError::UnknownApp { app: name.to_owned(), apps: names() })
        }
        (None, Some(host), apps) => snapshot
            .hosts
            .find(host)
            .and_then(|at| apps.get(at))
            .ok_or_else(|| ExplainError::NoAppForHost { host: host.to_owned() }),
        (None, None, [only]) => Ok(only),
        (None, None, _) => Err(ExplainError::WhichApp { apps: names() }),
    }
}

fn note_on_host(snapshot: &Snapshot, app: &App, host: &str) -> Option<String> {
    let answers = snapshot.hosts.find(host).and_then(|at| snapshot.apps.get(at));
    match answers {
        Some(other) if other.name == app.name => None,
        Some(other) => Some(format!("{host} is answered by {}, not by {}", other.name, app.name)),
        None => Some(format!("no app answers for {host}")),
    }
}
