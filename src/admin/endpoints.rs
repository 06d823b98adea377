//! `POST /api/v1/apps/{app}/{engine}/endpoints/enable`, `drain` and `disable`: an operator's word on one endpoint.
//!
//! It holds until another is said, the endpoint leaves the configuration, or the process ends; neither probes nor reloads
//! take it back.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::admin::AdminState;
use crate::admin::api::fresh;
use crate::admin::refusal::Refusal;
use crate::admin::views::{EndpointOrderView, EndpointQuery};
use crate::ambient::Ambient;
use crate::config::units;
use crate::decide::engine::Engine;
use crate::decide::health::Duty;

/// Sets what an endpoint has to do.
pub(super) async fn set(
    State(state): State<Arc<AdminState>>,
    Path((name, engine, verb)): Path<(String, String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let duty = match verb.as_str() {
        "enable" => Duty::Enabled,
        "drain" => Duty::Draining,
        "disable" => Duty::Disabled,
        _ => {
            return Err(Refusal::new(StatusCode::NOT_FOUND, format!("nobody can {verb:?} an endpoint"))
                .hint("there are enable, drain and disable"));
        }
    };
    let engine: Engine = engine.parse().map_err(|()| {
        Refusal::new(StatusCode::NOT_FOUND, format!("{engine:?} is no engine"))
            .hint("write classic or identity")
    })?;
    let snapshot = state.live.load();
    let Some((app, config)) =
        snapshot.apps.iter().zip(&snapshot.config.apps).find(|(app, _)| app.name == name)
    else {
        let names: Vec<&str> = snapshot.apps.iter().map(|app| app.name.as_str()).collect();
        return Err(Refusal::new(StatusCode::NOT_FOUND, format!("there is no app {name:?}"))
            .hint(format!("the apps are {}", names.join(", "))));
    };
    let body = body.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    let EndpointQuery { endpoint } = serde_json::from_slice(&body).map_err(|error| {
        Refusal::new(StatusCode::BAD_REQUEST, format!("the body names no endpoint: {error}"))
            .hint("send such as {\"endpoint\":\"http://10.0.0.11:8080\"}")
    })?;
    let pool = app.pool(engine);
    // As written, or in another spelling of the same address.
    let label = units::endpoint_url(&endpoint).map_or(endpoint, |url| url.to_string());
    let Some(at) = pool.endpoints.iter().position(|known| known.label == label) else {
        let known: Vec<&str> = pool.endpoints.iter().map(|known| known.label.as_str()).take(8).collect();
        return Err(Refusal::new(StatusCode::NOT_FOUND, format!("{name} {engine} has no endpoint {label}"))
            .hint(format!("the endpoints are {}", known.join(", "))));
    };
    let endpoint = &pool.endpoints[at];
    if let Some(turn) = endpoint.standing.set_duty(duty, Ambient::system().moment()) {
        turn.tell(&state.metrics.endpoint(&name, engine, &endpoint.label));
    }
    let weight = config.pool(engine).endpoints[at].weight;
    Ok(fresh(EndpointOrderView::of(name, engine, pool, at, weight)).into_response())
}
