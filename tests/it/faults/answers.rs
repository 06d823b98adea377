//! Answers of an engine that went mad, or that lets its users write headers: read in one way or not at all.

use super::{between, failures};
use crate::support::{Engine, eventually};

/// What stands in place of a second answer, or of a header that the engine never meant.
const EVIL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nx-evil: 1\r\n\r\nevil";

#[test]
fn an_answer_that_can_be_read_in_two_ways_is_502_and_its_connection_is_not_used_again() {
    let ok = |lines: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n{EVIL}");
    let answers = [
        // Where does it end?
        ok("content-length: 2\r\ntransfer-encoding: chunked"),
        ok("transfer-encoding: chunked\r\ncontent-length: 2"),
        ok("content-length: 2\r\ncontent-length: 3"),
        ok("content-length: 2\r\ncontent-length: 2"),
        ok("content-length: 2, 2"),
        ok("content-length: 2,"),
        ok("content-length: +2"),
        ok("content-length: -2"),
        ok("content-length: 0x2"),
        ok("content-length: 2 2"),
        ok("content-length: two"),
        ok("content-length:"),
        ok("content-length: 18446744073709551618"),
        ok("content-length: 9223372036854775808"),
        ok("transfer-encoding: gzip"),
        ok("transfer-encoding: identity"),
        ok("transfer-encoding: gzip, chunked"),
        ok("transfer-encoding: chunked, chunked"),
        ok("transfer-encoding: chunked\r\ntransfer-encoding: chunked"),
        ok("transfer-encoding: xchunked"),
        ok("transfer-encoding: \"chunked\""),
        ok("transfer-encoding: chunked;q=1"),
        ok("transfer-encoding:"),
        format!("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{EVIL}"),
        // What is a line?
        ok("x: a\r\n folded: b"),
        ok("x: a\r\n\tfolded: b"),
        ok("x: a\nx-evil: 1"),
        ok("x: a\rx-evil: 1"),
        ok("x: a\r\n\nx-evil: 1"),
        ok("x : a"),
        ok("x\t: a"),
        ok("transfer-encoding : chunked"),
        ok("x y: a"),
        ok(": a"),
        ok("nonsense"),
        ok("x: a\0b"),
        ok("x: a\x1bb"),
        ok("x: a\x7fb"),
        ok("x\0: a"),
        ok("\u{e9}: a"),
        format!("HTTP/1.1 200 OK\nx-evil: 1\r\n\r\n{EVIL}"),
        format!("HTTP/1.1 200 O\nK\r\n\r\n{EVIL}"),
        format!("HTTP/1.1 200 O\0K\r\n\r\n{EVIL}"),
        format!("HTTP/1.1 200 OK\r\n x-evil: 1\r\n\r\n{EVIL}"),
        // What is a status line?
        format!("\r\n{EVIL}"),
        format!("\n{EVIL}"),
        format!(" {EVIL}"),
        format!("HTTP/1.1  200 OK\r\n\r\n{EVIL}"),
        format!("HTTP/1.1 2000 OK\r\n\r\n{EVIL}"),
        format!("HTTP/1.1 20 OK\r\n\r\n{EVIL}"),
        format!("HTTP/1.1 099 OK\r\n\r\n{EVIL}"),
        format!("HTTP/1.1 200OK\r\n\r\n{EVIL}"),
        format!("HTTP/1.2 200 OK\r\n\r\n{EVIL}"),
        format!("HTTP/2.0 200 OK\r\n\r\n{EVIL}"),
        format!("http/1.1 200 OK\r\n\r\n{EVIL}"),
        format!("ICY 200 OK\r\n\r\n{EVIL}"),
        format!("<html>\r\n{EVIL}"),
        // What belongs to an interim answer?
        format!("HTTP/1.1 100 Continue\r\ncontent-length: 76\r\n\r\n{EVIL}"),
        format!("HTTP/1.1 103 Early Hints\r\ntransfer-encoding: chunked\r\n\r\n{EVIL}"),
        format!("HTTP/1.1 103 Early Hints\r\nx: a\n\r\n\r\n{EVIL}"),
        "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100),
        // How much of it is there?
        ok(&format!("x: {}", "y".repeat(70 * 1024))),
        ok("x: y\r\n".repeat(300).trim_end()),
    ];
    for answer in answers {
        let engine = Engine::script({
            let answer = answer.clone();
            move |conn| {
                while conn.request().is_some() {
                    conn.send(&answer);
                }
            }
        });
        let proxy = between(&engine);
        let mut client = proxy.client();
        for number in 1..=2 {
            let reply = client.post("/", "body").send();
            assert_eq!(reply.status(), 502, "{answer:?}");
            assert!(!reply.head.text.contains("evil") && !reply.text().contains("evil"), "{answer:?}");
            assert_eq!(engine.accepts(), number, "on another connection: {answer:?}");
        }
        eventually("it is counted", || (failures(&proxy, &engine, "malformed") == 2.0).then_some(()));
    }
}

#[test]
fn a_body_that_an_answer_must_not_have_is_not_the_next_answer() {
    for (method, head) in [
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\ncontent-length: 61\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 61\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 61\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    ] {
        let engine = Engine::script(move |conn| {
            while conn.request().is_some() {
                conn.send(format!("{head}{EVIL}"));
            }
        });
        let proxy = between(&engine);
        let mut client = proxy.client();
        for number in 1..=3 {
            let reply = client.ask(method, "/").send();
            assert!(!reply.head.has("x-evil") && reply.text().is_empty(), "{head:?}");
            assert_eq!(engine.accepts(), number, "on another connection: {head:?}");
        }
    }
}

#[test]
fn a_trailer_of_an_engine_never_becomes_a_header() {
    let engine = Engine::replying(
        b"HTTP/1.1 200 OK\r\ntrailer: x-sum, set-cookie, content-length\r\ntransfer-encoding: chunked\r\n\r\n\
          2\r\nok\r\n0\r\nx-sum: 7\r\nset-cookie: evil=1\r\ncontent-length: 99\r\nx-undeclared: 1\r\n\r\n",
    );
    let proxy = between(&engine);
    let mut client = proxy.client();
    let reply = client.ask("GET", "/").header("te: trailers").send();
    assert_eq!((reply.text().as_str(), reply.body.trailers.as_str()), ("ok", "x-sum: 7\r\n"));
    assert!(!reply.head.text.contains("evil"));
}
