//! `cutover run`

use std::path::PathBuf;
use std::process::ExitCode;

use crate::app::App;
use crate::cli::signals::Signals;

/// Serve. The configuration is followed while it changes; SIGTERM and Ctrl-C end it politely
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cutover run --config /etc/cutover/cutover.toml")]
pub(super) struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "cutover.toml")]
    config: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Caught before anything is served, so that no signal finds a proxy that does not listen to it.
    let mut signals = Signals::catch()?;
    let app = App::start(&args.config)?;
    signals.wait();
    signals.insist(|| {});
    // Connections that had to be cut are told in the log: the process ends as it was asked to.
    app.shut_down();
    Ok(ExitCode::SUCCESS)
}
