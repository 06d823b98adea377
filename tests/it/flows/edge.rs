//! What else comes by: big cookies, files of another build, headers that want to be believed, caches, clients of an
//! API: scenarios 21, 22, 25, 26 and 27.

use crate::support::{Engine, Proxy, portal};

use super::{signs_in_on_identity, site, site_with, toml};

#[test]
fn c21_cookies_of_twenty_kilobytes_pass_and_the_flow_in_them_is_found() {
    let site = site([0, 0, 0]);
    let mut ada = site.browser();
    ada.visit("/login");
    site.share("sign-in", 0, 100);
    for at in 0..5 {
        ada.jar.insert(format!("app-{at}"), "x".repeat(4000));
    }
    ada.told();
    ada.submit("/login", "user=ada&password=right");
    ada.went(&[
        "POST /login 302 classic flow sign-in",
        "GET /signin/verify/okta/email 200 classic flow sign-in",
    ]);
    let cookies = site.classic.last().head.all("cookie").join("; ");
    assert!(cookies.len() > 20_000 && !cookies.contains("cutover"), "all but ours");
}

#[test]
fn c21_an_engine_that_finds_the_cookies_too_big_is_heard_and_named_in_the_metrics() {
    let engine = |name: &'static str| {
        Engine::script(move |conn| {
            while let Some(request) = conn.request() {
                // Node's and Tomcat's limits are of this order.
                let is_too_big = request.head.text.len() > 16 * 1024;
                let (status, body) = if is_too_big { (431, "too big") } else { (200, name) };
                conn.send(format!("HTTP/1.1 {status} Such\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
            }
        })
    };
    let (classic, identity) = (engine("classic"), engine("identity"));
    let lines = "preset = \"okta\"\nkeys = [\"device\"]\npercent = 0";
    let text = portal(lines, &classic, &identity) + "[apps.portal.workflows.sign-in]\npercent = 100\n";
    let proxy = Proxy::with(text);
    let mut ada = proxy.browser();
    assert_eq!(ada.visit("/login").text(), "identity");
    for at in 0..5 {
        ada.jar.insert(format!("app-{at}"), "x".repeat(4000));
    }
    let form = ada.submit("/login", "user=ada&password=right");
    assert_eq!((form.status(), form.text().as_str()), (431, "too big"), "the engine's answer, not ours");
    assert_eq!(ada.visit("/").status(), 431);
    for (workflow, engine, method) in [("sign-in", "identity", "POST"), ("none", "classic", "GET")] {
        let labels =
            format!("app=\"portal\",workflow=\"{workflow}\",engine=\"{engine}\",method=\"{method}\"");
        proxy.counts(&format!("cutover_requests_total{{{labels},code=\"431\"}}"), 1.0);
    }
    // Not ours, and no fault of the endpoint: asked once, by no retry and of no other engine.
    assert!(!proxy.ask("GET /metrics").body.contains("cutover_answers_total{"), "nothing was answered by us");
    assert_eq!((classic.requests().len(), identity.requests().len()), (1, 2));

    // With fewer cookies the flow goes on where it is.
    ada.jar.retain(|name, _| !name.starts_with("app-"));
    assert_eq!(ada.submit("/login", "user=ada&password=right").text(), "identity");
}

#[test]
fn c22_a_file_of_the_other_build_is_found_and_nothing_else_crosses() {
    let site = site_with("percent = 100", [0, 0, 0], "");
    let mut ada = site.browser();
    ada.visit("/");
    ada.told();
    // A page of Classic that somebody kept open names its own build's files.
    assert_eq!(ada.fetch("/assets/classic-1a2b.js").text(), "script of classic");
    assert_eq!(ada.fetch("/assets/identity-3c4d.js").text(), "script of identity");
    let asked = site.classic.requests().len();
    let (page, script) = (ada.visit("/no-such-page"), ada.fetch("/no-such-call"));
    assert_eq!((page.status(), script.status()), (409, 409));
    assert_eq!(site.classic.requests().len(), asked, "no page and no call is offered to both");
    assert_eq!(ada.fetch("/assets/of-nobody.js").status(), 404);
}

#[test]
fn c22_a_file_of_the_other_build_signs_nobody_out() {
    let site = site([100, 100, 100]);
    let mut ada = site.browser();
    signs_in_on_identity(&mut ada);
    let session = ada.jar["connect.sid"].clone();
    let file = ada.fetch("/assets/classic-1a2b.js");
    assert_eq!(file.text(), "script of classic");
    assert_eq!(file.head.all("set-cookie"), Vec::<&str>::new(), "a session that Classic began with it");
    assert_eq!(site.classic.last().head.all("cookie").join("; ").find("connect.sid"), None);
    assert_eq!(ada.jar["connect.sid"], session);
    assert_eq!(ada.visit("/account").text(), "identity account of ada");
    site.nobody_was_lost();
}

#[test]
fn c22_files_of_a_flows_page_come_from_the_engine_of_the_flow() {
    let site = site([100, 0, 0]);
    let mut ada = site.browser();
    ada.visit("/");
    ada.visit("/recover-password");
    ada.told();
    ada.fetch("/assets/identity-3c4d.js");
    ada.fetch("/api/hints");
    ada.went(&[
        "GET /assets/identity-3c4d.js 200 identity flow recovery",
        "GET /api/hints 200 identity flow recovery",
    ]);
    ada.at = Some("/".to_owned());
    ada.fetch("/api/hints");
    ada.went(&["GET /api/hints 200 classic cohort none"]);
}

#[test]
fn c25_what_only_a_trusted_peer_may_say_is_neither_believed_nor_passed_on() {
    let site = site_with("keys = [\"header:x-auth-request-user\", \"device\"]", [100, 100, 100], "");
    let reply = site
        .proxy
        .client()
        .get("/login")
        .header("connection: X-Forwarded-For, Cookie, X-Auth-Request-User, cutover-engine")
        .header("x-forwarded-for: 203.0.113.9")
        .header("cookie: a=1")
        .header("x-auth-request-user: admin")
        .header("x_auth_request_user: admin")
        .header("cutover-engine: classic")
        .header("cutover-reason: override")
        .header("cutover-workflow: none")
        .page();
    assert_eq!(reply.head.get("served-by"), Some("identity cohort sign-in"));
    let head = site.identity.last().head;
    assert_eq!(head.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(head.all("cookie"), ["a=1"]);
    assert_eq!(head.all("cutover-engine"), ["identity"]);
    assert_eq!((head.has("x-auth-request-user"), head.has("x_auth_request_user")), (false, false));
}

#[test]
fn c26_no_cache_keeps_a_flows_page_or_shows_one_engines_page_as_the_others() {
    let site = site([0, 0, 100]);
    let mut ada = site.browser();
    ada.visit("/");
    let tag = "if-none-match: \"classic\"";
    ada.line = Some(tag.to_owned());
    assert_eq!(ada.visit("/").status(), 304, "the same engine as before");
    let login = ada.visit("/login");
    assert_eq!(login.head.all("cache-control"), ["no-store"]);
    ada.submit(&ada.at(), "user=ada&password=right");
    let challenge = ada.at();
    let reply = ada.submit(&challenge, "code=123456");
    assert_eq!(reply.text(), "identity ada");
    let engines_own = site.identity.requests();
    let callback = engines_own.iter().find(|asked| asked.head.target().starts_with("/login/callback"));
    assert!(callback.is_some_and(|asked| asked.head.has("if-none-match")), "identity was the last");
    let first = engines_own.iter().find(|asked| asked.head.target() == "/login").expect("the start");
    assert!(!first.head.has("if-none-match"), "what Classic gave means nothing to Identity");

    // The page behind: it comes with our cookie once, and then as the engine gave it.
    let mut bob = site.browser();
    assert_eq!(bob.visit("/").head.all("cache-control"), ["max-age=60, private"]);
    assert_eq!(bob.visit("/").head.all("cache-control"), ["public, max-age=60"]);
}

#[test]
fn c26_what_one_engine_gave_means_nothing_to_the_one_that_stands_in_for_it() {
    let mut site = site_with("percent = 100\non_unavailable = \"failover\"", [0, 0, 0], "");
    let mut ada = site.browser();
    ada.visit("/");
    ada.line = Some("if-none-match: \"classic\"".to_owned());
    site.identity.stop();
    let reply = ada.visit("/");
    assert_eq!((reply.status(), reply.head.get("served-by")), (200, Some("classic failover none")));
    assert!(!site.classic.last().head.has("if-none-match"));
    // The page is Classic's now: Identity is not asked about it either.
    ada.line = Some("if-none-match: \"identity\"".to_owned());
    site.identity.returns();
    assert_eq!(ada.visit("/").status(), 200);
    assert!(!site.identity.last().head.has("if-none-match"));
}

/// The header line of an API client whose token says this.
fn bearer(payload: &str) -> String {
    use base64::Engine as _;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload);
    format!("authorization: Bearer e30.{payload}.x")
}

const BY_SUBJECT: &str = "percent = 50\nkeys = [\"jwt:sub\", \"device\"]";

#[test]
fn c27_clients_of_an_api_go_by_their_token_and_those_without_a_subject_by_the_default() {
    let site = site_with(BY_SUBJECT, [50, 50, 50], "");
    let other = Proxy::with(toml(BY_SUBJECT, [50, 50, 50], "", &site.classic, &site.identity));
    // The places of user-1 (73112) and user-2 (59775) are in `DESIGN.md`; user-6 is at 30462, user-7 at
    // 41543.
    for (payload, engine) in [
        ("{\"sub\":\"user-1\"}", "classic cohort none"),
        ("{\"sub\":\"user-2\"}", "classic cohort none"),
        ("{\"aud\":\"portal\",\"sub\":\"user-6\"}", "identity cohort none"),
        ("{\"sub\":\" USER-7 \"}", "identity cohort none"),
        ("{\"aud\":\"portal\"}", "classic default none"),
        ("{\"sub\":\"\"}", "classic default none"),
        ("{\"sub\":[\"user-6\"]}", "classic default none"),
        ("no claims at all", "classic default none"),
    ] {
        for proxy in [&site.proxy, &other] {
            let mut client = proxy.client();
            for _ in 0..3 {
                let reply = client.get("/api/me").header(&bearer(payload)).header("accept: */*").send();
                assert_eq!(reply.head.get("served-by"), Some(engine), "{payload}");
                // Whoever loads no page is no browser, and is given no cookie of ours.
                assert_eq!(reply.ticket(), None, "{payload}");
            }
        }
    }
    // Many of them, over one connection or many: without a subject never a throw of dice.
    for _ in 0..40 {
        let reply = site.proxy.client().get("/api/me").header(&bearer("{}")).header("accept: */*").send();
        assert_eq!(reply.head.get("served-by"), Some("classic default none"));
    }
    // A share that grows takes subjects along, and gives none back.
    site.proxy.replace("percent = 50\nkeys", "percent = 60\nkeys");
    let engine = |payload| {
        let reply = site.proxy.client().get("/api/me").header(&bearer(payload)).send();
        reply.head.get("served-by").expect("an engine").to_owned()
    };
    assert_eq!(engine("{\"sub\":\"user-2\"}"), "identity cohort none");
    assert_eq!(engine("{\"sub\":\"user-6\"}"), "identity cohort none");
    assert_eq!(engine("{\"sub\":\"user-1\"}"), "classic cohort none");
}

#[test]
fn c27_a_preflight_begins_no_flow_whoever_sends_it() {
    // A start that names no methods is one for any of them.
    let site = site_with(BY_SUBJECT, [50, 50, 50], "start = [\"/login\"]\n");
    let authorized = bearer("{\"sub\":\"user-6\"}");
    for (line, engine) in
        [("accept: */*", "classic default sign-in"), (authorized.as_str(), "identity cohort sign-in")]
    {
        let mut client = site.proxy.client();
        for _ in 0..2 {
            let preflight = client
                .ask("OPTIONS", "/login")
                .header("origin: https://app.example.com")
                .header("access-control-request-method: POST")
                .header("sec-fetch-mode: cors")
                .header(line)
                .send();
            assert_eq!(preflight.head.get("served-by"), Some(engine));
            let ours = preflight.head.all("set-cookie");
            assert!(!ours.iter().any(|line| line.starts_with("cutover")), "{ours:?}");
        }
    }
    for engine in ["classic", "identity"] {
        site.flows("sign-in", engine, 0, &[]);
    }

    // The call itself does, and is counted where its client comes back.
    let mut ada = site.browser();
    ada.line = Some(authorized);
    ada.submit("/login", "user=ada&password=right");
    assert!(ada.jar.contains_key("cutover-flow"), "{:?}", ada.jar);
}

#[test]
fn what_decided_is_counted_as_it_was_told_to_the_engine() {
    let site = site([100, 0, 100]);
    let mut ada = site.browser();
    ada.visit("/");
    signs_in_on_identity(&mut ada);
    let told = ada.told();
    for (workflow, engine, reason) in [
        ("none", "classic", "cohort"),
        ("sign-in", "identity", "cohort"),
        ("sign-in", "identity", "state"),
        ("none", "identity", "session"),
    ] {
        let ending = format!("{engine} {reason} {workflow}");
        let count = told.iter().filter(|line| line.ends_with(&ending)).count();
        assert!(count > 0, "{ending} in {told:?}");
        crate::support::eventually(&ending, || {
            (site.decisions(workflow, engine, reason) == count as f64).then_some(())
        });
    }
}
