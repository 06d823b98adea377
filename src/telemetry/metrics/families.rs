//! Every metric: name, labels, and what it says.
//!
//! The doc comment of a family is its HELP, and a row of `docs/metrics.md`: what it means is written down once.

/// What kind of numbers a family has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Only grows; its samples end in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations by bucket.
    Histogram,
    /// Always 1: the labels are what it says.
    Info,
}

impl Kind {
    /// The name in docs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

/// One metric, with all its series.
#[derive(Debug)]
pub struct Family {
    /// The name of its samples, but for the suffixes of a histogram.
    pub name: &'static str,
    /// What kind of numbers it has.
    pub kind: Kind,
    /// The names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    lines: &'static [&'static str],
}

impl Family {
    /// What it says, in one line.
    pub fn help(&self) -> String {
        self.lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// The name as OpenMetrics has it: without the suffix that its kind implies.
    pub fn stem(&self) -> &'static str {
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        self.name.strip_suffix(suffix).unwrap_or(self.name)
    }

    /// The unit that its name ends in.
    pub fn unit(&self) -> Option<&'static str> {
        let (_, last) = self.stem().rsplit_once('_')?;
        ["seconds", "bytes", "ratio"].into_iter().find(|unit| *unit == last)
    }
}

/// Declares families, and [`ALL`] of them in this order, which is that of a scrape.
macro_rules! families {
    ($($(#[doc = $line:literal])+ $family:ident = $kind:ident $name:literal [$($label:ident),*];)+) => {
        $(
            $(#[doc = $line])+
            pub(super) static $family: Family = Family {
                name: $name,
                kind: Kind::$kind,
                labels: &[$(stringify!($label)),*],
                lines: &[$($line),+],
            };
        )+

        /// All families, in the order of a scrape.
        pub(super) static ALL: &[&Family] = &[$(&$family),+];
    };
}

families! {
    /// Requests that ended, by the engine that was asked (none: we answered before one was) and the status code
    /// of the answer (none: the client left before there was one).
    REQUESTS = Counter "cutover_requests_total" [app, workflow, engine, method, code];
    /// From the first byte of a request's head to the last byte of its response.
    REQUEST_DURATION = Histogram "cutover_request_duration_seconds" [app, workflow, engine];
    /// From a request being sent to an endpoint to the head of its response.
    UPSTREAM_DURATION = Histogram "cutover_upstream_duration_seconds" [app, engine];
    /// Requests that an engine is serving now.
    REQUESTS_IN_FLIGHT = Gauge "cutover_requests_in_flight" [app, engine];
    /// Answers that we gave ourselves, and why.
    ANSWERS = Counter "cutover_answers_total" [app, kind];
    /// Engines chosen, and the row of the decision table that chose.
    DECISIONS = Counter "cutover_decisions_total" [app, workflow, engine, reason];
    /// Browsers whose engine changed from one page to the next, and why.
    MOVES = Counter "cutover_moves_total" [app, from, to, cause];
    /// Session cookies that both engines were seen to set, neither kept apart nor shared.
    SESSION_COOKIES_IN_BOTH = Counter "cutover_session_cookies_in_both_total" [app];
    /// Orders to evacuate an engine that were taken up, at the start or since.
    EVACUATIONS = Counter "cutover_evacuations_total" [app, engine];
    /// Visits to tester links, and what they did.
    TESTER_LINKS = Counter "cutover_tester_links_total" [app, outcome];
    /// Flows that were started by a browser that came back: mail scanners and probes do not count.
    FLOWS_STARTED = Counter "cutover_flows_started_total" [app, workflow, engine];
    /// Flows that ended, and how. An expired one is known only if its browser returns.
    FLOWS = Counter "cutover_flows_total" [app, workflow, engine, outcome];
    /// From the start of a flow to its end.
    FLOW_DURATION = Histogram "cutover_flow_duration_seconds" [app, workflow, engine];
    /// The share of the Identity engine that is in force, 0 to 1.
    SHARE = Gauge "cutover_share_ratio" [app, workflow];
    /// Stages of a schedule that came into force while the process ran.
    STAGES = Counter "cutover_stages_total" [app, workflow];
    /// Cookies that were no ticket, and why; the browser was given a new one.
    TICKETS_REJECTED = Counter "cutover_tickets_rejected_total" [reason];
    /// Answers to gRPC calls by their `grpc-status`, ours included (other: no number of gRPC; none: it ended without one).
    GRPC_RESPONSES = Counter "cutover_grpc_responses_total" [app, engine, grpc_status];
    /// Whether requests go to this endpoint: 0 when it is ejected, on probation, drained or disabled.
    ENDPOINT_READY = Gauge "cutover_endpoint_ready" [app, engine, endpoint];
    /// Open connections to an endpoint. One of HTTP/2 is active while it carries any request at all.
    UPSTREAM_CONNECTIONS = Gauge "cutover_upstream_connections" [app, engine, endpoint, state];
    /// What went wrong with an endpoint. Attempts are counted, so a request may count more than once.
    UPSTREAM_FAILURES = Counter "cutover_upstream_failures_total" [app, engine, endpoint, kind];
    /// Interim (1xx) responses of an endpoint other than 101: they are dropped.
    UPSTREAM_INTERIM = Counter "cutover_upstream_interim_responses_total" [app, engine, endpoint];
    /// Attempts beyond a request's first, and what they achieved (exhausted: there was none, because `retries.budget` was
    /// spent).
    RETRIES = Counter "cutover_retries_total" [app, engine, outcome];
    /// Client connections that are open now.
    CONNECTIONS_OPEN = Gauge "cutover_connections_open" [listener];
    /// Client connections accepted.
    CONNECTIONS = Counter "cutover_connections_total" [listener];
    /// Client connections that were turned away before they could ask anything, and why.
    TURNED_AWAY = Counter "cutover_connections_turned_away_total" [listener, reason];
    /// Client connections that we ended while they were served, and why. Not those that clients end, nor those that end with
    /// an answer that both sides agreed to be the last. Exchanges on a stream of HTTP/2 end with their stream.
    CONNECTIONS_CLOSED = Counter "cutover_connections_closed_total" [listener, reason];
    /// HTTP/2 connections that were ended because their client flooded them, and with what.
    HTTP2_FLOODS = Counter "cutover_http2_floods_total" [listener, kind];
    /// TLS handshakes with clients that failed, and why.
    HANDSHAKE_FAILURES = Counter "cutover_tls_handshake_failures_total" [listener, reason];
    /// When a certificate that a listener shows expires, in seconds since 1970.
    CERTIFICATE_EXPIRY = Gauge "cutover_certificate_expiry_timestamp_seconds" [listener, name];
    /// Whether the configuration runs that was offered last: 0 after an edit that was refused.
    RELOAD_SUCCESSFUL = Gauge "cutover_config_last_reload_successful" [];
    /// When the running configuration was taken up, in seconds since 1970.
    RELOAD_TIME = Gauge "cutover_config_last_reload_success_timestamp_seconds" [];
    /// Configurations offered since the start, and what became of them.
    RELOADS = Counter "cutover_config_reloads_total" [result];
    /// The number of the running configuration: 1 at the start, one more with each that is applied.
    GENERATION = Gauge "cutover_config_generation" [];
    /// The running configuration: a digest of the file and its subject lists, equal on replicas that agree.
    CONFIG = Info "cutover_config_info" [hash];
    /// The running program.
    BUILD = Info "cutover_build_info" [version, revision];
    /// Panics of ours that were caught; each is a bug.
    PANICS = Counter "cutover_panics_total" [];
    /// Access records that were not written, because whoever reads the log is too slow or the disk is full.
    ACCESS_LOG_DROPPED = Counter "cutover_access_log_dropped_total" [];
    /// Processor time used.
    PROCESS_CPU = Counter "process_cpu_seconds_total" [];
    /// Memory that is in RAM.
    PROCESS_RESIDENT = Gauge "process_resident_memory_bytes" [];
    /// Memory that is mapped.
    PROCESS_VIRTUAL = Gauge "process_virtual_memory_bytes" [];
    /// Open file descriptors.
    PROCESS_OPEN_FDS = Gauge "process_open_fds" [];
    /// How many file descriptors may be open.
    PROCESS_MAX_FDS = Gauge "process_max_fds" [];
    /// Threads.
    PROCESS_THREADS = Gauge "process_threads" [];
    /// When the process started, in seconds since 1970.
    PROCESS_START = Gauge "process_start_time_seconds" [];
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;

    use super::*;

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        let mut stems = BTreeSet::new();
        for family in ALL {
            let name = family.name;
            assert!(name.starts_with("cutover_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), family.kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_info"), family.kind == Kind::Info, "{name}");
            assert!(stems.insert(family.stem()), "{name} is there twice");
            let help = family.help();
            assert!(help.ends_with('.') && !help.contains("  "), "{name}: {help:?}");
        }
        assert_eq!(REQUEST_DURATION.unit(), Some("seconds"));
        assert_eq!(PROCESS_CPU.unit(), Some("seconds"));
        assert_eq!(REQUESTS.unit(), None);
        assert_eq!(REQUESTS.stem(), "cutover_requests");
    }

    /// The page that `docs/metrics.md` must be.
    fn page() -> String {
        let mut page = String::from(
            "# Metrics\n\n\
             Generated from `src/telemetry/metrics/families.rs` by `UPDATE_EXPECT=1 cargo test --lib \
             docs_list_every_metric`; edit the doc comments there.\n\n\
             Served at `/metrics` of the admin listener, as Prometheus text or, when asked for, OpenMetrics 1.0. \
             A label that does not apply is `none`. Counters are counted since the start of the process. Series of an \
             app, endpoint or listener that was removed from the configuration are shown by one more scrape. \
             Request buckets, in seconds: ",
        );
        let bounds = crate::telemetry::metrics::cells::BOUNDS.map(|(_, seconds, _)| seconds);
        let _ = writeln!(page, "{}.\n", bounds.join(", "));
        page.push_str("| metric | type | labels | meaning |\n|---|---|---|---|\n");
        for family in ALL {
            let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
            let (name, kind, help) = (family.name, family.kind.as_str(), family.help());
            let _ = writeln!(page, "| `{name}` | {kind} | {} | {help} |", labels.join(" "));
        }
        page
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test reads the page it checks, not a configuration")]
    fn docs_list_every_metric() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(path, page()).expect("docs/ is there");
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(written, page(), "docs/metrics.md is out of date; rewrite it with UPDATE_EXPECT=1");
    }
}
