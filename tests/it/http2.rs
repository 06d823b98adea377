//! HTTP/2 towards clients.

mod flow;
mod hostile;

use bytes::Bytes;
use http::HeaderMap;
use rustls::version::{TLS12, TLS13};

use crate::operators::{Folder, KEYS};
use crate::support::multi::Multi;
use crate::support::pki::{Authority, TlsClient};
use crate::support::{Engine, Proxy, portal};

fn scene(lines: &str) -> (Engine, Engine, Proxy) {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let app = portal("percent = 0", &classic, &identity);
    (classic, identity, Proxy::with(format!("{lines}\n{app}")))
}

#[test]
fn both_versions_are_told_apart_on_one_port() {
    let (classic, _identity, proxy) = scene("");
    let mut multi = Multi::to(proxy.address());
    assert_eq!((multi.get("/a").status, proxy.client().get("/b").send().status()), (200, 200));
    // An ordinary method that begins like the preface, and a client that cannot make up its mind.
    assert!(
        proxy.raw("PRINT / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").starts_with("HTTP/1.1 200")
    );
    let mut slow = proxy.wire();
    slow.send("PRI * HT");
    slow.finish();
    assert!(slow.rest().starts_with(b"HTTP/1.1 400") || slow.rest().is_empty());
    let targets: Vec<_> = classic.requests().iter().map(|request| request.head.target().to_owned()).collect();
    assert_eq!(targets, ["/a", "/b", "/"]);
}

#[test]
fn an_engine_gets_a_request_of_http_1() {
    let (classic, _identity, proxy) = scene("");
    let mut multi = Multi::to(proxy.address());
    let request = Multi::request("POST", "/x?y=z")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("te", "trailers")
        .body(())
        .expect("a request");
    let answer = multi.ask(request, b"hello").expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "classic"));
    assert_eq!((answer.get("connection"), answer.get("transfer-encoding")), (None, None));
    let seen = classic.last();
    assert_eq!(seen.head.first(), "POST /x?y=z HTTP/1.1");
    assert_eq!(seen.head.get("host"), Some("portal.example.com"));
    assert_eq!(seen.head.get("cookie"), Some("a=1; b=2"), "crumbs are joined");
    assert_eq!(
        (seen.head.get("te"), seen.head.get("transfer-encoding")),
        (Some("trailers"), Some("chunked"))
    );
    assert_eq!(seen.body.text(), "hello");
    assert!(!seen.head.has("http2-settings") && !seen.head.text.contains(":authority"));
}

#[test]
fn host_and_authority_agree_or_the_request_is_refused() {
    let (classic, _identity, proxy) = scene("");
    let mut multi = Multi::to(proxy.address());
    for (host, status) in [("portal.example.com", 200), ("PORTAL.example.com", 200), ("evil.example", 400)] {
        let request = Multi::request("GET", "/").header("host", host).body(()).expect("a request");
        assert_eq!(multi.ask(request, b"").expect("an answer").status, status, "{host}");
    }
    assert_eq!(classic.requests().len(), 2);
    let connect =
        http::Request::builder().method("CONNECT").uri("portal.example.com:443").body(()).expect("one");
    assert_eq!(multi.ask(connect, b"").expect("an answer").status, 400);
}

#[test]
fn many_streams_share_a_connection_and_keep_apart() {
    let (classic, _identity, proxy) = scene("");
    let mut multi = Multi::to(proxy.address());
    let begun: Vec<_> = (0..100)
        .map(|number| {
            let request = Multi::request("GET", &format!("/{number}")).body(()).expect("a request");
            multi.begin(request, true).0
        })
        .collect();
    for answer in begun {
        assert_eq!(multi.finish(answer).expect("an answer").status, 200);
    }
    assert_eq!(classic.requests().len(), 100);
    proxy.counts("cutover_connections_total{listener=\"127.0.0.1:0\"}", 1.0);
    proxy.counts("cutover_requests_in_flight{app=\"portal\",engine=\"classic\"}", 0.0);
}

