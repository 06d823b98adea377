//! TLS towards clients: who is shown what, what stays when files change, and what becomes of those who cannot shake hands.

mod certified;

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use cutover::control::Outcome;
use rustls::CipherSuite;
use rustls::version::{TLS12, TLS13};

use crate::operators::{Folder, KEYS};
use crate::support::pki::{Authority, TlsClient, shown};
use crate::support::{Engine, Proxy, portal};

const BOTH: &[&rustls::SupportedProtocolVersion] = &[&TLS13, &TLS12];
const NAME: &str = "portal.example.com";

struct Scene {
    authority: Authority,
    classic: Engine,
    _identity: Engine,
    proxy: Proxy,
}

/// A proxy that listens with these lines of `[listeners.tls]`, and the files that `files` writes.
fn scene(tls: &str, files: impl FnOnce(&Authority, &Folder)) -> Scene {
    let authority = Authority::new();
    let folder = Folder::new();
    folder.write("keys", KEYS);
    folder.write("ca.pem", authority.pem());
    authority.issue(&[NAME]).write(&folder, "portal");
    files(&authority, &folder);
    stage(authority, folder, tls, "percent = 0")
}

/// With these files, and lines of `[apps.portal]`.
fn stage(authority: Authority, folder: Folder, tls: &str, app: &str) -> Scene {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let listener = format!("[[listeners]]\nbind = \"127.0.0.1:0\"\n{tls}\n");
    let proxy = Proxy::within(folder, format!("{listener}{}", portal(app, &classic, &identity)));
    Scene { authority, classic, _identity: identity, proxy }
}

const ONE: &str = "tls.certificates = [{ cert = \"portal.pem\", key = \"portal.key\" }]";

#[test]
fn a_request_over_tls_is_secure_and_the_engine_is_told_so() {
    let Scene { authority, classic, proxy, _identity } =
        scene(&format!("hsts = \"max-age=31536000\"\n{ONE}"), |_, _| {});
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let client = TlsClient::new(&authority, versions);
        let got = client.get(proxy.address(), NAME, "accept: text/html\r\n").expect("an answer");
        assert!(got.text.starts_with("HTTP/1.1 200"), "{}", got.text);
        assert!(got.text.contains("\r\nstrict-transport-security: max-age=31536000\r\n"), "{}", got.text);
        assert!(
            got.text.contains("set-cookie: __Host-cutover=") && got.text.contains("; Secure"),
            "{}",
            got.text
        );
        let request = classic.requests().pop().expect("a request");
        assert_eq!(request.head.get("x-forwarded-proto"), Some("https"));
        assert!(request.head.get("forwarded").is_some_and(|value| value.contains("proto=https")));
    }
    let listener = "127.0.0.1:0";
    let page = proxy.ask("GET /metrics").body;
    assert!(page.contains(&format!(
        "cutover_certificate_expiry_timestamp_seconds{{listener=\"{listener}\",name=\"{NAME}\"}}"
    )));
}

