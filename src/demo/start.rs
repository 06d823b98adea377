//! Where journeys begin: one form that asks for a name.

use axum::extract::{Form, Query, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};

use crate::decide::engine::Engine;
use crate::demo::pages;
use crate::demo::state::{Instance, Shared, random_code};
use crate::demo::transaction::{Journey, Step, Transaction};
use crate::demo::visitor::{
    Answers, Carried, anonymous_cookie, page, redirect, redirect_as, refuse, which, with_cookie,
};

/// The journey that begins at a path of the router.
fn journey(uri: &Uri) -> Journey {
    let all = [Journey::SignIn, Journey::Recovery, Journey::Registration];
    all.into_iter().find(|journey| journey.start() == uri.path()).unwrap_or(Journey::SignIn)
}

/// `GET /login`, `/recover-password`, `/register`. Classic shows a form at once; Identity opens a transaction and
/// sends the browser to the same path with its `state`.
pub(super) async fn open(
    State(instance): Shared,
    uri: Uri,
    headers: HeaderMap,
    Query(carried): Query<Carried>,
) -> Response {
    let journey = journey(&uri);
    let engine = instance.engine;
    if carried.state.is_none() {
        let (transaction, browser) = instance.begin(&headers, journey);
        let response = match engine {
            Engine::Classic => page(StatusCode::OK, pages::start(engine, &transaction, None)),
            Engine::Identity => redirect(&transaction.page(engine)),
        };
        return with_cookie(response, anonymous_cookie(engine), &browser);
    }
    let found = instance.go_on(&headers, which(&instance, journey, &carried, None), |transaction| {
        let problem = transaction.problem.take();
        (transaction.clone(), problem)
    });
    match found {
        Err(refusal) => refuse(&instance, refusal),
        Ok((transaction, problem)) if transaction.journey == journey && transaction.step == Step::Begun => {
            page(StatusCode::OK, pages::start(engine, &transaction, problem))
        }
        Ok((transaction, _)) => redirect(&transaction.page(engine)),
    }
}

/// The same paths, with a name.
pub(super) async fn submit(
    State(instance): Shared,
    uri: Uri,
    headers: HeaderMap,
    Query(carried): Query<Carried>,
    Form(answers): Form<Answers>,
) -> Response {
    let journey = journey(&uri);
    let engine = instance.engine;
    let which = which(&instance, journey, &carried, Some(&answers));
    let found = instance.go_on(&headers, which, |transaction| {
        let Some(name) = answers.name() else { return (transaction.clone(), false) };
        transaction.name = name;
        transaction.step = match (engine, transaction.journey) {
            // The mail has all that is needed to go on, on any device.
            (Engine::Classic, Journey::Recovery) => Step::Ended,
            _ => Step::Challenged { code: random_code() },
        };
        (transaction.clone(), true)
    });
    match found {
        Err(refusal) => refuse(&instance, refusal),
        Ok((transaction, false)) => {
            let problem = "Please enter a name: any will do.";
            page(StatusCode::UNPROCESSABLE_ENTITY, pages::start(engine, &transaction, Some(problem)))
        }
        Ok((transaction, true)) => submitted(&instance, &transaction),
    }
}

fn submitted(instance: &Instance, transaction: &Transaction) -> Response {
    let next = transaction.page(instance.engine);
    match (instance.engine, transaction.journey) {
        (Engine::Classic, Journey::Recovery) => {
            let token = instance.mail(&transaction.name);
            page(StatusCode::OK, pages::mail_sent(instance.engine, &format!("/reset-password/{token}")))
        }
        (Engine::Classic, _) => redirect_as(StatusCode::SEE_OTHER, &next),
        (Engine::Identity, _) => redirect(&next),
    }
}