#[test]
fn ten_mebibytes_pass_either_way() {
    let big = vec![b'x'; 10 << 20];
    let classic = Engine::script(|conn| {
        while let Some(request) = conn.request() {
            let length = request.body.bytes.len();
            conn.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"));
            conn.send(&request.body.bytes);
        }
    });
    let identity = Engine::answering("identity");
    let proxy = Proxy::with(portal("percent = 0", &classic, &identity));
    let mut multi = Multi::to(proxy.address());
    let request = Multi::request("POST", "/").body(()).expect("a request");
    let answer = multi.ask(request, &big).expect("an answer");
    assert_eq!((answer.status, answer.body.len()), (200, big.len()));
}

#[test]
fn trailers_pass_both_ways() {
    let classic = Engine::script(|conn| {
        while conn.request().is_some() {
            conn.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: grpc-status\r\n\r\n");
            conn.send("2\r\nok\r\n0\r\ngrpc-status: 0\r\n\r\n");
        }
    });
    let identity = Engine::answering("identity");
    let proxy = Proxy::with(portal("percent = 0", &classic, &identity));
    let mut multi = Multi::to(proxy.address());
    let request = Multi::request("POST", "/")
        .header("te", "trailers")
        .header("trailer", "x-sum")
        .body(())
        .expect("one");
    let (answer, mut stream) = multi.begin(request, false);
    stream.send_data(Bytes::from_static(b"data"), false).expect("room");
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "7".parse().expect("a value"));
    stream.send_trailers(trailers).expect("open");
    let answer = multi.finish(answer).expect("an answer");
    assert_eq!(
        (answer.text().as_str(), &answer.trailers["grpc-status"]),
        ("ok", &"0".parse().expect("a value"))
    );
    assert_eq!(classic.last().body.trailers, "x-sum: 7\r\n");
}

