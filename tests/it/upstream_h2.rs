//! HTTP/2 towards the engines.

mod away;
mod bodies;
mod faults;
mod grpc;

use crate::support::multi::Multi;
use crate::support::multi_engine::MultiEngine;
use crate::support::proxy::pools;
use crate::support::{Engine, Proxy, eventually};

/// The table of an engine that speaks HTTP/2.
fn pool(engine: &MultiEngine, lines: &str) -> String {
    format!("endpoints = [{:?}]\nhttp2 = true\n{lines}", engine.url())
}

/// One worker before one engine that speaks HTTP/2.
fn before(engine: &MultiEngine, lines: &str) -> Proxy {
    behind(&format!("[{:?}]", engine.url()), lines)
}

/// As [`before`], with the list of endpoints written out.
fn behind(endpoints: &str, lines: &str) -> Proxy {
    let pool = format!("endpoints = {endpoints}\nhttp2 = true\n{lines}");
    Proxy::with(format!("workers = 1\n{}", pools("percent = 0", &pool, &pool)))
}

const ACTIVE: &str = "active";
const IDLE: &str = "idle";

fn connections(engine: &MultiEngine, state: &str) -> String {
    format!(
        "cutover_upstream_connections{{app=\"portal\",engine=\"classic\",endpoint={:?},state={state:?}}}",
        engine.url()
    )
}

fn failures(url: &str, kind: &str) -> String {
    format!(
        "cutover_upstream_failures_total{{app=\"portal\",engine=\"classic\",endpoint={url:?},kind={kind:?}}}"
    )
}

#[test]
fn a_request_of_http_1_becomes_one_of_http_2() {
    let engine = MultiEngine::answering("classic");
    let proxy = before(&engine, "");
    let mut client = proxy.client();
    let reply = client
        .post("/a?b=%20", "hello")
        .header("cookie: a=1; cutover=nothing; b=2")
        .header("connection: x-hop, te")
        .header("x-hop: 1")
        .header("te: trailers")
        .header("authorization: Bearer secret")
        .send();
    assert_eq!((reply.status(), reply.text().as_str()), (200, "classic"));
    assert!(!reply.head.has("content-length") && reply.head.is_chunked(), "{}", reply.head.text);
    let got = engine.last();
    assert_eq!(got.method, "POST");
    assert_eq!(got.uri, "http://portal.example.com/a?b=%20", "scheme, authority and path");
    assert_eq!((got.get("host"), got.get("content-length")), (None, Some("5")));
    assert_eq!((got.get("cookie"), got.get("te")), (Some("a=1; b=2"), Some("trailers")));
    assert_eq!((got.get("connection"), got.get("x-hop")), (None, None));
    assert_eq!(got.get("authorization"), Some("Bearer secret"));
    assert_eq!(got.get("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(got.get("x-forwarded-host"), Some("portal.example.com"));
    assert!(got.get("traceparent").is_some() && got.get("x-request-id").is_some());
    assert_eq!(got.body, b"hello");
    for number in 0..20 {
        assert_eq!(client.get("/again").send().status(), 200, "{number}");
    }
    assert_eq!(engine.accepts(), 1, "one connection for all of them");
}

#[test]
fn a_request_of_http_2_stays_one() {
    let engine = MultiEngine::answering("classic");
    let proxy = before(&engine, "");
    let mut multi = Multi::to(proxy.address());
    let request = Multi::request("PUT", "/x").header("cookie", "a=1").header("cookie", "b=2").body(());
    let answer = multi.ask(request.expect("a request"), b"hello").expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "classic"));
    let got = engine.last();
    assert_eq!((got.uri.as_str(), got.get("cookie")), ("http://portal.example.com/x", Some("a=1; b=2")));
    assert_eq!(got.body, b"hello");
}

#[test]
fn many_requests_share_a_few_connections() {
    // Four streams at a time on each.
    let engine = MultiEngine::script(4, |mut asked| async move {
        if asked.read().await.is_some() {
            asked.wait().await;
            asked.answer("classic").await;
        }
    });
    let proxy = before(&engine, "");
    let mut multi = Multi::to(proxy.address());
    let answers: Vec<_> = (0..10)
        .map(|_| multi.begin(Multi::request("GET", "/").body(()).expect("a request"), true).0)
        .collect();
    eventually("all are in hand", || (engine.in_hand() == 10).then_some(()));
    assert_eq!(engine.accepts(), 3, "as many as ten streams need");
    proxy.counts(&connections(&engine, ACTIVE), 3.0);
    engine.go_on();
    for answer in answers {
        assert_eq!(multi.finish(answer).expect("an answer").text(), "classic");
    }
    proxy.counts(&connections(&engine, IDLE), 3.0);
    proxy.counts(&connections(&engine, ACTIVE), 0.0);
    for _ in 0..50 {
        assert_eq!(multi.get("/").status, 200);
    }
    assert_eq!(engine.accepts(), 3);
}

#[test]
fn a_burst_opens_no_more_connections_than_it_needs() {
    let engine = MultiEngine::script(100, |mut asked| async move {
        if asked.read().await.is_some() {
            asked.wait().await;
            asked.answer("classic").await;
        }
    });
    let proxy = before(&engine, "");
    let mut clients: Vec<_> = (0..60).map(|_| proxy.wire()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nhost: portal.example.com\r\n\r\n");
    }
    eventually("all are in hand", || (engine.in_hand() == 60).then_some(()));
    assert_eq!(engine.accepts(), 1);
    engine.go_on();
    for mut client in clients {
        assert_eq!(client.head().expect("an answer").status(), 200);
    }
    assert_eq!(engine.most_at_a_time(), 60);
}

