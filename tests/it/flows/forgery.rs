//! What is not ours, or makes no sense: scenario 24, and input that is meant to hurt. Never an error of ours, and never
//! an engine of the client's choice.

use cutover::decide::cookies::PLAIN;
use cutover::decide::engine::Engine as Side;
use cutover::decide::flow::{FlowPin, Flows};
use cutover::decide::ticket::{Sealer, SigningKey};
use cutover::decide::workflow::hash_of;

use crate::support::{Engine, Proxy, portal};

use super::site;

fn sealer(key: u8, epoch: u32) -> Sealer {
    Sealer::new(&[SigningKey::new(vec![key; 32]).expect("32 bytes")], "portal", epoch, None)
}

/// The value of a flow cookie that holds a sign-in on Identity, as this sealer would write it.
fn pinned(sealer: &Sealer) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs() as u32;
    let mut flows = Flows::default();
    flows.open(FlowPin::new(hash_of("sign-in"), Side::Identity, now));
    let line = sealer.set_flow_cookie(&PLAIN, &flows).expect("a key");
    let (_, value) = line.split_once('=').expect("a value");
    value.split(';').next().expect("a value").to_owned()
}

#[test]
fn c24_a_flow_cookie_that_is_not_ours_is_no_flow_and_is_taken_away() {
    let site = site([0, 0, 0]);
    let good = pinned(&sealer(0, 1));
    let with_version = |version: u8| {
        use base64::Engine as _;
        let codec = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let mut bytes = codec.decode(&good).expect("ours");
        bytes[0] = version;
        codec.encode(bytes)
    };
    let mut forged = good.clone().into_bytes();
    forged[30] = if forged[30] == b'A' { b'B' } else { b'A' };
    let bad = [
        ("forged", String::from_utf8(forged).expect("base64"), "signature"),
        ("truncated", good[..good.len() / 2].to_owned(), "*"),
        ("of one byte", "A".to_owned(), "malformed"),
        ("junk of 8 KiB", "A".repeat(8192), "malformed"),
        ("of version 0", with_version(0), "version"),
        ("of version 2", with_version(2), "version"),
        ("of another key", pinned(&sealer(9, 1)), "unknown_key"),
        ("of another epoch", pinned(&sealer(0, 2)), "epoch"),
    ];
    for (what, value, reason) in &bad {
        let series = format!("cutover_tickets_rejected_total{{reason=\"{reason}\"}}");
        let before = site.proxy.metric(&series);
        let reply = site
            .proxy
            .client()
            .get("/signin/verify/okta/email")
            .cookie(&format!("cutover-flow={value}"))
            .page();
        assert_eq!(reply.head.get("served-by"), Some("classic cohort none"), "{what}");
        let lines = reply.head.all("set-cookie");
        assert!(
            lines.iter().any(|line| line.starts_with("cutover-flow=;") && line.contains("Max-Age=0")),
            "{what}: {lines:?}"
        );
        let reply = site.proxy.client().get("/login").cookie(&format!("cutover-flow={value}")).page();
        assert_eq!(reply.head.get("served-by"), Some("classic cohort sign-in"), "{what}");
        assert!(reply.head.all("set-cookie").iter().any(|line| line.starts_with("cutover-flow=A")), "{what}");
        if *reason != "*" {
            site.proxy.counts(&series, before + 2.0);
        }
    }
    let cookie = format!("cutover-flow={good}");
    let reply = site.proxy.client().get("/login?state=x").cookie(&cookie).page();
    assert_eq!(reply.head.get("served-by"), Some("identity flow sign-in"), "the good one is good");
    for cookies in [
        format!("cutover-flow={}; {cookie}", bad[0].1),
        format!("{cookie}; cutover-flow={}", bad[0].1),
        format!("{cookie}; {cookie}; {cookie}; {cookie}; {cookie}; {cookie}"),
    ] {
        let reply = site.proxy.client().get("/login?state=x").cookie(&cookies).page();
        assert_eq!(reply.head.get("served-by"), Some("identity flow sign-in"), "{cookies}");
    }
}

#[test]
fn c24_keys_rotate_while_flows_live() {
    let site = site([0, 0, 0]);
    let mut ada = site.browser();
    ada.visit("/login");
    let new = SigningKey::new(vec![1; 32]).expect("32 bytes").to_base64();
    site.proxy.folder.write("keys", format!("{new}\n{}", crate::support::KEYS));
    site.proxy.reload();
    site.share("sign-in", 0, 100);
    let before = ada.jar["cutover-flow"].clone();
    ada.told();
    ada.submit("/login", "user=ada&password=right");
    assert_eq!(ada.told()[0], "POST /login 302 classic flow sign-in");
    assert_ne!(ada.jar["cutover-flow"], before, "sealed anew");
    site.proxy.folder.write("keys", format!("{new}\n"));
    site.proxy.reload();
    ada.visit("/signin/verify/okta/email");
    ada.went(&["GET /signin/verify/okta/email 200 classic flow sign-in"]);
    site.nobody_was_lost();
}

