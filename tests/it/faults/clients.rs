//! Clients that send too much, too slowly, or nonsense.

use super::{head_of, portal};
use crate::support::{Engine, Proxy, eventually};

fn limited(engine: &Engine, limits: &str) -> Proxy {
    Proxy::with(format!("{}\n[limits]\n{limits}\n", portal("", engine, engine)))
}

#[test]
fn a_body_beyond_the_limit_is_413_declared_or_not() {
    let engine = Engine::answering("classic");
    let proxy = limited(&engine, "body_bytes = \"1KiB\"");
    let body = "x".repeat(1025);
    let declared = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1025\r\n\r\n{body}");
    let head = head_of(&proxy.raw(declared));
    assert_eq!((head.status(), head.get("connection")), (413, Some("close")));
    assert_eq!(engine.accepts(), 0, "what is declared is refused before an engine hears of it");

    let chunked =
        format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n401\r\n{body}\r\n0\r\n\r\n");
    let head = head_of(&proxy.raw(chunked));
    assert_eq!((head.status(), head.get("connection")), (413, Some("close")));
    assert_eq!(engine.requests().len(), 0, "what an engine began to hear is never completed");

    assert_eq!(proxy.client().post("/", &body[1..]).send().status(), 200, "the limit itself is allowed");
    let waiting = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1025\r\n\r\n";
    assert_eq!(
        proxy.client().exchange(waiting, "POST").expect("an answer").status(),
        413,
        "instead of a 100"
    );
}

#[test]
fn a_faulty_body_is_400_and_the_engines_exchange_is_never_completed() {
    for body in
        ["5\r\nhello\r\nnonsense\r\n", "5\r\nhello!!!\r\n0\r\n\r\n", "-1\r\n", "fffffffffffffffff\r\n"]
    {
        let engine = Engine::script(|conn| {
            conn.request();
            conn.note("over");
        });
        let proxy = limited(&engine, "");
        let head = head_of(
            &proxy.raw(format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}")),
        );
        assert_eq!((head.status(), head.get("connection")), (400, Some("close")), "{body:?}");
        eventually("the engine hears the end of it", || {
            (engine.notes().len() == engine.accepts()).then_some(())
        });
        assert_eq!(engine.requests().len(), 0, "{body:?}");
    }
}

#[test]
fn a_client_that_leaves_its_body_half_sent_completes_nothing() {
    let engine = Engine::script(|conn| {
        conn.request();
        conn.note("over");
    });
    let proxy = limited(&engine, "");
    for framing in ["content-length: 10\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let mut wire = proxy.wire();
        let before = engine.notes().len();
        wire.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}"));
        eventually("the engine has begun", || (engine.heads().len() == before + 1).then_some(()));
        drop(wire);
        eventually("the engine sees it go", || (engine.notes().len() == before + 1).then_some(()));
    }
    assert_eq!(engine.requests().len(), 0);
}

#[test]
fn a_slow_head_is_408_and_an_idle_connection_is_closed_without_a_word() {
    let engine = Engine::answering("classic");
    let proxy = limited(&engine, "header_timeout = \"300ms\"\nidle_timeout = \"300ms\"");
    let answer = proxy.raw("GET / HTTP/1.1\r\nhost: a\r\n");
    assert_eq!(head_of(&answer).status(), 408);
    assert_eq!(proxy.raw(""), "", "nothing was asked");
    let answer = proxy.raw("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("classic"),
        "nothing more was asked: {answer}"
    );
    let mut client = proxy.client();
    assert_eq!(client.get("/").send().status(), 200);
    assert_eq!(client.exchange("GET / HT", "GET").expect("an answer").status(), 408, "also of a later head");
    proxy.counts("cutover_answers_total{app=\"none\",kind=\"slow_request\"}", 2.0);
}

#[test]
fn a_slow_body_is_408_and_the_engines_exchange_is_never_completed() {
    let engine = Engine::answering("classic");
    let proxy = limited(&engine, "idle_timeout = \"300ms\"");
    let head = head_of(&proxy.raw("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf"));
    assert_eq!((head.status(), head.get("connection")), (408, Some("close")));
    assert_eq!(engine.requests().len(), 0);
}

#[test]
fn a_whole_exchange_has_its_time() {
    let engine = Engine::hanging();
    let proxy = limited(&engine, "request_timeout = \"300ms\"");
    let late = proxy.client().get("/").send();
    assert_eq!(late.status(), 504);
    proxy.counts("cutover_answers_total{app=\"portal\",kind=\"request_timeout\"}", 1.0);
    assert!(proxy.client().get("/stops").try_send().is_none(), "once begun it can only be broken");
}

#[test]
fn a_connection_too_many_is_503() {
    let engine = Engine::answering("classic");
    let proxy = limited(&engine, "connections = 2");
    let mut clients = [proxy.client(), proxy.client()];
    for client in &mut clients {
        assert_eq!(client.get("/").send().status(), 200);
    }
    assert_eq!(head_of(&proxy.raw("")).status(), 503);
    drop(clients);
    eventually("there is room again", || {
        let reply = proxy.client().get("/").try_send()?;
        (reply.status() == 200).then_some(())
    });
}
