//! Who owns a signed-in session: scenarios 19 and 20.

use crate::support::{Browser, Engine, Proxy, portal};

use super::{signs_in_on_classic, signs_in_on_identity, site, site_with};

#[test]
fn c19_signing_out_reaches_whom_the_session_belongs_to_whatever_the_share() {
    let site = site([100, 100, 100]);
    let (mut ada, mut bob) = (site.browser(), site.browser());
    signs_in_on_identity(&mut ada);
    site.share("sign-in", 100, 0);
    signs_in_on_classic(&mut bob);
    site.share("sign-in", 0, 100);
    ada.told();
    bob.told();
    ada.submit("/logout", "");
    bob.submit("/logout", "");
    ada.went(&["POST /logout 302 identity session sign-out"]);
    bob.went(&["POST /logout 302 classic session sign-out", "GET / 200 classic cohort none"]);
    assert_eq!((site.classic.model().revoked, site.identity.model().revoked), (1, 1), "each once");
    assert!(!ada.jar.contains_key("connect.sid"));
    site.flows("sign-out", "identity", 1, &[("success", 1)]);
    site.flows("sign-out", "classic", 1, &[("success", 1)]);

    // Nobody owns anything now: a sign-out of nobody goes by the share, and a new session where it begins.
    ada.visit("/logout");
    ada.visit("/");
    ada.went(&[
        "GET /logout 302 classic cohort sign-out",
        "GET / 200 classic cohort none",
        "GET / 200 classic cohort none",
    ]);
    site.nobody_was_lost();
}

#[test]
fn c20_one_cookie_name_in_both_versions_the_owner_keeps_each_session_from_the_other_version() {
    let site = site([50, 50, 50]);
    for user in 0..12 {
        let mut browser = site.browser();
        if user % 2 == 0 {
            browser.visit("/");
        }
        browser.visit("/login");
        let on_identity = browser.told().last().expect("a page").contains(" identity ");
        if on_identity {
            let form = browser.at();
            browser.submit(&form, "user=ada&password=right");
            let challenge = browser.at();
            browser.submit(&challenge, "code=123456");
        } else {
            browser.submit("/login", "user=ada&password=right");
            let away = browser.submit("/signin/verify/okta/email", "code=123456");
            browser.visit(&format!("/authorization-code/callback?code=c&state={}", away.state_sent()));
        }
        let engine = if on_identity { "identity" } else { "classic" };
        browser.told();
        for _ in 0..3 {
            browser.visit("/account");
            browser.fetch("/api/me");
            browser.went(&[
                &format!("GET /account 200 {engine} session none"),
                &format!("GET /api/me 200 {engine} session none"),
            ]);
        }
    }
    site.nobody_was_lost();
}

#[test]
fn c20_with_one_session_store_for_both_nobody_is_kept() {
    let shared = "[apps.portal.session]\ncookies = [\"connect.sid\"]\nshared = true\n";
    let site = site_with("", [100, 0, 100], shared);
    let mut ada = site.browser();
    ada.visit("/");
    ada.went(&["GET / 200 classic cohort none"]);
    ada.visit("/login");
    ada.submit(&ada.at(), "user=ada&password=right");
    ada.submit(&ada.at(), "code=123456");
    assert_eq!(
        ada.told().last().map(String::as_str),
        Some("GET / 409 classic cohort none"),
        "told that both know it"
    );
}

#[test]
fn what_ends_on_classic_in_an_old_tab_and_signs_nobody_in_takes_no_session_from_identity() {
    let site = site([0, 0, 100]);
    let mut ada = site.browser();
    ada.visit("/register");
    signs_in_on_identity(&mut ada);
    ada.told();
    // The first tab: Classic registers, and says no more than that it is done.
    ada.submit("/register", "user=bob");
    ada.went(&["POST /register 302 classic flow registration", "GET / 200 identity session none"]);
    assert_eq!(ada.visit("/account").text(), "identity account of ada");
    site.nobody_was_lost();
    site.flows("registration", "classic", 1, &[("success", 1)]);
}

#[test]
fn a_session_that_is_older_than_we_are_is_classics() {
    let site = site_with("percent = 100", [100, 100, 100], "");
    let mut ada = site.browser();
    // Signed in before there was a proxy.
    ada.jar.insert("connect.sid".to_owned(), "classic-from-before".to_owned());
    ada.visit("/");
    ada.visit("/");
    ada.went(&["GET / 200 classic session none", "GET / 200 classic session none"]);
    ada.visit("/login");
    assert_eq!(ada.told()[0], "GET /login 302 identity cohort sign-in", "where it signs in anew it moves");
}

