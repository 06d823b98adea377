//! What an engine answers: its routes.
//!
//! Both engines have the routes of both, so that a request that belongs to the other one is refused with a page
//! that says so, and not with a 404 that could mean anything.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::decide::engine::Engine;
use crate::demo::state::{Instance, Shared};
use crate::demo::visitor::page;
use crate::demo::{callback, challenge, pages, probes, recovery, session, start};

/// Names the engine on every answer, so that a script need not read the page.
const ENGINE_HEADER: HeaderName = HeaderName::from_static("demo-engine");

/// The routes of one engine.
pub(super) fn router(engine: Engine) -> Router {
    let starts = get(start::open).post(start::submit);
    let challenges = get(challenge::open).post(challenge::submit);
    Router::new()
        .route("/", get(session::home))
        .route("/user", post(session::choose_user))
        .route("/login", starts.clone())
        .route("/recover-password", starts.clone())
        .route("/register", starts)
        .route("/mfa", challenges.clone())
        .route("/challenge-authenticator/okta_email", challenges.clone())
        .route("/enroll-authenticator/okta_email", challenges)
        .route(challenge::ORGANIZATION, get(callback::authorize))
        .route("/authorization-code/callback", get(callback::authorization_code))
        .route("/login/callback", get(callback::interaction))
        .route("/reset-password", get(recovery::open).post(recovery::submit))
        .route("/reset-password/{token}", get(recovery::open_link).post(recovery::submit_link))
        .route("/logout", get(session::sign_out).post(session::sign_out))
        .route("/signed-out", get(session::signed_out))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/slow", get(probes::slow))
        .route("/stream", get(probes::stream))
        .route("/echo", post(probes::echo))
        .route("/ws", any(probes::websocket))
        .route("/status/{code}", any(probes::status))
        .route("/assets/style.css", get(style))
        .route("/assets/{name}", get(asset))
        .fallback(missing)
        .layer(from_fn_with_state(engine, name_engine))
        .with_state(Arc::new(Instance::new(engine)))
}

async fn name_engine(State(engine): State<Engine>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(ENGINE_HEADER, HeaderValue::from_static(engine.as_str()));
    response
}

/// The style sheet at the path that both engines have: to be asked for again before long.
async fn style(State(instance): Shared, headers: HeaderMap) -> Response {
    let (engine, caching) = (instance.engine, HeaderValue::from_static("public, max-age=60"));
    file(engine, &headers, caching, STYLE, pages::style(engine))
}

/// The style sheet and the picture at paths that name their content, as builds do: good for ever, and unknown to the
/// other engine.
async fn asset(state: Shared, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let engine = state.0.engine;
    let caching = HeaderValue::from_static("public, max-age=31536000, immutable");
    let is_at = |path: &str| path.strip_prefix("/assets/") == Some(&*name);
    if is_at(pages::style_path(engine)) {
        file(engine, &headers, caching, STYLE, pages::style(engine))
    } else if is_at(pages::picture_path(engine)) {
        file(engine, &headers, caching, PICTURE, pages::picture(engine).to_owned())
    } else {
        missing(state).await
    }
}

const STYLE: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
const PICTURE: HeaderValue = HeaderValue::from_static("image/svg+xml");

fn file(
    engine: Engine,
    headers: &HeaderMap,
    caching: HeaderValue,
    content_type: HeaderValue,
    content: String,
) -> Response {
    let tag = match engine {
        Engine::Classic => HeaderValue::from_static("\"classic-1\""),
        Engine::Identity => HeaderValue::from_static("\"identity-1\""),
    };
    let caching = [(ETAG, tag.clone()), (CACHE_CONTROL, caching)];
    if headers.get(IF_NONE_MATCH) == Some(&tag) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(CONTENT_TYPE, content_type)], content).into_response()
}

async fn missing(State(instance): Shared) -> Response {
    page(StatusCode::NOT_FOUND, pages::missing(instance.engine))
}