#[test]
fn the_certificate_is_chosen_by_name_and_by_what_the_client_can_verify() {
    let certificates = "tls.certificates = [
        { cert = \"portal.pem\", key = \"portal.key\" }, { cert = \"rsa.pem\", key = \"rsa.key\" },
        { cert = \"wild.pem\", key = \"wild.key\" }, { cert = \"shop.pem\", key = \"shop.key\" }]";
    let Scene { authority, proxy, classic: _classic, _identity } =
        scene(certificates, |authority, folder| {
            authority.issue_rsa(&[NAME]).write(folder, "rsa");
            authority.issue(&["*.example.org"]).write(folder, "wild");
            authority.issue(&["shop.example.org", "shop.example.net"]).write(folder, "shop");
        });
    let client = TlsClient::new(&authority, BOTH);
    for (asked, names, kind) in [
        (NAME, &[NAME][..], "ECDSA"),
        ("shop.example.org", &["shop.example.org", "shop.example.net"], "ECDSA"),
        ("www.example.org", &["*.example.org"], "ECDSA"),
    ] {
        let wire = client.connect(proxy.address(), asked).expect("a handshake");
        assert_eq!(shown(&wire), (names.iter().map(ToString::to_string).collect(), kind), "{asked}");
    }
    // Nobody has it: the first is shown, and the client refuses it.
    assert!(client.connect(proxy.address(), "unknown.example.com").is_err());
}

#[test]
fn the_oldest_version_that_is_spoken_is_the_configured_one() {
    let Scene { authority, proxy, classic: _classic, _identity } =
        scene(&format!("{ONE}\ntls.min_version = \"1.3\""), |_, _| {});
    assert!(TlsClient::new(&authority, &[&TLS12]).connect(proxy.address(), NAME).is_err());
    assert!(TlsClient::new(&authority, &[&TLS13]).connect(proxy.address(), NAME).is_ok());
    proxy.counts(
        "cutover_tls_handshake_failures_total{listener=\"127.0.0.1:0\",reason=\"incompatible\"}",
        1.0,
    );
}

#[test]
fn of_what_a_client_offers_we_choose_what_costs_least() {
    let Scene { authority, proxy, classic: _classic, _identity } = scene(ONE, |_, _| {});
    for (versions, suite) in [
        (&[&TLS12][..], CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
        (&[&TLS13], CipherSuite::TLS13_AES_128_GCM_SHA256),
    ] {
        // Which offers 256 bits before 128.
        let wire = TlsClient::new(&authority, versions).connect(proxy.address(), NAME).expect("a handshake");
        assert_eq!(wire.conn.negotiated_cipher_suite().map(|chosen| chosen.suite()), Some(suite));
    }
}

#[test]
fn a_session_is_taken_up_again_by_any_worker_and_after_a_new_certificate() {
    let Scene { authority, proxy, classic: _classic, _identity } = scene(ONE, |_, _| {});
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let client = TlsClient::new(&authority, versions);
        assert!(!client.get(proxy.address(), NAME, "").expect("an answer").resumed);
        for _ in 0..8 {
            assert!(client.get(proxy.address(), NAME, "").expect("an answer").resumed);
        }
        authority.issue(&[NAME, "new.example.com"]).write(&proxy.folder, "portal");
        assert!(matches!(proxy.reload(), Outcome::Applied { .. } | Outcome::Unchanged { .. }));
        assert!(client.get(proxy.address(), NAME, "").expect("an answer").resumed);
    }
}

#[test]
fn a_pair_that_does_not_fit_changes_nothing_but_an_alarm() {
    let Scene { authority, proxy, classic: _classic, _identity } = scene(ONE, |_, _| {});
    let client = TlsClient::new(&authority, BOTH);
    proxy.folder.write("portal.key", authority.issue(&[NAME]).key);
    let Outcome::Rejected { problems, .. } = proxy.reload() else { panic!("a key of another certificate") };
    assert!(problems.contains("is the key of another certificate"), "{problems}");
    proxy.counts("cutover_config_last_reload_successful", 0.0);
    assert!(client.get(proxy.address(), NAME, "").is_ok());
    authority.issue(&[NAME, "new.example.com"]).write(&proxy.folder, "portal");
    proxy.reload();
    let wire = client.connect(proxy.address(), "new.example.com").expect("the new one");
    assert_eq!(shown(&wire).0, [NAME, "new.example.com"]);
}

#[test]
fn certificates_change_under_handshakes_and_none_fails() {
    let Scene { authority, proxy, classic: _classic, _identity } = scene(ONE, |_, _| {});
    let (address, stop, done) =
        (proxy.address(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let client = TlsClient::new(&authority, BOTH);
    let hammers: Vec<_> = (0..4)
        .map(|_| {
            let (client, stop, done) = (client.clone(), Arc::clone(&stop), Arc::clone(&done));
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    client.connect(address, NAME).expect("a handshake");
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for _ in 0..20 {
        let before = done.load(Ordering::SeqCst);
        authority.issue(&[NAME]).write(&proxy.folder, "portal");
        proxy.reload();
        while done.load(Ordering::SeqCst) < before + 8 {
            thread::yield_now();
        }
    }
    stop.store(true, Ordering::SeqCst);
    for hammer in hammers {
        hammer.join().expect("no handshake failed");
    }
}

#[test]
fn clients_show_a_certificate_of_ours_or_are_turned_away() {
    let Scene { authority, proxy, classic: _classic, _identity } =
        scene(&format!("{ONE}\ntls.client_ca = \"ca.pem\""), |_, _| {});
    let address = proxy.address();
    let ada = authority.client("Ada", "ada@example.com");
    let known = TlsClient::showing(&authority, BOTH, Some(&ada));
    assert!(known.get(address, NAME, "").expect("an answer").text.starts_with("HTTP/1.1 200"));
    let stranger = Authority::new().client("Eve", "eve@example.com");
    for client in [TlsClient::new(&authority, BOTH), TlsClient::showing(&authority, BOTH, Some(&stranger))] {
        // In TLS 1.3 the client learns of it with its first read.
        assert!(client.get(address, NAME, "").is_err());
    }
    let failures =
        "cutover_tls_handshake_failures_total{listener=\"127.0.0.1:0\",reason=\"client_certificate\"}";
    proxy.counts(failures, 2.0);
    // Another authority: a session that was begun under the old one is not taken up.
    proxy.folder.write("ca.pem", Authority::new().pem());
    proxy.reload();
    assert!(known.get(address, NAME, "").is_err());
}

#[test]
fn what_is_no_handshake_is_closed_and_counted_and_others_are_served() {
    let limits = "[limits]\nheader_timeout = \"300ms\"\n";
    let Scene { authority, proxy, classic: _classic, _identity } =
        scene(&format!("{ONE}\n{limits}"), |_, _| {});
    let client = TlsClient::new(&authority, BOTH);
    let half_open: Vec<_> = (0..200).map(|_| proxy.wire()).collect();
    let mut cut = proxy.wire();
    cut.send(b"\x16\x03\x01\x02\x00\x01\x00");
    cut.finish();
    cut.rest();
    assert!(client.get(proxy.address(), NAME, "").is_ok());
    let plain = proxy.raw("GET / HTTP/1.1\r\nhost: portal.example.com\r\n\r\n");
    assert!(!plain.contains("200"), "{plain}");
    for mut wire in half_open {
        wire.rest();
    }
    let count = |reason: &str, count: f64| {
        let series =
            format!("cutover_tls_handshake_failures_total{{listener=\"127.0.0.1:0\",reason=\"{reason}\"}}");
        proxy.counts(&series, count);
    };
    count("timeout", 200.0);
    count("closed", 1.0);
    count("not_tls", 1.0);
    proxy.counts("cutover_connections_open{listener=\"127.0.0.1:0\"}", 0.0);
}

#[test]
fn a_plain_listener_may_send_everybody_to_https() {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let listener = "[[listeners]]\nbind = \"127.0.0.1:0\"\nredirect_to_https = true\n";
    let proxy =
        Proxy::with(format!("{listener}{}", portal("hosts = [\"portal.example.com\"]", &classic, &identity)));
    let ask = |host: &str, target: &str| {
        proxy.raw(format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"))
    };
    let answer = ask("portal.example.com:8080", "/login?a=b&c=%2f");
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    assert!(answer.contains("\r\nlocation: https://portal.example.com/login?a=b&c=%2f\r\n"), "{answer}");
    assert!(
        ask("evil.example", "/").starts_with("HTTP/1.1 421 "),
        "nobody is sent to a host that we do not serve"
    );
    assert_eq!(classic.accepts() + identity.accepts(), 0);
    proxy.counts("cutover_answers_total{app=\"portal\",kind=\"redirect_to_https\"}", 1.0);
}

#[test]
fn a_listener_that_is_taken_away_serves_nothing_in_the_clear_that_it_sent_to_https() {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let port = crate::operators::free_port();
    let redirecting = format!("[[listeners]]\nbind = \"127.0.0.1:{port}\"\nredirect_to_https = true\n");
    let listeners = format!("[[listeners]]\nbind = \"127.0.0.1:0\"\n{redirecting}");
    let proxy = Proxy::with(format!("{listeners}{}", portal("", &classic, &identity)));
    let mut wire = crate::support::Wire::to(([127, 0, 0, 1], port).into());
    let mut ask = || {
        wire.send("GET / HTTP/1.1\r\nhost: portal.example.com\r\n\r\n");
        let head = wire.head().expect("an answer");
        let length = head.get("content-length").and_then(|length| length.parse().ok()).expect("a length");
        wire.take(length);
        head.status()
    };
    assert_eq!(ask(), 308);
    proxy.replace(&redirecting, "");
    assert_eq!(ask(), 308, "its connections live on, and are no door to the app");
    assert_eq!(classic.accepts() + identity.accepts(), 0);
}

#[test]
fn status_tells_what_each_listener_shows_and_until_when() {
    let Scene { authority: _authority, proxy, classic: _classic, _identity } =
        scene(&format!("{ONE}\ntls.client_ca = \"ca.pem\""), |_, _| {});
    let status: serde_json::Value =
        serde_json::from_str(&proxy.ask("GET /api/v1/status").body).expect("JSON");
    let listener = &status["edge"][0];
    assert_eq!(listener["speaks"], "HTTP/2 and HTTP/1.1 over TLS 1.2 and later");
    assert!(listener["client_ca"].as_str().is_some_and(|file| file.ends_with("ca.pem")));
    let shown = &listener["certificates"][0];
    assert_eq!((&shown["names"][0], &shown["key"]), (&NAME.into(), &"ECDSA".into()));
    assert!(shown["days_left"].as_i64().is_some_and(|days| days > 14), "{shown}");
}

#[test]
fn protocols_are_agreed_upon_by_name() {
    let Scene { authority, proxy, classic: _classic, _identity } = scene(ONE, |_, _| {});
    let client = TlsClient::new(&authority, BOTH).with_protocols(&[b"http/1.1"]);
    let mut wire = client.connect(proxy.address(), NAME).expect("a handshake");
    assert_eq!(wire.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    write!(wire, "GET / HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\n\r\n").expect("a request");
    let mut text = String::new();
    wire.read_to_string(&mut text).expect("an answer, and a proper end");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(
        TlsClient::new(&authority, BOTH).with_protocols(&[b"spdy/1"]).connect(proxy.address(), NAME).is_err()
    );
}
