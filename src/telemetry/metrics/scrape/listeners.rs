//! What came in by each listener, summed up.

use std::sync::Arc;

use super::Picture;
use crate::telemetry::kinds::{CloseReason, FloodKind, HandshakeFailure, TurnedAway};
use crate::telemetry::metrics::Certificates;
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
            accepted.add(&[name], shards.iter().map(|listener| listener.total.get()).sum::<u64>());
        }
        let mut turned_away = out.family(&family::TURNED_AWAY);
        for (name, shards) in &self.listeners {
            for reason in TurnedAway::ALL {
                let count = |listener: &Arc<ListenerMetrics>| listener.turned_away[reason.index()].get();
                turned_away.add(&[name, reason.as_str()], shards.iter().map(count).sum::<u64>());
            }
        }
        let mut closed = out.family(&family::CONNECTIONS_CLOSED);
        for (name, shards) in &self.listeners {
            for reason in CloseReason::ALL {
                let count = |listener: &Arc<ListenerMetrics>| listener.closed[reason.index()].get();
                closed.add(&[name, reason.as_str()], shards.iter().map(count).sum::<u64>());
            }
        }
        let mut floods = out.family(&family::HTTP2_FLOODS);
        for (name, shards) in &self.listeners {
            for kind in FloodKind::ALL {
                let count = |listener: &Arc<ListenerMetrics>| listener.floods[kind.index()].get();
                floods.add(&[name, kind.as_str()], shards.iter().map(count).sum::<u64>());
            }
        }
        let mut failures = out.family(&family::HANDSHAKE_FAILURES);
        for (name, shards) in &self.listeners {
            if !certificates.iter().any(|((listener, _), _)| listener == name) {
                continue;
            }
            for failure in HandshakeFailure::ALL {
                let count =
                    |listener: &Arc<ListenerMetrics>| listener.handshake_failures[failure.index()].get();
                failures.add(&[name, failure.as_str()], shards.iter().map(count).sum::<u64>());
            }
        }
        let mut expiry = out.family(&family::CERTIFICATE_EXPIRY);
        for ((listener, name), not_after) in certificates {
            expiry.add(&[listener, name], not_after);
        }
    }
}
