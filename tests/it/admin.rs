//! What operators see over HTTP, and who may see and do it.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;

use cutover::app::App;
use serde_json::json;

mod evacuate;

use crate::operators::{ANY_PORT, Answer, Folder, KEYS, ask, config, eventually, free_port};

const TOKEN: &str = "authorization: Bearer s3cret";

/// A running proxy and its folder.
struct Proxy {
    app: App,
    folder: Folder,
}

impl Proxy {
    /// `admin` and `app` are the rest of these tables.
    fn start(admin: &str, app: &str) -> Self {
        let folder = Folder::new();
        folder.write("keys", KEYS);
        folder.write("token", "s3cret\n");
        let path = folder.write("cutover.toml", config(25, admin, app));
        Self { app: App::start(&path).expect("a good configuration"), folder }
    }

    fn with_token() -> Self {
        Self::start(&format!("{ANY_PORT}\ntoken_file = \"token\""), "")
    }

    fn admin(&self) -> SocketAddr {
        self.app.admin()
    }

    fn get(&self, path: &str) -> Answer {
        ask(self.admin(), &format!("GET {path}"), &[])
    }
}

#[test]
fn probes_say_what_is_ready_and_readiness_ends_with_the_drain() {
    let proxy = Proxy::start(ANY_PORT, "");
    let health = proxy.get("/healthz");
    assert_eq!((health.status, health.body.as_str()), (200, "alive\n"));
    let ready = proxy.get("/readyz");
    let pool = json!({ "endpoints": 1, "ready": 1 });
    let app = json!({ "name": "portal", "engines": { "classic": pool, "identity": pool } });
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json(), json!({ "ready": true, "draining": false, "apps": [app] }));

    // A request that is not complete keeps the process from ending.
    let admin = proxy.admin();
    let mut held = TcpStream::connect(proxy.app.listeners()[0]).expect("the proxy listens");
    held.write_all(b"GET / HTTP/1.1\r\n").expect("half a head");
    let open = |answer: Answer| (answer.json()["connections"] == 1).then_some(());
    eventually("the connection is accepted", || open(ask(admin, "GET /api/v1/status", &[])));
    let ending = thread::spawn(move || proxy.app.shut_down());
    let answer = eventually("not ready any more", || {
        let answer = ask(admin, "GET /readyz", &[]);
        (answer.status != 200).then_some(answer)
    });
    assert_eq!((answer.status, answer.json()["draining"] == true), (503, true));
    assert_eq!(ask(admin, "GET /healthz", &[]).status, 200, "it is alive all the same");
    drop(held);
    assert_eq!(ending.join().expect("an end"), 0, "nothing was cut");
}

#[test]
fn metrics_come_in_the_format_that_is_asked_for() {
    let proxy = Proxy::start(ANY_PORT, "");
    for (lines, content_type, last) in [
        (&[][..], "text/plain; version=0.0.4; charset=utf-8", None),
        (
            &["accept: application/openmetrics-text; version=1.0.0", "accept: text/plain; q=0.5"],
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Some("# EOF\n"),
        ),
    ] {
        let answer = ask(proxy.admin(), "GET /metrics", lines);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)));
        assert!(answer.body.contains("cutover_share_ratio{app=\"portal\",workflow=\"none\"} 0.25"));
        assert!(last.is_none_or(|last| answer.body.ends_with(last)));
    }
}

