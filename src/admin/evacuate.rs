//! `POST /api/v1/apps/{app}/evacuate`: an order, from the wire to the file and back.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tokio::sync::oneshot;

use crate::admin::AdminState;
use crate::admin::api::fresh;
use crate::admin::refusal::Refusal;
use crate::admin::views::{EvacuatedView, OrderQuery};
use crate::ambient::unix_seconds;
use crate::control::evacuate::{Ordered, Wanted};
use crate::control::{Command, Outcome};
use crate::decide::engine::Engine;
use crate::decide::evacuate::SignOut;

/// How a body reads.
const EXAMPLE: &str =
    "send such as {\"engine\":\"identity\",\"sign_out\":\"/logout\"}; sign_out may be left out";

/// Writes an order into the configuration's file and takes it up.
pub(super) async fn order(
    State(state): State<Arc<AdminState>>,
    Path(app): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    if state.live.load().app(&app).is_none() {
        let names: Vec<String> = state.live.load().apps.iter().map(|app| app.name.clone()).collect();
        return Err(Refusal::new(StatusCode::NOT_FOUND, format!("there is no app {app:?}"))
            .hint(format!("the apps are {}", names.join(", "))));
    }
    let body = body.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    let (engine, sign_out) = read(&body)?;
    let (reply, ordered) = oneshot::channel();
    state.control.send(Command::Evacuate(Wanted { app: app.clone(), engine, sign_out, reply }));
    let Ok(ordered) = ordered.await else {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the process is about to end"));
    };
    match ordered {
        Ordered::Written { place, outcome: Outcome::Rejected { generation, problems }, .. } => {
            let hint = format!(
                "the order is written to {}, and generation {generation} runs without it until that file is good",
                place.file
            );
            Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, problems).hint(hint))
        }
        Ordered::Written { order, place, outcome } => {
            Ok(fresh(EvacuatedView::of(app, &order, place, &outcome, unix_seconds())).into_response())
        }
        Ordered::UnknownApp { message, hint } => {
            let refusal = Refusal::new(StatusCode::NOT_FOUND, message);
            Err(match hint {
                Some(hint) => refusal.hint(hint),
                None => refusal,
            })
        }
        Ordered::Rejected { problems } => Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, problems)
            .hint("nothing was written; correct the file and ask again")),
        Ordered::Unwritable { message, place } => {
            let place_told = match place.first {
                Some(line) => format!("line {line} of {}", place.file),
                None => format!("the table [apps.{app}] of {}", place.file),
            };
            let hint = format!("where the file is made, write as {place_told}: {}", place.lines.join("\n"));
            Err(Refusal::new(StatusCode::CONFLICT, message).hint(hint).lines(place.first, place.lines))
        }
    }
}

fn read(body: &[u8]) -> Result<(Engine, Option<SignOut>), Refusal> {
    let bad = |detail: String| Refusal::new(StatusCode::BAD_REQUEST, detail);
    let OrderQuery { engine, sign_out } = serde_json::from_slice(body)
        .map_err(|error| bad(format!("the body is no order: {error}")).hint(EXAMPLE))?;
    let engine: Engine = engine
        .parse()
        .map_err(|()| bad(format!("{engine:?} is no engine")).hint("write classic or identity"))?;
    let sign_out = sign_out
        .as_deref()
        .map(SignOut::parse)
        .transpose()
        .map_err(|error| bad(format!("sign_out cannot sign anybody out: {error}")).hint(error.hint()))?;
    Ok((engine, sign_out))
}
