//! One name of a session cookie in both versions: scenario 20.

use super::{Site, signs_in_on_classic, signs_in_on_identity, site, site_with};
use crate::cli::run;
use crate::support::{Browser, Engine, Proxy, portal};

const ISOLATED: &str = "[apps.portal.session]\nisolate = true\n";

fn warning(site: &Site) -> String {
    let status: serde_json::Value =
        serde_json::from_str(&site.proxy.ask("GET /api/v1/status").body).expect("JSON");
    let warnings = status["apps"][0]["warnings"].as_array().cloned().unwrap_or_default();
    assert!(warnings.len() < 2);
    warnings.first().map_or_else(String::new, |warning| format!("{} {}", warning["message"], warning["hint"]))
}

fn told(site: &Site) -> f64 {
    site.proxy.metric("cutover_session_cookies_in_both_total{app=\"portal\"}")
}

/// Signs in on Classic, and then on Identity, where new sign-ins go meanwhile.
fn signs_in_twice(site: &Site) -> Browser {
    let mut ada = site.browser();
    signs_in_on_classic(&mut ada);
    site.share("sign-in", 0, 100);
    signs_in_on_identity(&mut ada);
    assert_eq!(ada.visit("/account").text(), "identity account of ada");
    ada.told();
    ada
}

#[test]
fn c20_with_isolation_both_sessions_live_side_by_side_in_one_browser() {
    let site = site_with("", [100, 100, 0], ISOLATED);
    let mut ada = signs_in_twice(&site);
    let names: Vec<&str> = ada.jar.keys().map(String::as_str).filter(|name| name.ends_with("sid")).collect();
    assert_eq!(names, ["cutover-c.connect.sid", "cutover-i.connect.sid"]);
    // Neither ever saw more than its own, under its own name.
    for (engine, name, other) in
        [(&site.classic, "classic", "identity-"), (&site.identity, "identity", "classic-")]
    {
        for asked in engine.requests() {
            let cookies = asked.head.all("cookie").join("; ");
            assert!(!cookies.contains("cutover") && !cookies.contains(other), "{name} saw {cookies}");
        }
    }
    let seen = site.identity.last().head.all("cookie").join("; ");
    assert!(seen.contains("connect.sid=identity-user-"), "{seen}");

    // Signed out of one, nobody is still signed in to the other.
    site.share("sign-in", 100, 0);
    ada.submit("/logout", "");
    assert!(!ada.jar.keys().any(|name| name.ends_with("sid")), "{:?}", ada.jar);
    ada.visit("/account");
    ada.went(&[
        "POST /logout 302 identity session sign-out",
        "GET /account 302 classic cohort none",
        "GET /login 200 classic cohort sign-in",
    ]);
    site.nobody_was_lost();
    assert_eq!((warning(&site), told(&site)), (String::new(), 0.0));
}

#[test]
fn c20_a_session_from_before_isolation_keeps_working_under_its_old_name() {
    let site = site_with("", [100, 100, 0], "[apps.portal.session]\nisolate = false\n");
    let mut ada = site.browser();
    signs_in_on_classic(&mut ada);
    let old = ada.jar["connect.sid"].clone();
    site.proxy.replace("isolate = false", "isolate = true");
    assert_eq!(ada.visit("/account").text(), "classic account of ada");
    assert_eq!(ada.jar["connect.sid"], old);

    site.share("sign-in", 0, 100);
    signs_in_on_identity(&mut ada);
    assert_eq!(ada.visit("/account").text(), "identity account of ada");
    assert_eq!(ada.jar["connect.sid"], old, "what Classic still knows is left alone");
    assert!(ada.jar["cutover-i.connect.sid"].starts_with("identity-user-"));
    ada.submit("/logout", "");
    assert!(!ada.jar.contains_key("connect.sid") && !ada.jar.contains_key("cutover-i.connect.sid"));
    site.nobody_was_lost();
}

#[test]
fn c20_without_isolation_the_owner_is_kept_and_status_names_the_cookie() {
    let site = site([100, 100, 0]);
    let mut bob = site.browser();
    signs_in_on_classic(&mut bob);
    assert_eq!(warning(&site), "", "one engine alone is no trouble");
    let mut ada = signs_in_twice(&site);
    for _ in 0..3 {
        ada.visit("/account");
        bob.visit("/account");
    }
    site.nobody_was_lost();
    let said = warning(&site);
    assert!(
        said.contains("connect.sid") && said.contains("session.isolate") && said.contains("session.shared")
    );
    assert_eq!(told(&site), 1.0, "once");
    let (_, out, _) =
        run(site.proxy.folder.path(), &["status", "--admin", &format!("http://{}", site.proxy.admin())]);
    assert!(
        out.contains("warning: both engines set the session cookie connect.sid\n    hint: session.isolate"),
        "{out}"
    );

    // It is known still after an edit, and no trouble any more once it is seen to.
    site.share("sign-in", 100, 50);
    assert!(warning(&site).contains("connect.sid"));
    site.proxy.edit(|text| format!("{text}\n{ISOLATED}"));
    assert_eq!((warning(&site), told(&site)), (String::new(), 1.0));
}

#[test]
fn a_prefix_stays_in_front_and_what_scripts_read_keeps_its_name() {
    let identity = Engine::replying(
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nset-cookie: __Host-sid=1; Secure; Path=/; HttpOnly\r\n\
          set-cookie: app.0=2; Path=/; httponly\r\nset-cookie: app.js=3; Path=/\r\nset-cookie: uid=4; HttpOnly\r\n\
          set-cookie: cutover-c.app.0=5; HttpOnly\r\nset-cookie: app.1=6; Max-Age=0\r\n\r\n",
    );
    let classic = Engine::answering("classic");
    let lines = "percent = 100\nkeys = [\"device\"]\nsession = { cookies = [\"__Host-sid\", \"app*\"], isolate = true }";
    let proxy = Proxy::with(portal(lines, &classic, &identity));
    let mut client = proxy.client();
    let reply = client.get("/").page();
    let set = reply.head.all("set-cookie");
    assert_eq!(
        set[..6],
        [
            "__Host-cutover-i.sid=1; Secure; Path=/; HttpOnly",
            "cutover-i.app.0=2; Path=/; httponly",
            "app.js=3; Path=/",
            "uid=4; HttpOnly",
            "cutover-i.app.1=6; Max-Age=0",
            "app.1=6; Max-Age=0",
        ]
    );
    let ticket = set[6].split(';').next().expect("our ticket").to_owned();
    let sent = format!(
        "__Host-cutover-i.sid=1; cutover-i.app.0=2; cutover-c.app.0=9; app.js=3; {ticket}; __Host-cutover-c.sid=7"
    );
    client.get("/").cookie(&sent).page();
    assert_eq!(identity.last().head.all("cookie"), ["__Host-sid=1; app.0=2; app.js=3"]);
}
