//! `cutover status`

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::Builder;

use crate::admin::views::{
    AppView, ByEngine, ConfigurationView, EndpointView, ListenerView, LookView, OrderView, PoolView,
    StageView, StatusView, WarningView,
};
use crate::ambient::unix_seconds;
use crate::cli::render::{self, Failure, count, indent, span};

/// An admin listener that takes longer is not well.
const PATIENCE: Duration = Duration::from_secs(10);

/// A thousand apps take less than one.
const LARGEST: usize = 64 * 1024 * 1024;

/// What operators mix up first.
const NOT_THE_APP: &str = "--admin names the admin listener, which is not the one of the app";

/// Show what a running proxy does
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cutover status --admin http://127.0.0.1:9900")]
pub(super) struct Args {
    /// The proxy's admin listener
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9900")]
    admin: String,
    /// The file with the admin token, where the listener asks for one
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(super) fn run(args: &Args, json: bool) -> anyhow::Result<ExitCode> {
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let asked = async { tokio::time::timeout(PATIENCE, ask(&args.admin, token.as_deref())).await };
    let body = runtime.block_on(asked).map_err(|_| {
        Failure::new(format!("{} does not answer within {PATIENCE:?}", args.admin)).hint(NOT_THE_APP)
    })??;
    if json {
        render::data(body.trim_end())?;
    } else {
        let not_ours = || not_an_admin_listener(&args.admin);
        let view: StatusView = serde_json::from_str(&body).map_err(|_| not_ours())?;
        render::data(&text(&view, unix_seconds()))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a token of the operator's own, which belongs to no configuration"
)]
fn read_token(path: &std::path::Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// The body of `GET /api/v1/status`.
async fn ask(admin: &str, token: Option<&str>) -> anyhow::Result<String> {
    let (host, authority, port) = address_of(admin)?;
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| {
        let failure = Failure::new(format!("cannot connect to {admin}: {error}"));
        match error.kind() {
            io::ErrorKind::ConnectionRefused => failure
                .hint("nothing listens there: does the proxy run? Its admin.bind is what --admin must name"),
            // Foreign and open-ended: the system's own words must do.
            _ => failure.hint("--admin names the proxy's admin listener"),
        }
    })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its error is the request's too, which is the one that is told.
    tokio::spawn(async { drop(connection.await) });
    let mut request = Request::get("/api/v1/status")
        .header(HOST, authority)
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())?;
    if let Some(token) = token {
        let line = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Failure::new("the token file holds characters that cannot stand in a header"))?;
        request.headers_mut().insert(AUTHORIZATION, line);
    }
    let response = sender.send_request(request).await.map_err(|_| not_an_admin_listener(admin))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LARGEST).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("the answer of {admin} broke off: {error}"))?;
    let body = String::from_utf8(body.to_bytes().into()).map_err(|_| not_an_admin_listener(admin))?;
    if status == StatusCode::OK { Ok(body) } else { Err(refused(admin, status, &body).into()) }
}

/// Host, authority and port of the URL of an admin listener; `http://` may be left out.
fn address_of(admin: &str) -> anyhow::Result<(String, String, u16)> {
    let whole = if admin.contains("://") { admin.to_owned() } else { format!("http://{admin}") };
    let wrong = || {
        Failure::new(format!("{admin:?} is no URL of an admin listener"))
            .hint("such as http://127.0.0.1:9900")
    };
    let uri: Uri = whole.parse().map_err(|_| wrong())?;
    let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong().into());
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    Ok((host.to_owned(), authority.to_string(), authority.port_u16().unwrap_or(80)))
}

fn not_an_admin_listener(admin: &str) -> Failure {
    Failure::new(format!("{admin} does not answer like an admin listener of Cutover")).hint(NOT_THE_APP)
}

fn refused(admin: &str, status: StatusCode, body: &str) -> Failure {
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    let Some(detail) = problem["detail"].as_str() else { return not_an_admin_listener(admin) };
    let failure = Failure::new(format!("{admin} answers {status}: {detail}"));
    match (status, problem["hint"].as_str()) {
        (StatusCode::UNAUTHORIZED, _) => failure.hint("name the file with the token: --token-file FILE"),
        (_, Some(hint)) => failure.hint(hint),
        (_, None) => failure.hint(NOT_THE_APP),
    }
}

