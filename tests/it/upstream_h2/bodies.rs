//! Bodies, trailers, and what has none.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};

use super::before;
use crate::support::multi::Multi;
use crate::support::multi_engine::{MultiEngine, send};
use crate::support::{Engine, Proxy, eventually, portal};

fn trailers(line: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static(line));
    trailers
}

/// Sends back what it gets, trailers too.
fn echo() -> MultiEngine {
    MultiEngine::script(100, |mut asked| async move {
        let Some(got) = asked.read().await else { return };
        let mut stream = asked.begin(Response::builder().header("trailer", "x-sum"), false);
        send(&mut stream, Bytes::from(got.body)).await;
        let _ = if got.trailers.is_empty() {
            stream.send_data(Bytes::new(), true)
        } else {
            stream.send_trailers(got.trailers)
        };
    })
}

#[test]
fn large_bodies_pass_both_ways_whole() {
    let engine = echo();
    let proxy = before(&engine, "");
    let body: Vec<u8> =
        (0..10_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut client = proxy.client();
    client.wire.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len()));
    let mut sending = client.wire.stream.try_clone().expect("a descriptor");
    let sent = body.clone();
    let sender =
        std::thread::spawn(move || std::io::Write::write_all(&mut sending, &sent).expect("all is read"));
    let reply = client.read("POST").expect("an answer");
    sender.join().expect("sent");
    assert!(reply.body.bytes == body, "{} bytes", reply.body.bytes.len());
    let mut multi = Multi::to(proxy.address());
    let answer = multi.ask(Multi::request("POST", "/").body(()).expect("one"), &body).expect("an answer");
    assert!(answer.body == body, "{} bytes", answer.body.len());
    assert_eq!(engine.accepts(), 1);
}

#[test]
fn trailers_pass_whatever_either_side_speaks() {
    let multi_engine = echo();
    let proxy = before(&multi_engine, "");
    // HTTP/1.1 to HTTP/2: declared ones pass.
    let chunked =
        "POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\ntransfer-encoding: chunked\r\n";
    let reply = proxy
        .client()
        .exchange(
            format!("{chunked}trailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 7\r\nx-other: 1\r\n\r\n"),
            "POST",
        )
        .expect("an answer");
    assert_eq!(multi_engine.last().trailers, trailers("7"));
    assert_eq!((reply.text().as_str(), reply.body.trailers.as_str()), ("hello", "x-sum: 7\r\n"));
    // Undeclared ones do not.
    let reply = proxy
        .client()
        .exchange(format!("{chunked}\r\n5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n"), "POST")
        .expect("an answer");
    assert_eq!((reply.text().as_str(), reply.body.trailers.as_str()), ("hello", ""));
    // HTTP/2 to HTTP/2: no declaration is asked for; what may be no trailer stays behind.
    let mut multi = Multi::to(proxy.address());
    let mut ask = |trailers: HeaderMap| {
        let (answer, mut stream) = multi.begin(Multi::request("POST", "/").body(()).expect("one"), false);
        stream.send_data(Bytes::from_static(b"hello"), false).expect("room");
        stream.send_trailers(trailers).expect("trailers");
        multi.finish(answer).expect("an answer")
    };
    let mut sent = trailers("8");
    sent.insert("authorization", HeaderValue::from_static("Bearer forged"));
    sent.insert("x-forwarded-for", HeaderValue::from_static("10.0.0.1"));
    let answer = ask(sent);
    assert_eq!((answer.text().as_str(), answer.trailers), ("hello", trailers("8")));
    assert_eq!(multi_engine.last().trailers, trailers("8"));
}

#[test]
fn trailers_of_an_http_1_engine_reach_a_client_of_http_2() {
    let engine = Engine::replying(
        b"HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 9\r\n\r\n",
    );
    let proxy = Proxy::with(portal("percent = 0", &engine, &engine));
    let mut multi = Multi::to(proxy.address());
    let (answer, mut stream) = multi.begin(
        Multi::request("POST", "/")
            .header("te", "trailers")
            .header("trailer", "x-sum")
            .body(())
            .expect("one"),
        false,
    );
    stream.send_data(Bytes::from_static(b"hello"), false).expect("room");
    stream.send_trailers(trailers("7")).expect("trailers");
    let answer = multi.finish(answer).expect("an answer");
    assert_eq!((answer.text().as_str(), answer.trailers), ("ok", trailers("9")));
    assert_eq!(engine.last().body.trailers, "x-sum: 7\r\n");
}

