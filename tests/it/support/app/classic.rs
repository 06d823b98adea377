//! The Classic Engine version.

use super::{Asked, Kind, Model, ORG, Page, STATE_TOKEN, Transaction};

impl Model {
    /// The transaction is in a cookie; signing in goes over the org.
    pub(super) fn classic(&mut self, asked: &Asked) -> Page {
        let kind = match &*asked.path {
            "/login" => Some(Kind::SignIn),
            "/recover-password" => Some(Kind::Recovery),
            "/register" => Some(Kind::Registration),
            _ => None,
        };
        if let Some(kind) = kind.filter(|_| !asked.is_post()) {
            return self.with_session(asked, |app, sid| {
                let token = app.mint("token");
                app.transactions.insert(token.clone(), Transaction { kind, browser: sid.to_owned() });
                Page::showing("classic form").setting(STATE_TOKEN, &token)
            });
        }
        if asked.path == "/authorization-code/callback" {
            let Some(state) = asked.parameter("state").map(str::to_owned) else {
                return self.refuse("this callback");
            };
            let Some(known) = self.transactions.remove(&state) else {
                return self.refuse("this callback");
            };
            return self.signs_in(&known.browser).deleting(STATE_TOKEN);
        }
        if let Some(token) = asked.path.strip_prefix("/reset-password/").map(str::to_owned) {
            let Some(known) = self.transactions.remove(&token) else {
                return self.refuse("this mail");
            };
            let token = self.mint("token");
            self.transactions.insert(token.clone(), known);
            return Page::to("/reset-password").setting(STATE_TOKEN, &token);
        }
        let token = asked.cookie(STATE_TOKEN).unwrap_or_default().to_owned();
        let Some(known) = self.transactions.get(&token).cloned() else {
            return self.refuse("this step");
        };
        match (&*asked.path, asked.is_post()) {
            ("/login", true) => Page::to("/signin/verify/okta/email"),
            ("/signin/verify/okta/email" | "/reset-password", false) => Page::showing("classic step"),
            ("/signin/verify/okta/email", true) => {
                let state = self.mint("state");
                self.transactions.insert(state.clone(), known);
                Page::to(format!("{ORG}/oauth2/v1/authorize?client_id=portal&state={state}&sessionToken=t"))
            }
            ("/recover-password", true) => {
                let link = self.mailed_link();
                Page::showing(format!("classic has sent a mail: {link}"))
            }
            ("/register" | "/reset-password", true) => {
                self.transactions.remove(&token);
                Page::to("/").deleting(STATE_TOKEN)
            }
            _ => Page::showing("classic knows no such page").status(404),
        }
    }
}
