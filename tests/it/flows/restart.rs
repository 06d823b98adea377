//! An engine that is gone while users are in the middle of something on it: scenario 23, and that of scenario 19
//! that hangs.

use super::{signs_in_on_identity, site, site_with};
use crate::support::{Browser, Engine, Proxy, Reply, eventually};

const CHALLENGE: &str = "/challenge-authenticator/okta_email";

/// Signs in on Identity as far as the second factor.
fn begins_on_identity(browser: &mut Browser) {
    browser.visit("/");
    browser.visit("/login");
    let form = browser.at();
    browser.submit(&form, "user=ada&password=right");
    assert_eq!(browser.at.as_deref().and_then(|at| at.split('?').next()), Some(CHALLENGE));
    browser.told();
}

/// Whether an answer takes the flow cookie away.
fn ends_flows(reply: &Reply) -> bool {
    reply
        .head
        .all("set-cookie")
        .iter()
        .any(|line| line.starts_with("cutover-flow=;") && line.contains("Max-Age=0"))
}

fn waits(reply: &Reply) -> Option<u64> {
    assert_eq!((reply.status(), reply.head.get("cache-control")), (503, Some("no-store")));
    reply.head.get("retry-after")?.parse().ok()
}

/// Time passes, and every worker has noticed: its wall clock is up to 100 ms old.
fn later(site: &super::Site, seconds: u64) {
    site.proxy.later(seconds);
    std::thread::sleep(std::time::Duration::from_millis(150));
}

fn answers(site: &super::Site, kind: &str) -> f64 {
    site.proxy.metric(&format!("cutover_answers_total{{app=\"portal\",kind=\"{kind}\"}}"))
}

fn restarts(site: &super::Site) -> f64 {
    let labels = "app=\"portal\",from=\"identity\",to=\"classic\",cause=\"restart\"";
    site.proxy.metric(&format!("cutover_moves_total{{{labels}}}"))
}

#[test]
fn c23_whose_engine_dies_in_the_middle_begins_anew_on_the_other_one() {
    let mut site = site([100, 100, 100]);
    let mut ada = site.browser();
    begins_on_identity(&mut ada);
    // Nobody new is sent there; whoever is there would stay.
    site.share("sign-in", 100, 0);
    site.identity.stop();
    let before = site.moves("identity", "classic");
    assert_eq!(ada.visit(&ada.at()).text(), "classic form");
    ada.went(&[&format!("GET {CHALLENGE} 303 cutover"), "GET /login 200 classic cohort sign-in"]);
    assert_eq!((answers(&site, "restart"), restarts(&site)), (1.0, 1.0));
    assert_eq!(site.moves("identity", "classic"), before + 1.0, "one move, counted once");

    // It returns, and nothing leads back but what a `state` proves.
    site.identity.returns();
    ada.visit("/select-authenticator");
    assert_eq!(ada.told(), ["GET /select-authenticator 404 classic flow sign-in"]);
    ada.submit("/login", "user=ada&password=right");
    let away = ada.submit("/signin/verify/okta/email", "code=123456");
    ada.visit(&format!("/authorization-code/callback?code=c&state={}", away.state_sent()));
    assert_eq!(ada.visit("/account").text(), "classic account of ada");
    site.nobody_was_lost();
    site.flows("sign-in", "identity", 1, &[("failure", 1)]);
    site.flows("sign-in", "classic", 1, &[("success", 1)]);
}

#[test]
fn c23_where_the_other_engine_is_not_for_this_user_it_is_a_503_and_no_circle() {
    let mut site = site([100, 100, 100]);
    let mut ada = site.browser();
    begins_on_identity(&mut ada);
    site.identity.stop();
    let page = ada.at();
    let reply = ada.visit(&page);
    assert!(waits(&reply).is_some() && ends_flows(&reply));
    assert!(!ada.jar.contains_key("cutover-flow"));
    ada.visit("/login");
    ada.went(&[&format!("GET {CHALLENGE} 503 cutover"), "GET /login 502 cutover"]);

    site.identity.returns();
    ada.visit("/login");
    let told = ada.told();
    assert_eq!(
        told[0], "GET /login 302 identity cohort sign-in",
        "a flow that begins, and none that goes on"
    );
    site.flows("sign-in", "identity", 2, &[("failure", 1)]);
    assert_eq!(restarts(&site), 0.0);
}

