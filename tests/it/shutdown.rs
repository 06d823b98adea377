//! The end: nobody is cut off who can be served in time.

use std::net::TcpStream;
use std::thread;

use crate::support::{Client, Engine, Proxy, eventually, portal};

/// Answers once it is told to.
fn waiting() -> Engine {
    Engine::script(|conn| {
        while conn.request().is_some() {
            conn.wait();
            conn.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone");
        }
    })
}

fn begun(proxy: &Proxy, engine: &Engine) -> Client {
    let mut client = proxy.client();
    let before = engine.requests().len();
    client.wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("the engine has it", || (engine.requests().len() > before).then_some(()));
    client
}

#[test]
fn what_is_in_flight_is_finished_and_nothing_new_begins() {
    let engine = waiting();
    let proxy = Proxy::with(format!("{}\n[shutdown]\ndrain = \"20s\"", portal("", &engine, &engine)));
    let (address, admin) = (proxy.address(), proxy.admin());
    let mut idle = proxy.client();
    let mut in_flight: Vec<Client> = (0..4).map(|_| begun(&proxy, &engine)).collect();
    assert_eq!(proxy.ask("GET /readyz").status, 200);
    let ending = thread::spawn(move || proxy.shut_down().0);

    eventually("not ready any more", || {
        (crate::operators::ask(admin, "GET /readyz", &[]).status == 503).then_some(())
    });
    eventually("new connections are refused", || TcpStream::connect(address).is_err().then_some(()));
    engine.go_on();
    for client in &mut in_flight {
        let reply = client.read("GET").expect("an answer");
        assert_eq!((reply.text().as_str(), reply.head.get("connection")), ("done", Some("close")));
        client.wire.closes();
    }
    // A connection that was kept alive is told with its next answer, and not before.
    let reply = idle.get("/").send();
    assert_eq!((reply.text().as_str(), reply.head.get("connection")), ("done", Some("close")));
    assert_eq!(ending.join().expect("an end"), 0, "nothing was cut");
}

#[test]
fn what_takes_too_long_is_cut_and_counted() {
    let engine = waiting();
    let proxy = Proxy::with(format!("{}\n[shutdown]\ndrain = \"300ms\"", portal("", &engine, &engine)));
    let mut clients: Vec<Client> = (0..2).map(|_| begun(&proxy, &engine)).collect();
    let (cut, _folder) = proxy.shut_down();
    assert_eq!(cut, 2);
    for client in &mut clients {
        assert!(client.read("GET").is_none(), "cut");
    }
}

#[test]
fn an_open_tunnel_does_not_hold_the_end_up_for_longer_than_the_drain() {
    let engine = Engine::script(|conn| {
        conn.request();
        conn.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
        conn.closes();
    });
    let proxy = Proxy::with(format!("{}\n[shutdown]\ndrain = \"300ms\"", portal("", &engine, &engine)));
    let mut wire = proxy.wire();
    wire.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
    assert_eq!(wire.head().expect("an answer").status(), 101);
    assert_eq!(proxy.shut_down().0, 1);
    wire.closes();
}

#[test]
fn a_load_over_connections_that_are_kept_alive_sees_no_reset() {
    let engine = Engine::answering("classic");
    let proxy = Proxy::with(format!("{}\n[shutdown]\ndrain = \"20s\"", portal("", &engine, &engine)));
    let mut clients: Vec<Client> = (0..8).map(|_| proxy.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").send().status(), 200);
    }
    let load: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            thread::spawn(move || {
                // Every answer is whole; the last one says that it is the last.
                while client.get("/").send().head.get("connection") != Some("close") {}
                client.wire.closes();
            })
        })
        .collect();
    assert_eq!(proxy.shut_down().0, 0);
    for thread in load {
        thread.join().expect("no request failed");
    }
}
