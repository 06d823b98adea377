//! The app itself, which is little more than who is signed in; and the way out.

use axum::extract::{Form, Query, Request, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::header::{ACCEPT, CACHE_CONTROL, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::demo::pages::{self, Visit};
use crate::demo::state::Shared;
use crate::demo::visitor::{
    Answers, Carried, SESSION_COOKIE, USER_COOKIE, cookie, page, redirect, with_cookie,
};

/// A page for browsers; a few lines of text for curl.
pub(super) async fn home(State(instance): Shared, request: Request) -> Response {
    let headers = request.headers();
    let signed_in = instance.signed_in(headers);
    let visit = Visit {
        engine: instance.engine,
        user: cookie(headers, USER_COOKIE),
        session_is_foreign: signed_in.is_none() && cookie(headers, SESSION_COOKIE).is_some(),
        signed_in,
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

/// `GET|POST /logout`. An engine that does not know the session is as cheerful as the other, as in real life; only
/// the next page says that nothing was ended.
pub(super) async fn sign_out(State(instance): Shared, headers: HeaderMap) -> Response {
    let is_unknown = !instance.sign_out(&headers) && cookie(&headers, SESSION_COOKIE).is_some();
    let next = if is_unknown { "/signed-out?unknown" } else { "/signed-out" };
    with_cookie(redirect(next), SESSION_COOKIE, "")
}

pub(super) async fn signed_out(State(instance): Shared, Query(carried): Query<Carried>) -> Response {
    page(StatusCode::OK, pages::signed_out(instance.engine, carried.unknown.is_some()))
}

/// Lets a browser be another user: an empty name takes the cookie away.
pub(super) async fn choose_user(Form(answers): Form<Answers>) -> Response {
    let cookie = match answers.name() {
        Some(name) => {
            let name = utf8_percent_encode(&name, NON_ALPHANUMERIC).to_string().replace("%2D", "-");
            format!("{USER_COOKIE}={name}; Path=/; SameSite=Lax")
        }
        None => format!("{USER_COOKIE}=; Path=/; SameSite=Lax; Max-Age=0"),
    };
    ([(SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}
