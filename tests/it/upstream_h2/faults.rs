//! Engines that stall, cheat and break off.

use bytes::Bytes;
use http::Response;

use super::{before, behind, failures};
use crate::support::multi::{Multi, fields, frame};
use crate::support::multi_engine::{MultiEngine, next_request, send, settle};
use crate::support::{Engine, eventually};

/// What an engine says on a stream.
type Frames = fn(u32) -> Vec<u8>;

/// Sends these frames on the stream of every request.
fn sending(frames: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static) -> Engine {
    Engine::script(move |conn| {
        if settle(conn).is_none() {
            return;
        }
        while let Some(stream) = next_request(conn) {
            let bytes = frames(stream);
            conn.send(bytes);
        }
    })
}

fn head(stream: u32, flags: u8, lines: &[(&str, &str)]) -> Vec<u8> {
    frame(1, 4 | flags, stream, &fields(lines))
}

#[test]
fn an_engine_that_hangs_is_given_up_and_its_stream_cancelled() {
    let engine = MultiEngine::script(100, |mut asked| async move {
        let Some(got) = asked.read().await else { return };
        if got.uri.ends_with("/body") {
            let mut stream = asked.begin(Response::builder(), false);
            send(&mut stream, Bytes::from_static(b"begin")).await;
            asked.note_reset_of(&mut stream).await;
        } else if got.uri.ends_with("/head") {
            asked.note_reset().await;
        } else {
            asked.answer("fine").await;
        }
    });
    let proxy = before(&engine, "timeouts = { response = \"300ms\", idle = \"400ms\" }");
    let mut client = proxy.client();
    assert_eq!(client.get("/head").send().status(), 504);
    proxy.counts(&failures(&engine.url(), "response_timeout"), 1.0);
    assert!(client.get("/body").try_send().is_none(), "a cut answer");
    proxy.counts(&failures(&engine.url(), "body_timeout"), 1.0);
    eventually("both are cancelled", || (engine.resets().len() == 2).then_some(()));
    assert!(engine.resets().iter().all(|reason| *reason == h2::Reason::CANCEL));
    assert_eq!(proxy.client().get("/").send().text(), "fine");
}

