//! Tables for the headers that cross the proxy.

use std::net::IpAddr;

use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::ids::is_traceparent;
use super::*;

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).expect("a name"),
            HeaderValue::from_str(value).expect("a value"),
        );
    }
    headers
}

/// The lines of the map and of ours, as an engine gets them.
fn both(headers: &HeaderMap, ours: &Lines) -> Vec<String> {
    let text = std::str::from_utf8(ours.as_bytes()).expect("ASCII");
    let mut all = lines(headers);
    all.extend(text.split_terminator("\r\n").map(str::to_owned));
    all.sort();
    all
}

fn strip(headers: &mut HeaderMap, keys: &[HeaderName], peer_is_trusted: bool) -> HopRequest {
    let seen = Seen::of(headers);
    strip_request(headers, seen, keys, peer_is_trusted)
}

fn forward(forwarder: &mut Forwarder, headers: &mut HeaderMap, peer_is_trusted: bool) -> Vec<String> {
    let (seen, mut ours) = (Seen::of(headers), Lines::default());
    forwarder.write(headers, seen, peer_is_trusted, &mut ours);
    both(headers, &ours)
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("ASCII"))).collect();
    lines.sort();
    lines
}

#[test]
fn hop_by_hop_headers_go_and_protected_ones_stay() {
    let mut headers = map(&[
        ("host", "portal"),
        ("connection", "close, X-Secret, Cookie, X-Forwarded-For"),
        ("connection", "x-second, authorization, Host, content-length"),
        ("x-secret", "1"),
        ("x-second", "2"),
        ("cookie", "a=1"),
        ("authorization", "Bearer t"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("te", "trailers, deflate"),
        ("upgrade", "websocket"),
        ("expect", "100-continue"),
        ("cutover-engine", "identity"),
    ]);
    let hop = strip(&mut headers, &[], false);
    assert_eq!(lines(&headers), ["authorization: Bearer t", "cookie: a=1", "host: portal"]);
    assert!(hop.takes_trailers && hop.expects_continue);
    assert_eq!(hop.upgrade, None, "an Upgrade that Connection does not name is not meant for us");
}

#[test]
fn an_upgrade_and_trailers_are_asked_for_anew() {
    let mut headers =
        map(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket"), ("te", "trailers")]);
    let hop = strip(&mut headers, &[], false);
    assert!(headers.is_empty());
    restore_hop(&mut headers, &hop);
    assert_eq!(lines(&headers), ["connection: upgrade, te", "te: trailers", "upgrade: websocket"]);
}

#[test]
fn a_key_header_is_believed_from_a_trusted_peer_in_one_spelling_only() {
    let keys = [HeaderName::from_static("x-user-id")];
    let sent = [("x-user-id", "ada"), ("x_user_id", "eve"), ("x-user_id", "eve"), ("x-user-ids", "kept")];
    let mut headers = map(&sent);
    strip(&mut headers, &keys, false);
    assert_eq!(lines(&headers), ["x-user-ids: kept"]);
    let mut headers = map(&sent);
    strip(&mut headers, &keys, true);
    assert_eq!(lines(&headers), ["x-user-id: ada", "x-user-ids: kept"]);
    let mut headers =
        map(&[("connection", "close, X-User-Id, x_user_id"), ("x-user-id", "ada"), ("x_user_id", "eve")]);
    strip(&mut headers, &keys, true);
    assert_eq!(lines(&headers), ["x-user-id: ada"], "a client cannot talk the proxy's word away");
}

#[test]
fn whose_certificate_somebody_has_shown_is_for_trusted_proxies_to_say() {
    let sent = [
        ("x-forwarded-client-cert", "Subject=\"CN=eve\""),
        ("Client-Cert", ":MIIB:"),
        ("ssl_client_s_dn", "CN=eve"),
        ("x_ssl-client_verify", "SUCCESS"),
        ("x-client-id", "kept"),
    ];
    let mut headers = map(&sent);
    strip(&mut headers, &[], false);
    assert_eq!(lines(&headers), ["x-client-id: kept"]);
    let mut headers = map(&sent);
    headers.insert("connection", HeaderValue::from_static("client-cert, x-client-id"));
    strip(&mut headers, &[], true);
    let whole = [
        "client-cert: :MIIB:",
        "ssl_client_s_dn: CN=eve",
        "x-forwarded-client-cert: Subject=\"CN=eve\"",
        "x_ssl-client_verify: SUCCESS",
    ];
    assert_eq!(lines(&headers), whole, "as it came, and no client can talk it away");
}

#[test]
fn forwarded_headers_are_overwritten_for_strangers() {
    let mut forwarder = Forwarder::new("::ffff:192.0.2.7".parse().expect("an address"), false, 8080);
    let mut headers = map(&[
        ("host", "portal:8080"),
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil"),
        ("forwarded", "for=1.1.1.1"),
    ]);
    assert_eq!(
        forward(&mut forwarder, &mut headers, false),
        [
            "forwarded: for=192.0.2.7;host=\"portal:8080\";proto=http",
            "host: portal:8080",
            "x-forwarded-for: 192.0.2.7",
            "x-forwarded-host: portal:8080",
            "x-forwarded-port: 8080",
            "x-forwarded-proto: http",
        ]
    );
    let mut other = map(&[("host", "other")]);
    let other = forward(&mut forwarder, &mut other, false);
    assert_eq!(
        other[0], "forwarded: for=192.0.2.7;host=other;proto=http",
        "another host on the same connection"
    );
}

#[test]
fn forwarded_headers_grow_behind_a_trusted_peer() {
    let mut forwarder = Forwarder::new("2001:db8::1".parse().expect("an address"), false, 80);
    let mut headers = map(&[
        ("host", "portal"),
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "https"),
    ]);
    assert_eq!(
        forward(&mut forwarder, &mut headers, true),
        [
            "forwarded: for=\"[2001:db8::1]\";host=portal;proto=http",
            "host: portal",
            "x-forwarded-for: 198.51.100.1, 10.0.0.1, 2001:db8::1",
            "x-forwarded-host: portal",
            "x-forwarded-port: 80",
            "x-forwarded-proto: https",
        ]
    );
}

#[test]
fn the_client_is_the_rightmost_address_that_is_not_trusted() {
    let trust = Trust::new(vec!["10.0.0.0/8".parse().expect("a network")]);
    let peer: IpAddr = "10.0.0.9".parse().expect("an address");
    for (sent, client) in [
        (&[][..], "10.0.0.9"),
        (&[("x-forwarded-for", "6.6.6.6, 198.51.100.1, 10.1.1.1")], "198.51.100.1"),
        (&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "198.51.100.1:4711")], "198.51.100.1"),
        (&[("x-forwarded-for", "10.2.2.2, 10.1.1.1")], "10.2.2.2"),
        (&[("x-forwarded-for", "6.6.6.6, garbage, 10.1.1.1")], "10.1.1.1"),
        (&[("forwarded", "for=6.6.6.6, For=\"[2001:db8::7]:1\";proto=https, for=10.1.1.1")], "2001:db8::7"),
        (&[("forwarded", "proto=https")], "10.0.0.9"),
        (&[("x-forwarded-for", "é, 198.51.100.1"), ("forwarded", "for=6.6.6.6")], "198.51.100.1"),
        (&[("x-forwarded-for", "é"), ("forwarded", "for=6.6.6.6")], "10.0.0.9"),
        (&[("x-forwarded-for", "6.6.6.6, é"), ("x-forwarded-for", "10.1.1.1")], "10.1.1.1"),
        (&[("forwarded", "for=\"é, for=198.51.100.1")], "198.51.100.1"),
    ] {
        assert_eq!(trust.client(&map(sent), peer).to_string(), client, "sent {sent:?}");
    }
}

