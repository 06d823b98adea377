//! What nobody has read when an answer is through: the rest of a body, a request behind a refused one, bytes before a
//! tunnel. None of it is ever taken for a request, and the client still hears the answer.

use std::io::{Read as _, Write as _};

use crate::support::{Engine, Proxy, Wire, eventually, portal};

const HOST: &str = "host: portal.example.com\r\n";
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: portal.example.com\r\n\r\n";

fn between(engine: &Engine) -> Proxy {
    Proxy::with(portal("hosts = [\"portal.example.com\"]", engine, engine))
}

/// Reads one answer, then sends more, and gives back what comes after that until the proxy closes.
fn answer_then(wire: &mut Wire, more: &str) -> (u16, String) {
    let head = wire.head().expect("an answer");
    assert_eq!(head.get("connection"), Some("close"), "it is told that this is the last");
    wire.body(&head, "POST").expect("a whole one");
    wire.send(more);
    (head.status(), String::from_utf8_lossy(&wire.rest()).into_owned())
}

fn heads(engine: &Engine) -> Vec<String> {
    engine.heads().iter().map(|head| head.target().to_owned()).collect()
}

#[test]
fn a_body_that_an_engine_did_not_wait_for_is_not_the_next_request() {
    let engine = Engine::script(|conn| {
        while let Some(head) = conn.begun() {
            conn.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            if head.has("content-length") || head.has("transfer-encoding") {
                conn.closes();
            }
        }
    });
    let proxy = between(&engine);
    let chunk = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    for (framing, body) in [
        (format!("content-length: {}", SMUGGLED.len()), SMUGGLED),
        (format!("content-length: {}", SMUGGLED.len() * 2), SMUGGLED),
        ("transfer-encoding: chunked".to_owned(), chunk.as_str()),
        ("transfer-encoding: chunked".to_owned(), "5\r\nhello\r\n"),
    ] {
        let mut wire = proxy.wire();
        wire.send(format!("POST /early HTTP/1.1\r\n{HOST}{framing}\r\n\r\n"));
        let (status, rest) = answer_then(&mut wire, &format!("{body}{SMUGGLED}"));
        assert_eq!((status, rest.as_str()), (200, ""), "{framing}: answered, and closed");
    }
    assert_eq!(heads(&engine), ["/early"; 4]);
}

#[test]
fn a_body_behind_an_answer_of_ours_is_drained_or_the_connection_closes() {
    let engine = Engine::answering("classic");
    let proxy = between(&engine);
    let refused =
        format!("POST /refused HTTP/1.1\r\nhost: evil.test\r\ncontent-length: {}\r\n\r\n", SMUGGLED.len());
    let good = format!("GET /good HTTP/1.1\r\n{HOST}connection: close\r\n\r\n");

    // It is here already.
    let answers = proxy.raw(format!("{refused}{SMUGGLED}{good}"));
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!((statuses, heads(&engine)), (vec!["421", "200"], vec!["/good".to_owned()]));

    // It comes later, or not whole.
    for body in [SMUGGLED.to_owned(), SMUGGLED[..20].to_owned(), format!("{SMUGGLED}{good}")] {
        let mut wire = proxy.wire();
        wire.send(&refused);
        assert_eq!(answer_then(&mut wire, &body), (421, String::new()));
    }
    let mut wire = proxy.wire();
    wire.send(format!("{refused}{}", &SMUGGLED[..20]));
    assert_eq!(answer_then(&mut wire, &format!("{}{good}", &SMUGGLED[20..])), (421, String::new()));
    assert_eq!(heads(&engine).len(), 1);
}

