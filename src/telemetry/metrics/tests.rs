//! What a scrape says, from the first count to the last look at an app that was removed.

use std::time::Duration;

use super::*;
use crate::decide::decision::Reason;
use crate::decide::ticket::Rejection;
use crate::telemetry::events::{ConfigApplied, ConfigRejected, ConfigUnchanged, Origin, UpstreamFailed};
use crate::telemetry::kinds::{
    AnswerKind, CloseReason, ConnectionState, MethodLabel, MoveCause, RetryOutcome, UpstreamFailure,
};

const ENDPOINT: &str = "http://10.0.0.11:8080";

/// One of everything, on two workers.
fn filled() -> Arc<Metrics> {
    let metrics = Metrics::new(2);
    for worker in [metrics.worker(0), metrics.worker(1)] {
        worker.listener("0.0.0.0:8443").connection_opened();
        worker.listener("0.0.0.0:8443").record_closed(CloseReason::Idle);
        worker.record_ticket_rejected(Rejection::Epoch);
        worker.unrouted().routed().record_request(None, MethodLabel::Get, 421, Duration::from_micros(20));
        worker.unrouted().record_answer(AnswerKind::Misdirected);
        let app = worker.app("portal");
        app.in_flight_started(Engine::Identity);
        app.routed().record_decision(Engine::Identity, Reason::Cohort);
        app.record_upstream(Engine::Identity, Duration::from_millis(6));
        app.routed().record_request(Some(Engine::Identity), MethodLabel::Post, 302, Duration::from_millis(7));
        app.routed().record_request(
            Some(Engine::Identity),
            MethodLabel::Post,
            799,
            Duration::from_millis(700),
        );
        app.routed().record_request(Some(Engine::Identity), MethodLabel::Post, 0, Duration::from_secs(40));
        app.record_retry(Engine::Classic, RetryOutcome::Success);
        app.record_move(Engine::Classic, Engine::Identity, MoveCause::Identified);
        app.record_move(Engine::Classic, Engine::Classic, MoveCause::Identified);
        let endpoint = app.endpoint(Engine::Identity, ENDPOINT);
        endpoint.connection_entered(ConnectionState::Idle);
        let kind = UpstreamFailure::ResponseTimeout;
        UpstreamFailed { endpoint: &endpoint, kind, error: &"no answer", wall: 1 }.tell();
    }
    metrics
}

/// The samples of a scrape that are about something that this process did.
fn samples(metrics: &Metrics) -> Vec<String> {
    let text = metrics.render(Format::Text);
    let is_told = |line: &&str| line.starts_with("cutover_") && !line.contains("_bucket{");
    text.lines().filter(is_told).map(|line| line.replace("cutover_", "")).collect()
}

