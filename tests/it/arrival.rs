//! Connections before their first request: whom a balancer speaks for, and who is one too many.

use crate::support::{Engine, Proxy, portal};

fn scene(lines: &str) -> (Engine, Engine, Proxy) {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let app = portal("percent = 0", &classic, &identity);
    (classic, identity, Proxy::with(format!("{lines}\n{app}")))
}

const PROXIED: &str =
    "[[listeners]]\nbind = \"127.0.0.1:0\"\nproxy_protocol = true\n[trust]\nproxies = [\"127.0.0.0/8\"]\n";
const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 203.0.113.9\r\nconnection: close\r\n\r\n";

fn turned_away(proxy: &Proxy, reason: &str, count: f64) {
    let series =
        format!("cutover_connections_turned_away_total{{listener=\"127.0.0.1:0\",reason=\"{reason}\"}}");
    proxy.counts(&series, count);
}

#[test]
fn the_client_is_whom_the_balancer_speaks_for() {
    let (classic, _identity, proxy) = scene(PROXIED);
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x14\xc0\x00\x02\x02\xc6\x33\x64\x02\x30\x39\x01\xbb\x20\x00\x05\x01\x00\x00\x00\x00";
    let headers: [(&[u8], &str, &str, &str); 4] = [
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 8443\r\n", "192.0.2.1", "8443", "http"),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 12345 8443\r\n", "2001:db8::1", "8443", "http"),
        (v2, "192.0.2.2", "443", "https"),
        // A balancer's health check: it is trusted itself, and what it forwards is believed.
        (b"PROXY UNKNOWN\r\n", "203.0.113.9, 127.0.0.1", "", "http"),
    ];
    for (header, client, port, proto) in headers {
        let answer = proxy.raw([header, GET.as_bytes()].concat());
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let head = classic.last().head;
        assert_eq!(head.get("x-forwarded-for"), Some(client));
        assert_eq!(head.get("x-forwarded-proto"), Some(proto));
        if !port.is_empty() {
            assert_eq!(head.get("x-forwarded-port"), Some(port));
        }
    }
}

#[test]
fn a_header_may_come_in_pieces_and_must_come_in_time() {
    let (_classic, _identity, proxy) = scene(&format!("{PROXIED}[limits]\nheader_timeout = \"300ms\"\n"));
    let mut wire = proxy.wire();
    for byte in b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n" {
        wire.send([*byte]);
    }
    wire.send(GET);
    assert_eq!(wire.head().expect("an answer").status(), 200);
    let mut late = proxy.wire();
    late.send("PROXY TCP4 192.0.2.1 ");
    assert!(late.rest().is_empty(), "closed without a word");
    turned_away(&proxy, "late_header", 1.0);
}

#[test]
fn what_is_no_header_is_closed_without_a_word() {
    let (classic, identity, proxy) = scene(PROXIED);
    for bytes in
        [&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..], b"PROXY TCP4 a b 1 2\r\n", b"\x16\x03\x01\x02\x00"]
    {
        assert_eq!(proxy.raw(bytes), "");
    }
    turned_away(&proxy, "no_header", 3.0);
    assert_eq!(classic.accepts() + identity.accepts(), 0);
    proxy.counts("cutover_connections_open{listener=\"127.0.0.1:0\"}", 0.0);
}

#[test]
fn nobody_else_may_say_who_it_is() {
    let (classic, identity, proxy) = scene(&PROXIED.replace("127.0.0.0/8", "192.0.2.0/24"));
    let answer = proxy.raw(format!("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\n{GET}"));
    assert_eq!(answer, "");
    turned_away(&proxy, "not_trusted", 1.0);
    assert_eq!(classic.accepts() + identity.accepts(), 0);
}

#[test]
fn an_address_has_so_many_connections_and_others_have_theirs() {
    let (_classic, _identity, proxy) = scene(&format!("{PROXIED}[limits]\nconnections_per_ip = 2\n"));
    let as_client = |address: &str| {
        let mut wire = proxy.wire();
        wire.send(format!("PROXY TCP4 {address} 198.51.100.2 1 2\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n"));
        wire
    };
    let mut held = [as_client("192.0.2.1"), as_client("192.0.2.1")];
    for wire in &mut held {
        assert_eq!(wire.head().expect("an answer").status(), 200);
    }
    let mut third = as_client("192.0.2.1");
    assert_eq!(third.head().expect("an answer").status(), 429);
    third.closes();
    assert_eq!(as_client("192.0.2.2").head().expect("an answer").status(), 200);
    turned_away(&proxy, "per_address", 1.0);
    proxy.counts("cutover_answers_total{app=\"none\",kind=\"too_many_connections\"}", 1.0);
    drop(held);
    crate::operators::eventually("room again", || {
        (as_client("192.0.2.1").head().is_some_and(|head| head.status() == 200)).then_some(())
    });
}
