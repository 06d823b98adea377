//! The routes, and the layers around them that know none of our nouns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRef, Query, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{BoxError, Json, Router};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use tower::ServiceBuilder;
use tower::util::BoxCloneService;

use crate::admin::explain::{ExplainError, explain};
use crate::admin::refusal::Refusal;
use crate::admin::views::{ConfigView, ExplainQuery, LookView, ReadyView, StatusView};
use crate::admin::{AdminState, auth, endpoints, evacuate};
use crate::ambient::Ambient;
use crate::control::Outcome;
use crate::telemetry::events::Origin;
use crate::telemetry::metrics::negotiate;

/// Requests that may be under way; only a reload takes longer than a moment.
const IN_FLIGHT: usize = 32;

/// How long a request may take. A reload of a million subjects takes two seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// One admin listener, as its requests see it.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) state: Arc<AdminState>,
    /// Whether other hosts reach this listener. Its own address says so, not the configuration's: a connection
    /// may outlive the edit that closes its listener.
    pub(super) is_exposed: bool,
}

impl FromRef<Door> for Arc<AdminState> {
    fn from_ref(door: &Door) -> Self {
        Self::clone(&door.state)
    }
}

/// Everything that a listener at this address answers.
pub(super) fn service(
    state: Arc<AdminState>,
    address: SocketAddr,
) -> BoxCloneService<Request<Body>, Response, std::convert::Infallible> {
    let door = Door { state, is_exposed: !address.ip().to_canonical().is_loopback() };
    let service = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(async |error: BoxError| overloaded(&error)))
        .load_shed()
        .concurrency_limit(IN_FLIGHT)
        .timeout(PATIENCE)
        .service(routes(door));
    BoxCloneService::new(service)
}

fn routes(door: Door) -> Router {
    let probes = Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz));
    let reads = Router::new()
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/config", get(config))
        .route("/api/v1/explain", get(explained))
        .route_layer(from_fn_with_state(door.clone(), auth::reads));
    let writes = Router::new()
        .route("/api/v1/reload", post(reload))
        .route("/api/v1/apps/{app}/evacuate", post(evacuate::order))
        .route("/api/v1/apps/{app}/{engine}/endpoints/{verb}", post(endpoints::set))
        .route_layer(from_fn_with_state(door.clone(), auth::writes));
    probes
        .merge(reads)
        .merge(writes)
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(door)
}

async fn healthz() -> &'static str {
    "alive\n"
}

async fn readyz(State(state): State<Arc<AdminState>>) -> Response {
    let view = ReadyView::of(&state);
    let status = if view.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, fresh(view)).into_response()
}

async fn metrics(State(state): State<Arc<AdminState>>, headers: HeaderMap) -> Response {
    // RFC 9110 5.3: several lines of a list are one list.
    let lines: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok()).collect();
    let format = negotiate(Some(&lines.join(",")));
    ([(CONTENT_TYPE, format.content_type())], state.metrics.render(format)).into_response()
}

async fn status(State(state): State<Arc<AdminState>>) -> Response {
    fresh(StatusView::of(&state, Ambient::system().moment())).into_response()
}

async fn config(State(state): State<Arc<AdminState>>) -> Response {
    fresh(ConfigView::of(&state.live.load())).into_response()
}

async fn explained(
    State(state): State<Arc<AdminState>>,
    query: Result<Query<ExplainQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(query) = query.map_err(|rejection| {
        Refusal::new(StatusCode::BAD_REQUEST, rejection.body_text())
            .hint("the parameters are app, key, cookie, method, url, page and client")
    })?;
    let explanation = explain(&state.live.load(), &query, Ambient::system().moment())?;
    Ok(fresh(explanation).into_response())
}

async fn reload(State(state): State<Arc<AdminState>>) -> Result<Response, Refusal> {
    let Some(outcome) = state.control.reload(Origin::Admin).await else {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the process is about to end"));
    };
    if let Outcome::Rejected { generation, problems } = outcome {
        let hint = format!("generation {generation} keeps running; correct the file and ask again");
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, problems).hint(hint));
    }
    Ok(fresh(LookView::of(&outcome)).into_response())
}

async fn no_such_path(uri: Uri) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, format!("there is no {}", uri.path()))
        .hint("there are /healthz, /readyz, /metrics, and /api/v1/ with status, config, explain, reload, apps/{app}/evacuate and apps/{app}/{engine}/endpoints/ with enable, drain, disable")
}

async fn no_such_method(method: http::Method, uri: Uri) -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} does not take {method}", uri.path()))
}

impl From<ExplainError> for Refusal {
    fn from(error: ExplainError) -> Self {
        let status = match error {
            ExplainError::UnknownApp { .. } | ExplainError::NoAppForHost { .. } => StatusCode::NOT_FOUND,
            ExplainError::WhichApp { .. }
            | ExplainError::Url { .. }
            | ExplainError::Method { .. }
            | ExplainError::Cookie
            | ExplainError::EmptyKey
            | ExplainError::NoUserKeys { .. }
            | ExplainError::CannotCarry { .. } => StatusCode::BAD_REQUEST,
        };
        let refusal = Self::new(status, error.to_string());
        match error.hint() {
            Some(hint) => refusal.hint(hint),
            None => refusal,
        }
    }
}

/// JSON that is true now, and perhaps not a moment later.
pub(super) fn fresh<T>(view: T) -> ([(http::HeaderName, HeaderValue); 1], Json<T>) {
    ([(CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(view))
}

/// What the layers refuse to wait for.
fn overloaded(error: &BoxError) -> Refusal {
    if error.is::<tower::timeout::error::Elapsed>() {
        return Refusal::new(StatusCode::GATEWAY_TIMEOUT, format!("no answer within {PATIENCE:?}"))
            .hint("the proxy is still at it; GET /api/v1/status tells how it ended");
    }
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests of operators are under way")
}
