//! Windows: whoever takes nothing holds up nobody but itself, and not for ever.

use bytes::Bytes;

use crate::operators::eventually;
use crate::support::multi::{Multi, PREFACE, fields, frame};
use crate::support::{Engine, Proxy, portal};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;

fn get(path: &str) -> Vec<u8> {
    let block =
        [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "portal.example.com")];
    frame(HEADERS, 5, 0, &fields(&block))
}

/// The same frame on another stream.
fn on(stream: u8, mut frame: Vec<u8>) -> Vec<u8> {
    frame[8] = stream;
    frame
}

#[test]
fn a_stream_whose_client_opens_no_window_is_reset_in_time_and_the_connection_stays() {
    let classic = Engine::script(|conn| {
        while let Some(request) = conn.request() {
            if request.head.target() == "/endless" {
                conn.send("HTTP/1.1 200 OK\r\ncontent-length: 67108864\r\n\r\n");
                conn.send(vec![b'x'; 64 << 20]);
                return;
            }
            conn.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let identity = Engine::answering("identity");
    let limits = "[limits]\nidle_timeout = \"500ms\"\n";
    let proxy = Proxy::with(format!("{limits}{}", portal("percent = 0", &classic, &identity)));
    let mut wire = proxy.wire();
    // SETTINGS_INITIAL_WINDOW_SIZE = 0.
    let no_window = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    wire.send([PREFACE, &no_window, &on(1, get("/endless"))].concat());
    let mut reset = None;
    while let Some(header) = wire.take(9) {
        let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
        let payload = wire.take(length).expect("a whole frame");
        match header[3] {
            RST_STREAM if header[8] == 1 => {
                reset = Some(payload);
                wire.send(on(3, get("/quick")));
            }
            HEADERS if header[8] == 3 => break,
            _ => {}
        }
    }
    assert_eq!(reset.as_deref(), Some(&8u32.to_be_bytes()[..]), "CANCEL");
    proxy.counts("cutover_requests_in_flight{app=\"portal\",engine=\"classic\"}", 0.0);
}

#[test]
fn an_engine_that_takes_nothing_holds_the_client_back() {
    let classic = Engine::script(|conn| {
        if let Some(head) = conn.begun() {
            conn.wait();
            conn.rest_of(&head);
            conn.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let identity = Engine::answering("identity");
    let proxy = Proxy::with(portal("percent = 0", &classic, &identity));
    let mut multi = Multi::to(proxy.address());
    let request = Multi::request("POST", "/upload").body(()).expect("a request");
    let (answer, mut stream) = multi.begin(request, false);
    let mut sent = 0_usize;
    // What the sockets on the way hold, and a window of 1 MiB: far less than a client would send.
    let most = 64 << 20;
    let is_held_back = multi.run(async {
        while sent < most {
            stream.reserve_capacity(64 * 1024);
            let room = std::future::poll_fn(|context| stream.poll_capacity(context));
            match tokio::time::timeout(std::time::Duration::from_secs(2), room).await {
                Ok(room) => {
                    let room = room.expect("open").expect("open");
                    sent += room;
                    stream.send_data(Bytes::from(vec![b'x'; room]), false).expect("open");
                }
                Err(_) => return true,
            }
        }
        false
    });
    assert!(is_held_back && sent >= 1 << 20, "{sent}");
    eventually("the engine has it", || (!classic.heads().is_empty()).then_some(()));
    classic.go_on();
    stream.send_data(Bytes::new(), true).expect("open");
    assert_eq!(multi.finish(answer).expect("an answer").status, 200);
}

#[test]
fn a_body_that_nobody_wants_ends_its_stream_and_not_the_connection() {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let limits = "[limits]\nbody_bytes = \"1KiB\"\n";
    let proxy = Proxy::with(format!("{limits}{}", portal("percent = 0", &classic, &identity)));
    let mut multi = Multi::to(proxy.address());
    for declared in [true, false] {
        let mut request = Multi::request("POST", "/");
        if declared {
            request = request.header("content-length", "10000000");
        }
        let (answer, mut stream) = multi.begin(request.body(()).expect("a request"), false);
        stream.send_data(Bytes::from(vec![b'x'; 4096]), false).expect("room");
        assert_eq!(multi.finish(answer).expect("an answer").status, 413, "declared: {declared}");
        let reset = multi.run(std::future::poll_fn(|context| stream.poll_reset(context)));
        assert_eq!(reset.expect("a reset"), h2::Reason::NO_ERROR, "declared: {declared}");
    }
    assert_eq!(multi.get("/after").status, 200);
    proxy.counts("cutover_answers_total{app=\"portal\",kind=\"body_too_large\"}", 2.0);
    proxy.counts("cutover_connections_total{listener=\"127.0.0.1:0\"}", 1.0);
}

#[test]
fn a_websocket_that_the_engine_did_not_open_is_no_tunnel() {
    let classic = Engine::script(|conn| {
        while let Some(request) = conn.request() {
            match request.head.target() {
                "/page" => conn.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
                "/no" => conn.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"),
                _ => {
                    conn.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n");
                    conn.send("upgrade: websocket\r\nsec-websocket-accept: x\r\n\r\n");
                    return;
                }
            };
        }
    });
    let identity = Engine::answering("identity");
    let proxy = Proxy::with(portal("percent = 0", &classic, &identity));
    let mut multi = Multi::to(proxy.address());
    for (path, status) in [("/page", 502), ("/unproven", 502), ("/no", 403)] {
        let request =
            Multi::request("CONNECT", path).extension(h2::ext::Protocol::from_static("websocket")).body(());
        let (answer, _stream) = multi.begin(request.expect("a request"), false);
        assert_eq!(multi.finish(answer).expect("an answer").status, status, "{path}");
    }
}
