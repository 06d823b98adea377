//! `cutover keygen`

use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;

use crate::ambient::fresh_key;
use crate::cli::render;
use crate::decide::ticket::SigningKey;

/// Print one line for the file that `ticket.key_file` names
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  (umask 077; cutover keygen > cutover.keys)\n\n\
    The first line signs, all verify: to rotate, put a new line on top, and take the old one away when its\n\
    tickets have expired.")]
pub(super) struct Args {}

pub(super) fn run(_: &Args, json: bool) -> anyhow::Result<ExitCode> {
    let key = new_key()?;
    if json {
        render::json_data(&json!({ "key": key }))?
    } else {
        render::data(&key)?
    }
    Ok(ExitCode::SUCCESS)
}

/// A line of a key file.
pub(super) fn new_key() -> anyhow::Result<String> {
    let key = SigningKey::new(fresh_key().to_vec()).context("a fresh key is too short")?;
    Ok(key.to_base64())
}
