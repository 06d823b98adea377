//! Cookies, caches and files: what must not cross, and the one thing that may.

use super::{Site, sign_in_on_identity};

/// Scenario 22.
#[test]
fn files_follow_the_page_that_asks_and_a_missing_one_is_found_at_the_other() {
    let site = Site::new(100, 0, 0);
    let mut visitor = site.visitor();
    visitor.open("/recover-password");
    assert_eq!(visitor.fetch("/assets/identity.css").text(), "identity style");
    assert_eq!(site.last_on_identity(), ("flow".to_owned(), "recovery".to_owned()));
    let mut fresh = site.visitor();
    assert_eq!(fresh.fetch("/assets/identity.css").text(), "identity style", "classic has no such file");
    assert_eq!(fresh.fetch("/assets/nobody.css").status(), 404);
    assert_eq!(fresh.open("/nobody").status(), 409, "nothing else crosses");
}

/// Scenario 26.
#[test]
fn pages_of_a_flow_are_kept_by_no_cache() {
    let site = Site::new(100, 0, 0);
    let mut visitor = site.visitor();
    for target in ["/login", "/recover-password", "/login/callback?code=1&state=2"] {
        let reply = visitor.once("GET", target, "", &["sec-fetch-mode: navigate"]);
        assert_eq!(reply.head.get("cache-control"), Some("no-store"), "{target}");
    }
    assert_eq!(visitor.open("/api").text(), "classic /api");
    let before = site.identity.requests().len();
    visitor.once("GET", "/recover-password", "", &["sec-fetch-mode: navigate", "if-none-match: \"1\""]);
    let heads = site.identity.heads();
    assert_eq!(heads.len(), before + 1);
    let asked: Vec<bool> = heads.iter().map(|head| head.has("if-none-match")).collect();
    assert!(!asked[before], "what it has cached is classic's: {asked:?}");
    visitor.once("GET", "/recover-password", "", &["sec-fetch-mode: navigate", "if-none-match: \"1\""]);
    assert!(site.identity.last().head.has("if-none-match"));
}

/// Scenario 24.
#[test]
fn bad_flow_cookies_are_ignored_and_replaced_and_choose_nothing() {
    let site = Site::new(100, 0, 0);
    let mut donor = site.visitor();
    donor.open("/recover-password");
    let genuine = donor.jar["cutover-flow"].clone();
    let mut forged = genuine.clone().into_bytes();
    forged[20] = if forged[20] == b'A' { b'B' } else { b'A' };
    let ticket = donor.jar["cutover"].clone();
    for value in [
        String::from_utf8(forged).expect("base64"),
        genuine[..genuine.len() - 4].to_owned(),
        ticket,
        "A".repeat(8192),
        "AA".to_owned(),
        "Ag".to_owned(),
        String::new(),
    ] {
        let mut visitor = site.visitor();
        visitor.jar.insert("cutover-flow".to_owned(), value.clone());
        let reply = visitor.open("/mfa");
        assert!(reply.text().starts_with("classic"), "{value}: {}", reply.text());
    }
    // Two cookies of one name: the bad one does not shadow the good one.
    let line = format!("cookie: cutover-flow=AA; cutover-flow={genuine}");
    let mut visitor = site.visitor();
    let reply = visitor.once("GET", "/challenge-authenticator/okta_email", "", &[&line]);
    assert!(reply.text().starts_with("identity"), "{}", reply.text());
}

/// Nothing that an engine sends back makes an error of ours.
#[test]
fn strange_states_and_locations_do_no_harm() {
    let site = Site::new(100, 0, 0);
    let mut visitor = site.visitor();
    for target in [
        format!("/login?state={}", "x".repeat(20_000)),
        "/login?state=%ff%00&state=2".to_owned(),
        "/login/callback?state=".to_owned(),
        "/%6Cogin".to_owned(),
        "/login;x=1//..//login".to_owned(),
    ] {
        let reply = visitor.once("GET", &target, "", &["sec-fetch-mode: navigate"]);
        assert!(reply.status() < 500, "{target}: {}", reply.head.text);
        assert!(!reply.text().contains("identity"), "{target} chose an engine");
    }
}

/// Scenario 27.
#[test]
fn a_program_without_cookies_is_served_by_classic_and_gets_none() {
    let site = Site::new(100, 100, 100);
    for target in ["/api", "/login"] {
        let reply = site.visitor().once("GET", target, "", &["accept: application/json"]);
        assert!(reply.text().starts_with("classic"), "{target}: {}", reply.text());
        let ours = reply.head.all("set-cookie").iter().any(|line| line.starts_with("cutover"));
        assert!(!ours, "{target}: {}", reply.head.text);
    }
}

/// Scenario 21.
#[test]
fn big_cookies_of_both_apps_pass() {
    let site = Site::new(100, 0, 100);
    let mut visitor = site.visitor();
    for part in 0..5 {
        visitor.jar.insert(format!("appSession.{part}"), "x".repeat(4000));
    }
    assert_eq!(sign_in_on_identity(&mut visitor), "identity home of ada");
    assert!(site.identity.last().head.all("cookie").join(";").len() > 20_000);
}
