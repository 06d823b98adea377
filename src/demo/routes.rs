//! What an engine answers: its routes, and the sessions behind them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Form, Path, Query, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Frame;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use serde::Deserialize;
use tokio::time::{Interval, interval, sleep};

use crate::ambient;
use crate::decide::cookies;
use crate::decide::engine::Engine;
use crate::demo::pages::{self, Visit};

/// Names the engine on every answer, so that a script need not read the page.
const ENGINE_HEADER: HeaderName = HeaderName::from_static("demo-engine");
const SESSION_COOKIE: &str = "demo.sid";
/// The cookie that the demo's configuration takes for the user (`keys = ["cookie:uid", …]`).
const USER_COOKIE: &str = "uid";

/// Longer names are cut: they are shown on a page, not needed.
const LONGEST_NAME: usize = 64;
/// A demo that has seen this many sign-ins forgets them all rather than growing.
const MOST_SESSIONS: usize = 10_000;
/// The slow page is for watching a request in flight, not for holding one for ever.
const SLOWEST: Duration = Duration::from_secs(30);
const STREAM_LINES: u32 = 10;
const STREAM_PACE: Duration = Duration::from_millis(200);

type Shared = State<Arc<Instance>>;

/// The routes of one engine.
pub(super) fn router(engine: Engine) -> Router {
    let instance = Arc::new(Instance { engine, sessions: Mutex::default() });
    Router::new()
        .route("/", get(home))
        .route("/login", get(login_form).post(login))
        .route("/logout", post(logout))
        .route("/user", post(choose_user))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/slow", get(slow))
        .route("/stream", get(stream))
        .route("/echo", post(echo))
        .route("/ws", any(websocket))
        .route("/status/{code}", any(status))
        .route("/assets/style.css", get(style))
        .fallback(missing)
        .layer(from_fn_with_state(engine, name_engine))
        .with_state(instance)
}

/// What all requests to one engine share.
#[derive(Debug)]
struct Instance {
    engine: Engine,
    /// Session id → name. Never held across an await.
    sessions: Mutex<HashMap<String, String>>,
}

impl Instance {
    fn sessions(&self) -> MutexGuard<'_, HashMap<String, String>> {
        // A map of strings is whole between any two calls: a panic elsewhere does not spoil it.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sign_in(&self, name: &str) -> String {
        let id: String = ambient::fresh_key()[..16].iter().fold(String::new(), |mut id, byte| {
            let _ = write!(id, "{byte:02x}"); // writing to a String cannot fail
            id
        });
        let mut sessions = self.sessions();
        if sessions.len() >= MOST_SESSIONS {
            sessions.clear();
        }
        sessions.insert(id.clone(), name.to_owned());
        id
    }

    fn signed_in(&self, headers: &HeaderMap) -> Option<String> {
        self.sessions().get(&cookie(headers, SESSION_COOKIE)?).cloned()
    }
}

async fn name_engine(State(engine): State<Engine>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(ENGINE_HEADER, HeaderValue::from_static(engine.as_str()));
    response
}