#[test]
fn who_waits_for_leave_to_send_a_body_that_nobody_wants_is_told_that_this_was_the_last_answer() {
    let engine = Engine::answering("classic");
    let proxy = between(&engine);
    let mut wire = proxy.wire();
    wire.send("POST / HTTP/1.1\r\nhost: evil.test\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(answer_then(&mut wire, "hello"), (421, String::new()));
}

#[test]
fn a_client_that_is_still_sending_hears_why_it_is_refused() {
    let engine = Engine::answering("classic");
    let toml = portal("", &engine, &engine);
    let proxy = Proxy::with(format!("{toml}\n[limits]\nbody_bytes = \"1KiB\"\n"));
    let body = "x".repeat(4 * 1024 * 1024);
    for (head, status) in [
        (format!("POST / HTTP/1.1\r\n{HOST}content-length: {}\r\n\r\n", body.len()), 413),
        (format!("POST / HTTP/1.1\r\n{HOST}transfer-encoding: chunked\r\n\r\n400000\r\n"), 413),
        (format!("POST / HTTP/1.1\r\n{HOST}content-length: 5\r\ncontent-length: 6\r\n\r\n"), 400),
        (format!("POST / HTTP/1.1\r\n{HOST}transfer-encoding: chunked\r\n\r\nx\r\n"), 400),
    ] {
        let mut wire = proxy.wire();
        // All of it is written before anything is read. Some systems throw away what they have received when a
        // connection is reset, the answer too.
        let sent = wire.stream.write_all(format!("{head}{body}").as_bytes());
        assert!(sent.is_ok(), "reset while sending: {head}");
        let answer = wire.head().unwrap_or_else(|| panic!("an answer to {head:?}"));
        assert_eq!((answer.status(), answer.get("connection")), (status, Some("close")), "{head}");
        wire.body(&answer, "POST").expect("a whole answer");
        assert!(matches!(wire.stream.read(&mut [0]), Ok(0)), "an end, and no reset: {head}");
    }
    assert_eq!(engine.requests().len(), 0);
}

#[test]
fn a_client_that_never_ends_is_not_listened_to_for_ever() {
    let engine = Engine::answering("classic");
    let proxy = between(&engine);
    let open = "cutover_connections_open";
    let mut wire = proxy.wire();
    wire.send("GET / HTTP/1.3\r\n");
    assert_eq!(wire.head().expect("an answer").status(), 400);
    let is_gone = || {
        let page = proxy.ask("GET /metrics").body;
        let line = page.lines().find(|line| line.starts_with(open)).expect("the gauge").to_owned();
        line.ends_with(" 0").then_some(())
    };
    // It says nothing more, and does not hang up.
    eventually("it is let go", is_gone);
}

const SWITCH: &str =
    "GET /chat HTTP/1.1\r\nhost: portal.example.com\r\nconnection: upgrade\r\nupgrade: raw\r\n\r\n";

#[test]
fn what_is_said_before_a_tunnel_is_there_reaches_it_as_it_was() {
    let engine = Engine::script(|conn| {
        conn.begun();
        conn.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: raw\r\n\r\n");
        assert_eq!(conn.take(13).as_deref(), Some(&b"\0\x81early\nwords"[..]));
        conn.note("heard");
    });
    let proxy = between(&engine);
    // In one write with the request, and in one that may come while the engine is asked.
    for early in [&b"\0\x81early\nwords"[..], b"\0\x81e"] {
        let before = engine.notes().len();
        let mut wire = proxy.wire();
        wire.send([SWITCH.as_bytes(), early].concat());
        wire.send(&b"\0\x81early\nwords"[early.len()..]);
        assert_eq!(wire.head().expect("an answer").status(), 101);
        eventually("the engine has heard it", || (engine.notes().len() > before).then_some(()));
    }
}

#[test]
fn what_stands_behind_an_upgrade_that_is_not_followed_is_judged_after_all() {
    let engine = Engine::answering("classic");
    let proxy = between(&engine);
    let good = format!("GET /good HTTP/1.1\r\n{HOST}connection: close\r\n\r\n");
    for (behind, statuses, last) in [
        (good.clone(), vec!["200", "200"], "/good"),
        (format!("\0\r\n{good}"), vec!["200", "400"], "/chat"),
        (format!("GET /bad HTTP/1.1\r\n\r\n{good}"), vec!["200", "400"], "/chat"),
        (format!("{SWITCH}{SWITCH}{good}"), vec!["200", "200", "200", "200"], "/good"),
        (format!("{SWITCH}\n{good}"), vec!["200", "200", "400"], "/chat"),
    ] {
        let answers = proxy.raw(format!("{SWITCH}{behind}"));
        let found: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
        assert_eq!((found, engine.last().head.target()), (statuses, last), "{behind:?}");
    }
    assert!(!heads(&engine).contains(&"/bad".to_owned()));
}