fn text(view: &StatusView, now: u64) -> String {
    let StatusView {
        version,
        generation,
        hash,
        uptime_seconds,
        workers,
        listeners,
        edge,
        connections,
        draining,
        ..
    } = view;
    let state = if *draining { "draining" } else { "ready" };
    let facts = [
        ("state", format!("{state}, up {}", span(*uptime_seconds))),
        ("version", version.clone()),
        ("generation", format!("{generation}, hash {hash}")),
        ("configuration", look(&view.configuration, now)),
        ("listeners", if edge.is_empty() { listeners.join(", ") } else { self::edge(edge) }),
        ("connections", format!("{connections} open, {}", count(*workers, "worker"))),
    ];
    let facts: Vec<Vec<String>> = facts.map(|(name, value)| vec![name.to_owned(), value]).into();
    let mut text = render::table(&facts);
    let LookView { changes, warnings, problems, .. } = &view.configuration.look;
    for told in changes.iter().chain(warnings).chain(problems) {
        text.push_str(&format!("\n{}", indent(told, 4)));
    }
    for app in &view.apps {
        text.push_str(&format!("\n\n{}", self::app(app)));
    }
    text
}

/// The lines of the listeners, behind one another's first.
fn edge(edge: &[ListenerView]) -> String {
    let lines: Vec<String> = edge.iter().flat_map(ListenerView::lines).collect();
    lines.join("\n               ")
}

fn look(configuration: &ConfigurationView, now: u64) -> String {
    let ConfigurationView { looked_at, origin, look } = configuration;
    let ago = span(now.saturating_sub(*looked_at));
    format!("{} {ago} ago ({origin})", look.result)
}

fn app(app: &AppView) -> String {
    let AppView {
        name,
        hosts,
        percent,
        ratio: _,
        next_stage,
        workflows,
        keys,
        epoch,
        targets,
        evacuate,
        engines,
        warnings,
    } = app;
    let hosts = if hosts.is_empty() { "every other host".to_owned() } else { hosts.join(", ") };
    let mut head = format!(
        "{name}  {} on identity  ({hosts}; keys {}; epoch {epoch}",
        share(percent, next_stage),
        keys.join(", ")
    );
    if !targets.is_empty() {
        head.push_str(&format!("; targets {}", targets.join(", ")));
    }
    let mut rows = vec![["ENGINE", "ENDPOINT", "WEIGHT", "IN FLIGHT", "STATE"].map(str::to_owned).to_vec()];
    let ByEngine { classic, identity } = engines;
    for (engine, PoolView { endpoints }) in [("classic", classic), ("identity", identity)] {
        if endpoints.is_empty() {
            rows.push([engine, "none"].map(str::to_owned).to_vec());
        }
        for endpoint in endpoints {
            let numbers = [endpoint.weight.to_string(), endpoint.in_flight.to_string(), state(endpoint)];
            rows.push([engine.to_owned(), endpoint.url.clone()].into_iter().chain(numbers).collect());
        }
    }
    let own = workflows.iter().filter(|workflow| workflow.own);
    let own =
        own.map(|workflow| format!("{} {}", workflow.name, share(&workflow.percent, &workflow.next_stage)));
    let own = own.collect::<Vec<_>>().join(", ");
    let own = if own.is_empty() { own } else { format!("\n  {own}") };
    let orders: String = evacuate.iter().map(order).collect();
    let mut text = format!("{head}){own}\n{}{orders}", indent(&render::table(&rows), 2));
    for WarningView { message, hint } in warnings {
        text.push_str(&format!("\n  warning: {message}\n    hint: {hint}"));
    }
    text
}

/// How an endpoint stands, and why, where requests do not go there.
fn state(endpoint: &EndpointView) -> String {
    let EndpointView { verdict, duty, why, .. } = endpoint;
    let told = match (verdict.as_str(), duty.as_str()) {
        (verdict, "enabled") => verdict.to_owned(),
        ("ready", duty) => duty.to_owned(),
        (verdict, duty) => format!("{duty}, {verdict}"),
    };
    if why.is_empty() { told } else { format!("{told}: {why}") }
}

/// What is in force, and what comes next.
fn share(percent: &str, next: &Option<StageView>) -> String {
    next.as_ref().map_or_else(|| percent.to_owned(), |next| format!("{percent} ({})", next.text()))
}

fn order(order: &OrderView) -> String {
    let OrderView { engine, at, sign_out, in_force } = order;
    let state = if *in_force { "since" } else { "from" };
    let way = sign_out.as_ref().map(|path| format!(", by way of {path}")).unwrap_or_default();
    format!("\n  evacuates {engine} {state} {at}{way}")
}