#[test]
fn only_the_last_word_on_the_scheme_counts() {
    for (sent, secure) in [
        (&[("x-forwarded-proto", "https")][..], true),
        (&[("x-forwarded-proto", "https, http")], false),
        (&[("x-forwarded-proto", "http, HTTPS")], true),
        (&[("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")], false),
        (&[("forwarded", "proto=https"), ("forwarded", "é;proto=http")], false),
        (&[("forwarded", "for=1.1.1.1;proto=http, for=2.2.2.2;proto=https")], true),
        (&[("forwarded", "for=1.1.1.1;proto=https, for=2.2.2.2")], false),
        (&[], false),
    ] {
        assert_eq!(forwarded_over_tls(&map(sent)), secure, "sent {sent:?}");
    }
}

#[test]
fn a_request_keeps_a_safe_name_and_gets_one_otherwise() {
    for (sent, name) in [
        (&[("x-request-id", "abc-123")][..], "abc-123"),
        (&[("x-request-id", "a\"b")], "00000000000000a100000000000000a1"),
        (&[("x-request-id", "one"), ("x-request-id", "two")], "00000000000000a100000000000000a1"),
        (&[], "00000000000000a100000000000000a1"),
    ] {
        let mut headers = map(sent);
        let (seen, mut ours) = (Seen::of(&headers), Lines::default());
        let id = ensure_request_id(&mut headers, seen, || 0xA1, &mut ours);
        assert_eq!(id.as_str(), name, "sent {sent:?}");
        assert_eq!(both(&headers, &ours), [format!("x-request-id: {name}")], "sent {sent:?}");
    }
}

