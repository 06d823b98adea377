//! The Okta preset: where apps that are built like Okta's samples and guides begin, continue and end their
//! workflows (`DOMAIN.md` B). A starting point, every part of which an app can replace.

use std::time::Duration;

/// The paths of one workflow, as a file would write them.
pub(super) struct PresetWorkflow {
    pub(super) name: &'static str,
    pub(super) start: &'static [&'static str],
    pub(super) steps: &'static [&'static str],
    /// Steps that are this workflow's alone.
    pub(super) own_steps: &'static [&'static str],
    pub(super) callback: &'static [&'static str],
    /// Path, parameters, engine.
    pub(super) landing: &'static [(Option<&'static str>, &'static [&'static str], &'static str)],
    /// Status and location.
    pub(super) failure: &'static [(&'static str, &'static str)],
    pub(super) idle: Duration,
    pub(super) cap: Duration,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// Pages that every workflow passes through: only a pin says whose they are.
const STEPS: &[&str] = &[
    "/{select,challenge,verify,enroll,poll}-authenticator/**",
    "/select-authenticator-unlock-account",
    "/select-step",
    "/{reset-password,resetpassword}",
    "/manage/{selectauthenticator,verifyauthenticator,changepassword,enroll*authenticator}",
    "/{mfa,factor,factors,verify,otp,challenge}/**",
    "/signin/{verify,enroll,enroll-activate,poll,recovery-challenge,recovery-question,recovery-emailed}/**",
    "/signin/{password-reset,password-expired,refresh-auth-state}/**",
    "/{terminal,cancel}",
];

/// Where the identity provider's one-time answers arrive.
const CALLBACK: &[&str] = &[
    "GET|POST /{login,authorization-code,implicit,interactioncode,magiclink,magic-link}/callback",
    "GET|POST /{oauth,oauth2,oidc,auth,enduser,signin}/callback",
    "GET|POST /login/oauth2/code/*",
    "GET|POST /oauth/callback/*",
    "GET|POST /callback",
    "GET|POST /signin-oidc",
    "GET|POST /{saml,saml2}/{acs,sso}/**",
    "GET|POST /login/saml2/sso/*",
];

/// An app that gives up says so in the URL (`DOMAIN.md` 5.1).
const FAILURE: &[(&str, &str)] = &[("3xx", "/error"), ("3xx", "/**?error")];

/// The four workflows.
pub(super) const OKTA: [PresetWorkflow; 4] = [
    PresetWorkflow {
        name: "recovery",
        start: &[
            "GET|POST /{forgot,forgotpassword,forgot-password,forgot_password}",
            "GET|POST /{forgottenpassword,forgotten-password,forgotten_password}",
            "GET|POST /{recover,recovery,recoverpassword,recover-password,recover_password}",
            "GET|POST /password/{forgot,recover,new}",
            "GET|POST /account/{forgot-password,forgot_password,recover-password,recover_password}",
            "GET|POST /users/password/new",
            "GET|POST /signin/{forgot-password,unlock}",
            "GET|POST /{unlock,unlockaccount,unlock-account,unlock_account}",
        ],
        steps: STEPS,
        // The form behind a link is often sent to the link's own path.
        own_steps: &["/{reset-password,resetpassword}/*", "/signin/{reset-password,recovery,user-unlock}/*"],
        callback: CALLBACK,
        landing: &[
            (Some("GET /{reset-password,resetpassword}/*"), &[], "classic"),
            (Some("GET /signin/{reset-password,recovery,user-unlock}/*"), &[], "classic"),
            (None, &["recoveryToken"], "classic"),
            (None, &["stateToken"], "classic"),
        ],
        failure: FAILURE,
        idle: Duration::from_secs(75 * MINUTE),
        cap: Duration::from_secs(24 * HOUR),
    },
    PresetWorkflow {
        name: "registration",
        start: &[
            "GET|POST /{register,registration,signup,sign-up,join,create-account}",
            "GET|POST /account/{register,create}",
            "GET|POST /users/sign_up",
            "GET|POST /signin/register",
        ],
        steps: STEPS,
        own_steps: &["/activate/**", "/welcome/*"],
        callback: CALLBACK,
        landing: &[
            (Some("GET /activate/**"), &[], "cohort"),
            (Some("GET /welcome/*"), &[], "cohort"),
            (None, &["activationToken"], "cohort"),
        ],
        failure: FAILURE,
        idle: Duration::from_secs(75 * MINUTE),
        cap: Duration::from_secs(24 * HOUR),
    },
    PresetWorkflow {
        name: "sign-in",
        start: &[
            "GET|POST /{login,log-in,signin,sign-in,sso}",
            "GET|POST /account/login",
            "GET|POST /users/sign_in",
            "GET|POST /auth/{login,signin}",
            "GET|POST /oauth2/authorization/*",
        ],
        steps: STEPS,
        own_steps: &[],
        callback: CALLBACK,
        landing: &[
            (None, &["interaction_code"], "identity"),
            (None, &["otp", "state"], "identity"),
            (None, &["error=interaction_required"], "identity"),
        ],
        failure: FAILURE,
        idle: Duration::from_secs(30 * MINUTE),
        cap: Duration::from_secs(2 * HOUR),
    },
    PresetWorkflow {
        name: "sign-out",
        start: &[
            "GET|POST /{logout,log-out,signout,sign-out}",
            "GET|POST /account/{logout,signout}",
            "GET|POST /users/sign_out",
            "GET|POST /{local-logout,forces-logout}",
        ],
        steps: &[
            "GET /{signout,sign-out,logout,log-out}/callback",
            "GET /account/postsignout",
            "GET /{loggedout,logged_out}",
        ],
        own_steps: &[],
        callback: &[],
        landing: &[],
        failure: &[],
        idle: Duration::from_secs(30 * MINUTE),
        cap: Duration::from_secs(2 * HOUR),
    },
];

/// The cookies in which frameworks keep sessions.
pub(super) const SESSION_COOKIES: &[&str] = &[
    "connect.sid",
    "JSESSIONID",
    "SESSION",
    ".AspNetCore.Cookies*",
    ".AspNet.ApplicationCookie",
    "appSession*",
    "next-auth.session-token*",
    "__Secure-next-auth.session-token*",
    "_*_session",
    "sessionid",
    "laravel_session",
    "PHPSESSID",
];

/// Static files.
pub(super) const ASSETS: &[&str] = &[
    "/**/*.{js,mjs,css,map,png,jpg,jpeg,gif,svg,ico,woff,woff2,ttf,webmanifest,wasm}",
    "/{assets,static,widget,labels,_next,dist,build}/**",
];
