//! Who owns a session.

use super::{Site, sign_in_on_classic, sign_in_on_identity};

/// Scenario 2: the order that Okta recommends would break without session pins.
#[test]
fn recovery_ends_signed_in_on_identity_and_stays_there() {
    let site = Site::new(100, 0, 0);
    let mut visitor = site.visitor();
    assert_eq!(visitor.open("/login").text(), "classic form of /login");
    assert_eq!(visitor.open("/recover-password").text(), "identity form of /recover-password");
    let state = visitor.state();
    visitor.submit(&format!("/recover-password?state={state}"), "name=ada");
    let home = visitor.submit(&format!("/reset-password?state={state}"), "password=1");
    assert_eq!(home.text(), "identity home of ada");
    assert_eq!(site.last_on_identity(), ("session".to_owned(), "none".to_owned()));
    site.ended("recovery", "identity", "success", 1.0);

    // Scenario 19: only the owner can sign out.
    let out = visitor.submit("/logout", "");
    assert_eq!((out.status(), out.text().as_str()), (200, "classic /signed-out"));
    assert!(site.decisions("sign-out", "identity", "session") >= 1.0);
    site.ended("sign-out", "identity", "success", 1.0);
    assert_eq!(visitor.open("/").text(), "classic home of nobody");
    assert_eq!(visitor.open("/login").text(), "classic form of /login");
}

/// Scenario 20: the same cookie name on both engines, and never a session shown to the other.
#[test]
fn a_session_is_never_shown_to_the_other_engine() {
    let site = Site::new(100, 0, 0);
    let mut visitor = site.visitor();
    assert_eq!(sign_in_on_classic(&mut visitor), "classic home of ada");
    site.set(0, 100);
    site.proxy.replace("percent = 0\n", "percent = 100\n");
    assert_eq!(visitor.open("/").text(), "classic home of ada", "a widening signs nobody out");
    assert!(site.decisions("none", "classic", "session") >= 1.0);
    let api = visitor.fetch("/api");
    assert_eq!(api.text(), "classic /api", "nor do requests that load no page");
    // A start is where a user may move: going forward is safe.
    assert_eq!(sign_in_on_identity(&mut visitor), "identity home of ada");
    // And going back is not, before signing out.
    site.set(100, 0);
    assert_eq!(visitor.open("/login").text(), "identity form of /login");
}

#[test]
fn an_anonymous_session_pins_nobody() {
    let site = Site::new(100, 0, 0);
    let mut visitor = site.visitor();
    assert_eq!(visitor.open("/").text(), "classic home of nobody");
    assert!(visitor.jar.contains_key("connect.sid"));
    site.proxy.replace("percent = 0\n", "percent = 100\n");
    let reply = visitor.open("/");
    assert_eq!(reply.text(), "identity did not begin this session", "it moves, as it would without Cutover");
    assert_eq!(site.last_on_identity().0, "cohort");
}

#[test]
fn who_was_signed_in_before_we_came_stays_on_classic_until_the_next_sign_in() {
    let site = Site::new(100, 100, 100);
    site.proxy.replace("percent = 0\n", "percent = 100\n");
    let mut visitor = site.visitor();
    // Classic knows the session; we have never seen the browser.
    let mut direct = super::Visitor::to(site._classic.address());
    direct.open("/");
    visitor.jar.insert("connect.sid".to_owned(), direct.jar["connect.sid"].clone());
    assert_eq!(visitor.open("/").text(), "classic home of nobody");
    assert!(site.decisions("none", "classic", "session") >= 1.0);
    assert_eq!(visitor.open("/").text(), "classic home of nobody", "the ticket says so from now on");
    assert_eq!(sign_in_on_identity(&mut visitor), "identity home of ada");
}

#[test]
fn a_session_that_is_gone_pins_nobody_any_more() {
    let site = Site::new(100, 0, 100);
    let mut visitor = site.visitor();
    assert_eq!(sign_in_on_identity(&mut visitor), "identity home of ada");
    visitor.jar.remove("connect.sid");
    assert_eq!(visitor.open("/").text(), "classic home of nobody", "a page load without its cookie ends it");
}
