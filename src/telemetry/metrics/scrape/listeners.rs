//! What came in by each listener, summed up.

use std::sync::Arc;

use super::Picture;
use crate::telemetry::kinds::{CloseReason, FloodKind, HandshakeFailure, TurnedAway};
use crate::telemetry::metrics::Certificates;
use crate::telemetry::metrics::cells::Counter;
use crate::telemetry::metrics::exposition::Exposition;
use crate::telemetry::metrics::families as family;
use crate::telemetry::metrics::shard::ListenerMetrics;

impl Picture {
    pub(super) fn write_listeners(&self, certificates: &Certificates, out: &mut Exposition) {
        let mut open = out.family(&family::CONNECTIONS_OPEN);
        for (name, shards) in &self.listeners {
            open.add(&[name], shards.iter().map(|listener| listener.open.get()).sum::<i64>());
        }
        let mut accepted = out.family(&family::CONNECTIONS);
        for (name, shards) in &self.listeners {
            accepted.add(&[name], sum(shards, |listener| &listener.total));
        }
        let mut turned_away = out.family(&family::TURNED_AWAY);
        for (name, shards) in &self.listeners {
            for reason in TurnedAway::ALL {
                let count = sum(shards, |listener| &listener.turned_away[reason.index()]);
                turned_away.add(&[name, reason.as_str()], count);
            }
        }
        let mut closed = out.family(&family::CONNECTIONS_CLOSED);
        for (name, shards) in &self.listeners {
            for reason in CloseReason::ALL {
                let count = sum(shards, |listener| &listener.closed[reason.index()]);
                closed.add(&[name, reason.as_str()], count);
            }
        }
        let mut floods = out.family(&family::HTTP2_FLOODS);
        for (name, shards) in &self.listeners {
            for kind in FloodKind::ALL {
                floods.add(&[name, kind.as_str()], sum(shards, |listener| &listener.floods[kind.index()]));
            }
        }
        let mut failures = out.family(&family::HANDSHAKE_FAILURES);
        let speaks_tls = |name: &str| certificates.keys().any(|(listener, _)| **listener == *name);
        for (name, shards) in self.listeners.iter().filter(|(name, _)| speaks_tls(name)) {
            for failure in HandshakeFailure::ALL {
                let count = sum(shards, |listener| &listener.handshake_failures[failure.index()]);
                failures.add(&[name, failure.as_str()], count);
            }
        }
        let mut expiry = out.family(&family::CERTIFICATE_EXPIRY);
        for ((listener, name), not_after) in certificates {
            expiry.add(&[listener, name], not_after);
        }
    }
}

/// One counter of a listener, over all workers.
fn sum(shards: &[Arc<ListenerMetrics>], counter: impl Fn(&ListenerMetrics) -> &Counter) -> u64 {
    shards.iter().map(|listener| counter(listener).get()).sum()
}
