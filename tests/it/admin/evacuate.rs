//! `POST /api/v1/apps/{app}/evacuate`: who may, what is written, and what is said where nothing can be.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;

use cutover::ambient::unix_seconds;
use cutover::app::App;
use cutover::config::units::write_moment;
use serde_json::json;

use super::{Proxy, TOKEN};
use crate::operators::{ANY_PORT, Answer, Folder, KEYS, ask, config};

const ORDER: &str = r#"{"engine":"identity","sign_out":"/logout"}"#;

fn post(admin: SocketAddr, app: &str, lines: &[&str], body: &str) -> Answer {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let mut stream = TcpStream::connect(admin).expect("it listens");
    let length = body.len();
    write!(
        stream,
        "POST /api/v1/apps/{app}/evacuate HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{lines}\
         content-length: {length}\r\n\r\n{body}"
    )
    .expect("a request");
    Answer::read(&mut stream)
}

#[test]
fn an_order_that_stands_in_the_file_is_no_mistake() {
    let proxy = Proxy::with_token();
    let now = unix_seconds();
    let orders: Vec<String> = (now..now + 60)
        .map(|at| format!("{{ engine = \"identity\", at = {}, sign_out = \"/logout\" }}", write_moment(at)))
        .collect();
    let list = format!("[apps.portal]\nevacuate = [{}]\n", orders.join(", "));
    let text = proxy.folder.read("cutover.toml").replace("[apps.portal]\n", &list);
    proxy.folder.write("cutover.toml", &text);
    let answer = post(proxy.admin(), "portal", &[TOKEN], ORDER);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let told = answer.json();
    assert_eq!((&told["line"], &told["lines"]), (&json!(null), &json!([])));
    assert_eq!(proxy.folder.read("cutover.toml"), text);
}

#[test]
fn an_order_is_written_into_the_file_and_runs() {
    let proxy = Proxy::with_token();
    let before = proxy.folder.read("cutover.toml");
    let answer = post(proxy.admin(), "portal", &[TOKEN], ORDER);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let told = answer.json();
    let at = told["at"].as_str().expect("a date").to_owned();
    let line = format!("evacuate = [{{ engine = \"identity\", at = {at}, sign_out = \"/logout\" }}]");
    assert_eq!(told["lines"], json!([line]));
    for (key, value) in [
        ("app", json!("portal")),
        ("engine", json!("identity")),
        ("sign_out", json!("/logout")),
        ("in_force", json!(true)),
        ("result", json!("applied")),
        ("generation", json!(2)),
    ] {
        assert_eq!(told[key], value, "{key} in {told}");
    }
    assert!(
        told["changes"][0].as_str().is_some_and(|change| change.contains("portal evacuates identity at"))
    );
    assert!(told["warnings"][0].as_str().is_some_and(|warning| warning.contains("people come right back")));
    let after = proxy.folder.read("cutover.toml");
    assert_eq!(after, before.replace("[apps.portal]\n", &format!("[apps.portal]\n{line}\n")));
    let place = told["line"].as_u64().expect("a number") as usize;
    assert_eq!(after.lines().nth(place - 1), Some(line.as_str()));
    let status = proxy.get("/api/v1/status").json();
    assert_eq!(status["apps"][0]["evacuate"][0]["at"], at.as_str());
    let page = proxy.get("/metrics").body;
    assert!(page.contains("cutover_evacuations_total{app=\"portal\",engine=\"identity\"} 1\n"), "{page}");
}

#[test]
fn what_is_no_order_and_who_may_not_order_changes_nothing() {
    let proxy = Proxy::with_token();
    let before = proxy.folder.read("cutover.toml");
    for (app, lines, body, status, word) in [
        ("portal", &[][..], ORDER, 401, "token"),
        ("portal", &["authorization: Bearer s3creT"], ORDER, 401, "token"),
        ("protal", &[TOKEN], ORDER, 404, "the apps are portal"),
        ("portal", &[TOKEN], "", 400, "no order"),
        ("portal", &[TOKEN], "[]", 400, "no order"),
        ("portal", &[TOKEN], "{\"engine\":\"identity\",\"signout\":\"/x\"}", 400, "signout"),
        ("portal", &[TOKEN], "{\"sign_out\":\"/logout\"}", 400, "engine"),
        ("portal", &[TOKEN], "{\"engine\":\"idx\"}", 400, "write classic or identity"),
        (
            "portal",
            &[TOKEN],
            "{\"engine\":\"identity\",\"sign_out\":\"//evil.test\"}",
            400,
            "no path of this site",
        ),
    ] {
        let answer = post(proxy.admin(), app, lines, body);
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{body}");
        assert!(answer.body.contains(word), "{body}: {}", answer.body);
    }
    let open = Proxy::start(ANY_PORT, "");
    assert_eq!(post(open.admin(), "portal", &[], ORDER).status, 403, "without a token nobody may");
    assert_eq!(proxy.folder.read("cutover.toml"), before);

    proxy.folder.write("cutover.toml", before.replace("percent = 25", "percent = 101"));
    let answer = post(proxy.admin(), "portal", &[TOKEN], ORDER);
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(answer.body.contains("percent is above 100") && answer.body.contains("nothing was written"));
}

/// The file is there to be read, and its name leads nowhere: not even root could put another one in its place.
#[test]
fn where_the_file_cannot_be_written_the_answer_says_what_to_write() {
    let folder = Folder::new();
    folder.write("keys", KEYS);
    folder.write("token", "s3cret\n");
    let absolute = |name: &str| format!("{:?}", folder.path().join(name));
    let admin = format!("{ANY_PORT}\ntoken_file = {}", absolute("token"));
    let text = config(25, &admin, "").replace("\"keys\"\n", &format!("{}\n", absolute("keys")));
    let path = folder.write("cutover.toml", &text);
    let held = fs::OpenOptions::new().read(true).open(&path).expect("it is there");
    fs::remove_file(&path).expect("ours");
    let path = format!("/proc/self/fd/{}", held.as_raw_fd());
    let app = App::start(path.as_ref()).unwrap_or_else(|error| panic!("{error}"));

    let answer = post(app.admin(), "portal", &[TOKEN], ORDER);
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let told = answer.json();
    let line = told["lines"][0].as_str().expect("a line").to_owned();
    assert!(line.starts_with("evacuate = [{ engine = \"identity\", at = 2"), "{told}");
    let place = told["line"].as_u64().expect("a number") as usize;
    assert_eq!(text.lines().nth(place - 2), Some("[apps.portal]"), "under the table's header");
    assert!(told["hint"].as_str().is_some_and(|hint| hint.contains(&line)), "{told}");
    let status = ask(app.admin(), "GET /api/v1/status", &[]).json();
    assert_eq!((&status["generation"], &status["apps"][0]["evacuate"]), (&json!(1), &json!([])));
    app.shut_down();
}