#[test]
fn what_finds_no_room_waits_and_what_waits_too_long_is_told() {
    let engine = MultiEngine::script(2, |mut asked| async move {
        if asked.read().await.is_some() {
            asked.wait().await;
            asked.answer("classic").await;
        }
    });
    let limits = "connections = { max = 1, queue = 2, queue_timeout = \"10s\" }";
    let proxy = before(&engine, limits);
    let mut multi = Multi::to(proxy.address());
    let mut begin = || multi.begin(Multi::request("GET", "/").body(()).expect("a request"), true).0;
    let mut answers = vec![begin(), begin()];
    eventually("the connection is full", || (engine.in_hand() == 2).then_some(()));
    answers.extend([begin(), begin()]);
    // Two wait; one more is one too many.
    let refused = begin();
    let refused = multi.finish(refused).expect("an answer");
    assert_eq!(refused.status, 503, "{}", refused.text());
    engine.go_on();
    for answer in answers {
        assert_eq!(multi.finish(answer).expect("an answer").status, 200);
    }
    assert_eq!((engine.accepts(), engine.most_at_a_time()), (1, 2));
    proxy.counts(&failures(&engine.url(), "queue_full"), 1.0);
}

#[test]
fn an_unused_connection_is_closed_after_a_while_and_one_that_left_at_once() {
    let engine = MultiEngine::answering("classic");
    let proxy = before(&engine, "timeouts = { idle = \"300ms\" }");
    let mut client = proxy.client();
    assert_eq!(client.get("/").send().status(), 200);
    proxy.counts(&connections(&engine, IDLE), 0.0);
    assert_eq!(client.get("/").send().status(), 200);
    assert_eq!(engine.accepts(), 2);
    proxy.counts(&connections(&engine, IDLE), 1.0);
    let other = MultiEngine::answering("other");
    proxy.replace(&engine.url(), &other.url());
    assert_eq!(client.get("/").send().text(), "other");
    proxy.counts(&connections(&engine, IDLE), 0.0);
}

#[test]
fn an_edit_turns_http_2_on_and_off_under_load_and_loses_nothing() {
    // Whoever speaks which version is told apart by the address.
    let (old, new) = (Engine::answering("h1"), MultiEngine::answering("h2"));
    let old_pool = format!("endpoints = [{:?}]", old.url());
    let proxy = Proxy::with(pools("percent = 0", &old_pool, &old_pool));
    let address = proxy.address();
    let stopped = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let stopped = std::sync::Arc::clone(&stopped);
            std::thread::spawn(move || {
                let mut client = crate::support::Client::to(address);
                let mut answers = Vec::new();
                while !stopped.load(std::sync::atomic::Ordering::SeqCst) {
                    let reply = client.post("/", "body").send();
                    answers.push((reply.status(), reply.text()));
                }
                answers
            })
        })
        .collect();
    for round in 0..6 {
        let served = (old.requests().len(), new.requests().len());
        if round % 2 == 0 {
            proxy.replace(&old_pool, &pool(&new, ""));
            eventually("HTTP/2 serves", || (new.requests().len() > served.1 + 20).then_some(()));
        } else {
            proxy.replace(&pool(&new, ""), &old_pool);
            eventually("HTTP/1.1 serves", || (old.requests().len() > served.0 + 20).then_some(()));
        }
    }
    stopped.store(true, std::sync::atomic::Ordering::SeqCst);
    for thread in load {
        for (status, words) in thread.join().expect("no request is lost") {
            assert!(status == 200 && ["h1", "h2"].contains(&words.as_str()), "{status} {words}");
        }
    }
}

#[test]
fn an_endpoint_keeps_its_place_and_changes_its_language() {
    // One address that speaks HTTP/1.1 only: what changes is what we speak.
    let engine = Engine::answering("h1");
    let list = format!("endpoints = [{:?}]", engine.url());
    let proxy = Proxy::with(pools("percent = 0", &list, &list));
    let mut client = proxy.client();
    assert_eq!(client.get("/").send().text(), "h1");
    proxy.edit(|text| text.replace(&list, &format!("{list}\nhttp2 = true")));
    let reply = client.get("/").send();
    assert_eq!(
        reply.status(),
        502,
        "it does not speak HTTP/2, and that is found out before anything is sent"
    );
    proxy.counts(&failures(&engine.url(), "connect_failed"), 1.0);
    proxy.edit(|text| text.replace("\nhttp2 = true", ""));
    assert_eq!(client.get("/").send().text(), "h1");
    let gets = engine.requests().iter().filter(|request| request.head.method() == "GET").count();
    assert_eq!(gets, 2);
}

#[test]
fn a_websocket_goes_by_http_1() {
    let engine = Engine::script(|conn| {
        let Some(head) = conn.begun() else { return };
        assert_eq!(head.get("upgrade"), Some("websocket"));
        conn.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
        while let Some(byte) = conn.take(1) {
            conn.send(byte);
        }
    });
    let proxy = behind(&format!("[{:?}]", engine.url()), "");
    let mut wire = proxy.wire();
    wire.send(
        "GET /ws HTTP/1.1\r\nhost: portal.example.com\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    );
    assert_eq!(wire.head().expect("a head").status(), 101);
    wire.send("ping");
    assert_eq!(wire.take(4).expect("an echo"), b"ping");
}