#[test]
fn a_trace_is_continued_or_begun() {
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (sent, kept) in [
        (good, true),
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what", true),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what", false),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false),
        ("garbage", false),
    ] {
        let mut headers = map(&[("traceparent", sent)]);
        let (seen, mut ours) = (Seen::of(&headers), Lines::default());
        ensure_traceparent(&mut headers, seen, || 0x10, &mut ours);
        let now = both(&headers, &ours);
        let [line] = &now[..] else { panic!("one line, not {now:?}") };
        let now = line.strip_prefix("traceparent: ").expect("a traceparent");
        assert_eq!(now == sent, kept, "sent {sent}");
        assert!(is_traceparent(now.as_bytes()), "{now}");
        assert_eq!(trace_id(&headers, &ours), now.get(3..35));
    }
}

#[test]
fn a_line_of_ours_cannot_be_ended_early() {
    let mut lines = Lines::default();
    lines.push("a", b"1\r\nevil: 2");
    lines.push("b", b"2");
    assert_eq!(lines.as_bytes(), b"a: \r\nb: 2\r\n");
}

#[test]
fn an_engine_cannot_set_our_cookies_or_keep_the_connection_for_itself() {
    let mut headers = map(&[
        ("set-cookie", "sid=1; Path=/"),
        ("set-cookie", "__Host-cutover=forged; Secure"),
        ("set-cookie", "cutover-tester=x"),
        ("connection", "keep-alive, x-hop"),
        ("keep-alive", "timeout=5"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("trailer", "x-sum"),
    ]);
    strip_response(&mut headers);
    assert_eq!(lines(&headers), ["set-cookie: sid=1; Path=/", "trailer: x-sum"]);
}

#[test]
fn a_response_with_our_cookie_is_private() {
    for (sent, left) in [
        (&[][..], "private"),
        (&[("cache-control", "public, max-age=60, S-MaxAge=600")], "max-age=60, private"),
        (&[("cache-control", "no-store")], "no-store"),
        (&[("cache-control", "private, max-age=5")], "private, max-age=5"),
        (&[("cache-control", "no-store, x=é")], "no-store, x=é"),
        (&[("cache-control", "max-age=5"), ("cache-control", "public")], "max-age=5, private"),
        (&[("cache-control", "private=\"set-cookie\"")], "private=\"set-cookie\", private"),
    ] {
        let mut headers = map(sent);
        set_our_cookie(&mut headers, "cutover=x; Path=/".to_owned());
        assert_eq!(headers[CACHE_CONTROL].as_bytes(), left.as_bytes(), "sent {sent:?}");
        assert_eq!(headers[SET_COOKIE], "cutover=x; Path=/");
    }
}