#[test]
fn c23_only_a_page_is_sent_to_the_start_and_what_is_outside_the_flow_leaves_it() {
    let mut site = site([100, 100, 100]);
    site.share("sign-in", 100, 100);
    let mut ada = site.browser();
    begins_on_identity(&mut ada);
    site.share("sign-in", 100, 0);
    site.identity.stop();
    let page = ada.at();
    // A picture of the page is not the flow.
    let reply = ada.fetch("/api/me");
    assert!(waits(&reply).is_some() && !ends_flows(&reply));
    // Nor is what polls, asks about the page or fetches it ahead.
    for method in ["HEAD", "OPTIONS"] {
        let reply = ada.asks(method, &page);
        assert!(waits(&reply) == Some(10) && !ends_flows(&reply), "{method}");
    }
    for purpose in ["sec-purpose: prefetch;prerender", "purpose: prefetch", "x-moz: prefetch"] {
        ada.line = Some(purpose.to_owned());
        let reply = ada.visit(&page);
        assert!(waits(&reply) == Some(10) && !ends_flows(&reply), "{purpose}");
    }
    ada.line = None;
    let reply = ada.fetch(&page);
    assert!(waits(&reply) == Some(10) && !ends_flows(&reply));
    site.flows("sign-in", "identity", 1, &[]);
    // A form is what the user waits for, and must not be sent to where the workflow begins.
    let reply = ada.submit(&page, "code=123456");
    assert!(waits(&reply).is_some() && ends_flows(&reply));
    let problem = reply.head.get("content-type").expect("a type");
    assert!(problem.starts_with("text/html") && reply.text().contains("again"));
    assert!(reply.head.get("x-request-id").is_some());
    site.flows("sign-in", "identity", 1, &[("failure", 1)]);
    assert_eq!(site.classic.heads().len(), 1, "not asked but for the first page");
}

#[test]
fn c23_a_flow_outlives_a_poll_while_its_engine_is_away_for_a_moment() {
    let mut site = site([100, 100, 100]);
    let mut ada = site.browser();
    begins_on_identity(&mut ada);
    site.share("sign-in", 100, 0);
    site.identity.stop();
    let page = ada.at();
    assert!(waits(&ada.fetch(&page)).is_some());
    site.identity.returns();
    ada.submit(&page, "code=123456");
    assert_eq!(ada.visit("/account").text(), "identity account of ada");
    site.flows("sign-in", "identity", 1, &[("success", 1)]);
    site.nobody_was_lost();
}

#[test]
fn c23_nobody_is_sent_to_an_engine_that_is_gone_too() {
    let mut site = site([100, 100, 100]);
    let (mut ada, mut bob) = (site.browser(), site.browser());
    begins_on_identity(&mut ada);
    site.share("sign-in", 100, 0);
    site.identity.stop();
    site.classic.stop();
    assert_eq!(bob.visit("/").status(), 502, "whom nothing holds gets what he always got");
    let page = ada.at();
    assert!(waits(&ada.visit(&page)).is_some());
    site.classic.returns();
    assert_eq!(bob.visit("/").status(), 200);
    begins_with(&mut ada, "GET /login 200 classic cohort sign-in");
    site.nobody_was_lost();
}

#[track_caller]
fn begins_with(browser: &mut Browser, told: &str) {
    browser.told();
    browser.visit("/login");
    assert_eq!(browser.told(), [told]);
}

#[test]
fn c23_without_that_policy_a_flow_waits_for_its_engine() {
    let mut site = site_with("on_unavailable = \"error\"", [100, 100, 100], "");
    let mut ada = site.browser();
    begins_on_identity(&mut ada);
    site.share("sign-in", 100, 0);
    site.identity.stop();
    let page = ada.at();
    assert_eq!(ada.visit(&page).status(), 502);
    site.identity.returns();
    ada.submit(&page, "code=123456");
    assert_eq!(ada.visit("/account").text(), "identity account of ada");
    site.nobody_was_lost();
}

#[test]
fn c23_a_session_is_given_up_after_a_minute_and_not_before() {
    let mut site = site_with("", [100, 100, 100], "[apps.portal.session]\nisolate = true\n");
    let mut ada = site.browser();
    signs_in_on_identity(&mut ada);
    site.share("sign-in", 100, 0);
    site.identity.stop();
    ada.told();
    let wait = waits(&ada.visit("/")).expect("a time");
    assert_eq!(wait, 20, "soon enough to say that it is the same outage");
    assert!(waits(&ada.fetch("/api/me")).is_some());

    // An answer in between begins the minute anew.
    later(&site, 40);
    site.identity.returns();
    assert_eq!(ada.visit("/account").text(), "identity account of ada");
    site.identity.stop();
    for _ in 0..3 {
        assert!(waits(&ada.visit("/account")).is_some());
        later(&site, 20);
    }

    later(&site, 5);
    ada.told();
    let served = eventually("it is given up", || Some(ada.visit("/")).filter(|reply| reply.status() == 200));
    assert_eq!(served.text(), "classic nobody");
    assert_eq!(ada.told().pop().as_deref(), Some("GET / 200 classic cohort none"));
    assert_eq!(restarts(&site), 1.0);
    site.identity.returns();
    ada.visit("/account");
    ada.went(&["GET /account 302 classic cohort none", "GET /login 200 classic cohort sign-in"]);
    site.nobody_was_lost();
    assert!(answers(&site, "engine_gone") >= 4.0);
}

