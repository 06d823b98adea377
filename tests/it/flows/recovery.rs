//! Password recovery, which goes first: scenarios 2, 3, 10 and 11.

use crate::support::Proxy;

use super::{signs_in_on_classic, site, toml};

#[test]
fn c2_a_recovery_that_ends_signed_in_on_identity_keeps_the_user_there_until_they_sign_out() {
    let site = site([100, 0, 0]);
    let mut ada = site.browser();
    ada.visit("/login");
    ada.visit("/recover-password");
    ada.went(&[
        "GET /login 200 classic cohort sign-in",
        "GET /recover-password 302 identity cohort recovery",
        "GET /recover-password 200 identity state recovery",
    ]);
    ada.submit(&ada.at(), "user=ada");
    ada.submit(&ada.at(), "code=123456");
    ada.submit(&ada.at(), "password=new");
    ada.went(&[
        "POST /recover-password 302 identity state recovery",
        "GET /challenge-authenticator/okta_email 200 identity state recovery",
        "POST /challenge-authenticator/okta_email 302 identity state recovery",
        "GET /reset-password 200 identity state recovery",
        "POST /reset-password 302 identity state recovery",
        "GET / 200 identity session none",
    ]);
    assert_eq!(ada.visit("/account").text(), "identity account of ada");
    assert_eq!(ada.fetch("/api/me").text(), "identity ada");
    ada.visit("/logout");
    ada.went(&[
        "GET /account 200 identity session none",
        "GET /api/me 200 identity session none",
        "GET /logout 302 identity session sign-out",
    ]);
    assert_eq!(site.identity.model().revoked, 1);

    // The sign-in that was open all the while goes on; a new visitor's begins there as well.
    ada.visit("/login");
    ada.visit("/");
    site.browser().visit("/login");
    ada.went(&["GET /login 200 classic flow sign-in", "GET / 200 classic cohort none"]);
    site.nobody_was_lost();
    site.flows("recovery", "identity", 1, &[("success", 1)]);
}

#[test]
fn c2_a_recovery_is_counted_for_a_browser_that_was_never_here_before() {
    let site = site([100, 0, 0]);
    let mut ada = site.browser();
    ada.visit("/recover-password");
    ada.submit(&ada.at(), "user=ada");
    ada.submit(&ada.at(), "code=123456");
    ada.submit(&ada.at(), "password=new");
    assert_eq!(ada.visit("/").text(), "identity ada");
    site.nobody_was_lost();
    site.flows("recovery", "identity", 1, &[("success", 1)]);
}

#[test]
fn c3_a_step_page_that_both_versions_have_belongs_to_whom_the_flow_began_with() {
    let site = site([100, 0, 0]);
    let (mut ada, mut bob) = (site.browser(), site.browser());
    for browser in [&mut ada, &mut bob] {
        browser.visit("/");
    }
    ada.visit("/recover-password");
    bob.visit("/login");
    bob.submit("/login", "user=bob&password=right");
    ada.submit(&ada.at(), "user=ada");
    ada.submit(&ada.at(), "code=123456");
    bob.told();
    ada.told();
    bob.visit("/reset-password");
    ada.visit(&ada.at());
    bob.went(&["GET /reset-password 200 classic flow sign-in"]);
    ada.went(&["GET /reset-password 200 identity state recovery"]);
    ada.submit(&ada.at(), "password=new");
    let away = bob.submit("/signin/verify/okta/email", "code=123456");
    bob.visit(&format!("/authorization-code/callback?code=c&state={}", away.state_sent()));
    bob.went(&[
        "POST /signin/verify/okta/email 302 classic flow sign-in",
        "GET /authorization-code/callback 302 classic state sign-in",
        "GET / 200 classic session none",
    ]);
    site.nobody_was_lost();
    site.flows("recovery", "identity", 1, &[("success", 1)]);
    site.flows("sign-in", "classic", 1, &[("success", 1)]);
    site.flows("recovery", "classic", 0, &[]);
}

#[test]
fn c3_a_step_page_belongs_to_the_flow_used_last() {
    let site = site([100, 0, 0]);
    let mut ada = site.browser();
    ada.visit("/login");
    ada.visit("/recover-password");
    ada.told();
    ada.fetch("/poll-authenticator/okta_email");
    assert_eq!(
        ada.told(),
        ["GET /poll-authenticator/okta_email 409 identity flow recovery"],
        "without a state"
    );
    ada.submit("/login", "user=ada&password=right");
    ada.visit("/reset-password");
    ada.went(&[
        "POST /login 302 classic flow sign-in",
        "GET /signin/verify/okta/email 200 classic flow sign-in",
        "GET /reset-password 200 classic flow sign-in",
    ]);
}