#[test]
fn a_scrape_sums_what_the_workers_counted() {
    let version = env!("CARGO_PKG_VERSION");
    let revision = option_env!("CUTOVER_REVISION").unwrap_or("unknown");
    let expected = r#"
requests_total{app="none",workflow="none",engine="none",method="GET",code="421"} 2
requests_total{app="portal",workflow="none",engine="identity",method="POST",code="none"} 2
requests_total{app="portal",workflow="none",engine="identity",method="POST",code="302"} 2
requests_total{app="portal",workflow="none",engine="identity",method="POST",code="799"} 2
request_duration_seconds_sum{app="none",workflow="none",engine="none"} 0.000040000
request_duration_seconds_count{app="none",workflow="none",engine="none"} 2
request_duration_seconds_sum{app="portal",workflow="none",engine="identity"} 81.414000000
request_duration_seconds_count{app="portal",workflow="none",engine="identity"} 6
upstream_duration_seconds_sum{app="portal",engine="identity"} 0.012000000
upstream_duration_seconds_count{app="portal",engine="identity"} 2
requests_in_flight{app="portal",engine="classic"} 0
requests_in_flight{app="portal",engine="identity"} 2
answers_total{app="none",kind="misdirected"} 2
decisions_total{app="portal",workflow="none",engine="identity",reason="cohort"} 2
moves_total{app="portal",from="classic",to="identity",cause="identified"} 2
tickets_rejected_total{reason="malformed"} 0
tickets_rejected_total{reason="version"} 0
tickets_rejected_total{reason="unknown_key"} 0
tickets_rejected_total{reason="signature"} 0
tickets_rejected_total{reason="epoch"} 2
tickets_rejected_total{reason="expired"} 0
endpoint_ready{app="portal",engine="identity",endpoint="http://10.0.0.11:8080"} 1
upstream_connections{app="portal",engine="identity",endpoint="http://10.0.0.11:8080",state="active"} 0
upstream_connections{app="portal",engine="identity",endpoint="http://10.0.0.11:8080",state="idle"} 2
upstream_failures_total{app="portal",engine="identity",endpoint="http://10.0.0.11:8080",kind="response_timeout"} 2
retries_total{app="portal",engine="classic",outcome="success"} 2
connections_open{listener="0.0.0.0:8443"} 2
connections_total{listener="0.0.0.0:8443"} 2
connections_turned_away_total{listener="0.0.0.0:8443",reason="per_process"} 0
connections_turned_away_total{listener="0.0.0.0:8443",reason="per_address"} 0
connections_turned_away_total{listener="0.0.0.0:8443",reason="not_trusted"} 0
connections_turned_away_total{listener="0.0.0.0:8443",reason="no_header"} 0
connections_turned_away_total{listener="0.0.0.0:8443",reason="late_header"} 0
connections_closed_total{listener="0.0.0.0:8443",reason="idle"} 2
connections_closed_total{listener="0.0.0.0:8443",reason="slow_head"} 0
connections_closed_total{listener="0.0.0.0:8443",reason="slow_body"} 0
connections_closed_total{listener="0.0.0.0:8443",reason="slow_reader"} 0
connections_closed_total{listener="0.0.0.0:8443",reason="idle_tunnel"} 0
connections_closed_total{listener="0.0.0.0:8443",reason="request_timeout"} 0
connections_closed_total{listener="0.0.0.0:8443",reason="refused"} 0
http2_floods_total{listener="0.0.0.0:8443",kind="reset"} 0
http2_floods_total{listener="0.0.0.0:8443",kind="settings"} 0
http2_floods_total{listener="0.0.0.0:8443",kind="ping"} 0
http2_floods_total{listener="0.0.0.0:8443",kind="priority"} 0
http2_floods_total{listener="0.0.0.0:8443",kind="empty"} 0
http2_floods_total{listener="0.0.0.0:8443",kind="continuation"} 0
http2_floods_total{listener="0.0.0.0:8443",kind="window_update"} 0
http2_floods_total{listener="0.0.0.0:8443",kind="other"} 0
config_last_reload_successful 0
config_last_reload_success_timestamp_seconds 0
config_reloads_total{result="success"} 0
config_reloads_total{result="failure"} 0
config_reloads_total{result="unchanged"} 0
config_generation 0
"#;
    let build = format!("build_info{{version=\"{version}\",revision=\"{revision}\"}} 1");
    let last = [build.as_str(), "panics_total 0", "access_log_dropped_total 0"];
    let expected: Vec<&str> = expected.trim().lines().chain(last).collect();
    assert_eq!(samples(&filled()), expected);
}

#[test]
fn a_scrape_names_every_family_once_and_in_the_order_of_the_table() {
    let text = filled().render(Format::Text);
    let named = text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next());
    assert_eq!(named.collect::<Vec<_>>(), table().iter().map(|family| family.name).collect::<Vec<_>>());

    let open_metrics = filled().render(Format::OpenMetrics);
    let named = open_metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    assert_eq!(named.collect::<Vec<_>>(), table().iter().map(|family| family.stem()).collect::<Vec<_>>());
    assert!(open_metrics.ends_with("\n# EOF\n"));
    assert!(open_metrics.contains("\n# TYPE cutover_requests counter\ncutover_requests_total{"));
}

#[test]
fn numbers_survive_a_reload_that_keeps_their_app() {
    let metrics = Metrics::new(1);
    let worker = metrics.worker(0);
    worker.app("portal").record_answer(AnswerKind::Unavailable);
    worker.app("portal").record_answer(AnswerKind::Unavailable);
    assert!(samples(&metrics).contains(&"answers_total{app=\"portal\",kind=\"unavailable\"} 2".to_owned()));
}

