//! Operators over a terminal: what was asked for, and the exit code that says how it went.
//!
//! Data goes to standard output, talk to standard error. 0 is well, 1 is wrong, 2 is a mistake in the command
//! line; `plan` has two more.

mod check;
mod demo;
mod evacuate;
mod explain;
mod keygen;
mod link;
mod plan;
mod render;
mod run;
mod set;
mod signals;
mod status;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A staged-rollout reverse proxy: moves the users of one web app from its Classic to its Identity Engine
/// version, a percentage at a time.
#[derive(Debug, Parser)]
#[command(name = "cutover", version, about, arg_required_else_help = true)]
#[command(after_help = "Begin with:\n  cutover demo")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// Write JSON on standard output
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Args),
    Demo(demo::Args),
    Check(check::Args),
    Plan(plan::Args),
    Explain(explain::Args),
    Set(set::Args),
    Evacuate(evacuate::Args),
    Link(link::Args),
    Status(status::Args),
    Keygen(keygen::Args),
}

/// Does what the command line says.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let Cli { verb, json } = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(answer) => {
            // Help and version are answers too, and whoever asked may have hung up.
            let _ = answer.print();
            return u8::try_from(answer.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    let done = match verb {
        Verb::Run(args) => run::run(&args),
        Verb::Demo(args) => demo::run(&args, json),
        Verb::Check(args) => check::run(&args, json),
        Verb::Plan(args) => plan::run(&args, json),
        Verb::Explain(args) => explain::run(args, json),
        Verb::Set(args) => set::run(&args, json),
        Verb::Evacuate(args) => evacuate::run(&args, json),
        Verb::Link(args) => link::run(&args, json),
        Verb::Status(args) => status::run(&args, json),
        Verb::Keygen(args) => keygen::run(&args, json),
    };
    done.unwrap_or_else(|error| render::failure(&error, json))
}
