//! How many connections a client may hold.

use super::{proxy_with, turned_away, wire_from};
use crate::support::{Client, Engine, Wire, eventually};

const GET: &str = "GET / HTTP/1.1\r\nhost: portal.example.com\r\n\r\n";

fn served(wire: Wire) -> Client {
    let mut client = Client { wire };
    assert_eq!(client.get("/").send().status(), 200);
    client
}

#[test]
fn an_address_holds_as_many_connections_as_it_may_and_no_other_is_touched() {
    let engine = Engine::answering("classic");
    let proxy = proxy_with(&engine, "[limits]\nconnections_per_ip = 3\n[trust]\nproxies = [\"127.0.0.9\"]");
    let mut held: Vec<Client> = (0..3).map(|_| served(proxy.wire())).collect();
    for _ in 0..4 {
        let mut wire = proxy.wire();
        let head = wire.head().expect("before anything is read");
        assert_eq!((head.status(), head.get("connection")), (429, Some("close")), "{}", head.text);
        wire.closes();
    }
    proxy.counts(&turned_away("per_address"), 4.0);
    proxy.counts("cutover_answers_total{app=\"none\",kind=\"too_many_connections\"}", 4.0);
    let _others: Vec<Client> = (0..3).map(|_| served(wire_from([127, 0, 0, 2], proxy.address()))).collect();
    let _trusted: Vec<Client> = (0..9).map(|_| served(wire_from([127, 0, 0, 9], proxy.address()))).collect();
    held.pop();
    eventually("there is room again", || {
        let mut wire = proxy.wire();
        wire.send(GET);
        (wire.head()?.status() == 200).then_some(())
    });
}

#[test]
fn the_limit_of_an_address_can_be_set_and_lifted_while_connections_are_open() {
    let engine = Engine::answering("classic");
    let proxy = proxy_with(&engine, "[limits]\nconnections_per_ip = 0");
    let _before: Vec<Client> = (0..3).map(|_| served(proxy.wire())).collect();
    proxy.replace("connections_per_ip = 0", "connections_per_ip = 1");
    let _first = served(proxy.wire());
    assert_eq!(proxy.wire().head().expect("an answer").status(), 429, "those from before are not counted");
    proxy.replace("connections_per_ip = 1", "connections_per_ip = 0");
    served(proxy.wire());
}

#[test]
fn thousands_of_connections_that_are_opened_and_abandoned_leave_nothing_behind() {
    const OPENED: usize = 3000;
    let engine = Engine::answering("classic");
    let proxy = proxy_with(&engine, "[limits]\nconnections_per_ip = 500");
    let open = "cutover_connections_open{listener=\"127.0.0.1:0\"}";
    for round in 0..OPENED / 300 {
        let wires: Vec<Wire> = (0..300)
            .map(|number| {
                let mut wire =
                    wire_from([127, 0, (round % 5) as u8, (number % 20 + 1) as u8], proxy.address());
                match number % 3 {
                    0 => {}
                    1 => drop(wire.send("GET / HTTP/1.1\r\nhost:")),
                    _ => drop(wire.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhal")),
                }
                wire
            })
            .collect();
        drop(wires);
    }
    proxy.counts(open, 0.0);
    assert_eq!(proxy.app().connections_by_worker(), [0, 0]);
    served(proxy.wire());
}
