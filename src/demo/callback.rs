//! Where the browser comes back with a one-time answer, and the organization that sends it there.

use axum::extract::{Query, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};

use crate::decide::engine::Engine;
use crate::demo::challenge::{Next, accept};
use crate::demo::pages;
use crate::demo::state::Shared;
use crate::demo::transaction::{Journey, Refusal, Step, Transaction, Which};
use crate::demo::visitor::{Carried, page, redirect, refuse, sign_in};

/// The organization's authorization endpoint: it knows the user by the session token, and sends the browser back
/// with a code.
pub(super) async fn authorize(
    State(instance): Shared,
    headers: HeaderMap,
    Query(carried): Query<Carried>,
) -> Response {
    if instance.engine == Engine::Identity {
        return refuse(&instance, Refusal::Unknown);
    }
    let back = instance.go_on(&headers, Some(Which::Latest(Journey::SignIn)), |transaction| {
        let Step::Redirected(redirect) = &transaction.step else { return None };
        let is_known = carried.session_token.as_deref() == Some(&*redirect.session_token)
            && carried.state.as_deref() == Some(&*redirect.state);
        is_known
            .then(|| format!("/authorization-code/callback?code={}&state={}", redirect.code, redirect.state))
    });
    match back {
        Ok(Some(location)) => redirect(&location),
        Ok(None) => refuse(&instance, Refusal::Unknown),
        Err(refusal) => refuse(&instance, refusal),
    }
}

/// Classic's callback: an authorization code, and the `state` that this browser left with.
pub(super) async fn authorization_code(
    State(instance): Shared,
    headers: HeaderMap,
    Query(carried): Query<Carried>,
) -> Response {
    if instance.engine == Engine::Identity {
        return refuse(&instance, Refusal::Unknown);
    }
    let found = instance.go_on(&headers, Some(Which::Latest(Journey::SignIn)), |transaction| {
        redeem(transaction, carried.state.as_deref(), carried.code.as_deref())
    });
    match found {
        Ok(Some(name)) => sign_in(&instance, &headers, &name),
        Ok(None) => refuse(&instance, Refusal::Unknown),
        Err(refusal) => refuse(&instance, refusal),
    }
}

/// Identity's callback: an interaction code; the one-time password of a mail's link; or the wish of an identity
/// provider that the user goes on at the form.
pub(super) async fn interaction(
    State(instance): Shared,
    headers: HeaderMap,
    Query(carried): Query<Carried>,
) -> Response {
    if instance.engine == Engine::Classic {
        return refuse(&instance, Refusal::Unknown);
    }
    let which = carried.state.as_deref().map(Which::Id);
    let found = instance.go_on(&headers, which, |transaction| {
        if let Some(otp) = &carried.otp {
            return Some(by_mail(transaction, otp));
        }
        if carried.error.as_deref() == Some("interaction_required") {
            return Some(Next::Page(transaction.page(Engine::Identity)));
        }
        redeem(transaction, carried.state.as_deref(), carried.interaction_code.as_deref()).map(Next::SignedIn)
    });
    match (found, &carried.otp) {
        (Ok(Some(next)), _) => next.answer(&instance, &headers),
        (Ok(None), _) => refuse(&instance, Refusal::Unknown),
        // The link was opened on a phone, say: the code in it is good in the window that asked for it.
        (Err(Refusal::OtherBrowser), Some(otp)) => {
            page(StatusCode::OK, pages::original_window(instance.engine, otp))
        }
        (Err(refusal), _) => refuse(&instance, refusal),
    }
}

/// Takes a one-time code; the name of whom it signs in.
fn redeem(transaction: &mut Transaction, state: Option<&str>, code: Option<&str>) -> Option<String> {
    let Step::Redirected(redirect) = &transaction.step else { return None };
    if state != Some(&*redirect.state) || code != Some(&*redirect.code) {
        return None;
    }
    transaction.step = Step::Ended;
    Some(transaction.name.clone())
}

/// The link of a mail says the code in place of the user. Opened twice, it leads where the transaction is.
fn by_mail(transaction: &mut Transaction, otp: &str) -> Next {
    match &transaction.step {
        Step::Challenged { code } if code == otp => return accept(transaction, Engine::Identity),
        Step::Challenged { .. } => transaction.problem = Some("That link is not of the last mail."),
        Step::Begun | Step::Verified | Step::Redirected(_) | Step::Ended => {}
    }
    Next::Page(transaction.page(Engine::Identity))
}
