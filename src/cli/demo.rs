//! `cutover demo`

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::app::App;
use crate::cli::keygen::new_key;
use crate::cli::render;
use crate::cli::signals::Signals;
use crate::decide::engine::Engine;
use crate::demo::{DemoEngine, demo_config, guide};

/// Where operators look first.
const ADMIN_PORT: u16 = 9900;

/// Run two small engines and a proxy between them, to play with; nothing else is needed
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cutover demo --port 8080")]
pub(super) struct Args {
    /// Where to open the app; another port is found when this one is taken
    #[arg(long, default_value_t = 8080)]
    port: u16,
}

pub(super) fn run(args: &Args, json: bool) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::catch()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (classic, identity) = {
        let _inside = runtime.enter();
        (DemoEngine::start(Engine::Classic)?, DemoEngine::start(Engine::Identity)?)
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let engines = std::thread::spawn(move || {
        // An error means that the sender is gone, which is the signal.
        runtime.block_on(async { drop(stopped.await) });
    });

    let folder =
        tempfile::Builder::new().prefix("cutover-demo-").tempdir().context("cannot make a folder")?;
    let (config, keys) = (folder.path().join("cutover.toml"), folder.path().join("cutover.keys"));
    fs::write(&keys, new_key()?).context("cannot write the key")?;
    let (listen, admin) = (free(args.port), free(ADMIN_PORT));
    fs::write(&config, demo_config(classic.address(), identity.address(), listen, admin, &keys))
        .context("cannot write the configuration")?;

    let app = App::start(&config)?;
    let proxy_url = format!("http://{}", app.listeners().first().copied().unwrap_or(listen));
    let admin_url = format!("http://{}", app.admin());
    if listen.port() != args.port {
        render::talk(&format!("port {} is taken: the app is at {proxy_url}", args.port));
    }
    if json {
        render::json_data(&json!({
            "app": proxy_url,
            "admin": admin_url,
            "classic": format!("http://{}", classic.address()),
            "identity": format!("http://{}", identity.address()),
            "config": config,
        }))?;
    } else {
        render::data(&guide(&proxy_url, &admin_url, &config, [&classic, &identity]))?;
    }

    signals.wait();
    let path = folder.path().to_owned();
    signals.insist(move || drop(fs::remove_dir_all(path)));
    app.shut_down();
    drop((stop, classic, identity));
    // An engine that panicked has nothing left to lose.
    let _ = engines.join();
    Ok(ExitCode::SUCCESS)
}

/// This port of the loopback, or whichever the system finds when somebody listens there. A probe without
/// `SO_REUSEPORT` finds another demo too.
fn free(port: u16) -> SocketAddr {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(wanted) {
        Ok(_) => wanted,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}
