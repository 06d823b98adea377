//! Orders to evacuate an engine: scenario 6, and whoever could be forgotten by them, or sent round in circles.

use std::thread::sleep;
use std::time::Duration;

use cutover::config::units::write_moment;
use cutover::decide::cookies::PLAIN;
use cutover::decide::engine::Engine as Side;
use cutover::decide::ticket::{Sealer, SessionPin, SigningKey, Ticket};

use crate::support::{Browser, Proxy, portal};

use super::{Site, signs_in_on_classic, signs_in_on_identity, site, site_with};

fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()
}

/// A worker's wall clock is up to 100 ms old.
const CLOCK: Duration = Duration::from_millis(150);

/// An order as it stands in the list.
fn order(engine: &str, at: u64, sign_out: Option<&str>) -> String {
    let way = sign_out.map(|path| format!(", sign_out = {path:?}")).unwrap_or_default();
    format!("{{ engine = \"{engine}\", at = {}{way} }}", write_moment(at))
}

impl Site {
    /// Adds the app's only order, dated now, and waits until every worker's clock has come there.
    fn evacuate(&self, engine: &str, sign_out: Option<&str>) {
        self.order(&order(engine, now(), sign_out));
        sleep(CLOCK);
    }

    fn order(&self, order: &str) {
        self.proxy.replace("[apps.portal]\n", &format!("[apps.portal]\nevacuate = [{order}]\n"));
    }

    fn evacuated(&self, from: &str, to: &str, count: u32) {
        let series =
            format!("cutover_moves_total{{app=\"portal\",from=\"{from}\",to=\"{to}\",cause=\"evacuated\"}}");
        self.proxy.counts(&series, f64::from(count));
    }
}

/// Signed in on Identity, whose share then falls to 0.
fn held_by_identity() -> (Site, Browser) {
    let site = site([0, 0, 100]);
    let mut ada = site.browser();
    signs_in_on_identity(&mut ada);
    site.share("sign-in", 100, 0);
    ada.visit("/account");
    assert_eq!(ada.told().last().map(String::as_str), Some("GET /account 200 identity session none"));
    (site, ada)
}

#[test]
fn c6_a_signed_in_user_is_sent_to_sign_out_once_and_is_classics_after_it() {
    let (site, mut ada) = held_by_identity();
    site.evacuate("identity", Some("/logout"));
    ada.visit("/account");
    ada.went(&["GET /account 303 cutover", "GET /logout 302 identity session sign-out"]);
    assert_eq!(site.identity.model().revoked, 1, "signed out where the session was");
    ada.visit("/");
    ada.went(&["GET / 200 classic cohort none"]);
    site.evacuated("identity", "classic", 1);
    signs_in_on_classic(&mut ada);
    ada.visit("/account");
    assert_eq!(ada.told().last().map(String::as_str), Some("GET /account 200 classic session none"));
    site.nobody_was_lost();
    site.proxy.counts("cutover_answers_total{app=\"portal\",kind=\"evacuated\"}", 1.0);
    site.proxy.counts("cutover_evacuations_total{app=\"portal\",engine=\"identity\"}", 1.0);
    let in_flight = "cutover_requests_in_flight{app=\"portal\",engine=\"identity\"}";
    site.proxy.counts(in_flight, 0.0);
}

#[test]
fn c6_the_redirect_is_no_page_that_anybody_may_keep() {
    let (site, mut ada) = held_by_identity();
    site.evacuate("identity", Some("/logout?to=%2F"));
    let reply = ada.page("/account");
    assert_eq!((reply.status(), reply.head.get("location")), (303, Some("/logout?to=%2F")));
    assert_eq!(reply.head.get("cache-control"), Some("no-store"));
    assert!(reply.ticket().is_some(), "the mark");
    let cookies = format!("cutover={}", ada.jar["cutover"]);
    assert!(cookies.len() < 120, "a mark costs nothing: {cookies}");
}