#[test]
fn status_and_config_tell_everything_but_secrets() {
    let proxy = Proxy::start(
        &format!("{ANY_PORT}\ntoken_file = \"token\""),
        "hosts = [\"portal.example.com\"]\n\
         evacuate = [{ engine = \"identity\", at = 2100-01-01T00:00:00Z, sign_out = \"/logout\" }]\ntargets = [{ name = \"staff\", engine = \"identity\", \
         subjects = [\"ada\"], claimed = true }]",
    );
    let status = proxy.get("/api/v1/status").json();
    assert_eq!(status["generation"], 1);
    assert_eq!(status["workers"], 1);
    assert_eq!(status["listeners"], json!(["127.0.0.1:0"]));
    assert_eq!(status["configuration"]["result"], "applied");
    assert_eq!(status["configuration"]["origin"], "start");
    let endpoint = |url, weight| {
        let state =
            json!({ "url": url, "weight": weight, "in_flight": 0, "verdict": "ready", "duty": "enabled" });
        json!({ "endpoints": [state] })
    };
    let engines = json!({ "classic": endpoint("http://127.0.0.1:1", 3), "identity": endpoint("http://127.0.0.1:2", 1) });
    assert_eq!(
        status["apps"],
        json!([{
            "name": "portal", "hosts": ["portal.example.com"], "percent": "25%", "ratio": 0.25,
            "next_stage": null, "workflows": [],
            "keys": ["cookie:uid", "device"], "epoch": 1, "targets": ["staff"],
            "evacuate": [{ "engine": "identity", "at": "2100-01-01T00:00:00Z", "sign_out": "/logout", "in_force": false }],
            "engines": engines,
        }])
    );

    let config = proxy.get("/api/v1/config").json();
    assert_eq!(config["hash"], status["hash"]);
    let toml = config["toml"].as_str().expect("text");
    assert!(toml.contains("idle_timeout = \"75s\"") && toml.contains("token_file = \"token\""), "{toml}");
    for secret in ["s3cret", KEYS.trim()] {
        assert!(!config.to_string().contains(secret) && !status.to_string().contains(secret));
    }
}

