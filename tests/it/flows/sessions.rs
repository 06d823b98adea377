//! Who owns a signed-in session: scenarios 19 and 20.

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
