//! What operators say of an endpoint, over the admin listener.

use serde_json::json;

use super::*;

/// Says something of a classic endpoint.
fn say(proxy: &Proxy, verb: &str, endpoint: &str, lines: &[&str]) -> Answer {
    post(
        proxy,
        &format!("portal/classic/endpoints/{verb}"),
        &json!({ "endpoint": endpoint }).to_string(),
        lines,
    )
}

fn post(proxy: &Proxy, path: &str, body: &str, lines: &[&str]) -> Answer {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let mut stream = TcpStream::connect(proxy.admin()).expect("it listens");
    write!(
        stream,
        "POST /api/v1/apps/{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{lines}\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("a request");
    Answer::read(&mut stream)
}

#[test]
fn a_disabled_endpoint_gets_nothing_until_it_is_enabled_and_reloads_do_not_enable_it() {
    let (first, second) = (Engine::answering("first"), Engine::answering("second"));
    let proxy = turns(&[&first, &second], &second, "percent = 1", "");
    let mut client = proxy.client();
    let answer = say(&proxy, "disable", &first.url(), &[TOKEN]);
    let told = answer.json();
    assert_eq!((answer.status, &told["duty"], &told["verdict"]), (200, &json!("disabled"), &json!("ready")));
    assert_eq!((&told["ready"], &told["endpoints"], &told["app"]), (&json!(1), &json!(2), &json!("portal")));
    assert_eq!(answers(&mut client, 6), ["second"; 6]);
    proxy.replace("percent = 1", "percent = 2");
    assert_eq!(answers(&mut client, 6), ["second"; 6]);
    assert_eq!((ready(&proxy, &first), shown(&proxy, 0)["duty"].as_str()), (0.0, Some("disabled")));

    assert_eq!(say(&proxy, "enable", &first.url(), &[TOKEN]).json()["duty"], "enabled");
    asks_until(&mut client, "first");
    assert_eq!(ready(&proxy, &first), 1.0);
}

#[test]
fn a_drained_endpoint_keeps_those_who_are_pinned_to_it() {
    let (first, second) = (Engine::answering("first"), Engine::answering("second"));
    let workflow = "session = { cookies = [\"sid\"] }\nworkflows.sign-in = { start = [\"/login\"], steps = [\"/step\"] }";
    let proxy = turns(&[&first, &second], &second, workflow, "");
    let mut ada = eventually("the first begins the flow", || {
        let mut browser = proxy.browser();
        let reply = browser.page("/login");
        (reply.text() == "first").then_some(browser)
    });
    assert_eq!(say(&proxy, "drain", &first.url(), &[TOKEN]).json()["duty"], "draining");
    for _ in 0..4 {
        assert_eq!(ada.page("/step").text(), "first");
    }
    assert_eq!(answers(&mut proxy.client(), 6), ["second"; 6], "nobody new goes there");
    assert_eq!(say(&proxy, "disable", &first.url(), &[TOKEN]).status, 200);
    assert_eq!(ada.page("/step").text(), "second");
}

#[test]
fn an_engine_without_an_enabled_endpoint_is_unavailable() {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let proxy = turns(&[&classic], &identity, "on_unavailable = \"error\"", "");
    assert_eq!(say(&proxy, "disable", &classic.url(), &[TOKEN]).json()["ready"], 0);
    let mut client = proxy.client();
    let reply = client.get("/").send();
    assert_eq!((reply.status(), reply.head.get("retry-after"), classic.accepts()), (503, Some("1"), 0));
    proxy.counts("cutover_answers_total{app=\"portal\",kind=\"unavailable\"}", 1.0);
    proxy.replace("on_unavailable = \"error\"", "on_unavailable = \"failover\"");
    assert_eq!(client.post("/", "body").send().text(), "identity");
}

#[test]
fn what_cannot_be_done_is_refused_and_says_what_can() {
    let (first, second) = (Engine::answering("first"), Engine::answering("second"));
    let proxy = turns(&[&first, &second], &second, "", "");
    let url = first.url();
    assert_eq!(say(&proxy, "disable", &url, &[]).status, 401, "a write needs the token");
    for (path, body, status, detail) in [
        (
            "portal/classic/endpoints/remove",
            json!({ "endpoint": url }),
            404,
            "nobody can \"remove\" an endpoint",
        ),
        ("portal/both/endpoints/drain", json!({ "endpoint": url }), 404, "\"both\" is no engine"),
        ("shop/classic/endpoints/drain", json!({ "endpoint": url }), 404, "there is no app \"shop\""),
        (
            "portal/identity/endpoints/drain",
            json!({ "endpoint": url }),
            404,
            &*format!("portal identity has no endpoint {url}"),
        ),
        ("portal/classic/endpoints/drain", json!({}), 400, "the body names no endpoint: missing field"),
    ] {
        let answer = post(&proxy, path, &body.to_string(), &[TOKEN]);
        let told = answer.json();
        assert_eq!(answer.status, status, "{path}");
        assert!(told["detail"].as_str().is_some_and(|told| told.starts_with(detail)), "{path}: {told}");
        assert!(told["hint"].is_string(), "{path}: {told}");
    }
    assert_eq!((ready(&proxy, &first), shown(&proxy, 0)["duty"].as_str()), (1.0, Some("enabled")));
}