#[test]
fn what_was_removed_is_shown_by_one_more_scrape() {
    let metrics = filled();
    let shown = |what: &str| samples(&metrics).iter().any(|line| line.contains(what));
    let naming = |apps: &[&str], endpoints: &[&str], listeners: &[&str]| {
        let mut current = Current::default();
        apps.iter().for_each(|app| current.add_app(app));
        endpoints.iter().for_each(|url| current.add_endpoint("portal", Engine::Identity, url));
        listeners.iter().for_each(|listener| current.add_listener(listener));
        metrics.retain(current);
    };
    naming(&["portal"], &[ENDPOINT], &["0.0.0.0:8443"]);
    assert!(shown("portal") && shown("portal") && shown(ENDPOINT) && shown("8443"));

    naming(&["portal"], &[], &["0.0.0.0:8443"]);
    assert!(shown(ENDPOINT) && !shown(ENDPOINT) && !shown(ENDPOINT));
    assert!(shown("portal") && shown("8443"));

    naming(&["portal"], &[], &[]);
    assert!(shown("8443"));
    naming(&["portal"], &[], &["0.0.0.0:8443"]);
    assert!(shown("8443") && shown("8443"), "it came back in time, with its numbers");
    assert!(shown("connections_total{listener=\"0.0.0.0:8443\"} 2"));

    naming(&[], &[], &[]);
    assert!(shown("portal") && !shown("portal") && !shown("8443"));
    assert!(shown("app=\"none\""), "requests without an app belong to no configuration");

    naming(&["portal"], &[ENDPOINT], &[]);
    metrics.worker(0).app("portal").endpoint(Engine::Identity, ENDPOINT);
    assert!(
        shown("connections{app=\"portal\",engine=\"identity\"") && !shown("decisions_total{app=\"portal\"")
    );
}

#[test]
fn readiness_is_one_verdict_for_all_workers() {
    let metrics = filled();
    metrics.endpoint("portal", Engine::Identity, ENDPOINT).set_ready(false);
    assert!(samples(&metrics).iter().any(|line| line.starts_with("endpoint_ready{") && line.ends_with(" 0")));
    metrics.worker(1).app("portal").endpoint(Engine::Identity, ENDPOINT).shared().set_ready(true);
    assert!(samples(&metrics).iter().any(|line| line.starts_with("endpoint_ready{") && line.ends_with(" 1")));
}

#[test]
fn the_fate_of_each_configuration_is_counted() {
    let metrics = Metrics::new(1);
    let state = || {
        let lines = samples(&metrics);
        let of = |name: &str| {
            let found = lines.iter().filter(|line| line.starts_with(name));
            found
                .map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let hash = lines.iter().find(|line| line.starts_with("config_info")).cloned().unwrap_or_default();
        (of("config_last_reload_successful"), of("config_reloads_total"), of("config_generation"), hash)
    };
    let expect = |successful: &str, reloads: &str, generation: &str, hash: &str| {
        let hash = format!("config_info{{hash=\"{hash}\"}} 1");
        assert_eq!(state(), (successful.to_owned(), reloads.to_owned(), generation.to_owned(), hash));
    };
    let applied = |generation, hash, origin| {
        let plan = ["portal 10% → 25%".to_owned()];
        ConfigApplied {
            generation,
            hash,
            origin,
            changes: plan.len(),
            plan: &plan,
            workers_differ: true,
            wall: 1_800_000_000,
        }
        .tell(&metrics);
    };
    applied(1, "a1", Origin::Start);
    expect("1", "0 0 0", "1", "a1");
    ConfigRejected { origin: Origin::File, problems: "no" }.tell(&metrics);
    expect("0", "0 1 0", "1", "a1");
    ConfigUnchanged { origin: Origin::Signal }.tell(&metrics);
    expect("1", "0 1 1", "1", "a1");
    applied(2, "b2", Origin::Admin);
    expect("1", "1 1 1", "2", "b2");
    assert!(
        samples(&metrics).contains(&"config_last_reload_success_timestamp_seconds 1800000000".to_owned())
    );
}
