//! What is tried again, what is not, and who serves when an engine is gone.

use std::collections::BTreeSet;

use super::{list, pooled, pools};
use crate::support::{Engine, Proxy, portal};

/// Reads requests, and closes without a word.
fn silent() -> Engine {
    Engine::script(|conn| {
        conn.request();
    })
}

/// One worker, two classic endpoints that take turns; `lines` stand in their table.
fn two(first: &Engine, second: &Engine, lines: &str) -> Proxy {
    let pool = format!("{}\nbalance = \"round-robin\"\n{lines}", list(&[first, second]));
    Proxy::with(format!("workers = 1\n{}", pools("", &pool, &list(&[first]))))
}

#[test]
fn a_pooled_connection_that_the_engine_closed_costs_the_client_nothing() {
    let engine = Engine::answering("classic");
    let proxy = pooled(&engine, "");
    let mut client = proxy.client();
    for method in ["GET", "POST", "DELETE", "PATCH"] {
        for _ in 0..5 {
            let bytes = format!("{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody");
            let reply = client.exchange(bytes, method).expect("an answer");
            assert_eq!(reply.status(), 200, "{method} after the engine had closed");
            engine.hang_up();
        }
    }
    assert_eq!(engine.requests().len(), 20, "nothing was sent twice");
    assert_eq!(
        proxy.metric("cutover_retries_total{app=\"portal\",engine=\"classic\",outcome=\"success\"}"),
        0.0
    );
}

#[test]
fn an_engine_that_closes_after_every_answer_is_no_trouble_for_what_may_be_repeated() {
    let engine = Engine::script(|conn| {
        conn.answer("once");
    });
    let proxy = pooled(&engine, "");
    let mut client = proxy.client();
    for _ in 0..200 {
        assert_eq!(client.get("/").send().status(), 200);
    }
}

#[test]
fn an_endpoint_that_refuses_is_nobodys_trouble_while_another_serves() {
    let (mut gone, serving) = (Engine::answering("gone"), Engine::answering("serving"));
    let proxy = two(&gone, &serving, "");
    gone.stop();
    let mut client = proxy.client();
    for number in 0..10 {
        assert_eq!(client.get("/").send().text(), "serving", "{number}");
        assert_eq!(client.post("/", "body").send().text(), "serving", "{number}");
    }
    let bodies: BTreeSet<String> = serving.requests().iter().map(|request| request.body.text()).collect();
    assert_eq!(bodies, BTreeSet::from([String::new(), "body".to_owned()]), "whole bodies");
    assert!(
        proxy.metric("cutover_retries_total{app=\"portal\",engine=\"classic\",outcome=\"success\"}") >= 5.0
    );
}

#[test]
fn what_was_written_is_repeated_only_when_that_can_do_no_harm() {
    let (silent, serving) = (silent(), Engine::answering("serving"));
    let proxy = two(&silent, &serving, "ejection = { failures = 0 }");
    let mut client = proxy.client();
    for _ in 0..10 {
        assert_eq!(client.get("/").send().text(), "serving");
    }
    let (unanswered, served) = (silent.requests().len(), serving.requests().len());
    assert!(unanswered > 0 && served == 10, "{unanswered} were tried again");

    let statuses: Vec<u16> = (0..10).map(|_| client.post("/", "body").send().status()).collect();
    let lost = statuses.iter().filter(|status| **status == 502).count();
    assert!(lost > 0 && statuses.iter().all(|status| [200, 502].contains(status)), "{statuses:?}");
    assert_eq!(silent.requests().len() - unanswered, lost, "every POST was sent to one endpoint");
    assert_eq!(serving.requests().len() - served, 10 - lost);
}

#[test]
fn there_is_one_extra_try_and_no_more() {
    let (first, second) = (silent(), silent());
    let proxy = two(&first, &second, "");
    assert_eq!(proxy.client().get("/").send().status(), 502);
    assert_eq!(first.requests().len() + second.requests().len(), 2);
    proxy.counts("cutover_retries_total{app=\"portal\",engine=\"classic\",outcome=\"failure\"}", 1.0);
}

#[test]
fn there_are_as_many_tries_as_the_pool_allows_each_at_another_endpoint() {
    let engines = [silent(), silent(), silent(), silent()];
    let urls = list(&engines.iter().collect::<Vec<_>>());
    for (attempts, asked) in [(0, 1), (2, 3), (10, 4)] {
        let pool = format!("{urls}\nejection = {{ failures = 0 }}\nretries = {{ attempts = {attempts} }}");
        let proxy = Proxy::with(pools("", &pool, &urls));
        let before: usize = engines.iter().map(|engine| engine.requests().len()).sum();
        assert_eq!(proxy.client().get("/").send().status(), 502);
        let after: usize = engines.iter().map(|engine| engine.requests().len()).sum();
        assert_eq!(after - before, asked, "with {attempts} extra tries");
    }
}

