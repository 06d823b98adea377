//! `cutover plan`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::ambient::unix_seconds;
use crate::cli::render::{self, Failure};
use crate::config::diff::{Change, Mover, Plan, Refusal, diff, knows_users, movers};
use crate::config::units::write_moment;
use crate::config::{self, Loaded};
use crate::decide::bucket::Share;
use crate::decide::subject::SubjectKey;

/// Show what an edit changes, and who moves which way, at once and at every stage
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  git show HEAD:cutover.toml > old.toml && cutover plan old.toml cutover.toml\n\n\
    Exit code: 0 nobody moves back, 1 a file is invalid, 3 someone moves back, 4 people are placed anew"
)]
pub(super) struct Args {
    /// The configuration before the edit
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The configuration after it
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// A file with one key per line: name who of them moves, in which workflow, which way and when
    #[arg(long, value_name = "FILE")]
    subjects: Option<PathBuf>,
}

pub(super) fn run(args: &Args, json: bool) -> anyhow::Result<ExitCode> {
    let now = unix_seconds();
    let old = config::load(&args.old, None)?;
    let new = config::load(&args.new, None)?;
    render::warnings(&new.warnings);
    let text = args.subjects.as_deref().map(subjects_text).transpose()?;
    let lines = text.iter().flat_map(|text| text.lines()).map(str::trim);
    let (subjects, keys): (Vec<&str>, Vec<SubjectKey<'_>>) =
        lines.filter_map(|line| Some((line, SubjectKey::new(line)?))).unzip();
    let movers = movers(&old.config, &new.config, now, &keys);
    if text.is_some() {
        note_on_browsers(&new);
    }

    let plan = diff(&old.config, &new.config, now);
    let refusals = plan.refusals();
    for refusal in &refusals {
        render::talk(&format!("a running proxy refuses this edit: {refusal}"));
    }
    for change in plan.deferred() {
        render::talk(&format!("not before a restart: {change}"));
    }
    if json {
        let refusal = |refusal: &Refusal| json!({ "message": refusal.message, "hint": refusal.hint });
        render::json_data(&json!({
            "verdict": render::verdict(plan.verdict()),
            "changes": render::changes(&plan),
            "moves": moves_json(&plan),
            "subjects": text.is_some().then(|| subjects_json(&movers, &subjects)),
            "refusals": refusals.iter().map(refusal).collect::<Vec<_>>(),
            "warnings": render::problems(&new.warnings),
        }))?;
    } else {
        let mut told = if plan.is_empty() { "nothing changes".to_owned() } else { plan.to_string() };
        if text.is_some() {
            told.push_str(&subjects_table(&movers, &subjects));
        }
        render::data(&told)?;
    }
    Ok(ExitCode::from(plan.verdict().exit_code()))
}

fn subjects_text(path: &Path) -> anyhow::Result<String> {
    let failed = |why: String| Failure::new(format!("cannot read the subjects in {}: {why}", path.display()));
    let bytes = config::read_listed(path)
        .map_err(|error| failed(error.to_string()).hint("--subjects names a file with one key per line"))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| failed("it is not UTF-8".to_owned()).hint("save it as UTF-8"))?;
    // Some editors begin a file with a byte order mark.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn note_on_browsers(new: &Loaded) {
    for app in new.config.apps.iter().filter(|app| !knows_users(app)) {
        render::talk(&format!("note: {} knows browsers only: no subject has a place there", app.name));
    }
}

/// When, as operators write it.
fn when(at: Option<u64>) -> String {
    at.map_or("now".to_owned(), write_moment)
}

/// The plan in numbers: for each place whose share changes, what moves now and at each stage that lies ahead.
fn moves_json(plan: &Plan) -> Value {
    let row = |place: &str, at: Option<u64>, (from, to): (Share, Share), old: (Share, Share)| {
        let (app, workflow) = place.split_once('/').map_or((place, None), |(app, name)| (app, Some(name)));
        let part =
            |more: Share, less: Share| f64::from(more.parts().saturating_sub(less.parts())) / 100_000.0;
        json!({
            "app": app,
            "workflow": workflow,
            "when": when(at),
            "at": at,
            "from": from.to_string(),
            "to": to.to_string(),
            "to_identity": part(to, from),
            "back": part(from, to),
            "old_from": old.0.to_string(),
            "old_to": old.1.to_string(),
            "as_before": at.is_some() && old == (from, to),
        })
    };
    let mut rows = Vec::new();
    // What else moves people is told as a change: there is no share from which to which.
    for change in &plan.changes {
        if let Change::Share { app, from, to, anew: _ } = change {
            rows.push(row(app, None, (*from, *to), (*from, *from)));
        } else if let Change::Schedule(change) = change {
            rows.extend(change.steps.iter().map(|step| row(&change.app, Some(step.at), step.new, step.old)));
        }
    }
    rows.into()
}

fn subjects_json(movers: &[Mover<'_>], subjects: &[&str]) -> Value {
    let row = |mover: &Mover<'_>| {
        let Mover { subject, app, workflow, at, to, is_as_before } = mover;
        json!({
            "subject": subjects[*subject],
            "app": app,
            "workflow": workflow,
            "when": when(*at),
            "at": at,
            "from": to.other().as_str(),
            "to": to.as_str(),
            "as_before": is_as_before,
        })
    };
    movers.iter().map(row).collect()
}

fn subjects_table(movers: &[Mover<'_>], subjects: &[&str]) -> String {
    if movers.is_empty() {
        return format!("\n\nof {} nobody moves", render::count(subjects.len(), "subject"));
    }
    let row = |mover: &Mover<'_>| {
        let Mover { subject, app, workflow, at, to, is_as_before } = mover;
        let place = workflow.map_or_else(|| (*app).to_owned(), |workflow| format!("{app}/{workflow}"));
        let as_before = if *is_as_before { "as before the edit" } else { "" };
        vec![subjects[*subject].to_owned(), place, format!("to {to}"), when(*at), as_before.to_owned()]
    };
    format!("\n\n{}", render::table(&movers.iter().map(row).collect::<Vec<_>>()))
}
