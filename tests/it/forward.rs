//! What crosses the proxy, and how: headers, bodies both ways, switched protocols.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use crate::support::{Client, Engine, Proxy, Wire, eventually, portal};

mod bodies;

fn between(engine: &Engine) -> Proxy {
    Proxy::with(portal("", engine, engine))
}

fn trusting(engine: &Engine) -> Proxy {
    Proxy::with(format!(
        "{}\n[trust]\nproxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]",
        portal("", engine, engine)
    ))
}

#[test]
fn nobody_tunnels_http2_past_us_nor_opens_a_tunnel_in_http_1_0() {
    let engine = Engine::answering("classic");
    let proxy = Proxy::with(portal("hosts = [\"portal.example.com\"]", &engine, &engine));
    let host = "host: portal.example.com\r\n";
    for (version, protocol) in
        [("1.1", "h2c"), ("1.1", "websocket, H2C"), ("1.1", "h2"), ("1.0", "websocket")]
    {
        let answer = proxy.raw(format!(
            "GET / HTTP/{version}\r\n{host}connection: upgrade, http2-settings, close\r\nupgrade: {protocol}\r\n\
             http2-settings: AAMAAABkAAQAAP__\r\n\r\n"
        ));
        assert!(answer.contains(" 200 OK"), "{answer}");
    }
    let heads = engine.heads();
    assert_eq!(heads.len(), 4);
    for head in heads {
        for name in ["upgrade", "http2-settings", "connection"] {
            assert!(!head.has(name), "{}", head.text);
        }
    }
}

#[test]
fn headers_of_one_hop_stay_on_it_in_both_directions() {
    let engine = Engine::replying(
        b"HTTP/1.1 200 OK\r\nconnection: x-hop, keep-alive\r\nconnection: x-second\r\nx-hop: 1\r\nx-second: 2\r\n\
          keep-alive: timeout=5\r\nproxy-connection: keep-alive\r\nupgrade: h2c\r\nx-stays: 3\r\nserver: e\r\n\
          content-length: 0\r\n\r\n",
    );
    let proxy = between(&engine);
    let mut client = proxy.client();
    let reply = client
        .get("/a%20b/../c?d=%e2%98%83&&")
        .header("connection: x-one , X-Two")
        .header("Connection: x-three")
        .header("x-one: 1")
        .header("x-two: 2")
        .header("x-three: 3")
        .header("x-four: 4")
        .header("keep-alive: timeout=5")
        .header("proxy-connection: keep-alive")
        .header("te: trailers, gzip")
        .header("upgrade: h2c")
        .header("trailer: x")
        .send();
    let request = engine.last().head;
    assert_eq!(request.first(), "GET /a%20b/../c?d=%e2%98%83&& HTTP/1.1", "the target passes as it came");
    for gone in ["x-one", "x-two", "x-three", "keep-alive", "proxy-connection", "upgrade"] {
        assert!(!request.has(gone), "{gone} in {}", request.text);
    }
    assert_eq!((request.get("x-four"), request.get("te")), (Some("4"), Some("trailers")));
    assert_eq!(request.get("connection"), Some("te"), "RFC 9110 10.1.4");
    for gone in ["x-hop", "x-second", "keep-alive", "proxy-connection", "upgrade", "via"] {
        assert!(!reply.head.has(gone), "{gone} in {}", reply.head.text);
    }
    assert_eq!((reply.head.get("x-stays"), reply.head.get("server")), (Some("3"), Some("e")));
}

