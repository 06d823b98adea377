//! One browser's pass through a journey: where it is, and where it goes on.

use crate::decide::engine::Engine;

/// What a user came to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Journey {
    SignIn,
    Recovery,
    Registration,
}

impl Journey {
    /// Where it begins.
    pub(super) const fn start(self) -> &'static str {
        match self {
            Self::SignIn => "/login",
            Self::Recovery => "/recover-password",
            Self::Registration => "/register",
        }
    }
}

/// How far one is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// The first form is open.
    Begun,
    /// A code was "sent".
    Challenged { code: String },
    /// The code came back; a new password is wanted.
    Verified,
    /// The browser is on its way through the organization, and will bring the code back.
    Redirected(Redirect),
    /// Nothing follows.
    Ended,
}

/// Through the organization and back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Redirect {
    /// Where the browser was sent.
    pub(super) to: String,
    /// What the organization knows the user by; Classic's alone.
    pub(super) session_token: String,
    /// What the callback must bring, together with `code`.
    pub(super) state: String,
    pub(super) code: String,
}

/// One browser's pass through a journey.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    /// The `state` of Identity's URLs, the `csrf` of Classic's forms.
    pub(super) id: String,
    /// The anonymous session that it belongs to.
    pub(super) browser: String,
    pub(super) journey: Journey,
    pub(super) name: String,
    pub(super) step: Step,
    /// What the next page has to say about the last answer.
    pub(super) problem: Option<&'static str>,
}

impl Transaction {
    /// A path, with what this engine needs to find the transaction there: Identity carries it in every URL, Classic
    /// keeps it in the anonymous session.
    pub(super) fn at(&self, engine: Engine, path: &str) -> String {
        match engine {
            Engine::Classic => path.to_owned(),
            Engine::Identity => format!("{path}?state={}", self.id),
        }
    }

    /// The page for the step that it is at.
    pub(super) fn page(&self, engine: Engine) -> String {
        match &self.step {
            Step::Begun | Step::Ended => self.at(engine, self.journey.start()),
            Step::Challenged { .. } => self.at(
                engine,
                match (engine, self.journey) {
                    (_, Journey::Registration) => "/enroll-authenticator/okta_email",
                    (Engine::Identity, _) => "/challenge-authenticator/okta_email",
                    (Engine::Classic, _) => "/mfa",
                },
            ),
            Step::Verified => self.at(engine, "/reset-password"),
            Step::Redirected(redirect) => redirect.to.clone(),
        }
    }
}

/// How a request says which transaction it goes on with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which<'a> {
    Id(&'a str),
    /// The one of this journey that the browser used last.
    Latest(Journey),
}

/// Why a request cannot go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// Begun elsewhere, or forgotten.
    Unknown,
    /// Begun here, in another browser.
    OtherBrowser,
    /// Begun here, and done: one-time answers count once.
    Ended,
}
