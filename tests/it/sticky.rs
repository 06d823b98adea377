//! A browser keeps its engine: what its ticket says, whom it follows, and what is no ticket.

use std::collections::BTreeSet;

use cutover::decide::bucket::Bucket;
use cutover::decide::cookies::{PLAIN, SECURE};
use cutover::decide::engine::Engine as Side;
use cutover::decide::subject::SubjectKey;
use cutover::decide::ticket::{Sealer, SigningKey, Ticket};

use crate::support::{Browser, Client, Engine, Folder, KEYS, Proxy, Reply, portal};

const KEYED: &str = "keys = [\"cookie:uid\", \"device\"]";

fn engines() -> (Engine, Engine) {
    (Engine::answering("classic"), Engine::answering("identity"))
}

/// Who fills the first tests: a proxy whose share is a half.
fn half() -> (Engine, Engine, Proxy) {
    let (classic, identity) = engines();
    let proxy = Proxy::with(portal(
        "salt = \"portal-2026\"\nkeys = [\"cookie:uid\", \"device\"]\npercent = 50",
        &classic,
        &identity,
    ));
    (classic, identity, proxy)
}

fn key(byte: u8) -> SigningKey {
    SigningKey::new(vec![byte; 32]).expect("32 bytes")
}

/// A ticket for this place on one half or the other, as the app `portal` with epoch 1 and the usual key would have sealed it.
fn ticket(place: u32) -> Ticket {
    let issued = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs() as u32;
    let last = if place < 50_000 { Side::Identity } else { Side::Classic };
    Ticket { bucket: Bucket::new(place), last: Some(last), ..Ticket::new(issued) }
}

/// `name=value` of a `Set-Cookie` line.
fn pair(line: &str) -> String {
    line.split(';').next().expect("a cookie").to_owned()
}

fn place_in(reply: &Reply) -> u32 {
    let line = pair(&reply.ticket().expect("a ticket"));
    let (_, value) = line.split_once('=').expect("a value");
    let sealer = Sealer::new(&[key(0)], "portal", 1, None);
    sealer
        .open(&PLAIN, value.as_bytes(), u64::from(ticket(0).issued), None)
        .expect("a ticket of ours")
        .bucket
        .expect("it holds one")
        .get()
}