#[test]
fn c6_without_a_sign_out_the_next_request_is_decided_anew() {
    let (site, mut ada) = held_by_identity();
    site.evacuate("identity", None);
    ada.fetch("/api/me");
    ada.visit("/");
    // It still holds the session cookie of Identity, which the model of Classic minds; that makes no pin there.
    assert!(ada.jar["connect.sid"].starts_with("identity-user"));
    ada.visit("/login");
    ada.went(&[
        "GET /api/me 409 classic cohort none",
        "GET / 409 classic cohort none",
        "GET /login 200 classic cohort sign-in",
    ]);
    site.evacuated("identity", "classic", 1);
    signs_in_on_classic(&mut ada);
    ada.visit("/account");
    assert_eq!(ada.told().last().map(String::as_str), Some("GET /account 200 classic session none"));
}

#[test]
fn c6_until_a_page_is_loaded_everything_stays_with_whom_the_session_is() {
    let (site, mut ada) = held_by_identity();
    site.evacuate("identity", Some("/logout"));
    ada.fetch("/api/me");
    ada.submit("/account", "name=ada");
    ada.line = Some("sec-purpose: prefetch".to_owned());
    ada.visit("/account");
    ada.line = Some("sec-fetch-dest: iframe".to_owned());
    ada.visit("/account");
    ada.line = None;
    ada.went(&[
        "GET /api/me 200 identity session none",
        "POST /account 200 identity session none",
        "GET /account 200 identity session none",
        "GET /account 200 identity session none",
    ]);
    let reply = ada.page("/account");
    assert_eq!(reply.status(), 303);
    ada.fetch("/api/me");
    ada.submit("/account", "name=ada");
    ada.went(&["GET /api/me 200 identity session none", "POST /account 200 identity session none"]);
    ada.visit("/logout");
    ada.visit("/");
    ada.went(&["GET /logout 302 identity session sign-out", "GET / 200 classic cohort none"]);
    site.nobody_was_lost();
}

#[test]
fn c6_who_loads_another_page_in_spite_of_the_mark_is_not_sent_again() {
    let (site, mut ada) = held_by_identity();
    site.evacuate("identity", Some("/logout"));
    assert_eq!(ada.page("/account").status(), 303);
    ada.visit("/login");
    ada.visit("/login");
    ada.went(&["GET /login 200 classic cohort sign-in", "GET /login 200 classic flow sign-in"]);
    site.evacuated("identity", "classic", 1);
}

#[test]
fn c6_a_sign_out_that_does_nothing_ends_the_pin_all_the_same() {
    let (site, mut ada) = held_by_identity();
    site.evacuate("identity", Some("/account"));
    ada.visit("/");
    ada.visit("/");
    ada.went(&[
        "GET / 303 cutover",
        "GET /account 200 identity session none",
        // The model minds the cookie of the other version that the sign-out has left behind.
        "GET / 409 classic cohort none",
    ]);
}

#[test]
fn c6_a_sign_out_that_cannot_be_reached_ends_the_pin_all_the_same() {
    let (mut site, mut ada) = held_by_identity();
    site.evacuate("identity", Some("/logout"));
    assert_eq!(ada.page("/account").status(), 303);
    let nobody = crate::support::free_port();
    let url = site.identity.url();
    site.proxy.replace(&url, &format!("http://127.0.0.1:{nobody}"));
    let pin = ada.jar["cutover"].clone();
    let reply = ada.page("/logout");
    assert_eq!((reply.status(), reply.head.get("location")), (303, Some("/")));
    assert_eq!((reply.head.get("cache-control"), reply.head.get("retry-after")), (Some("no-store"), None));
    site.proxy.counts("cutover_answers_total{app=\"portal\",kind=\"restart\"}", 1.0);
    ada.jar.insert("cutover".to_owned(), pin);
    ada.visit("/logout");
    ada.visit("/login");
    ada.went(&[
        "GET /logout 303 cutover",
        // The model minds the cookie of the other version, which nobody has taken away.
        "GET / 409 classic cohort none",
        "GET /login 200 classic cohort sign-in",
    ]);
    site.evacuated("identity", "classic", 1);
    site.identity = crate::support::AppEngine::called("identity");
}

