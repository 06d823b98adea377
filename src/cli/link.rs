//! `cutover link`

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use crate::ambient::unix_seconds;
use crate::cli::render::{self, Failure};
use crate::config::{self, units};
use crate::decide::engine::Engine;
use crate::proxy::tester::PATH;
use crate::runtime::listener::Listeners;
use crate::runtime::snapshot::Snapshot;

/// Print a signed link that puts a tester's browser on one engine, whatever the percentages
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cutover link portal identity --ttl 7d --config cutover.toml\n\n\
    The browser goes back to where everybody is at /.well-known/cutover/tester?clear")]
pub(super) struct Args {
    /// The app
    #[arg(value_name = "APP")]
    app: String,
    /// classic or identity
    #[arg(value_name = "ENGINE")]
    engine: String,
    /// How long the link, and the cookie that it sets, are good for
    #[arg(long, value_name = "DURATION", default_value = "7d")]
    ttl: String,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "cutover.toml")]
    config: PathBuf,
}

pub(super) fn run(args: &Args, json: bool) -> anyhow::Result<ExitCode> {
    let Args { app: name, engine, ttl, config: path } = args;
    let loaded = config::load(path, None)?;
    let engine: Engine = engine
        .parse()
        .map_err(|()| Failure::new(format!("{engine:?} is no engine")).hint("write classic or identity"))?;
    let life = units::duration(ttl)
        .map_err(|error| Failure::new(format!("--ttl: {}", error.message)).hint(error.hint))?;
    if life.as_secs() == 0 {
        return Err(Failure::new("--ttl must be a second or more")
            .hint("write a duration such as 7d")
            .into());
    }
    if loaded.config.ticket.key_file.is_none() {
        let hint = "write the line that `cutover keygen` prints to a file, and name it in [ticket] key_file";
        return Err(Failure::new("there is no key to sign the link with").hint(hint).into());
    }
    let snapshot =
        Snapshot::build(Arc::clone(&loaded.config), Listeners::default(), loaded.hash.clone(), &[], 1, None);
    let Some(app) = snapshot.app(name) else {
        let names: Vec<&str> = snapshot.apps.iter().map(|app| app.name.as_str()).collect();
        let hint = format!("the apps are {}", names.join(", "));
        return Err(Failure::new(format!("there is no app {name}")).hint(hint).into());
    };
    let expires = u32::try_from(unix_seconds() + life.as_secs()).unwrap_or(u32::MAX);
    let token = app.rules.sealer.tester_token(engine, expires);
    let token = token.ok_or_else(|| Failure::new("there is no key to sign the link with"))?;
    let hosts = &loaded.config.apps.iter().find(|known| known.name == *name).map(|app| app.hosts.as_slice());
    let host =
        hosts.iter().flat_map(|hosts| hosts.iter()).map(ToString::to_string).find(|host| !host.contains('*'));
    let path = format!("{PATH}?token={token}");
    // Whether TLS ends before us is not for the configuration to say; a public site has it.
    let link = host.as_ref().map_or_else(|| path.clone(), |host| format!("https://{host}{path}"));
    if json {
        render::json_data(
            &json!({ "app": name, "engine": engine.as_str(), "link": link, "expires_at": expires }),
        )?;
    } else {
        render::data(&link)?;
        if host.is_none() {
            render::talk("the app names no host: put the site's address before it");
        }
    }
    Ok(ExitCode::SUCCESS)
}
