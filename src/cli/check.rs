//! `cutover check`

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::admin::views::{ListenerView, StageView, WorkflowShareView};
use crate::ambient::unix_seconds;
use crate::cli::render::{self, count};
use crate::config::model::{App, Config};
use crate::config::units::write_share;
use crate::config::{self, print};

/// Apps that the summary names; whoever has more knows them.
const NAMED: usize = 8;

/// Find every mistake of a configuration, before the proxy does
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cutover check cutover.toml\n  cutover check --print cutover.toml")]
pub(super) struct Args {
    /// The configuration
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print the configuration with every default filled in
    #[arg(long)]
    print: bool,
}

pub(super) fn run(args: &Args, json: bool) -> anyhow::Result<ExitCode> {
    let Args { file, print } = args;
    let loaded = config::load(file, None)?;
    render::warnings(&loaded.warnings);
    let effective = print.then(|| print::effective(&loaded.config));
    let now = unix_seconds();
    let summary = format!("{} is valid: {}", file.display(), summary(&loaded.config, now));
    let edge = ListenerView::all(&loaded.config, now);
    for warning in edge.iter().flat_map(ListenerView::warnings) {
        render::talk(&format!("warning: {warning}\n"));
    }
    if json {
        render::json_data(&json!({
            "file": loaded.name,
            "hash": loaded.hash,
            "listeners": loaded.config.listeners.iter().map(|listener| listener.bind.to_string()).collect::<Vec<_>>(),
            "edge": edge,
            "apps": loaded.config.apps.iter().map(|app| app_json(app, now)).collect::<Vec<_>>(),
            "problems": [],
            "warnings": render::problems(&loaded.warnings),
            "effective": effective,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    match effective {
        None => {
            render::data(&summary)?;
            for line in edge.iter().flat_map(ListenerView::lines) {
                render::data(&format!("  {line}"))?;
            }
        }
        Some(effective) => {
            render::talk(&summary);
            render::data(effective.trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn app_json(app: &App, now: u64) -> serde_json::Value {
    let share = app.share.at(now);
    json!({
        "name": app.name,
        "hosts": app.hosts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "percent": share.to_string(),
        "ratio": share.ratio(),
        "next_stage": StageView::next(&app.share, now),
        "workflows": WorkflowShareView::all(app, now),
    })
}

/// What is in force, and what comes next: apps, each with the workflows that have a share of their own.
fn summary(config: &Config, now: u64) -> String {
    let Config { listeners, apps, .. } = config;
    let app = |app: &App| {
        let shares = app.schedules().map(|(workflow, schedule)| {
            format!("{} {}", workflow.unwrap_or(&app.name), write_share(schedule, now))
        });
        shares.collect::<Vec<_>>().join(", ")
    };
    let mut shares: Vec<String> = apps.iter().take(NAMED).map(app).collect();
    if apps.len() > NAMED {
        shares.push(format!("and {} more", apps.len() - NAMED));
    }
    let (listeners, apps) = (count(listeners.len(), "listener"), count(apps.len(), "app"));
    format!("{listeners}, {apps}: {}", shares.join("; "))
}
