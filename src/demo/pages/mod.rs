//! What the engines look like.
//!
//! Everything that a client said is escaped here; nothing is loaded from elsewhere, and nothing needs JavaScript
//! except the WebSocket.

mod forms;
mod picture;
mod style;

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::decide::engine::Engine;
use crate::demo::transaction::Refusal;

pub(super) use forms::{challenge, mail_sent, new_password, original_window, start};
pub(super) use picture::{picture, picture_path};
pub(super) use style::{style, style_path};

/// What the home page tells about one request.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) engine: Engine,
    /// The user that the browser says it is for.
    pub(super) user: Option<String>,
    /// Who is signed in at this engine.
    pub(super) signed_in: Option<String>,
    /// Whether a session cookie came that this engine did not issue, or has forgotten.
    pub(super) session_is_foreign: bool,
    /// Headers, as name and value.
    pub(super) sent_by_proxy: Vec<(String, String)>,
}

impl Visit {
    fn session(&self) -> Cow<'_, str> {
        match &self.signed_in {
            Some(name) => Cow::Owned(format!("signed in as {name}")),
            None if self.session_is_foreign => {
                Cow::Borrowed("your session is not known here: the other engine may hold it, or it has ended")
            }
            None => Cow::Borrowed("not signed in"),
        }
    }
}

/// The home page.
pub(super) fn home(visit: &Visit) -> String {
    let session_form = match visit.signed_in {
        Some(_) => r#"<form method="post" action="/logout"><button>Sign out</button></form>"#,
        None if visit.session_is_foreign => {
            r#"<p><a class="button" href="/login">Sign in</a> <a href="/logout">Sign out all the same</a></p>"#
        }
        None => r#"<p><a class="button" href="/login">Sign in</a></p>"#,
    };
    let user = visit.user.as_deref().unwrap_or_default();
    let mut headers = String::new();
    for (name, value) in &visit.sent_by_proxy {
        let _ = write!(headers, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value)); // a String cannot fail
    }
    let body = format!(
        r#"<p class="kicker">This page was served by the</p>
<h1>{title}</h1>
<p class="lead">{lead}</p>
<section aria-labelledby="session"><h2 id="session">Your session</h2>
<p>{session}.</p>{session_form}
<ul><li><a href="/recover-password">I forgot my password</a></li><li><a href="/register">I am new here</a></li></ul></section>
<section aria-labelledby="user"><h2 id="user">Who you are</h2>
<p>{known_as} The proxy finds the same engine for the same user, whatever the browser.</p>
<form method="post" action="/user"><label for="name">User</label>
<span class="row"><input id="name" name="name" value="{user}" maxlength="64" autocomplete="off" placeholder="user-7">
<button>Be this user</button></span></form></section>
<section aria-labelledby="headers"><h2 id="headers">What the proxy said</h2><dl>{headers}</dl></section>
<section aria-labelledby="try"><h2 id="try">Things a proxy can break</h2>
<ul><li><a href="/slow?ms=1500">a slow page</a></li><li><a href="/stream">a page that comes line by line</a></li>
<li><a href="/status/503">an error</a></li><li><a href="/assets/style.css">a cached asset</a>, and <a href="{style}">one that only this engine has</a></li>
<li>a WebSocket: <output id="socket">needs JavaScript</output></li></ul></section>
<script>
const told = document.getElementById("socket");
const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/ws");
told.textContent = "connecting";
socket.onmessage = message => told.textContent = "connected to " + message.data;
socket.onclose = () => told.textContent += ", closed";
</script>"#,
        title = title(visit.engine),
        lead = lead(visit.engine),
        session = escape(&capitalised(&visit.session())),
        known_as = match &visit.user {
            Some(name) => format!("The cookie <code>uid</code> says <strong>{}</strong>.", escape(name)),
            None => "No cookie <code>uid</code>: the proxy knows this browser by its ticket.".to_owned(),
        },
        user = escape(user),
        style = style_path(visit.engine),
    );
    page(visit.engine, title(visit.engine), &body)
}

/// The home page for a terminal.
pub(super) fn home_as_text(visit: &Visit) -> String {
    let mut text = format!(
        "{} served {}: {}\n",
        visit.engine,
        visit.user.as_deref().unwrap_or("someone").escape_debug(),
        visit.session().escape_debug(),
    );
    for (name, value) in &visit.sent_by_proxy {
        let _ = writeln!(text, "  {name}: {}", value.escape_debug()); // a String cannot fail
    }
    text
}

