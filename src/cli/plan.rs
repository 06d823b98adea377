//! `cutover plan`

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::render;
use crate::config;
use crate::config::diff::diff;

/// Show what an edit changes, and who moves which way
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
}

pub(super) fn run(args: &Args, json: bool) -> anyhow::Result<ExitCode> {
    let old = config::load(&args.old, None)?;
    let new = config::load(&args.new, None)?;
    render::warnings(&new.warnings);
    let plan = diff(&old.config, &new.config);
    let refusals = plan.refusals();
    for refusal in &refusals {
        render::talk(&format!("a running proxy refuses this edit: {refusal}"));
    }
    for change in plan.deferred() {
        render::talk(&format!("not before a restart: {change}"));
    }
    if json {
        let refusal =
            |refusal: &config::diff::Refusal| json!({ "message": refusal.message, "hint": refusal.hint });
        render::json_data(&json!({
            "verdict": render::verdict(plan.verdict()),
            "changes": render::changes(&plan),
            "refusals": refusals.iter().map(refusal).collect::<Vec<_>>(),
            "warnings": render::problems(&new.warnings),
        }))?;
    } else if plan.is_empty() {
        render::data("nothing changes")?;
    } else {
        render::data(&plan.to_string())?;
    }
    Ok(ExitCode::from(plan.verdict().exit_code()))
}
