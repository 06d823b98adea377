//! All that a request needs, immutable: built beside the running generation, and replaced whole.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderName;
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use crate::config::model::{App as AppConfig, Config, Limits, OnUnavailable, TicketLifetime};
use crate::decide::decision::{Rules, SessionRules, StateHit};
use crate::decide::engine::Engine;
use crate::decide::evacuate::Orders;
use crate::decide::headers::Trust;
use crate::decide::host::HostTable;
use crate::decide::subject::KeySource;
use crate::decide::ticket::{Sealer, SigningKey};
use crate::decide::workflow::{Table, parameter};
use crate::runtime::listener::Listeners;
use crate::runtime::pool::Pool;
use crate::runtime::sightings::Sightings;
use crate::runtime::states::States;
use crate::upstream::endpoint::Endpoint;

/// One generation of the configuration, made into machinery.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts up by one with every edit that was applied; the first is 1.
    pub generation: u64,
    /// Digest of the configuration and its subjects, as operators compare replicas by it.
    pub hash: String,
    /// What it was built from.
    pub config: Arc<Config>,
    /// The apps, in file order.
    pub apps: Vec<App>,
    /// Hosts to positions in `apps`.
    pub hosts: HostTable<usize>,
    /// Whose word is believed.
    pub trust: Trust,
    /// What a client may cost us.
    pub limits: Limits,
    /// What each listener speaks.
    pub listeners: Listeners,
    /// Who issued which `state`: one index for all generations.
    pub states: Arc<States>,
}

/// One app.
#[derive(Debug)]
pub struct App {
    /// The name in metrics and logs.
    pub name: String,
    /// What decides.
    pub rules: Rules,
    /// Sets this app's throws of the dice apart from those of other apps on the same connection.
    pub roll: u64,
    /// Headers that only a trusted peer may set.
    pub key_headers: Vec<HeaderName>,
    /// Whether the engines are told the decision.
    pub annotate: bool,
    /// What happens to requests whose engine cannot serve.
    pub on_unavailable: OnUnavailable,
    /// The engines' pools, by [`Engine::index`].
    pub pools: [Pool; 2],
    /// Which session cookies both engines were seen to set: one book for all generations.
    pub sightings: Sightings,
}

impl App {
    /// The pool of one engine.
    pub fn pool(&self, engine: Engine) -> &Pool {
        &self.pools[engine.index()]
    }

    /// The session cookies by which the engines would get into each other's way, but for session pins.
    pub fn cookies_in_both(&self) -> impl Iterator<Item = &str> {
        let is_meant = self.rules.session.shared || self.rules.session.isolate;
        self.sightings.in_both().filter(move |_| !is_meant)
    }
}

impl Snapshot {
    /// Builds a generation. `made_keys` are the signing keys that were made at start: they sign where the
    /// configuration names no key file, and verify in any case, so that naming one later takes no ticket away.
    /// Endpoints that `previous` had are carried over, with their connections and counters. Nothing is started
    /// that could not be dropped again. `listeners` are those of the same configuration.
    pub fn build(
        config: Arc<Config>,
        listeners: Listeners,
        hash: String,
        made_keys: &[SigningKey],
        generation: u64,
        previous: Option<&Self>,
    ) -> Self {
        let mut known: HashMap<(&str, Engine, &str), &Arc<Endpoint>> = HashMap::new();
        for app in previous.iter().flat_map(|previous| &previous.apps) {
            for engine in Engine::BOTH {
                for endpoint in &app.pool(engine).endpoints {
                    known.insert((&app.name, engine, &endpoint.label), endpoint);
                }
            }
        }
        let keys: Vec<SigningKey> = config.ticket.keys.iter().chain(made_keys).cloned().collect();
        let apps = config
            .apps
            .iter()
            .map(|app| {
                let pool = |engine| {
                    Pool::build(app.pool(engine), |label| {
                        known.get(&(app.name.as_str(), engine, label)).copied()
                    })
                };
                App {
                    name: app.name.clone(),
                    rules: rules(app, &config, &keys),
                    roll: u64::from_be_bytes(*Sha256::digest(&app.name).first_chunk().expect("32 bytes")),
                    key_headers: key_headers(app),
                    annotate: app.annotate,
                    on_unavailable: app.on_unavailable,
                    pools: Engine::BOTH.map(pool),
                    sightings: Sightings::of(
                        &app.session.cookies,
                        previous.and_then(|previous| previous.app(&app.name)).map(|app| &app.sightings),
                    ),
                }
            })
            .collect();
        let hosts = HostTable::new(config.apps.iter().enumerate().map(|(at, app)| (&app.hosts[..], at)));
        Self {
            generation,
            hash,
            apps,
            hosts,
            trust: Trust::new(config.trusted_proxies.clone()),
            limits: config.limits.clone(),
            listeners,
            states: previous.map(|previous| Arc::clone(&previous.states)).unwrap_or_default(),
            config,
        }
    }

    /// Who issued the `state` that a query carries, as far as this process saw it. `now` is in seconds since the
    /// Unix epoch.
    pub fn state_hit(&self, app: &App, query: Option<&str>, now: u64) -> Option<StateHit> {
        let state: Vec<u8> = percent_decode_str(parameter(query?, "state")?).collect();
        self.states.find(&app.name, &state, now)
    }

    /// The app of a name.
    pub fn app(&self, name: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.name == name)
    }
}

/// What decides for one app; `keys` sign its tickets.
pub fn rules(app: &AppConfig, config: &Config, keys: &[SigningKey]) -> Rules {
    let lifetime = match config.ticket.lifetime {
        TicketLifetime::Session => None,
        TicketLifetime::For(duration) => Some(duration),
    };
    Rules {
        keys: app.keys.clone(),
        salt: app.salt.clone(),
        share: app.share.clone(),
        targets: app.targets.clone(),
        sealer: Sealer::new(keys, &app.name, app.epoch, lifetime).with_cross_site(app.form_post),
        only: match (app.classic.endpoints.is_empty(), app.identity.endpoints.is_empty()) {
            (true, false) => Some(Engine::Identity),
            (false, true) => Some(Engine::Classic),
            (true, true) | (false, false) => None,
        },
        default: if app.classic.endpoints.is_empty() { Engine::Identity } else { Engine::Classic },
        table: Table::new(app.workflows.clone(), &app.assets),
        session: SessionRules {
            cookies: app.session.cookies.clone(),
            shared: app.session.shared,
            isolate: app.session.isolate,
            lifetime: u32::try_from(app.session.lifetime.as_secs()).unwrap_or(u32::MAX),
        },
        evacuate: Orders::new(app.evacuate.clone()),
    }
}

fn key_headers(app: &AppConfig) -> Vec<HeaderName> {
    app.keys
        .iter()
        .filter_map(|key| match key {
            KeySource::Header(name) => Some(name.clone()),
            KeySource::Cookie(_)
            | KeySource::Query(_)
            | KeySource::Jwt(_)
            | KeySource::ClientCert(_)
            | KeySource::Device => None,
        })
        .collect()
}