/// What somebody gets who was moved in the middle. The heading is what tests of a proxy look for.
pub(super) fn refused(engine: Engine, refusal: Refusal) -> String {
    let (heading, why) = match refusal {
        Refusal::Unknown => (
            format!("This {engine} engine did not begin this sign-in"),
            "The other engine did, or it was begun before this engine was started. Sign-in, recovery and \
             registration end where they begin: a proxy that sends you elsewhere in the middle is at fault.",
        ),
        Refusal::OtherBrowser => (
            format!("This {engine} engine did not begin this sign-in in this browser"),
            "It was begun here, but the cookie that came along is another one, or none.",
        ),
        Refusal::Ended => (
            "This sign-in has ended already".to_owned(),
            "It was begun here, and is done: an answer counts once.",
        ),
    };
    let body = format!(
        r#"<p class="kicker">{title}</p><h1>{heading}</h1>
<section aria-label="What now"><p>{why}</p><p><a class="button" href="/login">Begin again</a> <a href="/">Home</a></p></section>"#,
        title = title(engine),
    );
    page(engine, "Refused", &body)
}

/// The page after sign-out.
pub(super) fn signed_out(engine: Engine, is_unknown: bool) -> String {
    let words = match is_unknown {
        true => {
            "There was nothing to end: this engine did not know your session. If the other one holds it, it lives on."
        }
        false => "Your session here has ended.",
    };
    let body = format!(
        r#"<p class="kicker">{}</p><h1>Signed out</h1>
<section aria-label="What happened"><p>{words}</p><p><a class="button" href="/login">Sign in again</a> <a href="/">Home</a></p></section>"#,
        title(engine)
    );
    page(engine, "Signed out", &body)
}

/// What a wrong address gets.
pub(super) fn missing(engine: Engine) -> String {
    let body = format!(
        r#"<p class="kicker">{}</p><h1>No such page</h1><p><a href="/">To the home page</a></p>"#,
        title(engine)
    );
    page(engine, "No such page", &body)
}

fn page(engine: Engine, title: &str, body: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Demo portal</title><link rel="stylesheet" href="{style}">
<link rel="icon" type="image/svg+xml" href="{picture}"></head>
<body class="{engine}">
<header><a class="mark" href="/"><img src="{picture}" alt="" width="24" height="24">Demo portal</a><nav aria-label="Main"><a href="/">Home</a> <a href="/login">Sign in</a> <a href="/register">Register</a></nav></header>
<main>{body}</main>
</body></html>
"#,
        style = style_path(engine),
        picture = picture_path(engine),
    )
}

fn title(engine: Engine) -> &'static str {
    match engine {
        Engine::Classic => "Classic Engine",
        Engine::Identity => "Identity Engine",
    }
}

fn lead(engine: Engine) -> &'static str {
    match engine {
        Engine::Classic => "Today’s version of the app. Everyone starts here.",
        Engine::Identity => "The upgraded version of the app. The rollout brought you here.",
    }
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Text as it may stand in an element or in a quoted attribute.
fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_cannot_become_markup() {
        let hostile = r#"<script>'"&"#;
        let escaped = "&lt;script&gt;&#39;&quot;&amp;";
        assert_eq!(escape(hostile), escaped);
        let visit = Visit {
            engine: Engine::Classic,
            user: Some(hostile.to_owned()),
            signed_in: Some(hostile.to_owned()),
            session_is_foreign: false,
            sent_by_proxy: vec![("host".to_owned(), hostile.to_owned())],
        };
        let page = home(&visit);
        assert!(!page.contains(hostile), "unescaped in {page}");
        assert_eq!(page.matches(escaped).count(), 4, "user twice, session, header");
    }

    #[test]
    fn only_what_was_begun_elsewhere_says_so() {
        let words = "This classic engine did not begin this sign-in";
        assert!(refused(Engine::Classic, Refusal::Unknown).contains(words));
        assert!(!refused(Engine::Classic, Refusal::Ended).contains(words));
        assert!(missing(Engine::Classic).contains("Classic Engine"));
    }
}