#[test]
fn c6_a_session_that_is_to_end_is_not_waited_for_when_its_engine_is_gone() {
    let (mut site, mut ada) = held_by_identity();
    let mut bob = site.browser();
    bob.jar = ada.jar.clone();
    site.evacuate("identity", Some("/logout"));
    site.identity.stop();
    ada.fetch("/api/me");
    ada.visit("/login");
    ada.went(&["GET /api/me 409 classic cohort none", "GET /login 200 classic cohort sign-in"]);
    bob.visit("/account");
    // Nor is anybody sent to sign out of it. The model minds the cookie of the other version.
    bob.went(&["GET /account 409 classic cohort none"]);
    let restart = "cutover_moves_total{app=\"portal\",from=\"identity\",to=\"classic\",cause=\"restart\"}";
    site.proxy.counts(restart, 2.0);
    // Nobody goes back.
    site.identity.returns();
    bob.visit("/login");
    bob.went(&["GET /login 200 classic cohort sign-in"]);
}

#[test]
fn c6_who_signs_out_by_themselves_is_not_sent_to_do_it_again() {
    let (site, mut ada) = held_by_identity();
    site.evacuate("identity", Some("/logout"));
    ada.submit("/logout", "");
    ada.visit("/");
    ada.went(&["POST /logout 302 identity session sign-out", "GET / 200 classic cohort none"]);
    site.evacuated("identity", "classic", 1);
    site.nobody_was_lost();
}

#[test]
fn c6_a_flow_in_the_middle_is_begun_anew_elsewhere() {
    let site = site([0, 0, 100]);
    let mut ada = site.browser();
    ada.visit("/login");
    ada.submit(&ada.at(), "user=ada&password=right");
    site.share("sign-in", 100, 0);
    site.evacuate("identity", Some("/logout"));
    ada.told();
    // Neither the pin nor the `state` leads back.
    ada.submit(&ada.at(), "code=123456");
    assert_eq!(ada.told(), ["POST /challenge-authenticator/okta_email 409 classic cohort none"]);
    ada.visit("/login");
    ada.went(&["GET /login 200 classic cohort sign-in"]);
    signs_in_on_classic(&mut ada);
    site.flows("sign-in", "identity", 1, &[("replaced", 1)]);
    site.evacuated("identity", "classic", 1);
}

#[test]
fn c6_what_goes_on_from_something_void_is_as_old_as_the_order() {
    let (site, mut ada) = held_by_identity();
    site.evacuate("identity", Some("/logout"));
    // Without the order's own second in it.
    sleep(Duration::from_millis(1100));
    // A script begins to sign in anew, on the engine that still holds the session, and the page goes on with it.
    let reply = ada.fetch("/login");
    let next = reply.head.get("location").expect("it leads on").to_owned();
    assert_eq!(ada.page(&next).status(), 303, "no new state leads back");
    let (site, mut bob) = held_by_identity();
    site.evacuate("identity", Some("/logout"));
    sleep(Duration::from_millis(1100));
    bob.submit("/login", "user=ada");
    assert_eq!(bob.page("/login").status(), 303, "nor does a new flow");
}

#[test]
fn c6_a_callback_that_can_only_be_identitys_signs_in_there_and_out_again() {
    let site = site([0, 0, 100]);
    let mut ada = site.browser();
    ada.visit("/login");
    let state = ada.state();
    ada.submit(&ada.at(), "user=ada&password=right");
    site.share("sign-in", 100, 0);
    site.evacuate("identity", Some("/logout"));
    sleep(Duration::from_millis(1100));
    ada.told();
    ada.visit(&format!("/login/callback?interaction_code=c&state={state}"));
    ada.went(&[
        "GET /login/callback 302 identity landing sign-in",
        "GET / 303 cutover",
        "GET /logout 302 identity session sign-out",
    ]);
    ada.visit("/");
    ada.went(&["GET / 200 classic cohort none"]);
}

#[test]
fn c6_explain_says_what_is_void_and_since_when() {
    let (site, ada) = held_by_identity();
    let encoded = |cookie: &str| cookie.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let cookie = ["cutover", "connect.sid"].map(|name| format!("{name}={}", ada.jar[name])).join("; ");
    let explain = |url: &str| {
        let asked = format!("GET /api/v1/explain?app=portal&url={url}&cookie={}", encoded(&cookie));
        site.proxy.ask(&asked).json()
    };
    let saw = |told: &serde_json::Value, row: &str| {
        let rows = told["trail"].as_array().expect("rows").iter();
        let row = rows.into_iter().find(|found| found["row"] == row).expect("a row");
        row["saw"].as_str().expect("text").to_owned()
    };
    assert_eq!(saw(&explain("/account"), "session"), "identity holds the signed-in session");
    site.evacuate("identity", Some("/logout"));
    let told = explain("/account");
    assert_eq!((&told["engine"], &told["sign_out"]), (&"identity".into(), &"/logout".into()));
    assert!(told["notes"].to_string().contains("sent to /logout first, once"), "{told}");
    assert!(saw(&told, "session").contains("that an order of 2"), "{told}");
    let told = explain("/logout");
    assert!(saw(&told, "session").starts_with("identity signs the session out"), "{told}");
    assert_eq!(told["issue"]["session"], serde_json::Value::Null);
}