#[test]
fn c24_headers_and_parameters_of_strangers_choose_no_engine() {
    let site = site([0, 0, 0]);
    for target in ["/login?state=made-up", "/login?cutover=identity", "/login?otp=1"] {
        let reply = site
            .proxy
            .client()
            .get(target)
            .header("cutover-engine: identity")
            .header("x-cutover-engine: identity")
            .cookie("cutover-tester=identity; engine=identity")
            .page();
        assert_eq!(reply.head.get("served-by"), Some("classic cohort sign-in"), "{target}");
    }
    // A link that can only be Identity's is answered there, and leaves nothing behind when it was made up.
    let mut eve = site.browser();
    eve.visit("/login/callback?interaction_code=made-up&state=made-up");
    eve.visit("/login");
    eve.visit("/");
    eve.went(&[
        "GET /login/callback 409 identity landing sign-in",
        "GET /login 200 classic cohort sign-in",
        "GET / 200 classic cohort none",
    ]);
}

#[test]
fn a_state_of_twenty_kilobytes_and_other_odd_ones_are_nobodys() {
    let site = site([0, 0, 0]);
    let long = "s".repeat(20 * 1024);
    for query in [
        &format!("code=c&state={long}"),
        "code=c&state=",
        "code=c&state",
        "code=c&state=%",
        "code=c&state=%ff%00",
        "state=a&state=b",
        "&&&=&state=a=b=c",
        "%73tate=a",
    ] {
        let reply = site.proxy.client().get(&format!("/authorization-code/callback?{query}")).page();
        let told =
            reply.head.get("served-by").unwrap_or_else(|| panic!("{} to {:.40}", reply.status(), query));
        assert!(told.starts_with("classic cohort"), "{told} to {query:.40}");
    }
}

/// What an engine may say without that we fail, and without that it confuses who is where.
#[test]
fn whatever_an_engine_says_of_cookies_and_locations_is_passed_on() {
    let long = format!("location: /{}?state={}", "a/".repeat(2000), "s".repeat(9000));
    let cookies: String = (0..120).map(|at| format!("set-cookie: c{at}=v; Path=/\r\n")).collect();
    for lines in [
        "location: done",
        "location: ?state=x",
        "location: ../up?state=%zz&state",
        "location: https://org.okta.com/oauth2/v1/authorize?state=a%20b",
        "location: https://evil.test/login",
        "location: //",
        "location: http://",
        "location: http:///?state=",
        "location: ://:::?#?#",
        "location: javascript:alert(1)",
        "location: \u{fffd}\u{1f600}",
        "location:",
        "location: /a\r\nlocation: /b",
        &long,
        "set-cookie: connect.sid",
        "set-cookie: =",
        "set-cookie: ;;;;",
        "set-cookie:",
        "set-cookie: connect.sid=; Max-Age=99999999999999999999; Expires=yesterday",
        "set-cookie: connect.sid=x; Expires=Thu, 99 Foo 9999 99:99:99 GMT; Max-Age=-",
        "set-cookie: cutover-flow=mine\r\nset-cookie: cutover=mine",
        cookies.trim_end(),
    ] {
        let head = format!("HTTP/1.1 302 Found\r\n{lines}\r\ncontent-length: 0\r\n\r\n");
        let engine = Engine::replying(head.leak().as_bytes());
        let proxy = Proxy::with(portal("preset = \"okta\"\nkeys = [\"device\"]", &engine, &engine));
        let mut cookie = String::new();
        for target in ["/", "/login", "/login/callback?code=c&state=s", "/logout"] {
            let mut client = proxy.client();
            let mut ask = client.get(target);
            if !cookie.is_empty() {
                ask = ask.cookie(&cookie);
            }
            let reply = ask.page();
            assert_eq!(reply.status(), 302, "{target} and {lines:.60}");
            let ours = |line: &&str| line.starts_with("cutover");
            let set = reply.head.all("set-cookie");
            assert!(!set.iter().any(|line| line.contains("mine")), "{set:?}");
            let pairs: Vec<&str> = set
                .iter()
                .copied()
                .filter(ours)
                .map(|line| line.split(';').next().expect("a pair"))
                .collect();
            if !pairs.is_empty() {
                cookie = format!("{}; connect.sid=x", pairs.join("; "));
            }
        }
    }
}