#[test]
fn a_page_load_gets_a_bucket_at_once_and_the_bucket_decides_it() {
    let (_classic, _identity, proxy) = half();
    let mut places = BTreeSet::new();
    for _ in 0..40 {
        let reply = proxy.client().get("/").page();
        let place = place_in(&reply);
        assert_eq!(reply.text(), if place < 50_000 { "identity" } else { "classic" });
        let line = reply.ticket().expect("a ticket");
        assert!(line.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{line}");
        assert!(line.len() < 150, "{line}");
        places.insert(place);
    }
    assert!(places.len() > 30, "every browser has a place of its own: {places:?}");
    for (line, is_page) in [
        ("sec-fetch-mode: navigate", true),
        ("sec-fetch-mode: cors\r\naccept: text/html", false),
        ("accept: text/html;q=0.5", true),
        ("accept: application/json, */*", false),
    ] {
        let reply = proxy.client().get("/").header(line).send();
        assert_eq!(reply.ticket().is_some(), is_page, "{line}");
    }
}

#[test]
fn an_api_client_without_key_or_ticket_gets_classic_every_time_and_no_cookie() {
    let (classic, identity, proxy) = half();
    for _ in 0..30 {
        let reply = proxy.client().get("/api").header("accept: application/json").send();
        assert_eq!((reply.text().as_str(), reply.head.has("set-cookie")), ("classic", false));
    }
    assert_eq!((classic.requests().len(), identity.accepts()), (30, 0));
    proxy.counts(
        "cutover_decisions_total{app=\"portal\",workflow=\"none\",engine=\"classic\",reason=\"default\"}",
        30.0,
    );
}

#[test]
fn a_browser_keeps_its_engine_over_a_restart_and_widening_moves_it_at_most_once() {
    let (classic, identity) = engines();
    let lines = |percent: u32| format!("keys = [\"device\"]\npercent = {percent}");
    let proxy = Proxy::with(portal(&lines(30), &classic, &identity));
    let mut browsers: Vec<Browser> = (0..24).map(|_| proxy.browser()).collect();
    let mut before: Vec<String> = browsers.iter_mut().map(Browser::engine).collect();
    for percent in [30, 55, 80, 100] {
        proxy.edit(|_| proxy_text(&portal(&lines(percent), &classic, &identity), &proxy));
        let now: Vec<String> = browsers.iter_mut().map(Browser::engine).collect();
        for (was, is) in before.iter().zip(&now) {
            assert!(was == "classic" || is == "identity", "nobody is moved back");
            assert!(percent > 30 || was == is, "nobody moves without a reason");
        }
        before = now;
    }
    assert!(before.iter().all(|engine| engine == "identity"), "everybody is there at 100 %");

    proxy.replace("percent = 100", "percent = 50");
    let before: Vec<String> = browsers.iter_mut().map(Browser::engine).collect();
    let (_, folder) = proxy.shut_down();
    let again = Proxy::within(folder, portal(&lines(50), &classic, &identity));
    for (browser, before) in browsers.iter_mut().zip(before) {
        browser.goes_to(again.address());
        let reply = browser.page("/");
        assert_eq!(reply.text(), before);
        assert_eq!(reply.ticket(), None, "its ticket is as good as ever");
    }
}

/// The rest of the proxy's configuration around another app.
fn proxy_text(app: &str, proxy: &Proxy) -> String {
    let text = proxy.text();
    let begin = text.find("[apps.portal]").expect("an app");
    let end = text.find("[[listeners]]").expect("listeners behind it");
    format!("{}{app}\n{}", &text[..begin], &text[end..])
}

#[test]
fn what_is_no_ticket_is_ignored_replaced_and_counted_by_its_reason() {
    let (_classic, _identity, proxy) = half();
    let good =
        pair(&Sealer::new(&[key(0)], "portal", 1, None).set_cookie(&PLAIN, &ticket(7)).expect("a key"));
    let sealed_by = |byte, app: &str, epoch, names| {
        let line = Sealer::new(&[key(byte)], app, epoch, None).set_cookie(names, &ticket(7)).expect("a key");
        let (_, value) = line.split_once('=').expect("a value");
        format!("cutover={}", value.split(';').next().expect("a value"))
    };
    let mut forged = good.clone().into_bytes();
    // A character of the bucket, somewhere in the middle of the payload.
    forged[8 + 20] = if forged[8 + 20] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).expect("base64");
    let old = Ticket { issued: 1, ..ticket(7) };
    let old = pair(&Sealer::new(&[key(0)], "portal", 1, None).set_cookie(&PLAIN, &old).expect("a key"));

    let reply = proxy.client().get("/").cookie(&good).page();
    assert_eq!((reply.text().as_str(), reply.ticket()), ("identity", None), "the good one is good");
    for (what, cookie, reason) in [
        ("forged", forged, "signature"),
        ("cut", good[..good.len() - 2].to_owned(), "signature"),
        ("nonsense", "cutover=!!!".to_owned(), "malformed"),
        ("of another release", good.replacen("cutover=AQ", "cutover=Ag", 1), "version"),
        ("of another key", sealed_by(9, "portal", 1, &PLAIN), "unknown_key"),
        ("of another app", sealed_by(0, "shop", 1, &PLAIN), "signature"),
        ("of another cookie", sealed_by(0, "portal", 1, &SECURE), "signature"),
        ("of another epoch", sealed_by(0, "portal", 2, &PLAIN), "epoch"),
        ("of another century", old, "expired"),
    ] {
        let series = format!("cutover_tickets_rejected_total{{reason=\"{reason}\"}}");
        let before = proxy.metric(&series);
        let reply = proxy.client().get("/").cookie(&cookie).page();
        assert_eq!(reply.status(), 200, "{what}");
        // That a new place was minted shows in the ticket: it opens, and is no copy of the bad one.
        assert_ne!(pair(&reply.ticket().unwrap_or_else(|| panic!("{what} is replaced"))), cookie, "{what}");
        place_in(&reply);
        proxy.counts(&series, before + 1.0);

        // One that loads no page is not given a place by a bad ticket.
        let reply = proxy.client().get("/api").cookie(&cookie).send();
        assert_eq!((reply.text().as_str(), reply.ticket()), ("classic", None), "{what}");
    }
    let reply = proxy.client().get("/").cookie(&format!("cutover=bad; {good}")).page();
    assert_eq!(
        (reply.text().as_str(), reply.ticket()),
        ("identity", None),
        "a bad one does not shadow a good one"
    );
}