#[test]
fn no_client_may_name_away_what_engines_rely_on() {
    let engine = Engine::answering("classic");
    let proxy = between(&engine);
    let reply = proxy
        .client()
        .post("/", "body")
        .header("connection: close, X-Forwarded-For, Cookie, Host, authorization, content-length")
        .header("connection: x-forwarded-proto, forwarded, x-request-id, content-type, cutover-engine")
        .header("cookie: a=1")
        .header("authorization: Bearer x")
        .header("content-type: text/plain")
        .header("x-request-id: mine")
        .send();
    assert_eq!((reply.status(), reply.head.get("connection")), (200, Some("close")));
    let request = engine.last();
    for (name, value) in [
        ("host", "portal.example.com"),
        ("cookie", "a=1"),
        ("authorization", "Bearer x"),
        ("content-type", "text/plain"),
        ("content-length", "4"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-request-id", "mine"),
    ] {
        assert_eq!(request.head.get(name), Some(value), "{name}");
    }
    assert_eq!(request.body.text(), "body");
}

#[test]
fn forwarded_headers_are_overwritten_for_strangers_and_appended_for_trusted_peers() {
    let engine = Engine::answering("classic");
    let lines = [
        "x-forwarded-for: 192.0.2.1",
        "X-Forwarded-For: 10.0.0.9",
        "x-forwarded-proto: https",
        "x-forwarded-host: outer.example.com",
        "x-forwarded-port: 443",
        "forwarded: for=192.0.2.1;proto=https",
    ];
    let ask = |proxy: &Proxy| {
        let mut client = proxy.client();
        lines.iter().fold(client.get("/"), |ask, line| ask.header(line)).send();
        engine.last().head
    };
    let stranger = between(&engine);
    let head = ask(&stranger);
    let port = stranger.address().port().to_string();
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "portal.example.com"),
        ("x-forwarded-port", port.as_str()),
        ("forwarded", "for=127.0.0.1;host=portal.example.com;proto=http"),
    ] {
        assert_eq!(head.get(name), Some(value), "{name} of a stranger");
    }
    let head = ask(&trusting(&engine));
    for (name, value) in [
        ("x-forwarded-for", "192.0.2.1, 10.0.0.9, 127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "outer.example.com"),
        ("x-forwarded-port", "443"),
        ("forwarded", "for=192.0.2.1;proto=https, for=127.0.0.1;host=portal.example.com;proto=http"),
    ] {
        assert_eq!(head.get(name), Some(value), "{name} of a trusted peer");
    }
    assert_eq!(head.get("host"), Some("portal.example.com"), "Host passes unchanged");
}

#[test]
fn an_underscore_is_no_way_around_what_is_stripped() {
    let engine = Engine::answering("classic");
    let proxy = Proxy::with(portal("keys = [\"header:x-user-id\"]\nannotate = true", &engine, &engine));
    proxy
        .client()
        .get("/")
        .header("x-user-id: eve")
        .header("X_User_Id: eve")
        .header("x_forwarded_for: 192.0.2.1")
        .header("x-forwarded_proto: https")
        .header("cutover-engine: identity")
        .header("cutover_engine: identity")
        .header("x_harmless: stays")
        .send();
    let head = engine.last().head;
    for gone in ["x-user-id", "x_user_id", "x_forwarded_for", "x-forwarded_proto", "cutover_engine"] {
        assert!(!head.has(gone), "{gone} in {}", head.text);
    }
    assert_eq!((head.get("cutover-engine"), head.get("x_harmless")), (Some("classic"), Some("stays")));
}

#[test]
fn requests_have_a_name_and_a_trace_and_engines_are_told_the_decision() {
    let engine = Engine::answering("classic");
    let proxy =
        Proxy::with(portal("keys = [\"cookie:uid\"]\npercent = 100\nannotate = true", &engine, &engine));
    let mut client = proxy.client();
    client.get("/").send();
    let first = engine.last().head;
    let id = first.get("x-request-id").expect("a name").to_owned();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let trace = first.get("traceparent").expect("a trace").to_owned();
    assert!(trace.len() == 55 && trace.starts_with("00-") && trace.ends_with("-00"), "{trace}");
    assert_eq!(first.get("cutover-reason"), Some("default"));

    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let ask = client.get("/").cookie("uid=ada").header("x-request-id: abc-1");
    ask.header(&format!("traceparent: {parent}")).header("tracestate: a=b").send();
    let second = engine.last().head;
    for (name, value) in [
        ("x-request-id", "abc-1"),
        ("traceparent", parent),
        ("tracestate", "a=b"),
        ("cutover-engine", "identity"),
        ("cutover-reason", "cohort"),
        ("cutover-workflow", "none"),
    ] {
        assert_eq!(second.get(name), Some(value), "{name}");
    }
    for bad in [
        "x-request-id: a b",
        "x-request-id: <script>",
        "traceparent: 00-0-0-0",
        "traceparent: ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ] {
        client.get("/").header(bad).send();
        let head = engine.last().head;
        let (name, value) = bad.split_once(": ").expect("a line");
        assert_ne!(head.get(name), Some(value), "{bad} is replaced");
    }
}

