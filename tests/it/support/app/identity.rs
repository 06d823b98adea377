//! The Identity Engine version: its pages are shared by all workflows.

use super::{Asked, Kind, Model, Page, SESSION, Transaction};

impl Model {
    /// Every hop carries `state`, and whoever does not bring one begins.
    pub(super) fn identity(&mut self, asked: &Asked) -> Page {
        let kind = match &*asked.path {
            "/login" => Kind::SignIn,
            "/recover-password" => Kind::Recovery,
            "/register" => Kind::Registration,
            _ => return self.identity_step(asked),
        };
        let Some(state) = asked.parameter("state") else {
            if asked.is_post() {
                return self.refuse("this form");
            }
            return self.with_session(asked, |app, sid| {
                let state = app.mint("state");
                app.transactions.insert(state.clone(), Transaction { kind, browser: sid.to_owned() });
                Page::to(format!("{}?state={state}", asked.path))
            });
        };
        match self.transactions.get(state).map(|known| known.kind) {
            Some(known) if known == kind => {}
            Some(_) | None => return self.refuse("this transaction"),
        }
        match asked.is_post() {
            false => Page::showing(format!("identity form {state}")),
            true if asked.parameter("password") == Some("wrong") => {
                Page::to(format!("{}?state={state}", asked.path))
            }
            true => Page::to(format!("/challenge-authenticator/okta_email?state={state}")),
        }
    }

    fn identity_step(&mut self, asked: &Asked) -> Page {
        let Some(state) = asked.parameter("state") else { return self.refuse("this step") };
        let Some(known) = self.transactions.get(state).cloned() else {
            return if self.used.contains(state) && asked.path != "/login/callback" {
                // Signed in already.
                Page::to("/")
            } else if self.used.contains(state) {
                Page::showing("identity has seen this code already").status(500)
            } else {
                self.refuse("this transaction")
            };
        };
        let is_at_home = asked.cookie(SESSION) == Some(&known.browser);
        let succeeds = |app: &mut Self| {
            app.transactions.remove(state);
            app.used.insert(state.to_owned());
            app.signs_in(&known.browser)
        };
        match &*asked.path {
            "/login/callback" if asked.parameter("error") == Some("interaction_required") => {
                Page::to(format!("/login?state={state}"))
            }
            "/login/callback" if asked.parameter("otp").is_some() && !is_at_home => {
                Page::showing("identity: enter the code on the original device")
            }
            "/login/callback" if known.kind == Kind::Recovery => {
                Page::to(format!("/reset-password?state={state}"))
            }
            "/login/callback" => succeeds(self),
            "/challenge-authenticator/okta_email" if !asked.is_post() => Page::showing("identity code?"),
            "/challenge-authenticator/okta_email" => match known.kind {
                Kind::SignIn => Page::to(format!("/login/callback?interaction_code=c&state={state}")),
                Kind::Recovery => Page::to(format!("/reset-password?state={state}")),
                Kind::Registration => succeeds(self),
            },
            "/poll-authenticator/okta_email" => Page::showing("{\"engine\":\"identity\"}"),
            "/reset-password" if !asked.is_post() => Page::showing("identity new password?"),
            "/reset-password" => succeeds(self),
            _ => Page::showing("identity knows no such page").status(404),
        }
    }
}