#[test]
fn extra_tries_end_with_their_budget_so_that_they_double_no_brown_out() {
    let (first, second) = (silent(), silent());
    let pool = format!(
        "{}\nejection = {{ failures = 0 }}\nretries = {{ attempts = 1, budget = 0 }}",
        list(&[&first, &second])
    );
    let proxy = Proxy::with(format!("workers = 1\n{}", pools("", &pool, &list(&[&first]))));
    let mut client = proxy.client();
    for _ in 0..30 {
        assert_eq!(client.get("/").send().status(), 502);
    }
    assert_eq!(first.requests().len() + second.requests().len(), 40, "ten extra tries in any case");
    for (outcome, count) in [("failure", 10.0), ("exhausted", 20.0)] {
        let labels = format!("app=\"portal\",engine=\"classic\",outcome=\"{outcome}\"");
        proxy.counts(&format!("cutover_retries_total{{{labels}}}"), count);
    }
    proxy.replace("budget = 0", "budget = \"100%\"");
    assert_eq!(client.get("/").send().status(), 502);
    assert_eq!(
        first.requests().len() + second.requests().len(),
        42,
        "what is spent stays spent, and more is allowed"
    );
}

#[test]
fn an_answer_that_has_begun_is_never_repeated() {
    let half = Engine::script(|conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nx: ");
    });
    let other = Engine::script(|conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nx: ");
    });
    let proxy = two(&half, &other, "");
    assert_eq!(proxy.client().get("/").send().status(), 502);
    assert_eq!(half.requests().len() + other.requests().len(), 1);
}

#[test]
fn the_other_engine_serves_when_policy_says_so_and_only_until_the_engine_is_back() {
    let (classic, mut identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let lines =
        "keys = [\"cookie:uid\", \"device\"]\npercent = 100\nannotate = true\non_unavailable = \"failover\"";
    let proxy = Proxy::with(portal(lines, &classic, &identity));
    let mut browser = proxy.browser();
    assert_eq!(browser.engine(), "identity");
    let before = bucket(&browser.jar["cutover"]);
    let address = identity.address();
    identity.stop();

    let reply = browser.page("/");
    assert_eq!(reply.text(), "classic");
    let again = reply.ticket().expect("its page comes from the other engine now");
    assert_eq!(bucket(again.trim_start_matches("cutover=")), before, "its place is what it was");
    let head = classic.last().head;
    assert_eq!((head.get("cutover-engine"), head.get("cutover-reason")), (Some("classic"), Some("failover")));
    let reply = proxy.client().post("/", "body").cookie("uid=ada").send();
    assert_eq!((reply.text().as_str(), classic.last().body.text().as_str()), ("classic", "body"));
    let labels = "app=\"portal\",workflow=\"none\",engine=\"classic\",reason=\"failover\"";
    proxy.counts(&format!("cutover_decisions_total{{{labels}}}"), 2.0);

    let _back = Engine::at(address, "identity again");
    assert_eq!(browser.engine(), "identity again");
    assert_eq!(bucket(&browser.jar["cutover"]), before);
}

/// The place on the line that a ticket says: behind the envelope's 9 bytes, the flags and the date.
fn bucket(ticket: &str) -> Vec<u8> {
    use base64::Engine as _;
    let value = ticket.split(';').next().expect("a value");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(value).expect("base64url");
    bytes[14..17].to_vec()
}

#[test]
fn without_that_policy_an_engine_that_is_gone_is_an_error() {
    let (classic, mut identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let lines = "keys = [\"device\"]\npercent = 100\non_unavailable = \"error\"";
    let proxy = Proxy::with(portal(lines, &classic, &identity));
    identity.stop();
    let reply = proxy.client().get("/").page();
    assert_eq!((reply.status(), classic.accepts()), (502, 0));
    assert!(reply.ticket().is_none() || reply.status() == 502);
}

#[test]
fn failover_repeats_nothing_that_was_written() {
    let (classic, identity) = (Engine::answering("classic"), silent());
    let lines = "keys = [\"cookie:uid\", \"device\"]\npercent = 100\non_unavailable = \"failover\"";
    let proxy = Proxy::with(portal(lines, &classic, &identity));
    let reply = proxy.client().post("/", "body").cookie("uid=ada").send();
    assert_eq!((reply.status(), classic.accepts()), (502, 0));
}
