//! Shares and their edits: scenarios 1, 4, 5 and 28.

use crate::support::{Browser, Proxy};

use super::{signs_in_on_classic, signs_in_on_identity, site, toml};

#[test]
fn c1_each_of_two_hundred_browsers_keeps_its_engine_and_the_share_is_kept() {
    let site = site([0, 0, 50]);
    let mut on_identity = 0;
    for _ in 0..200 {
        let mut browser = site.browser();
        let mut engines = Vec::new();
        for visit in 0..5 {
            browser.visit("/login");
            let told = browser.told();
            let word = |at: usize| told[0].split(' ').nth(at).expect("a word").to_owned();
            assert_eq!(word(4), if visit == 0 { "cohort" } else { "flow" });
            engines.push(word(3));
        }
        engines.dedup();
        assert_eq!(engines.len(), 1, "{engines:?}");
        on_identity += usize::from(engines[0] == "identity");
    }
    // Seven times out of a million a half of 200 is farther away than 32.
    assert!((68..=132).contains(&on_identity), "{on_identity} of 200");
    site.nobody_was_lost();
    let replaced = |engine: &str| {
        site.proxy.metric(&format!(
            "cutover_flows_total{{app=\"portal\",workflow=\"sign-in\",engine=\"{engine}\",outcome=\"replaced\"}}"
        ))
    };
    assert!(replaced("classic") + replaced("identity") >= 600.0, "who begins anew leaves a flow behind");
}

#[test]
fn c1_parallel_first_requests_of_one_page_do_not_split_a_browser() {
    let site = site([0, 0, 50]);
    for _ in 0..12 {
        let mut client = site.proxy.client();
        let login = "GET /login HTTP/1.1\r\nhost: portal.example.com\r\naccept: text/html\r\n\r\n";
        client.wire.send(login.repeat(4));
        let mut engines: Vec<String> = (0..4)
            .map(|_| {
                client.read("GET").expect("an answer").head.get("served-by").expect("an engine").to_owned()
            })
            .collect();
        engines.dedup();
        assert_eq!(engines.len(), 1, "{engines:?}");
        assert!(engines[0].ends_with(" cohort sign-in"), "{engines:?}");
    }
}

#[test]
fn c4_a_share_that_is_raised_in_the_middle_of_a_flow_moves_the_next_flow_only() {
    for raised_at in 0..3 {
        let site = site([0, 0, 0]);
        let raise = |at: usize| {
            if at == raised_at {
                site.share("sign-in", 0, 100);
            }
        };
        let mut ada = site.browser();
        ada.visit("/login");
        raise(0);
        ada.submit("/login", "user=ada&password=right");
        raise(1);
        let away = ada.submit("/signin/verify/okta/email", "code=123456");
        raise(2);
        ada.visit(&format!("/authorization-code/callback?code=c&state={}", away.state_sent()));
        ada.went(&[
            "GET /login 200 classic cohort sign-in",
            "POST /login 302 classic flow sign-in",
            "GET /signin/verify/okta/email 200 classic flow sign-in",
            "POST /signin/verify/okta/email 302 classic flow sign-in",
            "GET /authorization-code/callback 302 classic state sign-in",
            "GET / 200 classic session none",
        ]);
        let mut bob = site.browser();
        signs_in_on_identity(&mut bob);
        assert_eq!(bob.told()[0], "GET /login 302 identity cohort sign-in");
        ada.visit("/logout");
        ada.visit("/login");
        assert_eq!(
            ada.told(),
            [
                "GET /logout 302 classic session sign-out",
                "GET / 200 classic cohort none",
                "GET /login 302 identity cohort sign-in",
                "GET /login 200 identity state sign-in",
            ],
            "raised after {raised_at} steps"
        );
        site.nobody_was_lost();
        site.flows("sign-in", "classic", 1, &[("success", 1)]);
        assert_eq!(site.moves("classic", "identity"), 1.0);
        site.proxy.counts(
            "cutover_moves_total{app=\"portal\",from=\"classic\",to=\"identity\",cause=\"workflow\"}",
            1.0,
        );
    }
}

#[test]
fn c5_a_share_that_is_lowered_sends_nobody_back_before_they_sign_out() {
    let site = site([100, 100, 100]);
    let (mut ada, mut bob) = (site.browser(), site.browser());
    signs_in_on_identity(&mut ada);
    bob.visit("/login");
    ada.told();
    bob.told();
    site.share("sign-in", 100, 0);
    assert_eq!(ada.visit("/account").text(), "identity account of ada");
    ada.visit("/login");
    ada.went(&[
        "GET /account 200 identity session none",
        "GET /login 302 identity session sign-in",
        "GET /login 200 identity state sign-in",
    ]);
    bob.submit(&bob.at(), "user=bob&password=right");
    bob.submit(&bob.at(), "code=123456");
    assert_eq!(
        bob.told().last().map(String::as_str),
        Some("GET / 200 identity session none"),
        "bob's flow ends"
    );
    ada.visit("/logout");
    ada.visit("/");
    ada.went(&["GET /logout 302 identity session sign-out", "GET / 200 classic cohort none"]);
    bob.visit("/logout");
    bob.told();
    signs_in_on_classic(&mut bob);
    assert_eq!(bob.told()[0], "GET /login 200 classic cohort sign-in");
    site.nobody_was_lost();
}

#[test]
fn c28_two_nodes_agree_and_pins_live_through_a_restart_and_a_storm_of_reloads() {
    let site = site([50, 50, 50]);
    let other = Proxy::with(toml("", [50, 50, 50], "", &site.classic, &site.identity));
    let mut browsers: Vec<Browser> = (0..20).map(|_| site.browser()).collect();
    for browser in &mut browsers {
        browser.visit("/login");
    }
    let engine_of = |line: &str| line.split(' ').nth(3).expect("an engine").to_owned();
    let before: Vec<String> = browsers.iter_mut().map(|browser| engine_of(&browser.told()[0])).collect();

    // The other node has no index of states: only what the browser holds tells it.
    for (at, (browser, before)) in browsers.iter_mut().zip(&before).enumerate() {
        let reload = |share: usize, proxy: &Proxy| {
            let text = proxy.text();
            let line = text.lines().find(|line| line.contains("# sign-in")).expect("a share").to_owned();
            proxy.edit(|text| text.replace(&line, &format!("percent = {share} # sign-in")));
        };
        reload(if at % 2 == 0 { 0 } else { 100 }, &other);
        browser.goes_to(other.address());
        let form = browser.at();
        browser.submit(&form, "user=ada&password=right");
        let told = browser.told();
        assert_eq!(told[0], format!("POST /login 302 {before} flow sign-in"));
        reload(50, &site.proxy);
        browser.goes_to(site.proxy.address());
        if before == "identity" {
            let challenge = browser.at();
            browser.submit(&challenge, "code=123456");
        } else {
            let away = browser.submit("/signin/verify/okta/email", "code=123456");
            browser.visit(&format!("/authorization-code/callback?code=c&state={}", away.state_sent()));
        }
        let told = browser.told();
        assert_eq!(told.last(), Some(&format!("GET / 200 {before} session none")), "{told:?}");
    }
    assert!(matches!(
        site.proxy.try_edit(|text| text.replace("preset = \"okta\"", "preset = \"oktta\"")),
        cutover::control::Outcome::Rejected { .. }
    ));
    for (browser, before) in browsers.iter_mut().zip(&before) {
        browser.visit("/account");
        browser.went(&[&format!("GET /account 200 {before} session none")]);
    }
    site.nobody_was_lost();
}
