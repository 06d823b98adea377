//! What each listener speaks, made ready for its connections.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderValue;
use rustls::ServerConfig;
use rustls::server::ProducesTickets;

use crate::config::files::Digest;
use crate::config::model::{Listener as ListenerConfig, Tls};
use crate::net::tls::{TlsError, server_config, ticketer};

/// One listener.
#[derive(Debug)]
pub struct Listener {
    /// The address that the operator wrote.
    pub bind: SocketAddr,
    /// Whether connections begin with a PROXY protocol header.
    pub is_proxied: bool,
    /// Whether requests are sent on to the same URL over TLS.
    pub redirects: bool,
    /// What its responses say as `Strict-Transport-Security`.
    pub hsts: Option<HeaderValue>,
    /// How it speaks TLS; `None` for plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// What `tls` was made of.
    settings: Option<Tls>,
}

/// The listeners of one generation.
#[derive(Debug, Default)]
pub struct Listeners {
    all: Vec<Arc<Listener>>,
    /// One ticketer for all workers and generations, and one for every set of client certificates: a session that was
    /// begun with other ones must not be taken up again.
    ticketers: BTreeMap<[u8; 32], Arc<dyn ProducesTickets>>,
}

impl Listeners {
    /// Makes them ready. What has not changed since `previous` is taken from there.
    pub fn build(config: &[ListenerConfig], previous: Option<&Self>) -> Result<Self, TlsError> {
        let mut built = Self::default();
        for listener in config {
            let ListenerConfig { bind, proxy_protocol, redirect_to_https, hsts, tls } = listener;
            let known = previous.and_then(|previous| previous.find(*bind));
            let known = known.filter(|known| known.settings == *tls).and_then(|known| known.tls.clone());
            let tls_config = match (tls, known) {
                (None, _) => None,
                (Some(tls), known) => {
                    let ticketer = built.ticketer(tls, previous);
                    Some(known.map_or_else(|| server_config(tls, ticketer), Ok)?)
                }
            };
            built.all.push(Arc::new(Listener {
                bind: *bind,
                is_proxied: *proxy_protocol,
                redirects: *redirect_to_https,
                hsts: hsts.clone(),
                tls: tls_config,
                settings: tls.clone(),
            }));
        }
        Ok(built)
    }

    fn ticketer(&mut self, tls: &Tls, previous: Option<&Self>) -> Option<Arc<dyn ProducesTickets>> {
        let clients = tls.client_ca.as_ref().map_or([0; 32], |ca| *Digest::as_bytes(&ca.digest));
        let known = self.ticketers.get(&clients);
        let known = known.or_else(|| previous.and_then(|previous| previous.ticketers.get(&clients)));
        let ticketer = known.cloned().or_else(ticketer)?;
        self.ticketers.insert(clients, Arc::clone(&ticketer));
        Some(ticketer)
    }

    /// The listener of an address, as the operator wrote it.
    pub fn find(&self, bind: SocketAddr) -> Option<&Arc<Listener>> {
        self.all.iter().find(|listener| listener.bind == bind)
    }
}
