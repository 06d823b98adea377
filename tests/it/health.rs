//! Endpoints that are not well, and what keeps requests away from them.

use std::io::Write;
use std::net::TcpStream;

use serde_json::Value;

use crate::operators::Answer;
use crate::support::proxy::{list, pools};
use crate::support::{Client, Engine, Proxy, eventually};

mod operators;
mod probes;

const TOKEN: &str = "authorization: Bearer s3cret";

/// One worker; the classic endpoints take turns, with more lines in their table, and `app` in that of the app.
fn turns(engines: &[&Engine], identity: &Engine, app: &str, lines: &str) -> Proxy {
    let pool = format!("{}\nbalance = \"round-robin\"\n{lines}", list(engines));
    let folder = crate::support::Folder::new();
    folder.write("keys", crate::support::KEYS);
    folder.write("token", "s3cret");
    let toml = "workers = 1\n[admin]\nbind = \"127.0.0.1:0\"\ntoken_file = \"token\"\n";
    Proxy::within(folder, format!("{toml}{}", pools(app, &pool, &list(&[identity]))))
}

fn ready(proxy: &Proxy, engine: &Engine) -> f64 {
    let url = engine.url();
    proxy.metric(&format!("cutover_endpoint_ready{{app=\"portal\",engine=\"classic\",endpoint=\"{url}\"}}"))
}

/// What `status` shows of a classic endpoint.
fn shown(proxy: &Proxy, at: usize) -> Value {
    let status = proxy.ask("GET /api/v1/status").json();
    status["apps"][0]["engines"]["classic"]["endpoints"][at].clone()
}

fn answers(client: &mut Client, count: usize) -> Vec<String> {
    (0..count).map(|_| client.get("/").send().text()).collect()
}

/// Asks until an engine answers.
fn asks_until(client: &mut Client, words: &str) {
    eventually(words, || (client.get("/").send().text() == words).then_some(()));
}

#[test]
fn an_endpoint_that_refuses_is_left_alone_until_one_request_finds_it_well() {
    let (mut first, second) = (Engine::answering("first"), Engine::answering("second"));
    let proxy = turns(&[&first, &second], &second, "", "ejection = { failures = 3, base = \"400ms\" }");
    let mut client = proxy.client();
    assert!(answers(&mut client, 4).contains(&"first".to_owned()));
    assert_eq!((ready(&proxy, &first), shown(&proxy, 0)["verdict"].as_str()), (1.0, Some("ready")));
    let address = first.address();
    first.stop();
    assert_eq!(answers(&mut client, 12), ["second"; 12]);
    eventually("it is not ready", || (ready(&proxy, &first) == 0.0).then_some(()));
    let told = shown(&proxy, 0);
    assert!(["ejected", "probation"].contains(&told["verdict"].as_str().expect("a verdict")), "{told}");
    let why = told["why"].as_str().expect("a reason").to_owned();
    assert!(why.contains("connect_refused") || why.contains("its time is over"), "{why}");
    let probed = proxy.ask("GET /readyz").json();
    assert_eq!(probed["apps"][0]["engines"]["classic"]["ready"], 1);

    let back = Engine::at(address, "first again");
    asks_until(&mut client, "first again");
    eventually("it is ready", || (ready(&proxy, &back) == 1.0).then_some(()));
    assert_eq!(shown(&proxy, 0).get("why"), None);
}

#[test]
fn an_endpoint_that_takes_requests_and_does_not_answer_them_is_left_alone() {
    for script in [
        "", // It closes.
        "garbage\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
    ] {
        let ill = Engine::script(move |conn| {
            conn.request();
            conn.send(script);
        });
        let well = Engine::answering("well");
        let proxy = turns(&[&ill, &well], &well, "", "ejection = { failures = 3, base = \"60s\" }");
        let mut client = proxy.client();
        // What is written once is not always written again: clients may hear of it, three times.
        let told: Vec<u16> = (0..20).map(|_| client.post("/", "body").send().status()).collect();
        assert_eq!(told.iter().filter(|status| **status == 502).count(), 3, "{script:?}: {told:?}");
        assert_eq!((ill.requests().len(), ready(&proxy, &ill)), (3, 0.0), "{script:?}");
    }
}

