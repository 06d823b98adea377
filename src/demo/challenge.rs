//! The step in between: a code that was "sent", and must come back.
//!
//! On Identity sign-in and recovery share one page, as in Okta's samples: only the transaction says whose it is.

use axum::extract::{Form, Query, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};

use crate::decide::engine::Engine;
use crate::demo::pages;
use crate::demo::state::{Instance, Shared, random};
use crate::demo::transaction::{Journey, Redirect, Step, Transaction};
use crate::demo::visitor::{Answers, Carried, page, redirect, refuse, sign_in, which};

/// The demo plays the organization, which in real life is another host. As long as it is a path of the app, it must
/// be one that a proxy takes for a step of the sign-in: a redirect to any other path of the site would mean that the
/// user has arrived. The Okta preset has `/verify/**` among its steps.
pub(super) const ORGANIZATION: &str = "/verify/demo-org/authorize";

/// Classic keeps one transaction for each journey, and knows by the path which is meant.
fn journey(uri: &Uri) -> Journey {
    if uri.path().starts_with("/enroll-") { Journey::Registration } else { Journey::SignIn }
}

/// `GET /mfa`, `/challenge-authenticator/okta_email`, `/enroll-authenticator/okta_email`.
pub(super) async fn open(
    State(instance): Shared,
    uri: Uri,
    headers: HeaderMap,
    Query(carried): Query<Carried>,
) -> Response {
    let which = which(&instance, journey(&uri), &carried, None);
    let found = instance.go_on(&headers, which, |transaction| {
        let problem = transaction.problem.take();
        (transaction.clone(), problem)
    });
    match found {
        Err(refusal) => refuse(&instance, refusal),
        Ok((transaction, problem)) => show(&instance, &uri, &transaction, StatusCode::OK, problem),
    }
}

/// The form, if this is where the transaction is; else the way there.
fn show(
    instance: &Instance,
    uri: &Uri,
    transaction: &Transaction,
    status: StatusCode,
    problem: Option<&'static str>,
) -> Response {
    let here = transaction.page(instance.engine);
    match &transaction.step {
        Step::Challenged { code } if here == transaction.at(instance.engine, uri.path()) => {
            page(status, pages::challenge(instance.engine, transaction, code, problem))
        }
        _ => redirect(&here),
    }
}

/// The same paths, with a code.
pub(super) async fn submit(
    State(instance): Shared,
    uri: Uri,
    headers: HeaderMap,
    Query(carried): Query<Carried>,
    Form(answers): Form<Answers>,
) -> Response {
    let which = which(&instance, journey(&uri), &carried, Some(&answers));
    let engine = instance.engine;
    let found = instance.go_on(&headers, which, |transaction| match &transaction.step {
        Step::Challenged { code } if code == answers.code() => Outcome::Next(accept(transaction, engine)),
        Step::Challenged { .. } if engine == Engine::Identity && transaction.journey == Journey::SignIn => {
            // As the Identity samples do: back to the beginning, with the same transaction.
            transaction.step = Step::Begun;
            transaction.problem = Some("That was not the code. Please begin again.");
            Outcome::Next(Next::Page(transaction.page(engine)))
        }
        _ => Outcome::Again(transaction.clone()),
    });
    match found {
        Err(refusal) => refuse(&instance, refusal),
        Ok(Outcome::Next(next)) => next.answer(&instance, &headers),
        Ok(Outcome::Again(transaction)) => {
            let problem = Some("That was not the code.");
            show(&instance, &uri, &transaction, StatusCode::UNPROCESSABLE_ENTITY, problem)
        }
    }
}

enum Outcome {
    Next(Next),
    Again(Transaction),
}

/// Where a code that was right leads.
pub(super) enum Next {
    Page(String),
    SignedIn(String),
}

impl Next {
    pub(super) fn answer(&self, instance: &Instance, headers: &HeaderMap) -> Response {
        match self {
            Self::Page(location) => redirect(location),
            Self::SignedIn(name) => sign_in(instance, headers, name),
        }
    }
}

/// Goes on after the right code.
pub(super) fn accept(transaction: &mut Transaction, engine: Engine) -> Next {
    match transaction.journey {
        Journey::Registration => {
            transaction.step = Step::Ended;
            return Next::SignedIn(transaction.name.clone());
        }
        Journey::Recovery => transaction.step = Step::Verified,
        Journey::SignIn => transaction.step = Step::Redirected(leave(transaction, engine)),
    }
    Next::Page(transaction.page(engine))
}

/// Classic leaves for the organization with an OAuth `state` of its own; Identity has its code already, and the
/// browser brings it to the callback.
fn leave(transaction: &Transaction, engine: Engine) -> Redirect {
    let (session_token, code) = (random(), random());
    let (state, to) = match engine {
        Engine::Classic => {
            let state = random();
            let query =
                format!("client_id=demo&response_type=code&sessionToken={session_token}&state={state}");
            (state, format!("{ORGANIZATION}?{query}"))
        }
        Engine::Identity => {
            let state = transaction.id.clone();
            let to = format!("/login/callback?interaction_code={code}&state={state}");
            (state, to)
        }
    };
    Redirect { to, session_token, state, code }
}