#[test]
fn a_stream_that_is_given_up_ends_its_exchange_and_no_other() {
    let classic = Engine::script(|conn| {
        while let Some(request) = conn.request() {
            if request.head.target() == "/slow" {
                while conn.more() {}
                return;
            }
            conn.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let identity = Engine::answering("identity");
    let proxy = Proxy::with(portal("percent = 0", &classic, &identity));
    let mut multi = Multi::to(proxy.address());
    let request = Multi::request("GET", "/slow").body(()).expect("a request");
    let (answer, mut stream) = multi.begin(request, true);
    crate::operators::eventually("the engine has it", || (!classic.heads().is_empty()).then_some(()));
    stream.send_reset(h2::Reason::CANCEL);
    drop(answer);
    assert_eq!(multi.get("/quick").status, 200);
    proxy.counts("cutover_requests_in_flight{app=\"portal\",engine=\"classic\"}", 0.0);
}

#[test]
fn a_websocket_opens_by_extended_connect() {
    let classic = Engine::script(|conn| {
        let Some(request) = conn.request() else { return };
        assert_eq!(request.head.get("upgrade"), Some("websocket"));
        assert_eq!(request.head.get("sec-websocket-key"), Some("Y3V0b3Zlci1odHRwMi13cw=="));
        conn.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n");
        conn.send(
            "sec-websocket-accept: P4VnjMWjBEr4HbXW7a0pm6skioc=\r\nsec-websocket-protocol: chat\r\n\r\nhello",
        );
        conn.echo();
    });
    let identity = Engine::answering("identity");
    let proxy = Proxy::with(portal("percent = 0", &classic, &identity));
    let mut multi = Multi::to(proxy.address());
    let request = Multi::request("CONNECT", "/chat")
        .extension(h2::ext::Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .body(())
        .expect("a request");
    let (answer, mut stream) = multi.begin(request, false);
    let said = multi.run(async {
        let mut answer = answer.await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
        assert!(!answer.headers().contains_key("sec-websocket-accept"));
        stream.send_data(Bytes::from_static(b" there"), false).expect("room");
        let mut said = Vec::new();
        while said.len() < 11 {
            let data = answer.body_mut().data().await.expect("more").expect("data");
            said.extend_from_slice(&data);
        }
        stream.send_data(Bytes::new(), true).expect("open");
        said
    });
    assert_eq!(said, b"hello there");
    let other = Multi::request("CONNECT", "/chat").extension(h2::ext::Protocol::from_static("connect-udp"));
    assert_eq!(multi.ask(other.body(()).expect("a request"), b"").expect("an answer").status, 501);
}

#[test]
fn an_engine_that_hangs_is_504_and_a_body_that_stops_is_408() {
    let classic = Engine::script(|conn| {
        while conn.begun().is_some() {
            while conn.more() {}
        }
    });
    let identity = Engine::answering("identity");
    let limits = "[limits]\nidle_timeout = \"300ms\"\n";
    let pools = format!(
        "[apps.portal]\npercent = 0\n[apps.portal.classic]\nendpoints = [{:?}]\ntimeouts.response = \"200ms\"\n\
         [apps.portal.identity]\nendpoints = [{:?}]\n",
        classic.url(),
        identity.url()
    );
    let proxy = Proxy::with(format!("{limits}{pools}"));
    let mut multi = Multi::to(proxy.address());
    assert_eq!(multi.get("/").status, 504);
    let request = Multi::request("POST", "/").body(()).expect("a request");
    let (answer, mut stream) = multi.begin(request, false);
    stream.send_data(Bytes::from_static(b"some"), false).expect("room");
    assert_eq!(multi.finish(answer).expect("an answer").status, 408);
    // A connection without streams is let go in time.
    multi.ended().expect("a proper end");
}

#[test]
fn a_drain_says_goaway_and_finishes_what_has_begun() {
    let classic = Engine::script(|conn| {
        while conn.request().is_some() {
            conn.wait();
            conn.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let identity = Engine::answering("identity");
    let proxy = Proxy::with(portal("percent = 0", &classic, &identity));
    let mut multi = Multi::to(proxy.address());
    let request = Multi::request("GET", "/").body(()).expect("a request");
    let (answer, _stream) = multi.begin(request, true);
    crate::operators::eventually("the engine has it", || (!classic.requests().is_empty()).then_some(()));
    let down = std::thread::spawn(move || proxy.shut_down().0);
    crate::operators::eventually("no new stream", || {
        multi.run(tokio::task::yield_now());
        multi.is_refused().then_some(())
    });
    classic.go_on();
    assert_eq!(multi.finish(answer).expect("an answer").text(), "ok");
    multi.ended().expect("GOAWAY without an error");
    assert_eq!(down.join().expect("no panic"), 0, "nothing was cut");
}

#[test]
fn over_tls_it_is_agreed_upon_by_name() {
    let authority = Authority::new();
    let folder = Folder::new();
    folder.write("keys", KEYS);
    authority.issue(&["portal.example.com"]).write(&folder, "portal");
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let listener = "[[listeners]]\nbind = \"127.0.0.1:0\"\n\
        tls.certificates = [{ cert = \"portal.pem\", key = \"portal.key\" }]\n";
    let proxy = Proxy::within(folder, format!("{listener}{}", portal("percent = 0", &classic, &identity)));
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let client = TlsClient::new(&authority, versions);
        let both = client.clone().with_protocols(&[b"h2", b"http/1.1"]);
        let wire = both.connect(proxy.address(), "portal.example.com").expect("a handshake");
        assert_eq!(wire.conn.alpn_protocol(), Some(&b"h2"[..]));
        let got = client.get_by_http2(proxy.address(), "portal.example.com", &[]).expect("an answer");
        assert_eq!(got.text, "classic");
        assert_eq!(classic.last().head.get("x-forwarded-proto"), Some("https"));
    }
}
