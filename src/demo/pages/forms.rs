//! The forms of the journeys, and the mails that the demo prints instead of sending them.

use crate::decide::engine::Engine;
use crate::demo::pages::{escape, page, title};
use crate::demo::transaction::{Journey, Transaction};

/// One question.
struct Question<'a> {
    heading: &'a str,
    /// What stands above the form: markup of ours.
    before: &'a str,
    action: &'a str,
    csrf: Option<&'a str>,
    problem: Option<&'a str>,
    /// The name of the field, its label, and what a browser may know about it.
    field: (&'a str, &'a str, &'a str),
    button: &'a str,
    /// What stands below the form: markup of ours.
    after: &'a str,
}

fn ask(engine: Engine, question: &Question<'_>) -> String {
    let Question { heading, before, action, csrf, problem, field: (name, label, kind), button, after } =
        question;
    let (problem, described) = match problem {
        Some(problem) => (
            format!(r#"<p class="problem" id="problem" role="alert">{}</p>"#, escape(problem)),
            r#" aria-invalid="true" aria-describedby="problem""#,
        ),
        None => (String::new(), ""),
    };
    let csrf = csrf
        .map(|token| format!(r#"<input type="hidden" name="csrf" value="{}">"#, escape(token)))
        .unwrap_or_default();
    let body = format!(
        r#"<p class="kicker">{title}</p><h1>{heading}</h1>
<section aria-label="{heading}">{before}<form method="post" action="{action}">{csrf}{problem}
<label for="{name}">{label}</label>
<span class="row"><input id="{name}" name="{name}" required maxlength="64" autofocus {kind}{described}>
<button>{button}</button></span></form>{after}</section>"#,
        title = title(engine),
        action = escape(action),
    );
    page(engine, heading, &body)
}

/// Only Classic's forms carry the transaction; Identity's URLs do.
fn csrf(engine: Engine, transaction: &Transaction) -> Option<&str> {
    (engine == Engine::Classic).then_some(&*transaction.id)
}

/// The first form of a journey.
pub(in crate::demo) fn start(
    engine: Engine,
    transaction: &Transaction,
    problem: Option<&'static str>,
) -> String {
    let (heading, button, after) = match transaction.journey {
        Journey::SignIn => (
            "Sign in",
            "Next",
            r#"<p class="note">No password: this is a demo. The session lives in the memory of this engine alone.</p>
<p><a href="/recover-password">I forgot my password</a> · <a href="/register">I am new here</a></p>"#,
        ),
        Journey::Recovery => ("Recover your password", "Send me a mail", ""),
        Journey::Registration => {
            ("Register", "Next", r#"<p class="note">Nothing is kept: this is a demo.</p>"#)
        }
    };
    let action = transaction.at(engine, transaction.journey.start());
    ask(
        engine,
        &Question {
            heading,
            before: "",
            action: &action,
            csrf: csrf(engine, transaction),
            problem,
            field: ("name", "Name", r#"autocomplete="username""#),
            button,
            after,
        },
    )
}

/// The form that wants the code which it shows: nobody's telephone takes part.
pub(in crate::demo) fn challenge(
    engine: Engine,
    transaction: &Transaction,
    code: &str,
    problem: Option<&'static str>,
) -> String {
    let heading = match transaction.journey {
        Journey::SignIn => "Prove that it is you",
        Journey::Recovery => "Look at your mail",
        Journey::Registration => "Confirm your address",
    };
    let link = match (engine, transaction.journey) {
        (Engine::Identity, Journey::SignIn | Journey::Recovery) => {
            let link = format!("/login/callback?otp={code}&state={}", transaction.id);
            format!(
                r#", and in this browser its link is <a id="mail-link" href="{0}">{0}</a>"#,
                escape(&link)
            )
        }
        _ => String::new(),
    };
    let before = format!(
        r#"<p class="mail">A mail for {name}: the demo's code is <strong id="demo-code">{code}</strong>{link}.</p>"#,
        name = escape(&transaction.name),
        code = escape(code),
    );
    ask(
        engine,
        &Question {
            heading,
            before: &before,
            action: &transaction.page(engine),
            csrf: csrf(engine, transaction),
            problem,
            field: ("code", "Code", r#"inputmode="numeric" autocomplete="one-time-code""#),
            button: "Verify",
            after: &format!(r#"<p><a href="{}">Begin again</a></p>"#, transaction.journey.start()),
        },
    )
}

/// The form behind a mail's link.
pub(in crate::demo) fn new_password(engine: Engine, action: &str, problem: Option<&'static str>) -> String {
    ask(
        engine,
        &Question {
            heading: "Choose a new password",
            before: "",
            action,
            csrf: None,
            problem,
            field: ("password", "New password", r#"type="password" autocomplete="new-password""#),
            button: "Save",
            after: r#"<p class="note">Any will do; it is not kept.</p>"#,
        },
    )
}

/// Classic's mail: its link is good on any device.
pub(in crate::demo) fn mail_sent(engine: Engine, link: &str) -> String {
    let body = format!(
        r#"<p class="kicker">{title}</p><h1>Look at your mail</h1>
<section aria-label="The mail"><p class="mail">The mail says: choose a new password at
<a id="mail-link" href="{link}">{link}</a>.</p>
<p class="note">The link works once, in any browser.</p></section>"#,
        title = title(engine),
        link = escape(link),
    );
    page(engine, "Look at your mail", &body)
}

/// What the link of Identity's mail shows in a browser that did not ask for it. Only digits are shown again.
pub(in crate::demo) fn original_window(engine: Engine, otp: &str) -> String {
    let code = match otp.len() <= 8 && otp.bytes().all(|digit| digit.is_ascii_digit()) {
        true => format!(r#" <strong id="demo-code">{otp}</strong>"#),
        false => String::new(),
    };
    let body = format!(
        r#"<p class="kicker">{title}</p><h1>Enter the code in the original window</h1>
<section aria-label="What now"><p>This link was asked for in another browser. Go back to the window where you began, and
enter the code{code} there.</p></section>"#,
        title = title(engine),
    );
    page(engine, "Enter the code in the original window", &body)
}