#[test]
fn an_endpoint_that_hangs_is_left_alone() {
    let (ill, well) = (Engine::hanging(), Engine::answering("well"));
    let lines = "ejection = { failures = 2, base = \"60s\" }\ntimeouts = { response = \"200ms\" }";
    let proxy = turns(&[&ill, &well], &well, "", lines);
    let mut client = proxy.client();
    let told: Vec<u16> = (0..12).map(|_| client.get("/").send().status()).collect();
    assert_eq!(told.iter().filter(|status| **status == 504).count(), 2, "{told:?}");
    assert_eq!(ready(&proxy, &ill), 0.0);
}

#[test]
fn an_answer_counts_as_a_failure_where_its_status_is_listed() {
    let ill = Engine::replying(b"HTTP/1.1 503 Unavailable\r\ncontent-length: 3\r\n\r\nill");
    let well = Engine::answering("well");
    for (status, asked) in [("502-504", 4), ("", 10)] {
        let lines = format!("ejection = {{ failures = 4, base = \"60s\", status = \"{status}\" }}");
        let proxy = turns(&[&ill, &well], &well, "", &lines);
        let told = answers(&mut proxy.client(), 20);
        assert_eq!(told.iter().filter(|words| *words == "ill").count(), asked, "status = {status:?}");
    }
}

#[test]
fn an_engine_all_of_whose_endpoints_are_ill_is_asked_all_the_same() {
    let (mut first, mut second) = (Engine::answering("first"), Engine::answering("second"));
    let identity = Engine::answering("identity");
    let lines = "ejection = { failures = 1, base = \"60s\", max_ejected = \"100%\" }";
    let proxy = turns(&[&first, &second], &identity, "on_unavailable = \"error\"", lines);
    let mut client = proxy.client();
    let addresses = [first.address(), second.address()];
    first.stop();
    second.stop();
    for _ in 0..4 {
        assert_eq!(client.get("/").send().status(), 502);
    }
    assert_eq!((ready(&proxy, &first), ready(&proxy, &second)), (0.0, 0.0));
    // One is back long before its time: the first who asks finds it.
    let back = Engine::at(addresses[1], "second again");
    assert_eq!(answers(&mut client, 6), ["second again"; 6]);
    assert_eq!((ready(&proxy, &first), ready(&proxy, &back)), (0.0, 1.0));
    assert_eq!(shown(&proxy, 0)["verdict"], "ejected");
}

#[test]
fn a_verdict_outlives_edits_that_leave_its_endpoint_alone_and_no_others() {
    let (mut first, second) = (Engine::answering("first"), Engine::answering("second"));
    let lines = "ejection = { failures = 1, base = \"60s\" }";
    let proxy = turns(&[&first, &second], &second, "percent = 1", lines);
    let mut client = proxy.client();
    let address = first.address();
    first.stop();
    assert_eq!(answers(&mut client, 4), ["second"; 4]);
    let _back = Engine::at(address, "first again");
    proxy.replace("percent = 1", "percent = 2");
    assert_eq!((shown(&proxy, 0)["verdict"].as_str(), ready(&proxy, &first)), (Some("ejected"), 0.0));
    assert_eq!(answers(&mut client, 4), ["second"; 4]);

    // Taken out and put in again, it is another.
    let both = list(&[&first, &second]);
    let pool = format!("{both}\nbalance");
    proxy.replace(&pool, &format!("{}\nbalance", list(&[&second])));
    assert_eq!(answers(&mut client, 2), ["second"; 2]);
    proxy.replace(&format!("{}\nbalance", list(&[&second])), &pool);
    asks_until(&mut client, "first again");
    assert_eq!(ready(&proxy, &first), 1.0);
}