#[test]
fn raising_the_epoch_forgets_every_ticket() {
    let (classic, identity) = engines();
    let proxy = Proxy::with(portal("epoch = 1\nkeys = [\"device\"]\npercent = 50", &classic, &identity));
    let mut browser = proxy.browser();
    browser.page("/");
    proxy.replace("epoch = 1", "epoch = 2");
    assert!(browser.page("/").ticket().is_some());
    assert!(browser.page("/").ticket().is_none());
    proxy.counts("cutover_tickets_rejected_total{reason=\"epoch\"}", 1.0);
}

#[test]
fn the_ticket_follows_the_user() {
    let (_classic, _identity, proxy) = half();
    let place = Bucket::of("portal-2026", &SubjectKey::new("user-2").expect("a key")).get();
    assert_eq!(place, 59_775, "on classic at 50 %");
    let mut browser = proxy.browser();
    // Until it is known, this browser is on the other side.
    let line = Sealer::new(&[key(0)], "portal", 1, None).set_cookie(&PLAIN, &ticket(7)).expect("a key");
    browser.jar.insert("cutover".to_owned(), pair(&line)["cutover=".len()..].to_owned());
    assert_eq!(browser.engine(), "identity");

    browser.jar.insert("uid".to_owned(), "user-2".to_owned());
    let reply = browser.page("/");
    assert_eq!((reply.text().as_str(), place_in(&reply)), ("classic", place), "the user's place");
    assert_eq!(browser.page("/").ticket(), None, "and there it stays");
    browser.jar.remove("uid");
    let reply = browser.page("/");
    assert_eq!((reply.text().as_str(), reply.ticket()), ("classic", None), "after signing out as well");

    let mut other_device = proxy.browser();
    other_device.jar.insert("uid".to_owned(), "USER-2".to_owned());
    assert_eq!(place_in(&other_device.page("/")), place, "on every device");
}

#[test]
fn parallel_first_requests_of_one_connection_agree() {
    let (_classic, _identity, proxy) = half();
    let mut engines = BTreeSet::new();
    for _ in 0..12 {
        let mut client = proxy.client();
        let page = "GET / HTTP/1.1\r\nhost: portal\r\naccept: text/html\r\n\r\n";
        client.wire.send(page.repeat(4));
        let replies: Vec<Reply> = (0..4).map(|_| client.read("GET").expect("an answer")).collect();
        let places: BTreeSet<u32> = replies.iter().map(place_in).collect();
        assert_eq!(places.len(), 1, "one browser, one place");
        engines.insert(replies[0].text());
    }
    assert_eq!(engines.len(), 2, "but every browser throws its own dice");
}

#[test]
fn the_cookies_name_follows_the_scheme_of_the_client() {
    let (classic, identity) = engines();
    let toml = portal("keys = [\"device\"]\npercent = 50", &classic, &identity);
    let trusting = Proxy::with(format!("{toml}\n[trust]\nproxies = [\"127.0.0.0/8\"]"));
    let open = Proxy::with(&toml);
    for (proxy, line, secure) in [
        (&trusting, "x-forwarded-proto: https", true),
        (&trusting, "forwarded: for=192.0.2.1;proto=https", true),
        (&trusting, "x-forwarded-proto: http", false),
        (&trusting, "x-forwarded-proto: https, http", false),
        (&trusting, "x: y", false),
        (&open, "x-forwarded-proto: https", false),
    ] {
        let ticket = proxy.client().get("/").header(line).page().ticket().expect("a ticket");
        assert_eq!(ticket.starts_with("__Host-cutover="), secure, "{line}: {ticket}");
        assert_eq!(ticket.contains("; Secure"), secure, "{line}: {ticket}");
        assert!(ticket.contains("; Path=/") && !ticket.to_ascii_lowercase().contains("domain"), "{ticket}");
    }
    // A name of the other scheme is not read, and still does not reach an engine.
    let other = "__Host-cutover=AQ";
    assert!(open.client().get("/").cookie(other).page().ticket().is_some());
    open.counts("cutover_tickets_rejected_total{reason=\"malformed\"}", 0.0);
}

