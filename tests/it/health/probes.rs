//! Endpoints that are asked how they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use super::*;
use crate::support::multi_engine::MultiEngine;

const OFTEN: &str =
    "health = { path = \"/healthz?deep=1\", interval = \"100ms\", healthy = 2, unhealthy = 2 }";

/// An engine that answers everything with these words, and probes with a status that the test sets.
struct Patient {
    engine: Engine,
    status: Arc<AtomicU16>,
}

impl Patient {
    fn new(words: &'static str) -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let engine = Engine::script({
            let status = Arc::clone(&status);
            move |conn| {
                while let Some(request) = conn.request() {
                    let is_probe = request.head.target().starts_with("/healthz");
                    let status = if is_probe { status.load(Ordering::SeqCst) } else { 200 };
                    let length = words.len();
                    conn.send(format!("HTTP/1.1 {status} Told\r\ncontent-length: {length}\r\n\r\n{words}"));
                }
            }
        });
        Self { engine, status }
    }

    fn says(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn probes(&self) -> usize {
        self.engine.heads().iter().filter(|head| head.target().starts_with("/healthz")).count()
    }
}

fn is_ready(proxy: &Proxy, engine: &Engine, wanted: bool) {
    eventually("the verdict", || (ready(proxy, engine) == f64::from(u8::from(wanted))).then_some(()));
}

#[test]
fn an_endpoint_that_says_it_is_ill_gets_nothing_until_it_says_that_it_is_well() {
    let (first, second) = (Patient::new("first"), Patient::new("second"));
    let app = "hosts = [\"*.example.com\", \"portal.example.com\"]";
    let proxy = turns(&[&first.engine, &second.engine], &second.engine, app, OFTEN);
    let mut client = proxy.client();
    eventually("both are probed", || (first.probes() > 1 && second.probes() > 1).then_some(()));
    let probe = first.engine.heads().into_iter().find(|head| head.target() == "/healthz?deep=1");
    let probe = probe.expect("the path with its query");
    assert_eq!((probe.method(), probe.get("host")), ("GET", Some("portal.example.com")));
    assert!(probe.get("user-agent").is_some_and(|name| name.starts_with("cutover-probe/")));

    first.says(503);
    is_ready(&proxy, &first.engine, false);
    assert_eq!(answers(&mut client, 6), ["second"; 6]);
    let told = shown(&proxy, 0);
    assert_eq!(
        (told["verdict"].as_str(), told["why"].as_str()),
        (Some("ejected"), Some("2 failed probes in a row, the last: status 503"))
    );
    first.says(301);
    is_ready(&proxy, &first.engine, true);
    eventually("it serves", || (client.get("/").send().text() == "first").then_some(()));
}

#[test]
fn an_engine_all_of_whose_endpoints_say_that_they_are_ill_is_asked_all_the_same() {
    let patient = Patient::new("well enough");
    let proxy = turns(&[&patient.engine], &patient.engine, "", OFTEN);
    patient.says(500);
    is_ready(&proxy, &patient.engine, false);
    assert_eq!(answers(&mut proxy.client(), 3), ["well enough"; 3]);
    assert_eq!(shown(&proxy, 0)["verdict"], "ejected", "only probes take back what probes have said");
}

#[test]
fn a_probe_fails_where_there_is_no_whole_answer_in_time_or_not_the_words_that_should_be_in_it() {
    let silent = || Engine::hanging();
    let garbage = || Engine::replying(b"garbage\r\n\r\n");
    let chunked = || {
        Engine::replying(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nall is\r\n5\r\n well\r\n0\r\n\r\n",
        )
    };
    let closed = || Engine::replying(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nall is well");
    for (engine, words, why) in [
        (silent(), "", "no whole answer within 200ms"),
        (garbage(), "", "the answer is not HTTP: not a response head"),
        (chunked(), "all is ill", "the body does not hold what health.body says"),
        (closed(), "all is well", "no whole answer within 200ms"),
        (chunked(), "all is well", ""),
    ] {
        let lines = format!(
            "health = {{ path = \"/\", interval = \"100ms\", timeout = \"200ms\", unhealthy = 1, body = {words:?} }}"
        );
        let other = Engine::answering("all is well");
        let proxy = turns(&[&engine], &other, "", &lines);
        if why.is_empty() {
            eventually("it is probed", || (engine.requests().len() > 3).then_some(()));
            assert_eq!(shown(&proxy, 0)["verdict"], "ready");
        } else {
            is_ready(&proxy, &engine, false);
            assert_eq!(shown(&proxy, 0)["why"], format!("1 failed probes in a row, the last: {why}"));
        }
    }
}

#[test]
fn edits_decide_who_is_probed_and_how_often() {
    let (first, second) = (Patient::new("first"), Patient::new("second"));
    let slow = OFTEN.replace("100ms", "1h");
    let proxy = turns(&[&first.engine, &second.engine], &second.engine, "percent = 1", &slow);
    proxy.replace("\"1h\"", "\"100ms\"");
    eventually("both are probed", || (first.probes() > 1 && second.probes() > 1).then_some(()));
    first.says(500);
    is_ready(&proxy, &first.engine, false);
    // An edit of something else leaves the pace alone, however often it comes.
    let before = second.probes();
    for percent in 2..20 {
        proxy.replace(&format!("percent = {}", percent - 1), &format!("percent = {percent}"));
    }
    eventually("they go on", || (second.probes() > before + 3).then_some(()));
    assert_eq!(ready(&proxy, &first.engine), 0.0);

    // Without probes their word is void.
    proxy.replace(OFTEN, "");
    is_ready(&proxy, &first.engine, true);
    proxy
        .edit(|text| text.replace("[apps.portal.identity]\n", &format!("[apps.portal.identity]\n{OFTEN}\n")));
    let (before, others) = (first.probes(), second.probes());
    eventually("the other engine's are probed", || (second.probes() > others + 5).then_some(()));
    assert!(first.probes() <= before + 1, "one may have been on its way");
}

#[test]
fn an_http_2_endpoint_is_probed_in_http_2() {
    let engine = MultiEngine::answering("well");
    let pool = format!(
        "endpoints = [{:?}]\nhttp2 = true\nhealth = {{ path = \"/healthz\", interval = \"100ms\", body = \"well\" }}",
        engine.url()
    );
    let proxy = Proxy::with(pools("hosts = [\"portal.example.com\"]", &pool, &pool));
    let probe = eventually("it is probed", || engine.requests().into_iter().nth(6));
    assert_eq!((probe.method.as_str(), probe.uri.as_str()), ("GET", "http://portal.example.com/healthz"));
    assert_eq!(shown(&proxy, 0)["verdict"], "ready");
}
