//! Tables for `headers.rs`.

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

fn lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("ASCII")))
        .collect();
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
    let hop = strip_request(&mut headers, &[], false);
    assert_eq!(lines(&headers), ["authorization: Bearer t", "cookie: a=1", "host: portal"]);
    assert!(hop.takes_trailers && hop.expects_continue);
    assert_eq!(hop.upgrade, None, "an Upgrade that Connection does not name is not meant for us");
}

#[test]
fn an_upgrade_and_trailers_are_asked_for_anew() {
    let mut headers = map(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket"), ("te", "trailers")]);
    let hop = strip_request(&mut headers, &[], false);
    assert!(headers.is_empty());
    restore_hop(&mut headers, &hop);
    assert_eq!(lines(&headers), ["connection: upgrade, te", "te: trailers", "upgrade: websocket"]);
}

#[test]
fn a_key_header_is_believed_from_a_trusted_peer_in_one_spelling_only() {
    let keys = [HeaderName::from_static("x-user-id")];
    let sent = [("x-user-id", "ada"), ("x_user_id", "eve"), ("x-user_id", "eve"), ("x-user-ids", "kept")];
    let mut headers = map(&sent);
    strip_request(&mut headers, &keys, false);
    assert_eq!(lines(&headers), ["x-user-ids: kept"]);
    let mut headers = map(&sent);
    strip_request(&mut headers, &keys, true);
    assert_eq!(lines(&headers), ["x-user-id: ada", "x-user-ids: kept"]);
    let mut headers = map(&[("connection", "close, X-User-Id, x_user_id"), ("x-user-id", "ada"), ("x_user_id", "eve")]);
    strip_request(&mut headers, &keys, true);
    assert_eq!(lines(&headers), ["x-user-id: ada"], "a client cannot talk the proxy's word away");
}

#[test]
fn our_cookies_never_reach_an_engine() {
    let mut headers = map(&[("cookie", "cutover=t; a=1"), ("cookie", "b=2"), ("cookie", "__Host-cutover-flow=f")]);
    strip_request(&mut headers, &[], false);
    assert_eq!(lines(&headers), ["cookie: a=1", "cookie: b=2"]);
    let mut headers = map(&[("cookie", "cutover=t")]);
    strip_request(&mut headers, &[], false);
    assert!(headers.is_empty());
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
    forwarder.write(&mut headers, false);
    assert_eq!(
        lines(&headers),
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
    forwarder.write(&mut other, false);
    assert_eq!(other[FORWARDED], "for=192.0.2.7;host=other;proto=http", "another host on the same connection");
    let mut strange = map(&[("host", "a, for=6.6.6.6")]);
    forwarder.write(&mut strange, false);
    assert_eq!(strange[FORWARDED], "for=192.0.2.7;proto=http", "a host cannot begin an element of its own");
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
    forwarder.write(&mut headers, true);
    assert_eq!(
        lines(&headers),
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
        // What a client writes, no text or an open quote, hides nothing that a proxy appends.
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
    let mut headers = map(&[("x-request-id", "abc-123")]);
    assert_eq!(ensure_request_id(&mut headers, || 1), "abc-123");
    let mut headers = map(&[("x-request-id", "a\"b")]);
    assert_eq!(ensure_request_id(&mut headers, || 0xA1), "00000000000000a100000000000000a1");
    assert_eq!(headers.get_all(X_REQUEST_ID).iter().count(), 1);
    let mut headers = map(&[("x-request-id", "abc"), ("x-request-id", "def")]);
    ensure_request_id(&mut headers, || 1);
    assert_eq!(lines(&headers), ["x-request-id: 00000000000000010000000000000001"], "two names are none");
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
        ensure_traceparent(&mut headers, || 0x10);
        let now = headers[TRACEPARENT].to_str().expect("ASCII");
        assert_eq!(now == sent, kept, "sent {sent}");
        assert!(is_traceparent(now.as_bytes()), "{now}");
    }
    let mut headers = map(&[("traceparent", good), ("traceparent", good)]);
    ensure_traceparent(&mut headers, || 0x10);
    assert_eq!(headers.get_all(TRACEPARENT).iter().count(), 1, "two parents are none");
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
