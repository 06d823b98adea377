//! `cutover set`

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::ambient::unix_seconds;
use crate::cli::render::{self, Failure};
use crate::config::diff::{Verdict, diff};
use crate::config::{self, edit};

/// Change the percentage of an app, or of one of its workflows, in its configuration; comments and everything else stay as they are
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cutover set portal 25 --config cutover.toml\n  cutover set portal/sign-in 10\n  cutover set portal 12.5% --dry-run"
)]
pub(super) struct Args {
    /// The app, or one of its workflows
    #[arg(value_name = "APP[/WORKFLOW]")]
    app: String,
    /// How many of every hundred users the Identity engine serves, such as 25 or 12.5%
    #[arg(value_name = "PERCENT", allow_hyphen_values = true)]
    percent: String,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "cutover.toml")]
    config: PathBuf,
    /// Show who would move, and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &Args, json: bool) -> anyhow::Result<ExitCode> {
    let Args { app, percent, config: path, dry_run } = args;
    let old = config::load(path, None)?;
    let (name, workflow) = app.split_once('/').map_or((app.as_str(), None), |(app, name)| (app, Some(name)));
    if let Some(workflow) = workflow {
        ensure_workflow(&old, name, workflow)?;
    }
    let text = edit::set_percent(&old.text, name, workflow, percent)
        .map_err(|error| Failure::of_edit(path, &error))?;
    // Read as the server will read it, so that it has no reason to refuse.
    let new = config::load_text(path, &text, Some(&old))?;
    let plan = diff(&old.config, &new.config, unix_seconds());
    if let Some(refusal) = plan.refusals().first() {
        return Err(Failure::new(refusal.message.clone()).hint(refusal.hint.clone()).into());
    }
    render::warnings(&new.warnings);

    let changes_text = text != *old.text;
    let write = changes_text && !dry_run;
    if write {
        config::replace(path, &text, &old).map_err(Failure::of_write)?;
    }
    if json {
        render::json_data(&json!({
            "app": app,
            "file": path,
            "written": write,
            "verdict": render::verdict(plan.verdict()),
            "changes": render::changes(&plan),
            "warnings": render::problems(&new.warnings),
        }))?;
    } else if plan.is_empty() {
        render::data("nothing changes")?;
    } else {
        render::data(&plan.to_string())?;
    }
    match plan.verdict() {
        Verdict::Unchanged | Verdict::Widens => {}
        Verdict::MovesBack | Verdict::Reshuffles => render::talk("note: this takes users back to classic"),
    }
    render::talk(&match (write, dry_run) {
        (true, _) => format!("{} is written", path.display()),
        (false, true) => format!("{} stays as it is: this was a dry run", path.display()),
        (false, false) => format!("{} stays as it is", path.display()),
    });
    Ok(ExitCode::SUCCESS)
}

/// A workflow of the preset need not stand in the text, so that only the whole configuration knows it.
fn ensure_workflow(old: &config::Loaded, app: &str, workflow: &str) -> anyhow::Result<()> {
    let Some(found) = old.config.apps.iter().find(|known| known.name == app) else { return Ok(()) };
    if found.workflows.iter().any(|known| known.name == workflow) {
        return Ok(());
    }
    let names: Vec<&str> = found.workflows.iter().map(|known| known.name.as_str()).collect();
    let failure = Failure::new(format!("{app} has no workflow {workflow}"));
    Err(match names.is_empty() {
        true => failure
            .hint(format!("{app} has none: add preset = \"okta\", or [apps.{app}.workflows.{workflow}]")),
        false => failure.hint(format!("its workflows are {}", names.join(", "))),
    }
    .into())
}