#[test]
fn c6_what_begins_after_the_order_is_not_moved_by_it() {
    let site = site([0, 0, 100]);
    site.evacuate("identity", Some("/logout"));
    // The order's own second belongs to it.
    sleep(Duration::from_millis(1100));
    let mut ada = site.browser();
    signs_in_on_identity(&mut ada);
    ada.visit("/account");
    ada.went(&[
        "GET /login 302 identity cohort sign-in",
        "GET /login 200 identity state sign-in",
        "POST /login 302 identity state sign-in",
        "GET /challenge-authenticator/okta_email 200 identity state sign-in",
        "POST /challenge-authenticator/okta_email 302 identity state sign-in",
        "GET /login/callback 302 identity state sign-in",
        "GET / 200 identity session none",
        "GET /account 200 identity session none",
    ]);
    site.nobody_was_lost();
}

#[test]
fn c6_an_order_of_the_future_does_nothing_yet_and_one_that_is_withdrawn_nothing_any_more() {
    let (site, mut ada) = held_by_identity();
    let future = order("identity", now() + 3600, Some("/logout"));
    site.order(&future);
    ada.visit("/account");
    ada.went(&["GET /account 200 identity session none"]);
    let past = order("identity", now(), Some("/logout"));
    site.proxy.replace(&future, &past);
    sleep(CLOCK);
    assert_eq!(ada.page("/account").status(), 303);
    site.proxy.replace(&past, "");
    ada.visit("/account");
    ada.went(&["GET /account 200 identity session none"]);
    // The mark went with its order: another one asks again.
    site.proxy
        .replace("evacuate = []", &format!("evacuate = [{}]", order("identity", now(), Some("/logout"))));
    sleep(CLOCK);
    ada.visit("/account");
    ada.went(&["GET /account 303 cutover", "GET /logout 302 identity session sign-out"]);
}

#[test]
fn c6_order_and_mark_live_through_a_reload_and_a_restart() {
    let (site, mut ada) = held_by_identity();
    let (mut bob, mut eve) = (site.browser(), site.browser());
    for browser in [&mut bob, &mut eve] {
        browser.jar = ada.jar.clone();
    }
    site.evacuate("identity", Some("/logout"));
    assert_eq!(ada.page("/account").status(), 303);
    assert_eq!(bob.page("/account").status(), 303);
    site.share("registration", 0, 10);
    let Site { proxy, identity: _identity, classic: _classic } = site;
    let (_, folder) = proxy.shut_down();
    let path = folder.path().join("cutover.toml");
    let proxy = Proxy::from_file(folder, &path);
    for browser in [&mut ada, &mut bob, &mut eve] {
        browser.goes_to(proxy.address());
        browser.told();
    }
    ada.visit("/logout");
    ada.visit("/");
    ada.went(&["GET /logout 302 identity session sign-out", "GET / 200 classic cohort none"]);
    bob.visit("/login");
    bob.went(&["GET /login 200 classic cohort sign-in"]);
    eve.visit("/account");
    assert_eq!(eve.told()[0], "GET /account 303 cutover", "never asked before");
}

#[test]
fn c6_sessions_that_are_older_than_we_are_leave_classic_too() {
    for sign_out in [None, Some("/logout")] {
        let site = site_with("percent = 100", [100, 100, 100], "");
        site.evacuate("classic", sign_out);
        let mut ada = site.browser();
        ada.jar.insert("connect.sid".to_owned(), "classic-from-before".to_owned());
        ada.fetch("/api/me");
        ada.visit("/");
        ada.visit("/");
        match sign_out {
            None => ada.went(&[
                "GET /api/me 200 classic default none",
                "GET / 200 identity cohort none",
                "GET / 200 identity cohort none",
            ]),
            // Who was never seen before is given a ticket first: it has to keep the mark.
            Some(_) => ada.went(&[
                "GET /api/me 200 classic session none",
                "GET / 200 classic session none",
                "GET / 303 cutover",
                "GET /logout 302 classic session sign-out",
                "GET / 200 identity cohort none",
            ]),
        }
    }
}