#[test]
fn c3_a_flow_that_has_just_ended_in_another_tab_takes_no_step_of_one_that_goes_on() {
    let site = site([100, 0, 0]);
    let mut ada = site.browser();
    ada.visit("/");
    ada.visit("/login");
    ada.submit("/login", "user=ada&password=right");
    // Another tab: a recovery, to its end, and out again.
    ada.visit("/recover-password");
    ada.submit(&ada.at(), "user=ada");
    ada.submit(&ada.at(), "code=123456");
    ada.submit(&ada.at(), "password=new");
    ada.visit("/logout");
    ada.told();
    // The first tab.
    ada.at = Some("/signin/verify/okta/email".to_owned());
    ada.fetch("/api/hints");
    let away = ada.submit("/signin/verify/okta/email", "code=123456");
    ada.visit(&format!("/authorization-code/callback?code=c&state={}", away.state_sent()));
    ada.went(&[
        "GET /api/hints 200 classic flow sign-in",
        "POST /signin/verify/okta/email 302 classic flow sign-in",
        "GET /authorization-code/callback 302 classic state sign-in",
        "GET / 200 classic session none",
    ]);
    site.nobody_was_lost();
    site.flows("recovery", "identity", 1, &[("success", 1)]);
    site.flows("sign-in", "classic", 1, &[("success", 1)]);
}

#[test]
fn a_start_with_a_state_is_a_step_of_the_flow_that_is_open() {
    let site = site([100, 0, 0]);
    let mut ada = site.browser();
    ada.visit("/recover-password");
    let state = ada.state();
    ada.told();
    // Identity leads through another workflow's page, and the other node has not seen the state.
    let other = Proxy::with(toml("", [100, 0, 0], "", &site.classic, &site.identity));
    ada.goes_to(other.address());
    ada.visit(&format!("/login?state={state}"));
    ada.went(&["GET /login 409 identity flow recovery"]);
    // Without one a sign-in starts.
    ada.visit("/login");
    ada.went(&["GET /login 200 classic cohort sign-in"]);
}

#[test]
fn c10_a_link_that_classic_has_mailed_is_opened_on_classic_wherever_it_is_opened() {
    let site = site([0, 0, 0]);
    let mut ada = site.browser();
    ada.visit("/recover-password");
    let sent = ada.submit("/recover-password", "user=ada").text();
    let link = sent.split_once(": ").expect("a link").1.to_owned();
    ada.went(&[
        "GET /recover-password 200 classic cohort recovery",
        "POST /recover-password 200 classic flow recovery",
    ]);

    // Meanwhile everybody recovers on Identity.
    site.share("recovery", 0, 100);
    let mut phone = site.browser();
    phone.visit(&link);
    phone.submit("/reset-password", "password=new");
    phone.went(&[
        &format!("GET {link} 302 classic landing recovery"),
        "GET /reset-password 200 classic flow recovery",
        "POST /reset-password 302 classic flow recovery",
        "GET / 200 classic cohort none",
    ]);
    site.nobody_was_lost();

    let by_query = "/recover-password?recoveryToken=abc";
    site.browser().visit(by_query);
    assert_eq!(site.classic.last().head.target(), by_query);
    assert_eq!(site.classic.last().head.get("cutover-reason"), Some("landing"));
}

#[test]
fn c11_a_mail_scanner_asks_once_for_each_request_and_starts_nothing() {
    let site = site([100, 100, 100]);
    let link = site.classic.model().mailed_link();
    let before = site.classic.requests().len() + site.identity.requests().len();
    let mut scanner = site.proxy.client();
    let head = scanner.ask("HEAD", &link).header("accept: text/html").send().head;
    assert!(!head.all("set-cookie").iter().any(|line| line.starts_with("cutover-flow")), "no pin");
    scanner.ask("HEAD", "/login").header("accept: text/html").send();
    scanner.get("/login").header("accept: text/html").header("sec-purpose: prefetch;prerender").send();
    scanner.get("/recover-password").header("accept: text/html").header("purpose: prefetch").send();
    scanner.get("/register").header("accept: */*").send();
    scanner.get("/login/callback?otp=1&state=s").page();
    assert_eq!(site.classic.requests().len() + site.identity.requests().len(), before + 6, "once each");
    for workflow in ["recovery", "registration", "sign-in"] {
        for engine in ["classic", "identity"] {
            site.flows(workflow, engine, 0, &[]);
        }
    }

    // Nor does a browser that fetches ahead what its user may never open, though it keeps cookies.
    let mut eager = site.browser();
    for (line, page) in [("sec-purpose: prefetch", "/login"), ("x-moz: prefetch", "/register")] {
        eager.line = Some(line.to_owned());
        eager.visit(page);
        assert!(
            eager.jar.contains_key("cutover") && !eager.jar.contains_key("cutover-flow"),
            "{:?}",
            eager.jar
        );
    }

    // Whoever reads the mail afterwards is where they were before.
    let mut ada = site.browser();
    ada.visit("/recover-password");
    assert_eq!(ada.told()[0], "GET /recover-password 302 identity cohort recovery");
}

#[test]
fn c2_signed_in_on_classic_one_still_recovers_on_identity() {
    let site = site([100, 0, 0]);
    let mut ada = site.browser();
    signs_in_on_classic(&mut ada);
    assert_eq!(ada.visit("/account").text(), "classic account of ada");
    ada.told();
    ada.visit("/recover-password");
    assert_eq!(ada.told()[0], "GET /recover-password 302 identity cohort recovery");
    ada.submit(&ada.at(), "user=ada");
    ada.submit(&ada.at(), "code=123456");
    ada.submit(&ada.at(), "password=new");
    assert_eq!(ada.visit("/account").text(), "identity account of ada");
    site.nobody_was_lost();
}
