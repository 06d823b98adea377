//! `cutover explain`

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use crate::admin::explain::explain;
use crate::admin::views::{ExplainQuery, ExplanationView, RowView, TicketView, WorkflowView};
use crate::ambient::Ambient;
use crate::cli::render::{self, Failure};
use crate::config;
use crate::runtime::listener::Listeners;
use crate::runtime::snapshot::Snapshot;

/// Say which engine serves a request, why, and at what percentage that would change
#[derive(Debug, clap::Args)]
#[command(override_usage = "cutover explain [OPTIONS] [METHOD] URL")]
#[command(
    after_help = "Examples:\n  cutover explain --config cutover.toml --app portal --key ada@example.com /\n  \
    cutover explain --cookie \"$COOKIE\" POST https://portal.example.com/login"
)]
pub(super) struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "cutover.toml")]
    config: PathBuf,
    /// The app; may be left out when there is only one, or when the URL names a host
    #[arg(long)]
    app: Option<String>,
    /// The subject's key, as it would come from where the app looks first
    #[arg(long)]
    key: Option<String>,
    /// A Cookie line, or the value of a ticket
    #[arg(long)]
    cookie: Option<String>,
    /// The client's address, for targets by network
    #[arg(long, value_name = "ADDRESS")]
    client: Option<IpAddr>,
    /// Ask as a browser that loads a page; so it is where a key or a cookie is given
    #[arg(long, conflicts_with = "no_page")]
    page: bool,
    /// Ask as a client that loads no page
    #[arg(long)]
    no_page: bool,
    /// A path such as /login, or a whole URL; a method may stand before it
    #[arg(value_name = "URL", num_args = 1..=2, required = true)]
    request: Vec<String>,
}

pub(super) fn run(args: Args, json: bool) -> anyhow::Result<ExitCode> {
    let Args { config, app, key, cookie, client, page, no_page, mut request } = args;
    let loaded = config::load(&config, None)?;
    let url = request.pop();
    let query = ExplainQuery {
        app,
        key,
        cookie,
        method: request.pop(),
        url,
        page: (page || no_page).then_some(page),
        client,
    };
    let has_keys = loaded.config.ticket.key_file.is_some();
    // Built as the server builds it; nothing of it is started.
    let snapshot =
        Snapshot::build(Arc::clone(&loaded.config), Listeners::default(), loaded.hash.clone(), &[], 1, None);
    let explained = explain(&snapshot, &query, Ambient::system().moment());
    let mut view = explained.map_err(|error| {
        let failure = Failure::new(error.to_string());
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    if view.ticket.rejected.is_some() && !has_keys {
        view.notes.push(
            "the configuration names no ticket.key_file: only the running proxy can read its tickets; ask it at \
             /api/v1/explain"
                .to_owned(),
        );
    }
    if json {
        render::json_data(&view)?
    } else {
        render::data(&text(&view))?
    }
    Ok(ExitCode::SUCCESS)
}

fn text(view: &ExplanationView) -> String {
    let ExplanationView { app, engine, reason, subject, bucket, percent, flips_at, .. } = view;
    let mut facts = vec![("app", app.clone()), ("subject", subject.unwrap_or("nobody").to_owned())];
    facts.extend(bucket.map(|bucket| ("bucket", bucket.to_string())));
    facts.push(("share", percent.clone()));
    facts.extend(
        flips_at.as_ref().map(|at| ("flips at", format!("{at}: identity from there on, classic below"))),
    );
    facts.extend(view.next_stage.as_ref().map(|next| ("next stage", next.text())));
    facts.extend(
        view.flips_with.as_ref().map(|stage| ("flips with", format!("the stage of {}", stage.text()))),
    );
    facts.push(("ticket", ticket(&view.ticket)));
    facts.extend(view.issue.map(|issue| {
        let whose = if issue.follows_user { "the user" } else { "the browser" };
        let bucket =
            issue.bucket.map_or("no bucket".to_owned(), |bucket| format!("bucket {bucket}, that of {whose}"));
        let session = issue.session.map(|engine| format!(", session on {engine}")).unwrap_or_default();
        ("set-cookie", format!("a ticket with {bucket}{session}"))
    }));
    if let Some(workflow) = &view.workflow {
        facts.insert(1, ("workflow", workflow.clone()));
    }
    let facts: Vec<Vec<String>> =
        facts.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    let trail: Vec<Vec<String>> = view
        .trail
        .iter()
        .map(|RowView { row, decided, saw }| {
            vec![if *decided { ">" } else { " " }.to_owned(), (*row).to_owned(), saw.clone()]
        })
        .collect();
    let mut text = format!("{engine}, by {reason}\n\n{}\n\n", render::indent(&render::table(&facts), 2));
    text.push_str(&render::table(&trail));
    if !view.workflows.is_empty() {
        let row = |row: &WorkflowView| {
            let engine = row.engine.unwrap_or("by chance");
            let flips = row.flips_at.as_ref().map(|at| format!("flips at {at}")).unwrap_or_default();
            let next =
                row.next_stage.as_ref().map(|next| format!("next {}", next.text())).unwrap_or_default();
            vec![row.workflow.clone(), row.percent.clone(), engine.to_owned(), flips, next]
        };
        let rows: Vec<Vec<String>> = view.workflows.iter().map(row).collect();
        text.push_str(&format!("\n\nat the start of\n{}", render::indent(&render::table(&rows), 2)));
    }
    for note in &view.notes {
        text.push_str(&format!("\n\nnote: {note}"));
    }
    text
}

fn ticket(view: &TicketView) -> String {
    let TicketView { state, rejected, bucket, follows_user, session, .. } = view;
    let session = session.map(|engine| format!(", session on {engine}")).unwrap_or_default();
    match (rejected, bucket) {
        (Some(why), _) => format!("{state}: {why}"),
        (None, Some(bucket)) => {
            let whose = if *follows_user == Some(true) { "a user" } else { "the browser" };
            format!("{state}, bucket {bucket}, that of {whose}{session}")
        }
        (None, None) => format!("{state}{session}"),
    }
}