#[test]
fn c23_an_old_refusal_does_not_shorten_the_minute() {
    let mut site = site([100, 100, 100]);
    let mut ada = site.browser();
    signs_in_on_identity(&mut ada);
    site.share("sign-in", 100, 0);
    for _ in 0..2 {
        // It is back at once each time, but nobody asks.
        site.identity.stop();
        assert_eq!(waits(&ada.visit("/account")), Some(20));
        site.identity.returns();
        later(&site, 85);
    }
    assert_eq!(ada.visit("/account").text(), "identity account of ada");
    assert_eq!(restarts(&site), 0.0);
    site.nobody_was_lost();
}

#[test]
fn c23_a_session_is_kept_where_nobody_else_would_serve_its_user() {
    let mut site = site([100, 100, 100]);
    let mut ada = site.browser();
    signs_in_on_identity(&mut ada);
    site.proxy.replace("percent = 0", "percent = 100");
    site.identity.stop();
    for _ in 0..3 {
        assert!(waits(&ada.visit("/account")).is_some_and(|wait| wait > 15));
        later(&site, 20);
    }
    let reply = ada.visit("/account");
    assert_eq!((waits(&reply), reply.ticket()), (Some(10), None));
    site.identity.returns();
    ada.told();
    assert_eq!(ada.visit("/account").text(), "identity account of ada");
    ada.went(&["GET /account 200 identity session none"]);
    assert_eq!(restarts(&site), 0.0);
}

#[test]
fn c23_a_one_time_answer_is_for_its_engine_alone_and_goes_there_once() {
    let mut site = site([0, 0, 0]);
    let link = "/login/callback?interaction_code=c&state=unknown";
    site.identity.stop();
    let mut ada = site.browser();
    assert_eq!(ada.visit(link).status(), 502);
    assert!(site.classic.heads().is_empty());

    let silent = || Engine::script(|conn| drop(conn.request()));
    let (first, second, classic) = (silent(), silent(), Engine::answering("classic"));
    let endpoints = crate::support::proxy::list(&[&first, &second]);
    let pools = crate::support::proxy::pools(
        "preset = \"okta\"\nkeys = [\"device\"]",
        &crate::support::proxy::list(&[&classic]),
        &endpoints,
    );
    let proxy = Proxy::with(pools);
    assert_eq!(proxy.browser().visit(link).status(), 502);
    assert_eq!((first.heads().len() + second.heads().len(), classic.accepts()), (1, 0));
}

#[test]
fn c19_a_sign_out_that_hangs_is_cut_and_counted() {
    let classic = Engine::answering("classic");
    let identity = Engine::script(|conn| {
        while let Some(request) = conn.request() {
            if request.head.target() == "/logout" {
                conn.closes();
                return;
            }
            conn.send("HTTP/1.1 302 Found\r\nset-cookie: connect.sid=1; Path=/; HttpOnly\r\nlocation: /\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let pool =
        format!("{}\ntimeouts = {{ response = \"300ms\" }}", crate::support::proxy::list(&[&identity]));
    let lines = "preset = \"okta\"\nkeys = [\"device\"]\nworkflows.sign-in.percent = 100";
    let classic_pool = crate::support::proxy::list(&[&classic]);
    let proxy = Proxy::with(crate::support::proxy::pools(lines, &classic_pool, &pool));
    let mut client = proxy.client();
    // Signed in on Identity, where nobody signs in any more.
    let reply = client.get("/login").header("sec-fetch-mode: navigate").header("accept: text/html").send();
    let cookies: Vec<String> = reply
        .head
        .all("set-cookie")
        .iter()
        .filter_map(|line| line.split(';').next().map(str::to_owned))
        .collect();
    proxy.replace("percent = 100", "percent = 0");
    let reply = client.post("/logout", "").cookie(&cookies.join("; ")).header("accept: text/html").send();
    assert_eq!((reply.status(), identity.heads().len(), classic.accepts()), (504, 2, 0), "once, and there");
    proxy.counts("cutover_answers_total{app=\"portal\",kind=\"response_timeout\"}", 1.0);
    let labels = format!("app=\"portal\",engine=\"identity\",endpoint=\"{}\"", identity.url());
    proxy.counts(&format!("cutover_upstream_failures_total{{{labels},kind=\"response_timeout\"}}"), 1.0);
    let labels = "app=\"portal\",workflow=\"sign-out\",engine=\"identity\",method=\"POST\",code=\"504\"";
    proxy.counts(&format!("cutover_requests_total{{{labels}}}"), 1.0);
}