#[test]
fn whom_its_engine_sends_to_sign_in_is_free_to_move() {
    let site = site([100, 100, 0]);
    let mut ada = site.browser();
    signs_in_on_classic(&mut ada);
    let mut anonymous = ada.jar.clone();
    anonymous.insert("connect.sid".to_owned(), "classic-expired".to_owned());
    ada.jar = anonymous;
    site.share("sign-in", 0, 100);
    ada.told();
    ada.visit("/account");
    ada.went(&[
        "GET /account 302 classic session none",
        "GET /login 302 identity cohort sign-in",
        "GET /login 200 identity state sign-in",
    ]);
    site.nobody_was_lost();
}

#[test]
fn whom_identity_sends_to_sign_in_is_free_to_go_back() {
    let site = site([100, 100, 100]);
    let mut ada = site.browser();
    signs_in_on_identity(&mut ada);
    ada.jar.insert("connect.sid".to_owned(), "identity-expired".to_owned());
    site.share("sign-in", 100, 0);
    ada.told();
    ada.visit("/account");
    ada.went(&["GET /account 302 identity session none", "GET /login 200 classic cohort sign-in"]);
}

/// Two versions that keep their sessions in different cookies, and a user who is signed in on Identity while a
/// recovery is open on Classic.
fn with_two_cookies() -> (Engine, Engine, Proxy, Browser) {
    let engine = |name: &'static str| {
        Engine::script(move |conn| {
            while let Some(request) = conn.request() {
                let (status, line) = match (request.head.method(), request.head.target()) {
                    ("POST", "/login") => (302, "location: /\r\nset-cookie: connect.sid=x; Path=/"),
                    ("GET", "/login?early") => (200, "set-cookie: connect.sid=early; Path=/"),
                    ("POST", "/login?early") => (302, "location: /"),
                    (_, "/logout") => (302, "location: /"),
                    (_, "/drop" | "/challenge/drop") => (200, "set-cookie: JSESSIONID=; Path=/; Max-Age=0"),
                    _ => (200, "x-nothing: more"),
                };
                let length = name.len();
                conn.send(format!(
                    "HTTP/1.1 {status} Such\r\n{line}\r\ncontent-length: {length}\r\n\r\n{name}"
                ));
            }
        })
    };
    let (classic, identity) = (engine("classic"), engine("identity"));
    let lines = "preset = \"okta\"\nkeys = [\"device\"]\npercent = 0";
    let text = portal(lines, &classic, &identity) + "[apps.portal.workflows.sign-in]\npercent = 100\n";
    let proxy = Proxy::with(text);
    let mut ada = proxy.browser();
    assert_eq!(ada.visit("/recover-password").text(), "classic");
    ada.visit("/login");
    assert_eq!(ada.submit("/login", "user=ada").text(), "identity");
    ada.jar.insert("JSESSIONID".to_owned(), "x".to_owned());
    assert_eq!(ada.visit("/").text(), "identity");
    (classic, identity, proxy, ada)
}

#[test]
fn a_session_cookie_that_its_owner_deletes_ends_the_pin() {
    let (_classic, _identity, _proxy, mut ada) = with_two_cookies();
    assert_eq!(ada.visit("/drop").text(), "identity");
    assert!(ada.jar.contains_key("connect.sid"), "one that tells us of a session is left");
    assert_eq!(ada.visit("/").text(), "classic");
}

#[test]
fn a_session_cookie_that_the_other_version_deletes_ends_nothing() {
    let (_classic, _identity, _proxy, mut ada) = with_two_cookies();
    assert_eq!(ada.submit("/challenge/drop", "").text(), "classic", "the recovery goes on there");
    assert!(!ada.jar.contains_key("JSESSIONID"));
    assert_eq!(ada.visit("/").text(), "identity");
}

#[test]
fn c19_a_sign_out_that_deletes_no_cookie_ends_the_pin_and_the_sessions() {
    let (_classic, _identity, _proxy, mut ada) = with_two_cookies();
    let before = ada.jar.clone();
    ada.visit("/logout");
    assert!(before.contains_key("connect.sid") && !ada.jar.contains_key("connect.sid"), "{before:?}");
    // Somebody kept it, for a path that ours does not reach.
    ada.jar.insert("connect.sid".to_owned(), before["connect.sid"].clone());
    assert_eq!(ada.visit("/").text(), "classic");
}

#[test]
fn a_page_without_any_session_cookie_ends_the_pin() {
    let site = site([0, 0, 100]);
    let mut ada = site.browser();
    signs_in_on_identity(&mut ada);
    ada.told();
    // The browser has dropped it, as at its end of life.
    ada.jar.remove("connect.sid");
    ada.fetch("/api/me");
    ada.visit("/");
    ada.went(&["GET /api/me 200 identity session none", "GET / 200 classic cohort none"]);
}

#[test]
fn a_session_that_was_begun_with_the_form_is_pinned_when_the_sign_in_ends() {
    let (_classic, _identity, proxy, _) = with_two_cookies();
    let mut bob = proxy.browser();
    bob.visit("/login?early");
    assert_eq!(bob.submit("/login?early", "user=bob").text(), "identity");
    assert_eq!(bob.visit("/").text(), "identity");
}