/// A page for browsers; a few lines of text for curl.
async fn home(State(instance): Shared, request: Request) -> Response {
    let headers = request.headers();
    let session = cookie(headers, SESSION_COOKIE);
    let visit = Visit {
        engine: instance.engine,
        user: cookie(headers, USER_COOKIE),
        session_is_foreign: session.is_some() && instance.signed_in(headers).is_none(),
        signed_in: instance.signed_in(headers),
        sent_by_proxy: sent_by_proxy(headers),
    };
    let wants_html = headers
        .get_all(ACCEPT)
        .iter()
        .any(|accept| accept.to_str().is_ok_and(|accept| accept.to_ascii_lowercase().contains("text/html")));
    let mut response = if wants_html {
        Html(pages::home(&visit)).into_response()
    } else {
        pages::home_as_text(&visit).into_response()
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept, cookie"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The headers that only a proxy sends, in the order in which they came.
fn sent_by_proxy(headers: &HeaderMap) -> Vec<(String, String)> {
    let is_proxys = |name: &str| {
        name.starts_with("x-forwarded-")
            || name.starts_with("cutover-")
            || matches!(name, "forwarded" | "host" | "traceparent" | "x-request-id")
    };
    headers
        .iter()
        .filter(|(name, _)| is_proxys(name.as_str()))
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

#[derive(Deserialize)]
struct NameForm {
    #[serde(default)]
    name: String,
}

impl NameForm {
    /// `None` when nothing is left after trimming.
    fn name(&self) -> Option<String> {
        let name: String = self.name.trim().chars().take(LONGEST_NAME).collect();
        (!name.is_empty()).then_some(name)
    }
}

async fn login_form(State(instance): Shared) -> Html<String> {
    Html(pages::login(instance.engine, None))
}

async fn login(State(instance): Shared, Form(form): Form<NameForm>) -> Response {
    let Some(name) = form.name() else {
        let page = pages::login(instance.engine, Some("Please enter a name: any will do."));
        return (StatusCode::UNPROCESSABLE_ENTITY, Html(page)).into_response();
    };
    let id = instance.sign_in(&name);
    let cookie = format!("{SESSION_COOKIE}={id}; HttpOnly; Path=/; SameSite=Lax");
    ([(SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

async fn logout(State(instance): Shared, headers: HeaderMap) -> Response {
    if let Some(id) = cookie(&headers, SESSION_COOKIE) {
        instance.sessions().remove(&id);
    }
    let cookie = format!("{SESSION_COOKIE}=; HttpOnly; Path=/; SameSite=Lax; Max-Age=0");
    ([(SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

/// Lets a browser be another user: an empty name takes the cookie away.
async fn choose_user(Form(form): Form<NameForm>) -> Response {
    let cookie = match form.name() {
        Some(name) => {
            let name = utf8_percent_encode(&name, NON_ALPHANUMERIC).to_string().replace("%2D", "-");
            format!("{USER_COOKIE}={name}; Path=/; SameSite=Lax")
        }
        None => format!("{USER_COOKIE}=; Path=/; SameSite=Lax; Max-Age=0"),
    };
    ([(SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

#[derive(Deserialize)]
struct Slowness {
    #[serde(default = "Slowness::usual")]
    ms: u64,
}

impl Slowness {
    fn usual() -> u64 {
        1500
    }
}

async fn slow(State(instance): Shared, Query(slowness): Query<Slowness>) -> String {
    let pause = Duration::from_millis(slowness.ms).min(SLOWEST);
    sleep(pause).await;
    format!("{} answered after {} ms\n", instance.engine, pause.as_millis())
}

async fn stream(State(instance): Shared) -> Response {
    let lines = Lines { engine: instance.engine, sent: 0, pace: interval(STREAM_PACE) };
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], Body::new(lines)).into_response()
}

/// A body that writes a line at every beat.
struct Lines {
    engine: Engine,
    sent: u32,
    pace: Interval,
}

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.sent == STREAM_LINES {
            return Poll::Ready(None);
        }
        ready!(self.pace.poll_tick(context));
        self.sent += 1;
        let line = format!("{} line {} of {STREAM_LINES}\n", self.engine, self.sent);
        Poll::Ready(Some(Ok(Frame::data(line.into()))))
    }
}

/// The request's body, streamed back as it comes.
async fn echo(request: Request) -> Response {
    let content_type = request.headers().get(CONTENT_TYPE).cloned();
    let mut response = Response::new(request.into_body());
    // Never a type that a browser would render: the bytes are the client's.
    let content_type = content_type.filter(|kind| kind == "application/json");
    let plain = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, content_type.unwrap_or(plain));
    response
}

async fn websocket(State(instance): Shared, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        // An error is the end of the connection, and nobody is left to tell.
        let _ = converse(&mut socket, instance.engine).await;
    })
}

async fn converse(socket: &mut WebSocket, engine: Engine) -> Result<(), axum::Error> {
    socket.send(Message::text(engine.as_str())).await?;
    while let Some(message) = socket.recv().await {
        match message? {
            message @ (Message::Text(_) | Message::Binary(_)) => socket.send(message).await?,
            // Pings and closes are answered below us.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => {}
        }
    }
    Ok(())
}

/// Any final status; 1xx are no answers.
async fn status(Path(code): Path<u16>) -> Response {
    match StatusCode::from_u16(code) {
        Ok(code) if code.as_u16() < 200 => (StatusCode::BAD_REQUEST, "200 to 999\n").into_response(),
        Ok(code) => code.into_response(),
        Err(_) => (StatusCode::BAD_REQUEST, "200 to 999\n").into_response(),
    }
}

async fn style(State(instance): Shared, headers: HeaderMap) -> Response {
    let tag = match instance.engine {
        Engine::Classic => HeaderValue::from_static("\"classic-1\""),
        Engine::Identity => HeaderValue::from_static("\"identity-1\""),
    };
    let caching = [(ETAG, tag.clone()), (CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"))];
    if headers.get(IF_NONE_MATCH) == Some(&tag) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(CONTENT_TYPE, "text/css; charset=utf-8")], pages::style(instance.engine)).into_response()
}

async fn missing(State(instance): Shared) -> Response {
    (StatusCode::NOT_FOUND, Html(pages::missing(instance.engine))).into_response()
}

/// The first cookie of this name, percent-decoded; nothing for an empty one.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = cookies::values(headers, name).next()?;
    let value = percent_decode(value).decode_utf8_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}