#[test]
fn an_engine_that_does_not_speak_http_2_is_found_out_before_anything_is_sent() {
    for engine in [
        Engine::replying(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"),
        Engine::script(|conn| {
            conn.take(24);
        }),
        Engine::script(|conn| {
            conn.take(24);
            conn.send(frame(4, 0, 0, b""));
            conn.send(frame(0, 0, 0, b"data on stream 0"));
            conn.closes();
        }),
    ] {
        let serving = MultiEngine::answering("serving");
        let proxy = behind(
            &format!("[{:?}, {:?}]", engine.url(), serving.url()),
            "balance = \"round-robin\"\ntimeouts = { connect = \"500ms\" }",
        );
        let mut client = proxy.client();
        for _ in 0..4 {
            assert_eq!(client.post("/", "body").send().text(), "serving");
        }
        let failed = proxy.metric(&failures(&engine.url(), "connect_failed"));
        assert!(failed >= 1.0, "{failed}");
    }
    // One that accepts and says nothing.
    let silent = Engine::script(|conn| conn.closes());
    let proxy = behind(&format!("[{:?}]", silent.url()), "timeouts = { connect = \"300ms\" }");
    assert_eq!(proxy.client().get("/").send().status(), 504);
    proxy.counts(&failures(&silent.url(), "connect_timeout"), 1.0);
}

#[test]
fn answers_that_break_the_rules_never_reach_a_client_as_whole() {
    let refused: [(&str, Frames); 9] = [
        ("differing lengths", |stream| {
            head(stream, 1, &[(":status", "200"), ("content-length", "5"), ("content-length", "6")])
        }),
        ("a length that is none", |stream| head(stream, 1, &[(":status", "200"), ("content-length", "+5")])),
        ("a length and no body", |stream| head(stream, 1, &[(":status", "200"), ("content-length", "5")])),
        ("chunks", |stream| head(stream, 1, &[(":status", "200"), ("transfer-encoding", "chunked")])),
        ("a header of the connection", |stream| {
            head(stream, 1, &[(":status", "200"), ("connection", "close")])
        }),
        ("upper case", |stream| head(stream, 1, &[(":status", "200"), ("X-Upper", "1")])),
        ("a line end", |stream| head(stream, 1, &[(":status", "200"), ("x", "a\r\nset-cookie: b=c")])),
        ("no status", |stream| head(stream, 1, &[("x", "1")])),
        ("another protocol", |stream| head(stream, 0, &[(":status", "101")])),
    ];
    for (what, frames) in refused {
        let engine = sending(frames);
        let proxy = behind(&format!("[{:?}]", engine.url()), "timeouts = { response = \"2s\" }");
        let reply = proxy.client().get("/").send();
        assert_eq!((reply.status(), reply.head.has("set-cookie")), (502, false), "{what}");
        let malformed = proxy.metric(&failures(&engine.url(), "malformed"));
        assert_eq!(malformed, 1.0, "{what}");
    }
    let cut: [(&str, Frames); 4] = [
        ("shorter than said", |stream| {
            let head = head(stream, 0, &[(":status", "200"), ("content-length", "9")]);
            [head, frame(0, 1, stream, b"hello")].concat()
        }),
        ("longer than said", |stream| {
            let head = head(stream, 0, &[(":status", "200"), ("content-length", "3")]);
            [head, frame(0, 1, stream, b"hello")].concat()
        }),
        ("reset without an error", |stream| {
            let head = head(stream, 0, &[(":status", "200")]);
            [head, frame(0, 0, stream, b"hello"), frame(3, 0, stream, &[0; 4])].concat()
        }),
        ("reset", |stream| {
            let head = head(stream, 0, &[(":status", "200")]);
            [head, frame(0, 0, stream, b"hello"), frame(3, 0, stream, &2_u32.to_be_bytes())].concat()
        }),
    ];
    for (what, frames) in cut {
        let engine = sending(frames);
        let proxy = behind(&format!("[{:?}]", engine.url()), "");
        assert!(proxy.client().get("/").try_send().is_none(), "{what}: an answer that is whole");
        let mut multi = Multi::to(proxy.address());
        let request = Multi::request("GET", "/").body(()).expect("a request");
        assert!(multi.ask(request, b"").is_err(), "{what}: an answer that is whole");
        proxy.counts(&failures(&engine.url(), "body_broken"), 2.0);
    }
}

#[test]
fn a_head_beyond_the_limit_is_refused_and_the_connection_lives() {
    let engine = MultiEngine::script(100, |mut asked| async move {
        let Some(got) = asked.read().await else { return };
        let mut head = Response::builder();
        if got.uri.ends_with("/bytes") {
            head = head.header("x-long", "x".repeat(70_000));
        } else if got.uri.ends_with("/lines") {
            for number in 0..300 {
                head = head.header(format!("x-{number}"), "1");
            }
        }
        asked.begin(head, true);
    });
    let proxy = before(&engine, "");
    let mut client = proxy.client();
    for target in ["/bytes", "/lines"] {
        assert_eq!(client.get(target).send().status(), 502, "{target}");
        assert_eq!(client.get("/").send().status(), 200);
    }
    proxy.counts(&failures(&engine.url(), "malformed"), 2.0);
    assert_eq!(engine.accepts(), 1);
}

#[test]
fn interim_answers_are_counted_and_dropped() {
    let engine = sending(|stream| {
        let interim = |status| head(stream, 0, &[(":status", status), ("link", "</a.css>")]);
        let last = head(stream, 1, &[(":status", "200"), ("x-last", "1")]);
        [interim("103"), interim("100"), last].concat()
    });
    let proxy = behind(&format!("[{:?}]", engine.url()), "");
    let reply = proxy.client().get("/").send();
    assert_eq!((reply.status(), reply.head.get("x-last"), reply.head.has("link")), (200, Some("1"), false));
    let interim = format!(
        "cutover_upstream_interim_responses_total{{app=\"portal\",engine=\"classic\",endpoint={:?}}}",
        engine.url()
    );
    proxy.counts(&interim, 2.0);
}

#[test]
fn a_client_that_leaves_cancels_its_stream_and_no_other() {
    let engine = MultiEngine::script(100, |mut asked| async move {
        let Some(got) = asked.read().await else { return };
        if got.uri.ends_with("/gone") {
            asked.note_reset().await;
        } else {
            asked.wait().await;
            asked.answer("served").await;
        }
    });
    let proxy = before(&engine, "");
    let mut staying = proxy.wire();
    staying.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let mut leaving = proxy.wire();
    leaving.send("GET /gone HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("both are in hand", || (engine.in_hand() == 2).then_some(()));
    drop(leaving);
    eventually("one is cancelled", || (engine.resets() == [h2::Reason::CANCEL]).then_some(()));
    engine.go_on();
    let head = staying.head().expect("an answer");
    assert_eq!(staying.body(&head, "GET").expect("whole").text(), "served");
    assert_eq!(engine.accepts(), 1);
}

#[test]
fn a_body_that_breaks_off_is_never_whole_at_the_engine() {
    let engine = MultiEngine::script(100, |mut asked| async move {
        asked.read().await;
    });
    let proxy = before(&engine, "");
    let mut wire = proxy.wire();
    wire.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
    eventually("it is in hand", || (engine.in_hand() == 1).then_some(()));
    drop(wire);
    eventually("it is cancelled", || (engine.resets() == [h2::Reason::CANCEL]).then_some(()));
    let reply = proxy.raw("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhelloXX\r\n");
    assert!(reply.starts_with("HTTP/1.1 400"), "{reply}");
    eventually("it is cancelled", || (engine.resets().len() == 2).then_some(()));
    assert!(engine.requests().is_empty());
}
