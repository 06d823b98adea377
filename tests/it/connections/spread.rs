//! Which worker serves a connection.

use super::proxy_with;
use crate::support::{Client, Engine, eventually};

fn differ_little(loads: &[usize]) -> bool {
    let (least, most) = (loads.iter().min().expect("workers"), loads.iter().max().expect("workers"));
    most - least <= 2 + least / 8
}

#[test]
fn eight_long_lived_connections_keep_both_workers_busy_always() {
    let engine = Engine::answering("classic");
    let proxy = proxy_with(&engine, "");
    // However the kernel spreads them: thirty times eight coin tosses would not come out even by themselves.
    for _ in 0..30 {
        let mut clients: Vec<Client> = Vec::new();
        for _ in 0..8 {
            let mut client = proxy.client();
            assert_eq!(client.get("/").send().status(), 200);
            clients.push(client);
            let loads = proxy.app().connections_by_worker();
            assert!(differ_little(&loads), "{loads:?}");
        }
        let loads = proxy.app().connections_by_worker();
        assert!(loads.iter().all(|load| (3..=5).contains(load)), "{loads:?}");
        for client in &mut clients {
            assert_eq!(client.get("/").send().status(), 200, "also where it changed its worker");
        }
        drop(clients);
        eventually("all are gone", || (proxy.app().connections_by_worker() == [0, 0]).then_some(()));
    }
    proxy.counts("cutover_connections_total{listener=\"127.0.0.1:0\"}", 240.0);
    proxy.counts("cutover_connections_open{listener=\"127.0.0.1:0\"}", 0.0);
}

#[test]
fn connections_that_change_their_worker_survive_a_reload_and_drain_with_the_rest() {
    let engine = Engine::answering("classic");
    let proxy = proxy_with(&engine, "[limits]\nheaders = 90");
    let mut clients: Vec<Client> = (0..64).map(|_| proxy.client()).collect();
    proxy.replace("headers = 90", "headers = 80");
    for client in &mut clients {
        assert_eq!(client.get("/").send().status(), 200);
    }
    let loads = proxy.app().connections_by_worker();
    assert_eq!(loads.iter().sum::<usize>(), 64);
    drop(clients);
    let (cut, _folder) = proxy.shut_down();
    assert_eq!(cut, 0, "those that were handed over are counted out like the others");
}
