//! Cutover: a staged-rollout reverse proxy.
pub mod ambient;
pub mod config;
pub mod decide;
pub mod demo;
/// CLI.
pub mod cli {
    /// Runs.
    pub fn run(_: impl Iterator<Item = std::ffi::OsString>) -> std::process::ExitCode {
        std::process::ExitCode::SUCCESS
    }
}
