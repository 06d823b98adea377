//! Bodies pass as they come, whole, and framed right.

use std::thread;

use super::between;
use crate::support::{Engine, eventually};

/// A body of 20 MB whose every byte depends on its place.
fn long() -> Vec<u8> {
    (0..20_000_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

#[test]
fn the_first_bytes_of_a_response_pass_before_the_last_are_sent() {
    for is_chunked in [false, true] {
        let engine = Engine::script(move |conn| {
            conn.request();
            conn.send(if is_chunked {
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n"
            } else {
                "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfirst"
            });
            conn.wait();
            conn.send(if is_chunked { "4\r\nlast\r\n0\r\n\r\n" } else { "last" });
        });
        let proxy = between(&engine);
        let mut client = proxy.client();
        client.wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let head = client.wire.head().expect("a head");
        let opening = if is_chunked { &b"5\r\nfirst\r\n"[..] } else { b"first" };
        assert_eq!(client.wire.take(opening.len()).as_deref(), Some(opening));
        engine.go_on();
        let rest = client.wire.body(&head, "HEAD").expect("nothing more is read of a HEAD");
        assert!(rest.bytes.is_empty());
        let ending = if is_chunked { &b"4\r\nlast\r\n0\r\n\r\n"[..] } else { b"last" };
        assert_eq!(client.wire.take(ending.len()).as_deref(), Some(ending));
    }
}

#[test]
fn the_first_bytes_of_a_request_pass_before_the_last_are_sent() {
    let engine = Engine::script(|conn| {
        let Some(head) = conn.begun() else { return };
        let is_chunked = head.has("transfer-encoding");
        let opening = if is_chunked { &b"5\r\nfirst\r\n"[..] } else { b"first" };
        assert_eq!(conn.take(opening.len()).as_deref(), Some(opening));
        conn.note("first");
        let ending = if is_chunked { &b"4\r\nlast\r\n0\r\n\r\n"[..] } else { b"last" };
        assert_eq!(conn.take(ending.len()).as_deref(), Some(ending));
        // The script ends here, and the connection with it: a POST that found it open would be lost.
        conn.send("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
    });
    let proxy = between(&engine);
    for (number, (framing, first, last)) in [
        ("content-length: 9", "first", "last"),
        ("transfer-encoding: chunked", "5\r\nfirst\r\n", "4\r\nlast\r\n0\r\n\r\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = proxy.client();
        client.wire.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n{first}"));
        eventually("the first part is there", || (engine.notes().len() == number + 1).then_some(()));
        assert_eq!(client.exchange(last, "POST").expect("an answer").status(), 204);
    }
}

#[test]
fn long_bodies_pass_whole_both_ways() {
    let engine = Engine::script(|conn| {
        while let Some(request) = conn.request() {
            let body = request.body.bytes;
            if request.head.has("content-length") {
                conn.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len())).send(body);
            } else {
                conn.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
                for part in body.chunks(70_001) {
                    conn.send(format!("{:x}\r\n", part.len())).send(part).send("\r\n");
                }
                conn.send("0\r\n\r\n");
            }
        }
    });
    let proxy = between(&engine);
    let (body, mut client) = (long(), proxy.client());
    for is_chunked in [false, true] {
        let mut request = b"POST / HTTP/1.1\r\nhost: a\r\n".to_vec();
        if is_chunked {
            request.extend(b"transfer-encoding: chunked\r\n\r\n");
            for part in body.chunks(33_333) {
                request.extend(format!("{:x}\r\n", part.len()).bytes());
                request.extend(part);
                request.extend(b"\r\n");
            }
            request.extend(b"0\r\n\r\n");
        } else {
            request.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
            request.extend(&body);
        }
        let mut writer = client.wire.stream.try_clone().expect("a descriptor");
        let writing = thread::spawn(move || std::io::Write::write_all(&mut writer, &request).expect("room"));
        let reply = client.read("POST").expect("an answer");
        writing.join().expect("written");
        assert_eq!(reply.body.bytes.len(), body.len());
        assert_eq!(sum(&reply.body.bytes), sum(&body), "chunked: {is_chunked}");
        assert_eq!(reply.head.has("content-length"), !is_chunked);
    }
    assert_eq!(engine.accepts(), 1, "and the connection is as good as before");
}

#[test]
fn answers_without_a_body_are_framed_as_such() {
    let engine = Engine::script(|conn| {
        while let Some(request) = conn.request() {
            conn.send(match request.head.target() {
                "/sized" => "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n",
                "/chunked" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
                "/unsized" => "HTTP/1.1 200 OK\r\n\r\n",
                "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
                "/204-sized" => "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
                "/304" => "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\ncontent-length: 1234\r\n\r\n",
                _ => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            });
        }
    });
    let proxy = between(&engine);
    let mut client = proxy.client();
    for (method, target, status, length) in [
        ("HEAD", "/sized", 200, Some("1234")),
        ("HEAD", "/chunked", 200, None),
        ("HEAD", "/unsized", 200, None),
        ("HEAD", "/204", 204, None),
        ("HEAD", "/304", 304, Some("1234")),
        ("GET", "/204", 204, None),
        ("GET", "/204-sized", 204, None),
        // RFC 9110 8.6: what a 200 would have had.
        ("GET", "/304", 304, Some("1234")),
        ("DELETE", "/empty", 200, Some("0")),
        ("GET", "/empty", 200, Some("0")),
    ] {
        // A byte too many or too few would show in the next answer on this connection.
        let reply = client.ask(method, target).send();
        assert_eq!((reply.status(), reply.head.get("content-length")), (status, length), "{method} {target}");
        assert!(reply.body.bytes.is_empty(), "{method} {target}");
    }
    assert_eq!(engine.accepts(), 1);
}

#[test]
fn requests_keep_their_framing() {
    let engine = Engine::answering("classic");
    let proxy = between(&engine);
    let mut client = proxy.client();
    for (request, length, coding) in [
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", None, None),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", Some("0"), None),
        ("POST / HTTP/1.1\r\nhost: a\r\n\r\n", Some("0"), None),
        ("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc", Some("3"), None),
        ("DELETE / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc", Some("3"), None),
        ("GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc", Some("3"), None),
        (
            "PATCH / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n",
            None,
            Some("chunked"),
        ),
    ] {
        assert_eq!(client.exchange(request, "").expect("an answer").status(), 200, "{request}");
        let got = engine.last();
        assert_eq!(got.head.get("content-length"), length, "{request}");
        assert_eq!(got.head.get("transfer-encoding"), coding, "{request}");
        let body = if request.contains("abc") { "abc" } else { "" };
        assert_eq!(got.body.text(), body, "{request}");
    }
}

#[test]
fn declared_trailers_pass_both_ways() {
    let engine = Engine::script(|conn| {
        while conn.request().is_some() {
            conn.send(
                "HTTP/1.1 200 OK\r\ntrailer: x-sum, x-more\r\ntransfer-encoding: chunked\r\n\r\n\
                 2\r\nok\r\n0\r\nx-sum: 1\r\nx-more: 2\r\n\r\n",
            );
        }
    });
    let proxy = between(&engine);
    let mut client = proxy.client();
    let reply = client
        .exchange(
            "POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\ntrailer: x-check\r\ntransfer-encoding: chunked\r\n\r\n\
             2\r\nhi\r\n0\r\nx-check: 7\r\nx-undeclared: 8\r\n\r\n",
            "POST",
        )
        .expect("an answer");
    let request = engine.last();
    assert_eq!((request.head.get("trailer"), request.head.get("te")), (Some("x-check"), Some("trailers")));
    assert_eq!(request.body.trailers.to_ascii_lowercase(), "x-check: 7\r\n");
    assert_eq!(reply.head.get("trailer"), Some("x-sum, x-more"));
    let mut trailers: Vec<String> = reply.body.trailers.lines().map(str::to_ascii_lowercase).collect();
    trailers.sort();
    assert_eq!(trailers, ["x-more: 2", "x-sum: 1"]);
}

#[test]
fn a_body_that_ends_with_its_connection_is_passed_on() {
    let engine = Engine::script(|conn| {
        conn.request();
        conn.send("HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\neverything until the end");
    });
    let proxy = between(&engine);
    let mut client = proxy.client();
    let reply = client.get("/").send();
    assert_eq!((reply.status(), reply.text().as_str()), (200, "everything until the end"));
    assert_eq!(client.get("/").send().status(), 200, "the client's connection outlives the engine's");
}
