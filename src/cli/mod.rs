//! Operators over a terminal.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let path = args.last().unwrap_or_default();
    match crate::app::App::start(std::path::Path::new(&path)) {
        Ok(app) => {
            loop {
                std::thread::park();
                let _ = &app;
            }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