#[test]
fn c6_a_client_that_keeps_no_cookie_of_ours_is_never_sent_round() {
    let site = site_with("percent = 100", [100, 100, 100], "");
    site.evacuate("classic", Some("/logout"));
    for _ in 0..3 {
        let reply = site.proxy.client().get("/account").cookie("connect.sid=classic-from-before").page();
        assert_eq!(reply.head.get("served-by"), Some("classic session none"));
    }
}

#[test]
fn c6_nobody_can_write_a_mark_or_a_pin() {
    let (site, mut ada) = held_by_identity();
    site.evacuate("identity", Some("/logout"));
    let made = now() as u32;
    let forged = Sealer::new(&[SigningKey::new(vec![9; 32]).expect("32 bytes")], "portal", 1, None);
    let ticket = Ticket {
        session: Some(SessionPin { engine: Side::Identity, made: made + 100, endpoint: 0 }),
        leaves: true,
        ..Ticket::new(made)
    };
    let line = forged.set_cookie(&PLAIN, &ticket).expect("a key");
    let value = line.split_once('=').expect("a value").1.split(';').next().expect("a value").to_owned();
    let before = site.proxy.metric("cutover_tickets_rejected_total{reason=\"unknown_key\"}");
    let reply = site.proxy.client().get("/account").cookie(&format!("cutover={value}; connect.sid=x")).page();
    assert_eq!(reply.head.get("served-by"), Some("classic session none"), "a forged one is none");
    site.proxy.counts("cutover_tickets_rejected_total{reason=\"unknown_key\"}", before + 1.0);

    // The ticket from before the mark, sent once more, is only asked once more.
    let unmarked = ada.jar["cutover"].clone();
    assert_eq!(ada.page("/account").status(), 303);
    ada.jar.insert("cutover".to_owned(), unmarked);
    assert_eq!(ada.page("/account").status(), 303);
}

#[test]
fn c6_a_tester_stays_where_the_token_says() {
    let (site, mut ada) = held_by_identity();
    site.evacuate("identity", Some("/logout"));
    let sealer = Sealer::new(&[SigningKey::new(vec![0; 32]).expect("32 bytes")], "portal", 1, None);
    let token = sealer.tester_token(Side::Identity, u32::MAX).expect("a key");
    ada.jar.insert("cutover-tester".to_owned(), token);
    ada.visit("/account");
    ada.went(&["GET /account 200 identity override none"]);
    ada.jar.remove("cutover-tester");
    ada.visit("/account");
    assert_eq!(ada.told()[0], "GET /account 303 cutover");
}

#[test]
fn c6_an_order_for_one_app_leaves_the_others_alone() {
    let (classic, identity) =
        (crate::support::AppEngine::called("classic"), crate::support::AppEngine::called("identity"));
    let app = |name: &str, percent: u32| {
        let lines = format!(
            "hosts = [\"{name}.example.com\"]\npreset = \"okta\"\nannotate = true\nkeys = [\"device\"]\n\
             percent = {percent} # {name}"
        );
        portal(&lines, &classic, &identity).replace("apps.portal", &format!("apps.{name}"))
    };
    let proxy = Proxy::with(app("portal", 100) + &app("shop", 100));
    let browsers = ["portal", "shop"].map(|name| {
        let mut browser = proxy.browser();
        browser.line = Some(format!("host: {name}.example.com"));
        signs_in_on_identity(&mut browser);
        browser.told();
        browser
    });
    proxy.replace(
        "[apps.portal]\n",
        &format!("[apps.portal]\nevacuate = [{}]\n", order("identity", now(), Some("/logout"))),
    );
    sleep(CLOCK);
    let [mut ada, mut bob] = browsers;
    assert_eq!(ada.page("/account").status(), 303);
    bob.visit("/account");
    bob.went(&["GET /account 200 identity session none"]);
}
