//! What goes wrong on either side, and what the other side hears of it.

use std::net::TcpStream;
use std::time::Duration;

use crate::support::proxy::{list, pools};
use crate::support::wire::Head;
use crate::support::{Client, Engine, Proxy, eventually, portal};

mod answers;
mod clients;
mod retries;

/// One engine on both sides, with more lines in its table.
fn pooled(engine: &Engine, lines: &str) -> Proxy {
    let pool = format!("{}\n{lines}", list(&[engine]));
    Proxy::with(format!("workers = 1\n{}", pools("", &pool, &list(&[engine]))))
}

fn between(engine: &Engine) -> Proxy {
    Proxy::with(portal("", engine, engine))
}

fn failures(proxy: &Proxy, engine: &Engine, kind: &str) -> f64 {
    proxy.metric(&format!(
        "cutover_upstream_failures_total{{app=\"portal\",engine=\"classic\",endpoint=\"{}\",kind=\"{kind}\"}}",
        engine.url()
    ))
}

#[test]
fn an_engine_that_dies_in_the_middle_never_looks_like_one_that_was_done() {
    for response in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole\r\n9\r\nhal",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole!!!!\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole\r\nnonsense\r\n",
    ] {
        let engine = Engine::script(move |conn| {
            conn.request();
            conn.send(response);
            conn.wait();
        });
        let proxy = between(&engine);
        let mut client = proxy.client();
        client.wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        // A head that is through cannot be taken back: only the transfer can be broken. Where the nonsense stood
        // right behind the head, not even that gets through.
        if let Some(head) = client.wire.head() {
            engine.go_on();
            assert_eq!(head.status(), 200, "{response}");
            assert!(client.wire.body(&head, "GET").is_none(), "a broken transfer: {response}");
        }
        eventually("it is counted", || (failures(&proxy, &engine, "body_broken") == 1.0).then_some(()));
    }
}

#[test]
fn an_engine_that_refuses_is_502() {
    let mut engine = Engine::answering("classic");
    let proxy = between(&engine);
    engine.stop();
    let mut client = proxy.client();
    for _ in 0..2 {
        assert_eq!(client.get("/").send().status(), 502, "on a connection that goes on");
    }
    assert_eq!(client.post("/", "body").send().status(), 502);
    assert_eq!(client.get("/").send().status(), 502, "also behind a body that nobody took");
    assert!(failures(&proxy, &engine, "connect_refused") >= 4.0);
}

#[test]
fn an_engine_that_hangs_is_504() {
    let engine = Engine::script(|conn| {
        conn.request();
        conn.closes();
    });
    let proxy = pooled(&engine, "timeouts = { response = \"300ms\" }");
    let mut client = proxy.client();
    assert_eq!(client.get("/").send().status(), 504);
    assert_eq!(client.post("/", "body").send().status(), 504);
    assert_eq!(engine.requests().len(), 2, "what was written is not sent again after a time-out");
    assert_eq!(failures(&proxy, &engine, "response_timeout"), 2.0);
}

#[test]
fn an_engine_that_stops_in_the_middle_is_cut_off() {
    let engine = Engine::script(|conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it");
        conn.closes();
    });
    let proxy = pooled(&engine, "timeouts = { idle = \"300ms\" }");
    assert!(proxy.client().get("/").try_send().is_none(), "a broken transfer");
    eventually("it is counted", || (failures(&proxy, &engine, "body_timeout") == 1.0).then_some(()));
}

#[test]
fn an_address_that_does_not_answer_is_504() {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("a port");
    socket.listen(0).expect("a queue of one");
    let address = socket.local_addr().expect("an address").as_socket().expect("IPv4");
    // With the queue full the kernel drops what else comes.
    let mut held = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        held.push(stream);
        assert!(held.len() < 64, "the queue never fills");
    }
    let pool = format!("endpoints = [\"http://{address}\"]\ntimeouts = {{ connect = \"200ms\" }}");
    let proxy = Proxy::with(pools("", &pool, &pool));
    assert_eq!(proxy.client().get("/").send().status(), 504);
    proxy.counts("cutover_answers_total{app=\"portal\",kind=\"connect_timeout\"}", 1.0);
}

#[test]
fn what_is_no_answer_is_502() {
    for response in [
        "garbage\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "",
        "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad name: a\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
    ] {
        let engine = Engine::script(move |conn| {
            conn.request();
            conn.send(response);
        });
        let proxy = between(&engine);
        let mut client = proxy.client();
        assert_eq!(client.post("/", "body").send().status(), 502, "{response:?}");
        assert_eq!(engine.requests().len(), 1, "a POST is not sent twice: {response:?}");
        assert_eq!(client.post("/", "body").send().status(), 502, "the connection goes on: {response:?}");
    }
}

#[test]
fn words_that_nobody_asked_for_do_not_answer_the_next_request() {
    let engine = Engine::script(|conn| {
        while conn.request().is_some() {
            conn.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
        }
    });
    let proxy = between(&engine);
    let mut client = proxy.client();
    for _ in 0..5 {
        assert_eq!(client.get("/").send().text(), "ok");
    }
    assert_eq!(engine.accepts(), 5, "no such connection is used again");
}

#[test]
fn a_full_endpoint_queues_and_a_full_queue_is_503() {
    let engine = Engine::script(|conn| {
        while let Some(head) = conn.begun() {
            if head.target() == "/slow" {
                conn.wait();
            }
            conn.rest_of(&head);
            conn.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let connections = "connections = { max = 1, queue = 2, queue_timeout = \"10s\" }";
    let pool = format!("{}\n{connections}", list(&[&engine]));
    let proxy = Proxy::with(pools("", &pool, &list(&[&engine])));
    let in_flight = "cutover_requests_in_flight{app=\"portal\",engine=\"classic\"}";
    let mut clients: Vec<Client> = (0..3).map(|_| proxy.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let target = if number == 0 { "/slow" } else { "/" };
        client.wire.send(format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n"));
        proxy.counts(in_flight, number as f64 + 1.0);
    }
    let refused = proxy.client().get("/").send();
    assert_eq!((refused.status(), refused.head.get("retry-after")), (503, Some("1")));
    assert_eq!(engine.accepts(), 1);
    engine.go_on();
    for client in &mut clients {
        assert_eq!(client.read("GET").expect("an answer").status(), 200, "served when one frees");
    }
    proxy.counts("cutover_answers_total{app=\"portal\",kind=\"overloaded\"}", 1.0);
}

#[test]
fn nobody_waits_in_a_queue_for_ever() {
    let engine = Engine::script(|conn| {
        conn.request();
        conn.wait();
        conn.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    });
    let proxy = pooled(&engine, "connections = { max = 1, queue = 8, queue_timeout = \"200ms\" }");
    let mut first = proxy.client();
    first.wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it is in flight", || (engine.requests().len() == 1).then_some(()));
    assert_eq!(proxy.client().get("/").send().status(), 503);
    engine.go_on();
    assert_eq!(first.read("GET").expect("an answer").status(), 200);
}

fn head_of(answer: &str) -> Head {
    let (head, _) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("an answer, not {answer:?}"));
    Head { text: head.to_owned() }
}
