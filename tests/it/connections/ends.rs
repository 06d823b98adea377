//! Connections that we end, and what is counted of them.

use std::io::Read as _;

use super::{ended, proxy_with, turned_away};
use crate::support::{Engine, Proxy, eventually};

fn limited(engine: &Engine, limits: &str) -> Proxy {
    proxy_with(engine, &format!("[limits]\n{limits}"))
}

#[test]
fn what_takes_too_long_is_ended_and_counted_by_what_it_was() {
    let engine = Engine::answering("classic");
    let proxy = limited(&engine, "header_timeout = \"300ms\"\nidle_timeout = \"300ms\"");
    proxy.raw("");
    proxy.raw("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    proxy.raw("GET / HTTP/1.1\r\nhost: a\r\n");
    proxy.raw("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf");
    proxy.raw("G@T / HTTP/1.1\r\n\r\n");
    proxy.raw("GET / HTTP/1.1\r\n\r\n");
    for (reason, count) in [("idle", 2.0), ("slow_head", 1.0), ("slow_body", 1.0), ("refused", 2.0)] {
        proxy.counts(&ended(reason), count);
    }
    for reason in ["slow_reader", "idle_tunnel", "request_timeout"] {
        assert_eq!(proxy.metric(&ended(reason)), 0.0, "{reason}");
    }
}

#[test]
fn a_connection_that_its_client_ends_is_not_counted() {
    let engine = Engine::answering("classic");
    let proxy = limited(&engine, "");
    assert_eq!(proxy.client().get("/").send().status(), 200);
    proxy.raw("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    proxy.counts("cutover_connections_open{listener=\"127.0.0.1:0\"}", 0.0);
    let page = proxy.ask("GET /metrics").body;
    let counted: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("cutover_connections_closed_total") && !line.ends_with(" 0"))
        .collect();
    assert!(counted.is_empty(), "{counted:?}");
}

#[test]
fn a_reader_that_takes_nothing_is_ended_and_counted_and_so_is_its_exchange_with_the_engine() {
    let engine = Engine::script(|conn| {
        while conn.request().is_some() {
            conn.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 64 << 20));
            let part = "x".repeat(1 << 20);
            for _ in 0..64 {
                conn.send(&part);
            }
        }
        conn.note("over");
    });
    let proxy = limited(&engine, "idle_timeout = \"300ms\"");
    let mut wire = proxy.wire();
    wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    proxy.counts(&ended("slow_reader"), 1.0);
    proxy.counts("cutover_connections_open{listener=\"127.0.0.1:0\"}", 0.0);
    eventually("the engine is free again", || (!engine.notes().is_empty()).then_some(()));
    // What was on its way arrives, and not a byte more.
    let mut taken = Vec::new();
    let _ = wire.stream.read_to_end(&mut taken);
    assert!(taken.len() < 64 << 20, "{} bytes", taken.len());
}

#[test]
fn a_reader_that_asks_on_and_takes_nothing_is_ended_as_well() {
    let engine = Engine::script(|conn| {
        while conn.request().is_some() {
            conn.send(format!("HTTP/1.1 200 OK\r\ncontent-length: 16384\r\n\r\n{}", "x".repeat(16384)));
        }
    });
    let proxy = limited(&engine, "idle_timeout = \"500ms\"\nheader_timeout = \"300ms\"");
    let mut wire = proxy.wire();
    // All answers together are more than any two sockets hold, and each is put whole behind the one before.
    wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(2000));
    proxy.counts(&ended("slow_reader"), 1.0);
    proxy.counts("cutover_connections_open{listener=\"127.0.0.1:0\"}", 0.0);
}

#[test]
fn a_line_end_behind_a_request_begins_no_head() {
    let engine = Engine::answering("classic");
    let proxy = limited(&engine, "idle_timeout = \"900ms\"\nheader_timeout = \"100ms\"");
    let answers = proxy.raw("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi\r\n");
    assert!(answers.starts_with("HTTP/1.1 200") && !answers.contains("408"), "{answers}");
    proxy.counts(&ended("idle"), 1.0);
    assert_eq!(proxy.metric(&ended("slow_head")), 0.0);
}

#[test]
fn an_exchange_that_takes_too_long_is_ended_and_counted_begun_or_not() {
    let engine = Engine::hanging();
    let proxy = limited(&engine, "request_timeout = \"300ms\"");
    assert_eq!(proxy.client().get("/").send().status(), 504);
    proxy.counts(&ended("request_timeout"), 1.0);
    assert!(proxy.client().get("/stops").try_send().is_none());
    proxy.counts(&ended("request_timeout"), 2.0);
}

#[test]
fn a_tunnel_that_carries_nothing_is_ended_and_counted() {
    let engine = Engine::script(|conn| {
        if conn.request().is_some() {
            conn.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n");
            conn.closes();
        }
    });
    let proxy = limited(&engine, "idle_timeout = \"300ms\"");
    let mut wire = proxy.wire();
    wire.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n");
    assert_eq!(wire.head().expect("an answer").status(), 101);
    wire.closes();
    proxy.counts(&ended("idle_tunnel"), 1.0);
    assert_eq!(proxy.metric(&ended("idle")), 0.0);
}

#[test]
fn a_connection_too_many_of_the_process_is_counted() {
    let engine = Engine::answering("classic");
    let proxy = limited(&engine, "connections = 1");
    let mut client = proxy.client();
    assert_eq!(client.get("/").send().status(), 200);
    assert!(proxy.raw("").starts_with("HTTP/1.1 503 "));
    proxy.counts(&turned_away("per_process"), 1.0);
}
