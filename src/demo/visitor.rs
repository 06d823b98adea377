//! What a browser brings: cookies, a query, a form; and what it takes away.

use axum::response::{Html, IntoResponse, Response};
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use percent_encoding::percent_decode;
use serde::Deserialize;

use crate::decide::cookies;
use crate::decide::engine::Engine;
use crate::demo::pages;
use crate::demo::state::Instance;
use crate::demo::transaction::{Journey, Refusal, Which};

/// One name on both engines, as in real life: the browser cannot hold a session of each.
pub(super) const SESSION_COOKIE: &str = "demo.sid";
/// The cookie that the demo's configuration takes for the user (`keys = ["cookie:uid", …]`).
pub(super) const USER_COOKIE: &str = "uid";

/// Longer names are cut: they are shown on a page, not needed.
const LONGEST_NAME: usize = 64;

/// The anonymous session, in which a journey is begun. Each engine has its own, so that a browser can be in the
/// middle of two journeys on two engines.
pub(super) const fn anonymous_cookie(engine: Engine) -> &'static str {
    match engine {
        Engine::Classic => "demo.classic",
        Engine::Identity => "demo.identity",
    }
}

/// The first cookie of this name, percent-decoded; nothing for an empty one.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = cookies::values(headers, name).next()?;
    let value = percent_decode(value).decode_utf8_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}

/// What a URL carries.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Carried {
    pub(super) state: Option<String>,
    pub(super) code: Option<String>,
    pub(super) interaction_code: Option<String>,
    pub(super) otp: Option<String>,
    pub(super) error: Option<String>,
    #[serde(rename = "sessionToken")]
    pub(super) session_token: Option<String>,
    /// Present or not, on the page after sign-out.
    pub(super) unknown: Option<String>,
}

/// What a form says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answers {
    pub(super) csrf: String,
    name: String,
    code: String,
    password: String,
}

impl Answers {
    /// `None` when nothing is left after trimming.
    pub(super) fn name(&self) -> Option<String> {
        let name: String = self.name.trim().chars().take(LONGEST_NAME).collect();
        (!name.is_empty()).then_some(name)
    }

    pub(super) fn code(&self) -> &str {
        self.code.trim()
    }

    pub(super) fn has_password(&self) -> bool {
        !self.password.is_empty()
    }
}

/// The transaction that a request goes on with: Identity looks into the URL, Classic into the form, or for a page
/// into the anonymous session. A `state` in a URL of a Classic page is Identity's.
pub(super) fn which<'a>(
    instance: &Instance,
    journey: Journey,
    carried: &'a Carried,
    answers: Option<&'a Answers>,
) -> Option<Which<'a>> {
    match (instance.engine, &carried.state, answers) {
        (Engine::Identity, state, _) => state.as_deref().map(Which::Id),
        (Engine::Classic, Some(_), _) => None,
        (Engine::Classic, None, Some(answers)) => Some(Which::Id(&answers.csrf)),
        (Engine::Classic, None, None) => Some(Which::Latest(journey)),
    }
}

/// A page.
pub(super) fn page(status: StatusCode, html: String) -> Response {
    (status, Html(html)).into_response()
}

/// 302, as most frameworks redirect.
pub(super) fn redirect(location: &str) -> Response {
    redirect_as(StatusCode::FOUND, location)
}

/// A redirect to a place that this program wrote; it holds nothing that a client made up.
pub(super) fn redirect_as(status: StatusCode, location: &str) -> Response {
    let location = HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static("/"));
    (status, [(LOCATION, location)]).into_response()
}

/// An answer that sets a cookie of the app, or with an empty value takes it away.
pub(super) fn with_cookie(mut response: Response, name: &str, value: &str) -> Response {
    let end = if value.is_empty() { "; Max-Age=0" } else { "" };
    let cookie = format!("{name}={value}; HttpOnly; Path=/; SameSite=Lax{end}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// Ends a journey: signed in, and home.
pub(super) fn sign_in(instance: &Instance, headers: &HeaderMap, name: &str) -> Response {
    with_cookie(redirect("/"), SESSION_COOKIE, &instance.sign_in(headers, name))
}

/// What somebody sees who was moved in the middle; 410 for what is only over.
pub(super) fn refuse(instance: &Instance, refusal: Refusal) -> Response {
    let status = match refusal {
        Refusal::Unknown | Refusal::OtherBrowser => StatusCode::FORBIDDEN,
        Refusal::Ended => StatusCode::GONE,
    };
    page(status, pages::refused(instance.engine, refusal))
}
