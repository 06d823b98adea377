//! A proxy with a configuration in a folder of its own.

use std::net::SocketAddr;
use std::path::Path;

use cutover::ambient::Ahead;
use cutover::app::App;
use cutover::control::Outcome;
use cutover::telemetry::events::Origin;
use tokio::runtime::Builder;

use super::client::{Browser, Client};
use super::engine::Engine;
use super::wire::Wire;
use crate::operators::{Answer, Folder, KEYS, ask, eventually};

/// The two engines of an app called portal; `lines` stand in its own table.
pub(crate) fn portal(lines: &str, classic: &Engine, identity: &Engine) -> String {
    pools(lines, &list(&[classic]), &list(&[identity]))
}

/// As [`portal`], with the engines' tables written out.
pub(crate) fn pools(lines: &str, classic: &str, identity: &str) -> String {
    format!("[apps.portal]\n{lines}\n[apps.portal.classic]\n{classic}\n[apps.portal.identity]\n{identity}\n")
}

/// The line that names endpoints.
pub(crate) fn list(engines: &[&Engine]) -> String {
    let urls: Vec<String> = engines.iter().map(|engine| format!("{:?}", engine.url())).collect();
    format!("endpoints = [{}]", urls.join(", "))
}

/// A running proxy. It ends with the test.
pub(crate) struct Proxy {
    app: Option<App>,
    pub(crate) folder: Folder,
    ahead: Ahead,
}

impl Proxy {
    /// Runs with this configuration; what every test needs and this one does not say is added.
    pub(crate) fn with(toml: impl AsRef<str>) -> Self {
        let folder = Folder::new();
        folder.write("keys", KEYS);
        Self::within(folder, toml)
    }

    /// As [`Proxy::with`], with files that the configuration names.
    pub(crate) fn within(folder: Folder, toml: impl AsRef<str>) -> Self {
        let path = folder.write("cutover.toml", completed(toml.as_ref()));
        Self::from_file(folder, &path)
    }

    /// Runs with a file that the test has put somewhere into the folder.
    pub(crate) fn from_file(folder: Folder, path: &Path) -> Self {
        let ahead = Ahead::default();
        let app = App::start_ahead(path, &ahead).unwrap_or_else(|error| panic!("{error}"));
        Self { app: Some(app), folder, ahead }
    }

    /// So many seconds pass, as far as it knows. It notices within a tenth of one.
    pub(crate) fn later(&self, seconds: u64) {
        self.ahead.pass(seconds);
    }

    pub(crate) fn app(&self) -> &App {
        self.app.as_ref().expect("it runs")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.app().listeners()[0]
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.app().admin()
    }

    pub(crate) fn client(&self) -> Client {
        Client::to(self.address())
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::to(self.address())
    }

    pub(crate) fn wire(&self) -> Wire {
        Wire::to(self.address())
    }

    /// Sends these bytes and reads until the proxy closes.
    pub(crate) fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut wire = self.wire();
        wire.send(bytes);
        String::from_utf8_lossy(&wire.rest()).into_owned()
    }

    pub(crate) fn text(&self) -> String {
        self.folder.read("cutover.toml")
    }

    /// Edits the configuration and asks for a look at it.
    pub(crate) fn try_edit(&self, edit: impl FnOnce(&str) -> String) -> Outcome {
        self.folder.write("cutover.toml", edit(&self.text()));
        self.reload()
    }

    pub(crate) fn reload(&self) -> Outcome {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(self.app().control().reload(Origin::Admin)).expect("it runs")
    }

    /// Edits the configuration; the edit must be good. Unchanged is one that the file watch took up first.
    pub(crate) fn edit(&self, edit: impl FnOnce(&str) -> String) {
        match self.try_edit(edit) {
            Outcome::Applied { .. } | Outcome::Unchanged { .. } => {}
            Outcome::Rejected { problems, .. } => panic!("{problems}"),
        }
    }

    /// Replaces a part of the configuration.
    pub(crate) fn replace(&self, old: &str, new: &str) {
        assert!(self.text().contains(old), "{old} in {}", self.text());
        self.edit(|text| text.replace(old, new));
    }

    pub(crate) fn ask(&self, request: &str) -> Answer {
        ask(self.admin(), request, &[])
    }

    /// The value of a series, with its labels written as the metrics page writes them; 0 when it is not there.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let page = self.ask("GET /metrics").body;
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Waits for a series to have a value.
    pub(crate) fn counts(&self, series: &str, value: f64) {
        let what = format!("{series} {value}");
        eventually(&what, || (self.metric(series) == value).then_some(()));
    }

    /// Ends it as SIGTERM does, and returns how many connections were cut, and its folder.
    pub(crate) fn shut_down(mut self) -> (usize, Folder) {
        let app = self.app.take().expect("it runs");
        (app.shut_down(), std::mem::replace(&mut self.folder, Folder::new()))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Tests leave keep-alive connections behind; nothing waits for those.
        let Some(app) = self.app.take() else { return };
        // The folder goes last: a watch that sees it vanish has something to say.
        let folder = std::mem::replace(&mut self.folder, Folder::new());
        std::thread::spawn(move || {
            app.shut_down();
            drop(folder);
        });
    }
}

/// Top-level keys stand first in TOML, tables may stand anywhere.
pub(crate) fn completed(toml: &str) -> String {
    let mut text = String::new();
    if !toml.contains("workers =") {
        text.push_str("workers = 2\n");
    }
    text.push_str(toml);
    for (table, lines) in [
        ("[[listeners]]", "bind = \"127.0.0.1:0\""),
        ("[admin]", "bind = \"127.0.0.1:0\""),
        ("[log]", "level = \"error\"\naccess = false"),
        ("[ticket]", "key_file = \"keys\""),
        ("[shutdown]", "drain = \"5s\""),
    ] {
        if !toml.contains(table) {
            text.push_str(&format!("\n{table}\n{lines}\n"));
        }
    }
    text
}
