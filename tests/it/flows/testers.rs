//! Tester links: a signed token for a cookie.

use crate::support::{Engine, Proxy, portal};

fn link(token: &str) -> String {
    format!("/.well-known/cutover/tester?{token}")
}

/// The token that `cutover link` would print for the usual key.
fn token(app: &str, byte: u8, expires: u32) -> String {
    use cutover::decide::engine::Engine::Identity;
    use cutover::decide::ticket::{Sealer, SigningKey};
    let key = SigningKey::new(vec![byte; 32]).expect("32 bytes");
    Sealer::new(&[key], app, 1, None).tester_token(Identity, expires).expect("a key")
}

#[test]
fn a_tester_link_puts_one_browser_on_its_engine_until_it_is_cleared() {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let proxy = Proxy::with(portal("percent = 0\nannotate = true", &classic, &identity));
    let mut browser = proxy.browser();
    assert_eq!(browser.engine(), "classic");
    let reply = browser.page(&link(&format!("token={}", token("portal", 0, u32::MAX))));
    assert_eq!((reply.status(), reply.head.get("location")), (303, Some("/")));
    assert_eq!(reply.head.get("cache-control"), Some("no-store"));
    assert_eq!(browser.engine(), "identity");
    assert_eq!(identity.last().head.get("cutover-reason"), Some("override"));
    assert!(!identity.last().head.all("cookie").join(";").contains("cutover"), "no engine sees the token");
    assert_eq!(proxy.browser().engine(), "classic", "nobody else is moved");

    let reply = browser.page(&link("clear"));
    let line = reply.head.all("set-cookie").into_iter().find(|line| line.starts_with("cutover-tester="));
    assert!(line.expect("it is taken away").contains("Max-Age=0"));
    browser.jar.remove("cutover-tester");
    assert_eq!(browser.engine(), "classic");
    for (outcome, count) in [("set", 1.0), ("cleared", 1.0)] {
        proxy.counts(&format!("cutover_tester_links_total{{app=\"portal\",outcome=\"{outcome}\"}}"), count);
    }
}

#[test]
fn a_link_for_another_app_key_or_time_is_worth_nothing() {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let proxy = Proxy::with(portal("percent = 0", &classic, &identity));
    for query in [
        format!("token={}", token("other", 0, u32::MAX)),
        format!("token={}", token("portal", 9, u32::MAX)),
        format!("token={}", token("portal", 0, 1)),
        "token=".to_owned(),
        "to=//evil.test".to_owned(),
    ] {
        let reply = proxy.client().get(&link(&query)).page();
        assert_eq!((reply.status(), reply.head.has("location")), (403, false), "{query}");
        assert!(!reply.head.has("set-cookie"), "{query}");
    }
    let cookie = format!("cutover-tester={}", token("portal", 9, u32::MAX));
    assert_eq!(proxy.client().get("/").cookie(&cookie).page().text(), "classic");
    assert_eq!(identity.heads().len(), 0);
    let paths: Vec<String> = classic.heads().iter().map(|head| head.target().to_owned()).collect();
    assert_eq!(paths, ["/"], "no engine is asked for a link");
    let refused = "cutover_tester_links_total{app=\"portal\",outcome=\"refused\"}";
    proxy.counts(refused, 5.0);
}