#[test]
fn expect_is_ours_to_answer() {
    let engine = Engine::answering("classic");
    let proxy = between(&engine);
    let mut client = proxy.client();
    let head = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
    let interim = client.exchange(head, "POST").expect("an interim response");
    assert_eq!(interim.status(), 100, "before a byte of the body was sent");
    assert_eq!(client.exchange("body", "POST").expect("an answer").status(), 200);
    let request = engine.last();
    assert_eq!((request.body.text().as_str(), request.head.has("expect")), ("body", false));

    let refused = "POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
    let refusal = proxy.client().exchange(refused, "POST").expect("an answer");
    assert_eq!(refusal.status(), 400, "no body is asked for that nobody takes");
}

#[test]
fn interim_responses_of_engines_are_counted_and_dropped() {
    let engine = Engine::script(|conn| {
        while conn.request().is_some() {
            conn.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n");
            conn.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let proxy = between(&engine);
    let mut client = proxy.client();
    for _ in 0..2 {
        let reply = client.get("/").send();
        assert_eq!((reply.status(), reply.text().as_str(), reply.head.has("link")), (200, "ok", false));
    }
    assert_eq!(engine.accepts(), 1, "and harm no connection");
    eventually("they are counted", || {
        let page = proxy.ask("GET /metrics").body;
        page.lines()
            .any(|line| line.starts_with("cutover_upstream_interim") && line.ends_with(" 4"))
            .then_some(())
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let engine = Engine::script(|conn| {
        while let Some(request) = conn.request() {
            let target = request.head.target().to_owned();
            conn.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{target}", target.len()));
        }
    });
    let proxy = between(&engine);
    let mut client = proxy.client();
    let requests: String =
        (0..50).map(|number| format!("GET /{number} HTTP/1.1\r\nhost: a\r\n\r\n")).collect();
    client.wire.send(requests);
    for number in 0..50 {
        assert_eq!(client.read("GET").expect("an answer").text(), format!("/{number}"));
    }
}

#[test]
fn a_client_of_http_1_0_is_served_as_it_expects() {
    let engine = Engine::script(|conn| {
        while conn.request().is_some() {
            conn.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        }
    });
    let proxy = between(&engine);
    let answer = proxy.raw("GET / HTTP/1.0\r\nhost: a\r\n\r\n");
    assert!(answer.ends_with("\r\n\r\nhello"), "no chunks for one who cannot read them: {answer:?}");
    assert!(!answer.to_ascii_lowercase().contains("transfer-encoding"), "{answer:?}");

    let sized = Engine::answering("classic");
    let proxy = between(&sized);
    let mut client = proxy.client();
    for _ in 0..2 {
        let reply = client.exchange("GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n", "GET");
        let reply = reply.expect("an answer on the same connection");
        assert_eq!(reply.head.get("connection").map(str::to_ascii_lowercase).as_deref(), Some("keep-alive"));
    }
}

#[test]
fn a_client_that_hangs_up_cancels_its_request() {
    let gone = Arc::new(AtomicUsize::new(0));
    let engine = Engine::script({
        let gone = Arc::clone(&gone);
        move |conn| {
            while let Some(request) = conn.request() {
                match request.head.target() {
                    "/before" => {}
                    _ => drop(conn.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome")),
                }
                conn.closes();
                gone.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let proxy = between(&engine);
    for (number, target) in ["/before", "/during"].into_iter().enumerate() {
        let mut client = proxy.client();
        client.wire.send(format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n"));
        if target == "/during" {
            assert!(client.wire.head().is_some());
        }
        eventually("the engine has it", || (engine.requests().len() == number + 1).then_some(()));
        drop(client);
        eventually("the engine sees it go", || (gone.load(Ordering::SeqCst) == number + 1).then_some(()));
    }
    proxy.counts("cutover_requests_in_flight{app=\"portal\",engine=\"classic\"}", 0.0);
}

/// Speaks as a WebSocket server would: switches, says something at once, then echoes.
fn echoing() -> Engine {
    Engine::script(|conn| {
        let Some(request) = conn.request() else { return };
        let key = request.head.get("sec-websocket-key").unwrap_or("none").to_owned();
        conn.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             sec-websocket-accept: {key}\r\n\r\nwelcome"
        ));
        while let Some(bytes) = conn.take(4) {
            conn.send(bytes);
        }
        conn.send("bye");
    })
}

const SWITCH: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                      sec-websocket-key: abc\r\n\r\n";

#[test]
fn a_switched_protocol_is_carried_both_ways() {
    let engine = echoing();
    let proxy = between(&engine);
    let mut wire = proxy.wire();
    // The first words follow the request before the switch is confirmed.
    wire.send(format!("{SWITCH}1234"));
    let head = wire.head().expect("an answer");
    assert_eq!((head.status(), head.get("sec-websocket-accept")), (101, Some("abc")));
    assert_eq!(head.get("upgrade"), Some("websocket"));
    assert!(
        head.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade")),
        "{}",
        head.text
    );
    assert_eq!(wire.take(7).as_deref(), Some(&b"welcome"[..]), "what stood right behind the 101");
    assert_eq!(wire.take(4).as_deref(), Some(&b"1234"[..]));
    for number in 0..50 {
        let word = format!("{number:04}");
        assert_eq!(wire.send(&word).take(4).as_deref(), Some(word.as_bytes()));
    }
    wire.finish();
    assert_eq!(wire.rest(), b"bye", "one side may finish before the other");
    let request = engine.last().head;
    assert_eq!((request.get("connection"), request.get("upgrade")), (Some("upgrade"), Some("websocket")));
}

#[test]
fn an_engine_that_hangs_up_ends_the_tunnel() {
    let engine = echoing();
    let proxy = between(&engine);
    let mut wire = proxy.wire();
    wire.send(SWITCH);
    assert_eq!(wire.head().expect("an answer").status(), 101);
    engine.hang_up();
    wire.closes();
}

#[test]
fn a_switch_that_the_engine_declines_is_an_ordinary_answer() {
    let engine = Engine::answering("classic");
    let proxy = between(&engine);
    let mut client = proxy.client();
    let reply = client.exchange(SWITCH, "GET").expect("an answer");
    assert_eq!((reply.status(), reply.text().as_str()), (200, "classic"));
    assert_eq!(client.get("/").send().status(), 200, "and the connection goes on");
}

#[test]
fn a_switch_that_nobody_asked_for_is_a_fault_of_the_engine() {
    let engine = Engine::script(|conn| {
        while conn.request().is_some() {
            conn.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nraw");
        }
    });
    let proxy = between(&engine);
    // `Upgrade` without `Connection: upgrade` asks for nothing (RFC 9110 7.8).
    for line in ["x: y", "upgrade: x"] {
        assert_eq!(proxy.client().get("/").header(line).send().status(), 502, "{line}");
    }
    proxy.counts("cutover_answers_total{app=\"portal\",kind=\"upgrade_unasked\"}", 2.0);
}

/// What a slow reader and a fast engine share: how much the engine managed to write.
fn endless() -> (Engine, Arc<AtomicU64>) {
    let written = Arc::new(AtomicU64::new(0));
    let engine = Engine::script({
        let written = Arc::clone(&written);
        move |conn| {
            let Some(_) = conn.request() else { return };
            conn.send("HTTP/1.1 200 OK\r\ncontent-length: 200000000\r\n\r\n");
            let part = vec![b'x'; 64 * 1024];
            while let Ok(()) = std::io::Write::write_all(&mut conn.stream, &part) {
                written.fetch_add(part.len() as u64, Ordering::SeqCst);
            }
        }
    });
    (engine, written)
}

#[test]
fn a_slow_reader_holds_the_engine_back() {
    let (engine, written) = endless();
    let proxy = between(&engine);
    let mut wire: Wire = Client::to(proxy.address()).wire;
    wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    wire.head().expect("an answer");
    // What lies in the sockets' buffers on the way is the system's; ours would grow without end.
    let mut before = 0;
    let settled = eventually("the engine is held back", || {
        thread::sleep(std::time::Duration::from_millis(300));
        let now = written.load(Ordering::SeqCst);
        (std::mem::replace(&mut before, now) == now && now > 0).then_some(now)
    });
    assert!(settled < 40_000_000, "the proxy took {settled} bytes that nobody read");
    assert!(wire.take(60_000_000).is_some(), "and everything comes when it is wanted");
}