#[test]
fn explain_over_http_is_the_decision_and_its_errors_have_hints() {
    let proxy = Proxy::start(ANY_PORT, "salt = \"portal-2026\"");
    let told = proxy.get("/api/v1/explain?app=portal&key=Ada%40example.com&url=/login").json();
    assert_eq!((&told["engine"], &told["reason"]), (&json!("classic"), &json!("cohort")));
    assert_eq!((&told["bucket"], &told["flips_at"]), (&json!(71213), &json!("71.214%")));
    assert_eq!(told["issue"], json!({ "bucket": 71213, "follows_user": true, "session": null }));
    assert!(!told.to_string().to_lowercase().contains("ada"), "the key is not told: {told}");
    let told = proxy.get("/api/v1/explain?page=false").json();
    assert_eq!((&told["reason"], &told["bucket"]), (&json!("default"), &json!(null)));

    for (query, status, word) in [
        ("kye=x", 400, "kye"),
        ("app=protal", 404, "portal"),
        ("key=%20", 400, "empty"),
        ("url=login", 400, "path"),
        ("method=G%20T", 400, "method"),
    ] {
        let answer = proxy.get(&format!("/api/v1/explain?{query}"));
        assert_eq!(answer.status, status, "query {query}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "query {query}");
        assert!(answer.body.contains(word), "query {query}: {}", answer.body);
    }
}

#[test]
fn what_is_not_there_is_a_problem_in_json_too() {
    let proxy = Proxy::start(ANY_PORT, "");
    for (request, status, allow) in [
        ("GET /", 404, None),
        ("GET /api/v1/nowhere", 404, None),
        ("POST /api/v1/status", 405, Some("GET,HEAD")),
        ("DELETE /healthz", 405, Some("GET,HEAD")),
        ("GET /api/v1/reload", 405, Some("POST")),
        ("GET /api/v1/apps/portal/evacuate", 405, Some("POST")),
    ] {
        let answer = ask(proxy.admin(), request, &[]);
        assert_eq!((answer.status, answer.header("allow")), (status, allow), "{request}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{request}");
        assert_eq!(answer.json()["status"], status, "{request}");
    }
}

#[test]
fn a_token_is_needed_for_writes_and_from_other_hosts_for_all_but_probes() {
    let open = Proxy::start(ANY_PORT, "");
    let guarded = Proxy::with_token();
    let exposed = Proxy::start("bind = \"0.0.0.0:0\"\ntoken_file = \"token\"", "");
    const WRONG: &str = "authorization: Bearer s3creT";
    for (request, presented, statuses) in [
        ("GET /healthz", None, [200, 200, 200]),
        ("GET /readyz", Some(WRONG), [200, 200, 200]),
        ("GET /metrics", None, [200, 200, 401]),
        ("GET /metrics", Some(WRONG), [200, 200, 401]),
        ("GET /metrics", Some(TOKEN), [200, 200, 200]),
        ("GET /api/v1/status", None, [200, 200, 401]),
        ("GET /api/v1/config", None, [200, 200, 401]),
        ("GET /api/v1/explain", None, [200, 200, 401]),
        ("POST /api/v1/reload", None, [403, 401, 401]),
        ("POST /api/v1/reload", Some(WRONG), [403, 401, 401]),
        ("POST /api/v1/reload", Some(TOKEN), [403, 200, 200]),
    ] {
        for (proxy, status) in [&open, &guarded, &exposed].into_iter().zip(statuses) {
            let address = SocketAddr::from(([127, 0, 0, 1], proxy.admin().port()));
            let answer = ask(address, request, presented.as_slice());
            assert_eq!(answer.status, status, "{request} {presented:?}: {}", answer.body);
            let challenge = answer.header("www-authenticate");
            assert_eq!(challenge.is_some(), status == 401, "{request} {presented:?}");
        }
    }
}

#[test]
fn another_sites_name_is_not_answered_without_a_token() {
    let proxy = Proxy::with_token();
    for (lines, status) in [
        (&["host: evil.example:9900"][..], 403),
        (&["host: evil.example:9900", TOKEN], 200),
        (&["host: 127.0.0.1:9900"], 200),
    ] {
        assert_eq!(ask(proxy.admin(), "GET /api/v1/config", lines).status, status, "{lines:?}");
        assert_eq!(ask(proxy.admin(), "GET /healthz", &lines[..1]).status, 200, "probes may use any name");
    }
}

#[test]
fn a_reload_says_what_became_of_it() {
    let proxy = Proxy::with_token();
    let reload = || ask(proxy.admin(), "POST /api/v1/reload", &[TOKEN]);
    let admin = format!("{ANY_PORT}\ntoken_file = \"token\"");
    let unchanged = reload();
    assert_eq!((unchanged.status, &unchanged.json()["result"]), (200, &json!("unchanged")));

    // The file watcher may be first with an edit; it cannot be first for ever.
    let mut percents = 26..100;
    let applied = eventually("an edit that nobody else has applied", || {
        let percent = percents.next().expect("enough");
        proxy.folder.write("cutover.toml", config(percent, &admin, ""));
        let answer = reload();
        assert_eq!(answer.status, 200);
        (answer.json()["result"] == "applied").then(|| (percent, answer.json()))
    });
    let (percent, told) = applied;
    let change = format!("portal {}% → {percent}%: 1.000% of subjects move to identity, 0 back", percent - 1);
    assert_eq!(told["changes"], json!([change]));
    assert_eq!(told["generation"], percent - 24);

    proxy.folder.write("cutover.toml", config(101, &admin, ""));
    let rejected = reload();
    assert_eq!((rejected.status, rejected.header("content-type")), (422, Some("application/problem+json")));
    let detail = rejected.json()["detail"].as_str().expect("text").to_owned();
    assert!(detail.contains("percent is above 100") && detail.contains("cutover.toml:14:11"), "{detail}");
    let status = proxy.get("/api/v1/status").json();
    assert_eq!(status["configuration"]["result"], "rejected");
    assert_eq!(status["configuration"]["problems"], detail);
    assert_eq!(status["generation"], percent - 24, "the old one runs");
}

#[test]
fn a_new_token_and_a_new_listener_are_taken_up_live() {
    let proxy = Proxy::with_token();
    let before = proxy.admin();
    let mut under_way = TcpStream::connect(before).expect("it listens");
    under_way.write_all(b"GET /api/v1/status HTTP/1.1\r\nhost: localhost\r\n").expect("most of a head");

    let port = free_port();
    proxy.folder.write("token", "an0ther");
    let admin = format!("bind = \"127.0.0.1:{port}\"\ntoken_file = \"token\"");
    proxy.folder.write("cutover.toml", config(25, &admin, ""));
    let after = SocketAddr::from(([127, 0, 0, 1], port));
    eventually("the new listener answers", || TcpStream::connect(after).ok());
    assert_eq!(ask(after, "POST /api/v1/reload", &[TOKEN]).status, 401, "the old token is nothing now");
    assert_eq!(ask(after, "POST /api/v1/reload", &["authorization: Bearer an0ther"]).status, 200);
    eventually("the old listener is closed", || TcpStream::connect(before).is_err().then_some(()));

    under_way.write_all(b"\r\n").expect("the rest of the head");
    let answer = Answer::read(&mut under_way);
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
}
