//! Engines that go away, and requests that go elsewhere.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{before, behind, failures};
use crate::support::engine::Conn;
use crate::support::multi::{Multi, fields, frame};
use crate::support::multi_engine::{MultiEngine, next_request, settle};
use crate::support::{Client, Engine, eventually};

const OK: &[(&str, &str)] = &[(":status", "200"), ("content-length", "2")];

/// Answers a request that has no body to speak of.
fn answer(conn: &mut Conn, stream: u32) {
    conn.send(frame(1, 4, stream, &fields(OK)));
    conn.send(frame(0, 1, stream, b"ok"));
}

/// GOAWAY: streams above this one were not looked at.
fn goaway(last: u32) -> Vec<u8> {
    frame(7, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
}

/// Answers the requests of each connection for as long as this is true of the connection's number, from 0, and the
/// request's stream; then the connection is closed.
fn serving_while(goes_on: impl Fn(&mut Conn, usize, u32) -> bool + Send + Sync + 'static) -> Engine {
    let connections = AtomicUsize::new(0);
    Engine::script(move |conn| {
        let number = connections.fetch_add(1, Ordering::SeqCst);
        if settle(conn).is_none() {
            return;
        }
        while let Some(stream) = next_request(conn) {
            if !goes_on(conn, number, stream) {
                return;
            }
            answer(conn, stream);
        }
    })
}

#[test]
fn an_engine_that_restarts_again_and_again_costs_no_request() {
    let engine = MultiEngine::script(100, |mut asked| async move {
        if asked.read().await.is_some() {
            asked.answer("classic").await;
        }
    });
    let proxy = before(&engine, "");
    let address = proxy.address();
    let load: Vec<_> = (0..4)
        .map(|number| {
            thread::spawn(move || {
                let mut client = Client::to(address);
                for turn in 0..300 {
                    let reply = if number % 2 == 0 {
                        client.get("/").send()
                    } else {
                        client.post("/", "a body that is sent once").send()
                    };
                    assert_eq!((reply.status(), reply.text().as_str()), (200, "classic"), "{turn}");
                }
            })
        })
        .collect();
    for _ in 0..20 {
        let served = engine.requests().len();
        engine.goes_away();
        eventually("it goes on", || {
            (engine.requests().len() > served + 10 || engine.requests().len() >= 1200).then_some(())
        });
    }
    for thread in load {
        thread.join().expect("no request was lost");
    }
    assert_eq!(engine.requests().len(), 1200, "none came twice");
    assert!(engine.accepts() > 5, "{} connections", engine.accepts());
}

#[test]
fn what_an_engine_says_it_has_not_looked_at_is_sent_again_whatever_it_is() {
    let engine = serving_while(|conn, number, stream| {
        // The first connection serves one request and goes away under the second.
        let goes_on = number > 0 || stream == 1;
        if !goes_on {
            conn.note("away");
            conn.send(goaway(1));
            conn.closes();
        }
        goes_on
    });
    let proxy = behind(&format!("[{:?}]", engine.url()), "");
    let mut client = proxy.client();
    assert_eq!(client.get("/").send().text(), "ok");
    let reply = client.post("/sign-in", "user=ada&password=secret").send();
    assert_eq!((reply.status(), reply.text().as_str()), (200, "ok"), "a POST, with its body");
    assert_eq!((engine.accepts(), engine.notes()), (2, vec!["away"]));
    assert_eq!(proxy.metric(&failures(&engine.url(), "closed_early")), 0.0, "nobody failed");
}

#[test]
fn what_an_engine_has_looked_at_is_finished_after_it_said_goodbye() {
    let engine = Engine::script(|conn| {
        if settle(conn).is_none() {
            return;
        }
        while let Some(stream) = next_request(conn) {
            conn.send(goaway(stream));
            conn.note("away");
            conn.wait();
            answer(conn, stream);
        }
    });
    let proxy = behind(&format!("[{:?}]", engine.url()), "");
    let mut first = proxy.wire();
    first.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it has said goodbye", || (engine.notes().len() == 1).then_some(()));
    let mut second = proxy.wire();
    second.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("the next goes by another connection", || (engine.accepts() == 2).then_some(()));
    engine.go_on();
    for wire in [&mut first, &mut second] {
        let head = wire.head().expect("an answer");
        assert_eq!(head.status(), 200);
        assert_eq!(wire.body(&head, "GET").expect("whole").text(), "ok");
    }
}

#[test]
fn a_refused_stream_is_tried_again_and_elsewhere_first() {
    let refusing = Engine::script(|conn| {
        if settle(conn).is_none() {
            return;
        }
        while let Some(stream) = next_request(conn) {
            conn.note("refused");
            // REFUSED_STREAM
            conn.send(frame(3, 0, stream, &7_u32.to_be_bytes()));
        }
    });
    let serving = MultiEngine::answering("serving");
    let both = format!("[{:?}, {:?}]", refusing.url(), serving.url());
    let proxy = behind(&both, "balance = \"round-robin\"");
    let mut client = proxy.client();
    for number in 0..10 {
        let reply = client.post("/", "body").send();
        assert_eq!((reply.status(), reply.text().as_str()), (200, "serving"), "{number}");
    }
    assert!(serving.requests().iter().all(|got| got.body == b"body"));
    assert!(refusing.notes().len() >= 4, "{:?}", refusing.notes());

    let alone = behind(&format!("[{:?}]", refusing.url()), "");
    let before = refusing.notes().len();
    let reply = alone.client().post("/", "body").send();
    assert_eq!((reply.status(), refusing.notes().len() - before), (502, 2), "once more, and no more");
}

#[test]
fn a_connection_that_dies_takes_its_requests_along_and_what_may_be_repeated_is() {
    let engine = serving_while(|_, number, stream| !number.is_multiple_of(2) || stream == 1);
    let proxy = behind(&format!("[{:?}]", engine.url()), "");
    let mut client = proxy.client();
    assert_eq!(client.get("/").send().status(), 200);
    assert_eq!(client.get("/").send().status(), 200, "a GET goes again, by another connection");
    assert_eq!(engine.accepts(), 2);
    drop(proxy);
    let proxy = behind(&format!("[{:?}]", engine.url()), "");
    let mut client = proxy.client();
    assert_eq!(client.get("/").send().status(), 200);
    assert_eq!(client.post("/", "body").send().status(), 502, "a POST may have been acted upon");
}

#[test]
fn an_engine_that_hung_up_while_unused_costs_nobody_anything() {
    let mut engine = MultiEngine::answering("first");
    let proxy = before(&engine, "");
    let mut client = proxy.client();
    for round in 0..20 {
        // Sent at once after the goodbye: whether that was read yet must not matter.
        engine.goes_away();
        assert_eq!(client.post("/", "body").send().status(), 200, "{round}");
    }
    assert_eq!(engine.requests().len(), 20);
    engine.stop();
    let reply = client.get("/").send();
    assert_eq!(reply.status(), 502);
}

#[test]
fn a_shutdown_lets_streams_finish() {
    let engine = MultiEngine::script(100, |mut asked| async move {
        if asked.read().await.is_some() {
            asked.wait().await;
            asked.answer("at last").await;
        }
    });
    let proxy = before(&engine, "");
    let mut multi = Multi::to(proxy.address());
    let answer = multi.begin(Multi::request("GET", "/").body(()).expect("a request"), true).0;
    eventually("it is in hand", || (engine.in_hand() == 1).then_some(()));
    let ending = thread::spawn(move || proxy.shut_down().0);
    eventually("it drains", || multi.is_refused().then_some(()));
    engine.go_on();
    assert_eq!(multi.finish(answer).expect("an answer").text(), "at last");
    assert_eq!(ending.join().expect("it ends"), 0, "nothing was cut");
}
