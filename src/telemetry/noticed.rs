//! What is noticed of the engines while they serve: events like those of [`events`](crate::telemetry::events).

use tracing::{info, warn};

use crate::decide::engine::Engine;
use crate::decide::health::{Duty, Verdict};
use crate::telemetry::metrics::{AppMetrics, Metrics, SharedEndpoint};

/// Somebody is held by an engine none of whose endpoints can be reached. The answer is counted; the log gets one line
/// a second.
#[derive(Clone, Copy, Debug)]
pub struct EngineGone<'a> {
    /// The app.
    pub app: &'a str,
    /// The engine.
    pub engine: Engine,
    /// What becomes of whom it holds.
    pub told: &'a str,
    /// Since when, in seconds since the Unix epoch.
    pub since: u64,
    /// Likewise the present.
    pub wall: u64,
}

impl EngineGone<'_> {
    /// Tells.
    pub fn tell(&self, metrics: &Metrics) {
        let Self { app, engine, told, since, wall } = *self;
        let Some(suppressed) = metrics.shared().engine_gone_throttle.admit(wall) else { return };
        let gone_seconds = wall.saturating_sub(since);
        warn!(app, %engine, gone_seconds, suppressed, "engine gone: {told}");
    }
}

/// Both engines set a session cookie of one name. Told once for each, in a process.
#[derive(Clone, Copy, Debug)]
pub struct SessionCookieInBoth<'a> {
    /// The app.
    pub app: &'a str,
    /// The cookie, as it is configured.
    pub cookie: &'a str,
}

impl SessionCookieInBoth<'_> {
    /// What to do about it.
    pub const HINT: &'static str =
        "session.isolate = true keeps them apart; session.shared = true says that both read one store";

    /// Tells.
    pub fn tell(&self, metrics: &AppMetrics) {
        let Self { app, cookie } = *self;
        metrics.record_session_cookie_in_both();
        warn!(app, cookie, hint = Self::HINT, "both engines set the session cookie {cookie}");
    }
}

/// An endpoint stands otherwise than before.
#[derive(Clone, Copy, Debug)]
pub struct EndpointTurned<'a> {
    /// The endpoint.
    pub endpoint: &'a SharedEndpoint,
    /// What requests and probes say.
    pub verdict: Verdict,
    /// What an operator says.
    pub duty: Duty,
    /// Whether it is the operator's word that changed.
    pub by_operator: bool,
    /// Whether requests go there.
    pub is_ready: bool,
    /// Why.
    pub why: &'a str,
}

impl EndpointTurned<'_> {
    /// Tells.
    pub fn tell(&self) {
        let Self { endpoint, verdict, duty, by_operator, is_ready, why } = *self;
        endpoint.set_ready(is_ready);
        let (app, engine, url) = (&*endpoint.app, endpoint.engine, &*endpoint.url);
        let (verdict, duty) = (verdict.as_str(), duty.as_str());
        let what = if by_operator { duty } else { verdict };
        match (by_operator, self.verdict) {
            (false, Verdict::Ejected) => warn!(app, %engine, endpoint = url, duty, why, "endpoint {what}"),
            (_, _) => info!(app, %engine, endpoint = url, verdict, duty, why, "endpoint {what}"),
        }
    }
}
