//! What the engines look like: two pages that nobody can mistake for each other.
//!
//! Everything that a client said is escaped here; nothing is loaded from elsewhere.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::decide::engine::Engine;

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
            None if self.session_is_foreign => Cow::Borrowed(
                "a session cookie that this engine does not know: the other one may have issued it",
            ),
            None => Cow::Borrowed("not signed in"),
        }
    }
}

/// The home page.
pub(super) fn home(visit: &Visit) -> String {
    let session_form = match visit.signed_in {
        Some(_) => r#"<form method="post" action="/logout"><button>Sign out</button></form>"#,
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
<p>{session}.</p>{session_form}</section>
<section aria-labelledby="user"><h2 id="user">Who you are</h2>
<p>{known_as} The proxy finds the same engine for the same user, whatever the browser.</p>
<form method="post" action="/user"><label for="name">User</label>
<span class="row"><input id="name" name="name" value="{user}" maxlength="64" autocomplete="off" placeholder="user-7">
<button>Be this user</button></span></form></section>
<section aria-labelledby="headers"><h2 id="headers">What the proxy said</h2><dl>{headers}</dl></section>
<section aria-labelledby="try"><h2 id="try">Things a proxy can break</h2>
<ul><li><a href="/slow?ms=1500">a slow page</a></li><li><a href="/stream">a page that comes line by line</a></li>
<li><a href="/status/503">an error</a></li><li><a href="/assets/style.css">a cached asset</a></li>
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

/// The sign-in form, with what was wrong with the last attempt.
pub(super) fn login(engine: Engine, problem: Option<&str>) -> String {
    let (problem, described) = match problem {
        Some(problem) => (
            format!(r#"<p class="problem" id="problem" role="alert">{}</p>"#, escape(problem)),
            r#" aria-invalid="true" aria-describedby="problem""#,
        ),
        None => (String::new(), ""),
    };
    let body = format!(
        r#"<p class="kicker">{title}</p><h1>Sign in</h1>
<section aria-label="Sign in"><form method="post" action="/login">{problem}
<label for="name">Name</label>
<input id="name" name="name" required maxlength="64" autocomplete="username" autofocus{described}>
<button>Sign in</button></form>
<p class="note">No password: this is a demo. The session lives in the memory of this engine alone.</p></section>"#,
        title = title(engine),
    );
    page(engine, "Sign in", &body)
}

/// What a wrong address gets.
pub(super) fn missing(engine: Engine) -> String {
    let body = format!(
        r#"<p class="kicker">{}</p><h1>No such page</h1><p><a href="/">To the home page</a></p>"#,
        title(engine)
    );
    page(engine, "No such page", &body)
}

/// The style sheet of an engine: its colours, then the shape that both share.
pub(super) fn style(engine: Engine) -> String {
    let colours = match engine {
        Engine::Classic => CLASSIC,
        Engine::Identity => IDENTITY,
    };
    format!("{colours}{SHAPE}")
}

fn page(engine: Engine, title: &str, body: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Demo portal</title><style>{style}</style></head>
<body class="{engine}">
<header><a class="mark" href="/">Demo portal</a><nav aria-label="Main"><a href="/">Home</a> <a href="/login">Sign in</a></nav></header>
<main>{body}</main>
</body></html>
"#,
        style = style(engine),
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

/// Paper, ink and serifs.
const CLASSIC: &str = r#":root{color-scheme:light dark;--ground:#f6f1e7;--sheet:#fffdf8;--ink:#2b2419;--soft:#6a5d48;--line:#d8ccb4;
--accent:#8a4b08;--on-accent:#fff;--head:#3d3222;--on-head:#f6f1e7;--radius:2px;
--face:Georgia,"Times New Roman",serif;--shadow:none}
@media(prefers-color-scheme:dark){:root{--ground:#1d1912;--sheet:#272117;--ink:#efe6d3;--soft:#b8a987;--line:#4a3f2b;
--accent:#f0b35f;--on-accent:#2b1a04;--head:#120f0a;--on-head:#efe6d3}}
body{border-top:10px solid var(--accent)}h1{font-variant:small-caps;letter-spacing:.02em}
"#;

/// Air, violet and round corners.
const IDENTITY: &str = r#":root{color-scheme:light dark;--ground:#f3f3ff;--sheet:#fff;--ink:#1b1840;--soft:#575381;--line:#dddbf7;
--accent:#5b3df5;--on-accent:#fff;--head:linear-gradient(100deg,#3514b8,#7a2fe0 55%,#0f7fb8);--on-head:#fff;--radius:16px;
--face:system-ui,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;--shadow:0 8px 30px rgb(60 40 160/.10)}
@media(prefers-color-scheme:dark){:root{--ground:#0f0d24;--sheet:#1a1738;--ink:#ebe9ff;--soft:#aaa5dd;--line:#332e63;
--accent:#a896ff;--on-accent:#140a45;--shadow:none}}
h1{font-weight:800;letter-spacing:-.03em}
"#;

const SHAPE: &str = r#"*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:1.0625rem/1.55 var(--face)}
header{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;justify-content:space-between;padding:1rem max(1.25rem,calc(50vw - 22rem));background:var(--head);color:var(--on-head)}
header a{color:inherit}header nav a{margin-left:1rem}.mark{font-weight:700;text-decoration:none}
main{max-width:46.5rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{margin:0 0 .5rem;font-size:clamp(2.2rem,7vw,3.4rem);line-height:1.1;color:var(--accent)}
h2{margin:0 0 .5rem;font-size:1.1rem}
.kicker{margin:0;color:var(--soft)}.lead{margin:0 0 2rem;font-size:1.2rem}
section{margin:0 0 1.25rem;padding:1.25rem 1.5rem;background:var(--sheet);border:1px solid var(--line);border-radius:var(--radius);box-shadow:var(--shadow)}
section p:first-of-type{margin-top:0}section>:last-child{margin-bottom:0}
a{color:var(--accent)}.row{display:flex;gap:.5rem;flex-wrap:wrap}
label{display:block;margin-bottom:.25rem;font-weight:600}
input{flex:1 1 12rem;max-width:100%;padding:.5rem .75rem;font:inherit;color:inherit;background:var(--ground);border:1px solid var(--soft);border-radius:calc(var(--radius)/2)}
button,.button{display:inline-block;padding:.5rem 1.1rem;font:inherit;font-weight:600;cursor:pointer;text-decoration:none;color:var(--on-accent);background:var(--accent);border:0;border-radius:calc(var(--radius)/2)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
header :focus-visible{outline-color:currentColor}
dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.25rem 1rem;margin:0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere;font-family:ui-monospace,monospace;font-size:.95em}
ul{margin:0;padding-left:1.2rem}.problem{color:var(--accent);font-weight:600}.note{color:var(--soft)}
@media(max-width:30rem){dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}}
"#;

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
    fn the_engines_look_different() {
        assert_ne!(style(Engine::Classic), style(Engine::Identity));
        assert!(login(Engine::Identity, Some("again")).contains(r#"role="alert">again<"#));
        assert!(missing(Engine::Classic).contains("Classic Engine"));
    }
}
