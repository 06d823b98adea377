//! `cutover evacuate`

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::ambient::unix_seconds;
use crate::cli::render::{self, Failure};
use crate::config::diff::{Verdict, diff};
use crate::config::units::write_moment;
use crate::config::{self, edit};
use crate::decide::engine::Engine;
use crate::decide::evacuate::{Order, SignOut};

/// Move everybody off an engine whom it holds until now: write a dated order into the configuration; comments and everything else stay as they are
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cutover evacuate portal identity --sign-out /logout --config cutover.toml\n  \
    cutover evacuate portal identity --dry-run\n\n\
    Lower the share first (cutover set portal 0), or people come right back."
)]
pub(super) struct Args {
    /// The app
    #[arg(value_name = "APP")]
    app: String,
    /// The engine to leave: classic or identity
    #[arg(value_name = "ENGINE")]
    engine: String,
    /// The engine's own sign-out, to which signed-in users are sent first, once
    #[arg(long, value_name = "PATH")]
    sign_out: Option<String>,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "cutover.toml")]
    config: PathBuf,
    /// Show what would be ordered, and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &Args, json: bool) -> anyhow::Result<ExitCode> {
    let Args { app, engine, sign_out, config: path, dry_run } = args;
    let engine: Engine = engine
        .parse()
        .map_err(|()| Failure::new(format!("{engine:?} is no engine")).hint("write classic or identity"))?;
    let sign_out = sign_out.as_deref().map(SignOut::parse).transpose().map_err(|error| {
        Failure::new(format!("--sign-out cannot sign anybody out: {error}")).hint(error.hint())
    })?;
    let order = Order { engine, at: unix_seconds(), sign_out };
    let old = config::load(path, None)?;
    if old.config.apps.iter().any(|known| known.name == *app && known.evacuate.contains(&order)) {
        return already(args, &order, json);
    }
    let text = edit::add_order(&old.text, app, &order).map_err(|error| Failure::of_edit(path, &error))?;
    // Read as the server will read it, so that it has no reason to refuse.
    let new = config::load_text(path, &text, Some(&old))?;
    let plan = diff(&old.config, &new.config, order.at);
    render::warnings(&new.warnings);
    if !dry_run {
        config::replace(path, &text, &old).map_err(|error| {
            let (first, lines) = edit::changed_lines(&old.text, &text);
            let wanted = format!("line {first} should read {}", lines.join("\n"));
            let hint = error.hint().map_or(wanted.clone(), |hint| format!("{hint}; {wanted}"));
            Failure::new(error.to_string()).hint(hint)
        })?;
    }
    let way = order.sign_out.as_ref().map(SignOut::as_str);
    if json {
        let (line, lines) = edit::changed_lines(&old.text, &text);
        render::json_data(&json!({
            "app": app,
            "engine": engine.as_str(),
            "at": write_moment(order.at),
            "sign_out": way,
            "file": path,
            "line": line,
            "lines": lines,
            "written": !dry_run,
            "verdict": render::verdict(plan.verdict()),
            "changes": render::changes(&plan),
            "warnings": render::problems(&new.warnings),
        }))?;
    } else {
        render::data(&plan.to_string())?;
    }
    render::talk(&follows(engine, way));
    render::talk(&if *dry_run {
        format!("{} stays as it is: this was a dry run", path.display())
    } else {
        format!("{} is written", path.display())
    });
    Ok(ExitCode::SUCCESS)
}

/// The very same order stands in the file: somebody asked twice within a second.
fn already(args: &Args, order: &Order, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        render::json_data(&json!({
            "app": args.app,
            "engine": order.engine.as_str(),
            "at": write_moment(order.at),
            "sign_out": order.sign_out.as_ref().map(SignOut::as_str),
            "file": args.config,
            "line": null,
            "lines": [],
            "written": false,
            "verdict": render::verdict(Verdict::Unchanged),
            "changes": [],
            "warnings": [],
        }))?;
    }
    render::talk("already ordered; nothing to do");
    Ok(ExitCode::SUCCESS)
}

/// What users will notice.
fn follows(engine: Engine, way: Option<&str>) -> String {
    match way {
        Some(path) => format!(
            "note: flows on {engine} end with their next request; who is signed in there goes to {path} with the next \
             page, once, and is decided anew after it"
        ),
        None => format!(
            "note: flows and sessions on {engine} end with their next request, without a sign-out there; who was \
             signed in has to sign in again"
        ),
    }
}
