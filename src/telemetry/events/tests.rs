//! What is told, as a log collector reads it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::*;
use crate::decide::engine::Engine;
use crate::telemetry::metrics::Format;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log lines of what is told, without their times.
fn told(tell: impl FnOnce()) -> Vec<Value> {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .without_time()
        .with_target(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, tell);
    let text = lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect()
}

#[test]
fn an_applied_config_tells_its_plan_line_by_line() {
    let metrics = Metrics::new(1);
    // Below a schedule stands what happens at its stages: more lines than changes.
    let plan = [
        "portal schedule 0% → 5% from 2026-12-01T09:00:00Z".to_owned(),
        "portal at 2026-12-01T09:00:00Z 0% → 5%: 5.000% of subjects move to identity, 0 back".to_owned(),
    ];
    let applied = ConfigApplied {
        generation: 2,
        hash: "a1",
        origin: Origin::File,
        changes: 1,
        plan: &plan,
        workers_differ: true,
        wall: 1,
    };
    let lines = told(|| applied.tell(&metrics));
    assert_eq!(lines[0]["message"], "config applied");
    assert_eq!((&lines[0]["generation"], &lines[0]["origin"]), (&2.into(), &"file".into()));
    assert_eq!(lines[0]["changes"], 1);
    assert_eq!([&lines[1]["message"], &lines[2]["message"]], [plan[0].as_str(), plan[1].as_str()]);
    assert_eq!(lines[3]["level"], "WARN");
    assert_eq!(lines.len(), 4);
}

#[test]
fn a_dead_endpoint_is_told_once_a_second_and_counted_every_time() {
    let metrics = Metrics::new(2);
    let endpoints =
        [0, 1].map(|worker| metrics.worker(worker).app("portal").endpoint(Engine::Classic, "http://a:80"));
    let failed = |worker: usize, kind, wall| {
        let error = &"connection refused";
        UpstreamFailed { endpoint: &endpoints[worker], kind, error, wall }.tell();
    };
    let lines = told(|| {
        for _ in 0..10 {
            failed(0, UpstreamFailure::ConnectRefused, 100);
            failed(1, UpstreamFailure::ConnectRefused, 100);
        }
        failed(0, UpstreamFailure::ConnectTimeout, 100);
        failed(1, UpstreamFailure::ConnectRefused, 101);
    });
    let told: Vec<_> =
        lines.iter().map(|line| (line["kind"].as_str(), line["suppressed"].as_u64())).collect();
    assert_eq!(
        told,
        [
            (Some("connect_refused"), Some(0)),
            (Some("connect_timeout"), Some(0)),
            (Some("connect_refused"), Some(19)),
        ]
    );
    assert_eq!((&lines[0]["app"], &lines[0]["endpoint"]), (&"portal".into(), &"http://a:80".into()));
    assert!(metrics.render(Format::Text).contains("kind=\"connect_refused\"} 21\n"));
}

#[test]
fn what_has_a_metric_is_counted_as_it_is_told() {
    let metrics = Metrics::new(1);
    let lines = told(|| {
        PanicCaught { during: "a request", message: "index out of bounds" }.tell(&metrics);
        AccessLogDropped { records: 70, cause: &"disk full", wall: 5 }.tell(&metrics);
        AccessLogDropped { records: 7, cause: &"disk full", wall: 5 }.tell(&metrics);
        ShutdownEnded { took: Duration::from_secs(30), cut: 3 }.tell();
        TicketKeyEphemeral.tell();
    });
    let levels: Vec<_> = lines.iter().map(|line| line["level"].as_str().unwrap_or_default()).collect();
    assert_eq!(levels, ["ERROR", "WARN", "WARN", "WARN"]);
    let text = metrics.render(Format::Text);
    assert!(text.contains("\ncutover_panics_total 1\n"));
    assert!(text.contains("\ncutover_access_log_dropped_total 77\n"));
}

#[test]
fn a_stage_that_begins_is_told_and_counted_for_its_workflow() {
    let metrics = Metrics::new(1);
    let share = |parts| Share::from_parts(parts).expect("within the whole");
    let lines = told(|| {
        let began = StageBegan {
            app: "portal",
            workflow: Some("sign-in"),
            at: 1_797_325_200,
            from: share(1_000),
            to: share(12_500),
        };
        began.tell(&metrics);
        StageBegan { workflow: None, ..began }.tell(&metrics);
    });
    assert_eq!(
        lines[0],
        serde_json::json!({ "level": "INFO", "message": "stage began", "app": "portal", "workflow": "sign-in",
            "at": "2026-12-15T09:00:00Z", "from": "1%", "to": "12.5%" })
    );
    assert_eq!(lines[1]["workflow"], "none");
    let text = metrics.render(Format::Text);
    assert!(text.contains("\ncutover_stages_total{app=\"portal\",workflow=\"sign-in\"} 1\n"), "{text}");
    assert!(text.contains("\ncutover_stages_total{app=\"portal\",workflow=\"none\"} 1\n"), "{text}");
}