#[test]
fn our_cookies_never_reach_an_engine_and_an_engine_cannot_set_them() {
    let setting = Engine::replying(
        b"HTTP/1.1 200 OK\r\nset-cookie: cutover=mine; Path=/\r\nset-cookie: sid=1\r\n\
          set-cookie: __Host-cutover-flow=mine\r\nSet-Cookie:  cutover-tester = mine\r\ncontent-length: 0\r\n\r\n",
    );
    let proxy = Proxy::with(portal("keys = [\"device\"]", &setting, &setting));
    let reply =
        proxy.client().get("/").cookie("a=1; cutover=x; b=2; __Host-cutover-flow=y; cutovers=3").send();
    assert_eq!(setting.last().head.all("cookie"), ["a=1; b=2; cutovers=3"]);
    assert_eq!(reply.head.all("set-cookie"), ["sid=1"]);
    let reply = proxy.client().get("/").cookie("cutover=x").cookie("c=4").page();
    assert_eq!(setting.last().head.all("cookie"), ["c=4"]);
    assert_eq!(reply.head.all("set-cookie").len(), 2, "the engine's and ours");
    proxy.client().get("/").cookie("__Host-cutover=x; cutover-tester=y").send();
    assert!(!setting.last().head.has("cookie"));
}

#[test]
fn a_response_with_our_cookie_stays_out_of_shared_caches() {
    for (sent, got) in [
        ("public, max-age=60", "max-age=60, private"),
        ("s-maxage=300, max-age=60", "max-age=60, private"),
        ("private, max-age=60", "private, max-age=60"),
        ("no-store", "no-store"),
        ("Public", "private"),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\ncache-control: {sent}\r\ncontent-length: 0\r\n\r\n");
        let engine = Engine::replying(head.leak().as_bytes());
        let proxy = Proxy::with(portal("keys = [\"device\"]", &engine, &engine));
        let reply = proxy.client().get("/").page();
        assert_eq!(reply.head.all("cache-control"), [got], "{sent}");
        let reply = proxy.client().get("/").cookie(&pair(&reply.ticket().expect("a ticket"))).page();
        assert_eq!(reply.head.all("cache-control"), [sent], "nothing of ours, nothing changed");
    }
}

#[test]
fn keys_rotate_while_tickets_live() {
    let (classic, identity) = engines();
    let folder = Folder::new();
    folder.write("keys", KEYS);
    let proxy = Proxy::within(folder, portal("keys = [\"device\"]\npercent = 50", &classic, &identity));
    let mut browsers: Vec<Browser> = (0..8).map(|_| proxy.browser()).collect();
    let before: Vec<String> = browsers.iter_mut().map(Browser::engine).collect();
    proxy.folder.write("keys", format!("{}\n{KEYS}", key(1).to_base64()));
    proxy.reload();
    let old = format!("cutover={}", browsers[0].jar["cutover"]);
    for (browser, before) in browsers.iter_mut().zip(before) {
        let reply = browser.page("/");
        assert_eq!(reply.text(), before);
        assert!(reply.ticket().is_some(), "sealed anew with the key that signs now");
    }
    let fresh = pair(&proxy.client().get("/").page().ticket().expect("a ticket"));
    proxy.folder.write("keys", format!("{}\n", key(1).to_base64()));
    proxy.reload();
    assert_eq!(proxy.client().get("/").cookie(&fresh).page().ticket(), None, "the new key has signed it");
    assert_eq!(browsers[0].page("/").ticket(), None, "whoever came by in between keeps its place");
    let reply = proxy.client().get("/").cookie(&old).page();
    assert!(reply.ticket().is_some(), "the old key is gone, and with it what it signed");
    proxy.counts("cutover_tickets_rejected_total{reason=\"unknown_key\"}", 1.0);
}

#[test]
fn a_lifetime_is_told_to_the_browser() {
    let (classic, identity) = engines();
    let toml = portal(KEYED, &classic, &identity);
    let proxy = Proxy::with(format!("{toml}\n[ticket]\nkey_file = \"keys\"\nlifetime = \"30d\"\n"));
    let ticket = Client::to(proxy.address()).get("/").page().ticket().expect("a ticket");
    assert!(ticket.ends_with("; Max-Age=2592000"), "{ticket}");
}
