//! The end of a recovery: a new password.
//!
//! Classic's link is all that is needed, on whatever device it is opened, and nobody is signed in at the end.
//! Identity's belongs to the browser that asked for it, and signs the user in.

use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};

use crate::decide::engine::Engine;
use crate::demo::pages;
use crate::demo::state::{Instance, Shared};
use crate::demo::transaction::{Journey, Refusal, Step};
use crate::demo::visitor::{Answers, Carried, page, redirect, refuse, sign_in, which};

const NO_PASSWORD: &str = "Please enter a new password: any will do.";

/// `GET /reset-password/TOKEN`. Looking does not use the token up: mail scanners look first.
pub(super) async fn open_link(State(instance): Shared, Path(token): Path<String>) -> Response {
    form(&instance, &token, None)
}

/// The same path, with a password.
pub(super) async fn submit_link(
    State(instance): Shared,
    Path(token): Path<String>,
    Form(answers): Form<Answers>,
) -> Response {
    if !answers.has_password() {
        return form(&instance, &token, Some(NO_PASSWORD));
    }
    match instance.redeem(&token) {
        true => redirect("/"),
        false => refuse(&instance, Refusal::Unknown),
    }
}

/// The form behind a link of ours; Identity sends no such links, and so knows none.
fn form(instance: &Instance, token: &str, problem: Option<&'static str>) -> Response {
    if !instance.knows_mail(token) {
        return refuse(instance, Refusal::Unknown);
    }
    show(instance.engine, &format!("/reset-password/{token}"), problem)
}

/// `GET /reset-password?state=`, Identity's.
pub(super) async fn open(
    State(instance): Shared,
    headers: HeaderMap,
    Query(carried): Query<Carried>,
) -> Response {
    let which = which(&instance, Journey::Recovery, &carried, None);
    match instance.go_on(&headers, which, |transaction| transaction.clone()) {
        Err(refusal) => refuse(&instance, refusal),
        Ok(transaction) if transaction.step == Step::Verified => {
            show(instance.engine, &transaction.page(instance.engine), None)
        }
        Ok(transaction) => redirect(&transaction.page(instance.engine)),
    }
}

/// The same path, with a password.
pub(super) async fn submit(
    State(instance): Shared,
    headers: HeaderMap,
    Query(carried): Query<Carried>,
    Form(answers): Form<Answers>,
) -> Response {
    let which = which(&instance, Journey::Recovery, &carried, Some(&answers));
    let found = instance.go_on(&headers, which, |transaction| {
        let is_done = transaction.step == Step::Verified && answers.has_password();
        if is_done {
            transaction.step = Step::Ended;
        }
        (transaction.clone(), is_done)
    });
    match found {
        Err(refusal) => refuse(&instance, refusal),
        Ok((transaction, true)) => sign_in(&instance, &headers, &transaction.name),
        Ok((transaction, false)) if transaction.step == Step::Verified => {
            show(instance.engine, &transaction.page(instance.engine), Some(NO_PASSWORD))
        }
        Ok((transaction, false)) => redirect(&transaction.page(instance.engine)),
    }
}

fn show(engine: Engine, action: &str, problem: Option<&'static str>) -> Response {
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    page(status, pages::new_password(engine, action, problem))
}