#[test]
fn key_headers_cannot_come_as_trailers() {
    let engine = echo();
    let pool = format!("endpoints = [{:?}]\nhttp2 = true", engine.url());
    let app = crate::support::proxy::pools("keys = [\"header:x-user-id\"]\npercent = 0", &pool, &pool);
    let proxy = Proxy::with(app);
    let mut multi = Multi::to(proxy.address());
    let (answer, mut stream) = multi.begin(Multi::request("POST", "/").body(()).expect("one"), false);
    stream.send_data(Bytes::from_static(b"hello"), false).expect("room");
    let mut forged = HeaderMap::new();
    forged.insert("x-user-id", HeaderValue::from_static("ada"));
    stream.send_trailers(forged).expect("trailers");
    assert_eq!(multi.finish(answer).expect("an answer").status, 200);
    assert_eq!(engine.last().trailers, HeaderMap::new());
}

#[test]
fn what_has_no_body_has_none() {
    let engine = MultiEngine::script(100, |mut asked| async move {
        let Some(got) = asked.read().await else { return };
        let path = got.uri.rsplit('/').next().unwrap_or_default().to_owned();
        match (got.method.as_str(), path.as_str()) {
            ("HEAD", _) => {
                asked.begin(Response::builder().header("content-length", "1234"), true);
            }
            (_, "204") => {
                asked.begin(Response::builder().status(204), true);
            }
            (_, "304") => {
                asked.begin(Response::builder().status(304).header("etag", "\"a\""), true);
            }
            (_, "none") => {
                asked.begin(Response::builder(), true);
            }
            _ => {
                let mut stream = asked.begin(Response::builder().header("content-length", "5"), false);
                send(&mut stream, Bytes::from_static(b"hello")).await;
                let _ = stream.send_data(Bytes::new(), true);
            }
        }
    });
    let proxy = before(&engine, "");
    let mut client = proxy.client();
    let head = client.ask("HEAD", "/x").send();
    assert_eq!((head.status(), head.head.get("content-length")), (200, Some("1234")));
    for (target, status) in [("/204", 204), ("/304", 304), ("/none", 200)] {
        let reply = client.get(target).send();
        assert_eq!((reply.status(), reply.text().as_str()), (status, ""), "{target}");
    }
    assert_eq!(client.get("/none").send().head.get("content-length"), Some("0"));
    let sized = client.get("/sized").send();
    assert_eq!((sized.head.get("content-length"), sized.text().as_str()), (Some("5"), "hello"));
    let mut multi = Multi::to(proxy.address());
    let answer = multi.ask(Multi::request("HEAD", "/x").body(()).expect("one"), b"").expect("an answer");
    assert_eq!((answer.get("content-length"), answer.body.len()), (Some("1234"), 0));
    assert_eq!(multi.get("/204").status, 204);
    assert_eq!((engine.accepts(), engine.resets().len()), (1, 0));
}

#[test]
fn an_engine_waits_for_a_client_that_does_not_read_and_others_are_served_meanwhile() {
    let engine = MultiEngine::script(100, |mut asked| async move {
        let Some(got) = asked.read().await else { return };
        if got.uri.ends_with("/endless") {
            let mut stream = asked.begin(Response::builder(), false);
            let piece = Bytes::from(vec![b'x'; 1 << 20]);
            for _ in 0..400 {
                send(&mut stream, piece.clone()).await;
            }
            asked.note_reset_of(&mut stream).await;
        } else {
            asked.answer("quick").await;
        }
    });
    let proxy = before(&engine, "");
    let mut slow: Vec<_> = (0..8).map(|_| proxy.wire()).collect();
    for wire in &mut slow {
        wire.send("GET /endless HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(wire.head().expect("a head").status(), 200);
    }
    let mut client = proxy.client();
    for _ in 0..50 {
        assert_eq!(client.get("/").send().text(), "quick");
    }
    assert_eq!(engine.accepts(), 1, "all by one connection");
    drop(slow);
    eventually("all are cancelled", || (engine.resets().len() == 8).then_some(()));
    assert!(engine.resets().iter().all(|reason| *reason == h2::Reason::CANCEL));
}

#[test]
fn an_engine_that_answers_before_it_was_told_everything_is_heard() {
    let engine = MultiEngine::script(100, |mut asked| async move {
        // RFC 9113 8.1: with the end of this the crate resets the stream without an error, since nobody reads on.
        asked.answer("too long").await;
    });
    let proxy = before(&engine, "");
    let mut client = proxy.client();
    client.wire.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nbegin");
    let reply = client.read("POST").expect("a whole answer");
    assert_eq!((reply.status(), reply.text().as_str()), (200, "too long"));
}
